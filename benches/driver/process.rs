//! The driver as its users have it: a process of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::Outcome;
use super::cloud::Cloud;
use super::rpc::Rpc;

pub const BINARY: &str = env!("CARGO_BIN_EXE_cinder-csi");

/// A running driver of both roles; it ends with this. Its log goes to /dev/null.
pub struct Driver {
    process: Child,
    directory: tempfile::TempDir,
}

/// What the kernel counts for a process, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Resident: the driver's own, and the pages of its binary that were touched.
    pub resident: u64,
    /// Of it the driver's own.
    pub own: u64,
    /// The most that was ever resident.
    pub peak: u64,
}

impl Driver {
    pub fn start(cloud: &Cloud) -> Outcome<Self> {
        let directory = tempfile::tempdir()?;
        let conf = directory.path().join("cloud.conf");
        cloud.write_cloud_conf(&conf)?;
        std::fs::create_dir(directory.path().join("dev"))?;
        #[allow(clippy::disallowed_methods, reason = "the driver's memory must be its own")]
        let process = Command::new(BINARY)
            .arg(format!("--endpoint=unix://{}", directory.path().join("csi.sock").display()))
            .arg("--cloud-config")
            .arg(conf)
            .args(["--cluster=bench", "--node-id", &cloud.server(0)])
            .arg("--device-dir")
            .arg(directory.path().join("dev"))
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { process, directory })
    }

    /// Connects as soon as the driver listens.
    pub async fn connect(&mut self) -> Outcome<Rpc> {
        let socket = self.socket();
        Rpc::connect_soon(&socket, || match self.process.try_wait()? {
            Some(status) => Err(format!("the driver ended at its start: {status}").into()),
            None => Ok(()),
        })
        .await
    }

    /// Where the driver looks for disks.
    pub fn device_dir(&self) -> PathBuf {
        self.path("dev")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn memory(&self) -> Outcome<Memory> {
        memory(&PathBuf::from(format!("/proc/{}/status", self.process.id())))
    }

    fn socket(&self) -> PathBuf {
        self.path("csi.sock")
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn memory(status: &Path) -> Outcome<Memory> {
    let text = std::fs::read_to_string(status)?;
    let field = |name: &str| -> Outcome<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such line in status")?;
        let kilobytes: u64 = line.trim_matches(|c: char| !c.is_ascii_digit()).parse()?;
        Ok(kilobytes << 10)
    };
    Ok(Memory { resident: field("VmRSS:")?, own: field("RssAnon:")?, peak: field("VmHWM:")? })
}
