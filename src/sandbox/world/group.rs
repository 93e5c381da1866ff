//! Groups of volumes.

use std::time::SystemTime;

use tokio::time::Instant;

use super::super::faults::{Fate, Operation};
use super::quota::{self, Charge};
use super::{Event, Refusal, World, new_id};

#[derive(Clone, Debug)]
pub(in crate::sandbox) struct GroupType {
    pub id: String,
    pub name: String,
    pub description: Option<&'static str>,
}

#[derive(Clone, Debug)]
pub(in crate::sandbox) struct Group {
    pub id: String,
    pub name: Option<String>,
    pub description: Option<String>,
    pub status: String,
    pub zone: String,
    /// The id of its type.
    pub kind: String,
    /// The names of the volume types that its volumes may have.
    pub volume_types: Vec<String>,
    pub project: String,
    pub created: SystemTime,
    pub updated: Option<SystemTime>,
    /// Lists show it from then on.
    pub unlisted_until: Option<Instant>,
}

#[derive(Clone, Debug, Default)]
pub(in crate::sandbox) struct NewGroup {
    pub name: Option<String>,
    pub description: Option<String>,
    pub kind: String,
    pub volume_types: Vec<String>,
    pub zone: Option<String>,
    pub project: String,
}

#[derive(Clone, Debug, Default)]
pub(in crate::sandbox) struct GroupUpdate {
    pub name: Option<String>,
    pub description: Option<String>,
    pub add: Vec<String>,
    pub remove: Vec<String>,
}

/// Every Cinder has it, shows it to everybody, and lets nobody use it.
const RESERVED: &str = "default_cgsnapshot_type";

impl GroupType {
    pub fn all(random: &mut fastrand::Rng, names: &[String]) -> Vec<Self> {
        let mut kind =
            |name: &str, description| Self { id: new_id(random), name: name.to_owned(), description };
        let mut all: Vec<_> = names.iter().map(|name| kind(name, None)).collect();
        all.push(kind(RESERVED, Some("Default group type for migrating cgsnapshot")));
        all
    }

    pub fn is_reserved(&self) -> bool {
        self.name == RESERVED
    }
}

impl Group {
    pub(super) fn become_(&mut self, status: &str, now: SystemTime) {
        self.status = status.to_owned();
        self.updated = Some(now);
    }
}

fn one_group() -> Charge {
    vec![("groups".to_owned(), 1)]
}

impl World {
    pub fn group(&self, project: &str, id: &str) -> Result<&Group, Refusal> {
        let found = self.groups.get(id).filter(|group| group.project == project);
        found.ok_or_else(|| Refusal::not_found("Group", id))
    }

    pub fn volumes_of_group(&self, id: &str) -> Vec<String> {
        let members = self.volumes.values().filter(|volume| volume.group.as_deref() == Some(id));
        members.map(|volume| volume.id.clone()).collect()
    }

    pub fn create_group(&mut self, new: NewGroup) -> Result<Group, Refusal> {
        let kind = self.group_type_named(&new.kind)?.clone();
        if kind.is_reserved() {
            return Err(Refusal::new(
                400,
                format!(
                    "Group_type {} is reserved for migrating CGs to groups. Migrated group can only be operated by \
                     CG APIs.",
                    kind.id
                ),
            ));
        }
        let mut volume_types = Vec::new();
        let mut feasible = true;
        for name in &new.volume_types {
            let kind = self.kind_named(name)?;
            feasible &= !kind.nowhere;
            volume_types.push(kind.name.to_owned());
        }
        let zone = new.zone.unwrap_or_else(|| self.settings.zones[0].clone());
        if !self.settings.zones.contains(&zone) {
            return Err(Refusal::invalid_input(format!("Availability zone '{zone}' is invalid.")));
        }
        self.charge(&new.project, "groups", 1, &one_group())?;
        let group = Group {
            id: self.new_id(),
            name: new.name,
            description: new.description,
            status: "creating".to_owned(),
            zone,
            kind: kind.id,
            volume_types,
            project: new.project,
            created: self.now(),
            updated: None,
            unlisted_until: self.take_unlisted(Operation::Group),
        };
        let (mut fate, time) = self.fate(Operation::Group, self.settings.latency.group);
        if !feasible && fate == Fate::Well {
            fate = Fate::Fails("no backend".to_owned());
        }
        self.schedule(time, Event::GroupReady { group: group.id.clone(), fate });
        self.groups.insert(group.id.clone(), group.clone());
        Ok(group)
    }

    /// By name or id.
    fn group_type_named(&self, name: &str) -> Result<&GroupType, Refusal> {
        let found = self.group_types.iter().find(|kind| kind.name == name || kind.id == name);
        found.ok_or_else(|| {
            let with = if uuid::Uuid::try_parse(name).is_ok() { "" } else { "with name " };
            Refusal::new(404, format!("Group type {with}{name} could not be found."))
        })
    }

    pub fn update_group(&mut self, project: &str, id: &str, update: GroupUpdate) -> Result<(), Refusal> {
        let group = self.group(project, id)?.clone();
        let members = self.volumes_of_group(id);
        let add: Vec<_> = update.add.iter().filter(|id| !members.contains(id)).cloned().collect();
        for volume in &add {
            self.check_addable(&group, volume)?;
        }
        for volume in &update.remove {
            self.check_removable(&group, &members, volume)?;
        }
        let rename = update.name.is_some() || update.description.is_some();
        let moves = !add.is_empty() || !update.remove.is_empty();
        if !rename && !moves {
            return Err(Refusal::invalid_group(format!(
                "Cannot update group {id} because no valid name, description, add_volumes, or remove_volumes were \
                 provided."
            )));
        }
        if moves && group.status != "available" {
            return Err(Refusal::invalid_group("Group status must be available."));
        }
        let now = self.now();
        let Some(group) = self.groups.get_mut(id) else { return Ok(()) };
        group.name = update.name.or(group.name.take());
        group.description = update.description.or(group.description.take());
        // A new name alone makes the group available, whatever it was.
        group.become_(if moves { "updating" } else { "available" }, now);
        if moves {
            let (fate, time) = self.fate(Operation::UpdateGroup, self.settings.latency.group);
            let group = id.to_owned();
            self.schedule(time, Event::GroupUpdated { group, add, remove: update.remove, fate });
        }
        Ok(())
    }

