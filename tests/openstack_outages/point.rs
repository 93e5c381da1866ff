//! Where the cloud is slow at an operation: who came there, and whether it went on. The lab's services write it down
//! (`tests/openstack/drivers/faults.py`).

use std::path::PathBuf;
use std::time::{Duration, Instant};

use cinder_csi::pace;
use nix::unistd::Pid;

use crate::bed::Lab;

const SLOWLY: &str = "delay 2";
/// What the cloud takes until it is there, at most.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Point {
    name: &'static str,
    passages: PathBuf,
}

impl Point {
    /// From now on.
    pub fn slow(lab: &Lab, name: &'static str) -> Self {
        let passages = lab.path("state/passages").join(name);
        std::fs::remove_file(&passages).ok();
        lab.inject(name, SLOWLY);
        Self { name, passages }
    }

    /// The process that is the first to come there.
    pub async fn reached(&self) -> Pid {
        let line = self.line("reached").await;
        Pid::from_raw(line.split(' ').next().unwrap().parse().unwrap())
    }

    pub async fn passed(&self) {
        self.line("passed").await;
    }

    pub fn is_passed(&self) -> bool {
        self.noted("passed").is_some()
    }

    async fn line(&self, what: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(line) = self.noted(what) {
                return line;
            }
            assert!(Instant::now() < end, "the cloud never {what} {}", self.name);
            pace::sleep(Duration::from_millis(20)).await;
        }
    }

    fn noted(&self, what: &str) -> Option<String> {
        let passages = std::fs::read_to_string(&self.passages).ok()?;
        let line = passages.lines().find(|line| line.ends_with(what))?;
        Some(line.to_owned())
    }
}
