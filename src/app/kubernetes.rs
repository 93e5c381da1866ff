//! The Kubernetes API, if this process was told of one and has a use for it.

use tracing::{info, warn};

use super::Failure;
use crate::cli::Serve;
use crate::config;
use crate::csi::{DRIVER, Registration};
use crate::k8s::startup::Startup;
use crate::k8s::{Absent, Kubernetes};

pub fn connect(options: &Serve) -> Result<Option<Kubernetes>, Failure> {
    if !options.controller && options.startup_taint.is_none() {
        return Ok(None);
    }
    match Kubernetes::connect(&options.kubernetes) {
        Ok(kubernetes) => Ok(Some(kubernetes)),
        Err(Absent::NotConfigured(why)) if options.startup_taint.is_some() => {
            Err(unusable(format!("--startup-taint needs the Kubernetes API, but {why}")))
        }
        Err(Absent::NotConfigured(why)) => {
            if options.pvc_annotations {
                warn!(
                    "--pvc-annotations is off, and volumes are placed without the annotations of their PVCs: {why}"
                );
            }
            Ok(None)
        }
        Err(Absent::Unusable(message)) => Err(unusable(message)),
    }
}

/// `--startup-taint`.
pub fn startup(options: &Serve, kubernetes: Option<&Kubernetes>) -> Option<Startup> {
    let (taint, kubernetes) = options.startup_taint.clone().zip(kubernetes.cloned())?;
    Some(Startup { kubernetes, node: taint.node, driver: DRIVER, key: taint.key })
}

/// A CSINode may list the driver from before the node was started anew: where the kubelet tells us, it's waited for.
pub fn welcome(startup: Startup, registration: Option<&Registration>) {
    let done = registration.map(Registration::done);
    tokio::spawn(async move {
        if let Some(done) = done {
            info!(taint = startup.key, "the taint stays until the kubelet has registered the driver");
            done.await;
        }
        startup.run().await;
    });
}

fn unusable(message: String) -> Failure {
    config::Error { place: None, message }.into()
}
