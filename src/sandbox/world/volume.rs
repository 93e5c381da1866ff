//! Volumes: create, delete, metadata, and the messages about what failed.

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::super::faults::{Fate, Mishap, Operation};
use super::{Event, Refusal, World, new_id};

#[derive(Clone, Debug)]
pub(in crate::sandbox) struct Volume {
    pub id: String,
    pub name: Option<String>,
    pub description: Option<String>,
    pub status: String,
    pub size: u64,
    pub zone: String,
    pub kind: String,
    pub multiattach: bool,
    pub bootable: bool,
    pub metadata: Map<String, Value>,
    pub snapshot: Option<String>,
    pub source: Option<String>,
    pub user: String,
    pub project: String,
    pub created: SystemTime,
    pub updated: Option<SystemTime>,
    pub attachments: Vec<VolumeAttachment>,
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

#[derive(Clone, Debug)]
pub(in crate::sandbox) struct VolumeType {
    pub id: String,
    pub name: &'static str,
    pub description: Option<&'static str>,
    pub multiattach: bool,
    /// No backend offers it.
    pub nowhere: bool,
}

#[derive(Clone, Debug)]
pub(in crate::sandbox) struct Message {
    pub id: String,
    pub event: &'static str,
    pub text: String,
    pub volume: String,
    pub project: String,
    pub created: SystemTime,
    pub request: String,
}

#[derive(Clone, Debug, Default)]
pub(in crate::sandbox) struct NewVolume {
    pub name: Option<String>,
    pub description: Option<String>,
    pub size: u64,
    pub zone: Option<String>,
    pub kind: Option<String>,
    pub metadata: Map<String, Value>,
    pub snapshot: Option<String>,
    pub source: Option<String>,
    pub user: String,
    pub project: String,
}

const UNDELETABLE: &str = "Volume status must be available or error or error_restoring or error_extending or \
    error_managing and must not be migrating, attached, belong to a group, have snapshots, awaiting a transfer, or \
    be disassociated from snapshots after volume transfer.";

impl VolumeType {
    pub fn all(random: &mut fastrand::Rng) -> Vec<Self> {
        let mut kind = |name, multiattach, nowhere| Self {
            id: new_id(random),
            name,
            description: None,
            multiattach,
            nowhere,
        };
        vec![
            kind("lab", false, false),
            kind("lab-nowhere", false, true),
            kind("lab-multiattach", true, false),
        ]
    }
}

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
        let kind = self.kind_of(&new)?;
        let zone = self.zone_of(&new)?;
        self.check_sources(&new, &zone)?;
        self.check_size(&new.project, new.size)?;
        self.check_quota(&new.project, new.size, 1)?;
        let (mut fate, time) = self.fate(Operation::Create, self.settings.latency.create);
        if kind.nowhere && fate == Fate::Well {
            fate = Fate::Fails(NO_BACKEND.to_owned());
        }
        let volume = Volume {
            id: self.new_id(),
            name: new.name,
            description: new.description,
            status: "creating".to_owned(),
            size: new.size,
            zone,
            kind: kind.name.to_owned(),
            multiattach: kind.multiattach,
            bootable: false,
            metadata: new.metadata,
            snapshot: new.snapshot,
            source: new.source,
            user: new.user,
            project: new.project,
            created: self.now(),
            updated: None,
            attachments: Vec::new(),
            placed: false,
            unlisted_until: self.take_unlisted().map(|time| Instant::now() + time),
        };
        self.schedule(time, Event::Created { volume: volume.id.clone(), fate });
        self.volumes.insert(volume.id.clone(), volume.clone());
        Ok(volume)
    }

    pub fn delete_volume(&mut self, project: &str, id: &str) -> Result<(), Refusal> {
        let has_snapshots = self.snapshots.values().any(|snapshot| snapshot.volume == id);
        let now = self.now();
        let volume = self.volume_mut(project, id)?;
        let deletable = ["available", "error", "error_restoring", "error_extending", "error_managing"];
        if !deletable.contains(&volume.status.as_str()) || !volume.attachments.is_empty() || has_snapshots {
            return Err(Refusal::invalid_volume(UNDELETABLE));
        }
        volume.become_("deleting", now);
        let (fate, time) = self.fate(Operation::Delete, self.settings.latency.delete);
        self.schedule(time, Event::Deleted { volume: id.to_owned(), fate });
        Ok(())
    }

    /// Changes the volume's metadata. Cinder moves `updated_at` with it.
    pub fn change_metadata(
        &mut self,
        project: &str,
        id: &str,
        change: impl FnOnce(&mut Map<String, Value>),
    ) -> Result<&Volume, Refusal> {
        let now = self.now();
        let volume = self.volume_mut(project, id)?;
        change(&mut volume.metadata);
        volume.updated = Some(now);
        Ok(volume)
    }

    pub(super) fn finish_create(&mut self, id: &str, fate: Fate) {
        let now = self.now();
        let Some(volume) = self.volumes.get_mut(id).filter(|_| fate != Fate::Stuck) else { return };
        let source = volume.snapshot.clone().or_else(|| volume.source.clone());
        volume.placed = fate == Fate::Well;
        volume.become_(if volume.placed { "available" } else { "error" }, now);
        match (fate, source, &mut self.hypervisor) {
            (Fate::Fails(reason), ..) => {
                let event =
                    if reason == NO_BACKEND { "VOLUME_VOLUME_001_003" } else { "VOLUME_VOLUME_001_001" };
                self.report(event, format!("schedule allocate volume:{reason}"), id);
            }
            (_, Some(source), Some(hypervisor)) => {
                if let Err(error) = hypervisor.copy(&source, id) {
                    tracing::warn!(volume = id, %error, "the sandbox could not copy a volume");
                }
            }
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
                self.volumes.remove(id);
                if let Some(hypervisor) = &mut self.hypervisor {
                    hypervisor.forget(id);
                }
            }
        }
    }

    pub(super) fn report(&mut self, event: &'static str, text: String, volume: &str) {
        let project = self.volumes.get(volume).map(|volume| volume.project.clone()).unwrap_or_default();
        let message = Message {
            id: self.new_id(),
            event,
            text,
            volume: volume.to_owned(),
            project,
            created: self.now(),
            request: self.new_request_id(),
        };
        self.messages.push(message);
    }

    fn kind_of(&self, new: &NewVolume) -> Result<VolumeType, Refusal> {
        let source = new.source.as_deref().or_else(|| {
            let snapshot = self.snapshots.get(new.snapshot.as_deref()?)?;
            Some(snapshot.volume.as_str())
        });
        let inherited = source.and_then(|id| self.volumes.get(id)).map(|volume| volume.kind.clone());
        let Some(name) = new.kind.clone().or(inherited) else { return Ok(self.types[0].clone()) };
        let found = self.types.iter().find(|kind| kind.name == name || kind.id == name).cloned();
        found.ok_or_else(|| Refusal::new(404, format!("Volume type with name {name} could not be found.")))
    }

    fn zone_of(&self, new: &NewVolume) -> Result<String, Refusal> {
        let source = new.snapshot.as_ref().and_then(|id| self.snapshots.get(id));
        let inherited = source.map(|snapshot| snapshot.zone.clone());
        let zone = new.zone.clone().or(inherited).unwrap_or_else(|| self.settings.zones[0].clone());
        if self.settings.zones.contains(&zone) {
            return Ok(zone);
        }
        Err(Refusal::new(400, format!("Availability zone '{zone}' is invalid.")))
    }

    fn check_sources(&self, new: &NewVolume, zone: &str) -> Result<(), Refusal> {
        if let Some(id) = &new.snapshot {
            self.check_snapshot_source(id, new, zone)?;
        }
        if let Some(id) = &new.source {
            let source = self.volume(&new.project, id)?;
            if source.size > new.size {
                return Err(Refusal::invalid_input(format!(
                    "Volume size '{}'GB cannot be smaller than original volume size  {}GB. They must be >= original \
                     volume size.",
                    new.size, source.size
                )));
            }
        }
        Ok(())
    }

    pub(super) fn check_size(&self, project: &str, size: u64) -> Result<(), Refusal> {
        let limit = self.identity.project(project).and_then(|project| project.quota.per_volume_gigabytes);
        match limit {
            Some(limit) if size > limit => Err(Refusal::new(
                413,
                format!(
                    "VolumeSizeExceedsLimit: Requested volume size {size}G is larger than maximum allowed limit \
                     {limit}G."
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Gigabytes first, as Cinder does: a project over both limits hears of the gigabytes.
    pub(super) fn check_quota(&self, project: &str, gigabytes: u64, volumes: usize) -> Result<(), Refusal> {
        let Some(quota) = self.identity.project(project).map(|project| project.quota) else { return Ok(()) };
        let (used_volumes, used_gigabytes) = self.usage(project);
        if used_gigabytes + gigabytes > quota.gigabytes {
            return Err(Refusal::new(
                413,
                format!(
                    "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota. \
                     Requested {gigabytes}G, quota is {}G and {used_gigabytes}G has been consumed.",
                    quota.gigabytes
                ),
            ));
        }
        if used_volumes + volumes > quota.volumes {
            return Err(Refusal::new(
                413,
                format!(
                    "VolumeLimitExceeded: Maximum number of volumes allowed ({}) exceeded for quota 'volumes'.",
                    quota.volumes
                ),
            ));
        }
        Ok(())
    }

    /// Volumes and gigabytes that count against the quota; snapshots use gigabytes, too.
    pub fn usage(&self, project: &str) -> (usize, u64) {
        let sizes =
            self.volumes.values().filter(|volume| volume.project == project).map(|volume| volume.size);
        let snapshots = self
            .snapshots
            .values()
            .filter(|snapshot| snapshot.project == project)
            .map(|snapshot| snapshot.size);
        (sizes.clone().count(), sizes.sum::<u64>() + snapshots.sum::<u64>())
    }

    fn take_unlisted(&mut self) -> Option<Duration> {
        let index = self.mishaps.iter().position(|mishap| matches!(mishap, Mishap::Unlisted(_)))?;
        match self.mishaps.remove(index) {
            Mishap::Unlisted(time) => Some(time),
            _ => None,
        }
    }
}

const NO_BACKEND: &str = "Could not find any available weighted backend.";
