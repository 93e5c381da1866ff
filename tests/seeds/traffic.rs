//! What one process asked of the cloud, when, and in which of its tasks.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use cinder_csi::pace::{self, Deadline};
use http::{Method, Request};
use tokio::task::Id;
use tokio::time::Instant;

/// One HTTP request.
#[derive(Clone, Debug)]
pub struct Sent {
    pub at: Instant,
    /// Every RPC has a task, and so has whatever several RPCs share: a token, the poller.
    pub task: Option<Id>,
    pub method: Method,
    /// Without the time since which changes are asked for.
    pub what: String,
    /// The same for all that an RPC sends itself. Every look of the poller has its own.
    pub deadline: Deadline,
    /// How long no RPC had been under way.
    pub idle: Duration,
    pub answered: Option<(Instant, u16)>,
}

impl Sent {
    /// Whether the process's own limits are for it: they aren't for tokens of Keystone and documents of versions.
    pub fn is_limited(&self) -> bool {
        let is_version = ["/v3/?", "/v2.1/?"].iter().any(|root| self.what.ends_with(root));
        !is_version && !self.what.contains("/identity/")
    }

    /// Whether it's a list of what changed, of what is new, or of what has a status.
    pub fn serves_many(&self) -> bool {
        ["updated_at", "?created_at", "status="].iter().any(|query| self.what.contains(query))
    }
}

#[derive(Clone, Default)]
pub struct Traffic(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    sent: Vec<Sent>,
    rpcs: usize,
    idle_since: Option<Instant>,
}

/// An RPC that is under way.
pub struct Served(Traffic);

impl Traffic {
    pub fn serve(&self) -> Served {
        let mut state = self.0.lock().unwrap();
        state.rpcs += 1;
        Served(self.clone())
    }

    /// Whether an RPC is under way.
    pub fn is_serving(&self) -> bool {
        self.0.lock().unwrap().rpcs > 0
    }

    /// Which of the requests it is.
    pub fn send(&self, request: &Request<Bytes>) -> usize {
        let mut state = self.0.lock().unwrap();
        let now = Instant::now();
        let idle = state.idle_since.filter(|_| state.rpcs == 0).map_or(Duration::ZERO, |since| now - since);
        let method = request.method().clone();
        let (task, deadline) = (tokio::task::try_id(), pace::deadline());
        state.sent.push(Sent { at: now, task, method, what: what(request), deadline, idle, answered: None });
        state.sent.len() - 1
    }

    pub fn answer(&self, number: usize, status: u16) {
        self.0.lock().unwrap().sent[number].answered = Some((Instant::now(), status));
    }

    pub fn sent(&self) -> Vec<Sent> {
        self.0.lock().unwrap().sent.clone()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let mut state = self.0.0.lock().unwrap();
        state.rpcs -= 1;
        state.idle_since = Some(Instant::now());
    }
}

fn what(request: &Request<Bytes>) -> String {
    let query = request.uri().query().unwrap_or_default();
    let parts = query.split('&').map(|part| part.split_once("=gte").map_or(part, |(name, _)| name));
    format!("{} {}?{}", request.method(), request.uri().path(), parts.collect::<Vec<_>>().join("&"))
}
