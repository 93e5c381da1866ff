//! The Kubernetes API, where there is one: what a PVC is annotated with, Events, and this node's taints and attachments.
//!
//! Everything here is optional. Without the API the driver makes, attaches and mounts volumes as with it; and in a build
//! without the feature `k8s` there is never an API.

#[cfg(not(feature = "k8s"))]
mod absent;
#[cfg(feature = "k8s")]
mod client;
pub mod drain;
#[cfg(feature = "k8s")]
mod error;
mod events;
pub mod startup;

#[cfg(not(feature = "k8s"))]
pub use absent::Kubernetes;
#[cfg(feature = "k8s")]
pub use client::Kubernetes;
pub use events::{Events, Object, Report, Severity};

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use crate::pace::Backoff;

/// Where the API is, and how often it may be asked: the meaning is client-go's `BuildConfigFromFlags` and its
/// `rest.Config` (<https://github.com/kubernetes/client-go/blob/master/rest/config.go>).
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `KUBECONFIG` or `--kubeconfig`; without it and without `master` the API is the one of the cluster that the pod is in.
    pub kubeconfig: Option<PathBuf>,
    /// `--master`: the API's URL, over the one in the kubeconfig.
    pub master: Option<String>,
    /// Requests a second in the long run; without limit where negative.
    pub qps: f32,
    /// Requests at once.
    pub burst: u32,
}

/// A PersistentVolumeClaim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    pub uid: String,
    pub annotations: BTreeMap<String, String>,
    /// The PersistentVolume that it is bound to.
    pub volume: Option<String>,
}

/// A PersistentVolume, as far as it is a volume of Cinder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Persistent {
    /// The CSI driver that made it, or the in-tree plugin that it came from.
    pub driver: String,
    /// The volume's id there.
    pub handle: String,
}

/// The Pod that this process is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    pub namespace: String,
    pub name: String,
    /// Asked for where it isn't known.
    pub uid: Option<String>,
}

/// A Node, as far as Pods may come to it and it may go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    pub is_unschedulable: bool,
    pub is_deleted: bool,
    /// The keys, in the API's order.
    pub taints: Vec<String>,
}

/// A driver in a CSINode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// How many volumes the scheduler may send.
    pub limit: Option<u32>,
}

/// Why there is no API.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Absent {
    /// Nobody said where it is: the driver goes on without it.
    #[error("{0}")]
    NotConfigured(String),
    /// What was said can't be used.
    #[error("{0}")]
    Unusable(String),
}

/// Why the API didn't answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// It can't be asked now.
    #[error("{0}")]
    Unavailable(String),
    /// It doesn't let us ask: the role lacks a rule.
    #[error("{0}")]
    Denied(String),
}

pub type Result<T> = std::result::Result<T, Error>;

/// How often somebody who waits for the API's objects to change asks for them.
fn looks() -> Backoff {
    Backoff::new(Duration::from_secs(1), Duration::from_secs(10))
}

impl Default for Settings {
    /// client-go's defaults.
    fn default() -> Self {
        Self { kubeconfig: None, master: None, qps: 5.0, burst: 10 }
    }
}
