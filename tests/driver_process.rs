//! The driver's own binary: its exit code, its roles, and a cloud that comes late or changes its password.

#![cfg(feature = "sandbox")]
#![allow(clippy::disallowed_methods, reason = "it runs the binary as a user does")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

#[path = "driver_process/access.rs"]
mod access;
#[path = "driver_process/classes.rs"]
mod classes;
#[cfg(feature = "k8s")]
#[path = "driver_process/cluster.rs"]
mod cluster;
#[path = "driver_process/health.rs"]
mod health;
#[path = "bed/http.rs"]
mod http;
#[path = "driver_process/node_settings.rs"]
mod node_settings;
#[path = "driver_process/observed.rs"]
mod observed;
#[path = "docs_manifests/pages.rs"]
mod pages;
#[path = "bed/process.rs"]
mod process;
#[path = "driver_process/registration.rs"]
mod registration;
#[cfg(feature = "k8s")]
#[path = "kubernetes_api/server.rs"]
mod server;
#[path = "driver_process/several_clouds.rs"]
mod several_clouds;
#[path = "bed/untrusted.rs"]
mod untrusted;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use cinder_csi::csi::proto::identity_client::IdentityClient;
use cinder_csi::csi::proto::node_client::NodeClient;
use cinder_csi::csi::proto::volume_capability::access_mode::Mode;
use cinder_csi::csi::proto::volume_capability::{AccessMode, AccessType, BlockVolume};
use cinder_csi::csi::proto::*;
use cinder_csi::sandbox::{Settings, SimulatedCloud};
use futures_util::future::join_all;
use process::{Driver, PATIENCE, conf};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

/// Of the simulated cloud's user.
const PASSWORD: &str = "labsecret";
const SERVER: &str = "0f9c0b2e-6d53-4b6a-9d5e-1c2f3a4b5c6d";

struct Bed {
    directory: tempfile::TempDir,
}

impl Bed {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Puts another file in its place at once, as the kubelet does.
    fn write_conf(&self, text: &str) {
        fs::write(self.path("new"), text).unwrap();
        fs::rename(self.path("new"), self.path("cloud.conf")).unwrap();
    }

    fn bare_command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cinder-csi"));
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped());
        command
    }

    fn command(&self, flags: &[&str]) -> Command {
        let mut command = self.bare_command();
        command
            .arg(format!("--endpoint=unix://{}", process::socket(self.directory.path()).display()))
            .args(flags);
        command
    }

    async fn start(&self, flags: &[&str]) -> Driver {
        self.start_with(flags, &[]).await
    }

    async fn start_with(&self, flags: &[&str], env: &[(&str, &str)]) -> Driver {
        let mut command = self.command(flags);
        Driver::start(command.envs(env.iter().copied()).arg("-v=6"), self.directory.path()).await
    }

    async fn start_controller(&self) -> Driver {
        let conf = format!("--cloud-config={}", self.path("cloud.conf").display());
        self.start(&[&conf, "--provide-node-service=false"]).await
    }
}

impl Driver {
    fn node(&self) -> NodeClient<Channel> {
        NodeClient::new(self.channel.clone())
    }

    async fn probe(&self) -> Option<bool> {
        let mut identity = IdentityClient::new(self.channel.clone());
        identity.probe(ProbeRequest {}).await.unwrap().into_inner().ready
    }

    async fn create(&self, patience: Duration) -> Result<String, Status> {
        self.create_as(CreateVolumeRequest::default(), patience).await
    }

    async fn create_in(&self, zone: &str) -> Result<String, Status> {
        let key = "topology.cinder.csi.openstack.org/zone".to_owned();
        let requisite = vec![Topology { segments: [(key, zone.to_owned())].into() }];
        let requirement = TopologyRequirement { requisite, preferred: Vec::new() };
        let request =
            CreateVolumeRequest { accessibility_requirements: Some(requirement), ..Default::default() };
        self.create_as(request, PATIENCE).await
    }

    async fn create_as(&self, request: CreateVolumeRequest, patience: Duration) -> Result<String, Status> {
        let (name, volume_capabilities) = ("pvc-1".to_owned(), vec![capability()]);
        let mut request = Request::new(CreateVolumeRequest { name, volume_capabilities, ..request });
        request.set_timeout(patience);
        Ok(self.controller().create_volume(request).await?.into_inner().volume.unwrap().volume_id)
    }

    async fn snapshot(&self, volume: &str) {
        let (source_volume_id, name) = (volume.to_owned(), "snapshot-1".to_owned());
        let request = CreateSnapshotRequest { source_volume_id, name, ..Default::default() };
        self.controller().create_snapshot(request).await.unwrap();
    }

