//! btrfs, with btrfs-progs.
//!
//! mkfs.btrfs works under a temporary magic and writes the real one last: blkid finds nothing on an unfinished one.

use std::path::Path;

use uuid::Uuid;

use super::super::host::Command;
use super::uuid::{Log, Seen, at};

/// <https://btrfs.readthedocs.io/en/latest/dev/On-disk-format.html#superblock>
pub const SUPERBLOCK: u64 = 64 << 10;
const MAGIC: (usize, &[u8]) = (0x40, b"_BHRfS_M");
const FSID: usize = 0x20;
const FLAGS: usize = 0x38;
const LOG_ROOT: usize = 0x60;
const DISKS: usize = 0x88;
/// `BTRFS_SUPER_FLAG_CHANGING_FSID_V2`.
const CHANGING: u64 = 1 << 36;

/// `-K`: no discard, see [`super::ext::make`]. mke2fs and mkfs.xfs keep the disk for themselves (O_EXCL) and mkfs.btrfs
/// doesn't: one that outlived its driver would write over a second one's file system. So it runs under the disk's lock,
/// which is udev's, too: <https://systemd.io/BLOCK_DEVICE_LOCKING>.
pub fn make(options: &[String], disk: &Path, again: bool) -> Command {
    let force = again.then_some("-f");
    let locked = Command::new("flock").with_all(["--verbose", "--wait", "5"]).with(disk);
    locked.with("mkfs.btrfs").with_all(force).with("-K").with_all(options).with(disk)
}

/// `-M` changes the superblocks alone and keeps the old UUID beside the new one, in every tree; Linux 5.0.
pub fn rewrite(disk: &Path, own: Uuid) -> Command {
    Command::new("btrfstune").with("-M").with(own.to_string()).with(disk)
}

/// btrfstune changes the generation, and so makes a log that was not replayed unreadable: such a file system can never be
/// mounted again.
pub fn may_be_rewritten(block: &[u8]) -> Result<(), String> {
    match (number(block, LOG_ROOT), number(block, DISKS)) {
        (Some(0), Some(1)) => Ok(()),
        (Some(0), _) => Err("its btrfs has more than one disk".into()),
        _ => Err("its btrfs has a log that isn't replayed".into()),
    }
}

pub fn identity(block: &[u8]) -> Option<Seen> {
    if block.get(MAGIC.0..MAGIC.0 + MAGIC.1.len())? != MAGIC.1 {
        return None;
    }
    let changing = number(block, FLAGS)? & CHANGING != 0;
    // The kernel mounts none with this flag.
    let log = if changing || number(block, LOG_ROOT)? == 0 { Log::Clean } else { Log::Replay };
    Some(Seen { uuid: at(block, FSID)?, whole: !changing, log })
}

fn number(block: &[u8], offset: usize) -> Option<u64> {
    Some(u64::from_le_bytes(block.get(offset..offset + 8)?.try_into().ok()?))
}

/// Looks at all of it and writes nothing.
pub fn prove(disk: &Path) -> Command {
    Command::new("btrfs").with_all(["check", "--readonly"]).with(disk)
}

pub fn grow(point: &Path) -> Command {
    Command::new("btrfs").with_all(["filesystem", "resize", "max"]).with(point)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(flags: u64, log_root: u64, disks: u64) -> Vec<u8> {
        let mut block = vec![0; 4096];
        block[MAGIC.0..MAGIC.0 + 8].copy_from_slice(MAGIC.1);
        block[FSID..FSID + 16].copy_from_slice(Uuid::from_u128(7).as_bytes());
        for (offset, value) in [(FLAGS, flags), (LOG_ROOT, log_root), (DISKS, disks)] {
            block[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
        }
        block
    }

    #[test]
    fn a_log_is_replayed_before_the_superblock_changes() {
        let seen = |whole, log| Some(Seen { uuid: Uuid::from_u128(7), whole, log });
        assert_eq!(identity(&block(1, 0, 1)), seen(true, Log::Clean));
        assert_eq!(identity(&block(1, 4096, 1)), seen(true, Log::Replay));
        assert_eq!(identity(&block(1 | CHANGING, 0, 1)), seen(false, Log::Clean));
        assert_eq!(identity(&[0; 4096]), None);
        assert!(may_be_rewritten(&block(1, 0, 1)).is_ok());
        assert!(may_be_rewritten(&block(1, 4096, 1)).is_err());
        assert!(may_be_rewritten(&block(1, 0, 2)).is_err());
    }
}
