//! The flags of `cinder-csi pre-stop`.

use std::time::Duration;

use clap::Args;

use super::{Exit, flags, kubernetes};
use crate::config::Source;
use crate::k8s::Settings;

/// Before the driver of a node ends: wait for the node's detaches, if the node is being drained; fails if volumes are still attached at the end
#[derive(Debug, Args)]
pub struct PreStopFlags {
    /// How long to wait at most: less than the Pod's terminationGracePeriodSeconds
    #[arg(long, value_name = "TIME", value_parser = flags::duration, default_value = "25s")]
    timeout: Duration,

    #[command(flatten)]
    kubernetes: kubernetes::Flags,
}

/// Wait for a node's detaches.
#[derive(Clone, Debug, PartialEq)]
pub struct PreStop {
    pub node: String,
    pub timeout: Duration,
    pub kubernetes: Settings,
}

impl PreStopFlags {
    pub fn finish(self, source: &dyn Source) -> Result<PreStop, Exit> {
        Ok(PreStop {
            node: kubernetes::node_name("pre-stop", source)?,
            timeout: self.timeout,
            kubernetes: self.kubernetes.settings(source),
        })
    }
}
