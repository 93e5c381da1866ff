//! How often the API is asked: a token bucket.

use std::sync::{Mutex, PoisonError};
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
    /// As client-go has it: a rate of zero is its default, a negative one no limit.
    pub fn of_client(qps: f32, burst: u32) -> Self {
        let default = super::Settings::default();
        let qps = if qps == 0.0 { default.qps } else { qps };
        let burst = if burst == 0 { default.burst } else { burst };
        Self { rate: (qps > 0.0).then_some(qps.into()), ..Self::new(1.0, burst) }
    }

    pub fn new(rate: f64, burst: u32) -> Self {
        let size = f64::from(burst);
        Self { rate: Some(rate), size, state: Mutex::new(State { tokens: size, at: Instant::now() }) }
    }

    /// Takes a token, which is there after the time that is answered.
    pub fn take(&self) -> Duration {
        let Some(rate) = self.rate else { return Duration::ZERO };
        let mut state = self.refilled(rate);
        state.tokens -= 1.0;
        Duration::from_secs_f64((-state.tokens / rate).max(0.0))
    }

    /// Takes a token if one is there.
    pub fn try_take(&self) -> bool {
        let Some(rate) = self.rate else { return true };
        let mut state = self.refilled(rate);
        let is_there = state.tokens >= 1.0;
        if is_there {
            state.tokens -= 1.0;
        }
        is_there
    }

    fn refilled(&self, rate: f64) -> std::sync::MutexGuard<'_, State> {
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
        let bucket = Bucket::of_client(2.0, 3);
        let waits: Vec<_> = (0..5).map(|_| bucket.take().as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 500, 1000]);
        assert!(!bucket.try_take());
        pace::sleep(Duration::from_secs(2)).await;
        assert!(bucket.try_take());
    }

    #[tokio::test(start_paused = true)]
    async fn zero_is_client_gos_default_and_a_negative_rate_no_limit() {
        let default = Bucket::of_client(0.0, 0);
        assert_eq!((0..11).map(|_| default.take().as_millis()).max(), Some(200));
        let unlimited = Bucket::of_client(-1.0, 1);
        assert!((0..1000).all(|_| unlimited.take().is_zero()));
    }
}
