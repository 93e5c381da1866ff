//! The snapshot that a backup is made from.

use super::super::metadata::{ATTEMPT, BACKUP, DESCRIPTION, marked};
use super::super::namesakes::{Candidate, Glance, Order, Posted, doubt_of};
use super::super::watch::{About, Interest, Seen};
use super::super::{Condition, Error, Result, SnapshotId, VolumeId, Volumes};
use super::WantedBackup;
use crate::openstack::{self, Backup, BackupStatus, NewSnapshot, Snapshot, SnapshotStatus};

/// Which snapshots are there for one backup only: by their name and by their mark.
#[derive(Clone, Debug)]
pub struct Intermediate {
    pub backup: String,
    name: String,
    source: VolumeId,
}

/// One to be cut.
pub struct Cut<'a> {
    pub wanted: &'a WantedBackup,
    pub of: Intermediate,
}

impl Intermediate {
    pub fn of(backup: &str, source: VolumeId) -> Self {
        // A CSI name has 128 bytes at most, and Cinder's 255 characters.
        Self { backup: backup.to_owned(), name: format!("{backup}-for-backup"), source }
    }

    fn is(&self, snapshot: &Snapshot) -> bool {
        snapshot.metadata.get(BACKUP) == Some(&self.backup) && snapshot.volume_id == self.source
    }
}

/// Whether it was cut for a backup, and for nothing else.
pub fn is_intermediate(snapshot: &Snapshot) -> bool {
    snapshot.metadata.contains_key(BACKUP) && snapshot.is_unpromised()
}

impl Volumes {
    async fn intermediates(&self, of: &Intermediate) -> openstack::Result<Vec<Snapshot>> {
        let mut snapshots = self.cinder.list_snapshots_named(&of.name).await?;
        snapshots.retain(|snapshot| of.is(snapshot));
        Ok(snapshots)
    }

    /// Returns once none is there.
    pub(super) async fn remove_intermediates(&self, of: &Intermediate) -> Result<()> {
        let mut left = self.intermediates(of).await.map_err(Error::unsettled)?;
        left.extend(self.unlisted(of, &left).await?);
        for snapshot in left {
            let id = snapshot.id;
            let removed = self.end(id, Some(snapshot)).await;
            removed.map_err(|error| unremoved(id, error))?;
            self.doubts.forget(id.into());
        }
        Ok(())
    }

    /// What an earlier call of this process cut, where lists don't show it yet.
    async fn unlisted(&self, of: &Intermediate, listed: &[Snapshot]) -> Result<Option<Snapshot>> {
        let made = self.doubts.made(&doubt_of(Snapshot::WHAT, &of.name)).map(SnapshotId::from);
        match made.filter(|made| listed.iter().all(|snapshot| snapshot.id != *made)) {
            Some(made) => self.cinder.find_snapshot(made).await.map_err(Error::unsettled),
            None => Ok(None),
        }
    }

    /// Asks for the end of what a backup that is done has left. A read doesn't wait for it, and doesn't fail for it.
    pub(in crate::volume) async fn sweep(&self, backup: &Backup) {
        if backup.status != BackupStatus::Available || !backup.metadata.contains_key(ATTEMPT) {
            return;
        }
        let of = Intermediate::of(&backup.name, backup.volume_id);
        let left = self.intermediates(&of).await.unwrap_or_default();
        for snapshot in left.iter().filter(|snapshot| snapshot.status == SnapshotStatus::Available) {
            if let Err(error) = self.cinder.delete_snapshot(snapshot.id).await {
                tracing::debug!(%error, snapshot = %snapshot.id, "an intermediate snapshot stays for now");
            }
        }
    }

    pub(super) async fn is_available(&self, id: SnapshotId) -> Result<bool> {
        let found = self.cinder.find_snapshot(id).await.map_err(Error::unsettled)?;
        Ok(found.is_some_and(|snapshot| snapshot.status == SnapshotStatus::Available))
    }
}

/// Where Cinder finds no backup service it fails the backup and forgets to give its snapshot the status back
/// (`create_backup` in <https://opendev.org/openstack/cinder/src/branch/master/cinder/scheduler/manager.py>).
pub fn unremoved(id: SnapshotId, error: Error) -> Error {
    let way_out = match error.condition {
        Condition::TimedOut => {
            "; should it stay backing-up after its backup has failed, an administrator must give it back \
             (openstack volume snapshot set --state available)"
        }
        _ => "",
    };
    let doing = format!("remove intermediate snapshot {id}");
    Error::new(error.condition, format!("{doing}: {error}{way_out}"))
}

impl Order for Cut<'_> {
    type Made = Snapshot;

    fn name(&self) -> &str {
        &self.of.name
    }

    /// Others are not looked at: [`Self::find`].
    fn difference(&self, _: &Snapshot) -> Option<String> {
        None
    }

    fn interest(&self, followed: Option<SnapshotId>) -> Interest {
        Interest::Snapshot(About::Named(self.of.name.clone(), followed))
    }

    fn glance(&self, seen: Seen) -> Glance<Snapshot> {
        match seen {
            Seen::Snapshots(mut snapshots) => {
                snapshots.retain(|snapshot| self.of.is(snapshot));
                Glance::All(snapshots)
            }
            Seen::Snapshot(snapshot) if self.of.is(&snapshot) => Glance::One(*snapshot),
            _ => Glance::Gone,
        }
    }

    async fn find(&self, volumes: &Volumes) -> openstack::Result<Vec<Snapshot>> {
        volumes.intermediates(&self.of).await
    }

    async fn get(volumes: &Volumes, id: SnapshotId) -> openstack::Result<Option<Snapshot>> {
        volumes.cinder.find_snapshot(id).await
    }

    async fn post(&self, volumes: &Volumes, attempt: &str) -> Result<Posted<SnapshotId>> {
        let of = [(BACKUP.to_owned(), self.of.backup.clone())].into();
        let new = NewSnapshot {
            name: self.of.name.clone(),
            description: format!("{DESCRIPTION}: backup {} is made from it", self.of.backup),
            volume_id: self.of.source,
            force: false,
            metadata: marked(&of, &self.wanted.cluster, attempt),
        };
        volumes.cut(self, new).await
    }

    fn refused(error: &openstack::Error) -> Error {
        Error::reading(error)
    }

    /// Nobody is promised it.
    async fn settle(&self, _: &Volumes, snapshot: Snapshot) -> Result<Snapshot> {
        Ok(snapshot)
    }

    async fn remove(volumes: &Volumes, id: SnapshotId) -> Result<()> {
        volumes.remove_snapshot(id).await
    }

    async fn reason(volumes: &Volumes, id: SnapshotId) -> String {
        volumes.reason("snapshot", id).await
    }
}
