//! A backup of a volume for one name: see `namesakes.rs`.
//!
//! A backup takes as long as its volume is large, so that it is made from an intermediate snapshot, which is cut at once
//! and is all that the caller waits for. The intermediate snapshot goes when the backup has come to its end, whichever
//! call sees that first: the next one of this name, or one that asks for the backup, or deletes it.

mod intermediate;

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::metadata::{ATTEMPT, DESCRIPTION, SETTLED, marked};
use super::namesakes::{Candidate, Glance, Order, Posted, Stage};
use super::removal::Ending;
use super::snapshot::difference;
use super::watch::{About, Interest, Seen};
use super::{BackupId, Condition, Error, Result, Saved, SnapshotId, VolumeId, Volumes};
use crate::openstack::{self, Backup, BackupStatus, Cinder, Effect, Kind, NewBackup, Part, SnapshotStatus};
use intermediate::Intermediate;

pub use intermediate::{is_intermediate, unremoved};

/// A backup as asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedBackup {
    pub name: String,
    pub source: VolumeId,
    /// The backup service's zone.
    pub zone: Option<String>,
    pub cluster: String,
    pub metadata: BTreeMap<String, String>,
}

impl Volumes {
    /// Returns the backup of this name once what it holds is cut; it may go on being made.
    pub async fn ensure_backup(&self, wanted: &WantedBackup) -> Result<Saved> {
        let intermediate = Intermediate::of(&wanted.name, wanted.source);
        let made = match self.make_one(wanted).await {
            Ok(backup) if backup.status == BackupStatus::Creating => Ok(backup),
            Ok(backup) => self.tidy(&intermediate).await.map(|()| backup),
            Err(error) if may_go_on(error.condition) => Err(error),
            // Nobody comes back to a name that had a final error.
            Err(error) => Err(match self.tidy(&intermediate).await {
                Ok(()) => error,
                Err(left) => left.context(format!("{error}; its intermediate snapshot is left")),
            }),
        };
        let doing = || format!("back up volume {} as {}", wanted.source, wanted.name);
        made.map(Saved::Backup).map_err(|error| error.context(doing()))
    }

    /// The backup and its intermediate snapshot end. The snapshot first: without the backup nobody would find it.
    pub(super) async fn end_backup(&self, backup: Backup) -> Result<()> {
        if backup.metadata.contains_key(ATTEMPT) {
            self.remove_intermediates(&Intermediate::of(&backup.name, backup.volume_id)).await?;
        }
        self.end(backup.id, Some(backup)).await
    }

    /// Removes the intermediate snapshots of a backup that has come to its end.
    async fn tidy(&self, intermediate: &Intermediate) -> Result<()> {
        match self.remove_intermediates(intermediate).await {
            // No call of ours can do more about it, and the backup is as it is.
            Err(error) if error.condition == Condition::Failed => {
                tracing::warn!(%error, backup = intermediate.backup, "an intermediate snapshot is left");
                Ok(())
            }
            removed => removed.map_err(Error::unfinished),
        }
    }
}

impl Volumes {
    /// Where no backup service is, Cinder accepts the backup, leaves its snapshot `backing-up` and takes the volume's status
    /// away (`create_backup` in cinder/scheduler/manager.py), which only an administrator can mend. So the zone must be one
    /// of Cinder's, or have a backup.
    async fn check_backup_zone(&self, wanted: &WantedBackup) -> Result<()> {
        let Some(zone) = &wanted.zone else { return Ok(()) };
        let known = self.zones().await?;
        if known.names().contains(zone) || self.zones_anew().await?.names().contains(zone) {
            return Ok(());
        }
        if self.has_backup_in(zone).await.map_err(Error::reading)? {
            return Ok(());
        }
        let why = format!(
            "Cinder has no zone {zone}, it has {}, and no backup of this project is in {zone}: correct the class's availability. \
             A zone with a backup service and no volumes isn't listed: make one backup there by hand \
             (openstack volume backup create --availability-zone {zone})",
            known.names().join(", ")
        );
        Err(Error::new(Condition::Invalid, why))
    }

    async fn has_backup_in(&self, zone: &str) -> openstack::Result<bool> {
        let mut part = Part { volume: None, limit: None, after: None };
        loop {
            let backups = self.cinder.list_backups(part).await?;
            if backups.items.iter().any(|backup| backup.availability_zone.as_deref() == Some(zone)) {
                return Ok(true);
            }
            part.after = backups.items.last().map(|backup| backup.id).filter(|_| backups.more);
            if part.after.is_none() {
                return Ok(false);
            }
        }
    }
}

/// Whether the caller comes back to go on, so that what is there may stay.
fn may_go_on(condition: Condition) -> bool {
    matches!(condition, Condition::Unsettled | Condition::TimedOut | Condition::Unavailable)
}

impl WantedBackup {
    fn order(&self, attempt: &str, snapshot_id: SnapshotId) -> NewBackup {
        let metadata = marked(&self.metadata, &self.cluster, attempt);
        NewBackup {
            name: self.name.clone(),
            description: DESCRIPTION.to_owned(),
            volume_id: self.source,
            snapshot_id,
            availability_zone: self.zone.clone(),
            metadata,
        }
    }
}

