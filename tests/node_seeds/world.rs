//! A machine in memory: disks that come and go, device nodes, links, directories and mounts.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use cinder_csi::node::{FileKind, Number, Stat};
use nix::libc::{EBUSY, EINVAL, EIO};

use super::disk::Disk;

pub const BY_ID: &str = "/dev/disk/by-id";
/// virtio-blk, sixteen numbers for each disk: <https://docs.kernel.org/admin-guide/devices.html>, "block".
const MAJOR: u64 = 252;
const MINORS: u64 = 16;

#[derive(Default)]
pub struct World {
    pub disks: Vec<Disk>,
    pub devices: BTreeMap<usize, Device>,
    pub links: BTreeMap<String, PathBuf>,
    pub mounts: Vec<Mount>,
    pub paths: BTreeMap<PathBuf, Entry>,
    /// Mount points in which a process works.
    pub busy: BTreeSet<PathBuf>,
    pub processes: BTreeMap<u64, Process>,
    pub begun: u64,
    /// What happened that may never happen.
    pub broken: Vec<String>,
}

/// What the kernel calls a disk that is plugged in, by its index: 1 is `vdb`.
#[derive(Clone, Debug)]
pub struct Device {
    pub disk: usize,
    /// Pulled out. Its name and number are taken until its last user lets it go.
    pub gone: bool,
    pub read_only: bool,
    pub holds: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    Directory,
    File,
}

#[derive(Clone, Debug)]
pub struct Mount {
    pub point: PathBuf,
    pub root: PathBuf,
    /// The index of the device. None: of the machine's own root disk.
    pub device: Option<usize>,
    /// None: a device node, bound.
    pub fs: Option<&'static str>,
    pub read_only: bool,
}

/// A command that runs, and may outlive who started it.
pub struct Process {
    pub device: usize,
    /// It opened the device with O_EXCL: open(2).
    pub exclusive: bool,
}

pub fn number(index: usize) -> Number {
    Number { major: MAJOR, minor: MINORS * index as u64 }
}

fn name(index: usize) -> String {
    format!("vd{}", char::from(b'a' + index as u8))
}

pub fn node(index: usize) -> PathBuf {
    Path::new("/dev").join(name(index))
}

fn missing<T>() -> io::Result<T> {
    Err(io::ErrorKind::NotFound.into())
}

fn errno<T>(number: i32) -> io::Result<T> {
    Err(io::Error::from_raw_os_error(number))
}

impl World {
    /// The kernel gives the lowest free name.
    pub fn plug(&mut self, disk: usize) -> usize {
        self.reap();
        let free = (1..).find(|index| !self.devices.contains_key(index));
        let index = free.unwrap_or_default();
        self.devices.insert(index, Device { disk, gone: false, read_only: false, holds: 0 });
        index
    }

    pub fn unplug(&mut self, index: usize) {
        if let Some(device) = self.devices.get_mut(&index) {
            device.gone = true;
        }
        self.reap();
    }

    /// Frees the names of the disks that have gone and are used by no one. A bound device node is no user: mknod(2), it's a
    /// number, and leads to the next disk that has it.
    pub fn reap(&mut self) {
        let (mounts, busy, processes) = (&self.mounts, &self.busy, &self.processes);
        let is_used = |mount: &Mount| mount.fs.is_some() || busy.contains(&mount.point);
        self.devices.retain(|index, device| {
            !device.gone
                || device.holds > 0
                || mounts.iter().any(|mount| mount.device == Some(*index) && is_used(mount))
                || processes.values().any(|process| process.device == *index)
        });
    }

    pub fn living(&self, disk: usize) -> Option<usize> {
        let found = self.devices.iter().find(|(_, device)| device.disk == disk && !device.gone);
        found.map(|(index, _)| *index)
    }

    /// The device behind `/dev/vdb`, or behind a device node that is bound somewhere.
    pub fn device(&self, path: &Path) -> io::Result<usize> {
        if let Some(Mount { device: Some(index), fs: None, .. }) = self.top(path) {
            return Ok(*index);
        }
        let living = self.devices.iter().find(|(index, device)| !device.gone && node(**index) == path);
        living.map_or_else(missing, |(index, _)| Ok(*index))
    }

    pub fn disk(&mut self, path: &Path) -> io::Result<&mut Disk> {
        let index = self.device(path)?;
        self.disk_of(index)
    }

