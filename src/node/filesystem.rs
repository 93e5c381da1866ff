//! File systems on a disk: what is there, making one, checking it, growing it.

mod btrfs;
mod ext;
mod mark;
mod probe;
pub(super) mod uuid;
mod xfs;

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::device::Disk;
use super::error::{Error, KERNEL_LOG, On, Result};
use super::host::{Command, Host, Output};
pub(super) use probe::{Probe, WAY_OUT, probe};

/// The file systems that this driver makes and mounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FsType {
    Ext2,
    Ext3,
    Ext4,
    Xfs,
    Btrfs,
}

/// The block of a disk in which ext has its first superblock.
const FIRST: usize = 4096;

/// xfs and ext drop a last group that is too small to be useful: less than this is grown.
const SLACK: u64 = 16 << 20;

impl FsType {
    pub const ALL: [Self; 5] = [Self::Ext2, Self::Ext3, Self::Ext4, Self::Xfs, Self::Btrfs];

    /// Its name to blkid, to mount(2) and in a StorageClass.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ext2 => "ext2",
            Self::Ext3 => "ext3",
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
        }
    }

    /// The block with its first superblock.
    fn superblock(self) -> u64 {
        if self == Self::Btrfs { btrfs::SUPERBLOCK } else { 0 }
    }

    /// Whether it's checked and grown before it's mounted. xfs and btrfs replay their log at mount, and grow mounted only.
    pub(super) fn is_ext(self) -> bool {
        matches!(self, Self::Ext2 | Self::Ext3 | Self::Ext4)
    }

    /// Whether what blkid calls `found` can be mounted as this one: ext4 takes its predecessors as they are.
    pub(super) fn takes(self, found: &str) -> bool {
        found == self.name() || self == Self::Ext4 && matches!(found, "ext2" | "ext3")
    }
}

impl fmt::Display for FsType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for FsType {
    type Err = UnknownFsType;

