//! `cinder-csi pre-stop`: what the node's Pod runs before its driver ends.

use super::Failure;
use crate::cli::PreStop;
use crate::config;
use crate::csi::DRIVER;
use crate::k8s::Kubernetes;
use crate::k8s::drain::Drain;
use crate::pace::Deadline;

/// Waits for this node's detaches where it's being taken away. The kubelet drops the output of a hook that succeeds: what the
/// cluster's people should know is an error. The Pod ends all the same.
pub async fn pre_stop(options: PreStop, say: impl Fn(&str)) -> Result<(), Failure> {
    let kubernetes = Kubernetes::connect(&options.kubernetes).map_err(|absent| config::Error {
        place: None,
        message: format!("pre-stop needs the Kubernetes API, but {absent}"),
    })?;
    let drain = Drain { kubernetes, node: options.node, driver: DRIVER };
    drain.wait(Deadline::after(options.timeout), say).await.map_err(Failure::PreStop)
}
