//! What the metrics tell of the waiters.

use std::sync::Arc;

use super::Ask;
use super::poller::Plan;

/// How many wait, and the longest of their waits.
pub fn waiting(cloud: &Arc<str>, asks: &[Ask]) {
    let longest = asks.iter().map(|ask| ask.begun.elapsed().as_secs_f64()).fold(0.0, f64::max);
    metrics::gauge!("cinder_csi_waiting_operations", "cloud" => cloud.clone()).set(asks.len() as f64);
    metrics::gauge!("cinder_csi_longest_wait_seconds", "cloud" => cloud.clone()).set(longest);
}

/// A look, or several.
pub fn looks(cloud: &Arc<str>, plan: &Plan) {
    let (kind, count) = match plan {
        Plan::End | Plan::Sleep(_) => return,
        Plan::Each(asks) => ("one", asks.len()),
        Plan::Changes(_) => ("changed", 1),
        Plan::Passing(..) => ("status", 1),
    };
    count_looks(cloud, kind, count);
}

/// A list of what is new.
pub fn look_for_namesakes(cloud: &Arc<str>) {
    count_looks(cloud, "new", 1);
}

fn count_looks(cloud: &Arc<str>, kind: &'static str, count: usize) {
    metrics::counter!("cinder_csi_looks_total", "cloud" => cloud.clone(), "kind" => kind)
        .increment(count as u64);
}