    fn from_str(name: &str) -> std::result::Result<Self, UnknownFsType> {
        Self::ALL.into_iter().find(|fs| fs.name() == name).ok_or_else(|| UnknownFsType(name.to_owned()))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the file system type {0:?} is none of ext4, ext3, ext2, xfs and btrfs")]
pub struct UnknownFsType(pub String);

/// Makes `fs` on a disk that a probe found empty, or `again` where our own mkfs was cut off.
pub(super) async fn make(
    host: &dyn Host,
    disk: &Disk,
    volume: &str,
    fs: FsType,
    options: &[String],
    again: bool,
) -> Result<()> {
    mark::write(host, disk, volume).await?;
    let command = match fs {
        FsType::Ext2 | FsType::Ext3 | FsType::Ext4 => ext::make(fs, options, &disk.path),
        FsType::Xfs => xfs::make(options, &disk.path, again),
        FsType::Btrfs => btrfs::make(options, &disk.path, again),
    };
    tracing::info!(%volume, disk = %disk.path.display(), %fs, again, "making a file system");
    let output = run(host, disk, command).await?;
    if output.code != Some(0) {
        mark::erase_superblock(host, disk, volume, fs.superblock()).await;
        return Err(Error::internal(
            disk.path.display(),
            format!("mkfs.{fs} failed: {}", output.complaint()),
        )
        .next("see mkfs-options in the StorageClass and this node's kernel log"));
    }
    end_mkfs(host, disk, volume).await
}

/// The options of the file system's own at its mount. A volume made from a snapshot has the UUID of its origin, and xfs
/// refuses to mount it beside that without `nouuid`: xfs(5). `untouched`: not even a journal is replayed.
pub(super) fn mount_data(fs: FsType, data: &str, untouched: bool) -> String {
    let uuid = (fs == FsType::Xfs).then_some("nouuid");
    let journal = match fs {
        _ if !untouched => None,
        FsType::Ext2 => None,
        FsType::Ext3 | FsType::Ext4 => Some("noload"),
        FsType::Xfs => Some("norecovery"),
        // Linux 5.9; the name before it, `nologreplay`, is gone from newer kernels.
        FsType::Btrfs => Some("rescue=nologreplay"),
    };
    let own = data.split(',').filter(|option| !option.is_empty());
    let missing =
        [uuid, journal].into_iter().flatten().filter(|more| data.split(',').all(|own| own != *more));
    own.chain(missing).collect::<Vec<_>>().join(",")
}

/// Whether the driver died before it knew how our own mkfs ended. Then the file system's own tool tells whether all of it is
/// there, and writes nothing.
pub(super) async fn confirm_mkfs(host: &dyn Host, disk: &Disk, volume: &str, fs: FsType) -> Result<bool> {
    if !mark::is_there(host, disk, volume).await? {
        return Ok(false);
    }
    let command = match fs {
        FsType::Ext2 | FsType::Ext3 | FsType::Ext4 => ext::prove(&disk.path),
        FsType::Xfs => xfs::prove(&disk.path),
        FsType::Btrfs => btrfs::prove(&disk.path),
    };
    let output = run(host, disk, command).await?;
    if output.code != Some(0) {
        let cause = format!("mkfs.{fs} has left a part of its {fs} out: {}", output.complaint());
        return Err(Error::precondition(disk.path.display(), cause).next(WAY_OUT));
    }
    Ok(true)
}

/// Takes away the sign that a mkfs has begun: from here on the disk is never formatted again.
pub(super) async fn end_mkfs(host: &dyn Host, disk: &Disk, volume: &str) -> Result<()> {
    mark::erase(host, disk, volume).await
}

/// Checks an unmounted file system, as its own tools advise before a mount.
pub(super) async fn check(host: &dyn Host, disk: &Disk, fs: FsType) -> Result<()> {
    if !fs.is_ext() {
        return Ok(());
    }
    let output = run(host, disk, ext::check(&disk.path)).await?;
    ext::judge_check(&output).map_err(|problem| problem.into_error(&disk.path))
}

/// The bytes that the file system spans: `mounted` names where, unless it's none.
pub(super) async fn size(host: &dyn Host, disk: &Disk, fs: FsType, mounted: Option<&Path>) -> Result<u64> {
    let unknown = |why: String| {
        let cause = format!("can't learn the size of its {fs}: {why}");
        Error::internal(disk.path.display(), cause).next(KERNEL_LOG)
    };
    match (fs, mounted) {
        (FsType::Ext2 | FsType::Ext3 | FsType::Ext4, _) => {
            let block =
                host.read_cached(&disk.path, 0, FIRST).await.map_err(|error| unknown(error.to_string()))?;
            ext::spans(&block).ok_or_else(|| unknown("its superblock isn't understood".into()))
        }
        (FsType::Xfs, Some(point)) => {
            let output = run(host, disk, xfs::describe(point)).await?;
            xfs::parse(&output.stdout).ok_or_else(|| unknown(output.complaint()))
        }
        (FsType::Btrfs, Some(point)) => {
            Ok(host.statfs(point).await.on(point.display(), "read its file system's size")?.total)
        }
        (FsType::Xfs | FsType::Btrfs, None) => Err(unknown("it's told only while it is mounted".into())),
    }
}

/// Whether a file system leaves a part of its disk unused.
pub(super) fn is_short(fs_size: u64, disk_size: u64) -> bool {
    fs_size.saturating_add(SLACK) < disk_size
}

/// Grows the file system over its disk, unless it spans it, and proves that it does. Answers whether it grew.
pub(super) async fn grow(host: &dyn Host, disk: &Disk, fs: FsType, mounted: Option<&Path>) -> Result<bool> {
    let before = size(host, disk, fs, mounted).await?;
    if !is_short(before, disk.size) {
        return Ok(false);
    }
    if let (true, None) = (fs.is_ext(), mounted) {
        // resize2fs wants a whole check of an unmounted file system first.
        let output = run(host, disk, ext::check_all(&disk.path)).await?;
        ext::judge_check(&output).map_err(|problem| problem.into_error(&disk.path))?;
    }
    let output = run(host, disk, grow_command(disk, fs, mounted)).await?;
    if output.code != Some(0) {
        return Err(refused_growth(disk, fs, &output));
    }
    let after = size(host, disk, fs, mounted).await?;
    if is_short(after, disk.size) {
        let cause = format!("its {fs} spans {after} bytes of {} after it was grown", disk.size);
        return Err(Error::internal(disk.path.display(), cause).next(KERNEL_LOG));
    }
    Ok(true)
}

fn grow_command(disk: &Disk, fs: FsType, mounted: Option<&Path>) -> Command {
    let place = mounted.unwrap_or(&disk.path);
    match fs {
        FsType::Ext2 | FsType::Ext3 | FsType::Ext4 => ext::grow(&disk.path),
        FsType::Xfs => xfs::grow(place),
        FsType::Btrfs => btrfs::grow(place),
    }
}

fn refused_growth(disk: &Disk, fs: FsType, output: &Output) -> Error {
    if fs.is_ext() && output.stderr.contains("Permission denied") {
        let cause =
            format!("the kernel doesn't let this driver grow a mounted {fs} (CAP_SYS_RESOURCE is missing)");
        return Error::precondition(disk.path.display(), cause)
            .next("run the node plugin privileged, or stop the pods that use the volume: it grows when it's staged again");
    }
    Error::internal(disk.path.display(), format!("its {fs} didn't grow: {}", output.complaint()))
        .next(KERNEL_LOG)
}

async fn run(host: &dyn Host, disk: &Disk, command: Command) -> Result<Output> {
    let program = command.program;
    host.run(command).await.on(disk.path.display(), &format!("run {program}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_file_systems_have_a_type() {
        for fs in FsType::ALL {
            assert_eq!(fs.name().parse(), Ok(fs));
        }
        for name in ["", "EXT4", "ext5", "ntfs", "ext4 "] {
            assert!(name.parse::<FsType>().is_err(), "{name}");
        }
    }

    #[test]
    fn only_ext4_takes_a_predecessor() {
        for (fs, found, takes) in [
            (FsType::Ext4, "ext2", true),
            (FsType::Ext4, "ext3", true),
            (FsType::Ext3, "ext2", false),
            (FsType::Ext3, "ext4", false),
            (FsType::Ext2, "ext4", false),
            (FsType::Ext4, "xfs", false),
            (FsType::Btrfs, "btrfs", true),
        ] {
            assert_eq!(fs.takes(found), takes, "{found} as {fs}");
        }
    }

    #[test]
    fn only_xfs_needs_to_be_told_that_a_clone_keeps_its_uuid() {
        let table = [
            (FsType::Xfs, "", "nouuid"),
            (FsType::Xfs, "logbsize=64k", "logbsize=64k,nouuid"),
            (FsType::Xfs, "nouuid,discard", "nouuid,discard"),
            (FsType::Ext4, "discard", "discard"),
        ];
        for (fs, data, want) in table {
            assert_eq!(mount_data(fs, data, false), want);
        }
    }

    #[test]
    fn what_several_nodes_read_is_mounted_without_a_replay() {
        let table = [
            (FsType::Ext2, "", ""),
            (FsType::Ext3, "", "noload"),
            (FsType::Ext4, "noload,errors=remount-ro", "noload,errors=remount-ro"),
            (FsType::Xfs, "", "nouuid,norecovery"),
            (FsType::Btrfs, "compress=zstd", "compress=zstd,rescue=nologreplay"),
        ];
        for (fs, data, want) in table {
            assert_eq!(mount_data(fs, data, true), want, "{fs}");
        }
    }

    #[test]
    fn a_file_system_is_short_when_a_useful_part_of_the_disk_is_unused() {
        const GIB: u64 = 1 << 30;
        assert!(is_short(GIB, 2 * GIB));
        assert!(!is_short(GIB, GIB));
        assert!(!is_short(GIB - SLACK, GIB));
        assert!(!is_short(GIB, GIB / 2));
        assert!(!is_short(u64::MAX, GIB), "a superblock may say anything");
    }
}
