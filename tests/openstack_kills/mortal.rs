//! A driver that can be killed, and comes back at the same socket.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

use cinder_csi::{crash, pace};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::bed::{Lab, connected};
use crate::calls::Calls;
use crate::campaign::{Point, Reached};

const PATIENCE: Duration = Duration::from_secs(30);

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself, where it was told to.
    At(Point),
    /// By the test.
    Killed,
}

pub struct Mortal<'a> {
    lab: &'a Lab,
    directory: tempfile::TempDir,
    process: Option<Child>,
    calls: Option<Calls>,
    starts: usize,
    /// Lines of the log that were read.
    read: usize,
}

impl<'a> Mortal<'a> {
    pub fn new(lab: &'a Lab) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { lab, directory, process: None, calls: None, starts: 0, read: 0 }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn calls(&self) -> Calls {
        self.calls.clone().unwrap()
    }

    /// A new process, that dies at `point`, and maybe has done so already.
    pub async fn start(&mut self, point: Option<&Point>) {
        self.spawn(point);
        let socket = self.socket();
        tokio::select! {
            biased;
            channel = connected(&socket) => self.calls = Some(Calls::new(channel, PATIENCE)),
            () = self.death() => {}
        }
    }

    pub fn spawn(&mut self, point: Option<&Point>) {
        self.kill(false);
        self.starts += 1;
        self.read = 0;
        let socket = self.socket();
        let mut command = self.lab.command(&self.lab.path("cloud.conf"), "NODE_1", &socket);
        let order = point.map(|point| format!("{} {}", point.nth, point.name)).unwrap_or_default();
        command.arg("--cluster=openstack-kills-test").env(crash::VARIABLE, order);
        let process = command.stderr(File::create(self.log()).unwrap()).spawn().unwrap();
        self.process = Some(process);
    }

    /// How many processes there have been.
    pub fn starts(&self) -> usize {
        self.starts
    }

    pub fn is_alive(&mut self) -> bool {
        let Some(process) = &mut self.process else { return false };
        match process.try_wait().unwrap() {
            None => true,
            Some(end) => {
                assert_eq!(end.signal(), Some(9), "the driver ended by itself, {end}: {}", self.said());
                assert!(self.last_point().is_some(), "it was killed by somebody else: {}", self.said());
                self.process = None;
                false
            }
        }
    }

    /// How the process ended, if it did: it says so in its log before its connections break.
    pub async fn end(&mut self) -> Option<End> {
        match self.last_point() {
            Some(point) => {
                self.death().await;
                Some(End::At(point))
            }
            None => self.process.is_none().then_some(End::Killed),
        }
    }

    pub async fn dies(&mut self, within: Duration) -> Option<End> {
        tokio::time::timeout(within, self.death()).await.ok()?;
        self.end().await
    }

    async fn death(&mut self) {
        while self.is_alive() {
            pace::sleep(Duration::from_millis(5)).await;
        }
    }

    /// `with_programs`: those that it runs die, too, as where a container ends.
    pub fn kill(&mut self, with_programs: bool) {
        let Some(mut process) = self.process.take() else { return };
        let children = if with_programs { children(process.id()) } else { Vec::new() };
        process.kill().unwrap();
        process.wait().unwrap();
        for child in children {
            kill(child, Signal::SIGKILL).ok();
        }
    }

    /// The point at which it ended itself.
    fn last_point(&self) -> Option<Point> {
        self.said().lines().find_map(|line| point_in(line, "ends here"))
    }

    /// The points that it has reached since this was asked.
    pub fn reached(&mut self) -> Reached {
        let said = self.said();
        let lines: Vec<_> = said.lines().collect();
        let new = lines.iter().skip(self.read).filter_map(|line| point_in(line, "reached"));
        let new = new.map(|point| point.name).collect();
        self.read = lines.len();
        new
    }

    pub fn said(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    fn socket(&self) -> PathBuf {
        self.path("csi.sock")
    }

    fn log(&self) -> PathBuf {
        self.path(&format!("log-{}", self.starts))
    }
}

impl Drop for Mortal<'_> {
    fn drop(&mut self) {
        self.kill(true);
    }
}

/// `… reached nth=1 point="before mount"`
fn point_in(line: &str, word: &str) -> Option<Point> {
    let (nth, name) = line.split_once(&format!("{word} nth="))?.1.split_once(" point=\"")?;
    Some(Point { nth: nth.parse().ok()?, name: name.trim_end_matches('"').to_owned() })
}

/// <https://docs.kernel.org/filesystems/proc.html>: each thread lists the children that it started.
fn children(pid: u32) -> Vec<Pid> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let listed = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    listed
        .flat_map(|pids| pids.split(' ').filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .map(Pid::from_raw)
        .collect()
}
