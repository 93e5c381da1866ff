//! Snapshots: create, rename, delete, and what they are to the volumes made from them.

use std::time::SystemTime;

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::super::faults::{Fate, Operation};
use super::message::{Failure, Resource};
use super::{Event, Refusal, Volume, World, quota};

#[derive(Clone, Debug)]
pub(in crate::sandbox) struct Snapshot {
    pub id: String,
    pub name: Option<String>,
    pub description: Option<String>,
    pub volume: String,
    /// The volume's type when the snapshot was taken.
    pub kind: String,
    pub zone: String,
    pub status: String,
    pub size: u64,
    pub metadata: Map<String, Value>,
    /// The group snapshot that it is part of.
    pub group_snapshot: Option<String>,
    pub user: String,
    pub project: String,
    pub created: SystemTime,
    pub updated: Option<SystemTime>,
    pub unlisted_until: Option<Instant>,
    /// It has been available: a backend has it.
    pub cut: bool,
}

#[derive(Clone, Debug, Default)]
pub(in crate::sandbox) struct NewSnapshot {
    pub volume: String,
    pub name: Option<String>,
    pub description: Option<String>,
    pub metadata: Map<String, Value>,
    /// Of a volume in use, too.
    pub force: bool,
    pub user: String,
    pub project: String,
}

impl Snapshot {
    pub fn progress(&self) -> &'static str {
        if self.cut { "100%" } else { "0%" }
    }

    pub(super) fn become_(&mut self, status: &str, now: SystemTime) {
        self.status = status.to_owned();
        self.updated = Some(now);
    }
}

impl World {
    pub fn snapshot(&self, project: &str, id: &str) -> Result<&Snapshot, Refusal> {
        let found = self.snapshots.get(id).filter(|snapshot| snapshot.project == project);
        found.ok_or_else(|| Refusal::not_found("Snapshot", id))
    }

    pub(super) fn snapshot_mut(&mut self, project: &str, id: &str) -> Result<&mut Snapshot, Refusal> {
        let found = self.snapshots.get_mut(id).filter(|snapshot| snapshot.project == project);
        found.ok_or_else(|| Refusal::not_found("Snapshot", id))
    }

    pub fn create_snapshot(&mut self, new: NewSnapshot) -> Result<Snapshot, Refusal> {
        let volume = self.volume(&new.project, &new.volume)?;
        check_snapshottable(volume, new.force)?;
        let (kind, size) = (volume.kind.clone(), volume.size);
        self.charge(&new.project, "snapshots", size, &quota::of_snapshot(&kind, size))?;
        let (fate, time) = self.fate(Operation::Snapshot, self.settings.latency.snapshot);
        let id = self.new_id();
        let snapshot = self.add_snapshot(id, new, None);
        let snapshot = snapshot.ok_or_else(|| Refusal::new(404, "the volume has gone"))?;
        self.schedule(time, Event::SnapshotReady { snapshot: snapshot.id.clone(), fate });
        Ok(snapshot)
    }

    /// Writes down a snapshot that is yet to be taken.
    pub(super) fn add_snapshot(
        &mut self,
        id: String,
        new: NewSnapshot,
        group_snapshot: Option<String>,
    ) -> Option<Snapshot> {
        let now = self.now();
        let unlisted_until = self.take_unlisted(Operation::Snapshot);
        let volume = self.volumes.get_mut(&new.volume)?;
        volume.snapshots += 1;
        let snapshot = Snapshot {
            id,
            name: new.name,
            description: new.description,
            volume: volume.id.clone(),
            kind: volume.kind.clone(),
            zone: volume.zone.clone(),
            status: "creating".to_owned(),
            size: volume.size,
            metadata: new.metadata,
            group_snapshot,
            user: new.user,
            project: new.project,
            created: now,
            updated: None,
            unlisted_until,
            cut: false,
        };
        self.snapshots.insert(snapshot.id.clone(), snapshot.clone());
        Some(snapshot)
    }

    pub fn rename_snapshot(
        &mut self,
        project: &str,
        id: &str,
        name: Option<String>,
        description: Option<String>,
    ) -> Result<&Snapshot, Refusal> {
        let now = self.now();
        let snapshot = self.snapshot_mut(project, id)?;
        snapshot.name = name.or(snapshot.name.take());
        snapshot.description = description.or(snapshot.description.take());
        snapshot.updated = Some(now);
        Ok(snapshot)
    }

    pub fn delete_snapshot(&mut self, project: &str, id: &str) -> Result<(), Refusal> {
        let now = self.now();
        let snapshot = self.snapshot_mut(project, id)?;
        let deletable = ["available", "error"].contains(&snapshot.status.as_str());
        if !deletable || snapshot.group_snapshot.is_some() {
            let reason = "Snapshot status must be available or error and must not be part of a group.";
            return Err(Refusal::invalid_snapshot(reason));
        }
        snapshot.become_("deleting", now);
        let (fate, time) = self.fate(Operation::DeleteSnapshot, self.settings.latency.delete_snapshot);
        self.schedule(time, Event::SnapshotGone { snapshot: id.to_owned(), fate });
        Ok(())
    }

    pub(super) fn finish_snapshot(&mut self, id: &str, fate: Fate) {
        let now = self.now();
        let Some(snapshot) = self.snapshots.get_mut(id).filter(|_| fate != Fate::Stuck) else { return };
        let (source, project) = (snapshot.volume.clone(), snapshot.project.clone());
        if fate != Fate::Well {
            snapshot.become_("error", now);
            self.report(Resource::Snapshot, id, &project, Failure::SNAPSHOT);
            return;
        }
        snapshot.become_("available", now);
        snapshot.cut = true;
        self.copy(&source, id);
    }

    pub(super) fn finish_delete_snapshot(&mut self, id: &str, fate: Fate) {
        let now = self.now();
        match fate {
            Fate::Stuck => {}
            Fate::Well => self.forget_snapshot(id),
            Fate::Fails(_) => {
                let Some(snapshot) = self.snapshots.get_mut(id) else { return };
                snapshot.become_("error_deleting", now);
                let project = snapshot.project.clone();
                self.report(Resource::Snapshot, id, &project, Failure::SNAPSHOT_DELETE);
            }
        }
    }

    pub(super) fn forget_snapshot(&mut self, id: &str) {
        let Some(snapshot) = self.snapshots.remove(id) else { return };
        self.refund(&snapshot.project, &quota::of_snapshot(&snapshot.kind, snapshot.size));
        if let Some(volume) = self.volumes.get_mut(&snapshot.volume) {
            volume.snapshots = volume.snapshots.saturating_sub(1);
        }
        self.forget(id);
    }
}

pub(super) fn check_snapshottable(volume: &Volume, force: bool) -> Result<(), Refusal> {
    if !volume.placed {
        return Err(Refusal::invalid_volume("volume is not assigned to a host"));
    }
    match volume.status.as_str() {
        "maintenance" => {
            let reason = "The snapshot cannot be created when the volume is in maintenance mode.";
            return Err(Refusal::invalid_volume(reason));
        }
        "error" => {
            let reason = "The snapshot cannot be created when the volume is in error status.";
            return Err(Refusal::invalid_volume(reason));
        }
        _ => {}
    }
    let allowed: &[&str] = if force { &["available", "in-use"] } else { &["available"] };
    if allowed.contains(&volume.status.as_str()) {
        return Ok(());
    }
    Err(Refusal::invalid_volume(format!(
        "Volume {} status must be {}, but current status is: {}.",
        volume.id,
        allowed.join(", "),
        volume.status
    )))
}
