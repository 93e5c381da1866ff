//! QEMU's own protocol: <https://www.qemu.org/docs/master/interop/qmp-spec.html>.

use std::path::Path;
use std::time::Duration;

use cinder_csi::pace;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

pub struct Qmp {
    lines: Lines<BufReader<OwnedReadHalf>>,
    out: OwnedWriteHalf,
    /// Told while something else was waited for.
    events: Vec<Value>,
}

/// QEMU answers at once, but for a host that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

impl Qmp {
    pub async fn connect(socket: &Path) -> Self {
        let (read, out) = UnixStream::connect(socket).await.unwrap().into_split();
        let mut qmp = Self { lines: BufReader::new(read).lines(), out, events: Vec::new() };
        qmp.message().await;
        qmp.execute("qmp_capabilities", json!({})).await.unwrap();
        qmp
    }

    /// What the command answers, or what QEMU has against it.
    pub async fn execute(&mut self, command: &str, arguments: Value) -> Result<Value, String> {
        let line = format!("{}\n", json!({"execute": command, "arguments": arguments}));
        self.out.write_all(line.as_bytes()).await.unwrap();
        loop {
            let message = self.message().await;
            if let Some(error) = message.get("error") {
                return Err(format!("{command}: {}", error["desc"]));
            }
            if let Some(answer) = message.get("return") {
                return Ok(answer.clone());
            }
            self.events.push(message);
        }
    }

    /// Waits until the guest has let go of the device.
    pub async fn deleted(&mut self, device: &str, patience: Duration) -> bool {
        let is_it = |event: &Value| event["event"] == "DEVICE_DELETED" && event["data"]["device"] == device;
        let end = tokio::time::Instant::now() + patience;
        loop {
            if let Some(at) = self.events.iter().position(is_it) {
                self.events.remove(at);
                return true;
            }
            match tokio::time::timeout_at(end, self.message()).await {
                Ok(event) => self.events.push(event),
                Err(_) => return false,
            }
        }
    }

    async fn message(&mut self) -> Value {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await;
        let line = line.expect("QEMU doesn't answer").unwrap().expect("QEMU has ended");
        serde_json::from_str(&line).unwrap()
    }
}

/// Connects as soon as QEMU serves there.
pub async fn serving(socket: &Path, mut is_alive: impl FnMut() -> bool) -> Qmp {
    while UnixStream::connect(socket).await.is_err() {
        assert!(is_alive(), "QEMU has ended");
        pace::sleep(Duration::from_millis(20)).await;
    }
    Qmp::connect(socket).await
}
