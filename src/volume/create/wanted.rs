//! What CreateVolume asks for, and whether a volume is it.

use std::collections::BTreeMap;

use crate::openstack::{NewVolume, Volume};
use crate::volume::metadata::{ATTEMPT, CLUSTER};

/// A volume as asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub name: String,
    /// GiB.
    pub size: u64,
    /// GiB: an existing volume may be as large.
    pub size_limit: Option<u64>,
    pub volume_type: Option<String>,
    pub zone: ZoneChoice,
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
    /// The first one for a new volume, any of them for one that is there.
    OneOf(Vec<String>),
}

impl Wanted {
    pub(super) fn order(&self, attempt: &str) -> NewVolume {
        let mut metadata = self.metadata.clone();
        metadata.insert(CLUSTER.to_owned(), self.cluster.clone());
        metadata.insert(ATTEMPT.to_owned(), attempt.to_owned());
        NewVolume {
            name: self.name.clone(),
            description: "Created by OpenStack Cinder CSI driver".to_owned(),
            size: self.size,
            volume_type: self.volume_type.clone(),
            availability_zone: match &self.zone {
                ZoneChoice::Any => None,
                ZoneChoice::OneOf(zones) => zones.first().cloned(),
            },
            metadata,
        }
    }

    /// In what a volume differs from what is wanted, as a clause; `None` where it is as wanted.
    pub(super) fn difference(&self, volume: &Volume) -> Option<String> {
        self.size_difference(volume)
            .or_else(|| self.type_difference(volume))
            .or_else(|| self.zone_difference(volume))
            .or_else(|| origin(volume))
            .or_else(|| self.owner_difference(volume))
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

    fn zone_difference(&self, volume: &Volume) -> Option<String> {
        let (ZoneChoice::OneOf(zones), Some(zone)) = (&self.zone, &volume.availability_zone) else {
            return None;
        };
        (!zones.contains(zone)).then(|| format!("its zone is {zone} and {} is asked for", zones.join(" or ")))
    }

    fn owner_difference(&self, volume: &Volume) -> Option<String> {
        match volume.metadata.get(CLUSTER) {
            Some(cluster) if *cluster == self.cluster => None,
            Some(cluster) => Some(format!("it belongs to cluster {cluster} and this is {}", self.cluster)),
            None => Some(format!("it lacks the metadata {CLUSTER}, so it isn't this driver's")),
        }
    }
}

fn origin(volume: &Volume) -> Option<String> {
    let snapshot = volume
        .snapshot_id
        .as_ref()
        .map(|id| format!("it was made from snapshot {id} and an empty one is asked for"));
    snapshot.or_else(|| {
        volume
            .source_volid
            .as_ref()
            .map(|id| format!("it is a clone of volume {id} and an empty one is asked for"))
    })
}
