//! What was found in which cloud. Two of them may be projects of one, and a volume changes its project by a transfer
//! (<https://docs.openstack.org/api-ref/block-storage/v3/#volume-transfer>): this only says where to ask first.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use crate::volume::Thing;

/// As many as a large cluster has volumes: some hundred kilobytes.
const MOST: usize = 16_384;

/// Cheap to clone: the clones are one memory.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The cloud's place in the order of the names.
    clouds: HashMap<Thing, usize>,
    /// The oldest first.
    order: VecDeque<Thing>,
}

impl Memory {
    pub fn recall(&self, thing: Thing) -> Option<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clouds.get(&thing).copied()
    }

    pub fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = State::default();
    }

    pub fn keep(&self, thing: Thing, cloud: usize) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.clouds.insert(thing, cloud).is_some() {
            return;
        }
        state.order.push_back(thing);
        if state.order.len() > MOST
            && let Some(oldest) = state.order.pop_front()
        {
            state.clouds.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn thing(n: usize) -> Thing {
        Thing::Volume(Uuid::from_u128(n as u128).into())
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let memory = Memory::default();
        for n in 0..=MOST {
            memory.keep(thing(n), n % 2);
            memory.keep(thing(n), n % 2);
        }
        assert_eq!((memory.recall(thing(0)), memory.recall(thing(1))), (None, Some(1)));
        assert_eq!(memory.recall(thing(MOST)), Some(0));
        assert_eq!(memory.0.lock().unwrap().order.len(), MOST);
    }
}
