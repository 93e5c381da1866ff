//! Attach and detach: Nova's rows, Cinder's entries, and the time between them.
//!
//! An attach goes `reserved` > `attaching` > `in-use`, and back to `available` where it fails. Nova has its row from
//! the first moment; Cinder shows an entry only at the end.

use std::time::Duration;

use super::super::faults::{Fate, Operation};
use super::server::locked;
use super::{Event, Refusal, Row, Server, Volume, VolumeAttachment, World};

impl World {
    /// `multiattach`: the caller speaks 2.60, the first microversion that shares volumes.
    pub fn attach(
        &mut self,
        project: &str,
        server: &str,
        volume: &str,
        multiattach: bool,
        request: &str,
    ) -> Result<Row, Refusal> {
        check_server(self.server(project, server)?, "attach_volume")?;
        self.check_rows(project, server, volume)?;
        let (owner, wanted) = (self.server(project, server)?, self.volume(project, volume)?);
        if wanted.multiattach && !multiattach {
            let reason = "Multiattach volumes are only supported starting with compute API version 2.60.";
            return Err(Refusal::new(400, reason));
        }
        if !self.settings.cross_az_attach && owner.zone != wanted.zone {
            return Err(Refusal::invalid_volume(format!(
                "Instance {server} and volume {volume} are not in the same availability_zone. Instance is in {}. \
                 Volume is in {}",
                owner.zone, wanted.zone
            )));
        }
        if owner.rows.len() >= self.settings.max_disks {
            return Err(Refusal::new(
                403,
                format!(
                    "The maximum allowed number of disk devices ({}) to attach to a single instance has been \
                     exceeded.",
                    self.settings.max_disks
                ),
            ));
        }
        check_reservable(wanted, request)?;
        Ok(self.reserve(server, volume, request))
    }

    /// Begins a detach that Nova accepts.
    pub fn detach(
        &mut self,
        project: &str,
        server: &str,
        volume: &str,
        request: &str,
    ) -> Result<(), Refusal> {
        let owner = self.server(project, server)?;
        let wanted = self.volume(project, volume)?;
        let row = owner.rows.iter().find(|row| row.volume == volume).cloned();
        let row = row.ok_or_else(|| not_attached(server, volume))?;
        check_server(owner, "detach_volume")?;
        if wanted.status != "in-use" {
            return Err(from_cinder(
                "Unable to detach volume. Volume status must be 'in-use' and attach_status must be 'attached' to \
                 detach.",
                request,
            ));
        }
        let now = self.now();
        self.volume_mut(project, volume)?.become_("detaching", now);
        let host_up = self.begin_action(server, "detach_volume", "compute_detach_volume", request);
        match host_up {
            true => self.schedule_detach(volume, row.attachment),
            false => self.wait_for_host(server, volume),
        }
        Ok(())
    }

    /// Nova's row, if it has one.
    pub fn row(&self, project: &str, server: &str, volume: &str) -> Result<&Row, Refusal> {
        let rows = &self.server(project, server)?.rows;
        rows.iter().find(|row| row.volume == volume).ok_or_else(|| not_attached(server, volume))
    }

    pub(super) fn begin_attaching(&mut self, volume: &str, attachment: &str) {
        let now = self.now();
        let Some(volume) = self.volumes.get_mut(volume) else { return };
        if volume.status == "reserved" && volume.attachments.iter().any(|held| held.id == attachment) {
            volume.become_("attaching", now);
        }
    }

    pub(super) fn finish_attach(&mut self, id: &str, attachment: &str, fate: Fate) {
        let Some(server) = self.holder(id, attachment).filter(|_| fate != Fate::Stuck) else { return };
        let failure = match fate {
            Fate::Fails(reason) => Some(reason),
            _ => self.plug(&server, id).err(),
        };
        let now = self.now();
        let Some(volume) = self.volumes.get_mut(id) else { return };
        match failure {
            None => volume
                .attachments
                .iter_mut()
                .filter(|held| held.id == attachment)
                .for_each(|held| held.attached = Some(now)),
            Some(_) => volume.attachments.retain(|held| held.id != attachment),
        }
        volume.rest(now);
        if failure.is_some() {
            self.drop_row(&server, id);
        }
        if let Some(server) = self.servers.get_mut(&server) {
            server.end("attach_volume", now, failure);
        }
    }

    /// Cinder's entry goes while the status is still `detaching`.
    pub(super) fn unlink(&mut self, volume: &str, attachment: &str) {
        let Some(server) = self.holder(volume, attachment) else { return };
        match self.unplug(&server, volume) {
            Ok(()) => {
                if let Some(volume) = self.volumes.get_mut(volume) {
                    volume.attachments.retain(|held| held.id != attachment);
                }
            }
            Err(reason) => self.fail_detach(volume, &server, reason),
        }
    }

