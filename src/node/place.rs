//! A path and what is mounted there.

use std::io;
use std::path::{Path, PathBuf};

use super::device::{self, Disk};
use super::error::{Error, KERNEL_LOG, On, Result};
use super::host::{FileKind, Host, MountCall, Number};
use super::mounts::{self, Mount, Mounts};

/// What was seen at one moment.
pub(super) struct Place {
    /// Without links: as mountinfo spells it.
    pub path: PathBuf,
    /// Not followed into a dead disk: `None` where nothing is there or it can't be read.
    pub kind: Option<FileKind>,
    pub mounts: Mounts,
}

/// A flag, or a superblock, that the file system doesn't take: <https://man7.org/linux/man-pages/man2/mount.2.html>.
const EINVAL: i32 = 22;
/// A file system that the kernel doesn't know.
const ENODEV: i32 = 19;
/// btrfs before Linux 6.7, of a second disk with the UUID of one that is mounted; and of a log that can't be replayed, seen on
/// Linux 6.1 after a power cut.
const EEXIST: i32 = 17;

/// No one stacks more mounts on one path; a loop that doesn't end would hide that unmounting has no effect.
const DEEPEST: usize = 64;

impl Place {
    pub async fn observe(host: &dyn Host, path: &Path) -> Result<Self> {
        let path = real(host, path).await?;
        let kind = host.stat(&path).await.ok().map(|stat| stat.kind);
        Ok(Self { kind, mounts: mounts(host).await?, path })
    }

    pub fn mount(&self) -> Option<&Mount> {
        self.mounts.at(&self.path)
    }
}

pub(super) async fn mounts(host: &dyn Host) -> Result<Mounts> {
    let text = host.mountinfo().await.on("/proc/self/mountinfo", "read it")?;
    Mounts::parse(&text)
        .ok_or_else(|| Error::internal("/proc/self/mountinfo", "a line of it isn't understood"))
}

/// The disk that a mount is of. mountinfo has an anonymous number for btrfs, but names its disk.
pub(super) async fn disk_of(host: &dyn Host, mount: &Mount) -> Option<Number> {
    if mount.fs == "btrfs" {
        return host.stat(&mount.source).await.ok()?.kind.disk();
    }
    (mount.device.major != 0).then_some(mount.device)
}

/// The same, also of a disk's node: bound somewhere, it's a mount of devtmpfs (or of a container's tmpfs).
async fn disk_under(host: &dyn Host, mount: &Mount) -> Option<Number> {
    let bound = matches!(mount.fs.as_str(), "devtmpfs" | "tmpfs") && mount.root != Path::new("/");
    match bound {
        true => host.stat(&mount.point).await.ok()?.kind.disk(),
        false => disk_of(host, mount).await,
    }
}

/// The places where the disk is in use: its file system mounted, or its device node bound.
pub(super) async fn uses(host: &dyn Host, mounts: &Mounts, number: Number) -> Vec<PathBuf> {
    let mut points = Vec::new();
    for mount in mounts.iter() {
        if disk_under(host, mount).await == Some(number) {
            points.push(mount.point.clone());
        }
    }
    points
}

/// Where a disk is in use beside `path`, which a tree bound elsewhere can show once more.
pub(super) fn elsewhere(uses: &[PathBuf], path: &Path) -> Vec<String> {
    let others = uses.iter().filter(|point| !mounts::mirrors(point, path));
    others.map(|point| point.display().to_string()).take(3).collect()
}

/// Mounts a disk, and proves that it's this one: the kernel knows a btrfs by its UUID, and may hold a copy for its origin.
pub(super) async fn mount(host: &dyn Host, disk: &Disk, call: MountCall) -> Result<()> {
    let (source, target) = (call.source.clone(), call.target.clone());
    let object = format!("{} at {}", source.display(), target.display());
    host.mount(call).await.map_err(|error| {
        let next = match error.raw_os_error() {
            Some(EINVAL) => {
                "leave out mount options that this file system doesn't know, or see this node's kernel log for damage"
            },
            Some(ENODEV) => "load the kernel module of this file system",
            Some(EEXIST) => {
                "see this node's kernel log: where another disk has the same file system, a copy needs `regenerate-uuid: \"true\"` \
                 in its StorageClass, or a node without its origin; where a log can't be replayed, take a snapshot, then run `btrfs \
                 rescue zero-log` on the disk, which loses what was synced last"
            }
            _ => KERNEL_LOG,
        };
        Error::internal(&object, format!("can't mount it: {error}")).next(next)
    })?;
    let mounts = mounts(host).await?;
    let found = match mounts.at(&target) {
        Some(mount) => disk_of(host, mount).await,
        None => None,
    };
    if found == Some(disk.number) {
        return Ok(());
    }
    clear(host, &target).await?;
    Err(Error::precondition(object, "the kernel mounted another disk, which was unmounted again").next(
        "another disk of this node has the same file system; detach it, or set regenerate-uuid for copies",
    ))
}

/// Unmounts all that is stacked on `path`. A disk that is gone is let go lazily: nothing can be written to it any more.
pub(super) async fn clear(host: &dyn Host, path: &Path) -> Result<()> {
    for _ in 0..DEEPEST {
        let mounts = mounts(host).await?;
        let Some(mount) = mounts.at(path) else { return Ok(()) };
        match host.unmount(path, false).await {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && is_dead(host, mount).await => {
                tracing::warn!(path = %path.display(), "the disk has gone while in use: unmounting lazily");
                host.unmount(path, true).await.on(path.display(), "unmount it")?;
            }
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                return Err(Error::precondition(
                    path.display(),
                    "a process still uses what is mounted there",
                )
                .next("end it (`fuser -vm` names it), then ask again"));
            }
            Err(error) => {
                let cause = format!("can't unmount it: {error}");
                return Err(Error::internal(path.display(), cause).next(KERNEL_LOG));
            }
        }
    }
    Err(Error::internal(path.display(), format!("still a mount after it was unmounted {DEEPEST} times")))
}

