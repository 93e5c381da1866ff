//! Snapshots of all volumes of a group, at one moment.

use std::time::SystemTime;

use tokio::time::Instant;

use super::super::faults::{Fate, Operation};
use super::message::{Failure, Resource};
use super::quota::{self, Charge};
use super::snapshot::check_snapshottable;
use super::{Event, NewSnapshot, Refusal, World};

#[derive(Clone, Debug)]
pub(in crate::sandbox) struct GroupSnapshot {
    pub id: String,
    pub group: String,
    /// The id of the group's type.
    pub kind: String,
    pub name: Option<String>,
    pub description: Option<String>,
    pub status: String,
    pub project: String,
    pub created: SystemTime,
    /// Lists show it from then on.
    pub unlisted_until: Option<Instant>,
}

impl World {
    pub fn group_snapshot(&self, project: &str, id: &str) -> Result<&GroupSnapshot, Refusal> {
        let found = self.group_snapshots.get(id).filter(|one| one.project == project);
        found.ok_or_else(|| Refusal::not_found("GroupSnapshot", id))
    }

    /// `new` is what each member is: its volume aside, and with the name of the whole.
    pub fn create_group_snapshot(&mut self, group: &str, new: NewSnapshot) -> Result<GroupSnapshot, Refusal> {
        let found = self.group(&new.project, group)?;
        let (group, kind) = (found.id.clone(), found.kind.clone());
        let busy = ["creating", "updating"].contains(&found.status.as_str());
        let members = self.volumes_of_group(&group);
        if busy || members.is_empty() {
            return Err(Refusal::invalid_group(
                "Source group cannot be empty or in 'creating' or 'updating' state. No group snapshot will be created.",
            ));
        }
        let mut charge = Charge::new();
        let mut size = 0;
        for volume in members.iter().filter_map(|id| self.volumes.get(id)) {
            // The status of a member is hardly looked at.
            if ["maintenance", "error"].contains(&volume.status.as_str()) || !volume.placed {
                check_snapshottable(volume, true)?;
            }
            size += volume.size;
            charge.extend(quota::of_snapshot(&volume.kind, volume.size));
        }
        self.charge(&new.project, "snapshots", size, &quota::summed(charge))?;
        let snapshot = GroupSnapshot {
            id: self.new_id(),
            group,
            kind,
            name: new.name.clone(),
            description: new.description.clone(),
            status: "creating".to_owned(),
            project: new.project.clone(),
            created: self.now(),
            unlisted_until: self.take_unlisted(Operation::GroupSnapshot),
        };
        for volume in members {
            let id = self.new_id();
            self.add_snapshot(id, NewSnapshot { volume, ..new.clone() }, Some(snapshot.id.clone()));
        }
        let (fate, time) = self.fate(Operation::GroupSnapshot, self.settings.latency.snapshot);
        self.schedule(time, Event::GroupSnapshotReady { snapshot: snapshot.id.clone(), fate });
        self.group_snapshots.insert(snapshot.id.clone(), snapshot.clone());
        Ok(snapshot)
    }

    pub fn delete_group_snapshot(&mut self, project: &str, id: &str) -> Result<(), Refusal> {
        let status = &self.group_snapshot(project, id)?.status;
        if !["available", "error"].contains(&status.as_str()) {
            return Err(Refusal::new(
                400,
                "Invalid GroupSnapshot: GroupSnapshot status must be available or error, and no Group can be \
                 currently using it as source for its creation.",
            ));
        }
        self.mark(id, "deleting", "deleting");
        let (fate, time) = self.fate(Operation::DeleteGroupSnapshot, self.settings.latency.delete_snapshot);
        self.schedule(time, Event::GroupSnapshotGone { snapshot: id.to_owned(), fate });
        Ok(())
    }

    pub(super) fn finish_group_snapshot(&mut self, id: &str, fate: &Fate) {
        match fate {
            Fate::Stuck => {}
            Fate::Fails(_) => {
                self.mark(id, "error", "error");
                for member in self.members_of(id) {
                    let project = self.snapshots.get(&member).map(|one| one.project.clone());
                    self.report(Resource::Snapshot, &member, &project.unwrap_or_default(), Failure::SNAPSHOT);
                }
            }
            Fate::Well => {
                self.mark(id, "available", "available");
                for member in self.members_of(id) {
                    let Some(snapshot) = self.snapshots.get_mut(&member) else { continue };
                    snapshot.cut = true;
                    let volume = snapshot.volume.clone();
                    self.copy(&volume, &member);
                }
            }
        }
    }

    pub(super) fn finish_delete_group_snapshot(&mut self, id: &str, fate: &Fate) {
        match fate {
            Fate::Stuck => {}
            Fate::Fails(_) => self.mark(id, "error", "error"),
            Fate::Well => {
                for member in self.members_of(id) {
                    self.forget_snapshot(&member);
                }
                self.group_snapshots.remove(id);
            }
        }
    }

    fn members_of(&self, id: &str) -> Vec<String> {
        let members = self.snapshots.values().filter(|one| one.group_snapshot.as_deref() == Some(id));
        members.map(|one| one.id.clone()).collect()
    }

    fn mark(&mut self, id: &str, whole: &str, member: &str) {
        let now = self.now();
        if let Some(snapshot) = self.group_snapshots.get_mut(id) {
            whole.clone_into(&mut snapshot.status);
        }
        for snapshot in self.snapshots.values_mut().filter(|one| one.group_snapshot.as_deref() == Some(id)) {
            snapshot.become_(member, now);
        }
    }
}
