//! Volumes: create, delete, metadata, and the messages about what failed.

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::super::faults::{Fate, Mishap, Operation};
use super::message::{Failure, NO_BACKEND, Resource};
use super::{Event, Refusal, VolumeType, World, quota};

#[derive(Clone, Debug)]
pub(in crate::sandbox) struct Volume {
    pub id: String,
    pub name: Option<String>,
    pub description: Option<String>,
    /// Empty where Cinder has lost it.
    pub status: String,
    /// What the status was before the last pause.
    pub previous: String,
    pub size: u64,
    pub zone: String,
    pub kind: String,
    pub multiattach: bool,
    pub bootable: bool,
    pub metadata: Map<String, Value>,
    /// What the scheduler was told. A Cinder without the filters for it passes over it.
    pub hints: Value,
    pub snapshot: Option<String>,
    pub source: Option<String>,
    /// The backup that its data came from, or is yet to come from.
    pub backup: Option<String>,
    /// The group that it is in.
    pub group: Option<String>,
    pub user: String,
    pub project: String,
    pub created: SystemTime,
    pub updated: Option<SystemTime>,
    pub attachments: Vec<VolumeAttachment>,
    /// How many there are of it.
    pub snapshots: usize,
    /// A backend has it. One that no backend took can't be snapshotted.
    pub placed: bool,
    pub unlisted_until: Option<Instant>,
}

/// Cinder's record of a server that uses a volume.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct VolumeAttachment {
    pub id: String,
    pub server: String,
    pub device: String,
    /// Since when the server has the disk; only then does the volume show this entry.
    pub attached: Option<SystemTime>,
}

#[derive(Clone, Debug, Default)]
pub(in crate::sandbox) struct NewVolume {
    pub name: Option<String>,
    pub description: Option<String>,
    /// That of the source, where none is given.
    pub size: Option<u64>,
    pub zone: Option<String>,
    pub kind: Option<String>,
    pub metadata: Map<String, Value>,
    pub hints: Value,
    pub snapshot: Option<String>,
    pub source: Option<String>,
    pub backup: Option<String>,
    pub user: String,
    pub project: String,
}

const UNDELETABLE: &str = "Volume status must be available or error or error_restoring or error_extending or \
    error_managing and must not be migrating, attached, belong to a group, have snapshots, awaiting a transfer, or \
    be disassociated from snapshots after volume transfer.";

const MALFORMED: &str =
    "The server could not comply with the request since it is either malformed or otherwise incorrect.";

impl Volume {
    /// The attachments that the API shows.
    pub fn shown_attachments(&self) -> impl Iterator<Item = &VolumeAttachment> {
        self.attachments.iter().filter(|attachment| attachment.attached.is_some())
    }

    pub fn is_attached(&self) -> bool {
        self.shown_attachments().next().is_some()
    }

    /// What the status is when nothing goes on.
    pub(super) fn rest(&mut self, now: SystemTime) {
        let status = if self.is_attached() { "in-use" } else { "available" };
        self.become_(status, now);
    }

    /// Takes a status that passes, and remembers the one before it.
    pub(super) fn pause_as(&mut self, status: &str, now: SystemTime) {
        self.previous = std::mem::take(&mut self.status);
        self.become_(status, now);
    }

    /// Back to the status before the pause.
    pub(super) fn resume(&mut self, now: SystemTime) {
        self.become_(&self.previous.clone(), now);
    }

    pub(super) fn become_(&mut self, status: &str, now: SystemTime) {
        self.status = status.to_owned();
        self.updated = Some(now);
    }
}

impl World {
    pub fn volume(&self, project: &str, id: &str) -> Result<&Volume, Refusal> {
        let found = self.volumes.get(id).filter(|volume| volume.project == project);
        found.ok_or_else(|| Refusal::not_found("Volume", id))
    }

    pub(super) fn volume_mut(&mut self, project: &str, id: &str) -> Result<&mut Volume, Refusal> {
        let found = self.volumes.get_mut(id).filter(|volume| volume.project == project);
        found.ok_or_else(|| Refusal::not_found("Volume", id))
    }

    pub fn create_volume(&mut self, new: NewVolume) -> Result<Volume, Refusal> {
        let (size, kind, zone) = self.place_of(&new)?;
        self.check_size(&new.project, size)?;
        self.charge(&new.project, "volumes", size, &quota::of_volume(&kind.name, size))?;
        let (mut fate, time) = self.fate(Operation::Create, self.settings.latency.create);
        if (kind.nowhere || self.is_beside_nothing(&new.hints)) && fate == Fate::Well {
            fate = Fate::Fails(NO_BACKEND.to_owned());
        }
        let volume = Volume {
            id: self.new_id(),
            name: new.name,
            description: new.description,
            status: "creating".to_owned(),
            previous: String::new(),
            size,
            zone,
            kind: kind.name.to_owned(),
            multiattach: kind.multiattach,
            bootable: false,
            metadata: new.metadata,
            hints: new.hints,
            snapshot: new.snapshot,
            source: new.source,
            backup: new.backup,
            group: None,
            user: new.user,
            project: new.project,
            created: self.now(),
            updated: None,
            attachments: Vec::new(),
            snapshots: 0,
            placed: false,
            unlisted_until: self.take_unlisted(Operation::Create),
        };
        self.note_deed(Operation::Create, &volume.id, "", Duration::ZERO, time);
        self.schedule(time, Event::Created { volume: volume.id.clone(), fate });
        self.volumes.insert(volume.id.clone(), volume.clone());
        Ok(volume)
    }

