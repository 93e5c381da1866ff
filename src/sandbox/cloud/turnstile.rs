//! A cloud's limit to its callers, as a proxy before the services keeps it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::sandbox::world::ApiLimit;

pub struct Turnstile {
    limit: ApiLimit,
    state: Mutex<State>,
    refused: AtomicUsize,
}

struct State {
    free: f64,
    at: Instant,
}

impl Turnstile {
    pub fn new(limit: ApiLimit) -> Self {
        let state = State { free: limit.burst.into(), at: Instant::now() };
        Self { limit, state: Mutex::new(state), refused: AtomicUsize::new(0) }
    }

    /// `Some`: this request is one too many, and may come again after so long.
    pub fn refuse(&self) -> Option<Duration> {
        let rate = f64::from(self.limit.per_second);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.free = (state.free + state.at.elapsed().as_secs_f64() * rate).min(self.limit.burst.into());
        state.at = Instant::now();
        if state.free >= 1.0 {
            state.free -= 1.0;
            return None;
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        // Retry-After has whole seconds.
        Some(Duration::from_secs(((1.0 - state.free) / rate).ceil() as u64))
    }

    pub fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }
}