    /// The disk of a device, if it can still be reached.
    pub fn disk_of(&mut self, index: usize) -> io::Result<&mut Disk> {
        match self.devices.get(&index) {
            Some(device) if !device.gone => Ok(&mut self.disks[device.disk]),
            _ => errno(EIO),
        }
    }

    pub fn top(&self, point: &Path) -> Option<&Mount> {
        self.mounts.iter().rev().find(|mount| mount.point == point)
    }

    fn is_dead(&self, mount: &Mount) -> bool {
        mount.device.is_some_and(|index| self.devices.get(&index).is_none_or(|device| device.gone))
    }

    pub fn stat(&self, path: &Path) -> io::Result<Stat> {
        let kind = |kind| Ok(Stat { kind });
        match self.top(path) {
            Some(Mount { device: Some(index), fs: None, .. }) => {
                return kind(FileKind::BlockDevice(number(*index)));
            }
            // A file system that has shut down answers EIO, ext4 from its cache what it was: xfs(5), errors.
            Some(mount) if mount.fs == Some("xfs") && self.is_dead(mount) => return errno(EIO),
            Some(_) => return kind(FileKind::Directory),
            None => {}
        }
        if let Ok(index) = self.device(path) {
            return kind(FileKind::BlockDevice(number(index)));
        }
        match self.paths.get(path) {
            Some(Entry::File) => kind(FileKind::File),
            Some(Entry::Directory) => kind(FileKind::Directory),
            None => match self.sysfs(path) {
                Some(_) => kind(FileKind::Directory),
                None => missing(),
            },
        }
    }

    /// The device and the file that a path in sysfs names. The whole of `/sys/dev/block` is there, too.
    pub fn sysfs(&self, path: &Path) -> Option<(Option<usize>, String)> {
        if path == Path::new("/sys/dev/block") || path == Path::new("/sys/block") {
            return Some((None, String::new()));
        }
        let rest = path.strip_prefix("/sys/dev/block").or_else(|_| path.strip_prefix("/sys/block")).ok()?;
        let first = rest.iter().next()?.to_str()?;
        let living = |index: &usize| self.devices.get(index).is_some_and(|device| !device.gone);
        let is_named = |index: &usize| name(*index) == first || number(*index).to_string() == first;
        let index = self.devices.keys().copied().find(|index| living(index) && is_named(index))?;
        Some((Some(index), rest.strip_prefix(first).ok()?.to_str()?.to_owned()))
    }

