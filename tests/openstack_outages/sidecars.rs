//! Calls as the sidecars make them, until they are done, and what was answered meanwhile.

use std::time::{Duration, Instant};

use cinder_csi::pace;
use tonic::{Code, Status};

use crate::bed::{Driver, connected};
use crate::calls::Calls;
use crate::sidecar::Sidecar;

const PAUSE: Duration = Duration::from_millis(500);
/// The attacher's `--timeout`.
const PATIENCE: Duration = Duration::from_secs(15);
const LONGEST: Duration = Duration::from_secs(300);

pub struct Sidecars {
    calls: Calls,
    /// What failed since it was looked at.
    failures: Vec<Status>,
}

impl Sidecars {
    pub async fn of(driver: &Driver) -> Self {
        let channel = connected(&driver.directory.path().join("csi.sock")).await;
        Self { calls: Calls::new(channel, PATIENCE), failures: Vec::new() }
    }

    pub async fn once<T>(&self, call: impl AsyncFn(Calls) -> Result<T, Status>) -> Result<T, Status> {
        call(self.calls.clone()).await
    }

    /// A final answer is told to `ended`: nothing may be left of the call then.
    pub async fn converge<T>(
        &mut self,
        sidecar: Sidecar,
        call: impl AsyncFn(Calls) -> Result<T, Status>,
        ended: impl AsyncFn(),
    ) -> T {
        let end = Instant::now() + LONGEST;
        loop {
            match call(self.calls.clone()).await {
                Ok(done) => return done,
                Err(status) => {
                    println!("    {:?}: {}", status.code(), status.message());
                    assert!(Instant::now() < end, "it never ends: {status}");
                    if sidecar.is_final(status.code()) {
                        ended().await;
                    }
                    self.failures.push(status);
                    pace::sleep(PAUSE).await;
                }
            }
        }
    }

    pub fn failures(&mut self) -> Vec<Status> {
        std::mem::take(&mut self.failures)
    }
}

/// `Unavailable 3, DeadlineExceeded 1`
pub fn counted(failures: &[Status]) -> String {
    let mut counts: Vec<(Code, usize)> = Vec::new();
    for status in failures {
        match counts.iter_mut().find(|(code, _)| *code == status.code()) {
            Some((_, count)) => *count += 1,
            None => counts.push((status.code(), 1)),
        }
    }
    let counts: Vec<_> = counts.iter().map(|(code, count)| format!("{code:?} {count}")).collect();
    if counts.is_empty() { "no error".to_owned() } else { counts.join(", ") }
}
