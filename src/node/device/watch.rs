//! Waiting for the kernel to tell of a disk.

use std::sync::Arc;
use std::time::Duration;

use super::super::host::{Host, Uevents};
use crate::pace::{self, Backoff};

/// Wakes at every kernel event about a block device, and from time to time without one: udev makes its links after the
/// event, and in some containers no event arrives at all.
pub struct Watch {
    events: Option<Box<dyn Uevents>>,
    pauses: Backoff,
}

impl Watch {
    /// Starts to listen: look again after this, or a disk that came in between goes unnoticed.
    pub async fn new(host: &Arc<dyn Host>) -> Self {
        let events =
            host.uevents().await.inspect_err(|error| tracing::debug!(%error, "no kernel events")).ok();
        Self { events, pauses: pauses() }
    }

    /// Waits for the next reason to look. `false`: the deadline has come.
    pub async fn wait(&mut self) -> bool {
        let Some(events) = &mut self.events else {
            return pace::pause(self.pauses.step()).await;
        };
        let heard = tokio::select! {
            biased;
            heard = events.next() => heard,
            whole = pace::pause(self.pauses.step()) => return whole,
        };
        match heard {
            Ok(()) => self.pauses = pauses(),
            Err(error) => {
                tracing::debug!(%error, "kernel events ended");
                self.events = None;
            }
        }
        !pace::deadline().has_passed()
    }
}

fn pauses() -> Backoff {
    Backoff::new(Duration::from_millis(20), Duration::from_secs(1))
}