    pub fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        if let Ok(link) = path.strip_prefix(BY_ID) {
            let target = link.to_str().and_then(|name| self.links.get(name));
            return target.filter(|target| self.device(target).is_ok()).cloned().map_or_else(missing, Ok);
        }
        if let Some((Some(index), _)) = self.sysfs(path) {
            return Ok(Path::new("/sys/devices/pci0000:00/block").join(name(index)));
        }
        self.stat(path).map(|_| path.to_owned())
    }

    pub fn list(&self, directory: &Path) -> Vec<String> {
        if directory == Path::new(BY_ID) {
            return self.links.keys().cloned().collect();
        }
        if directory == Path::new("/sys/block") {
            let living = self.devices.iter().filter(|(_, device)| !device.gone);
            return living.map(|(index, _)| name(*index)).collect();
        }
        Vec::new()
    }

    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let Some((Some(index), file)) = self.sysfs(path) else { return missing() };
        let device = &self.devices[&index];
        let disk = &self.disks[device.disk];
        match (file.as_str(), &disk.serial) {
            ("serial", Some(serial)) => Ok(serial.clone().into_bytes()),
            ("ro", _) => Ok(if device.read_only { b"1\n".into() } else { b"0\n".into() }),
            _ => missing(),
        }
    }

    /// mkdir(2) with all parents.
    pub fn make(&mut self, path: &Path, entry: Entry) -> io::Result<()> {
        match self.stat(path).map(|stat| stat.kind) {
            Ok(FileKind::Directory) if entry == Entry::Directory => Ok(()),
            Ok(FileKind::File) if entry == Entry::File => Ok(()),
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => {
                self.paths.insert(path.to_owned(), entry);
                Ok(())
            }
        }
    }

    /// unlink(2), rmdir(2): EBUSY for what is a mount point.
    pub fn remove(&mut self, path: &Path) -> io::Result<()> {
        if self.top(path).is_some() {
            return errno(EBUSY);
        }
        self.paths.remove(path).map_or_else(missing, |_| Ok(()))
    }

    /// Processes end, but for those that wait for a disk that has gone.
    pub fn free(&mut self, points: &[PathBuf]) {
        for point in points {
            if !self.top(point).is_some_and(|mount| self.is_dead(mount)) {
                self.busy.remove(point);
            }
        }
    }

    pub fn is_mounted(&self, index: usize) -> bool {
        self.mounts.iter().any(|mount| mount.device == Some(index) && mount.fs.is_some())
    }

    pub fn is_exclusive(&self, index: usize) -> bool {
        self.processes.values().any(|process| process.device == index && process.exclusive)
    }

    /// mount(2) of a file system: ENOENT, EBUSY for a disk that someone has for himself or that is mounted otherwise,
    /// EINVAL for one without this file system.
    pub fn mount(
        &mut self,
        source: &Path,
        point: &Path,
        fs: &'static str,
        read_only: bool,
    ) -> io::Result<()> {
        let index = self.device(source)?;
        if self.paths.get(point) != Some(&Entry::Directory) {
            return missing();
        }
        if self.is_exclusive(index) {
            return errno(EBUSY);
        }
        if self.disk_of(index)?.recognised() != Some(fs) || self.disk_of(index)?.is_unfinished() {
            return errno(EINVAL);
        }
        if self.disk_of(index)?.sick {
            return errno(EIO);
        }
        self.mounts.push(Mount {
            point: point.to_owned(),
            root: "/".into(),
            device: Some(index),
            fs: Some(fs),
            read_only,
        });
        Ok(())
    }

    /// What is visible at `source`, at one more place.
    pub fn bind(&mut self, source: &Path, point: &Path, read_only: bool) -> io::Result<()> {
        let is_file = self.paths.get(point).map(|entry| *entry == Entry::File);
        let Some(is_file) = is_file else { return missing() };
        let bound = if let Ok(index) = self.device(source) {
            let root = Path::new("/").join(name(index));
            Mount { point: point.to_owned(), root, device: Some(index), fs: None, read_only }
        } else if let Some(mount) = self.top(source) {
            Mount { point: point.to_owned(), read_only: read_only || mount.read_only, ..mount.clone() }
        } else {
            self.stat(source)?;
            Mount {
                point: point.to_owned(),
                root: source.to_owned(),
                device: None,
                fs: Some("ext4"),
                read_only,
            }
        };
        // ENOTDIR: a file goes onto a file, a directory onto a directory.
        if bound.fs.is_none() != is_file {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        self.mounts.push(bound);
        Ok(())
    }

    /// umount(2): EINVAL for what is no mount point, EBUSY where a process works.
    pub fn unmount(&mut self, point: &Path, lazy: bool) -> io::Result<()> {
        let Some(at) = self.mounts.iter().rposition(|mount| mount.point == point) else {
            return errno(EINVAL);
        };
        if !lazy && self.busy.contains(point) {
            return errno(EBUSY);
        }
        self.mounts.remove(at);
        self.busy.remove(point);
        self.reap();
        Ok(())
    }

    /// proc_pid_mountinfo(5). `//deleted`: the node of a disk that has gone, bound.
    pub fn mountinfo(&self) -> String {
        let line = |mount: &Mount| {
            let options = if mount.read_only { "ro" } else { "rw" };
            let (root, point) = (mount.root.display(), mount.point.display());
            let dead = if mount.fs.is_none() && self.is_dead(mount) { "//deleted" } else { "" };
            match (mount.device, mount.fs) {
                (Some(index), Some(fs)) => {
                    let (number, node) = (number(index), node(index));
                    format!("1 2 {number} {root} {point} {options} - {fs} {} rw\n", node.display())
                }
                (None, Some(fs)) => format!("1 2 252:0 {root} {point} {options} - {fs} /dev/vda rw\n"),
                (_, None) => format!("1 2 0:5 {root}{dead} {point} {options} - devtmpfs udev rw\n"),
            }
        };
        let root = "1 0 252:0 / / rw - ext4 /dev/vda rw\n2 1 0:5 / /dev rw - devtmpfs udev rw\n";
        root.to_owned() + &self.mounts.iter().map(line).collect::<String>()
    }
}