    async fn publish(&self, volume: &str, server: &str) -> Result<(), Status> {
        let request = ControllerPublishVolumeRequest {
            volume_id: volume.to_owned(),
            node_id: server.to_owned(),
            volume_capability: Some(capability()),
            ..Default::default()
        };
        self.controller().controller_publish_volume(request).await.map(drop)
    }

    async fn listed_one_by_one(&self) -> Vec<String> {
        let (mut listed, mut starting_token) = (Vec::new(), String::new());
        loop {
            let request = ListVolumesRequest { max_entries: 1, starting_token };
            let answer = self.controller().list_volumes(request).await.unwrap().into_inner();
            listed.extend(answer.entries.into_iter().map(|entry| entry.volume.unwrap().volume_id));
            if answer.next_token.is_empty() {
                return listed;
            }
            starting_token = answer.next_token;
        }
    }
}

fn capability() -> VolumeCapability {
    VolumeCapability {
        access_mode: Some(AccessMode { mode: Mode::SingleNodeWriter as i32 }),
        access_type: Some(AccessType::Block(BlockVolume {})),
    }
}

#[test]
fn settings_that_cannot_be_used_end_the_process_with_64_and_say_where() {
    let misspelt = format!("[Global]\nauth-url = http://k/v3\nusernam = u\npassword = {PASSWORD}\n");
    let cut = format!("[Global]\npassword = \"{PASSWORD}\n");
    let table: [(&str, &[&str]); 5] = [
        (
            &misspelt,
            &["\"username\" is missing", "cloud.conf:3", "\"usernam\"", "did you mean \"username\"?"],
        ),
        (&cut, &["cloud.conf:2"]),
        ("[Global]\nauth-url = keystone\n", &["cloud.conf:2", "\"auth-url\""]),
        ("[BlockStorage]\nrescan-on-resize = maybe\n", &["cloud.conf:2", "\"rescan-on-resize\""]),
        ("[Other]\n", &["cloud.conf: ", "[Global]"]),
    ];
    for (text, expected) in table {
        let bed = Bed::new();
        bed.write_conf(text);
        refused(&bed, text, expected);
    }
    refused(&Bed::new(), "no file", &["cloud.conf: can't be read"]);
}

fn refused(bed: &Bed, what: &str, expected: &[&str]) {
    let flag = format!("--cloud-config={}", bed.path("cloud.conf").display());
    let output = bed.command(&[&flag]).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{what}: {error}");
    for words in expected {
        assert!(error.contains(words), "{what}: no {words:?} in {error}");
    }
    assert!(!error.contains(PASSWORD) && output.stdout.is_empty(), "{what}: {error}");
    assert!(!bed.path("csi.sock").exists(), "{what}");
}

/// Bound and not listening: the port is ours, and connections to it are refused.
fn refusing_port() -> (tokio::net::TcpSocket, std::net::SocketAddr) {
    let port = tokio::net::TcpSocket::new_v4().unwrap();
    port.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = port.local_addr().unwrap();
    (port, address)
}

