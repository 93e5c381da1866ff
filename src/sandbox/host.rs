//! The hypervisor of the simulated cloud: real disks for its servers, as loop devices. Needs root.

#![allow(clippy::disallowed_methods, reason = "it plays the hypervisor, which is no part of the driver")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::world::Hypervisor;

/// One sparse file for each volume, one loop device for each server that has it, and below `links/SERVER` the link
/// that udev makes for a virtio disk.
#[derive(Debug)]
pub struct LoopDevices {
    root: PathBuf,
    plugged: BTreeMap<(String, String), PathBuf>,
}

const GIB: u64 = 1 << 30;
/// QEMU cuts the serial of a virtio disk to this.
const SERIAL_LENGTH: usize = 20;

impl LoopDevices {
    /// Keeps its files below `root`, which is made where it is missing.
    pub fn new(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root.join("volumes"))?;
        Ok(Self { root: root.to_owned(), plugged: BTreeMap::new() })
    }

    /// Whether this process may make loop devices.
    pub fn are_possible() -> bool {
        nix::unistd::geteuid().is_root() && Path::new("/dev/loop-control").exists()
    }

    /// Where the server's links are: what `/dev/disk/by-id` is on a real one.
    pub fn device_dir(root: &Path, server: &str) -> PathBuf {
        root.join("links").join(server)
    }

    fn backing(&self, volume: &str) -> PathBuf {
        self.root.join("volumes").join(volume)
    }

    fn link(&self, server: &str, volume: &str) -> PathBuf {
        let serial = volume.get(..SERIAL_LENGTH).unwrap_or(volume);
        Self::device_dir(&self.root, server).join(format!("virtio-{serial}"))
    }

    /// Makes the backing file at least this large; it never shrinks.
    fn reserve(&self, volume: &str, gigabytes: u64) -> io::Result<PathBuf> {
        let path = self.backing(volume);
        let file = File::options().create(true).truncate(false).write(true).open(&path)?;
        if file.metadata()?.len() < gigabytes * GIB {
            file.set_len(gigabytes * GIB)?;
        }
        Ok(path)
    }
}

impl Hypervisor for LoopDevices {
    fn plug(&mut self, server: &str, volume: &str, gigabytes: u64) -> io::Result<()> {
        let backing = self.reserve(volume, gigabytes)?;
        let link = self.link(server, volume);
        let device = new_disk(&backing)?;
        self.plugged.insert((server.to_owned(), volume.to_owned()), device.clone());
        fs::create_dir_all(Self::device_dir(&self.root, server))?;
        remove_if_there(&link)?;
        std::os::unix::fs::symlink(device, link)
    }

    fn unplug(&mut self, server: &str, volume: &str) -> io::Result<()> {
        let Some(device) = self.plugged.get(&(server.to_owned(), volume.to_owned())) else { return Ok(()) };
        detach(device)?;
        self.plugged.remove(&(server.to_owned(), volume.to_owned()));
        remove_if_there(&self.link(server, volume))
    }

    fn grow(&mut self, server: &str, volume: &str, gigabytes: u64) -> io::Result<()> {
        self.reserve(volume, gigabytes)?;
        let Some(device) = self.plugged.get(&(server.to_owned(), volume.to_owned())) else { return Ok(()) };
        losetup(&["--set-capacity"], Some(device)).map(drop)
    }

    fn forget(&mut self, volume: &str) {
        if let Err(error) = remove_if_there(&self.backing(volume)) {
            tracing::warn!(volume, %error, "the sandbox could not delete a backing file");
        }
    }

    fn copy(&mut self, source: &str, target: &str) -> io::Result<()> {
        let source = self.backing(source);
        if !source.exists() {
            return Ok(());
        }
        let mut command = command("cp");
        run(command.arg("--sparse=always").arg("--reflink=auto").arg(source).arg(self.backing(target)))
            .map(drop)
    }
}

impl Drop for LoopDevices {
    fn drop(&mut self) {
        for ((server, volume), device) in std::mem::take(&mut self.plugged) {
            if let Err(error) = detach(&device) {
                tracing::warn!(server, volume, %error, "the sandbox could not take a disk out");
            }
            remove_if_there(&self.link(&server, &volume)).unwrap_or_default();
            remove_if_there(&self.backing(&volume)).unwrap_or_default();
        }
    }
}

/// The loop devices of this machine and the paths of their files, with ` (deleted)` where the file has gone.
pub(super) fn loop_devices() -> io::Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/sys/block")? {
        let entry = entry?;
        if let Ok(file) = fs::read_to_string(entry.path().join("loop/backing_file")) {
            let name = entry.file_name().to_string_lossy().into_owned();
            found.push((name, file.trim_end_matches('\n').to_owned()));
        }
    }
    Ok(found)
}

/// The loop devices of this very file, whatever its path is now.
pub(super) fn loop_devices_of(file: &Path) -> io::Result<Vec<PathBuf>> {
    let names = losetup(&["--noheadings", "--output", "NAME", "--associated"], Some(file))?;
    Ok(names.lines().map(str::trim).filter(|name| !name.is_empty()).map(PathBuf::from).collect())
}

/// Of two that look for a free loop device at the same time one finds the other's, and has it for itself for a moment (LOOP_CONFIGURE): a
/// mkfs or mount there is told EBUSY. So they take turns. And a loop device keeps the read-only flag of its earlier user (BLKROSET);
/// a disk that was just plugged has none.
fn new_disk(backing: &Path) -> io::Result<PathBuf> {
    let mut find = command("flock");
    let device = run(find.args(["/dev/loop-control", "losetup", "--find", "--show"]).arg(backing))?;
    let device = PathBuf::from(device.trim());
    match run(command("blockdev").arg("--setrw").arg(&device)) {
        Ok(_) => Ok(device),
        Err(error) => detach(&device).and(Err(error)),
    }
}

pub(super) fn detach(device: &Path) -> io::Result<()> {
    losetup(&["--detach"], Some(device)).map(drop)
}

/// What a command of util-linux prints, to show it to people.
pub(super) fn printed(program: &str, arguments: &[&str], path: &Path) -> io::Result<String> {
    let mut command = command(program);
    run(command.args(arguments).arg(path))
}

/// `su` without a dash leaves root a PATH without /sbin.
fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

fn losetup(options: &[&str], path: Option<&Path>) -> io::Result<String> {
    let mut command = command("losetup");
    run(command.args(options).args(path))
}

fn run(command: &mut Command) -> io::Result<String> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(io::Error::other(format!("{}: {words}", command.get_program().display())))
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
