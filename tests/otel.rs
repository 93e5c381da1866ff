//! Traces of the driver's process, sent to a collector on loopback (feature `otel`).

#![allow(clippy::disallowed_methods, reason = "it runs the binary as a user does")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

#[path = "bed/process.rs"]
mod process;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use cinder_csi::csi::proto::volume_capability::access_mode::Mode;
use cinder_csi::csi::proto::volume_capability::{AccessMode, AccessType, BlockVolume};
use cinder_csi::csi::proto::{CreateVolumeRequest, VolumeCapability};
use cinder_csi::sandbox::{Settings, SimulatedCloud};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use process::{Driver, conf};
use tokio::net::TcpListener;

const PASSWORD: &str = "labsecret";

/// What was sent to a collector: the paths, and the bodies one after the other.
#[derive(Clone, Default)]
struct Received(Arc<Mutex<(Vec<String>, Vec<u8>)>>);

impl Received {
    async fn take(self, request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
        let path = request.uri().path().to_owned();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let mut received = self.0.lock().unwrap();
        received.0.push(path);
        received.1.extend(body);
        let answer =
            Response::builder().header("content-type", "application/grpc").header("grpc-status", "0");
        Ok(answer.body(Empty::new()).unwrap())
    }

    /// A text of a protobuf message is its bytes.
    fn contains(&self, text: &str) -> bool {
        self.0.lock().unwrap().1.windows(text.len()).any(|part| part == text.as_bytes())
    }
}

async fn collector() -> (Received, SocketAddr) {
    let received = Received::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = received.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let received = serving.clone();
            let answer = service_fn(move |request| received.clone().take(request));
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(connection.serve_connection(TokioIo::new(stream), answer));
        }
    });
    (received, address)
}

fn volume() -> tonic::Request<CreateVolumeRequest> {
    let capability = VolumeCapability {
        access_mode: Some(AccessMode { mode: Mode::SingleNodeWriter as i32 }),
        access_type: Some(AccessType::Block(BlockVolume {})),
    };
    let volume_capabilities = vec![capability];
    let name = "pvc-1".to_owned();
    let mut request =
        tonic::Request::new(CreateVolumeRequest { name, volume_capabilities, ..Default::default() });
    request.set_timeout(Duration::from_secs(20));
    request
}

/// The log of a controller that made a volume and was ended.
async fn log_of(endpoint: &str) -> String {
    let cloud = SimulatedCloud::new(Settings::default());
    let served = cloud.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cloud.conf");
    std::fs::write(&file, conf(SocketAddr::from(([127, 0, 0, 1], served.port())), PASSWORD)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_cinder-csi"));
    command.env_clear().env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint).stdin(Stdio::null());
    command.arg(format!("--endpoint=unix://{}", process::socket(directory.path()).display()));
    command.arg(format!("--cloud-config={}", file.display())).arg("--provide-node-service=false");
    let driver = Driver::start(&mut command, directory.path()).await;
    driver.controller().create_volume(volume()).await.unwrap();
    let (status, log) = tokio::task::spawn_blocking(|| driver.end()).await.unwrap();
    assert!(status.success(), "{log}");
    log
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_the_spans_of_an_rpc_and_its_requests_and_no_secret() {
    let (received, address) = collector().await;
    let log = log_of(&format!("http://{address}")).await;
    assert!(log.contains("sending traces"), "{log}");
    let paths = received.0.lock().unwrap().0.clone();
    assert!(!paths.is_empty(), "{log}");
    assert!(paths.iter().all(|path| path == "/opentelemetry.proto.collector.trace.v1.TraceService/Export"));
    for text in ["CreateVolume", "pvc-1", "create a volume", "Cinder", "give a token", "req-", "cinder-csi"] {
        assert!(received.contains(text), "no {text} was sent");
    }
    for secret in [PASSWORD, "gAAAAA", "X-Auth-Token", "x-auth-token"] {
        assert!(!received.contains(secret), "{secret} was sent");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_not_there_or_a_bad_address_keeps_nothing_from_working() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for endpoint in [format!("http://{nobody}"), "https://127.0.0.1:1".to_owned(), "\u{1}nonsense".to_owned()]
    {
        let log = log_of(&endpoint).await;
        assert!(!log.contains("panicked"), "{endpoint}: {log}");
        assert!(log.contains("OK code=Ok"), "{endpoint}: {log}");
        assert!(
            log.contains("no traces are sent")
                || log.contains("WARN opentelemetry")
                || log.contains("ERROR opentelemetry"),
            "{endpoint}: {log}"
        );
    }
}
