//! Time: deadlines, backoff, the wall clock and the only sleep in the crate.
//!
//! Everything reads tokio's clock, so that a test that pauses it pauses the whole driver.

#![allow(clippy::disallowed_methods, reason = "this is the file that the other files are sent to")]

mod bucket;
#[cfg(test)]
pub mod schedules;

use std::cell::Cell;
use std::future::Future;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

pub use bucket::Bucket;

/// When an RPC must have been answered.
///
/// gRPC servers answer a bare CANCELLED once `grpc-timeout` has passed, so that a wait that ends exactly then
/// loses its reason. A deadline is therefore earlier by the larger of 5 % and 200 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

/// The deadline of work that no caller limits.
const UNLIMITED: Duration = Duration::from_secs(600);

impl Deadline {
    /// The deadline of an RPC whose caller waits `timeout` from now.
    pub fn of_rpc(timeout: Duration) -> Self {
        let margin = (timeout / 20).max(Duration::from_millis(200));
        Self::after(timeout.saturating_sub(margin))
    }

    /// A deadline exactly `time` from now.
    pub fn after(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    pub fn has_passed(self) -> bool {
        self.remaining().is_zero()
    }
}

tokio::task_local! {
    static DEADLINE: Deadline;
}

/// Runs `work` under `deadline`: what it calls reads it with [`deadline`].
pub async fn within<F: Future>(deadline: Deadline, work: F) -> F::Output {
    DEADLINE.scope(deadline, work).await
}

/// The deadline of the RPC being served, or ten minutes from now outside of one.
pub fn deadline() -> Deadline {
    DEADLINE.try_with(|deadline| *deadline).unwrap_or_else(|_| Deadline::after(UNLIMITED))
}

/// Sleeps for `time`, or until the deadline of the RPC being served where that comes first. `false`: it came first.
pub async fn pause(time: Duration) -> bool {
    let left = deadline().remaining();
    tokio::time::sleep(time.min(left)).await;
    time < left
}

/// Sleeps for `time`, whoever waits.
pub async fn sleep(time: Duration) {
    tokio::time::sleep(time).await;
}

thread_local! {
    static BEGUN: Cell<Option<(SystemTime, Instant)>> = const { Cell::new(None) };
}

/// For simulations: on this thread it is `wall` now, and jitter comes from `seed`, so that what happens can be repeated.
pub fn begin(wall: SystemTime, seed: u64) {
    BEGUN.set(Some((wall, Instant::now())));
    fastrand::seed(seed);
}

/// The wall clock: the start of the process plus tokio's elapsed time.
pub fn now() -> SystemTime {
    static START: OnceLock<(SystemTime, Instant)> = OnceLock::new();
    let start = || *START.get_or_init(|| (SystemTime::now(), Instant::now()));
    let (wall, tick) = BEGUN.get().unwrap_or_else(start);
    wall + tick.elapsed()
}

/// Growing pauses with jitter: `first`, then `growth` times as long each time up to `limit`, each shortened by up to a
/// quarter.
#[derive(Clone, Debug)]
pub struct Backoff {
    next: Duration,
    growth: f64,
    limit: Duration,
}

impl Backoff {
    /// Pauses that double.
    pub fn new(first: Duration, limit: Duration) -> Self {
        Self::growing(first, 2.0, limit)
    }

    pub fn growing(first: Duration, growth: f64, limit: Duration) -> Self {
        Self { next: first, growth, limit }
    }

    /// The length of the next pause.
    pub fn step(&mut self) -> Duration {
        let whole = self.next;
        self.next = whole.mul_f64(self.growth).min(self.limit);
        whole.mul_f64(1.0 - fastrand::f64() / 4.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_before_the_callers_own_deadline() {
        assert_eq!(Deadline::of_rpc(Duration::from_secs(2)).remaining(), Duration::from_millis(1800));
        assert_eq!(Deadline::of_rpc(Duration::from_secs(20)).remaining(), Duration::from_secs(19));
        assert!(Deadline::of_rpc(Duration::from_millis(100)).has_passed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_cut_short_by_the_deadline() {
        let start = Instant::now();
        let whole = within(Deadline::after(Duration::from_secs(1)), pause(Duration::from_secs(60))).await;
        assert!(!whole);
        assert_eq!(start.elapsed(), Duration::from_secs(1));
    }

    #[test]
    fn pauses_grow_to_their_limit() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(300));
        let steps: Vec<_> = (0..4).map(|_| backoff.step().as_millis()).collect();
        assert!((75..=100).contains(&steps[0]), "{steps:?}");
        assert!((225..=300).contains(&steps[3]), "{steps:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_begun_alike_goes_on_alike() {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let begun = async || {
            begin(wall, 7);
            sleep(Duration::from_secs(3)).await;
            (now(), Backoff::new(Duration::from_secs(1), Duration::from_secs(9)).step())
        };
        assert_eq!(begun().await, begun().await);
        assert_eq!(begun().await.0, wall + Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn the_wall_clock_follows_tokios() {
        let before = now();
        sleep(Duration::from_secs(30)).await;
        assert_eq!(now().duration_since(before).unwrap(), Duration::from_secs(30));
    }
}
