//! Volumes that become as asked: observe the cloud, decide, make one call, observe again.
//!
//! A lost reply, a crashed controller and a second controller are then all the same case: the next look tells.

mod affinity;
mod attach;
mod create;
mod delete;
mod detach;
mod error;
mod expand;
mod list;
mod metadata;
#[cfg(test)]
mod sample;
mod watch;

pub use affinity::{Affinity, Begun, Reference};
pub use attach::Published;
pub use create::{Wanted, ZoneChoice};
pub use error::{Condition, Error, Result};
pub use list::{Listed, Page};

pub use crate::openstack::ledger::{Record, recorded};
pub use crate::openstack::{BackupId, GroupId, GroupSnapshotId, ServerId, SnapshotId, Volume, VolumeId};

use crate::openstack::{Cinder, Cloud, Nova};
use create::Doubts;
use watch::Watch;

/// Bytes in a GiB: Cinder's unit of size.
pub const GIB: u64 = 1 << 30;

/// The volumes of one cloud's project. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Volumes {
    cinder: Cinder,
    nova: Nova,
    watch: Watch,
    doubts: Doubts,
}

impl Volumes {
    pub fn new(cloud: Cloud) -> Self {
        let Cloud { cinder, nova, .. } = cloud;
        Self { watch: Watch::new(cinder.clone()), cinder, nova, doubts: Doubts::default() }
    }

    /// The volume now, or `NotFound`.
    pub async fn get(&self, id: VolumeId) -> Result<Volume> {
        let found = self.cinder.find_volume(id).await.map_err(|error| Error::reading(&error))?;
        found.ok_or_else(|| not_found(id))
    }

    /// The volume before a change of it. An earlier call may have left its work under way, so that a look which fails
    /// is never final: the sidecar would forget that work.
    async fn observe(&self, id: VolumeId) -> Result<Option<Volume>> {
        self.cinder.find_volume(id).await.map_err(|error| Error::unsettled(&error))
    }

    /// The volume now, and where it is attached.
    pub async fn show(&self, id: VolumeId) -> Result<Listed> {
        let volume = self.get(id).await?;
        Ok(Listed { published: list::published(&volume), volume })
    }

    /// Cinder's latest user message about a volume, as a clause to end a sentence with.
    async fn reason(&self, id: VolumeId) -> String {
        match self.cinder.find_message(id).await {
            Ok(Some(message)) => format!("Cinder says: {message}"),
            Ok(None) => {
                "Cinder gives no reason; its operator finds it in the logs by the volume's id".to_owned()
            }
            Err(error) => format!("its reason couldn't be read: {error}"),
        }
    }
}

fn not_found(id: VolumeId) -> Error {
    Error::new(Condition::NotFound, format!("volume {id} is unknown to Cinder in this project"))
}
