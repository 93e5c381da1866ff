//! btrfs, with btrfs-progs.
//!
//! mkfs.btrfs works under a temporary magic and writes the real one last: blkid finds nothing on an unfinished one.

use std::path::Path;

use super::super::host::Command;

/// `-K`: no discard, see [`super::ext::make`]. mke2fs and mkfs.xfs keep the disk for themselves (O_EXCL) and mkfs.btrfs
/// doesn't: one that outlived its driver would write over a second one's file system. So it runs under the disk's lock,
/// which is udev's, too: <https://systemd.io/BLOCK_DEVICE_LOCKING>.
pub fn make(options: &[String], disk: &Path, again: bool) -> Command {
    let force = again.then_some("-f");
    let locked = Command::new("flock").with_all(["--verbose", "--wait", "5"]).with(disk);
    locked.with("mkfs.btrfs").with_all(force).with("-K").with_all(options).with(disk)
}

pub fn grow(point: &Path) -> Command {
    Command::new("btrfs").with_all(["filesystem", "resize", "max"]).with(point)
}
