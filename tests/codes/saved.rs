//! What the cloud holds of snapshots and backups.

use std::sync::atomic::Ordering;

use cinder_csi::openstack::{Backup, BackupStatus, Part, Snapshot, SnapshotStatus};

use crate::stand::{Rpc, Stand};

/// Everything, the intermediate ones too.
struct Held {
    snapshots: Vec<Snapshot>,
    backups: Vec<Backup>,
}

impl Rpc {
    pub fn is_of_snapshots(self) -> bool {
        matches!(self, Rpc::Snapshot | Rpc::DeleteSnapshot | Rpc::Backup | Rpc::DeleteBackup)
    }
}

impl Stand {
    async fn held(&self) -> Held {
        let snapshots =
            self.cinder.list_snapshots(Part { volume: None, limit: None, after: None }).await.unwrap();
        let backups =
            self.cinder.list_backups(Part { volume: None, limit: None, after: None }).await.unwrap();
        Held { snapshots: snapshots.items, backups: backups.items }
    }

    pub(super) async fn unfinished_snapshot(&self) -> Option<String> {
        let held = self.held().await;
        let unfinished = match self.rpc {
            // The caller that knows the backup's id doesn't know of its intermediate snapshot.
            Rpc::Backup if self.promised.load(Ordering::Relaxed) => held.snapshots.iter().any(is_left),
            // Nobody but the caller that gets an error knows of them.
            Rpc::Snapshot | Rpc::Backup => {
                held.snapshots.iter().any(is_left) || held.backups.iter().any(is_kept)
            }
            _ => {
                held.snapshots.iter().any(|snapshot| snapshot.status == SnapshotStatus::Deleting)
                    || held.backups.iter().any(|backup| backup.status == BackupStatus::Deleting)
            }
        };
        unfinished.then(|| held.words())
    }

    pub(super) async fn missing_snapshot(&self, ready: bool) -> Option<String> {
        let held = self.held().await;
        let as_asked = match (self.rpc, held.snapshots.as_slice(), held.backups.as_slice()) {
            (Rpc::Snapshot, [only], []) => only.status == SnapshotStatus::Available,
            (Rpc::Backup, [], [only]) => only.status == BackupStatus::Available,
            (Rpc::Backup, [_], [only]) if !ready => {
                matches!(only.status, BackupStatus::Creating | BackupStatus::Available)
            }
            (Rpc::DeleteSnapshot | Rpc::DeleteBackup, [], []) => true,
            _ => false,
        };
        (!as_asked).then(|| held.words())
    }
}

fn is_left(snapshot: &Snapshot) -> bool {
    !matches!(snapshot.status, SnapshotStatus::Deleting | SnapshotStatus::ErrorDeleting)
}

fn is_kept(backup: &Backup) -> bool {
    !matches!(backup.status, BackupStatus::Deleting | BackupStatus::ErrorDeleting)
}

impl Held {
    fn words(&self) -> String {
        let snapshots = self.snapshots.iter().map(|one| format!("snapshot {} ({})", one.name, one.status));
        let backups = self.backups.iter().map(|one| format!("backup {} ({})", one.name, one.status));
        let words: Vec<_> = snapshots.chain(backups).collect();
        if words.is_empty() { "no snapshot and no backup".to_owned() } else { words.join("; ") }
    }
}
