//! What the cloud's operator does, and the project's own people behind the driver's back.

use std::time::Duration;

use super::super::world::{Held, NewVolume, Refusal, World};
use super::SimulatedCloud;

impl SimulatedCloud {
    /// Stops or starts nova-compute on a server's host. Answers whether it was the other way before.
    pub fn set_host_up(&self, server: &str, up: bool) -> bool {
        let has_changed = self.with_world(|world| world.set_host_up(server, up));
        self.inner.woken.notify_one();
        has_changed
    }

    /// Live-migrates a server: after `time` its volumes leave the first host, and soon after they are attached on the second.
    /// Answers whether it is there and nothing else is done to it.
    pub fn migrate(&self, server: &str, time: Duration) -> bool {
        self.with_world(|world| world.migrate(server, time))
    }

    /// Gives a volume, snapshot, backup, group or group snapshot this status, whatever it was doing: `maintenance`,
    /// `error`, `error_extending`. Answers whether there is one with this id.
    pub fn set_status(&self, id: &str, status: &str) -> bool {
        self.with_world(|world| world.set_status(id, status))
    }

    /// Cinder and Nova move: their old addresses answer 503, and Keystone's catalog has the new ones.
    pub fn move_services(&self) {
        self.with_world(World::move_services);
    }

    /// Cinder has one more zone from now on.
    pub fn add_zone(&self, zone: &str) {
        self.with_world(|world| world.settings.zones.push(zone.to_owned()));
    }

    /// Makes a volume as somebody does who doesn't know the driver.
    pub fn make_volume(&self, name: &str, gigabytes: u64) -> Option<Held> {
        self.with_world(|world| {
            let project = world.identity.projects[0].id.clone();
            let (name, size) = (Some(name.to_owned()), Some(gigabytes));
            let made = world.create_volume(NewVolume { name, size, project, ..NewVolume::default() }).ok()?;
            world.held_volume(&made.id)
        })
    }

    /// Attaches a volume as its owner does with another client. Answers whether Nova took it.
    pub fn attach_volume(&self, server: &str, volume: &str) -> bool {
        self.as_owner(|world, project| world.attach(project, server, volume, true, "").map(drop))
    }

    /// Deletes a volume as its owner does with another client. Answers whether Cinder took it.
    pub fn delete_volume(&self, id: &str) -> bool {
        self.as_owner(|world, project| world.delete_volume(project, id))
    }

    /// Deletes a snapshot as its owner does with another client. Answers whether Cinder took it.
    pub fn delete_snapshot(&self, id: &str) -> bool {
        self.as_owner(|world, project| world.delete_snapshot(project, id))
    }

    /// Deletes a backup as its owner does with another client. Answers whether Cinder took it.
    pub fn delete_backup(&self, id: &str) -> bool {
        self.as_owner(|world, project| world.delete_backup(project, id))
    }

    /// Deletes a server as its owner does. Answers whether Nova took it.
    pub fn delete_server(&self, id: &str) -> bool {
        self.as_owner(|world, project| world.delete_server(project, id))
    }

    /// What is left to an operator where an attach or a detach never ended: the server doesn't have the volume, and
    /// neither Nova nor Cinder says that it does.
    pub fn release(&self, volume: &str, server: &str) {
        self.with_world(|world| world.release(volume, server));
    }

    fn as_owner(&self, act: impl FnOnce(&mut World, &str) -> Result<(), Refusal>) -> bool {
        self.with_world(|world| {
            let project = world.identity.projects[0].id.clone();
            act(world, &project).is_ok()
        })
    }
}