    pub fn delete_volume(&mut self, project: &str, id: &str) -> Result<(), Refusal> {
        let now = self.now();
        let volume = self.volume_mut(project, id)?;
        let deletable = ["available", "error", "error_restoring", "error_extending", "error_managing"];
        if !deletable.contains(&volume.status.as_str())
            || !volume.attachments.is_empty()
            || volume.snapshots > 0
            || volume.group.is_some()
        {
            return Err(Refusal::invalid_volume(UNDELETABLE));
        }
        volume.become_("deleting", now);
        let (fate, time) = self.fate(Operation::Delete, self.settings.latency.delete);
        self.note_deed(Operation::Delete, id, "", Duration::ZERO, time);
        self.schedule(time, Event::Deleted { volume: id.to_owned(), fate });
        Ok(())
    }

    pub(super) fn finish_create(&mut self, id: &str, fate: Fate) {
        let now = self.now();
        let Some(volume) = self.volumes.get_mut(id).filter(|_| fate != Fate::Stuck) else { return };
        let source = volume.snapshot.clone().or_else(|| volume.source.clone());
        let (project, backup) = (volume.project.clone(), volume.backup.clone());
        volume.placed = fate == Fate::Well;
        if let Some(backup) = backup.filter(|_| volume.placed) {
            return self.begin_restore(&backup, id);
        }
        volume.become_(if volume.placed { "available" } else { "error" }, now);
        match (fate, source) {
            (Fate::Fails(reason), _) => {
                let failure = if reason == NO_BACKEND { Failure::NO_BACKEND } else { Failure::CREATE };
                self.report_with(Resource::Volume, id, &project, failure, &reason);
            }
            (_, Some(source)) => self.copy(&source, id),
            _ => {}
        }
    }

    pub(super) fn finish_delete(&mut self, id: &str, fate: Fate) {
        let now = self.now();
        match fate {
            Fate::Stuck => {}
            // Cinder leaves no message about a delete that failed.
            Fate::Fails(_) => {
                if let Some(volume) = self.volumes.get_mut(id) {
                    volume.become_("error_deleting", now);
                }
            }
            Fate::Well => {
                let Some(volume) = self.volumes.remove(id) else { return };
                self.refund(&volume.project, &quota::of_volume(&volume.kind, volume.size));
                self.forget(id);
            }
        }
    }

    /// The size, type and zone asked for, else those of the source, else the first there are.
    fn place_of(&self, new: &NewVolume) -> Result<(u64, VolumeType, String), Refusal> {
        let kind = new.kind.as_deref().map(|name| self.kind_named(name)).transpose()?;
        let source = self.source_of(new)?;
        let Some(size) = new.size.or(source.as_ref().map(|source| source.size)) else {
            return Err(Refusal::new(400, MALFORMED));
        };
        let place = source.as_ref().and_then(|source| source.place);
        let kind = match (kind, place) {
            (Some(kind), _) => kind,
            (None, Some((name, _))) => self.kind_named(name)?,
            (None, None) => &self.types[0],
        };
        let zone = self.zone(new.zone.as_deref().or(place.map(|(_, zone)| zone)))?;
        if let Some(source) = source {
            source.check(size, zone)?;
        }
        Ok((size, kind.clone(), zone.to_owned()))
    }

    /// SameBackendFilter: no backend has a volume that isn't there.
    fn is_beside_nothing(&self, hints: &Value) -> bool {
        let beside = match &hints["same_host"] {
            Value::Array(ids) => ids.iter().filter_map(Value::as_str).collect(),
            id => Vec::from_iter(id.as_str()),
        };
        !beside.is_empty() && !beside.iter().any(|id| self.volumes.contains_key(*id))
    }

    /// The first where none is asked for.
    fn zone<'z>(&'z self, asked: Option<&'z str>) -> Result<&'z str, Refusal> {
        let first = self.settings.zones[0].as_str();
        let zone = asked.unwrap_or(first);
        match self.settings.zones.iter().any(|known| known == zone) {
            true => Ok(zone),
            false if self.settings.zone_fallback => Ok(first),
            false => Err(Refusal::new(400, format!("Availability zone '{zone}' is invalid."))),
        }
    }

    /// When lists will show the next new object of this kind, if not at once.
    pub(super) fn take_unlisted(&mut self, operation: Operation) -> Option<Instant> {
        let is_met = |mishap: &Mishap| matches!(mishap, Mishap::Unlisted(met, _) if *met == operation);
        match self.mishaps.take(is_met)? {
            Mishap::Unlisted(_, time) => Some(Instant::now() + time),
            _ => None,
        }
    }

    /// The target starts with what the source holds.
    pub(super) fn copy(&mut self, source: &str, target: &str) {
        if let Some(hypervisor) = &mut self.hypervisor
            && let Err(error) = hypervisor.copy(source, target)
        {
            tracing::warn!(source, target, %error, "the sandbox could not copy a volume");
        }
    }

    pub(super) fn forget(&mut self, id: &str) {
        if let Some(hypervisor) = &mut self.hypervisor {
            hypervisor.forget(id);
        }
    }
}
