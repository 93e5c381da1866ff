//! The controller: its clouds, and what goes on beside its RPCs.

use std::sync::Arc;

use tracing::warn;

use super::Failure;
use super::clouds::Clouds;
use super::seams::Seams;
use crate::cli::Serve;
use crate::config::{self, Source};
use crate::csi::{Access, Annotations, Controller, ControllerSettings, Topology};
use crate::k8s::{Events, Kubernetes};

pub fn new(
    options: &Serve,
    source: Arc<dyn Source>,
    seams: Seams,
    topology: &Topology,
    kubernetes: Option<Kubernetes>,
) -> Result<(Controller, Access), Failure> {
    warn_of_lists(options);
    let clouds = Clouds::connect(source, seams, request(options))?;
    let volumes = clouds.volumes();
    let events = kubernetes.clone().map(Events::new);
    let access = Access::new(volumes.clone(), events.clone().zip(options.pod.clone()));
    tokio::spawn(clouds.keep_current(volumes.clone(), access.clone()));
    let settings = ControllerSettings {
        cluster: options.cluster.clone(),
        topology: topology.clone(),
        list_only_cluster: options.list_only_cluster,
        strict_parameters: options.strict_parameters,
    };
    let controller = Controller::new(volumes, settings);
    look_after(&controller, events, options);
    let controller = match kubernetes {
        Some(kubernetes) if options.pvc_annotations => {
            controller.with_annotations(Annotations::new(kubernetes))
        }
        _ => controller,
    };
    Ok((controller, access))
}

fn request(options: &Serve) -> config::Request {
    config::Request {
        files: options.cloud_config.clone(),
        clouds: options.cloud_names.clone(),
        cloud: options.cloud.clone(),
        user_agent: options.user_agent.clone(),
    }
}

fn warn_of_lists(options: &Serve) {
    if options.list_only_cluster {
        warn!(
            "--list-only-cluster: ListVolumes omits volumes without the metadata {}={:?}. The external-attacher takes what is \
             omitted for detached and attaches it again and again: use it only where every PV was made with this --cluster",
            crate::volume::CLUSTER,
            options.cluster
        );
    }
}

/// Somebody must be there to be told: who reads the metrics, or the Kubernetes API.
fn look_after(controller: &Controller, events: Option<Events>, options: &Serve) {
    if !options.health_interval.is_zero() && (events.is_some() || options.http_endpoint.is_some()) {
        tokio::spawn(controller.rounds(events).run(options.health_interval));
    }
}