// On several threads: the client must be able to close its connection while the driver ends.
#[tokio::test(flavor = "multi_thread")]
async fn keystone_may_come_after_the_driver() {
    let bed = Bed::new();
    let (port, address) = refusing_port();
    bed.write_conf(&conf(address, PASSWORD));
    let driver = bed.start_controller().await;
    assert_eq!(driver.probe().await, Some(true));
    let status = driver.create(Duration::from_secs(2)).await.unwrap_err();
    let pending = [Code::Unavailable, Code::Aborted, Code::DeadlineExceeded];
    assert!(pending.contains(&status.code()), "{status}");
    assert!(status.message().contains(&address.to_string()), "{status}");
    drop(port);
    let cloud = SimulatedCloud::new(Settings::default());
    let _served = cloud.serve(address).await.unwrap();
    let volume = driver.create(PATIENCE).await.unwrap();
    driver.snapshot(&volume).await;
    let (status, log) = driver.end();
    assert!(status.success() && !log.contains(PASSWORD), "{status}\n{log}");
    let snapshot =
        format!("rpc{{method=\"CreateSnapshot\" request_name=\"snapshot-1\" volume=\"{volume}\"}}");
    for span in ["rpc{method=\"CreateVolume\" request_name=\"pvc-1\"}", &snapshot] {
        assert!(log.contains(span), "{span}\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_calls_on_one_connection_loses_none() {
    let bed = Bed::new();
    let driver = bed.start(&["--provide-controller-service=false"]).await;
    let asked: Vec<_> = (0..10_000).map(|_| driver.probe()).collect();
    assert!(join_all(asked).await.into_iter().all(|ready| ready == Some(true)));
    ended(driver);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_password_is_used_without_a_restart_and_a_broken_file_changes_nothing() {
    let bed = Bed::new();
    let cloud = SimulatedCloud::new(Settings::default());
    let served = cloud.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], served.port()));
    bed.write_conf(&conf(address, "canary-old"));
    let driver = bed.start_controller().await;
    let status = driver.create(Duration::from_secs(5)).await.unwrap_err();
    assert!(status.message().contains("401"), "{status}");
    bed.write_conf(&conf(address, PASSWORD));
    driver.logged("they are used from now on").await;
    let volume_id = driver.create(PATIENCE).await.unwrap();
    bed.write_conf("[Global\n");
    driver.logged("the old ones stay").await;
    let request = DeleteVolumeRequest { volume_id, ..Default::default() };
    driver.controller().delete_volume(request).await.unwrap();
    assert_eq!(cloud.inventory(), [""; 0]);
    let (status, log) = driver.end();
    assert!(status.success(), "{status}");
    assert!(!log.contains(PASSWORD) && !log.contains("canary-old"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_kubernetes_api_annotations_are_off_with_one_warning() {
    let cloud = SimulatedCloud::new(Settings::default());
    let served = cloud.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let bed = Bed::new();
    bed.write_conf(&conf(SocketAddr::from(([127, 0, 0, 1], served.port())), PASSWORD));
    let file = format!("--cloud-config={}", bed.path("cloud.conf").display());
    let driver = bed.start(&[&file, "--provide-node-service=false", "--pvc-annotations"]).await;
    driver.create(PATIENCE).await.unwrap();
    let (status, log) = driver.end();
    assert!(status.success(), "{status}");
    assert_eq!(log.matches("--pvc-annotations is off").count(), 1, "{log}");
}

/// Events need it also where annotations are off.
#[test]
fn a_kubeconfig_that_cannot_be_read_ends_the_process_with_64() {
    let bed = Bed::new();
    bed.write_conf(&conf("127.0.0.1:9".parse().unwrap(), PASSWORD));
    // Whoever gets as far as serving ends there.
    fs::create_dir(bed.path("csi.sock")).unwrap();
    let file = format!("--cloud-config={}", bed.path("cloud.conf").display());
    let flags = [file.as_str(), "--kubeconfig=/nonexistent/flag"];
    let mut by_variable = bed.command(&flags);
    by_variable.env("KUBECONFIG", "/nonexistent/variable");
    let annotated = bed.command(&[&flags[..], &["--pvc-annotations"]].concat());
    for (mut command, path) in [
        (bed.command(&flags), "/nonexistent/flag"),
        (annotated, "/nonexistent/flag"),
        (by_variable, "/nonexistent/variable"),
    ] {
        let output = command.output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{error}");
        assert!(error.contains(&format!("kubeconfig {path} can't be read: No such file")), "{error}");
        assert!(error.matches(path).count() == 1 && error.contains("mount it there"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_driver_leaves_the_socket_of_the_first_alone() {
    let bed = Bed::new();
    let first = bed.start(&["--provide-controller-service=false"]).await;
    let second =
        bed.command(&["--provide-controller-service=false"]).stderr(Stdio::piped()).output().unwrap();
    let why = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(1), "{why}");
    assert!(why.contains("--endpoint") && why.contains("another process serves there"), "{why}");
    assert_eq!(first.probe().await, Some(true));
    ended(first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_switched_off_is_not_served() {
    let bed = Bed::new();
    bed.write_conf(&conf("127.0.0.1:9".parse().unwrap(), PASSWORD));
    let driver = bed.start_controller().await;
    let request = ControllerGetCapabilitiesRequest {};
    driver.controller().controller_get_capabilities(request).await.unwrap();
    let status = driver.node().node_get_capabilities(NodeGetCapabilitiesRequest {}).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented, "{status}");
    ended(driver);

    // The node has no settings of a cloud, and needs none.
    let server = format!("--node-id={SERVER}");
    let driver = bed.start(&["--provide-controller-service=false", &server]).await;
    driver.node().node_get_capabilities(NodeGetCapabilitiesRequest {}).await.unwrap();
    let status = driver.controller().controller_get_capabilities(request).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented, "{status}");
    assert_eq!(driver.probe().await, Some(true));
    ended(driver);
}

fn ended(driver: Driver) {
    let socket: &Path = &driver.socket.clone();
    let (status, log) = driver.end();
    assert!(status.success(), "{status}\n{log}");
    assert!(!socket.exists(), "the socket was left");
}
