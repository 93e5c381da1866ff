//! The only wiring: settings become clients, clients become services, services are served.

mod clouds;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use crate::cli::Serve;
use crate::config::{self, Source};
use crate::csi::{
    Annotations, Controller, ControllerSettings, Endpoint, Identity, NodeService, NodeSettings, Registration,
    Services, Topology, ZoneMap,
};
use crate::k8s::{Absent, Events, Kubernetes};
use crate::node::{self, Linux, Node, Whoami, ZoneMemory};
use crate::pace::Deadline;
use crate::telemetry;
use clouds::Clouds;

/// Kubernetes kills a pod 30 s after it asked it to end:
/// <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination>.
const DRAIN: Duration = Duration::from_secs(25);

/// Why the process can't serve.
#[derive(Debug, Error)]
pub enum Failure {
    #[error("{0}")]
    Settings(#[from] config::Error),
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Failure {
    /// Restarting with settings that can't be used doesn't help.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Settings(_) => config::Error::EXIT,
            Failure::Io(_) => 1,
        }
    }
}

/// The driver that the options ask for.
pub struct Driver {
    endpoint: Endpoint,
    services: Services,
    node: Node,
    registration: Option<Registration>,
}

impl Driver {
    /// Reads the settings and calls nobody. Inside a tokio runtime.
    pub fn new(options: &Serve, source: Arc<dyn Source>) -> Result<Self, Failure> {
        let settings = config::NodeSettings::load(source.as_ref(), &options.cloud_config)?;
        if !options.controller {
            for warning in &settings.warnings {
                warn!("{warning}");
            }
        }
        let topology = Topology {
            enabled: options.with_topology,
            additional: options.additional_topology.clone(),
            ignore_volume_zone: settings.block_storage.ignore_volume_az,
            zone_map: ZoneMap::new(settings.block_storage.zone_map.clone()),
        };
        let controller =
            if options.controller { Some(controller(options, source, topology.clone())?) } else { None };
        let node = Node::new(Arc::new(Linux::default()), disks(options, &settings));
        let identity = Identity { topology: topology.clone() };
        let service = NodeService::new(node.clone(), node_settings(options, &settings, topology));
        let services = Services { identity, controller, node: options.node.then_some(service) };
        let registration = options.registration.clone().filter(|_| options.node);
        let registration = registration.map(|(socket, folder)| Registration::new(socket, folder));
        Ok(Self { endpoint: options.endpoint.clone(), services, node, registration })
    }

    /// Serves CSI until `stop`, then ends what is under way.
    pub async fn run(self, stop: impl Future<Output = ()>) -> io::Result<()> {
        let Self { endpoint, services, node, registration } = self;
        let stop = stop.shared();
        let registered = async {
            match registration {
                Some(registration) => crate::csi::register(registration, stop.clone()).await,
                None => Ok(()),
            }
        };
        let served = crate::csi::serve(&endpoint, services, stop.clone());
        let served = async { futures_util::future::try_join(served, registered).await.map(drop) };
        drain(served, stop.clone(), &node).await
    }
}

/// Serves CSI until the process is told to end, then ends what is under way.
pub async fn serve(
    options: Serve,
    source: Arc<dyn Source>,
    metrics: telemetry::Metrics,
) -> Result<(), Failure> {
    if let Some(address) = &options.http_endpoint {
        let listener = telemetry::bind(address).await?;
        tokio::spawn(telemetry::serve(listener, metrics, || true));
    }
    Driver::new(&options, source)?.run(told_to_end()?).await?;
    Ok(())
}

/// Ends when the process gets SIGTERM or SIGINT.
pub fn told_to_end() -> io::Result<impl Future<Output = ()>> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    })
}