    pub(super) fn finish_detach(&mut self, id: &str, attachment: &str, fate: Fate) {
        let holder = self.holder(id, attachment);
        match (fate, holder) {
            (Fate::Stuck, _) => {}
            (Fate::Fails(reason), Some(server)) => self.fail_detach(id, &server, reason),
            // The hypervisor refused to take the disk out, and the detach has ended with that.
            (_, Some(_)) => {}
            (_, None) => {
                let now = self.now();
                // Of a shared one another server's end may have come first, which makes it in-use.
                let is_held = |volume: &&mut Volume| ["detaching", "in-use"].contains(&&*volume.status);
                self.volumes.get_mut(id).filter(is_held).into_iter().for_each(|volume| volume.rest(now));
            }
        }
    }

    /// Nova forgets a volume that Cinder no longer shows on the server.
    pub(super) fn drop_row(&mut self, server: &str, volume: &str) {
        let now = self.now();
        let held = self.volumes.get(volume).map(|volume| volume.attachments.as_slice()).unwrap_or_default();
        if held.iter().any(|held| held.server == server) {
            return;
        }
        let Some(server) = self.servers.get_mut(server) else { return };
        server.rows.retain(|row| row.volume != volume);
        server.end("detach_volume", now, None);
    }

    /// Ends an attach or a detach that never ends by itself: the server doesn't have the volume.
    pub fn release(&mut self, id: &str, server: &str) {
        let now = self.now();
        self.unplug(server, id).unwrap_or_default();
        if let Some(volume) = self.volumes.get_mut(id) {
            volume.attachments.retain(|held| held.server != server);
            volume.rest(now);
        }
        self.drop_row(server, id);
    }

    /// nova-compute carries out what it was asked while it was down.
    pub(super) fn resume_host(&mut self, server: &str) {
        let rows = self.servers.get_mut(server).into_iter().flat_map(|server| &mut server.rows);
        let waiting: Vec<_> = rows
            .filter(|row| row.waits)
            .map(|row| {
                row.waits = false;
                row.clone()
            })
            .collect();
        for row in waiting {
            let mut held = self.volumes.get(&row.volume).into_iter().flat_map(|volume| &volume.attachments);
            match held.find(|held| held.id == row.attachment).map(|held| held.attached) {
                Some(None) => self.schedule_attach(&row.volume, row.attachment),
                Some(Some(_)) => self.schedule_detach(&row.volume, row.attachment),
                None => {}
            }
        }
    }

    /// The host takes it up when it is there again.
    fn wait_for_host(&mut self, server: &str, volume: &str) {
        let rows = self.servers.get_mut(server).into_iter().flat_map(|server| &mut server.rows);
        rows.filter(|row| row.volume == volume).for_each(|row| row.waits = true);
    }

    fn reserve(&mut self, server: &str, volume: &str, request: &str) -> Row {
        let (now, attachment, id) = (self.now(), self.new_id(), self.new_id());
        let device = self.servers.get(server).map(Server::free_device).unwrap_or_default();
        let row = Row {
            id,
            volume: volume.to_owned(),
            device: device.clone(),
            attachment: attachment.clone(),
            waits: false,
        };
        if let Some(volume) = self.volumes.get_mut(volume) {
            let held = VolumeAttachment {
                id: attachment.clone(),
                server: server.to_owned(),
                device,
                attached: None,
            };
            volume.attachments.push(held);
            volume.become_("reserved", now);
        }
        if let Some(server) = self.servers.get_mut(server) {
            server.rows.push(row.clone());
        }
        match self.begin_action(server, "attach_volume", "compute_attach_volume", request) {
            true => self.schedule_attach(volume, attachment),
            false => self.wait_for_host(server, volume),
        }
        row
    }

    fn schedule_attach(&mut self, volume: &str, attachment: String) {
        let (fate, time) = self.fate(Operation::Attach, self.settings.latency.attach);
        let wait = self.wait_for_turn(Operation::Attach, volume, &attachment, &fate, time);
        let volume = volume.to_owned();
        let attaching = Event::Attaching { volume: volume.clone(), attachment: attachment.clone() };
        self.schedule(wait + time / 4, attaching);
        self.schedule(wait + time, Event::Attached { volume, attachment, fate });
    }

    fn schedule_detach(&mut self, volume: &str, attachment: String) {
        let (fate, time) = self.fate(Operation::Detach, self.settings.latency.detach);
        let Some(server) = self.holder(volume, &attachment) else {
            // The entry has gone already, and the row is about to.
            let now = self.now();
            self.volumes.get_mut(volume).into_iter().for_each(|volume| volume.rest(now));
            return;
        };
        let wait = self.wait_for_turn(Operation::Detach, volume, &attachment, &fate, time);
        let volume = volume.to_owned();
        if fate == Fate::Well {
            let unlinked = Event::Unlinked { volume: volume.clone(), attachment: attachment.clone() };
            self.schedule(wait + time * 9 / 10, unlinked);
        }
        let detached = Event::Detached { volume: volume.clone(), attachment: attachment.clone(), fate };
        self.schedule(wait + time, detached);
        self.schedule(wait + time + time / 20, Event::RowGone { server, volume });
    }

