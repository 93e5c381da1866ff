//! Many times become few figures.

use std::time::Duration;

/// The times of one kind of work.
#[derive(Clone, Debug, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    pub fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub fn median(&self) -> Duration {
        self.quantile(0.5)
    }

    /// The time that this share of all doesn't exceed.
    pub fn quantile(&self, share: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort();
        let rank = (sorted.len() as f64 * share).ceil() as usize;
        sorted.get(rank.max(1) - 1).copied().unwrap_or_default()
    }

    /// p50, p95 and p99 in ms, in three columns.
    pub fn columns(&self) -> String {
        let columns = [0.5, 0.95, 0.99].map(|share| format!("{:>8.2}", millis(self.quantile(share))));
        columns.join(" ")
    }
}

pub const COLUMNS: &str = "     p50      p95      p99";

pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

pub fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// The head of a table.
pub fn title(text: &str) {
    println!("\n## {text}\n");
}
