//! Which of the configured clouds a call is for.
//!
//! A caller's secrets name it, or a StorageClass. Where nobody does, a new volume goes to its source's cloud or to the
//! one that has its zone, and what is there already is found by its id. With one cloud there is nothing to choose and
//! nothing is asked.

mod choice;
mod find;
mod memory;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::future::try_join_all;
use tonic::Status;

use super::request::cloud::Named;
use super::{request, status};
use crate::volume::{Condition, Error, GroupSnapshotId, SnapshotId, Thing, VolumeId, Volumes};
use memory::Memory;

/// The clouds by name; the unnamed one is `""`. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Clouds {
    by_name: BTreeMap<String, Volumes>,
    memory: Memory,
}

impl Clouds {
    pub fn new(by_name: BTreeMap<String, Volumes>) -> Self {
        Self { by_name, memory: Memory::default() }
    }

    /// The one that has this volume. Where none has it, one whose own answer says so.
    pub async fn of_volume(
        &self,
        secrets: &HashMap<String, String>,
        id: VolumeId,
    ) -> Result<&Volumes, Status> {
        self.of_thing(request::cloud::secret(secrets), Thing::Volume(id)).await
    }

    /// As [`Self::of_volume`], for a snapshot or backup.
    pub async fn of_snapshot(
        &self,
        secrets: &HashMap<String, String>,
        id: SnapshotId,
    ) -> Result<&Volumes, Status> {
        self.of_thing(request::cloud::secret(secrets), Thing::Snapshot(id)).await
    }

    /// As [`Self::of_volume`], for a snapshot of a group.
    pub async fn of_group_snapshot(
        &self,
        secrets: &HashMap<String, String>,
        id: GroupSnapshotId,
    ) -> Result<&Volumes, Status> {
        self.of_thing(request::cloud::secret(secrets), Thing::GroupSnapshot(id)).await
    }

    /// The one that has these volumes. One that no cloud has is for that one to tell.
    pub async fn of_volumes(
        &self,
        named: Option<Named<'_>>,
        ids: &BTreeSet<VolumeId>,
    ) -> Result<&Volumes, Status> {
        if let Some(named) = named {
            return self.named(&named);
        }
        if let Some(only) = self.only() {
            return Ok(only);
        }
        let holders = try_join_all(ids.iter().map(|id| self.find(Thing::Volume(*id)))).await?;
        let holders: BTreeMap<_, _> =
            holders.into_iter().flatten().filter_map(|cloud| Some((self.name_of(cloud)?, cloud))).collect();
        if holders.len() > 1 {
            let why = format!(
                "its volumes are in several clouds ({}), and only those of one can be cut together",
                listed(holders.into_keys())
            );
            return Err(Error::new(Condition::Precondition, why).into());
        }
        holders.into_values().next().map_or_else(|| self.first(), Ok)
    }

    /// The one that somebody names, or else the one that has this thing.
    pub async fn of_thing(&self, named: Option<Named<'_>>, thing: Thing) -> Result<&Volumes, Status> {
        if let Some(named) = named {
            return self.named(&named);
        }
        match self.only() {
            Some(only) => Ok(only),
            None => Ok(self.find(thing).await?.unwrap_or(self.first()?)),
        }
    }

    /// The settings have changed, and a name may stand for another cloud now.
    pub fn forget(&self) {
        self.memory.forget();
    }

    /// Each cloud with its name, in the order of the names.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Volumes)> {
        self.by_name.iter().map(|(name, cloud)| (name.as_str(), cloud))
    }

    /// Those of a list: the one that the caller's secrets name, or all.
    pub fn to_list(&self, secrets: &HashMap<String, String>) -> Result<Vec<(&str, &Volumes)>, Status> {
        let Some(named) = request::cloud::secret(secrets) else { return Ok(self.all().collect()) };
        let cloud = self.named(&named)?;
        Ok(self.all().filter(|(_, known)| std::ptr::eq(*known, cloud)).collect())
    }

    /// An error of that cloud, which is named where there are several.
    pub fn told(&self, cloud: &Volumes, error: Error) -> Status {
        match self.name_of(cloud) {
            Some(name) if self.only().is_none() => error.context(shown(name)).into(),
            _ => error.into(),
        }
    }

    fn name_of(&self, cloud: &Volumes) -> Option<&str> {
        self.all().find(|(_, known)| std::ptr::eq(*known, cloud)).map(|(name, _)| name)
    }

    /// The one that somebody names.
    fn named(&self, named: &Named<'_>) -> Result<&Volumes, Status> {
        self.by_name.get(named.cloud).ok_or_else(|| {
            let known: Vec<_> = self.by_name.keys().map(|name| shown(name)).collect();
            let why = format!("cloud {:?} isn't configured; configured: {}", named.cloud, known.join(", "));
            status::invalid(named.field, why)
        })
    }

    pub fn are_several(&self) -> bool {
        self.by_name.len() > 1
    }

    /// The one and only.
    fn only(&self) -> Option<&Volumes> {
        self.by_name.values().next().filter(|_| self.by_name.len() == 1)
    }

    /// The unnamed cloud where there is one, whose name comes first.
    fn first(&self) -> Result<&Volumes, Status> {
        self.by_name.values().next().ok_or_else(|| status::invalid("secrets.cloud", "no cloud is configured"))
    }
}

pub(super) fn shown(name: &str) -> String {
    match name {
        "" => "the unnamed cloud".to_owned(),
        name => format!("cloud {name:?}"),
    }
}

fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(shown).collect::<Vec<_>>().join(", ")
}
