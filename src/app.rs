//! The only wiring: settings become clients, clients become services, services are served.

mod check;
mod clouds;
mod controller;
mod kubernetes;
mod pre_stop;
mod seams;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use crate::cli::Serve;
use crate::config::{self, Source};
use crate::csi::grpc_health::health_server::HealthServer;
use crate::csi::{
    Access, Endpoint, Health, Identity, Liveness, NodeService, NodeSettings, Readiness, Registration,
    Services, Topology, ZoneMap,
};
use crate::k8s::startup::Startup;
use crate::node::{self, Node, Whoami, ZoneMemory};
use crate::pace::Deadline;
use crate::telemetry::{self, Measure};
pub use check::check;
pub use pre_stop::pre_stop;
use seams::Seams;

/// Kubernetes kills a pod 30 s after it asked it to end:
/// <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination>.
const DRAIN: Duration = Duration::from_secs(25);

/// Why the process can't do its work.
#[derive(Debug, Error)]
pub enum Failure {
    #[error("{0}")]
    Settings(#[from] config::Error),
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Volumes are still attached, or nobody knows.
    #[error("pre-stop: {0}")]
    PreStop(String),
}

impl Failure {
    /// Restarting with settings that can't be used doesn't help.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Settings(_) => config::Error::EXIT,
            Failure::Io(_) | Failure::PreStop(_) => 1,
        }
    }
}

/// The driver that the options ask for.
pub struct Driver {
    endpoint: Endpoint,
    services: Services,
    node: Node,
    registration: Option<Registration>,
    liveness: Liveness,
    /// Of a controller.
    access: Option<Access>,
    startup: Option<Startup>,
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
        let kubernetes = kubernetes::connect(options)?;
        let startup = kubernetes::startup(options, kubernetes.as_ref());
        let seams = Seams::new(source.as_ref());
        let host = seams.host();
        let (controller, access) = match options.controller {
            true => {
                let (controller, access) = controller::new(options, source, seams, &topology, kubernetes)?;
                (Some(controller), Some(access))
            }
            false => (None, None),
        };
        let node = Node::new(host, disks(options, &settings));
        let identity = Identity { topology: topology.clone() };
        let service = NodeService::new(node.clone(), node_settings(options, &settings, topology));
        let services = Services { identity, controller, node: options.node.then_some(service), health: None };
        let registration = options.registration.clone().filter(|_| options.node);
        let registration = registration.map(|(socket, folder)| Registration::new(socket, folder));
        let endpoint = options.endpoint.clone();
        let liveness = Liveness::new(endpoint.clone());
        Ok(Self { endpoint, services, node, registration, liveness, access, startup })
    }

    /// What the HTTP endpoint is asked.
    fn answers(&self) -> telemetry::Answers {
        let (liveness, readiness) = (self.liveness.clone(), self.readiness());
        let health = self.health(std::future::pending());
        telemetry::Answers {
            live: Arc::new(move || {
                let liveness = liveness.clone();
                let answer = async move { liveness.ask().await };
                answer.map(|answer| answer.map(|()| String::new()).map_err(|why| why + "\n")).boxed()
            }),
            ready: Arc::new(move || readiness.summary()),
            grpc: telemetry::Grpc::new(HealthServer::new(health)),
            measure: measure(self.services.node.clone()),
        }
    }

    fn readiness(&self) -> Readiness {
        Readiness { access: self.access.clone(), registration: self.registration.clone() }
    }

    fn health(&self, stop: impl Future<Output = ()> + Send + 'static) -> Health {
        Health::new(self.liveness.clone(), self.readiness(), stop)
    }

    /// Serves CSI until `stop`, then ends what is under way.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        let stop = stop.boxed().shared();
        let health = self.health(stop.clone());
        let Self { endpoint, mut services, node, registration, access, startup, .. } = self;
        services.health = Some(health);
        let _ = access.map(|access| tokio::spawn(access.run()));
        if let Some(startup) = startup {
            kubernetes::welcome(startup, registration.as_ref());
        }
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
    let listener = match &options.http_endpoint {
        Some(address) => Some(telemetry::bind(address).await?),
        None => None,
    };
    let driver = Driver::new(&options, source)?;
    if let Some(listener) = listener {
        tokio::spawn(telemetry::serve(listener, metrics, driver.answers()));
    }
    driver.run(told_to_end()?).await?;
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

/// What is counted only when the metrics are asked for.
fn measure(node: Option<NodeService>) -> Measure {
    Arc::new(move || {
        let node = node.clone();
        async move {
            let tasks = Handle::current().metrics().num_alive_tasks();
            metrics::gauge!("cinder_csi_tasks").set(tasks as f64);
            if let Some(node) = node {
                node.measure().await;
            }
        }
        .boxed()
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
