//! What CreateVolume asks for, and whether a volume is it.

use std::collections::BTreeMap;

use super::origin;
use crate::openstack::{Hints, NewVolume, Origin, Volume};
use crate::volume::metadata::{
    CLUSTER, DESCRIPTION, RESTORED_FROM, SETTLED, marked, may_be_another_volumes, restored_from,
};
use crate::volume::namesakes::{Candidate, Stage};

/// A volume as asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub name: String,
    /// GiB, at least.
    pub size: u64,
    /// Nobody asked for a size: a copy gets its source's.
    pub size_is_free: bool,
    /// GiB: an existing volume may be as large.
    pub size_limit: Option<u64>,
    pub volume_type: Option<String>,
    pub zone: ZoneChoice,
    /// What it is a copy of. The orchestrator has one kind of id for snapshots and backups: `Snapshot` is either.
    pub origin: Option<Origin>,
    pub hints: Hints,
    /// Whether more than one server must be able to use it.
    pub multiattach: bool,
    pub cluster: String,
    pub metadata: BTreeMap<String, String>,
}

/// In which of Cinder's zones the volume may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZoneChoice {
    /// Cinder's default, or anywhere.
    Any,
    /// For a new volume the first one that has room, for one that is there any of them.
    OneOf(Vec<String>),
    /// For a new volume the first one that Cinder knows, for one that is there any at all.
    Rather(Vec<String>),
}

impl ZoneChoice {
    /// The zones to try, in this order; none where Cinder chooses.
    pub(super) fn zones(&self) -> &[String] {
        match self {
            ZoneChoice::Any | ZoneChoice::Rather(_) => &[],
            ZoneChoice::OneOf(zones) => zones,
        }
    }
}

impl Wanted {
    /// What to ask Cinder for.
    pub(super) fn order(&self, attempt: &str) -> NewVolume {
        let mut metadata = marked(&self.metadata, &self.cluster, attempt);
        if let Some(Origin::Backup(id)) = self.origin {
            metadata.insert(RESTORED_FROM.to_owned(), id.to_string());
        }
        NewVolume {
            name: self.name.clone(),
            description: DESCRIPTION.to_owned(),
            size: self.size,
            volume_type: self.volume_type.clone(),
            availability_zone: self.zone.zones().first().cloned(),
            origin: self.origin,
            hints: self.hints.clone(),
            metadata,
        }
    }

    /// The metadata of a volume that is answered. All of it: a restore may have written another volume's over it.
    pub(super) fn settled(&self, volume: &Volume) -> BTreeMap<String, String> {
        let mut metadata = self.metadata.clone();
        metadata.insert(CLUSTER.to_owned(), self.cluster.clone());
        metadata.insert(SETTLED.to_owned(), volume.id.to_string());
        if let Some(backup) = restored_from(volume) {
            metadata.insert(RESTORED_FROM.to_owned(), backup.to_owned());
        }
        metadata
    }

    /// In what a volume differs from what is wanted, as a clause; `None` where it is as wanted.
    pub(super) fn difference(&self, volume: &Volume) -> Option<String> {
        self.size_difference(volume)
            .or_else(|| self.type_difference(volume))
            .or_else(|| self.zone_difference(volume))
            .or_else(|| self.marks_difference(volume))
    }

    /// Of a volume that a backup is being restored to, or couldn't be, the marks aren't final.
    fn marks_difference(&self, volume: &Volume) -> Option<String> {
        let is_made = matches!(volume.stage(), Stage::Made | Stage::Going | Stage::Stuck);
        if !is_made && origin::may_be_a_restore(self.origin, volume) {
            return None;
        }
        origin::difference(self.origin, volume).or_else(|| self.owner_difference(volume))
    }

    fn size_difference(&self, volume: &Volume) -> Option<String> {
        let limit = self.size_limit.unwrap_or(u64::MAX);
        let asked = match self.size_limit {
            Some(limit) => format!("{} to {limit} GiB", self.size),
            None => format!("at least {} GiB", self.size),
        };
        let fits = (self.size..=limit).contains(&volume.size);
        (!fits).then(|| format!("its size is {} GiB and {asked} is asked for", volume.size))
    }

    /// Cinder shows a type by its name and takes it by its id, too; an id is left to Cinder.
    fn type_difference(&self, volume: &Volume) -> Option<String> {
        if self.multiattach && !volume.multiattach {
            return Some(
                "its volume type isn't a multiattach one (multiattach='<is> True'), which the access mode needs".to_owned(),
            );
        }
        let wanted = self.volume_type.as_deref().filter(|name| uuid::Uuid::try_parse(name).is_err())?;
        let shown = volume.volume_type.as_deref()?;
        (shown != wanted).then(|| format!("its type is {shown} and {wanted} is asked for"))
    }

    pub(super) fn zone_difference(&self, volume: &Volume) -> Option<String> {
        let (ZoneChoice::OneOf(zones), Some(zone)) = (&self.zone, &volume.availability_zone) else {
            return None;
        };
        (!zones.contains(zone)).then(|| format!("its zone is {zone} and {} is asked for", zones.join(" or ")))
    }

    fn owner_difference(&self, volume: &Volume) -> Option<String> {
        if may_be_another_volumes(volume) {
            return None;
        }
        match volume.metadata.get(CLUSTER) {
            Some(cluster) if *cluster == self.cluster => None,
            Some(cluster) => Some(format!("it belongs to cluster {cluster} and this is {}", self.cluster)),
            None => Some(format!("it lacks the metadata {CLUSTER}, so it isn't this driver's")),
        }
    }
}
