//! A snapshot of a volume for one name: see `namesakes.rs`.

mod list;
mod saved;
mod source;
mod zones;

pub use list::{Place, SavedPage};
pub use saved::Saved;
pub(super) use saved::not_found;
pub(super) use zones::Known as KnownZones;

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::metadata::{BACKUP, CLUSTER, DESCRIPTION, SNAPSHOT_SETTLED, marked};
use super::namesakes::{Candidate, Glance, Order, Posted, Stage};
use super::removal::Ending;
use super::watch::{About, Interest, Seen};
use super::{Condition, Error, Result, SnapshotId, VolumeId, Volumes};
use crate::openstack::{self, Cinder, Effect, Kind, NewSnapshot, Snapshot, SnapshotStatus};

/// A snapshot as asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedSnapshot {
    pub name: String,
    pub source: VolumeId,
    pub cluster: String,
    pub metadata: BTreeMap<String, String>,
}

impl Volumes {
    /// Returns the snapshot of this name once it is cut.
    pub async fn ensure_snapshot(&self, wanted: &WantedSnapshot) -> Result<Saved> {
        let made = self.make_one(wanted).await;
        let doing = || format!("snapshot volume {} as {}", wanted.source, wanted.name);
        made.map(Saved::Snapshot).map_err(|error| error.context(doing()))
    }

    /// POSTs once the volume lets itself be snapshotted.
    pub(super) async fn cut<O: Order<Made = Snapshot>>(
        &self,
        order: &O,
        mut new: NewSnapshot,
    ) -> Result<Posted<SnapshotId>> {
        let mut refused = false;
        loop {
            let ready = self.snapshottable(new.volume_id).await;
            new.force = ready.map_err(|error| self.while_in_doubt(order, error))?;
            match self.cinder.create_snapshot(&new).await {
                // The volume changed its status just then: another look tells.
                Err(error) if error.kind == Kind::Refused && error.effect == Effect::None && !refused => {
                    refused = true;
                }
                answer => return self.posted(order, answer.map(|snapshot| snapshot.id)),
            }
        }
    }
}

impl WantedSnapshot {
    fn order(&self, attempt: &str) -> NewSnapshot {
        let metadata = marked(&self.metadata, &self.cluster, attempt);
        NewSnapshot {
            name: self.name.clone(),
            description: DESCRIPTION.to_owned(),
            volume_id: self.source,
            force: false,
            metadata,
        }
    }
}

impl Candidate for Snapshot {
    type Id = SnapshotId;
    const WHAT: &'static str = "snapshot";
    const REMOVED_BY: &'static str = "openstack volume snapshot delete --force";

    fn id(&self) -> SnapshotId {
        self.id
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn created_at(&self) -> Option<Timestamp> {
        self.created_at
    }

    fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    fn stage(&self) -> Stage {
        match self.status {
            SnapshotStatus::Creating => Stage::Making,
            SnapshotStatus::Available
            | SnapshotStatus::BackingUp
            | SnapshotStatus::Restoring
            | SnapshotStatus::Other(_) => Stage::Made,
            SnapshotStatus::Error => Stage::Broken,
            SnapshotStatus::Deleting | SnapshotStatus::Unmanaging => Stage::Going,
            SnapshotStatus::ErrorDeleting => Stage::Stuck,
        }
    }

    fn is_free(&self) -> bool {
        matches!(self.status, SnapshotStatus::Available | SnapshotStatus::Error)
    }
}

impl Ending for Snapshot {
    fn interest(id: SnapshotId) -> Interest {
        Interest::Snapshot(About::End(id))
    }

    fn seen(seen: Seen) -> Option<Self> {
        match seen {
            Seen::Snapshot(snapshot) => Some(*snapshot),
            _ => None,
        }
    }

    async fn delete(cinder: &Cinder, id: SnapshotId) -> openstack::Result<()> {
        cinder.delete_snapshot(id).await
    }

