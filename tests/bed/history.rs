//! What happened, in the order in which it happened.

use std::fmt::Display;
use std::sync::{Arc, Mutex};

use tokio::time::Instant;

#[derive(Clone)]
pub struct History {
    began: Instant,
    lines: Arc<Mutex<Vec<String>>>,
    /// Without it only calls of the driver are noted, and none of the cloud.
    is_whole: bool,
}

impl History {
    pub fn new(is_whole: bool) -> Self {
        Self { began: Instant::now(), lines: Arc::default(), is_whole }
    }

    pub fn note(&self, line: impl Display) {
        let at = self.began.elapsed().as_secs_f64();
        self.lines.lock().unwrap().push(format!("{at:9.3} {line}"));
    }

    pub fn note_exchange(&self, line: impl FnOnce() -> String) {
        if self.is_whole {
            self.note(line());
        }
    }

    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}
