//! One value that many ask for and one fetches: a token, a service's microversions.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::time::Instant;

use super::{Kind, Result};

/// How long a failed fetch keeps others from starting where they can do without: a refused password is not tried
/// again at once (Keystone may lock an account after a few), and a value that only ages is used as it is.
const REST: Duration = Duration::from_secs(10);

type Landing<T> = Shared<BoxFuture<'static, Result<T>>>;

/// What a held value is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    Fresh,
    /// Good, but to be replaced: a new one is fetched while callers go on with this one.
    Aging,
    Stale,
}

/// Cheap to clone: the clones share the value and the fetch.
pub(super) struct Flight<T>(Arc<Mutex<State<T>>>);

struct State<T> {
    held: Option<T>,
    running: Option<Landing<T>>,
    failed: Option<(Instant, super::Error)>,
}

impl<T> Clone for Flight<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Flight<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State { held: None, running: None, failed: None })))
    }
}

impl<T> fmt::Debug for Flight<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Flight")
    }
}

impl<T: Clone + Send + Sync + 'static> Flight<T> {
    /// The value held, or else the one that `fetch` brings: started once, however many wait for it, and finished
    /// even if all of them leave.
    pub async fn get<F>(&self, age: impl Fn(&T) -> Age, fetch: impl FnOnce() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let landing = {
            let mut state = self.lock();
            let held = state.held.clone().map(|value| (age(&value), value));
            match held {
                Some((Age::Fresh, value)) => return Ok(value),
                Some((Age::Aging, value)) => {
                    if state.recent_failure().is_none() {
                        drop(self.join(&mut state, fetch));
                    }
                    return Ok(value);
                }
                Some((Age::Stale, _)) | None => match state.recent_failure() {
                    Some(error) if error.kind == Kind::Unauthenticated => return Err(error),
                    _ => self.join(&mut state, fetch),
                },
            }
        };
        landing.await
    }

    /// Drops the value held where `is_it`: a newer one stays.
    pub fn forget(&self, is_it: impl FnOnce(&T) -> bool) {
        let mut state = self.lock();
        if state.held.as_ref().is_some_and(is_it) {
            state.held = None;
        }
    }

    fn join<F>(&self, state: &mut State<T>, fetch: impl FnOnce() -> F) -> Landing<T>
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        if let Some(running) = &state.running {
            return running.clone();
        }
        let (flight, work) = (self.clone(), fetch());
        let task = tokio::spawn(async move {
            // A panic must land, too: what is never landed would be what all later callers wait for.
            let result = AssertUnwindSafe(work).catch_unwind().await;
            flight
                .land(result.unwrap_or_else(|_| Err(interrupted("it met a bug of this driver: see the log"))))
        });
        let landing =
            async move { task.await.unwrap_or_else(|_| Err(interrupted("this process is shutting down"))) }
                .boxed()
                .shared();
        state.running = Some(landing.clone());
        landing
    }

    fn land(&self, result: Result<T>) -> Result<T> {
        let mut state = self.lock();
        state.running = None;
        match &result {
            Ok(value) => (state.held, state.failed) = (Some(value.clone()), None),
            Err(error) => state.failed = Some((Instant::now(), error.clone())),
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    fn recent_failure(&self) -> Option<super::Error> {
        let (when, error) = self.failed.as_ref()?;
        (when.elapsed() < REST).then(|| error.clone())
    }
}

/// The task that fetched ended without an answer.
fn interrupted(why: &str) -> super::Error {
    super::Error {
        kind: Kind::Unavailable,
        status: None,
        service: super::Service::Keystone,
        operation: "answer",
        request_id: None,
        message: why.into(),
        retry_after: None,
        effect: super::Effect::None,
    }
}

#[cfg(test)]
mod interleaved;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_fetch_that_panics_fails_those_who_wait_and_is_started_again_for_the_next() {
        let flight = Flight::default();
        let failed = flight.get(|_| Age::Fresh, || async { panic!("a bug") }).await;
        assert_eq!(failed.unwrap_err().kind, Kind::Unavailable);
        assert_eq!(flight.get(|_| Age::Fresh, || async { Ok(7) }).await.unwrap(), 7);
    }
}
