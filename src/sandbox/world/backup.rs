//! Backups: they outlive their volume and its snapshots.

use std::time::SystemTime;

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::super::faults::{Fate, Operation};
use super::message::{Failure, Resource};
use super::quota::Charge;
use super::{Event, Refusal, World};

#[derive(Clone, Debug)]
pub(in crate::sandbox) struct Backup {
    pub id: String,
    pub name: Option<String>,
    pub description: Option<String>,
    pub volume: String,
    pub snapshot: Option<String>,
    pub container: Option<String>,
    pub status: String,
    pub size: u64,
    pub metadata: Map<String, Value>,
    /// The volume's own, which come back with its data.
    pub volume_metadata: Map<String, Value>,
    /// The zone of the service that took it, unknown until then.
    pub zone: Option<String>,
    /// The backup that this one adds to.
    pub parent: Option<String>,
    pub fail_reason: Option<String>,
    /// When the data was as the backup has it.
    pub data_from: SystemTime,
    pub project: String,
    pub created: SystemTime,
    pub updated: Option<SystemTime>,
    pub unlisted_until: Option<Instant>,
}

#[derive(Clone, Debug, Default)]
pub(in crate::sandbox) struct NewBackup {
    pub name: Option<String>,
    pub description: Option<String>,
    pub volume: String,
    pub snapshot: Option<String>,
    pub container: Option<String>,
    pub metadata: Map<String, Value>,
    pub zone: Option<String>,
    pub incremental: bool,
    /// Of a volume in use, too.
    pub force: bool,
    pub project: String,
}

/// What changes in a backup, where something is given.
#[derive(Clone, Debug, Default)]
pub(in crate::sandbox) struct BackupUpdate {
    pub name: Option<String>,
    pub description: Option<String>,
    /// Takes the place of all that there was.
    pub metadata: Option<Map<String, Value>>,
}

impl Backup {
    pub(super) fn become_(&mut self, status: &str, now: SystemTime) {
        self.status = status.to_owned();
        self.updated = Some(now);
    }

    fn charge(&self) -> Charge {
        of_backup(self.size)
    }
}

fn of_backup(gigabytes: u64) -> Charge {
    vec![("backups".to_owned(), 1), ("backup_gigabytes".to_owned(), gigabytes)]
}

const NO_SERVICE: &str = "Service not found for creating backup.";

impl World {
    pub fn backup(&self, project: &str, id: &str) -> Result<&Backup, Refusal> {
        let found = self.backups.get(id).filter(|backup| backup.project == project);
        found.ok_or_else(|| Refusal::not_found("Backup", id))
    }

    pub fn create_backup(&mut self, new: NewBackup) -> Result<Backup, Refusal> {
        self.check_backup_source(&new)?;
        let volume = self.volume(&new.project, &new.volume)?;
        let (size, volume_metadata) = (volume.size, volume.metadata.clone());
        self.charge(&new.project, "backups", size, &of_backup(size))?;
        let parent = match new.incremental {
            true => match self.parent_of(&new) {
                Some(parent) => Some(parent),
                None => {
                    self.refund(&new.project, &of_backup(size));
                    let reason = "No backups available to do an incremental backup.";
                    return Err(Refusal::invalid_backup(reason));
                }
            },
            false => None,
        };
        let now = self.now();
        let source = new.snapshot.as_ref().and_then(|id| self.snapshots.get(id));
        let backup = Backup {
            data_from: source.map_or(now, |snapshot| snapshot.created),
            id: self.new_id(),
            name: new.name,
            description: new.description,
            volume: new.volume,
            snapshot: new.snapshot,
            container: new.container,
            status: "creating".to_owned(),
            size,
            metadata: new.metadata,
            volume_metadata,
            zone: new.zone,
            parent,
            fail_reason: None,
            project: new.project,
            created: now,
            updated: None,
            unlisted_until: self.take_unlisted(Operation::Backup),
        };
        self.begin_backup(&backup);
        self.backups.insert(backup.id.clone(), backup.clone());
        Ok(backup)
    }

    /// The source is busy until the end, and the backup has what is in it now.
    fn begin_backup(&mut self, backup: &Backup) {
        let now = self.now();
        if let Some(snapshot) = backup.snapshot.as_ref().and_then(|id| self.snapshots.get_mut(id)) {
            snapshot.become_("backing-up", now);
        } else if let Some(volume) = self.volumes.get_mut(&backup.volume) {
            volume.pause_as("backing-up", now);
        }
        self.copy(backup.snapshot.as_ref().unwrap_or(&backup.volume), &backup.id);
        let (fate, time) = self.fate(Operation::Backup, self.settings.latency.backup);
        self.schedule(time, Event::BackupReady { backup: backup.id.clone(), fate });
    }

