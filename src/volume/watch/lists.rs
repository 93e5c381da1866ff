//! The lists that serve many waiters at once.

use std::collections::HashSet;

use super::{About, Interest};
use crate::openstack::{self, BackupId, BackupStatus, Cinder, SnapshotId, SnapshotStatus, VolumeId};

/// A list that serves many waiters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum List {
    Changes,
    VolumesDeleting,
    SnapshotsCreating,
    SnapshotsDeleting,
    BackupsCreating,
    BackupsDeleting,
}

/// What is on such a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Listed {
    Volume(VolumeId),
    Snapshot(SnapshotId),
    Backup(BackupId),
}

impl List {
    /// What is on it. What changed is none of these lists: it tells more, and is asked for since some time.
    pub async fn passing(self, cinder: &Cinder) -> openstack::Result<HashSet<Listed>> {
        let snapshots = async |status| {
            let ids = cinder.list_snapshots_that_are(status).await?;
            Ok(ids.into_iter().map(Listed::Snapshot).collect())
        };
        let backups = async |status| {
            let ids = cinder.list_backups_that_are(status).await?;
            Ok(ids.into_iter().map(Listed::Backup).collect())
        };
        match self {
            List::Changes => Ok(HashSet::new()),
            List::VolumesDeleting => {
                let ids = cinder.list_volumes_being_deleted().await?;
                Ok(ids.into_iter().map(Listed::Volume).collect())
            }
            List::SnapshotsCreating => snapshots(SnapshotStatus::Creating).await,
            List::SnapshotsDeleting => snapshots(SnapshotStatus::Deleting).await,
            List::BackupsCreating => backups(BackupStatus::Creating).await,
            List::BackupsDeleting => backups(BackupStatus::Deleting).await,
        }
    }
}

impl Interest {
    /// The list that tells what becomes of it; none where nobody knows yet which one it will be.
    pub fn list(&self) -> Option<List> {
        match self {
            Interest::Change(_) | Interest::Named(..) | Interest::New { .. } => Some(List::Changes),
            Interest::Deletion(_) => Some(List::VolumesDeleting),
            Interest::Snapshot(About::Named(_, id)) => id.map(|_| List::SnapshotsCreating),
            Interest::Snapshot(About::End(_)) => Some(List::SnapshotsDeleting),
            Interest::Backup(About::Named(_, id)) => id.map(|_| List::BackupsCreating),
            Interest::Backup(About::End(_)) => Some(List::BackupsDeleting),
            Interest::Group(_) => None,
        }
    }

    /// As it stands on that list.
    pub fn listed(&self) -> Option<Listed> {
        match self {
            Interest::Change(id) | Interest::Deletion(id) | Interest::New { id, .. } => {
                Some(Listed::Volume(*id))
            }
            Interest::Named(_, id) => id.map(Listed::Volume),
            Interest::Snapshot(About::End(id)) => Some(Listed::Snapshot(*id)),
            Interest::Snapshot(About::Named(_, id)) => id.map(Listed::Snapshot),
            Interest::Backup(About::End(id)) => Some(Listed::Backup(*id)),
            Interest::Backup(About::Named(_, id)) => id.map(Listed::Backup),
            Interest::Group(_) => None,
        }
    }
}
