//! The mounts of this machine that are the sandbox's, and taking them away.

#![allow(clippy::disallowed_methods, reason = "it clears up behind the driver, and is no part of it")]

use std::io;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, umount2};

/// A line of mountinfo: <https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html>.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mount {
    point: PathBuf,
    /// The path in its file system: of a bind mount of `/dev/loop3`, `/loop3` in devtmpfs.
    root: String,
    kind: String,
    source: String,
}

/// Where there are mounts below `directory`, or of one of the loop devices with these names; the newest first.
pub(super) fn of(directory: Option<&Path>, devices: &[String]) -> io::Result<Vec<PathBuf>> {
    let text = std::fs::read_to_string("/proc/self/mountinfo")?;
    let ours = |mount: &Mount| {
        directory.is_some_and(|directory| mount.point.starts_with(directory))
            || devices.iter().any(|name| {
                mount.source.strip_prefix("/dev/") == Some(name)
                    || (mount.kind == "devtmpfs" && mount.root.strip_prefix('/') == Some(name))
            })
    };
    let found = text.lines().rev().filter_map(parse).filter(ours);
    Ok(found.map(|mount| mount.point).collect())
}

/// A mount that is in use goes when its last user does.
pub(super) fn unmount(points: &[PathBuf]) -> io::Result<()> {
    for point in points {
        umount2(point, MntFlags::UMOUNT_NOFOLLOW)
            .or_else(|_| umount2(point, MntFlags::UMOUNT_NOFOLLOW | MntFlags::MNT_DETACH))
            .map_err(|error| io::Error::other(format!("can't unmount {}: {error}", point.display())))?;
    }
    Ok(())
}

fn parse(line: &str) -> Option<Mount> {
    let (place, what) = line.split_once(" - ")?;
    let mut place = place.split(' ').skip(3);
    let (root, point) = (place.next()?, place.next()?);
    let mut what = what.split(' ');
    let (kind, source) = (what.next()?, what.next()?);
    Some(Mount {
        point: plain(point).into(),
        root: plain(root),
        kind: kind.to_owned(),
        source: plain(source),
    })
}

/// The kernel writes these four as octal numbers.
fn plain(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_with_and_without_optional_fields() {
        let bound = "36 35 0:5 /loop3 /tmp/a\\040b rw,nosuid shared:1 - devtmpfs devtmpfs rw";
        let mount = parse(bound).unwrap();
        assert_eq!((mount.point.to_str(), mount.root.as_str()), (Some("/tmp/a b"), "/loop3"));
        let mount = parse("40 35 7:3 / /mnt rw - ext4 /dev/loop3 rw").unwrap();
        assert_eq!((mount.kind.as_str(), mount.source.as_str()), ("ext4", "/dev/loop3"));
        assert_eq!(parse("nonsense"), None);
    }
}
