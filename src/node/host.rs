//! The seam to the machine: a dozen verbs and no policy. Who decides lives above, who does it is [`super::linux`].

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::zeros::{self, Area};

/// What a verb answers. It owns its arguments, so that work can outlive the call that asked for it.
pub type Reply<T> = BoxFuture<'static, io::Result<T>>;

/// The machine below the driver.
pub trait Host: Send + Sync + 'static {
    fn mount(&self, mount: MountCall) -> Reply<()>;
    /// Unmounts the topmost mount at `point`; `lazy` detaches it now and ends it when its last user does.
    fn unmount(&self, point: &Path, lazy: bool) -> Reply<()>;
    /// `/proc/self/mountinfo`.
    fn mountinfo(&self) -> Reply<Vec<u8>>;
    /// Runs a command to its end. The child isn't killed when the future is dropped.
    fn run(&self, command: Command) -> Reply<Output>;
    fn statfs(&self, path: &Path) -> Reply<Statfs>;
    /// The file behind `path`, links followed.
    fn stat(&self, path: &Path) -> Reply<Stat>;
    /// `path` without links.
    fn canonical(&self, path: &Path) -> Reply<PathBuf>;
    fn list(&self, directory: &Path) -> Reply<Vec<OsString>>;
    fn make_directory(&self, path: &Path) -> Reply<()>;
    fn make_file(&self, path: &Path) -> Reply<()>;
    /// Removes an empty directory or an empty file: `DirectoryNotEmpty` where it holds something.
    fn remove(&self, path: &Path) -> Reply<()>;
    /// Opens a disk and keeps it open: its name can't pass to another disk meanwhile.
    fn hold(&self, disk: &Path) -> Reply<Hold>;
    /// Whether someone has the disk for himself: it's mounted in some namespace, or part of another disk.
    fn is_claimed(&self, disk: &Path) -> Reply<bool>;
    /// The size of a disk in bytes.
    fn disk_size(&self, disk: &Path) -> Reply<u64>;
    /// Reads all of `length` bytes past the page cache: a short read is an error.
    fn read_disk(&self, disk: &Path, offset: u64, length: usize) -> Reply<Vec<u8>>;
    /// The same through the page cache, where the kernel has what it changes on a mounted disk.
    fn read_cached(&self, disk: &Path, offset: u64, length: usize) -> Reply<Vec<u8>> {
        self.read_disk(disk, offset, length)
    }
    /// Whether all `areas` are zero. Every one of them is read, past the page cache; an error names the part that can't be.
    fn is_zero(&self, disk: &Path, areas: Vec<Area>) -> Reply<bool> {
        let pieces = areas.into_iter().flat_map(zeros::pieces);
        let reads: Vec<_> =
            pieces.map(|(at, length)| (at, length, self.read_disk(disk, at, length))).collect();
        Box::pin(async {
            let mut zero = true;
            for (at, length, read) in reads {
                zero &= zeros::is_zero(&read.await.map_err(|error| zeros::unread((at, length), &error))?);
            }
            Ok(zero)
        })
    }
    /// Writes past the page cache, down to the medium.
    fn write_disk(&self, disk: &Path, offset: u64, bytes: Vec<u8>) -> Reply<()>;
    /// A small file, as sysfs has them.
    fn read(&self, path: &Path) -> Reply<Vec<u8>>;
    /// Several of them, in their order.
    fn read_each(&self, paths: Vec<PathBuf>) -> Reply<Vec<io::Result<Vec<u8>>>> {
        let reads: Vec<_> = paths.iter().map(|path| self.read(path)).collect();
        Box::pin(async {
            let mut answers = Vec::with_capacity(reads.len());
            for read in reads {
                answers.push(read.await);
            }
            Ok(answers)
        })
    }
    fn write(&self, path: &Path, bytes: &[u8]) -> Reply<()>;
    /// Puts a file in the place of the one at `path`: whatever happens, one of them is there, and whole.
    fn replace(&self, path: &Path, bytes: &[u8]) -> Reply<()>;
    /// Kernel events from now on.
    fn uevents(&self) -> Reply<Box<dyn Uevents>>;
    /// An HTTP GET to this machine's own metadata service: never through a proxy.
    fn get(&self, url: &str, timeout: Duration) -> Reply<Vec<u8>>;
}

