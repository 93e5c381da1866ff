//! The real gRPC server in front of a simulated cloud, and its clients.

#![allow(dead_code, reason = "each test crate uses its part of the bed")]
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::BTreeMap;
use std::future::{pending, ready};
use std::io;
use std::sync::Arc;

use cinder_csi::csi::proto::controller_client::ControllerClient;
use cinder_csi::csi::proto::group_controller_client::GroupControllerClient;
use cinder_csi::csi::proto::identity_client::IdentityClient;
use cinder_csi::csi::proto::node_client::NodeClient;
use cinder_csi::csi::{
    Clouds, Controller, ControllerSettings, Endpoint, Identity, NodeService, NodeSettings, Services,
    Topology, serve, serve_connections,
};
use cinder_csi::node::{self, Linux, Node, Whoami};
use cinder_csi::volume::Volumes;
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::{Channel, Uri};
use tower::service_fn;

pub struct Driver {
    channel: Channel,
    /// The socket's directory, as long as it is needed.
    _directory: Option<tempfile::TempDir>,
}

impl Driver {
    /// Over a unix socket.
    ///
    /// For real time: tokio's paused clock runs on while a byte is in a socket, because it can't see that one is.
    pub async fn on_socket(volumes: Volumes) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("csi.sock");
        let endpoint = Endpoint::Unix(path.clone());
        let services = services([(String::new(), volumes)].into(), false, directory.path());
        tokio::spawn(async move { serve(&endpoint, services, pending()).await });
        while !path.exists() {
            tokio::task::yield_now().await;
        }
        let connector = service_fn(move |_: Uri| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        });
        let channel = tonic::transport::Endpoint::from_static("http://driver.test");
        Self { channel: channel.connect_with_connector_lazy(connector), _directory: Some(directory) }
    }

    /// Over connections in memory.
    ///
    /// For paused time: whatever is under way there is a task that is awake, so the clock moves only when all wait.
    pub fn in_memory(volumes: Volumes) -> Self {
        Self::over([(String::new(), volumes)].into(), false)
    }

    /// As [`Self::in_memory`], over several clouds, and with or without `--list-only-cluster`.
    pub fn over(clouds: BTreeMap<String, Volumes>, list_only_cluster: bool) -> Self {
        let (accept, connections) = mpsc::unbounded_channel::<io::Result<DuplexStream>>();
        let services = services(clouds, list_only_cluster, std::path::Path::new("/nowhere"));
        let served = serve_connections(UnboundedReceiverStream::new(connections), services, pending());
        tokio::spawn(served);
        let connector = service_fn(move |_: Uri| {
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            let accepted = accept.send(Ok(theirs)).map_err(|_| io::ErrorKind::ConnectionRefused.into());
            ready(accepted.map(|()| TokioIo::new(ours)) as io::Result<_>)
        });
        let channel = tonic::transport::Endpoint::from_static("http://driver.test");
        Self { channel: channel.connect_with_connector_lazy(connector), _directory: None }
    }

    pub fn controller(&self) -> ControllerClient<Channel> {
        ControllerClient::new(self.channel.clone())
    }

    pub fn groups(&self) -> GroupControllerClient<Channel> {
        GroupControllerClient::new(self.channel.clone())
    }

    pub fn node(&self) -> NodeClient<Channel> {
        NodeClient::new(self.channel.clone())
    }

    pub fn identity(&self) -> IdentityClient<Channel> {
        IdentityClient::new(self.channel.clone())
    }
}

/// A Controller and a Node whose disks would be linked in `devices`.
fn services(
    clouds: BTreeMap<String, Volumes>,
    list_only_cluster: bool,
    devices: &std::path::Path,
) -> Services {
    let topology = Topology { enabled: true, ..Topology::default() };
    let settings = ControllerSettings {
        cluster: "kubernetes".to_owned(),
        topology: topology.clone(),
        list_only_cluster,
        ..ControllerSettings::default()
    };
    let clouds = Clouds::new(clouds);
    let node = Node::new(
        Arc::new(Linux::default()),
        node::Settings { device_dir: devices.to_owned(), rescan_on_resize: false },
    );
    let whoami = Whoami {
        server: Some("11111111-2222-4333-8444-555555555555".to_owned()),
        order: Vec::new(),
        metadata_url: "http://127.0.0.1:9".to_owned(),
        timeout: std::time::Duration::from_secs(1),
        ..Whoami::default()
    };
    Services {
        identity: Identity { topology: topology.clone() },
        controller: Some(Controller::new(clouds, settings)),
        node: Some(NodeService::new(node, NodeSettings { whoami, topology, attach_limit: 26 })),
        health: None,
    }
}
