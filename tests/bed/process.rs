//! The driver's own process. It doesn't outlive its test.

#![allow(dead_code, reason = "each test crate uses its part of the bed")]

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use cinder_csi::csi::proto::controller_client::ControllerClient;
use cinder_csi::pace;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tonic::transport::{Channel, Endpoint};

/// A driver looks at its files every five seconds.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Driver {
    pub process: Child,
    pub socket: PathBuf,
    pub channel: Channel,
    pub log: PathBuf,
}

impl Driver {
    /// Once it serves at [`socket`] in this directory, as `command` says.
    pub async fn start(command: &mut Command, directory: &Path) -> Self {
        let (socket, log) = (socket(directory), directory.join("log"));
        let mut process = command.stderr(fs::File::create(&log).unwrap()).spawn().unwrap();
        while !socket.exists() {
            assert_eq!(process.try_wait().unwrap(), None, "{}", fs::read_to_string(&log).unwrap());
            pace::sleep(Duration::from_millis(10)).await;
        }
        let channel = Endpoint::from_shared(format!("unix://{}", socket.display())).unwrap().connect_lazy();
        Self { process, socket, channel, log }
    }

    pub fn controller(&self) -> ControllerClient<Channel> {
        ControllerClient::new(self.channel.clone())
    }

    pub async fn logged(&self, words: &str) {
        let end = tokio::time::Instant::now() + PATIENCE;
        while !self.log().contains(words) {
            assert!(tokio::time::Instant::now() < end, "no {words:?} in:\n{}", self.log());
            pace::sleep(Duration::from_millis(50)).await;
        }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Ends it as the kubelet does.
    pub fn end(mut self) -> (ExitStatus, String) {
        kill(Pid::from_raw(self.process.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        (self.process.wait().unwrap(), self.log())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub fn socket(directory: &Path) -> PathBuf {
    directory.join("csi.sock")
}

/// The settings of a controller whose cloud is the simulated one at this address.
pub fn conf(address: SocketAddr, password: &str) -> String {
    format!(
        "[Global]\nauth-url = http://{address}/identity/v3\nusername = csi\npassword = {password}\n\
         tenant-name = k8s\ndomain-name = Default\n"
    )
}