    /// <https://github.com/container-storage-interface/spec/blob/v1.13.0/spec.md#deletesnapshot-errors>
    fn bound(&self) -> Option<Error> {
        let group = self.group_snapshot_id?;
        let why =
            format!("it is part of group snapshot {group} and goes with that: delete the group snapshot");
        Some(Error::new(Condition::Invalid, why))
    }

    /// `SnapshotIsBusy` of <https://opendev.org/openstack/cinder/src/branch/master/cinder/volume/manager.py>.
    fn given_up(reason: &str) -> Error {
        let why =
            "Cinder began its deletion and gave it up, as it does while a volume made from it still needs it";
        Error::new(Condition::Precondition, format!("{why}; {reason}"))
    }

    async fn reason(&self, volumes: &Volumes) -> String {
        volumes.reason(Self::WHAT, self.id).await
    }
}

impl Order for WantedSnapshot {
    type Made = Snapshot;

    fn name(&self) -> &str {
        &self.name
    }

    fn difference(&self, snapshot: &Snapshot) -> Option<String> {
        if let Some(backup) = snapshot.metadata.get(BACKUP) {
            return Some(format!("it is there for backup {backup} to be made from"));
        }
        difference(self.source, &self.cluster, snapshot.volume_id, &snapshot.metadata)
    }

    fn interest(&self, followed: Option<SnapshotId>) -> Interest {
        Interest::Snapshot(About::Named(self.name.clone(), followed))
    }

    fn glance(&self, seen: Seen) -> Glance<Snapshot> {
        match seen {
            Seen::Snapshots(snapshots) => Glance::All(snapshots),
            Seen::Snapshot(snapshot) => Glance::One(*snapshot),
            _ => Glance::Gone,
        }
    }

    async fn find(&self, volumes: &Volumes) -> openstack::Result<Vec<Snapshot>> {
        volumes.cinder.list_snapshots_named(&self.name).await
    }

    async fn get(volumes: &Volumes, id: SnapshotId) -> openstack::Result<Option<Snapshot>> {
        volumes.cinder.find_snapshot(id).await
    }

    async fn post(&self, volumes: &Volumes, attempt: &str) -> Result<Posted<SnapshotId>> {
        volumes.cut(self, self.order(attempt)).await
    }

    fn refused(error: &openstack::Error) -> Error {
        Error::reading(error)
    }

    async fn settle(&self, volumes: &Volumes, mut snapshot: Snapshot) -> Result<Snapshot> {
        let mark = BTreeMap::from([(SNAPSHOT_SETTLED.to_owned(), snapshot.id.to_string())]);
        let written = volumes.cinder.update_snapshot_metadata(snapshot.id, &mark).await;
        written.map_err(Error::unsettled)?;
        snapshot.metadata.extend(mark);
        Ok(snapshot)
    }

    async fn remove(volumes: &Volumes, id: SnapshotId) -> Result<()> {
        volumes.remove_snapshot(id).await
    }

    async fn reason(volumes: &Volumes, id: SnapshotId) -> String {
        volumes.reason(Snapshot::WHAT, id).await
    }
}

/// In what a snapshot or backup differs from one of this volume for this cluster. One without our marks is the
/// existing driver's, or a person's.
pub(super) fn difference(
    source: VolumeId,
    cluster: &str,
    volume: VolumeId,
    metadata: &BTreeMap<String, String>,
) -> Option<String> {
    if volume != source {
        return Some(format!("it is of volume {volume} and one of volume {source} is asked for"));
    }
    let other = metadata.get(CLUSTER).filter(|other| *other != cluster)?;
    Some(format!("it belongs to cluster {other} and this is {cluster}"))
}

impl Volumes {
    pub(super) async fn remove_snapshot(&self, id: SnapshotId) -> Result<()> {
        let first = self.cinder.find_snapshot(id).await.map_err(Error::unsettled)?;
        self.end(id, first).await
    }
}
