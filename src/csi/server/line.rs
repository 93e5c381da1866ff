//! The end of an RPC: one line of log and a metric.

use std::time::Duration;

use tonic::body::Body;
use tonic::{Code, Status};
use tracing::{debug, error, info, warn};

use crate::node::Phases;
use crate::volume::Record;

/// An attach takes a busy cloud up to ten seconds. What is slower says where its time went.
const SLOW: Duration = Duration::from_secs(10);

/// A shorter part of a slow RPC is none to look at.
const SMALL: Duration = Duration::from_millis(50);

/// What an RPC took and asked for.
pub struct Cost {
    pub took: Duration,
    pub cloud: Record,
    pub phases: Phases,
}

/// An error has its code in the headers, a success in trailers that come later.
pub fn code(response: &http::Response<Body>) -> Code {
    Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code())
}

pub fn finish(method: &str, response: &http::Response<Body>, cost: &Cost) {
    let (code, seconds) = (code(response), cost.took.as_secs_f64());
    measure(method, code, seconds);
    let (calls, requests, spent) = (cost.cloud.calls, cost.requests(), cost.spent(method));
    let status = Status::from_header_map(response.headers());
    let message = status.as_ref().map_or("", |status| status.message());
    match code {
        Code::Ok if is_frequent(method) => debug!(?code, seconds, calls, requests, spent, "OK"),
        Code::Ok => info!(?code, seconds, calls, requests, spent, "OK"),
        Code::Internal | Code::Unknown | Code::DataLoss => {
            error!(?code, seconds, calls, requests, spent, "{message}")
        }
        _ => warn!(?code, seconds, calls, requests, spent, "{message}"),
    }
}

/// The caller is gone: nobody hears the answer.
pub fn forsaken(method: &str, took: Duration) {
    let (code, seconds) = (Code::Cancelled, took.as_secs_f64());
    measure(method, code, seconds);
    match is_frequent(method) {
        true => debug!(?code, seconds, "the caller has left"),
        false => warn!(?code, seconds, "the caller has left"),
    }
}

fn measure(method: &str, code: Code, seconds: f64) {
    // The name of a method that isn't served is whatever the peer wrote: each would be a series of its own.
    let method = if code == Code::Unimplemented { "unknown" } else { method };
    let labels = [("method", method.to_owned()), ("code", format!("{code:?}"))];
    metrics::histogram!("cinder_csi_rpc_duration_seconds", &labels).record(seconds);
}

/// Asked every few seconds, or for each volume every minute: at `-v=2` they would hide the others.
fn is_frequent(method: &str) -> bool {
    matches!(method, "Probe" | "Check" | "Watch" | "NodeGetVolumeStats" | "GetPluginInfo")
}

impl Cost {
    fn requests(&self) -> Option<String> {
        let requests = &self.cloud.requests;
        (!requests.is_empty()).then(|| requests.join(" "))
    }

    /// Where the time of a slow RPC went: `states 31.2 s, answers 4.0 s`.
    fn spent(&self, method: &str) -> Option<String> {
        if self.took < SLOW {
            return None;
        }
        let mut parts = match method.starts_with("Node") {
            true => self.phases.spent(self.took),
            false => self.cloud.spent(self.took),
        };
        parts.retain(|(_, time)| *time >= SMALL);
        parts.sort_by_key(|(_, time)| std::cmp::Reverse(*time));
        let words: Vec<_> =
            parts.iter().map(|(part, time)| format!("{part} {:.1} s", time.as_secs_f64())).collect();
        Some(words.join(", "))
    }
}

#[cfg(test)]
mod tests;