    fn check_backup_source(&self, new: &NewBackup) -> Result<(), Refusal> {
        let volume = self.volume(&new.project, &new.volume)?;
        if let Some(id) = &new.snapshot {
            let snapshot = self.snapshot(&new.project, id)?;
            if snapshot.volume != new.volume {
                return Err(Refusal::invalid_volume(format!(
                    "Volume {} does not match with snapshot.volume_id {}.",
                    new.volume, snapshot.volume
                )));
            }
            if snapshot.status != "available" {
                return Err(Refusal::invalid_snapshot(format!(
                    "Snapshot to be backed up must be available, but the current status is \"{}\".",
                    snapshot.status
                )));
            }
            return Ok(());
        }
        match volume.status.as_str() {
            "available" => Ok(()),
            "in-use" if new.force => Ok(()),
            "in-use" => Err(Refusal::invalid_volume("Backing up an in-use volume must use the force flag.")),
            other => Err(Refusal::invalid_volume(format!(
                "Volume to be backed up must be available or in-use, but the current status is \"{other}\"."
            ))),
        }
    }

    /// The newest backup that an incremental one can add to: one of a snapshot can't add to what is newer than that.
    fn parent_of(&self, new: &NewBackup) -> Option<String> {
        let cut =
            new.snapshot.as_ref().and_then(|id| self.snapshots.get(id)).map(|snapshot| snapshot.created);
        let all = self.backups.values().filter(|one| one.volume == new.volume && one.status == "available");
        let older = all.filter(|one| cut.is_none_or(|cut| one.data_from < cut));
        older.max_by_key(|one| one.data_from).map(|one| one.id.clone())
    }

    pub fn update_backup(
        &mut self,
        project: &str,
        id: &str,
        update: BackupUpdate,
    ) -> Result<&Backup, Refusal> {
        let now = self.now();
        let found = self.backups.get_mut(id).filter(|backup| backup.project == project);
        let backup = found.ok_or_else(|| Refusal::not_found("Backup", id))?;
        backup.name = update.name.or(backup.name.take());
        backup.description = update.description.or(backup.description.take());
        if let Some(metadata) = update.metadata {
            backup.metadata = metadata;
        }
        backup.updated = Some(now);
        Ok(backup)
    }

    pub fn delete_backup(&mut self, project: &str, id: &str) -> Result<(), Refusal> {
        let backup = self.backup(project, id)?;
        if !["available", "error"].contains(&backup.status.as_str()) {
            return Err(Refusal::invalid_backup("Backup status must be available or error"));
        }
        if self.has_dependents(id) {
            return Err(Refusal::invalid_backup("Incremental backups exist for this backup."));
        }
        // A 404 that doesn't mean that the backup has gone.
        if self.backup_zone(backup.zone.as_deref(), None).is_none() {
            return Err(Refusal::not_found("Service", "cinder-backup"));
        }
        let now = self.now();
        if let Some(backup) = self.backups.get_mut(id) {
            backup.become_("deleting", now);
        }
        let (fate, time) = self.fate(Operation::DeleteBackup, self.settings.latency.delete_backup);
        self.schedule(time, Event::BackupGone { backup: id.to_owned(), fate });
        Ok(())
    }

    pub fn has_dependents(&self, id: &str) -> bool {
        self.backups.values().any(|backup| backup.parent.as_deref() == Some(id))
    }

    pub(super) fn finish_backup(&mut self, id: &str, fate: Fate) {
        let now = self.now();
        let Some(backup) = self.backups.get(id).filter(|_| fate != Fate::Stuck).cloned() else { return };
        let zone = self.volumes.get(&backup.volume).map(|volume| volume.zone.clone());
        let zone = self.backup_zone(backup.zone.as_deref(), zone.as_deref());
        if zone.is_none() {
            return self.find_no_service(&backup);
        }
        if let Some(snapshot) = backup.snapshot.as_ref().and_then(|id| self.snapshots.get_mut(id)) {
            snapshot.become_("available", now);
        } else if let Some(volume) = self.volumes.get_mut(&backup.volume) {
            volume.resume(now);
        }
        let Some(backup) = self.backups.get_mut(id) else { return };
        backup.zone = zone;
        match fate {
            Fate::Fails(reason) => {
                let project = backup.project.clone();
                backup.become_("error", now);
                backup.fail_reason = Some(reason);
                self.report(Resource::Backup, id, &project, Failure::BACKUP);
            }
            _ => backup.become_("available", now),
        }
    }

