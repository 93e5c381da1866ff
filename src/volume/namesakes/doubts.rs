//! Names whose POST had no clear answer: a volume of that name may still appear.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Posted;
use crate::openstack::{self, Effect};
use crate::volume::{Error, Result};

/// A request that a proxy or a queue still holds after so long is dead.
const DOUBTFUL_FOR: Duration = Duration::from_secs(600);

/// What this process remembers of its own calls. Another process' are found by name, once the lists show them.
#[derive(Clone, Debug, Default)]
pub struct Doubts {
    since: Arc<Mutex<HashMap<String, Instant>>>,
}

impl Doubts {
    /// What is known after a POST. `refused`: what the cloud's clear no to it means.
    pub fn posted<I>(
        &self,
        name: &str,
        answer: openstack::Result<I>,
        refused: impl FnOnce(&openstack::Error) -> Error,
    ) -> Result<Posted<I>> {
        match answer {
            Ok(id) => Ok(Posted::As(id)),
            Err(error) if error.effect == Effect::Unknown => {
                self.raise(name);
                Ok(Posted::Unclear)
            }
            Err(error) => Err(self.keep(name, refused(&error))),
        }
    }

    /// A final error would let the caller forget what an earlier POST may still make.
    pub fn keep(&self, name: &str, error: Error) -> Error {
        if self.are_there(name) { error.unfinished() } else { error }
    }

    fn raise(&self, name: &str) {
        self.lock().insert(name.to_owned(), Instant::now());
    }

    /// The name has a volume, or is free for certain.
    pub fn settle(&self, name: &str) {
        self.lock().remove(name);
    }

    pub fn are_there(&self, name: &str) -> bool {
        let mut since = self.lock();
        since.retain(|_, since| since.elapsed() < DOUBTFUL_FOR);
        since.contains_key(name)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pace;

    #[tokio::test(start_paused = true)]
    async fn a_doubt_ends_when_it_is_settled_or_old() {
        let doubts = Doubts::default();
        doubts.raise("a");
        doubts.raise("b");
        assert!(doubts.are_there("a") && !doubts.are_there("c"));
        doubts.settle("a");
        assert!(!doubts.are_there("a") && doubts.are_there("b"));
        pace::sleep(DOUBTFUL_FOR).await;
        assert!(!doubts.are_there("b"));
    }
}
