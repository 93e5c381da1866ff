//! Servers: what Nova knows of them, the disks that it thinks they have, and the record of what was done to them.

use std::time::SystemTime;

use tokio::time::Instant;

use super::super::faults::Mishap;
use super::{Event, Refusal, VolumeAttachment, World};

#[derive(Clone, Debug)]
pub(in crate::sandbox) struct Server {
    pub id: String,
    pub name: String,
    pub zone: String,
    pub project: String,
    pub user: String,
    /// `active`, `stopped`, `suspended`.
    pub vm_state: &'static str,
    pub task_state: Option<&'static str>,
    pub locked: bool,
    /// `false`: nova-compute of its host is down.
    pub host_up: bool,
    pub created: SystemTime,
    pub rows: Vec<Row>,
    pub actions: Vec<Action>,
    /// When nova-compute will have done what it has been given for this server.
    pub free_at: Instant,
}

/// Nova's record of a volume that a server has, there from the first moment of an attach.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct Row {
    pub id: String,
    pub volume: String,
    pub device: String,
    pub attachment: String,
    /// nova-compute was down when the attach or the detach was asked for.
    pub waits: bool,
}

/// Something that was asked of a server.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct Action {
    pub name: &'static str,
    pub event: &'static str,
    pub request: String,
    pub user: String,
    pub started: SystemTime,
    /// When it ended, and the reason if that was a failure.
    pub finished: Option<(SystemTime, Option<String>)>,
}

/// What a tenant can ask of a server besides disks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Order {
    Lock,
    Unlock,
    Stop,
    Start,
    Suspend,
    Resume,
}

impl Server {
    pub fn status(&self) -> &'static str {
        match self.vm_state {
            "stopped" => "SHUTOFF",
            "suspended" => "SUSPENDED",
            _ => "ACTIVE",
        }
    }

    /// The first free name after the root disk.
    pub(super) fn free_device(&self) -> String {
        let mut names = ('b'..='z').map(|letter| format!("/dev/vd{letter}"));
        let free = names.find(|name| !self.rows.iter().any(|row| row.device == *name));
        free.unwrap_or_else(|| "/dev/vdaa".to_owned())
    }

    pub(super) fn begin(
        &mut self,
        name: &'static str,
        event: &'static str,
        request: &str,
        started: SystemTime,
    ) {
        let user = self.user.clone();
        let action = Action { name, event, request: request.to_owned(), user, started, finished: None };
        self.actions.push(action);
    }

    /// Ends the newest action of this kind that still runs.
    pub(super) fn end(&mut self, name: &str, now: SystemTime, failure: Option<String>) {
        let mut running = self.actions.iter_mut().rev();
        if let Some(action) = running.find(|action| action.name == name && action.finished.is_none()) {
            action.finished = Some((now, failure));
        }
    }
}

impl World {
    pub fn server(&self, project: &str, id: &str) -> Result<&Server, Refusal> {
        let found = self.servers.get(id).filter(|server| server.project == project);
        found.ok_or_else(|| Refusal::not_found("Instance", id))
    }

    pub(super) fn boot(&mut self, name: String, zone: String) {
        let (project, user) = (self.identity.projects[0].id.clone(), self.identity.users[0].id.clone());
        let server = Server {
            id: self.new_id(),
            name,
            zone,
            project,
            user,
            vm_state: "active",
            task_state: None,
            locked: false,
            host_up: true,
            created: self.now(),
            rows: Vec::new(),
            actions: Vec::new(),
            free_at: Instant::now(),
        };
        self.servers.insert(server.id.clone(), server);
    }

    /// The id of the server with this name.
    pub fn server_named(&self, name: &str) -> Option<&str> {
        self.servers.values().find(|server| server.name == name).map(|server| server.id.as_str())
    }

    /// Turns nova-compute on the server's host on or off.
    pub fn set_host_up(&mut self, server: &str, up: bool) -> bool {
        let Some(found) = self.servers.get_mut(server) else { return false };
        let was_up = std::mem::replace(&mut found.host_up, up);
        if up {
            self.resume_host(server);
        }
        was_up != up
    }

    pub fn order(&mut self, project: &str, id: &str, order: Order) -> Result<(), Refusal> {
        self.server(project, id)?;
        let Some(server) = self.servers.get_mut(id) else { return Ok(()) };
        if server.locked && !matches!(order, Order::Lock | Order::Unlock) {
            return Err(locked(id));
        }
        match order {
            Order::Lock => server.locked = true,
            Order::Unlock => server.locked = false,
            Order::Stop => server.vm_state = "stopped",
            Order::Suspend => server.vm_state = "suspended",
            Order::Start | Order::Resume => server.vm_state = "active",
        }
        Ok(())
    }

    /// The server's volumes are freed a moment later, when it is gone.
    pub fn delete_server(&mut self, project: &str, id: &str) -> Result<(), Refusal> {
        self.server(project, id)?;
        let time = self.pick(self.settings.latency.detach);
        if let Some(server) = self.servers.get_mut(id) {
            if server.locked {
                return Err(locked(id));
            }
            server.task_state = Some("deleting");
        }
        self.schedule(time, Event::ServerGone { server: id.to_owned() });
        Ok(())
    }

    pub(super) fn bury(&mut self, id: &str) {
        let Some(server) = self.servers.remove(id) else { return };
        let now = self.now();
        // What its host was doing ends with it.
        self.events
            .retain(|_, event| server.rows.iter().all(|row| event.attachment() != Some(&row.attachment)));
        let leaves =
            !server.rows.is_empty() && self.mishaps.take(|mishap| *mishap == Mishap::LeavesEntries).is_some();
        for row in server.rows {
            self.unplug(id, &row.volume).unwrap_or_default();
            if let Some(volume) = self.volumes.get_mut(&row.volume) {
                let leaves = leaves && volume.status != "detaching";
                let stays = |held: &VolumeAttachment| leaves && held.attached.is_some();
                volume.attachments.retain(|held| held.server != id || stays(held));
                volume.rest(now);
            }
        }
    }

    pub fn has_server(&self, id: &str) -> bool {
        self.servers.contains_key(id)
    }

    /// Takes away Cinder's entry alone.
    pub fn forget_attachment(&mut self, id: &str) {
        let now = self.now();
        for volume in self.volumes.values_mut().filter(|one| one.attachments.iter().any(|held| held.id == id))
        {
            volume.attachments.retain(|held| held.id != id);
            volume.rest(now);
        }
    }

    pub(super) fn unplug(&mut self, server: &str, volume: &str) -> Result<(), String> {
        let Some(hypervisor) = &mut self.hypervisor else { return Ok(()) };
        hypervisor.unplug(server, volume).map_err(|error| error.to_string())
    }
}

pub(super) fn locked(id: &str) -> Refusal {
    Refusal::new(409, format!("Instance {id} is locked"))
}