/// A second limit to the orderly end: a sidecar that keeps its connection open must not keep the process.
async fn drain(
    served: impl Future<Output = io::Result<()>>,
    stop: impl Future<Output = ()>,
    node: &Node,
) -> io::Result<()> {
    let mut served = std::pin::pin!(served);
    tokio::select! {
        result = &mut served => return result,
        () = stop => info!("ending: no new calls, those under way have {DRAIN:?}"),
    }
    let deadline = Deadline::after(DRAIN);
    if tokio::time::timeout(deadline.remaining(), served).await.is_err() {
        warn!("calls were still under way at the end: the next process finds their work in the cloud");
    }
    if !node.idle(deadline).await {
        warn!(
            "work on a disk was still under way at the end: the next NodeStageVolume looks at the disk anew"
        );
    }
    Ok(())
}

fn controller(options: &Serve, source: Arc<dyn Source>, topology: Topology) -> Result<Controller, Failure> {
    let request = config::Request {
        files: options.cloud_config.clone(),
        clouds: options.cloud_names.clone(),
        cloud: options.cloud.clone(),
        user_agent: options.user_agent.clone(),
    };
    if options.list_only_cluster {
        warn!(
            "--list-only-cluster: ListVolumes omits volumes without the metadata {}={:?}. The external-attacher takes what is \
             omitted for detached and attaches it again and again: use it only where every PV was made with this --cluster",
            crate::volume::CLUSTER,
            options.cluster
        );
    }
    let kubernetes = kubernetes(options)?;
    let clouds = Clouds::connect(source, request)?;
    let volumes = clouds.volumes();
    tokio::spawn(clouds.keep_current(volumes.clone()));
    let settings = ControllerSettings {
        cluster: options.cluster.clone(),
        topology,
        list_only_cluster: options.list_only_cluster,
        strict_parameters: options.strict_parameters,
    };
    let controller = Controller::new(volumes, settings);
    look_after(&controller, kubernetes.clone(), options);
    Ok(match kubernetes {
        Some(kubernetes) if options.pvc_annotations => {
            controller.with_annotations(Annotations::new(kubernetes))
        }
        _ => controller,
    })
}

/// The Kubernetes API, if this process was told of one.
fn kubernetes(options: &Serve) -> Result<Option<Kubernetes>, Failure> {
    match Kubernetes::connect(&options.kubernetes) {
        Ok(kubernetes) => Ok(Some(kubernetes)),
        Err(Absent::NotConfigured(why)) => {
            if options.pvc_annotations {
                warn!(
                    "--pvc-annotations is off, and volumes are placed without the annotations of their PVCs: {why}"
                );
            }
            Ok(None)
        }
        Err(Absent::Unusable(message)) => Err(config::Error { place: None, message }.into()),
    }
}

/// Somebody must be there to be told: who reads the metrics, or the Kubernetes API.
fn look_after(controller: &Controller, kubernetes: Option<Kubernetes>, options: &Serve) {
    if !options.health_interval.is_zero() && (kubernetes.is_some() || options.http_endpoint.is_some()) {
        let events = kubernetes.map(Events::new);
        tokio::spawn(controller.rounds(events).run(options.health_interval));
    }
}

fn disks(options: &Serve, settings: &config::NodeSettings) -> node::Settings {
    node::Settings {
        device_dir: options.device_dir.clone(),
        rescan_on_resize: settings.block_storage.rescan_on_resize,
    }
}

/// Beside the socket, which is in the plugin's directory of the kubelet: that outlives the Pod.
fn zone_file(endpoint: &Endpoint) -> Option<PathBuf> {
    match endpoint {
        Endpoint::Unix(socket) => Some(socket.with_file_name("zone.json")),
        Endpoint::Tcp(_) => None,
    }
}

fn node_settings(options: &Serve, settings: &config::NodeSettings, topology: Topology) -> NodeSettings {
    NodeSettings {
        whoami: Whoami {
            server: options.node_id.clone(),
            order: settings.metadata.search_order.clone(),
            metadata_url: options.metadata_url.clone(),
            timeout: settings.metadata.request_timeout,
            zone: ZoneMemory { file: zone_file(&options.endpoint), pinned: options.pin_zone },
        },
        topology,
        attach_limit: settings.block_storage.node_volume_attach_limit.unwrap_or(config::ATTACH_LIMIT),
    }
}
