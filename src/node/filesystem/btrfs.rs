//! btrfs, with btrfs-progs.
//!
//! mkfs.btrfs works under a temporary magic and writes the real one last: blkid finds nothing on an unfinished one.

use std::path::Path;

use super::super::host::Command;

/// `-K`: no discard, see [`super::ext::make`].
pub fn make(options: &[String], disk: &Path, again: bool) -> Command {
    let force = again.then_some("-f");
    Command::new("mkfs.btrfs").with_all(force).with("-K").with_all(options).with(disk)
}

pub fn grow(point: &Path) -> Command {
    Command::new("btrfs").with_all(["filesystem", "resize", "max"]).with(point)
}
