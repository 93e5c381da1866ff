//! Whether this cloud has a thing, and which zones it has: what tells several clouds apart.

use uuid::Uuid;

use super::metadata::CLUSTER;
use super::namesakes::{Candidate, doubt_of};
use super::{
    BackupId, Condition, Error, GroupSnapshotId, Result, ServerId, SnapshotId, Volume, VolumeId, Volumes,
};
use crate::openstack;
pub use crate::openstack::Zones;

/// What is found by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Thing {
    Volume(VolumeId),
    /// A snapshot, or a backup: the orchestrator's id doesn't say which.
    Snapshot(SnapshotId),
    Server(ServerId),
    GroupSnapshot(GroupSnapshotId),
}

impl Volumes {
    pub async fn has(&self, thing: Thing) -> Result<bool> {
        let has = match thing {
            Thing::Volume(id) => self.cinder.find_volume(id).await.map(|found| found.is_some()),
            Thing::Server(id) => self.nova.find_server(id).await.map(|found| found.is_some()),
            // A deletion that was cut off may have left the group alone.
            Thing::GroupSnapshot(id) => return Ok(self.name_of(id).await?.is_some()),
            Thing::Snapshot(id) => match self.cinder.has_snapshot(id).await {
                Ok(false) => self.cinder.has_backup(BackupId::from(Uuid::from(id))).await,
                found => found,
            },
        };
        has.map_err(Error::reading)
    }

    /// Whether a volume of that name is this cluster's, or may be on its way.
    pub async fn has_named(&self, name: &str, cluster: &str) -> Result<bool> {
        if self.doubts.are_there(&doubt_of(<Volume as Candidate>::WHAT, name)) {
            return Ok(true);
        }
        let named = self.cinder.list_volumes_named(name).await.map_err(|error| unseen(&error))?;
        Ok(named.iter().any(|volume| volume.metadata.get(CLUSTER).is_some_and(|whose| whose == cluster)))
    }

    /// Cinder's zones, as they were a few minutes ago.
    pub async fn zones(&self) -> Result<Zones> {
        self.cinder.zones().await.map_err(Error::reading)
    }

    /// Cinder's zones now.
    pub async fn zones_anew(&self) -> Result<Zones> {
        self.cinder.zones_anew().await.map_err(Error::reading)
    }
}

/// An earlier call may have left a volume there: no failure to see it is final.
fn unseen(error: &openstack::Error) -> Error {
    let error = Error::reading(error);
    match error.condition {
        Condition::Unavailable | Condition::TimedOut => error,
        _ => error.unfinished(),
    }
}
