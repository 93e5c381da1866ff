//! How large the driver's process is.

use std::fs;
use std::process::{Command, Stdio};

use cinder_csi::sandbox::Served;

use crate::http::ANY_PORT;
use crate::process::{Driver, conf, socket};

/// A controller of the simulated cloud.
pub struct Measured {
    pub driver: Driver,
    _directory: tempfile::TempDir,
}

#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// KiB that are resident.
    pub memory: u64,
    pub threads: u64,
    pub tasks: u64,
    pub files: u64,
}

impl Measured {
    pub async fn start(cloud: &Served) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = directory.path().join("cloud.conf");
        fs::write(&settings, conf(([127, 0, 0, 1], cloud.port()).into(), "labsecret")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_cinder-csi"));
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::null());
        command.arg(format!("--endpoint=unix://{}", socket(directory.path()).display()));
        command.arg(format!("--cloud-config={}", settings.display()));
        command.args(["--provide-node-service=false", ANY_PORT]);
        Self { driver: Driver::start(&mut command, directory.path()).await, _directory: directory }
    }

    pub async fn size(&self) -> Size {
        let process = format!("/proc/{}", self.driver.process.id());
        let status = fs::read_to_string(format!("{process}/status")).unwrap();
        let (_, metrics) = self.driver.get("/metrics").await;
        Size {
            memory: number(&status, "VmRSS:"),
            threads: number(&status, "Threads:"),
            tasks: number(&metrics, "cinder_csi_tasks "),
            files: fs::read_dir(format!("{process}/fd")).unwrap().count() as u64,
        }
    }
}

/// What stands behind this word at the beginning of a line.
fn number(text: &str, word: &str) -> u64 {
    let found = text.lines().find_map(|line| line.strip_prefix(word));
    let found = found.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    found.unwrap_or_else(|| panic!("no {word} in {text}"))
}
