//! Volumes that become as asked: observe the cloud, decide, make one call, observe again.
//!
//! A lost reply, a crashed controller and a second controller are then all the same case: the next look tells.

mod affinity;
mod attach;
mod backup;
mod capacity;
mod create;
mod delete;
mod detach;
mod error;
#[cfg(test)]
mod exhaustive;
mod expand;
mod group;
mod health;
mod list;
mod login;
mod metadata;
mod modify;
mod namesakes;
mod queue;
mod remedy;
mod removal;
#[cfg(test)]
mod sample;
mod snapshot;
mod watch;
mod whereabouts;

pub use affinity::{Affinity, Begun, Reference};
pub use attach::Published;
pub use backup::WantedBackup;
pub use capacity::{Demand, Room};
pub use create::{Wanted, ZoneChoice};
pub use detach::Orphan;
pub use error::{Condition, Error, Result};
pub use group::{CutGroup, WantedGroup};
pub use health::{Ailment, Checkup, Patient, Reason, Severity};
pub use list::{Listed, Page, Position};
pub use login::Refusal;
pub use metadata::CLUSTER;
pub use modify::Change;
pub use snapshot::{Place, Saved, SavedPage, WantedSnapshot};
pub use whereabouts::{Thing, Zones};

pub use crate::openstack::ledger::{Record, recorded};
pub use crate::openstack::{
    BackupId, GroupId, GroupSnapshotId, Hints, Migration, Origin, ServerId, SnapshotId, Volume, VolumeId,
    VolumeType,
};

use std::fmt::Display;

use crate::openstack::{self, Cinder, Cloud, Kind, Nova};
use attach::Unanswered;
use namesakes::Doubts;
use queue::Queue;
use snapshot::KnownZones;
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
    known_zones: KnownZones,
    queue: Queue,
    unanswered: Unanswered,
}

impl Volumes {
    pub fn new(cloud: Cloud) -> Self {
        let Cloud { cinder, nova, .. } = cloud;
        Self {
            watch: Watch::new(cinder.clone()),
            cinder,
            nova,
            doubts: Doubts::default(),
            known_zones: KnownZones::default(),
            queue: Queue::default(),
            unanswered: Unanswered::default(),
        }
    }

    /// The volume now, or `NotFound`.
    pub async fn get(&self, id: VolumeId) -> Result<Volume> {
        self.known(id, Error::reading).await
    }

    /// The volume before a change of it. An earlier call may have left its work under way, so that a look which fails
    /// is never final: the sidecar would forget that work.
    async fn observe(&self, id: VolumeId) -> Result<Option<Volume>> {
        self.cinder.find_volume(id).await.map_err(|error| Error::unsettled(&error))
    }

    /// As [`Self::observe`], where there must be one.
    async fn observe_known(&self, id: VolumeId) -> Result<Volume> {
        self.known(id, Error::unsettled).await
    }

    /// The same for one who keeps others waiting meanwhile.
    async fn observe_known_for_line(&self, id: VolumeId) -> Result<Volume> {
        let got = self.cinder.get_volume_for_line(id).await;
        got.map_err(|error| unknown_or(Error::unsettled, id, error))
    }

    /// The volume, or `NotFound`; `otherwise` is what any other failure means.
    async fn known(&self, id: VolumeId, otherwise: fn(openstack::Error) -> Error) -> Result<Volume> {
        self.cinder.get_volume(id).await.map_err(|error| unknown_or(otherwise, id, error))
    }

    /// The volume now, and where it is attached.
    pub async fn show(&self, id: VolumeId) -> Result<Listed> {
        Ok(Listed::from(&self.get(id).await?))
    }

    /// Cinder's latest user message about a volume, a snapshot or a backup, as a clause to end a sentence with.
    async fn reason(&self, what: &str, id: impl Display) -> String {
        match self.cinder.find_message(id).await {
            Ok(Some(message)) => format!("Cinder says: {message}"),
            Ok(None) => {
                format!("Cinder gives no reason; its operator finds it in the logs by the {what}'s id")
            }
            Err(error) => format!("its reason couldn't be read: {error}"),
        }
    }
}

fn unknown_or(otherwise: fn(openstack::Error) -> Error, id: VolumeId, error: openstack::Error) -> Error {
    match error.kind {
        Kind::NotFound => not_found(id, Some(&error)),
        _ => otherwise(error),
    }
}

/// `error` is Cinder's 404, where there was one.
fn not_found(id: VolumeId, error: Option<&openstack::Error>) -> Error {
    remedy::unknown(format_args!("volume {id}"), format_args!("volume show {id}"), error)
}
