//! Where the time of a stage goes: this machine, with a watch at each call of the driver.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cinder_csi::node::{Command, Hold, Host, Linux, MountCall, Output, Reply, Stat, Statfs, Uevents};

const MARK: &str = "the mark, written and taken away";
const LOOKS: &str = "looks: sysfs, mountinfo, stat";

/// What was called, how often, and how long it took.
pub type Spent = BTreeMap<&'static str, (usize, Duration)>;

#[derive(Default)]
pub struct Timed {
    below: Linux,
    spent: Arc<Mutex<Spent>>,
}

impl Timed {
    /// What was spent since the last call of this function.
    pub fn spent(&self) -> Spent {
        std::mem::take(&mut *self.spent.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn time<T: Send + 'static>(&self, what: &'static str, call: Reply<T>) -> Reply<T> {
        let spent = self.spent.clone();
        Box::pin(async move {
            let began = Instant::now();
            let answer = call.await;
            let mut spent = spent.lock().unwrap_or_else(PoisonError::into_inner);
            let (count, time) = spent.entry(what).or_default();
            *count += 1;
            *time += began.elapsed();
            answer
        })
    }
}

impl Host for Timed {
    fn mount(&self, mount: MountCall) -> Reply<()> {
        self.time("mount(2)", self.below.mount(mount))
    }

    fn unmount(&self, point: &Path, lazy: bool) -> Reply<()> {
        self.time(LOOKS, self.below.unmount(point, lazy))
    }

    fn mountinfo(&self) -> Reply<Vec<u8>> {
        self.time(LOOKS, self.below.mountinfo())
    }

    fn run(&self, command: Command) -> Reply<Output> {
        self.time(command.program, self.below.run(command))
    }

    fn statfs(&self, path: &Path) -> Reply<Statfs> {
        self.time(LOOKS, self.below.statfs(path))
    }

    fn stat(&self, path: &Path) -> Reply<Stat> {
        self.time(LOOKS, self.below.stat(path))
    }

    fn canonical(&self, path: &Path) -> Reply<PathBuf> {
        self.time(LOOKS, self.below.canonical(path))
    }

    fn list(&self, directory: &Path) -> Reply<Vec<OsString>> {
        self.time(LOOKS, self.below.list(directory))
    }

    fn make_directory(&self, path: &Path) -> Reply<()> {
        self.time(LOOKS, self.below.make_directory(path))
    }

    fn make_file(&self, path: &Path) -> Reply<()> {
        self.time(LOOKS, self.below.make_file(path))
    }

    fn remove(&self, path: &Path) -> Reply<()> {
        self.time(LOOKS, self.below.remove(path))
    }

    fn hold(&self, disk: &Path) -> Reply<Hold> {
        self.time(LOOKS, self.below.hold(disk))
    }

    fn is_claimed(&self, disk: &Path) -> Reply<bool> {
        self.time(LOOKS, self.below.is_claimed(disk))
    }

    fn disk_size(&self, disk: &Path) -> Reply<u64> {
        self.time(LOOKS, self.below.disk_size(disk))
    }

    fn read_disk(&self, disk: &Path, offset: u64, length: usize) -> Reply<Vec<u8>> {
        self.time(MARK, self.below.read_disk(disk, offset, length))
    }

    fn read_cached(&self, disk: &Path, offset: u64, length: usize) -> Reply<Vec<u8>> {
        self.time(LOOKS, self.below.read_cached(disk, offset, length))
    }

    fn is_zero(&self, disk: &Path, areas: Vec<(u64, usize)>) -> Reply<bool> {
        self.time("our own reads, beside blkid", self.below.is_zero(disk, areas))
    }

    fn write_disk(&self, disk: &Path, offset: u64, bytes: Vec<u8>) -> Reply<()> {
        self.time(MARK, self.below.write_disk(disk, offset, bytes))
    }

    fn read(&self, path: &Path) -> Reply<Vec<u8>> {
        self.time(LOOKS, self.below.read(path))
    }

    fn read_each(&self, paths: Vec<PathBuf>) -> Reply<Vec<io::Result<Vec<u8>>>> {
        self.time(LOOKS, self.below.read_each(paths))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Reply<()> {
        self.time(LOOKS, self.below.write(path, bytes))
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> Reply<()> {
        self.time(LOOKS, self.below.replace(path, bytes))
    }

    fn uevents(&self) -> Reply<Box<dyn Uevents>> {
        self.time(LOOKS, self.below.uevents())
    }

    fn get(&self, url: &str, timeout: Duration) -> Reply<Vec<u8>> {
        self.time(LOOKS, self.below.get(url, timeout))
    }
}
