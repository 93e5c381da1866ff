//! nova-compute works on one disk of a server at a time.
//!
//! `attach_volume`, `detach_volume` and `reserve_block_device_name` hold one lock of the server
//! (`@utils.synchronized(instance.uuid)` in <https://opendev.org/openstack/nova/src/branch/master/nova/compute/manager.py>).

use std::time::Duration;

use tokio::time::Instant;

use super::World;
use crate::sandbox::faults::Operation;

/// Something that the cloud did, or is about to do, with a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    pub operation: Operation,
    pub volume: String,
    /// Empty where it is about none.
    pub server: String,
    pub asked: Instant,
    /// Later than it was asked for where something else came first.
    pub begins: Instant,
    pub ends: Instant,
}

/// An attach that Nova hasn't begun, and answers then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub volume: String,
    pub server: String,
}

impl World {
    /// The server's next free time of this length is taken: how long it is until then.
    pub(super) fn take_turn(&mut self, server: &str, time: Duration) -> Duration {
        let asked = self.moment.unwrap_or_else(Instant::now);
        let Some(server) = self.servers.get_mut(server) else { return Duration::ZERO };
        let begins = server.free_at.max(asked);
        server.free_at = begins + time;
        begins - asked
    }

    /// How long a new attach waits before Nova answers it at all: it asks nova-compute for the device's name. A volume of which it
    /// has a record it refuses before (`_check_volume_already_attached` in nova/compute/api.py).
    pub fn reservation_waits(&self, kept: &Kept) -> Duration {
        let is_shared = self.volumes.get(&kept.volume).is_some_and(|volume| volume.multiattach);
        let mut servers = self.servers.iter().filter(|(id, _)| !is_shared || **id == kept.server);
        if servers.any(|(_, server)| server.rows.iter().any(|row| row.volume == kept.volume)) {
            return Duration::ZERO;
        }
        let free_at = self.servers.get(&kept.server).map(|server| server.free_at);
        free_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()))
    }

    pub fn keep_no_more(&mut self, kept: &Kept) {
        if let Some(index) = self.kept.iter().position(|one| one == kept) {
            self.kept.swap_remove(index);
        }
    }

    pub(super) fn note_deed(
        &mut self,
        operation: Operation,
        volume: &str,
        server: &str,
        waits: Duration,
        takes: Duration,
    ) {
        let asked = self.moment.unwrap_or_else(Instant::now);
        let begins = asked + waits;
        let (volume, server) = (volume.to_owned(), server.to_owned());
        self.deeds.push(Deed { operation, volume, server, asked, begins, ends: begins + takes });
    }
}
