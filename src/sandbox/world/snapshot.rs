//! Snapshots, as far as they stand in the way of deletes and are sources of volumes.

use std::time::SystemTime;

use super::super::faults::{Fate, Operation};
use super::{Event, NewVolume, Refusal, World};

#[derive(Clone, Debug)]
pub(in crate::sandbox) struct Snapshot {
    pub id: String,
    pub name: Option<String>,
    pub volume: String,
    pub zone: String,
    pub status: String,
    pub size: u64,
    pub user: String,
    pub project: String,
    pub created: SystemTime,
    pub updated: Option<SystemTime>,
}

impl World {
    pub fn snapshot(&self, project: &str, id: &str) -> Result<&Snapshot, Refusal> {
        let found = self.snapshots.get(id).filter(|snapshot| snapshot.project == project);
        found.ok_or_else(|| Refusal::not_found("Snapshot", id))
    }

    /// `force`: of a volume in use, too.
    pub fn create_snapshot(
        &mut self,
        project: &str,
        volume: &str,
        name: Option<String>,
        force: bool,
    ) -> Result<Snapshot, Refusal> {
        let volume = self.volume(project, volume)?.clone();
        check_snapshottable(&volume, force)?;
        self.check_quota(project, volume.size, 0)?;
        let (fate, time) = self.fate(Operation::Snapshot, self.settings.latency.snapshot);
        let snapshot = Snapshot {
            id: self.new_id(),
            name,
            volume: volume.id,
            zone: volume.zone,
            status: "creating".to_owned(),
            size: volume.size,
            user: volume.user,
            project: volume.project,
            created: self.now(),
            updated: None,
        };
        self.schedule(time, Event::SnapshotReady { snapshot: snapshot.id.clone(), fate });
        self.snapshots.insert(snapshot.id.clone(), snapshot.clone());
        Ok(snapshot)
    }

    pub fn delete_snapshot(&mut self, project: &str, id: &str) -> Result<(), Refusal> {
        self.snapshot(project, id)?;
        let now = self.now();
        if let Some(snapshot) = self.snapshots.get_mut(id) {
            if !["available", "error"].contains(&snapshot.status.as_str()) {
                let reason = "Snapshot status must be available or error and must not be part of a group or \
                              depended upon.";
                return Err(Refusal::new(400, format!("Invalid snapshot: {reason}")));
            }
            "deleting".clone_into(&mut snapshot.status);
            snapshot.updated = Some(now);
        }
        let time = self.pick(self.settings.latency.delete);
        self.schedule(time, Event::SnapshotGone { snapshot: id.to_owned() });
        Ok(())
    }

    pub(super) fn finish_snapshot(&mut self, id: &str, fate: Fate) {
        let now = self.now();
        let Some(snapshot) = self.snapshots.get_mut(id).filter(|_| fate != Fate::Stuck) else { return };
        let status = if fate == Fate::Well { "available" } else { "error" };
        status.clone_into(&mut snapshot.status);
        snapshot.updated = Some(now);
        let source = snapshot.volume.clone();
        if let Some(hypervisor) = &mut self.hypervisor
            && let Err(error) = hypervisor.copy(&source, id)
        {
            tracing::warn!(snapshot = id, %error, "the sandbox could not copy a volume");
        }
    }

    pub(super) fn forget_snapshot(&mut self, id: &str) {
        self.snapshots.remove(id);
        if let Some(hypervisor) = &mut self.hypervisor {
            hypervisor.forget(id);
        }
    }

    pub(super) fn check_snapshot_source(&self, id: &str, new: &NewVolume, zone: &str) -> Result<(), Refusal> {
        let snapshot = self.snapshot(&new.project, id)?;
        if snapshot.status != "available" {
            let reason = format!(
                "Originating snapshot status must be one of 'available' values, but {}",
                snapshot.status
            );
            return Err(Refusal::new(400, format!("Invalid snapshot: {reason}")));
        }
        if snapshot.size > new.size {
            return Err(Refusal::invalid_input(format!(
                "Volume size '{}'GB cannot be smaller than the snapshot size {}GB. They must be >= original snapshot \
                 size.",
                new.size, snapshot.size
            )));
        }
        if snapshot.zone != zone {
            return Err(Refusal::invalid_input(
                "Volume must be in the same availability zone as the snapshot",
            ));
        }
        Ok(())
    }
}

fn check_snapshottable(volume: &super::Volume, force: bool) -> Result<(), Refusal> {
    if !volume.placed {
        return Err(Refusal::invalid_volume("volume is not assigned to a host"));
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