/// Whether the disk under a mount has gone.
pub(super) async fn is_dead(host: &dyn Host, mount: &Mount) -> bool {
    match disk_under(host, mount).await {
        Some(number) => device::has_vanished(host, number).await,
        None if mount.fs == "btrfs" => {
            let disk = host.stat(&mount.source).await;
            matches!(disk, Err(error) if error.kind() == io::ErrorKind::NotFound)
        }
        None => false,
    }
}

/// `path` without links. What is mounted there may be dead: then only its parents are looked at.
async fn real(host: &dyn Host, path: &Path) -> Result<PathBuf> {
    if let Ok(real) = host.canonical(path).await {
        return Ok(real);
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Error::invalid(path.display(), "not a path that anything can be mounted at"));
    };
    match host.canonical(parent).await {
        Ok(parent) => Ok(parent.join(name)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path.to_owned()),
        Err(error) => Err(Error::internal(path.display(), format!("can't resolve it: {error}"))),
    }
}

impl FileKind {
    pub(super) fn disk(self) -> Option<Number> {
        match self {
            Self::BlockDevice(number) => Some(number),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::Condition;
    use super::super::fake::Fake;
    use super::super::host::{Flags, MountKind};
    use super::*;

    const MOUNT: &str = "1 2 252:16 / /staging rw - ext4 /dev/vdb rw";

    fn mounted(lines: &[&str]) -> Fake {
        let fake = Fake::default();
        fake.world().mounts = lines.iter().map(ToString::to_string).collect();
        fake
    }

    #[tokio::test]
    async fn everything_that_is_stacked_on_a_path_is_unmounted() {
        let fake = mounted(&[MOUNT, MOUNT, "1 2 252:16 / /other rw - ext4 /dev/vdb rw"]);
        clear(&fake, Path::new("/staging")).await.unwrap();
        assert_eq!(fake.world().done, ["unmount /staging", "unmount /staging"]);
    }

    #[test]
    fn a_tree_that_is_bound_elsewhere_shows_staging_twice() {
        let uses = [PathBuf::from("/a/staging"), "/host/a/staging".into(), "/pods/target".into()];
        assert_eq!(elsewhere(&uses, Path::new("/a/staging")), ["/pods/target"]);
    }

    #[tokio::test]
    async fn a_mount_that_shows_another_disk_is_taken_down() {
        let fake = mounted(&["1 2 0:44 / /staging rw - btrfs /dev/vdc rw"]);
        fake.plug("vdb", 16, 1 << 30, &[]);
        fake.plug("vdc", 32, 1 << 30, &[]);
        let hold = |minor| fake.hold(Path::new(if minor == 16 { "/dev/vdb" } else { "/dev/vdc" }));
        for (name, minor, right) in [("/dev/vdc", 32, true), ("/dev/vdb", 16, false)] {
            let number = Number { major: 252, minor };
            let disk = Disk::held(name.into(), number, 1 << 30, true, hold(minor).await.unwrap());
            let kind = MountKind::New { fs: "btrfs", data: String::new() };
            let call =
                MountCall { source: name.into(), target: "/staging".into(), kind, flags: Flags::default() };
            assert_eq!(mount(&fake, &disk, call).await.is_ok(), right, "{name}");
        }
        assert_eq!(fake.world().done, ["mount /staging", "mount /staging", "unmount /staging"]);
    }

    #[tokio::test]
    async fn a_busy_mount_is_let_go_lazily_only_where_its_disk_has_gone() {
        let fake = mounted(&[MOUNT]);
        fake.world().busy.push("/staging".into());
        fake.plug("vdb", 16, 1 << 30, &[]);
        let error = clear(&fake, Path::new("/staging")).await.unwrap_err();
        assert_eq!(error.condition(), Condition::Precondition);
        let fake = mounted(&[MOUNT]);
        fake.world().busy.push("/staging".into());
        clear(&fake, Path::new("/staging")).await.unwrap();
        assert_eq!(fake.world().done, ["unmount /staging lazily"]);
    }

    #[tokio::test]
    async fn a_busy_node_of_a_disk_that_has_gone_is_let_go_lazily() {
        let fake = mounted(&["1 2 0:5 /vdb//deleted /raw rw - devtmpfs udev rw"]);
        fake.world().busy.push("/raw".into());
        fake.world().disks.insert("/raw".into(), (Number { major: 252, minor: 16 }, 1 << 30));
        clear(&fake, Path::new("/raw")).await.unwrap();
        assert_eq!(fake.world().done, ["unmount /raw lazily"]);
    }

    #[tokio::test]
    async fn a_disk_is_in_use_by_its_file_system_and_by_its_bound_device_node() {
        let fake = mounted(&[
            MOUNT,
            "1 2 0:44 / /b rw - btrfs /dev/vdc rw",
            "1 2 0:5 /vdb /raw rw - devtmpfs udev rw",
            "1 2 0:6 / /run rw - tmpfs tmpfs rw",
        ]);
        fake.plug("vdb", 16, 1 << 30, &[]);
        fake.plug("vdc", 32, 1 << 30, &[]);
        fake.world().disks.insert("/raw".into(), (Number { major: 252, minor: 16 }, 1 << 30));
        let mounts = mounts(&fake).await.unwrap();
        let at = |minor| uses(&fake, &mounts, Number { major: 252, minor });
        assert_eq!(at(16).await, [PathBuf::from("/staging"), "/raw".into()]);
        assert_eq!(at(32).await, [PathBuf::from("/b")]);
    }
}
