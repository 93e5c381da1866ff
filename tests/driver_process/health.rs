//! Whether the driver is well, as a kubelet asks it: over HTTP, and over gRPC on the CSI socket and on a port.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use cinder_csi::csi::grpc_health::HealthCheckRequest;
use cinder_csi::csi::grpc_health::health_check_response::ServingStatus;
use cinder_csi::csi::grpc_health::health_client::HealthClient;
use cinder_csi::sandbox::{Settings, SimulatedCloud};
use http::StatusCode;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};

use super::http::ANY_PORT;
use super::{Bed, Driver, PASSWORD, conf, ended, refusing_port};

async fn check(channel: &Channel, service: &str) -> Result<ServingStatus, Status> {
    let request = HealthCheckRequest { service: service.to_owned() };
    Ok(HealthClient::new(channel.clone()).check(request).await?.into_inner().status())
}

async fn watch(
    channel: &Channel,
    service: &str,
) -> Streaming<cinder_csi::csi::grpc_health::HealthCheckResponse> {
    let request = HealthCheckRequest { service: service.to_owned() };
    HealthClient::new(channel.clone()).watch(request).await.unwrap().into_inner()
}

async fn over_tcp(driver: &Driver) -> Channel {
    let url = format!("http://{}", driver.http_address().await);
    Endpoint::from_shared(url).unwrap().connect().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_health_is_told_on_the_csi_socket_and_on_a_port() {
    let bed = Bed::new();
    let driver = bed.start(&["--provide-controller-service=false", ANY_PORT]).await;
    for channel in [driver.channel.clone(), over_tcp(&driver).await] {
        for service in ["", "liveness", "readiness"] {
            assert_eq!(check(&channel, service).await.unwrap(), ServingStatus::Serving, "{service}");
        }
        let unknown = check(&channel, "csi.v1.Cinder").await.unwrap_err();
        assert_eq!(unknown.code(), Code::NotFound, "{unknown}");
    }
    assert_eq!(driver.get("/healthz").await, (StatusCode::OK, "ok\n".to_owned()));
    assert_eq!(driver.get("/readyz").await, (StatusCode::OK, "ok\n".to_owned()));
    assert_eq!(driver.get("/metrics").await.0, StatusCode::OK);
    ended(driver);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_is_told_what_changes_and_holds_up_no_end() {
    let bed = Bed::new();
    let (port, address) = refusing_port();
    bed.write_conf(&conf(address, PASSWORD));
    let driver = bed.start_controller().await;
    let channel = driver.channel.clone();
    assert_eq!(check(&channel, "liveness").await.unwrap(), ServingStatus::Serving);
    assert_eq!(check(&channel, "readiness").await.unwrap(), ServingStatus::NotServing);
    let (mut readiness, mut unknown) = (watch(&channel, "readiness").await, watch(&channel, "other").await);
    assert_eq!(readiness.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    assert_eq!(unknown.message().await.unwrap().unwrap().status(), ServingStatus::ServiceUnknown);
    drop(port);
    let cloud = SimulatedCloud::new(Settings::default());
    let _served = cloud.serve(address).await.unwrap();
    assert_eq!(readiness.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    let began = Instant::now();
    ended(driver);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_is_gone_or_taken_is_noticed() {
    let bed = Bed::new();
    let driver = bed.start(&["--provide-controller-service=false", ANY_PORT]).await;
    let port = over_tcp(&driver).await;
    driver.gets("/healthz", StatusCode::OK, "ok").await;
    fs::remove_file(&driver.socket).unwrap();
    let why = driver.gets("/healthz", StatusCode::SERVICE_UNAVAILABLE, "nobody serves CSI at").await;
    assert!(why.contains(&driver.socket.display().to_string()), "{why}");
    driver.logged("the liveness check fails: nobody serves CSI").await;
    let _thief = UnixListener::bind(&driver.socket).unwrap();
    let taken = format!("another process ({}) has taken the socket", std::process::id());
    driver.gets("/healthz", StatusCode::SERVICE_UNAVAILABLE, &taken).await;
    assert_eq!(check(&port, "").await.unwrap(), ServingStatus::NotServing);
    assert_eq!(driver.get("/readyz").await.0, StatusCode::OK, "that is another question");
    drop(port);
    let (status, _) = driver.end();
    assert!(status.success(), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_on_a_port_is_asked_there() {
    let bed = Bed::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = free.local_addr().unwrap();
    drop(free);
    let log = fs::File::create(bed.path("log")).unwrap();
    let mut command = bed.bare_command();
    command.stderr(log).arg(format!("--endpoint=tcp://{address}"));
    let process = command.args(["--provide-controller-service=false", ANY_PORT, "-v=6"]).spawn().unwrap();
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
    let driver = Driver { process, socket: bed.path("csi.sock"), log: bed.path("log"), channel };
    driver.gets("/healthz", StatusCode::OK, "ok").await;
}
