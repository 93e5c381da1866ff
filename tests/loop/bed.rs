//! Loop devices, links and mounts that go away with the test, also with one that fails.

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cinder_csi::node::{Access, Expected, FormatPolicy, FsType, Linux, Node, Publish, Settings, Stage};
use cinder_csi::pace::{self, Deadline};

pub const VOLUME: &str = "0f9c0b2e-6d53-4b6a-9d5e-1c2f3a4b5c6d";
pub const MIB: u64 = 1 << 20;

pub struct Bed {
    directory: tempfile::TempDir,
    loops: Mutex<Vec<PathBuf>>,
}

/// A sparse file behind a loop device.
#[derive(Clone)]
pub struct Disk {
    pub file: PathBuf,
    pub device: PathBuf,
    pub size: u64,
}

impl Bed {
    pub fn new() -> Self {
        assert!(
            nix::unistd::geteuid().is_root(),
            "the loop_ tests make loop devices and mounts: run them as root (`tests/run loop`)"
        );
        let bed = Self { directory: tempfile::tempdir().unwrap(), loops: Mutex::default() };
        fs::create_dir(bed.path("dev")).unwrap();
        fs::create_dir(bed.path("commands")).unwrap();
        bed
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A disk of zeros, linked as that of [`VOLUME`].
    pub fn disk(&self, size: u64) -> Disk {
        self.disk_with(size, |_| {})
    }

    /// The same with some content.
    pub fn disk_with(&self, size: u64, fill: impl FnOnce(&Path)) -> Disk {
        let disk = self.unlinked("disk", size, fill);
        self.link(&disk.device);
        disk
    }

    pub fn unlinked(&self, name: &str, size: u64, fill: impl FnOnce(&Path)) -> Disk {
        let file = self.path(name);
        fs::File::create_new(&file).unwrap().set_len(size).unwrap();
        fill(&file);
        // Of two that look for a free loop device at once one has the other's for itself for a moment: they take turns.
        let find = ["/dev/loop-control", "losetup", "--find", "--show", file.to_str().unwrap()];
        let device = PathBuf::from(run("flock", &find).trim());
        self.loops.lock().unwrap().push(device.clone());
        // A loop device keeps the read-only flag of its earlier user; a disk that was just plugged has none.
        run("blockdev", &["--setrw", device.to_str().unwrap()]);
        Disk { file, device, size }
    }

    pub fn link(&self, target: &Path) {
        let link = self.path("dev").join(format!("virtio-{}", &VOLUME[..20]));
        let _ = fs::remove_file(&link);
        symlink(target, link).unwrap();
    }

    /// A command that stands before the real one.
    pub fn command(&self, name: &str, script: &str) {
        let path = self.path("commands").join(name);
        let text = format!("#!/bin/sh\nset -e\nBED='{}'\n{script}\n", self.directory.path().display());
        write(&path, &text);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub fn node(&self) -> Node {
        node_in(self.directory.path())
    }

    pub fn stage(&self, fs: FsType, disk: &Disk) -> Stage {
        stage_in(self.directory.path(), fs, disk.size)
    }

    pub fn staging(&self) -> PathBuf {
        self.path("staging")
    }

    pub fn publish(&self, access: Access, disk: &Disk) -> Publish {
        Publish {
            volume: VOLUME.into(),
            staging: self.staging(),
            target: self.path("target"),
            access,
            expected: sized(disk.size),
            read_only: false,
            exclusive: false,
        }
    }

    /// How many mounts there are at `path`.
    pub fn mounts_at(&self, path: &Path) -> usize {
        mount_points().iter().filter(|point| *point == path).count()
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let ours = |point: &&PathBuf| point.starts_with(self.directory.path());
        for point in mount_points().iter().rev().filter(ours) {
            let _ = nix::mount::umount2(point, nix::mount::MntFlags::MNT_DETACH);
        }
        for device in self.loops.lock().unwrap().iter() {
            let _ = Command::new("losetup").arg("--detach").arg(device).status();
        }
    }
}

impl Disk {
    /// Grows the disk under whoever uses it, as Nova does.
    pub fn grow(&mut self, size: u64) {
        fs::OpenOptions::new().write(true).open(&self.file).unwrap().set_len(size).unwrap();
        run("losetup", &["--set-capacity", self.device.to_str().unwrap()]);
        self.size = size;
    }

    /// Changes with any byte of the disk.
    pub fn checksum(&self) -> String {
        run("b2sum", &[self.file.to_str().unwrap()])
    }
}

pub fn node_in(bed: &Path) -> Node {
    let host = Linux::with_commands_in(&bed.join("commands"));
    Node::new(Arc::new(host), Settings { device_dir: bed.join("dev"), rescan_on_resize: true })
}

pub fn stage_in(bed: &Path, fs: FsType, size: u64) -> Stage {
    Stage {
        volume: VOLUME.into(),
        staging: bed.join("staging"),
        access: mounted(fs),
        expected: sized(size),
        format: FormatPolicy::Allowed,
        mkfs_options: Vec::new(),
        read_only: false,
        untouched: false,
        own_uuid: false,
        resize: false,
    }
}

pub fn mounted(fs: FsType) -> Access {
    Access::Mount { fs, flags: Vec::new() }
}

pub fn sized(size: u64) -> Expected {
    Expected { size_bytes: Some(size), encrypted: Some(false), device_path: Some("/dev/vdb".into()) }
}

/// Runs `work`, which waits for what never comes and runs no command, up to its deadline. The clock stands still while it
/// works and leaps while it waits, so that a loaded machine makes no difference.
pub async fn in_vain<F: Future>(work: F) -> F::Output {
    tokio::time::pause();
    let ended = pace::within(Deadline::after(Duration::from_secs(60)), work).await;
    tokio::time::resume();
    ended
}

/// Writes a file in a process of its own. A file that this process has open is for a moment open in every child that
/// another test starts meanwhile: then its file system is busy, and a script can't be executed.
pub fn write(path: &Path, text: &str) {
    run("sh", &["-c", "printf %s \"$2\" > \"$1\"", "sh", path.to_str().unwrap(), text]);
}

/// Reads a file in a process of its own, likewise.
pub fn read(path: &Path) -> String {
    run("cat", &[path.to_str().unwrap()])
}

pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program} is needed: {error} (`tests/run` installs it)"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

pub fn write_at(file: &Path, offset: u64, bytes: &[u8]) {
    fs::OpenOptions::new().write(true).open(file).unwrap().write_all_at(bytes, offset).unwrap();
}

pub fn read_at(file: &Path, offset: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    fs::File::open(file).unwrap().read_exact_at(&mut bytes, offset).unwrap();
    bytes
}

fn mount_points() -> Vec<PathBuf> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap();
    text.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from).collect()
}