    fn check_addable(&self, group: &Group, id: &str) -> Result<(), Refusal> {
        let refused = |reason: String| {
            let reason = format!("Cannot add volume {id} to group {} because {reason}", group.id);
            Err(Refusal::invalid_volume(reason))
        };
        let Ok(volume) = self.volume(&group.project, id) else {
            return refused("volume cannot be found.".to_owned());
        };
        if let Some(other) = &volume.group {
            return refused(format!("it is already in group {other}."));
        }
        if !group.volume_types.contains(&volume.kind) {
            let kind = self.kind_named(&volume.kind).map(|kind| kind.id.clone()).unwrap_or_default();
            return refused(format!("volume type {kind} is not supported by the group."));
        }
        if !["available", "in-use"].contains(&volume.status.as_str()) {
            return refused(format!(
                "volume is in an invalid state: {}. Valid states are: ('available', 'in-use').",
                volume.status
            ));
        }
        // Each zone has a backend of its own.
        if volume.zone != group.zone {
            return Err(Refusal::invalid_volume("Volume is not local to this node."));
        }
        Ok(())
    }

    fn check_removable(&self, group: &Group, members: &[String], id: &str) -> Result<(), Refusal> {
        let refused = |reason: String| {
            let reason = format!("Cannot remove volume {id} from group {} because {reason}", group.id);
            Err(Refusal::invalid_volume(reason))
        };
        let volume = self.volumes.get(id).filter(|volume| members.contains(&volume.id));
        let Some(volume) = volume else { return refused("it is not in the group.".to_owned()) };
        let valid = ["available", "in-use", "error", "error_deleting"];
        if valid.contains(&volume.status.as_str()) {
            return Ok(());
        }
        refused(format!(
            "volume is in an invalid state: {}. Valid states are: ('available', 'in-use', 'error', 'error_deleting').",
            volume.status
        ))
    }

    /// `with_volumes`: its volumes go, too.
    pub fn delete_group(&mut self, project: &str, id: &str, with_volumes: bool) -> Result<(), Refusal> {
        let status = self.group(project, id)?.status.clone();
        if !with_volumes && !["available", "error"].contains(&status.as_str()) {
            return Err(Refusal::invalid_group(format!(
                "Group status must be available or error, but current status is: {status}"
            )));
        }
        if self.group_snapshots.values().any(|snapshot| snapshot.group == id) {
            return Err(Refusal::invalid_group("Group has existing snapshots."));
        }
        let members = self.volumes_of_group(id);
        if !members.is_empty() && !with_volumes {
            return Err(Refusal::invalid_group(format!(
                "Group {id} still contains volumes. The delete-volumes flag is required to delete it."
            )));
        }
        for volume in members.iter().filter_map(|id| self.volumes.get(id)) {
            if volume.is_attached() {
                let reason = format!("Volume in group {id} is attached. Need to detach first.");
                return Err(Refusal::invalid_group(reason));
            }
            if volume.snapshots > 0 {
                return Err(Refusal::invalid_group("Volume in group still has dependent snapshots."));
            }
        }
        let now = self.now();
        for id in members {
            if let Some(volume) = self.volumes.get_mut(&id) {
                volume.become_("deleting", now);
            }
        }
        if let Some(group) = self.groups.get_mut(id) {
            group.become_("deleting", now);
        }
        let (fate, time) = self.fate(Operation::DeleteGroup, self.settings.latency.group);
        self.schedule(time, Event::GroupGone { group: id.to_owned(), fate });
        Ok(())
    }

    pub(super) fn finish_group(&mut self, id: &str, fate: &Fate) {
        let now = self.now();
        if let Some(group) = self.groups.get_mut(id).filter(|_| *fate != Fate::Stuck) {
            group.become_(if *fate == Fate::Well { "available" } else { "error" }, now);
        }
    }

    /// Where it fails Cinder calls the volumes broken, too.
    pub(super) fn finish_group_update(&mut self, id: &str, add: &[String], remove: &[String], fate: &Fate) {
        if *fate == Fate::Stuck {
            return;
        }
        self.finish_group(id, fate);
        let now = self.now();
        let well = *fate == Fate::Well;
        for (volume, group) in
            add.iter().map(|one| (one, Some(id))).chain(remove.iter().map(|one| (one, None)))
        {
            let Some(volume) = self.volumes.get_mut(volume) else { continue };
            if well {
                volume.group = group.map(str::to_owned);
                volume.updated = Some(now);
            } else {
                volume.become_("error", now);
            }
        }
    }

    pub(super) fn finish_delete_group(&mut self, id: &str, fate: &Fate) {
        match fate {
            Fate::Stuck => {}
            Fate::Fails(_) => self.finish_group(id, fate),
            Fate::Well => {
                let Some(group) = self.groups.remove(id) else { return };
                self.refund(&group.project, &one_group());
                for id in self.volumes_of_group(id) {
                    let Some(volume) = self.volumes.remove(&id) else { continue };
                    self.refund(&volume.project, &quota::of_volume(&volume.kind, volume.size));
                    self.forget(&id);
                }
            }
        }
    }
}
