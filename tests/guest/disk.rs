//! What the cloud has of a volume: a sparse file. And what may be wrong with it on its way into the guest.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::figures::count;

pub const KIB: u64 = 1 << 10;
pub const MIB: u64 = 1 << 20;
pub const SECTOR: u64 = 512;

/// Where Nova puts a disk, by the image's `hw_disk_bus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bus {
    /// With a serial of 20 characters: QEMU cuts it.
    VirtioBlk,
    VirtioScsi,
    Nvme,
}

/// A volume's bytes.
pub struct Disk {
    pub volume: String,
    pub size: u64,
    /// How QEMU keeps it: `raw`, or `qcow2`.
    pub format: &'static str,
    directory: TempDir,
}

/// Some bytes of a disk, or all of them.
pub type Area = Option<Range<u64>>;

/// What fails between the guest and the file.
#[derive(Clone, Debug, Default)]
pub struct Fault {
    rules: Vec<Value>,
}

impl Disk {
    pub fn new(size: u64) -> Self {
        let volume = uuid::Uuid::new_v4().to_string();
        let disk = Self { volume, size, format: "raw", directory: tempfile::tempdir().unwrap() };
        fs::File::create_new(disk.file()).unwrap().set_len(size).unwrap();
        disk
    }

    /// With a cache of its own that a power cut takes: QEMU writes where in the file a new piece of it is when the guest flushes,
    /// and what it hasn't written is gone with it. <https://www.qemu.org/docs/master/interop/qcow2.html>
    pub fn with_cache(size: u64) -> Self {
        let disk = Self { format: "qcow2", ..Self::new(size) };
        let (file, size) = (disk.file(), size.to_string());
        let made =
            Command::new("qemu-img").args(["create", "-q", "-f", "qcow2"]).arg(file).arg(size).status();
        assert!(made.unwrap().success());
        disk
    }

    pub fn file(&self) -> PathBuf {
        self.directory.path().join("disk")
    }

    /// Remembers every byte.
    pub fn copy(&self) -> PathBuf {
        let copy = self.directory.path().join("copy");
        let done = Command::new("cp").arg("--sparse=always").arg(self.file()).arg(&copy).status().unwrap();
        assert!(done.success());
        copy
    }

    /// Whether every byte is as it was.
    pub fn is_as(&self, copy: &Path) -> bool {
        let same = Command::new("cmp").arg("--silent").arg(self.file()).arg(copy).status().unwrap();
        count("MiB compared", (self.size / MIB) as usize);
        same.success()
    }
}

impl Fault {
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads of these bytes fail, writes work. `None`: of all.
    pub fn unreadable(bytes: Area) -> Self {
        Self::of(bytes, "read")
    }

    /// Writes to these bytes fail, reads work.
    pub fn unwritable(bytes: Area) -> Self {
        Self::of(bytes, "write")
    }

    /// A rule for each sector: blkdebug's `sector` is one. Without it a rule is for all.
    fn of(bytes: Area, operation: &str) -> Self {
        let rule = json!({"event": "none", "iotype": operation, "errno": 5});
        let at = |sector: u64| {
            let mut rule = rule.clone();
            rule["sector"] = sector.into();
            rule
        };
        let rules = match bytes {
            None => vec![rule],
            Some(bytes) => (bytes.start / SECTOR..bytes.end.div_ceil(SECTOR)).map(at).collect(),
        };
        Self { rules }
    }

    /// The file as QEMU opens it: <https://www.qemu.org/docs/master/devel/testing/blkdebug.html>.
    pub fn over(&self, file: &Path) -> Value {
        let file = json!({"driver": "file", "filename": file, "discard": "unmap"});
        match self.rules.is_empty() {
            true => file,
            false => json!({"driver": "blkdebug", "image": file, "inject-error": self.rules}),
        }
    }
}
