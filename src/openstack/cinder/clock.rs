//! The cloud's clock, which may be minutes off ours.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio::time::Instant;

use crate::pace;

/// Cheap to clone: the clones are one clock.
#[derive(Clone, Debug, Default)]
pub(super) struct Clock(Arc<Mutex<Option<(SystemTime, Instant)>>>);

impl Clock {
    /// The cloud said that this is the time.
    pub fn set(&self, date: Option<SystemTime>) {
        if let Some(date) = date {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((date, Instant::now()));
        }
    }

    pub fn now(&self) -> SystemTime {
        match *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some((date, when)) => date + when.elapsed(),
            None => pace::now(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_clouds_time_goes_on_between_its_answers() {
        let clock = Clock::default();
        assert_eq!(clock.now(), pace::now());
        let behind = pace::now() - Duration::from_secs(300);
        clock.set(Some(behind));
        pace::sleep(Duration::from_secs(7)).await;
        clock.set(None);
        assert_eq!(clock.now(), behind + Duration::from_secs(7));
    }
}
