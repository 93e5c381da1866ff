//! The gRPC server: a socket, and the layers that every RPC passes.

mod line;
mod rpc;
mod socket;

use std::fmt;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_stream::Stream;
use tokio_stream::wrappers::{TcpListenerStream, UnixListenerStream};
use tonic::transport::Server;
use tonic::transport::server::Connected;
use tracing::{info, warn};

pub use rpc::about;

use super::grpc_health::health_server::HealthServer;
use super::kubelet::registration_server::RegistrationServer;
use super::proto::controller_server::ControllerServer;
use super::proto::group_controller_server::GroupControllerServer;
use super::proto::identity_server::IdentityServer;
use super::proto::node_server::NodeServer;
use super::{Controller, Health, Identity, NodeService, Registration};

/// RPCs at a time on one connection; more wait at the caller. h2 charges each small message that isn't read yet up to 256
/// bytes, and closes the connection, with all its RPCs, where the charges exceed half the connection's window
/// (<https://docs.rs/h2/latest/h2/server/struct.Builder.html#method.data_frame_budget>).
const STREAMS: u32 = 8192;
const WINDOW: u32 = 2 * 256 * STREAMS;

/// Where the orchestrator finds the driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Unix(PathBuf),
    /// HOST:PORT.
    Tcp(String),
}

/// What is served there.
#[derive(Clone)]
pub struct Services {
    pub identity: Identity,
    pub controller: Option<Controller>,
    pub node: Option<NodeService>,
    pub health: Option<Health>,
}

impl Endpoint {
    /// `unix://csi/csi.sock` means /csi/csi.sock, as the existing driver's manifests write it.
    pub fn parse(url: &str) -> Result<Self, &'static str> {
        let wrong = "is neither unix:///PATH nor tcp://HOST:PORT with a PORT up to 65535";
        let (scheme, rest) = url.split_once("://").ok_or(wrong)?;
        match scheme.to_ascii_lowercase().as_str() {
            "unix" if !rest.trim_matches('/').is_empty() => {
                Ok(Self::Unix(PathBuf::from(format!("/{}", rest.trim_start_matches('/')))))
            }
            "tcp" if rest.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) => {
                Ok(Self::Tcp(rest.to_owned()))
            }
            _ => Err(wrong),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Unix(path) => write!(f, "{}", path.display()),
            Endpoint::Tcp(address) => f.write_str(address),
        }
    }
}

/// Serves until `stop`, then until the RPCs under way have ended.
pub async fn serve(
    endpoint: &Endpoint,
    services: Services,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let (controller, node) = (services.controller.is_some(), services.node.is_some());
    let announce = || info!(?endpoint, controller, node, "serving CSI");
    let mount = "mount the kubelet's folder of the driver, or the one shared with the sidecars,";
    let failed = |error| cant_listen("--endpoint", endpoint, mount, error);
    match endpoint {
        Endpoint::Unix(path) => {
            let (listener, own) = socket::bind(path).map_err(failed)?;
            announce();
            let served = serve_connections(UnixListenerStream::new(listener), services, stop).await;
            socket::remove(path, own)?;
            served
        }
        Endpoint::Tcp(address) => {
            let listener = TcpListener::bind(address).await.map_err(failed)?;
            announce();
            serve_connections(TcpListenerStream::new(listener), services, stop).await
        }
    }
}

/// As [`serve`], on connections from anywhere: a test's are in memory, where paused time waits for no kernel.
pub async fn serve_connections<C>(
    connections: impl Stream<Item = io::Result<C>>,
    services: Services,
    stop: impl Future<Output = ()>,
) -> io::Result<()>
where
    C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
{
    Server::builder()
        .max_concurrent_streams(STREAMS)
        .initial_connection_window_size(WINDOW)
        .layer(rpc::RpcLayer)
        .add_service(IdentityServer::new(services.identity))
        .add_optional_service(services.controller.clone().map(GroupControllerServer::new))
        .add_optional_service(services.controller.map(ControllerServer::new))
        .add_optional_service(services.node.map(NodeServer::new))
        .add_optional_service(services.health.map(HealthServer::new))
        .serve_with_incoming_shutdown(connections, stop)
        .await
        .map_err(io::Error::other)
}

/// Tells the kubelet of the driver until `stop`.
pub async fn register(registration: Registration, stop: impl Future<Output = ()>) -> io::Result<()> {
    let (path, registrars) = (registration.socket(), registration.registrars());
    let mount = "mount the kubelet's folder plugins_registry";
    let failed = |path: &Path, error| {
        cant_listen("--plugin-registration-path", &Endpoint::Unix(path.to_owned()), mount, error)
    };
    socket::clear(&registrars).map_err(|error| failed(&registrars, error))?;
    let (listener, own) = socket::bind(&path).map_err(|error| failed(&path, error))?;
    // The kubelet forgets a driver whose socket goes, whoever still holds a connection.
    let gone = async {
        stop.await;
        if let Err(error) = socket::remove(&path, own) {
            warn!(%error, path = %path.display(), "the socket for the kubelet is left");
        }
    };
    let server = Server::builder().add_service(RegistrationServer::new(registration));
    let served = server.serve_with_incoming_shutdown(UnixListenerStream::new(listener), gone).await;
    served.map_err(io::Error::other)
}

/// `mount`: what to do where the folder of the socket isn't there.
fn cant_listen(flag: &str, place: &Endpoint, mount: &str, error: io::Error) -> io::Error {
    let folder = match place {
        Endpoint::Unix(path) if error.kind() == io::ErrorKind::NotFound => path.parent(),
        _ => None,
    };
    let next = folder.map(|folder| format!("; {mount} at {}", folder.display())).unwrap_or_default();
    io::Error::new(error.kind(), format!("{flag}: can't listen on {place}: {error}{next}"))
}
