//! The driver as its users have it: a process of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use super::Outcome;
use super::cloud::Cloud;
use super::rpc::Rpc;

/// A running driver of both roles; it ends with this. Its log goes to /dev/null.
pub struct Driver {
    process: Child,
    directory: tempfile::TempDir,
    node: String,
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
        cloud.write_cloud_conf(&directory.path().join("cloud.conf"))?;
        Self::start_in(directory, cloud.server(0))
    }

    /// On a cloud that is not of this process.
    pub fn start_on(cloud_conf: &Path, server: &str) -> Outcome<Self> {
        let directory = tempfile::tempdir()?;
        std::fs::copy(cloud_conf, directory.path().join("cloud.conf"))?;
        Self::start_in(directory, server.to_owned())
    }

    fn start_in(directory: tempfile::TempDir, node: String) -> Outcome<Self> {
        std::fs::create_dir(directory.path().join("dev"))?;
        let process = spawn(directory.path(), &node)?;
        Ok(Self { process, directory, node })
    }

    /// Kills it and starts it again.
    pub fn restart(&mut self) -> Outcome<()> {
        self.process.kill()?;
        self.process.wait()?;
        self.process = spawn(self.directory.path(), &self.node)?;
        Ok(())
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
        memory(self.id())
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    pub fn socket(&self) -> PathBuf {
        self.path("csi.sock")
    }
}

/// The driver as it's in the image, built once.
pub fn binary() -> Outcome<&'static Path> {
    static BINARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match BINARY.get_or_init(|| build().map_err(|error| error.to_string())) {
        Ok(path) => Ok(path),
        Err(why) => Err(why.as_str().into()),
    }
}

fn build() -> Outcome<PathBuf> {
    #[allow(clippy::disallowed_methods, reason = "its features and flags are others than the bench's")]
    let built = Command::new(".ci/image/build")
        .args(["--driver", "target/shipped"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()?;
    match built.status.success() {
        true => Ok(String::from_utf8(built.stdout)?.trim_end().into()),
        false => Err("the image's driver can't be built: see above".into()),
    }
}

fn spawn(directory: &Path, node: &str) -> Outcome<Child> {
    #[allow(clippy::disallowed_methods, reason = "the driver's memory must be its own")]
    let process = Command::new(binary()?)
        .arg(format!("--endpoint=unix://{}", directory.join("csi.sock").display()))
        .arg("--cloud-config")
        .arg(directory.join("cloud.conf"))
        .args(["--cluster=bench", "--node-id", node])
        .arg("--device-dir")
        .arg(directory.join("dev"))
        .stderr(Stdio::null())
        .spawn()?;
    Ok(process)
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub fn memory(process: u32) -> Outcome<Memory> {
    let text = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let field = |name: &str| -> Outcome<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such line in status")?;
        let kilobytes: u64 = line.trim_matches(|c: char| !c.is_ascii_digit()).parse()?;
        Ok(kilobytes << 10)
    };
    Ok(Memory { resident: field("VmRSS:")?, own: field("RssAnon:")?, peak: field("VmHWM:")? })
}

/// The processor time that a process has used, in user and in kernel mode.
pub fn processor_time(process: u32) -> Outcome<Duration> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name before it, in brackets, may hold anything.
    let (_, fields) = text.rsplit_once(')').ok_or("no name in stat")?;
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<_, _>>()?;
    // USER_HZ, which is 100 on every architecture that there is a Kubernetes for.
    Ok(Duration::from_millis(ticks * 10))
}