    /// The scheduler found nobody. It gives the volume the status that it had before its last pause, even where the
    /// backup is a snapshot's: that stays `backing-up`, and a volume that never paused has no status at all.
    fn find_no_service(&mut self, backup: &Backup) {
        let now = self.now();
        if let Some(volume) = self.volumes.get_mut(&backup.volume) {
            volume.resume(now);
        }
        if let Some(backup) = self.backups.get_mut(&backup.id) {
            backup.become_("error", now);
            backup.fail_reason = Some(NO_SERVICE.to_owned());
        }
        self.report(Resource::Backup, &backup.id, &backup.project, Failure::BACKUP_SERVICE);
    }

    pub(super) fn finish_delete_backup(&mut self, id: &str, fate: Fate) {
        let now = self.now();
        match fate {
            Fate::Stuck => {}
            Fate::Well => {
                let Some(backup) = self.backups.remove(id) else { return };
                self.refund(&backup.project, &backup.charge());
                self.forget(id);
            }
            // Not `error_deleting`, as with volumes and snapshots.
            Fate::Fails(reason) => {
                let Some(backup) = self.backups.get_mut(id) else { return };
                let project = backup.project.clone();
                backup.become_("error", now);
                backup.fail_reason = Some(reason);
                self.report(Resource::Backup, id, &project, Failure::BACKUP_DELETE);
            }
        }
    }

    /// `POST /backups/ID/restore`: over what the volume holds.
    pub fn restore_backup(&mut self, project: &str, id: &str, volume: &str) -> Result<(), Refusal> {
        let (backup, target) = (self.backup(project, id)?, self.volume(project, volume)?);
        if backup.status != "available" {
            return Err(Refusal::invalid_backup("Backup status must be available"));
        }
        if target.status != "available" {
            return Err(Refusal::invalid_volume("Volume to be restored to must be available"));
        }
        if backup.size > target.size {
            return Err(Refusal::invalid_volume(format!(
                "volume size {} is too small to restore backup of size {}.",
                target.size, backup.size
            )));
        }
        let now = self.now();
        self.volume_mut(project, volume)?.become_("restoring-backup", now);
        self.begin_restore(id, volume);
        Ok(())
    }

    /// A new volume stays `creating` until it has the data.
    pub(super) fn begin_restore(&mut self, id: &str, volume: &str) {
        let now = self.now();
        if let Some(backup) = self.backups.get_mut(id) {
            backup.become_("restoring", now);
        }
        let (fate, time) = self.fate(Operation::Restore, self.settings.latency.restore);
        let (volume, backup) = (volume.to_owned(), id.to_owned());
        self.schedule(time, Event::Restored { volume, backup, fate });
    }

    pub(super) fn finish_restore(&mut self, id: &str, backup: &str, fate: &Fate) {
        if *fate == Fate::Stuck {
            return;
        }
        let now = self.now();
        let Some(source) = self.backups.get_mut(backup) else { return };
        let (project, kept) = (source.project.clone(), source.volume_metadata.clone());
        let Some(volume) = self.volumes.get_mut(id) else { return };
        if *fate != Fate::Well {
            volume.become_("error_restoring", now);
            source.become_("available", now);
            return self.report(Resource::Backup, backup, &project, Failure::RESTORE);
        }
        if !kept.is_empty() {
            volume.metadata = kept;
        }
        self.copy(backup, id);
        let time = self.settings.latency.detach.pick(&mut self.random);
        self.schedule(time, Event::RestoreLetGo { volume: id.to_owned(), backup: backup.to_owned() });
    }

    /// The service has taken its hands off the volume.
    pub(super) fn let_go_of_restored(&mut self, id: &str, backup: &str) {
        let now = self.now();
        let Some(source) = self.backups.get_mut(backup) else { return };
        source.become_("available", now);
        let Some(volume) = self.volumes.get_mut(id) else { return };
        volume.become_("available", now);
        if source.volume != id {
            volume.metadata.insert("src_backup_id".to_owned(), backup.into());
        }
    }

    /// Where the service is that takes a backup: in the zone asked for, else near the volume, else anywhere.
    fn backup_zone(&self, asked: Option<&str>, near: Option<&str>) -> Option<String> {
        let zones = self.settings.backup_zones.as_ref().unwrap_or(&self.settings.zones);
        let has = |zone: Option<&str>| zones.iter().find(|one| Some(one.as_str()) == zone);
        match asked {
            Some(_) => has(asked),
            None => has(near).or(zones.first()),
        }
        .cloned()
    }
}
