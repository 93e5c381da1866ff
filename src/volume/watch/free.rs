//! Volumes that the poller last saw free: they have a host, and may be deleted without a look before.
//!
//! Cinder destroys the record of a volume without a host, whatever its status, while the scheduler may still hand it to a back
//! end, which then has what nobody knows of; all else that mustn't be deleted it refuses with a 400 (`delete` in
//! <https://opendev.org/openstack/cinder/src/branch/master/cinder/volume/api.py>). One that has been `available` has a host, and
//! keeps one (<https://opendev.org/openstack/cinder/src/branch/master/cinder/volume/manager.py>).

use std::collections::HashSet;
use std::mem;

use crate::openstack::{Status, Volume, VolumeId};

/// The standard library's table has a power of two of places, of which it fills seven in eight. Two tables of 8,192 places of 17
/// bytes are 278,528 bytes at most.
const MOST: usize = 7 * 1024;

/// The last of them, and at most as many from before those.
#[derive(Debug, Default)]
pub struct Free {
    last: HashSet<VolumeId>,
    before: HashSet<VolumeId>,
}

impl Free {
    pub fn has(&self, id: VolumeId) -> bool {
        self.last.contains(&id) || self.before.contains(&id)
    }

    pub fn see(&mut self, volume: &Volume) {
        if volume.status == Status::Available && volume.attachments.is_empty() {
            self.add(volume.id);
        } else {
            self.last.remove(&volume.id);
            self.before.remove(&volume.id);
        }
    }

    fn add(&mut self, id: VolumeId) {
        if self.last.len() == MOST && !self.last.contains(&id) {
            self.before = mem::take(&mut self.last);
        }
        self.last.insert(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::sample::{id, volume};

    #[test]
    fn a_volume_is_free_until_it_is_seen_otherwise() {
        let mut free = Free::default();
        assert!(!free.has(id(1)));
        for other in [
            volume(Status::Creating),
            volume(Status::Error),
            volume(Status::InUse).on(&[1]),
            volume(Status::Available).on(&[1]),
            volume(Status::Deleting),
        ] {
            free.see(&volume(Status::Available));
            assert!(free.has(id(1)));
            free.see(&other);
            assert!(!free.has(id(1)), "{other:?}");
        }
    }

    #[test]
    fn the_last_ones_are_remembered_and_no_table_grows() {
        let mut free = Free::default();
        let see = |free: &mut Free, n| free.see(&volume(Status::Available).with_id(n));
        let most = MOST as u128;
        for n in 0..3 * most {
            see(&mut free, n);
        }
        assert!((most..3 * most).all(|n| free.has(id(n))) && !free.has(id(0)));
        see(&mut free, 3 * most);
        assert!((2 * most..=3 * most).all(|n| free.has(id(n))) && !free.has(id(most)));
        assert!(free.last.capacity() <= MOST && free.before.capacity() <= MOST);
    }
}
