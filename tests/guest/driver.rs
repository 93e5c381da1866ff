//! A driver in the guest, spoken to as the kubelet does.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use cinder_csi::csi::proto::ProbeRequest;
use cinder_csi::csi::proto::identity_client::IdentityClient;
use cinder_csi::pace;
use tonic::transport::{Channel, Endpoint};

use crate::calls::within;
use crate::kubelet::PATIENCE;
use crate::machine::{CSI, Machine};

/// A guest with a driver in it.
pub struct Guest {
    pub machine: Machine,
    pub channel: Channel,
}

impl Guest {
    /// With our driver and without udev.
    pub async fn boot() -> Self {
        Self::ours(false).await
    }

    pub async fn boot_with_udev() -> Self {
        Self::ours(true).await
    }

    async fn ours(udev: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let driver = stripped(Path::new(env!("CARGO_BIN_EXE_cinder-csi")), directory.path());
        let server = uuid::Uuid::new_v4();
        let flags = format!("--provide-controller-service=false --node-id={server} -v=4");
        Self::start(Machine::boot(&driver, udev).await, &flags).await
    }

    /// With the existing driver, which needs udev: it knows disks by their links alone.
    pub async fn boot_existing() -> Self {
        let driver =
            std::env::var_os("EXISTING_DRIVER").expect("`tests/run guest all` builds the existing driver");
        Self::start(Machine::boot(Path::new(&driver), true).await, "--provide-controller-service=false -v=4")
            .await
    }

    /// Once more in this guest, as after a reboot.
    pub async fn start(machine: Machine, flags: &str) -> Self {
        let command = format!("driver --endpoint=tcp://0.0.0.0:{CSI} {flags}");
        machine.shell(&format!("setsid {command} </dev/null >/tmp/driver.log 2>&1 &")).await;
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{}", machine.csi)).unwrap();
        let guest = Self { machine, channel: endpoint.connect_lazy() };
        guest.serves().await;
        guest
    }

    async fn serves(&self) {
        let end = tokio::time::Instant::now() + PATIENCE;
        let mut identity = IdentityClient::new(self.channel.clone());
        while identity.probe(within(Duration::from_secs(5), ProbeRequest {})).await.is_err() {
            assert!(tokio::time::Instant::now() < end, "the driver doesn't serve:\n{}", self.log().await);
            pace::sleep(Duration::from_millis(100)).await;
        }
    }

    pub async fn log(&self) -> String {
        self.machine.run("tail -n 40 /tmp/driver.log").await.1
    }
}

/// Without what only a debugger needs: the guest keeps it in memory.
fn stripped(binary: &Path, directory: &Path) -> PathBuf {
    let driver = directory.join("driver");
    let done = Command::new("strip").arg("-o").arg(&driver).arg(binary).status().unwrap();
    assert!(done.success());
    driver
}
