//! The host that Linux is: the only file with system calls and commands.

#![allow(clippy::disallowed_methods, reason = "this is the file that the other files are sent to")]

mod aligned;
mod bind;
#[cfg(feature = "crash")]
mod end;
mod heap;
mod spawn;
mod sweep;
mod uevents;

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use futures_util::future::join_all;
use nix::fcntl::OFlag;
use nix::mount::{MntFlags, MsFlags};
use nix::sys::stat::{major, minor};

use super::host::{
    Command, FileKind, Flags, Hold, Host, MountCall, MountKind, Number, Output, Reply, Stat, Statfs, Uevents,
};
use super::zeros::Area;
use aligned::Aligned;
pub use heap::keep_heap_small;
use uevents::KernelEvents;

/// This machine.
#[derive(Clone, Debug)]
pub struct Linux {
    search: OsString,
}

/// Where images and distributions put blkid, mkfs and their kin, whatever `PATH` a daemon is started with.
const SEARCH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Default for Linux {
    fn default() -> Self {
        Self { search: SEARCH.into() }
    }
}

impl Linux {
    /// Looks for commands in `directory` first.
    pub fn with_commands_in(directory: &Path) -> Self {
        let mut search = directory.as_os_str().to_owned();
        search.push(":");
        search.push(SEARCH);
        Self { search }
    }

    /// Where a command is, or its name. std looks for a name itself in a changed `PATH`, and then forks, which copies this
    /// process's page tables; a path it spawns
    /// (<https://github.com/rust-lang/rust/blob/master/library/std/src/sys/process/unix/unix.rs>, `posix_spawn`).
    fn path_of(&self, program: &str) -> PathBuf {
        let paths = std::env::split_paths(&self.search).map(|directory| directory.join(program));
        paths.into_iter().find(|path| path.is_file()).unwrap_or_else(|| program.into())
    }
}

impl Host for Linux {
    fn mount(&self, mount: MountCall) -> Reply<()> {
        blocking(move || {
            let MountKind::New { fs, data } = &mount.kind else {
                return bind::bind(&mount.source, &mount.target, mount.flags);
            };
            let data = Some(data.as_str()).filter(|data| !data.is_empty());
            let flags = mount_flags(mount.flags);
            nix::mount::mount(Some(&mount.source), &mount.target, Some(*fs), flags, data)
                .map_err(io::Error::from)
        })
    }

    fn unmount(&self, point: &Path, lazy: bool) -> Reply<()> {
        let point = point.to_owned();
        let flags = if lazy { MntFlags::MNT_DETACH } else { MntFlags::empty() } | MntFlags::UMOUNT_NOFOLLOW;
        blocking(move || nix::mount::umount2(&point, flags).map_err(io::Error::from))
    }

    fn mountinfo(&self) -> Reply<Vec<u8>> {
        blocking(|| std::fs::read("/proc/self/mountinfo"))
    }

