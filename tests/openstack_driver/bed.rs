//! The driver's own binary on the lab that `tests/openstack/up` started, and the lab's faults.

#![allow(dead_code, reason = "each test crate uses its part of the bed")]

#[path = "../bed/calls.rs"]
pub mod calls;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use cinder_csi::config::{self, Config};
use cinder_csi::csi::proto::controller_client::ControllerClient;
use cinder_csi::csi::proto::group_controller_client::GroupControllerClient;
use cinder_csi::csi::proto::node_client::NodeClient;
use cinder_csi::csi::proto::*;
use cinder_csi::openstack::{self, Cloud};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::sync::{Mutex, MutexGuard};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

#[allow(unused_imports, reason = "each test crate uses its part of the bed")]
pub use calls::{Calls, capability, create_request, snapshot_request};

/// The lab's faults are for everybody, so one test at a time.
static TURN: Mutex<()> = Mutex::const_new(());

pub struct Lab {
    directory: PathBuf,
    servers: HashMap<String, String>,
    _turn: MutexGuard<'static, ()>,
}

/// A running driver; it ends with this.
pub struct Driver {
    process: Child,
    pub controller: ControllerClient<Channel>,
    pub groups: GroupControllerClient<Channel>,
    pub node: NodeClient<Channel>,
    channel: Channel,
    pub directory: tempfile::TempDir,
}

impl Lab {
    pub async fn take() -> Self {
        let turn = TURN.lock().await;
        #[allow(clippy::disallowed_methods, reason = "tests/run says where its lab is")]
        let directory = std::env::var("CINDER_CSI_LAB").expect(
            "CINDER_CSI_LAB must name a running lab: use `tests/run openstack`, or tests/openstack/up",
        );
        let directory = PathBuf::from(directory);
        let servers = std::fs::read_to_string(directory.join("servers.env")).expect("the lab must be up");
        let servers = servers.lines().filter_map(|line| line.split_once('='));
        let servers = servers.map(|(name, id)| (name.to_owned(), id.to_owned())).collect();
        let lab = Self { directory, servers, _turn: turn };
        lab.heal();
        lab
    }

    pub fn server(&self, name: &str) -> String {
        self.servers[name].clone()
    }

    /// Orders a fault: "fail 1", "delay 5".
    pub fn inject(&self, point: &str, fault: &str) {
        std::fs::write(self.injections().join(point), format!("{fault}\n")).unwrap();
    }

    pub fn heal(&self) {
        for fault in std::fs::read_dir(self.injections()).unwrap() {
            std::fs::remove_file(fault.unwrap().path()).unwrap();
        }
    }

    /// A driver of both roles for this node of the lab.
    pub async fn driver(&self, node: &str) -> Driver {
        self.driver_of("cloud.conf", node).await
    }

    /// The cloud as the driver's own project sees it.
    pub fn view(&self) -> Cloud {
        let request =
            config::Request { files: vec![self.directory.join("cloud.conf")], ..Default::default() };
        let mut config = Config::load(&config::System, &request).unwrap();
        let options = config.clouds.remove("").unwrap();
        Cloud::new(openstack::http::client(&options.tls, &config.proxy).unwrap(), options)
    }

    pub async fn driver_of(&self, cloud_conf: &str, node: &str) -> Driver {
        self.driver_with(&self.path(cloud_conf), node, &["--cluster=openstack-driver-test"]).await
    }

