//! How often somebody is asked: a token bucket that lends.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

#[derive(Debug)]
pub struct Bucket {
    /// Tokens a second; `None`: no limit.
    rate: Option<f64>,
    size: f64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Below zero: promised to those who wait.
    tokens: f64,
    at: Instant,
}

impl Bucket {
    pub fn new(rate: f64, burst: u32) -> Self {
        Self { rate: Some(rate), ..Self::unlimited(burst) }
    }

    pub fn unlimited(burst: u32) -> Self {
        let size = f64::from(burst);
        Self { rate: None, size, state: Mutex::new(State { tokens: size, at: Instant::now() }) }
    }

    /// Takes a token, which is there after the time that is answered.
    pub fn take(&self) -> Duration {
        self.take_within(Duration::MAX).unwrap_or(Duration::MAX)
    }

    /// As [`Self::take`], where that time is no longer than `patience`; otherwise nothing is taken.
    pub fn take_within(&self, patience: Duration) -> Option<Duration> {
        let Some(rate) = self.rate else { return Some(Duration::ZERO) };
        let mut state = self.refilled(rate);
        let wait = ((1.0 - state.tokens) / rate).max(0.0);
        let wait = Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX);
        if wait > patience {
            return None;
        }
        state.tokens -= 1.0;
        Some(wait)
    }

    /// Takes a token if one is there.
    pub fn try_take(&self) -> bool {
        self.take_within(Duration::ZERO).is_some()
    }

    fn refilled(&self, rate: f64) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.tokens = (state.tokens + state.at.elapsed().as_secs_f64() * rate).min(self.size);
        state.at = Instant::now();
        state
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pace;

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_free_and_then_the_rate_counts() {
        let bucket = Bucket::new(2.0, 3);
        let waits: Vec<_> = (0..5).map(|_| bucket.take().as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 500, 1000]);
        assert!(!bucket.try_take());
        pace::sleep(Duration::from_secs(2)).await;
        assert!(bucket.try_take());
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_wait_takes_nothing() {
        let bucket = Bucket::new(5.0, 10);
        let patience = Duration::from_secs(10);
        let served = (0..500).filter(|_| bucket.take_within(patience).is_some()).count();
        assert_eq!(served, 60);
        pace::sleep(patience).await;
        assert_eq!(bucket.take_within(patience), Some(Duration::from_millis(200)));
    }

    #[test]
    fn without_a_limit_nobody_waits() {
        let bucket = Bucket::unlimited(1);
        assert!((0..1000).all(|_| bucket.take().is_zero()));
    }
}
