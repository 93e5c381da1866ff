//! The real gRPC server in memory, which is sent messages as bytes.

#[path = "../../bed/bug.rs"]
mod bug;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use cinder_csi::csi::{
    Clouds, Controller, ControllerSettings, Identity, NodeService, NodeSettings, Services, Topology,
    serve_connections,
};
use cinder_csi::node::{self, Host, Node, Whoami};
use cinder_csi::openstack::{Cloud, Credential, Http, Options, Scope, User, UserDomain};
use cinder_csi::volume::Volumes;
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Request, Status};

use super::assert_readable;

pub const SERVER: &str = "565a704c-1cc8-4653-af53-6e8bc1dc4022";

/// How long each caller waits.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Driver(Channel);

impl Driver {
    pub fn new(http: Http, host: impl Host) -> Self {
        let (accept, connections) = mpsc::unbounded_channel::<io::Result<DuplexStream>>();
        let connections = UnboundedReceiverStream::new(connections);
        tokio::spawn(serve_connections(connections, services(http, host), std::future::pending()));
        let connector = tower::service_fn(move |_: Uri| {
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            let accepted = accept.send(Ok(theirs)).map_err(|_| io::ErrorKind::ConnectionRefused.into());
            std::future::ready(accepted.map(|()| TokioIo::new(ours)) as io::Result<_>)
        });
        Self(Endpoint::from_static("http://driver.test").connect_with_connector_lazy(connector))
    }

    /// Sends any bytes as the message of an RPC such as `Controller/CreateVolume`. What comes back is an answer, or an
    /// error that can be read and is no bug's.
    pub async fn call(&self, rpc: &str, message: &[u8]) -> Result<Bytes, Status> {
        let mut client = tonic::client::Grpc::new(self.0.clone());
        client.ready().await.expect("the driver serves");
        let path = format!("/csi.v1.{rpc}").parse().expect("a path");
        let mut request = Request::new(Bytes::copy_from_slice(message));
        request.set_timeout(PATIENCE);
        let answer = client.unary(request, path, Raw).await.map(tonic::Response::into_inner);
        if let Err(status) = &answer {
            check(rpc, status);
        }
        answer
    }
}

fn check(rpc: &str, status: &Status) {
    let (code, message) = (status.code(), status.message());
    if code == Code::Unimplemented && message.is_empty() {
        // tonic's word for a service that isn't there.
        return;
    }
    assert_readable(message);
    assert!(!bug::is_told(message), "{rpc}: {message}");
    assert!(!message.contains("panicked"), "{rpc}: {message}");
    assert!(!matches!(code, Code::Ok | Code::Unknown | Code::Cancelled | Code::DataLoss), "{rpc}: {status}");
}

fn services(http: Http, host: impl Host) -> Services {
    let topology = Topology { enabled: true, ..Topology::default() };
    let clouds = Clouds::new([(String::new(), Volumes::new(Cloud::new(http, options())))].into());
    let settings = ControllerSettings {
        cluster: "kubernetes".to_owned(),
        topology: topology.clone(),
        ..ControllerSettings::default()
    };
    let node = Node::new(Arc::new(host), node::Settings::default());
    let settings_of_node =
        NodeSettings { whoami: Whoami::default(), topology: topology.clone(), attach_limit: 26 };
    Services {
        identity: Identity { topology },
        controller: Some(Controller::new(clouds, settings)),
        node: Some(NodeService::new(node, settings_of_node)),
        health: None,
    }
}

fn options() -> Options {
    let domain = || UserDomain::Name("Default".to_owned());
    let credential = Credential::Password {
        user: User::Name { name: "csi".to_owned(), domain: domain() },
        password: "labsecret".to_owned().into(),
        scope: Scope::ProjectName { name: "k8s".to_owned(), domain: domain() },
    };
    Options::new("http://cloud.test/identity/v3".parse().expect("a URL"), credential)
}

/// Messages as they are.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