    /// A file of the lab.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub async fn driver_with(&self, cloud_conf: &Path, node: &str, flags: &[&str]) -> Driver {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("csi.sock");
        let process = self.command(cloud_conf, node, &socket).args(flags).spawn().unwrap();
        let channel = connected(&socket).await;
        Driver {
            process,
            controller: ControllerClient::new(channel.clone()),
            groups: GroupControllerClient::new(channel.clone()),
            node: NodeClient::new(channel.clone()),
            channel,
            directory,
        }
    }

    /// A driver of both roles that listens at `socket`.
    pub fn command(&self, cloud_conf: &Path, node: &str, socket: &Path) -> Command {
        let server = self.server(node);
        #[allow(
            clippy::disallowed_methods,
            reason = "the driver is a process of its own, as its users have it"
        )]
        let mut command = Command::new(env!("CARGO_BIN_EXE_cinder-csi"));
        command
            .arg(format!("--endpoint=unix://{}", socket.display()))
            .arg("--cloud-config")
            .arg(cloud_conf)
            .args(["--node-id", &server, "--device-dir"])
            .arg(self.directory.join("state/dev").join(&server));
        command
    }

    /// A line for each thing that a driver can leave behind in the cloud.
    pub fn inventory(&self) -> Vec<String> {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openstack/inventory");
        #[allow(clippy::disallowed_methods, reason = "the lab is asked, not the driver")]
        let output = Command::new(program).env("CINDER_CSI_LAB", &self.directory).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    fn injections(&self) -> PathBuf {
        self.directory.join("state/inject")
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.heal();
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Connects as soon as the driver listens.
pub async fn connected(socket: &Path) -> Channel {
    let socket = socket.to_owned();
    let connector = tower::service_fn(move |_| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    let endpoint = Endpoint::from_static("http://driver.test");
    for _ in 0..200 {
        if let Ok(channel) = endpoint.connect_with_connector(connector.clone()).await {
            return channel;
        }
        cinder_csi::pace::sleep(Duration::from_millis(25)).await;
    }
    panic!("the driver didn't listen within 5 s");
}

pub fn within<T>(seconds: u64, message: T) -> Request<T> {
    calls::within(Duration::from_secs(seconds), message)
}

impl Driver {
    /// Those of somebody who waits so many seconds for an answer.
    pub fn calls(&self, patience: u64) -> Calls {
        Calls::new(self.channel.clone(), Duration::from_secs(patience))
    }

    pub async fn create(&self, request: CreateVolumeRequest) -> Result<String, Status> {
        let reply = self.controller.clone().create_volume(within(60, request)).await?;
        Ok(reply.into_inner().volume.unwrap().volume_id)
    }

    pub async fn delete(&self, volume: &str) {
        self.calls(60).delete(volume).await.unwrap();
    }

    pub async fn attach(
        &self,
        volume: &str,
        server: &str,
        seconds: u64,
    ) -> Result<HashMap<String, String>, Status> {
        self.calls(seconds).attach(volume, server, &capability("")).await
    }

    pub async fn detach(&self, volume: &str, server: &str) {
        self.calls(60).detach(volume, server).await.unwrap();
    }

    pub async fn expand(&self, volume: &str, gib: i64) -> Result<ControllerExpandVolumeResponse, Status> {
        self.calls(60).expand(volume, gib).await
    }

    /// The servers that the volume is published on.
    pub async fn published(&self, volume: &str) -> Vec<String> {
        let request = ControllerGetVolumeRequest { volume_id: volume.to_owned() };
        let reply = self.controller.clone().controller_get_volume(within(10, request)).await.unwrap();
        reply.into_inner().status.unwrap().published_node_ids
    }

    pub async fn snapshot(&self, request: CreateSnapshotRequest, seconds: u64) -> Result<Snapshot, Status> {
        let reply = self.controller.clone().create_snapshot(within(seconds, request)).await?;
        Ok(reply.into_inner().snapshot.unwrap())
    }

    pub async fn delete_snapshot(&self, id: &str) {
        self.calls(60).delete_snapshot(id).await.unwrap();
    }

    pub async fn snapshots(&self, request: ListSnapshotsRequest) -> (Vec<Snapshot>, String) {
        let reply = self.controller.clone().list_snapshots(within(30, request)).await.unwrap().into_inner();
        (reply.entries.into_iter().map(|entry| entry.snapshot.unwrap()).collect(), reply.next_token)
    }

    /// Every volume of the project.
    pub async fn volumes(&self) -> Vec<String> {
        let reply =
            self.controller.clone().list_volumes(within(10, ListVolumesRequest::default())).await.unwrap();
        let mut ids: Vec<_> = reply
            .into_inner()
            .entries
            .into_iter()
            .filter_map(|entry| entry.volume)
            .map(|volume| volume.volume_id)
            .collect();
        ids.sort();
        ids
    }
}
