//! One operation on an object at a time, in a task of its own.
//!
//! A mkfs that is cut in two leaves half a file system. So the work owns its claim and its child process: dropping the
//! RPC stops neither, and a second call is told to come back until the work has ended.

use std::collections::HashSet;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::error::{Condition, Error, Result};
use super::phase::Phases;
use crate::pace::{self, Deadline};

/// What is being worked on, by the names that errors have for it: `volume 0f9c…`, `disk /dev/vdb`.
#[derive(Clone, Debug, Default)]
pub(super) struct Claims(Arc<Mutex<HashSet<String>>>);

struct Claim {
    claims: Claims,
    object: String,
}

/// Work that waits for something ends at the deadline with a reason; it gets this much longer to hand it over.
const GRACE: Duration = Duration::from_millis(100);
const VOLUME: &str = "volume ";

impl Claims {
    /// Runs `work` to its end whatever becomes of the caller, who waits until the deadline.
    pub async fn run<T, F>(&self, object: &str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let claim = self.claim(object)?;
        let (deadline, phases) = (pace::deadline(), Phases::current());
        let task = tokio::spawn(async move {
            let _claim = claim;
            phases.of(pace::within(deadline, work)).await
        });
        tokio::select! {
            biased;
            ended = task => ended.unwrap_or_else(|error| {
                Err(Error::internal(object, format!("the driver failed: {error}")))
            }),
            () = pace::sleep(deadline.remaining() + GRACE) => Err(Error::unsettled(
                object,
                "the work on its disk goes on past the deadline of this call",
            ).next("ask again: it ends on its own")),
        }
    }

    /// Ends when nothing is being worked on, or at `deadline`. `false`: something still is.
    pub async fn idle(&self, deadline: Deadline) -> bool {
        while !self.objects().is_empty() {
            if deadline.has_passed() {
                return false;
            }
            pace::sleep(Duration::from_millis(20).min(deadline.remaining())).await;
        }
        true
    }

    /// Whether a volume of which `is` is true is being worked on.
    pub fn any_volume(&self, is: impl Fn(&str) -> bool) -> bool {
        self.objects().iter().filter_map(|object| object.strip_prefix(VOLUME)).any(is)
    }

    fn claim(&self, object: &str) -> Result<Claim> {
        if !self.objects().insert(object.to_owned()) {
            let cause = "another operation on it is still going on this node";
            return Err(Error::new(Condition::Busy, object, cause).next("ask again when it has ended"));
        }
        Ok(Claim { claims: self.clone(), object: object.to_owned() })
    }

    fn objects(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.objects().remove(&self.object);
    }
}

/// A volume as an object of work.
pub(super) fn volume(id: &str) -> String {
    format!("{VOLUME}{id}")
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_outlives_its_deadline_and_keeps_the_volume_until_it_ends() {
        let claims = Claims::default();
        let (finish, finished) = oneshot::channel::<()>();
        let work = async move {
            let _ = finished.await;
            Ok(())
        };
        let late = pace::within(Deadline::after(Duration::from_secs(1)), claims.run("v", work)).await;
        assert_eq!(late.unwrap_err().condition(), Condition::Unsettled);
        let second = claims.run("v", async { Ok(()) }).await.unwrap_err();
        assert_eq!(second.condition(), Condition::Busy);
        assert!(second.to_string().starts_with("v: another operation"), "{second}");
        claims.run("other", async { Ok(()) }).await.unwrap();
        assert!(!claims.idle(Deadline::after(Duration::from_secs(1))).await);
        finish.send(()).unwrap();
        assert!(claims.idle(Deadline::after(Duration::from_secs(1))).await);
        claims.run("v", async { Ok(()) }).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_call_does_not_stop_its_work() {
        let claims = Claims::default();
        let (done, seen) = oneshot::channel();
        let work = async move {
            pace::sleep(Duration::from_secs(5)).await;
            let _ = done.send(());
            Ok(())
        };
        let call = tokio::time::timeout(Duration::from_secs(1), claims.run("v", work)).await;
        assert!(call.is_err());
        seen.await.unwrap();
    }

    #[tokio::test]
    async fn a_panic_in_the_work_frees_the_volume() {
        let claims = Claims::default();
        let work = async { panic!("boom") };
        let error = claims.run::<(), _>("v", work).await.unwrap_err();
        assert_eq!(error.condition(), Condition::Internal);
        claims.run("v", async { Ok(()) }).await.unwrap();
    }
}
