//! A server moves to another host while it runs.
//!
//! The host that it moves to has attachments of its own, which Cinder doesn't show until they are complete; the ones of the
//! first host go before that, so that for a moment a volume is `attaching` and on no server
//! (`_post_live_migration` and `post_live_migration_at_destination` in
//! <https://opendev.org/openstack/nova/src/branch/master/nova/compute/manager.py>).

use std::time::Duration;

use super::{Event, VolumeAttachment, World};

impl World {
    /// Answers whether the server is there, and nothing else is done to it.
    pub fn migrate(&mut self, id: &str, time: Duration) -> bool {
        let Some(server) = self.servers.get_mut(id).filter(|server| server.task_state.is_none()) else {
            return false;
        };
        server.task_state = Some("migrating");
        self.schedule(time, Event::LeftHost { server: id.to_owned() });
        true
    }

    /// The attachments of the first host go.
    pub(super) fn leave_host(&mut self, id: &str) {
        if self.servers.get(id).is_none_or(|server| server.task_state != Some("migrating")) {
            return;
        }
        let now = self.now();
        let mut moved = Vec::new();
        for volume in self.volumes.values_mut().filter(|volume| volume.status == "in-use") {
            let attachments = volume.attachments.iter_mut();
            let here = attachments.filter(|held| held.server == id && held.attached.is_some());
            moved.extend(here.map(|held| {
                held.attached = None;
                held.id.clone()
            }));
            if !volume.is_attached() {
                volume.become_("attaching", now);
            }
        }
        let time = self.pick(self.settings.latency.attach) / 4;
        self.schedule(time, Event::Migrated { server: id.to_owned(), moved });
    }

    /// Those of the second host are complete.
    pub(super) fn finish_migration(&mut self, id: &str, moved: &[String]) {
        let now = self.now();
        let Some(server) = self.servers.get_mut(id).filter(|server| server.task_state == Some("migrating"))
        else {
            return;
        };
        server.task_state = None;
        for volume in self.volumes.values_mut() {
            let is_moved = |held: &&mut VolumeAttachment| moved.contains(&held.id);
            for held in volume.attachments.iter_mut().filter(is_moved) {
                held.attached = Some(now);
            }
            if volume.status == "attaching" && volume.is_attached() {
                volume.rest(now);
            }
        }
    }
}
