//! Names that may have more than their lists show: a POST had no clear answer, or what it made isn't listed yet.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::Posted;
use crate::openstack::{self, Effect};
use crate::volume::{Error, Result};

/// A request that a proxy or a queue still holds after so long is dead.
const DOUBTFUL_FOR: Duration = Duration::from_secs(600);

/// What this process remembers of its own calls. Another process' are found by name, once the lists show them.
#[derive(Clone, Debug, Default)]
pub struct Doubts {
    of: Arc<Mutex<HashMap<String, Doubt>>>,
}

#[derive(Debug)]
struct Doubt {
    since: Instant,
    /// A POST may have made one whose id nobody knows.
    is_unclear: bool,
    /// What a POST made for certain and no call has answered yet.
    made: Option<Uuid>,
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
        self.change(name, |doubt| doubt.is_unclear = true);
    }

    /// A POST made this one.
    pub fn remember(&self, name: &str, made: Uuid) {
        self.change(name, |doubt| doubt.made = Some(made));
    }

    /// What an earlier call made of the name.
    pub fn made(&self, name: &str) -> Option<Uuid> {
        self.lock().get(name)?.made
    }

    /// Nothing has this id any more.
    pub fn forget(&self, gone: Uuid) {
        let mut of = self.lock();
        of.values_mut().filter(|doubt| doubt.made == Some(gone)).for_each(|doubt| doubt.made = None);
        of.retain(|_, doubt| doubt.is_unclear || doubt.made.is_some());
    }

    /// The name has a volume, or is free for certain.
    pub fn settle(&self, name: &str) {
        self.lock().remove(name);
    }

    pub fn are_there(&self, name: &str) -> bool {
        self.lock().contains_key(name)
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Doubt)) {
        let mut of = self.lock();
        let none = || Doubt { since: Instant::now(), is_unclear: false, made: None };
        let doubt = of.entry(name.to_owned()).or_insert_with(none);
        doubt.since = Instant::now();
        change(doubt);
    }

    /// Those that aren't too old.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Doubt>> {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        of.retain(|_, doubt| doubt.since.elapsed() < DOUBTFUL_FOR);
        of
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

    #[tokio::test(start_paused = true)]
    async fn what_was_made_is_remembered_until_it_is_gone() {
        let (doubts, one) = (Doubts::default(), Uuid::from_u128(1));
        doubts.remember("a", one);
        assert!(doubts.made("a") == Some(one) && doubts.are_there("a"));
        doubts.raise("a");
        doubts.forget(one);
        assert!(doubts.made("a").is_none() && doubts.are_there("a"), "the unclear one may still come");
        doubts.remember("b", one);
        doubts.forget(one);
        assert!(!doubts.are_there("b"));
    }
}
