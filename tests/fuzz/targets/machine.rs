//! A machine in memory with one disk, the volume's. What it says of itself is what the fuzzer thinks of.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cinder_csi::node::{
    Command, FileKind, Hold, Host, MountCall, Number, Output, Reply, Stat, Statfs, Uevents,
};
use futures_util::future::BoxFuture;

use super::driver::SERVER;

pub const VOLUME: &str = "6f1f0c66-4c3e-4b7e-9d51-0a1b2c3d4e5f";
pub const STAGING: &str = "/var/lib/kubelet/staging";
pub const TARGET: &str = "/var/lib/kubelet/target";

const DISK: &str = "/dev/vdb";
const NUMBER: Number = Number { major: 252, minor: 16 };
pub const DISK_SIZE: u64 = 64 << 20;

/// The most that one read may ask for: what the driver itself calls the largest file of a config drive.
const LARGEST_READ: usize = 16 << 20;

#[derive(Clone)]
pub struct Machine {
    pub mountinfo: Vec<u8>,
    /// What the disk begins with; zeros follow.
    pub disk: Vec<u8>,
    pub has_config_drive: bool,
    pub blkid: Output,
    /// Every other command's answer.
    pub tools: Output,
    pub metadata: Vec<u8>,
    /// Commands and mounts, oldest first.
    pub done: Arc<Mutex<Vec<String>>>,
}

struct Silence;

impl Default for Machine {
    fn default() -> Self {
        let mountinfo = format!("30 28 252:16 / {STAGING} rw shared:1 - ext4 {DISK} rw\n");
        let metadata = format!("{{\"uuid\": \"{SERVER}\", \"availability_zone\": \"az1\"}}");
        Self {
            mountinfo: mountinfo.into(),
            disk: Vec::new(),
            has_config_drive: false,
            blkid: output(Some(0), b"TYPE=ext4\nUSAGE=filesystem\n"),
            tools: output(Some(0), b"Block count: 16384\nBlock size: 4096\n"),
            metadata: metadata.into(),
            done: Arc::default(),
        }
    }
}

pub fn output(code: Option<i32>, text: &[u8]) -> Output {
    let text = String::from_utf8_lossy(text).into_owned();
    Output { code, stdout: text.clone(), stderr: text }
}

impl Machine {
    fn note(&self, done: String) {
        self.done.lock().expect("no panic before").push(done);
    }

    pub fn has(&self, what: &str) -> bool {
        self.done.lock().expect("no panic before").iter().any(|done| done.starts_with(what))
    }

    fn sysfs(&self, path: &Path) -> Option<Vec<u8>> {
        let directory = path.strip_prefix("/sys/block/vdb").or(path.strip_prefix("/sys/dev/block/252:16"));
        match directory.ok()?.to_str()? {
            "serial" => Some(VOLUME[..20].into()),
            "size" => Some((DISK_SIZE / 512).to_string().into()),
            "dev" => Some(NUMBER.to_string().into()),
            "ro" => Some(b"0\n".into()),
            _ => None,
        }
    }
}

fn ready<T: Send + 'static>(answer: io::Result<T>) -> Reply<T> {
    Box::pin(std::future::ready(answer))
}

fn missing<T: Send + 'static>() -> Reply<T> {
    ready(Err(io::ErrorKind::NotFound.into()))
}

impl Host for Machine {
    fn mount(&self, mount: MountCall) -> Reply<()> {
        self.note(format!("mount {}", mount.target.display()));
        ready(Ok(()))
    }

    fn unmount(&self, point: &Path, _lazy: bool) -> Reply<()> {
        self.note(format!("unmount {}", point.display()));
        ready(Ok(()))
    }

    fn mountinfo(&self) -> Reply<Vec<u8>> {
        ready(Ok(self.mountinfo.clone()))
    }

