//! The driver's process, and how large it is.

use std::fs;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use cinder_csi::csi::proto::controller_client::ControllerClient;
use cinder_csi::pace;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint};

/// It doesn't outlive its test.
pub struct Driver {
    directory: tempfile::TempDir,
    process: Child,
    channel: Channel,
    http: String,
}

#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// KiB that are resident.
    pub memory: u64,
    pub threads: u64,
    pub tasks: u64,
    pub files: u64,
}

impl Driver {
    pub async fn start(cloud: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let conf = directory.path().join("cloud.conf");
        let text = format!(
            "[Global]\nauth-url = http://{cloud}/identity/v3\nusername = csi\npassword = labsecret\ntenant-name = k8s\n\
             domain-name = Default\n"
        );
        fs::write(&conf, text).unwrap();
        let socket = directory.path().join("csi.sock");
        let log = fs::File::create(directory.path().join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_cinder-csi"));
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command.arg(format!("--endpoint=unix://{}", socket.display()));
        command.arg(format!("--cloud-config={}", conf.display()));
        command.args(["--provide-node-service=false", "--http-endpoint=127.0.0.1:0"]);
        let process = command.spawn().unwrap();
        let channel = Endpoint::from_shared(format!("unix://{}", socket.display())).unwrap().connect_lazy();
        let mut driver = Self { directory, process, channel, http: String::new() };
        while !socket.exists() || driver.http.is_empty() {
            assert_eq!(driver.process.try_wait().unwrap(), None, "{}", driver.log());
            pace::sleep(Duration::from_millis(20)).await;
            let log = driver.log();
            let address = log.lines().find_map(|line| line.split_once("address=")).map(|(_, rest)| rest);
            driver.http =
                address.and_then(|rest| rest.split_whitespace().next()).unwrap_or_default().to_owned();
        }
        driver
    }

    pub fn controller(&self) -> ControllerClient<Channel> {
        ControllerClient::new(self.channel.clone())
    }

    pub async fn measure(&self) -> Size {
        let process = format!("/proc/{}", self.process.id());
        let status = fs::read_to_string(format!("{process}/status")).unwrap();
        Size {
            memory: number(&status, "VmRSS:"),
            threads: number(&status, "Threads:"),
            tasks: number(&self.metrics().await, "cinder_csi_tasks "),
            files: fs::read_dir(format!("{process}/fd")).unwrap().count() as u64,
        }
    }

    async fn metrics(&self) -> String {
        let mut stream = TcpStream::connect(&self.http).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    /// As SIGTERM ends it.
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

/// What stands behind this word at the beginning of a line.
fn number(text: &str, word: &str) -> u64 {
    let found = text.lines().find_map(|line| line.strip_prefix(word));
    let found = found.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    found.unwrap_or_else(|| panic!("no {word} in {text}"))
}
