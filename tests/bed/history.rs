//! What happened, in the order in which it happened.

use std::cell::RefCell;
use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

#[derive(Clone)]
pub struct History {
    began: Instant,
    lines: Arc<Mutex<Vec<String>>>,
    /// Without it only calls of the driver are noted, and none of the cloud.
    is_whole: bool,
}

thread_local! {
    /// The one that was begun last.
    static LAST: RefCell<Option<History>> = const { RefCell::new(None) };
}

impl History {
    pub fn new(is_whole: bool) -> Self {
        let history = Self { began: Instant::now(), lines: Arc::default(), is_whole };
        LAST.set(Some(history.clone()));
        history
    }

    /// What this thread's last one has, which may have been cut off by a panic.
    pub fn take_last() -> Vec<String> {
        LAST.take().map(|history| history.lines()).unwrap_or_default()
    }

    pub fn note(&self, line: impl Display) {
        let at = self.began.elapsed().as_secs_f64();
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{at:9.3} {line}"));
    }

    pub fn note_exchange(&self, line: impl FnOnce() -> String) {
        if self.is_whole {
            self.note(line());
        }
    }

    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