impl Candidate for Backup {
    type Id = BackupId;
    const WHAT: &'static str = "backup";
    const REMOVED_BY: &'static str = "openstack volume backup delete --force";

    fn id(&self) -> BackupId {
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

    /// One that is being made can be answered: what it holds is cut.
    fn stage(&self) -> Stage {
        match self.status {
            BackupStatus::Creating
            | BackupStatus::Available
            | BackupStatus::Restoring
            | BackupStatus::Other(_) => Stage::Made,
            BackupStatus::Error => Stage::Broken,
            BackupStatus::Deleting => Stage::Going,
            BackupStatus::ErrorDeleting => Stage::Stuck,
        }
    }

    fn is_free(&self) -> bool {
        matches!(self.status, BackupStatus::Available | BackupStatus::Error)
    }
}

impl Ending for Backup {
    fn interest(id: BackupId) -> Interest {
        Interest::Backup(About::End(id))
    }

    fn seen(seen: Seen) -> Option<Self> {
        match seen {
            Seen::Backup(backup) => Some(*backup),
            _ => None,
        }
    }

    async fn delete(cinder: &Cinder, id: BackupId) -> openstack::Result<()> {
        cinder.delete_backup(id).await
    }

    fn bound(&self) -> Option<Error> {
        None
    }

    fn given_up(reason: &str) -> Error {
        let why = "Cinder began its deletion and couldn't end it; the next call tries again";
        Error::new(Condition::Failed, format!("{why}; {reason}"))
    }

    async fn reason(&self, volumes: &Volumes) -> String {
        match self.fail_reason.as_deref().filter(|reason| !reason.is_empty()) {
            Some(reason) => format!("Cinder says: {reason}"),
            None => volumes.reason(Self::WHAT, self.id).await,
        }
    }
}

impl Order for WantedBackup {
    type Made = Backup;

    fn name(&self) -> &str {
        &self.name
    }

    fn difference(&self, backup: &Backup) -> Option<String> {
        difference(self.source, &self.cluster, backup.volume_id, &backup.metadata)
    }

    fn interest(&self, followed: Option<BackupId>) -> Interest {
        Interest::Backup(About::Named(self.name.clone(), followed))
    }

    fn glance(&self, seen: Seen) -> Glance<Backup> {
        match seen {
            Seen::Backups(backups) => Glance::All(backups),
            Seen::Backup(backup) => Glance::One(*backup),
            _ => Glance::Gone,
        }
    }

    async fn find(&self, volumes: &Volumes) -> openstack::Result<Vec<Backup>> {
        volumes.cinder.list_backups_named(&self.name).await
    }

    async fn get(volumes: &Volumes, id: BackupId) -> openstack::Result<Option<Backup>> {
        volumes.cinder.find_backup(id).await
    }

    async fn post(&self, volumes: &Volumes, attempt: &str) -> Result<Posted<BackupId>> {
        volumes.check_backup_zone(self).await.map_err(|error| volumes.while_in_doubt(self, error))?;
        let order = intermediate::Cut { wanted: self, of: Intermediate::of(&self.name, self.source) };
        let cut = volumes.make_one(&order).await.map_err(|error| volumes.while_in_doubt(self, error))?;
        // A backup is being made from it already, and the name will show which.
        if cut.status != SnapshotStatus::Available {
            return Ok(Posted::No);
        }
        let answer = volumes.cinder.create_backup(&self.order(attempt, cut.id)).await;
        if let Err(error) = &answer
            && matches!(error.kind, Kind::Refused | Kind::NotFound)
            && error.effect == Effect::None
            && !volumes.is_available(cut.id).await?
        {
            return Ok(Posted::No);
        }
        volumes.posted(self, answer)
    }

    fn refused(error: &openstack::Error) -> Error {
        Error::reading(error)
    }

    async fn settle(&self, volumes: &Volumes, mut backup: Backup) -> Result<Backup> {
        backup.metadata.insert(SETTLED.to_owned(), backup.id.to_string());
        match volumes.cinder.replace_backup_metadata(backup.id, &backup.metadata).await {
            // Below 3.43 backups have no metadata, and none of ours: this one is the existing driver's.
            Err(error) if error.kind == Kind::Unsupported => Ok(backup),
            written => written.map(|()| backup).map_err(Error::unsettled),
        }
    }

    async fn remove(volumes: &Volumes, id: BackupId) -> Result<()> {
        let first = volumes.cinder.find_backup(id).await.map_err(Error::unsettled)?;
        volumes.end(id, first).await
    }

    async fn reason(volumes: &Volumes, id: BackupId) -> String {
        match volumes.cinder.find_backup(id).await {
            Ok(Some(backup)) => Ending::reason(&backup, volumes).await,
            _ => volumes.reason(Backup::WHAT, id).await,
        }
    }
}
