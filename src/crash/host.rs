//! The host, with a point on each side of every verb that changes something.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Crash;
use crate::node::{Command, Hold, Host, MountCall, MountKind, Output, Reply, Stat, Statfs, Uevents};

pub struct CrashingHost {
    pub below: Arc<dyn Host>,
    pub crash: Crash,
}

impl CrashingHost {
    fn around<T: Send + 'static>(&self, step: &'static str, reply: Reply<T>) -> Reply<T> {
        Box::pin(self.crash.clone().around(step, reply))
    }
}

impl Host for CrashingHost {
    fn mount(&self, mount: MountCall) -> Reply<()> {
        let step = if mount.kind == MountKind::Bind { "bind" } else { "mount" };
        self.around(step, self.below.mount(mount))
    }

    fn unmount(&self, point: &Path, lazy: bool) -> Reply<()> {
        self.around("unmount", self.below.unmount(point, lazy))
    }

    fn mountinfo(&self) -> Reply<Vec<u8>> {
        self.below.mountinfo()
    }

    /// Programs that only look have their points, too: which do is none of this file's business.
    fn run(&self, command: Command) -> Reply<Output> {
        self.around(command.program, self.below.run(command))
    }

    fn statfs(&self, path: &Path) -> Reply<Statfs> {
        self.below.statfs(path)
    }

    fn stat(&self, path: &Path) -> Reply<Stat> {
        self.below.stat(path)
    }

    fn canonical(&self, path: &Path) -> Reply<PathBuf> {
        self.below.canonical(path)
    }

    fn list(&self, directory: &Path) -> Reply<Vec<OsString>> {
        self.below.list(directory)
    }

    fn make_directory(&self, path: &Path) -> Reply<()> {
        self.around("make a directory", self.below.make_directory(path))
    }

    fn make_file(&self, path: &Path) -> Reply<()> {
        self.around("make a file", self.below.make_file(path))
    }

    fn remove(&self, path: &Path) -> Reply<()> {
        self.around("remove", self.below.remove(path))
    }

    fn hold(&self, disk: &Path) -> Reply<Hold> {
        self.below.hold(disk)
    }

    fn is_claimed(&self, disk: &Path) -> Reply<bool> {
        self.below.is_claimed(disk)
    }

    fn disk_size(&self, disk: &Path) -> Reply<u64> {
        self.below.disk_size(disk)
    }

    fn read_disk(&self, disk: &Path, offset: u64, length: usize) -> Reply<Vec<u8>> {
        self.below.read_disk(disk, offset, length)
    }

    fn write_disk(&self, disk: &Path, offset: u64, bytes: Vec<u8>) -> Reply<()> {
        self.around("write to the disk", self.below.write_disk(disk, offset, bytes))
    }

    fn read(&self, path: &Path) -> Reply<Vec<u8>> {
        self.below.read(path)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Reply<()> {
        self.around("write a file", self.below.write(path, bytes))
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> Reply<()> {
        self.around("replace a file", self.below.replace(path, bytes))
    }

    fn uevents(&self) -> Reply<Box<dyn Uevents>> {
        self.below.uevents()
    }

    fn get(&self, url: &str, timeout: Duration) -> Reply<Vec<u8>> {
        self.below.get(url, timeout)
    }
}