    /// What never ends keeps no other from its turn: its host has forgotten it.
    fn wait_for_turn(
        &mut self,
        operation: Operation,
        volume: &str,
        attachment: &str,
        fate: &Fate,
        time: Duration,
    ) -> Duration {
        let Some(server) = self.holder(volume, attachment).filter(|_| *fate != Fate::Stuck) else {
            return Duration::ZERO;
        };
        let wait = self.take_turn(&server, time);
        self.note_deed(operation, volume, &server, wait, time);
        wait
    }

    fn fail_detach(&mut self, volume: &str, server: &str, reason: String) {
        let now = self.now();
        if let Some(volume) = self.volumes.get_mut(volume) {
            volume.rest(now);
        }
        if let Some(server) = self.servers.get_mut(server) {
            server.end("detach_volume", now, Some(reason));
        }
    }

    /// Notes the action. Answers whether somebody is there to carry it out.
    fn begin_action(&mut self, server: &str, name: &'static str, event: &'static str, request: &str) -> bool {
        let now = self.now();
        let Some(server) = self.servers.get_mut(server) else { return false };
        server.begin(name, event, request, now);
        server.host_up
    }

    fn plug(&mut self, server: &str, id: &str) -> Result<(), String> {
        let size = self.volumes.get(id).map(|volume| volume.size).unwrap_or_default();
        let Some(hypervisor) = &mut self.hypervisor else { return Ok(()) };
        hypervisor.plug(server, id, size).map_err(|error| error.to_string())
    }

    /// The server that an attachment is for.
    fn holder(&self, volume: &str, attachment: &str) -> Option<String> {
        let mut held = self.volumes.get(volume)?.attachments.iter();
        held.find(|held| held.id == attachment).map(|held| held.server.clone())
    }

    /// Nova looks at its own rows before it asks Cinder.
    fn check_rows(&self, project: &str, server: &str, id: &str) -> Result<(), Refusal> {
        let volume = self.volume(project, id)?;
        let holders = self.servers.values().filter(|server| server.rows.iter().any(|row| row.volume == id));
        let holders: Vec<_> = holders.map(|server| server.id.as_str()).collect();
        if volume.multiattach && holders.contains(&server) {
            return Err(Refusal::invalid_volume(format!("volume {id} already attached")));
        }
        if !volume.multiattach && !holders.is_empty() {
            let servers = holders.join(",");
            return Err(Refusal::invalid_volume(format!(
                "volume {id} is already attached to instances: {servers}"
            )));
        }
        Ok(())
    }
}

fn check_server(server: &Server, verb: &str) -> Result<(), Refusal> {
    if server.locked {
        return Err(locked(&server.id));
    }
    let state = match (server.task_state, server.vm_state) {
        (Some(task), _) => format!("task_state {task}"),
        (None, "suspended") if verb == "attach_volume" => "vm_state suspended".to_owned(),
        _ => return Ok(()),
    };
    Err(Refusal::new(409, format!("Cannot '{verb}' instance {} while it is in {state}", server.id)))
}

/// Cinder's half of an attach: only a volume at rest can be reserved.
fn check_reservable(volume: &Volume, request: &str) -> Result<(), Refusal> {
    let Volume { id, status, .. } = volume;
    if status.contains("error") {
        return Err(from_cinder(
            &format!(
                "Volume attachments can not be created if the volume is in an error state. The Volume {id} currently \
                 has a status of: {status} "
            ),
            request,
        ));
    }
    let allowed =
        if volume.multiattach { "available or in-use or downloading" } else { "available or downloading" };
    if allowed.split(" or ").any(|allowed| allowed == status) {
        return Ok(());
    }
    let reason =
        format!("Volume {id} status must be {allowed} to reserve, but the current status is {status}.");
    Err(from_cinder(&reason, request))
}

fn not_attached(server: &str, volume: &str) -> Refusal {
    Refusal::new(404, format!("Instance {server} is not attached to volume {volume}"))
}

/// What Nova makes of Cinder's 400. The prefix differs between attach and detach.
fn from_cinder(reason: &str, request: &str) -> Refusal {
    let outer = if reason.starts_with("Unable to detach") { "Invalid volume: " } else { "" };
    Refusal::new(
        400,
        format!("{outer}Invalid input received: Invalid volume: {reason} (HTTP 400) (Request-ID: {request})"),
    )
}