/// Kernel events about block devices.
pub trait Uevents: Send {
    /// Ends when one has come, or when some may have been lost.
    fn next(&mut self) -> BoxFuture<'_, io::Result<()>>;
}

/// Keeps a disk open until dropped.
pub struct Hold {
    pub stat: Stat,
    _guard: Box<dyn Send + Sync>,
}

/// The arguments of mount(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountCall {
    pub source: PathBuf,
    pub target: PathBuf,
    pub kind: MountKind,
    pub flags: Flags,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountKind {
    /// A file system of this type, with its own options.
    New { fs: &'static str, data: String },
    /// The same tree or file at one more place, with the flags that it has and these.
    Bind,
}

/// The flags of mount(2), one bool each. See mount(2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    pub read_only: bool,
    pub no_suid: bool,
    pub no_dev: bool,
    pub no_exec: bool,
    pub no_atime: bool,
    pub no_dir_atime: bool,
    pub strict_atime: bool,
    pub rel_atime: bool,
    pub lazy_time: bool,
    pub synchronous: bool,
    pub dir_sync: bool,
}

/// A command by its name: the host knows where it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    pub program: &'static str,
    pub arguments: Vec<OsString>,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// None where a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A device number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Number {
    pub major: u64,
    pub minor: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    Directory,
    File,
    BlockDevice(Number),
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    pub kind: FileKind,
}

/// statfs(2), in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statfs {
    pub total: u64,
    pub free: u64,
    pub available: u64,
    pub inodes: u64,
    pub free_inodes: u64,
}

impl Hold {
    pub fn new(stat: Stat, guard: impl Send + Sync + 'static) -> Self {
        Self { stat, _guard: Box::new(guard) }
    }
}

impl Command {
    pub fn new(program: &'static str) -> Self {
        Self { program, arguments: Vec::new() }
    }

    pub fn with(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    pub fn with_all(mut self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }
}

impl Output {
    /// What the command complained about, at most four lines of it, on one line.
    pub fn complaint(&self) -> String {
        let text = if self.stderr.trim().is_empty() { &self.stdout } else { &self.stderr };
        let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let cause = before_usage(&lines);
        let tail = cause[cause.len().saturating_sub(4)..].join("; ");
        let code = self.code.map_or("ended by a signal".to_owned(), |code| format!("exit code {code}"));
        if tail.is_empty() { code } else { format!("{code}: {tail}") }
    }
}

/// The mkfs programs say what is wrong with an option first, and then a page of how to use them.
fn before_usage<'a>(lines: &'a [&'a str]) -> &'a [&'a str] {
    let is_usage = |line: &&str| {
        let line = line.to_ascii_lowercase();
        line.starts_with("usage:") || line.starts_with("extended options are ")
    };
    match lines.iter().position(is_usage) {
        None | Some(0) => lines,
        Some(usage) => &lines[..usage],
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(stderr: &str) -> String {
        let output = Output { code: Some(1), stdout: String::new(), stderr: stderr.to_owned() };
        output.complaint()
    }

    #[test]
    fn the_cause_is_told_and_not_how_to_use_the_program() {
        let usage = "[-b blocks]\n\t[-i bytes]\n\t[-m percent]\n\t[-z undo_file]\n\tdevice [blocks-count]\n";
        for (said, cause) in [
            (
                format!("mkfs.ext4: invalid option -- 'Z'\nUsage: mkfs.ext4 {usage}"),
                "mkfs.ext4: invalid option -- 'Z'",
            ),
            (
                format!("mkfs.btrfs: invalid option -- 'Z'\nusage: mkfs.btrfs {usage}"),
                "mkfs.btrfs: invalid option -- 'Z'",
            ),
            (format!("unknown option -m bogus=1\nUsage: mkfs.xfs\n{usage}"), "unknown option -m bogus=1"),
            (
                format!(
                    "mke2fs 1.47.0\n\nBad option(s) specified: x\n\nExtended options are separated by commas\n{usage}"
                ),
                "mke2fs 1.47.0; Bad option(s) specified: x",
            ),
            ("a\nb\nc\nd\ne\n".to_owned(), "b; c; d; e"),
            ("Usage: blkid\n".to_owned(), "Usage: blkid"),
        ] {
            assert_eq!(complaint(&said), format!("exit code 1: {cause}"));
        }
        assert_eq!(complaint(""), "exit code 1");
    }
}