    fn run(&self, command: Command) -> Reply<Output> {
        let mut child = tokio::process::Command::new(self.path_of(command.program));
        child.args(&command.arguments).process_group(0);
        child.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // What the driver's own environment says (MKE2FS_CONFIG, a password) is none of theirs.
        child.env_clear().env("PATH", &self.search).env("LC_ALL", "C");
        Box::pin(async move {
            let child = spawn::spawn(&mut child).await.map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => io::Error::new(error.kind(), "the command is not installed"),
                _ => error,
            })?;
            let output = child.wait_with_output().await?;
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            Ok(Output {
                code: output.status.code(),
                stdout: text(&output.stdout),
                stderr: text(&output.stderr),
            })
        })
    }

    fn statfs(&self, path: &Path) -> Reply<Statfs> {
        let path = path.to_owned();
        blocking(move || {
            let found = nix::sys::statvfs::statvfs(&path)?;
            let unit = found.fragment_size();
            Ok(Statfs {
                total: found.blocks() * unit,
                free: found.blocks_free() * unit,
                available: found.blocks_available() * unit,
                inodes: found.files(),
                free_inodes: found.files_free(),
            })
        })
    }

    fn stat(&self, path: &Path) -> Reply<Stat> {
        let path = path.to_owned();
        blocking(move || Ok(stat_of(&std::fs::metadata(path)?)))
    }

    fn canonical(&self, path: &Path) -> Reply<PathBuf> {
        let path = path.to_owned();
        blocking(move || std::fs::canonicalize(path))
    }

    fn list(&self, directory: &Path) -> Reply<Vec<OsString>> {
        let directory = directory.to_owned();
        blocking(move || std::fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name())).collect())
    }

    fn make_directory(&self, path: &Path) -> Reply<()> {
        let path = path.to_owned();
        blocking(move || std::fs::create_dir_all(path))
    }

    fn make_file(&self, path: &Path) -> Reply<()> {
        let path = path.to_owned();
        blocking(move || {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(false).custom_flags(OFlag::O_NOFOLLOW.bits());
            options.open(path).map(drop)
        })
    }

    fn remove(&self, path: &Path) -> Reply<()> {
        let path = path.to_owned();
        blocking(move || {
            let found = std::fs::symlink_metadata(&path)?;
            if found.is_dir() {
                return std::fs::remove_dir(path);
            }
            if found.is_file() && found.len() > 0 {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            std::fs::remove_file(path)
        })
    }

    fn hold(&self, disk: &Path) -> Reply<Hold> {
        let disk = disk.to_owned();
        blocking(move || {
            let file = File::open(disk)?;
            Ok(Hold::new(stat_of(&file.metadata()?), file))
        })
    }

    fn is_claimed(&self, disk: &Path) -> Reply<bool> {
        let disk = disk.to_owned();
        Box::pin(async move { spawn::is_claimed(&disk).await })
    }

    fn disk_size(&self, disk: &Path) -> Reply<u64> {
        let disk = disk.to_owned();
        blocking(move || File::open(disk)?.seek(SeekFrom::End(0)))
    }

    fn read_disk(&self, disk: &Path, offset: u64, length: usize) -> Reply<Vec<u8>> {
        let disk = disk.to_owned();
        blocking(move || {
            let file = OpenOptions::new().read(true).custom_flags(OFlag::O_DIRECT.bits()).open(disk)?;
            let mut memory = Aligned::new(length);
            file.read_exact_at(memory.bytes(), offset)?;
            Ok(memory.into_bytes())
        })
    }

    fn read_cached(&self, disk: &Path, offset: u64, length: usize) -> Reply<Vec<u8>> {
        let disk = disk.to_owned();
        blocking(move || {
            let mut bytes = vec![0; length];
            File::open(disk)?.read_exact_at(&mut bytes, offset)?;
            Ok(bytes)
        })
    }

    fn is_zero(&self, disk: &Path, areas: Vec<Area>) -> Reply<bool> {
        let reader = |share| {
            let disk = disk.to_owned();
            blocking(move || sweep::is_zero(&disk, share))
        };
        let readers: Vec<_> = sweep::shares(areas).into_iter().map(reader).collect();
        // All have closed the disk then, also where one has failed.
        Box::pin(async {
            join_all(readers).await.into_iter().try_fold(true, |zero, share| Ok(zero & share?))
        })
    }

    fn write_disk(&self, disk: &Path, offset: u64, bytes: Vec<u8>) -> Reply<()> {
        let disk = disk.to_owned();
        Box::pin(async move {
            let path = disk.clone();
            blocking(move || write_alone(&path, offset, &bytes)).await?;
            spawn::released(&disk).await;
            Ok(())
        })
    }

    fn read(&self, path: &Path) -> Reply<Vec<u8>> {
        let path = path.to_owned();
        blocking(move || std::fs::read(path))
    }

    fn read_each(&self, paths: Vec<PathBuf>) -> Reply<Vec<io::Result<Vec<u8>>>> {
        blocking(move || Ok(paths.iter().map(std::fs::read).collect()))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Reply<()> {
        let (path, bytes) = (path.to_owned(), bytes.to_owned());
        blocking(move || std::fs::write(path, bytes))
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> Reply<()> {
        let (path, bytes) = (path.to_owned(), bytes.to_owned());
        blocking(move || {
            let new = path.with_added_extension("new");
            let mut file = File::create(&new)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            std::fs::rename(new, &path)?;
            // The new name is on the disk once its directory is.
            path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
        })
    }

    fn uevents(&self) -> Reply<Box<dyn Uevents>> {
        Box::pin(async { Ok(Box::new(KernelEvents::listen()?) as Box<dyn Uevents>) })
    }

    fn get(&self, url: &str, timeout: Duration) -> Reply<Vec<u8>> {
        let url = url.to_owned();
        Box::pin(async move {
            // reqwest asks for a TLS provider even where only http is spoken; a second installation changes nothing.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let client =
                reqwest::Client::builder().no_proxy().timeout(timeout).build().map_err(io::Error::other)?;
            let answer = client.get(url).send().await.map_err(io::Error::other)?;
            let answer = answer.error_for_status().map_err(io::Error::other)?;
            Ok(answer.bytes().await.map_err(io::Error::other)?.to_vec())
        })
    }
}

/// The kernel refuses it of a disk that is mounted, or that a mkfs is at work on: EBUSY.
fn write_alone(disk: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
    let alone = OFlag::O_DIRECT | OFlag::O_SYNC | OFlag::O_EXCL;
    let file = OpenOptions::new().write(true).custom_flags(alone.bits()).open(disk)?;
    let mut memory = Aligned::new(bytes.len());
    memory.bytes().copy_from_slice(bytes);
    file.write_all_at(memory.bytes(), offset)
}

/// A system call on a sick disk can hang: it never runs on a thread that serves other calls.
fn blocking<T: Send + 'static>(call: impl FnOnce() -> io::Result<T> + Send + 'static) -> Reply<T> {
    Box::pin(async { tokio::task::spawn_blocking(call).await.map_err(io::Error::other)? })
}

fn stat_of(found: &std::fs::Metadata) -> Stat {
    let kind = found.file_type();
    let kind = if kind.is_block_device() {
        FileKind::BlockDevice(Number { major: major(found.rdev()), minor: minor(found.rdev()) })
    } else if kind.is_dir() {
        FileKind::Directory
    } else if kind.is_file() {
        FileKind::File
    } else {
        FileKind::Other
    };
    Stat { kind }
}

fn mount_flags(flags: Flags) -> MsFlags {
    [
        (flags.read_only, MsFlags::MS_RDONLY),
        (flags.no_suid, MsFlags::MS_NOSUID),
        (flags.no_dev, MsFlags::MS_NODEV),
        (flags.no_exec, MsFlags::MS_NOEXEC),
        (flags.no_atime, MsFlags::MS_NOATIME),
        (flags.no_dir_atime, MsFlags::MS_NODIRATIME),
        (flags.strict_atime, MsFlags::MS_STRICTATIME),
        (flags.rel_atime, MsFlags::MS_RELATIME),
        (flags.lazy_time, MsFlags::MS_LAZYTIME),
        (flags.synchronous, MsFlags::MS_SYNCHRONOUS),
        (flags.dir_sync, MsFlags::MS_DIRSYNC),
    ]
    .into_iter()
    .filter_map(|(set, flag)| set.then_some(flag))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_missing_command_says_so() {
        let error = Linux::default().run(Command::new("mkfs.nowhere")).await.unwrap_err();
        assert_eq!(error.to_string(), "the command is not installed");
    }

    #[tokio::test]
    async fn a_file_is_replaced_by_another_one_and_never_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let (file, before) = (directory.path().join("file"), directory.path().join("before"));
        let host = Linux::default();
        host.replace(&file, b"first").await.unwrap();
        std::fs::hard_link(&file, &before).unwrap();
        std::fs::write(file.with_extension("new"), "cut off, and longer than what comes").unwrap();
        host.replace(&file, b"second").await.unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"second");
        assert_eq!(std::fs::read(&before).unwrap(), b"first");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
    }
}
