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
    attaches: Vec<Attach>,
    rpcs: usize,
    idle_since: Option<Instant>,
}

/// An attach that was asked for.
struct Attach {
    volume: String,
    server: String,
    /// Which of the requests it is.
    number: usize,
}

/// The driver awaits an answer for so long, and what a gateway gave up.
const AWAITED: Duration = Duration::from_secs(600);
const DOUBTED: Duration = Duration::from_secs(120);

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
        let number = state.sent.len() - 1;
        state.attaches.extend(attach(request, number));
        number
    }

    /// Whether it has asked for this attach, and has to know that it may still come.
    pub fn may_bring(&self, volume: &str, server: &str) -> bool {
        let state = self.0.lock().unwrap();
        let mut asked = state.attaches.iter().filter(|one| one.volume == volume && one.server == server);
        asked.any(|attach| {
            let sent = &state.sent[attach.number];
            match sent.answered {
                Some((at, _)) => at.elapsed() < DOUBTED,
                None => sent.at.elapsed() < AWAITED,
            }
        })
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

fn attach(request: &Request<Bytes>, number: usize) -> Option<Attach> {
    let path: Vec<_> = request.uri().path().split('/').collect();
    let [.., "servers", server, "os-volume_attachments"] = path.as_slice() else { return None };
    let body: serde_json::Value = serde_json::from_slice(request.body()).ok()?;
    let volume = body["volumeAttachment"]["volumeId"].as_str()?.to_owned();
    Some(Attach { volume, server: server.to_string(), number })
}

fn what(request: &Request<Bytes>) -> String {
    let query = request.uri().query().unwrap_or_default();
    let parts = query.split('&').map(|part| part.split_once("=gte").map_or(part, |(name, _)| name));
    format!("{} {}?{}", request.method(), request.uri().path(), parts.collect::<Vec<_>>().join("&"))
}
