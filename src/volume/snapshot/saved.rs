//! What the orchestrator calls a snapshot: a snapshot of Cinder's, or a backup.

use jiff::Timestamp;
use uuid::Uuid;

use super::super::metadata::BACKUP;
use super::super::{BackupId, Error, GroupSnapshotId, Result, SnapshotId, VolumeId, Volumes, remedy};
use crate::openstack::{self, Backup, BackupStatus, Snapshot, SnapshotStatus};

/// A snapshot or a backup: ids are UUIDs, and one doesn't say of which it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Saved {
    Snapshot(Snapshot),
    Backup(Backup),
}

impl Saved {
    pub fn id(&self) -> SnapshotId {
        match self {
            Saved::Snapshot(snapshot) => snapshot.id,
            Saved::Backup(backup) => Uuid::from(backup.id).into(),
        }
    }

    pub fn source(&self) -> VolumeId {
        match self {
            Saved::Snapshot(snapshot) => snapshot.volume_id,
            Saved::Backup(backup) => backup.volume_id,
        }
    }

    /// GiB.
    pub fn size(&self) -> u64 {
        match self {
            Saved::Snapshot(snapshot) => snapshot.size,
            Saved::Backup(backup) => backup.size,
        }
    }

    /// When the volume was as it is here.
    pub fn taken_at(&self) -> Timestamp {
        let taken = match self {
            Saved::Snapshot(snapshot) => snapshot.created_at,
            Saved::Backup(backup) => backup.data_timestamp.or(backup.created_at),
        };
        taken.unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Whether a volume can be made from it.
    pub fn is_ready(&self) -> bool {
        match self {
            Saved::Snapshot(snapshot) => snapshot.status == SnapshotStatus::Available,
            Saved::Backup(backup) => {
                matches!(backup.status, BackupStatus::Available | BackupStatus::Restoring)
            }
        }
    }

    pub fn group(&self) -> Option<GroupSnapshotId> {
        match self {
            Saved::Snapshot(snapshot) => snapshot.group_snapshot_id,
            Saved::Backup(_) => None,
        }
    }

    /// A snapshot that is there only for a backup to be made from is nobody's to see.
    pub(super) fn is_shown(&self) -> bool {
        match self {
            Saved::Snapshot(snapshot) => !snapshot.metadata.contains_key(BACKUP),
            Saved::Backup(_) => true,
        }
    }
}

impl Volumes {
    /// The snapshot or backup of this id; `None` once both places have said that it isn't there.
    pub async fn find_saved(&self, id: SnapshotId) -> Result<Option<Saved>> {
        let found = self.look_up(id).await.map_err(Error::reading)?;
        if let Some(Saved::Backup(backup)) = &found {
            self.sweep(backup).await;
        }
        Ok(found.filter(Saved::is_shown))
    }

    pub async fn get_saved(&self, id: SnapshotId) -> Result<Saved> {
        self.find_saved(id).await?.ok_or_else(|| not_found(id))
    }

    /// Returns once Cinder knows neither a snapshot nor a backup of this id.
    pub async fn ensure_snapshot_deleted(&self, id: SnapshotId) -> Result<()> {
        let deleted = match self.look_up(id).await {
            Ok(None) => return Ok(()),
            Ok(Some(Saved::Snapshot(snapshot))) => self.end(id, Some(snapshot)).await,
            Ok(Some(Saved::Backup(backup))) => self.end_backup(backup).await,
            // An earlier call may have left its deletion under way.
            Err(error) => Err(Error::unsettled(&error)),
        };
        deleted.map_err(|error| error.context(format!("delete snapshot {id}")))
    }

    pub(in crate::volume) async fn look_up(&self, id: SnapshotId) -> openstack::Result<Option<Saved>> {
        if let Some(snapshot) = self.cinder.find_snapshot(id).await? {
            return Ok(Some(Saved::Snapshot(snapshot)));
        }
        let backup = self.cinder.find_backup(BackupId::from(Uuid::from(id))).await?;
        Ok(backup.map(Saved::Backup))
    }
}

/// Neither a snapshot nor a backup has this id.
pub fn not_found(id: SnapshotId) -> Error {
    remedy::unknown(format_args!("snapshot or backup {id}"), format_args!("volume snapshot show {id}"), None)
}