    fn run(&self, command: Command) -> Reply<Output> {
        self.note(command.program.to_owned());
        ready(Ok(if command.program == "blkid" { self.blkid.clone() } else { self.tools.clone() }))
    }

    fn statfs(&self, _path: &Path) -> Reply<Statfs> {
        ready(Ok(Statfs { total: DISK_SIZE, free: 0, available: 0, inodes: 1, free_inodes: 0 }))
    }

    fn stat(&self, path: &Path) -> Reply<Stat> {
        let is_disk = path == Path::new(DISK);
        ready(Ok(Stat { kind: if is_disk { FileKind::BlockDevice(NUMBER) } else { FileKind::Directory } }))
    }

    fn canonical(&self, path: &Path) -> Reply<PathBuf> {
        match path.to_str() {
            Some("/sys/dev/block/252:16") => ready(Ok("/sys/block/vdb".into())),
            Some("/dev/disk/by-label/config-2") if self.has_config_drive => ready(Ok(DISK.into())),
            Some(label) if label.starts_with("/dev/disk/by-label") => missing(),
            Some(link) if link.starts_with("/dev/disk/") => ready(Ok(DISK.into())),
            _ => ready(Ok(path.to_owned())),
        }
    }

    fn list(&self, directory: &Path) -> Reply<Vec<OsString>> {
        ready(Ok(match directory.to_str() {
            Some("/sys/block") => vec!["vdb".into()],
            Some("/dev/disk/by-id") => vec![format!("virtio-{}", &VOLUME[..20]).into()],
            _ => Vec::new(),
        }))
    }

    fn make_directory(&self, _path: &Path) -> Reply<()> {
        ready(Ok(()))
    }

    fn make_file(&self, _path: &Path) -> Reply<()> {
        ready(Ok(()))
    }

    fn remove(&self, _path: &Path) -> Reply<()> {
        ready(Ok(()))
    }

    fn hold(&self, _disk: &Path) -> Reply<Hold> {
        ready(Ok(Hold::new(Stat { kind: FileKind::BlockDevice(NUMBER) }, ())))
    }

    fn is_claimed(&self, _disk: &Path) -> Reply<bool> {
        ready(Ok(false))
    }

    fn disk_size(&self, _disk: &Path) -> Reply<u64> {
        ready(Ok(DISK_SIZE))
    }

    fn read_disk(&self, _disk: &Path, offset: u64, length: usize) -> Reply<Vec<u8>> {
        assert!(length <= LARGEST_READ, "one read of {length} bytes");
        if offset.checked_add(length as u64).is_none_or(|end| end > DISK_SIZE) {
            return ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        let from = (offset as usize).min(self.disk.len());
        let to = (offset as usize + length).min(self.disk.len());
        let mut bytes = self.disk[from..to].to_vec();
        bytes.resize(length, 0);
        ready(Ok(bytes))
    }

    fn write_disk(&self, _disk: &Path, _offset: u64, _bytes: Vec<u8>) -> Reply<()> {
        self.note("write".to_owned());
        ready(Ok(()))
    }

    fn read(&self, path: &Path) -> Reply<Vec<u8>> {
        if path.starts_with("/sys/class/dmi") {
            return ready(Ok(self.metadata.clone()));
        }
        self.sysfs(path).map_or_else(missing, |bytes| ready(Ok(bytes)))
    }

    fn write(&self, _path: &Path, _bytes: &[u8]) -> Reply<()> {
        ready(Ok(()))
    }

    fn replace(&self, _path: &Path, _bytes: &[u8]) -> Reply<()> {
        ready(Ok(()))
    }

    fn uevents(&self) -> Reply<Box<dyn Uevents>> {
        ready(Ok(Box::new(Silence)))
    }

    fn get(&self, _url: &str, _timeout: Duration) -> Reply<Vec<u8>> {
        ready(Ok(self.metadata.clone()))
    }
}

impl Uevents for Silence {
    fn next(&mut self) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(std::future::pending())
    }
}
