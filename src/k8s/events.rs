//! Events on PVCs and on our own Pod: what `kubectl describe` shows.
//!
//! Reporting never waits and never fails: what the API doesn't take is dropped. An Event that repeats is counted, not
//! made again, as <https://github.com/kubernetes/client-go/blob/master/tools/record/events_cache.go> has it.

#[cfg(feature = "k8s")]
mod book;
#[cfg(feature = "k8s")]
mod shape;
#[cfg(feature = "k8s")]
mod writer;

use tokio::sync::mpsc;

use super::Kubernetes;

/// More than this wait only where the API doesn't answer.
#[cfg(feature = "k8s")]
const WAITING: usize = 256;

/// What an Event is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Object {
    /// A PVC's name.
    Claim(String),
    /// A Pod's name, and its uid where it's known.
    Pod(String, Option<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Severity {
    Normal,
    Warning,
}

/// An Event to be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Report {
    pub namespace: String,
    pub object: Object,
    pub severity: Severity,
    /// CamelCase, and always the same for the same trouble.
    pub reason: String,
    /// For people. A message that changes with each look makes a new Event each time: keep numbers out of it.
    pub message: String,
}

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Events {
    queue: mpsc::Sender<Report>,
}

impl Events {
    /// Inside a tokio runtime: the Events are written by a task that ends with the last clone.
    #[cfg(feature = "k8s")]
    pub fn new(kubernetes: Kubernetes) -> Self {
        let (queue, reports) = mpsc::channel(WAITING);
        tokio::spawn(writer::write(kubernetes, reports));
        Self { queue }
    }

    #[cfg(not(feature = "k8s"))]
    pub fn new(kubernetes: Kubernetes) -> Self {
        match kubernetes {}
    }

    /// Queues the report. The same one again within ten minutes changes nothing.
    pub fn tell(&self, report: Report) {
        if let Err(error) = self.queue.try_send(report) {
            dropped("the queue is full");
            tracing::debug!(%error, "an Event is dropped");
        }
    }
}

impl Object {
    pub fn name(&self) -> &str {
        let (Object::Claim(name) | Object::Pod(name, _)) = self;
        name
    }
}

fn dropped(why: &'static str) {
    metrics::counter!("cinder_csi_events_dropped_total", "why" => why).increment(1);
}
