//! A staged volume at one more path.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::device::{Disk, Search};
use super::error::{Condition, Error, KERNEL_LOG, On, Result};
use super::host::{FileKind, Flags, Host, MountCall, MountKind};
use super::mounts;
use super::place::{self, Place};
use super::{Access, Expected, options};

/// A staged volume to be shown at `target`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    pub volume: String,
    pub staging: PathBuf,
    pub target: PathBuf,
    pub access: Access,
    pub expected: Expected,
    pub read_only: bool,
    /// At one path only: SINGLE_NODE_SINGLE_WRITER.
    pub exclusive: bool,
}

/// How the target stands.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    kind: Option<FileKind>,
    /// What is mounted there, and whether it's this volume.
    mount: Option<(Flags, bool)>,
    /// Other paths that show the volume.
    elsewhere: Vec<PathBuf>,
}

/// What the target should be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ask {
    block: bool,
    flags: Flags,
    exclusive: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Make,
    Bind,
    Done,
}

/// Make, bind, look, and as many again for what others do meanwhile.
const STEPS: usize = 6;

pub(super) async fn publish(search: Search, request: Publish) -> Result<()> {
    let host = &*search.host;
    let disk = search.now().await?;
    let (source, flags) = match &request.access {
        Access::Block => (disk.path.clone(), Flags { read_only: request.read_only, ..Flags::default() }),
        Access::Mount { flags, .. } => staged(host, &request, &disk, flags).await?,
    };
    let ask = Ask { block: request.access == Access::Block, flags, exclusive: request.exclusive };
    let object = format!("volume {} at {}", request.volume, request.target.display());
    for _ in 0..STEPS {
        let place = Place::observe(host, &request.target).await?;
        let seen = observe(host, &place, &disk, &request).await?;
        match plan(&object, &seen, &ask)? {
            Step::Done => return Ok(()),
            Step::Make if ask.block => host.make_file(&place.path).await.on(&object, "make the file")?,
            Step::Make => host.make_directory(&place.path).await.on(&object, "make the directory")?,
            Step::Bind => {
                let (source, target) = (source.clone(), place.path);
                let call = MountCall { source, target, kind: MountKind::Bind, flags: ask.flags };
                host.mount(call).await.on(&object, "bind it there")?;
            }
        }
    }
    Err(Error::internal(object, "the steps to publish it have no effect").next(KERNEL_LOG))
}

pub(super) async fn unpublish(host: Arc<dyn Host>, target: PathBuf) -> Result<()> {
    let host = &*host;
    let place = Place::observe(host, &target).await?;
    place::clear(host, &place.path).await?;
    match host.remove(&place.path).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {
            let cause = "nothing is mounted there, but it holds data of this node's own disk";
            Err(Error::precondition(target.display(), cause).next("move it away, then ask again"))
        }
        removed => removed.on(target.display(), "remove it"),
    }
}

/// The staging path, proven to be a mount of the volume's disk: a bind mount of a bare directory would let the pod write to
/// the node's root disk.
async fn staged(
    host: &dyn Host,
    request: &Publish,
    disk: &Disk,
    flags: &[String],
) -> Result<(PathBuf, Flags)> {
    let place = Place::observe(host, &request.staging).await?;
    let object = format!("volume {} at {}", request.volume, request.staging.display());
    let Some(mount) = place.mount() else {
        return Err(Error::precondition(object, "it isn't staged there").next("stage it first"));
    };
    if place::disk_of(host, mount).await != Some(disk.number) || mount.root != Path::new("/") {
        let cause = format!("not its disk but {} ({}) is mounted there", mount.source.display(), mount.fs);
        return Err(Error::precondition(object, cause).next("unstage it, then stage it again"));
    }
    if mount.is_read_only() && !request.read_only {
        let cause =
            "it's staged read-only (the kernel does that after an error, too), and writing is asked for";
        return Err(
            Error::precondition(object, cause).next("see this node's kernel log, or unstage it first")
        );
    }
    let (more, _) = options::parse(flags)?;
    let read_only = request.read_only || more.read_only;
    let flags = options::for_bind(options::of_mount(&mount.options), more, read_only);
    Ok((place.path, flags))
}

async fn observe(host: &dyn Host, place: &Place, disk: &Disk, request: &Publish) -> Result<Seen> {
    let uses = place::uses(host, &place.mounts, disk.number).await;
    let staging = Place::observe(host, &request.staging).await?.path;
    let elsewhere =
        |point: &&PathBuf| !mounts::mirrors(point, &staging) && !mounts::mirrors(point, &place.path);
    Ok(Seen {
        kind: place.kind,
        mount: place.mount().map(|mount| (options::of_mount(&mount.options), uses.contains(&place.path))),
        elsewhere: uses.iter().filter(elsewhere).cloned().collect(),
    })
}

fn plan(object: &str, seen: &Seen, ask: &Ask) -> Result<Step> {
    match seen.mount {
        Some((_, false)) => {
            Err(Error::precondition(object, "something else is mounted there")
                .next("unmount it, then ask again"))
        }
        Some((flags, true)) => match differs(seen.kind, flags, ask) {
            None => Ok(Step::Done),
            Some(cause) => Err(Error::new(Condition::Exists, object, cause).next("unpublish it first")),
        },
        None => {
            refuse_second(object, seen, ask)?;
            plan_mount(object, seen.kind, ask)
        }
    }
}

/// Not asked of what is published already: the kubelet binds the raw disk, or directories of the volume, once more
/// for the pod itself, and publishes again after its own restart
/// (<https://github.com/kubernetes/kubernetes/blob/v1.36.1/pkg/volume/util/volumepathhandler/volume_path_handler.go>,
/// `mapBindMountDevice`; <https://github.com/kubernetes/kubernetes/blob/v1.36.1/pkg/volume/util/subpath/subpath_linux.go>).
fn refuse_second(object: &str, seen: &Seen, ask: &Ask) -> Result<()> {
    match seen.elsewhere.first() {
        Some(other) if ask.exclusive => {
            let cause = format!("only one path may use it, and {} does", other.display());
            Err(Error::precondition(object, cause).next("unpublish it there first"))
        }
        _ => Ok(()),
    }
}

fn plan_mount(object: &str, kind: Option<FileKind>, ask: &Ask) -> Result<Step> {
    match kind {
        None => Ok(Step::Make),
        Some(FileKind::File) if ask.block => Ok(Step::Bind),
        Some(FileKind::Directory) if !ask.block => Ok(Step::Bind),
        Some(_) => {
            let wanted = if ask.block { "a file" } else { "a directory" };
            Err(Error::precondition(object, format!("{wanted} is needed there, and it's something else"))
                .next("remove it, then ask again"))
        }
    }
}

/// Why what is published isn't what is asked for. It's never changed in place: a pod may live in it.
fn differs(kind: Option<FileKind>, flags: Flags, ask: &Ask) -> Option<&'static str> {
    let is_block = kind.is_some_and(|kind| kind.disk().is_some());
    match (is_block, ask.block) {
        (true, false) => return Some("it's published there as a raw disk, and a file system is asked for"),
        (false, true) => return Some("it's published there as a file system, and a raw disk is asked for"),
        _ => {}
    }
    match (flags.read_only, ask.flags.read_only) {
        (true, false) => Some("it's published there read-only, and writing is asked for"),
        (false, true) => Some("it's published there for writing, and reading only is asked for"),
        _ if !covers(flags, ask.flags) => {
            Some("it's published there with fewer mount flags than are asked for")
        }
        _ => None,
    }
}

/// Whether a bind mount is as strict as asked, and writable where asked.
fn covers(has: Flags, wants: Flags) -> bool {
    has.read_only == wants.read_only
        && (has.no_suid || !wants.no_suid)
        && (has.no_dev || !wants.no_dev)
        && (has.no_exec || !wants.no_exec)
        && (has.no_atime || !wants.no_atime)
        && (has.no_dir_atime || !wants.no_dir_atime)
}

#[cfg(test)]
mod tests {
    use super::super::host::Number;
    use super::*;

    fn seen(kind: Option<FileKind>, mount: Option<(Flags, bool)>) -> Seen {
        Seen { kind, mount, elsewhere: Vec::new() }
    }

    #[test]
    fn publishing_converges_step_by_step_and_never_stacks() {
        let (rw, ro) = (Flags::default(), Flags { read_only: true, ..Flags::default() });
        let (directory, file) = (Some(FileKind::Directory), Some(FileKind::File));
        let disk = Some(FileKind::BlockDevice(Number { major: 252, minor: 16 }));
        let table = [
            ("nothing", false, rw, seen(None, None), Ok(Step::Make)),
            ("a directory", false, rw, seen(directory, None), Ok(Step::Bind)),
            ("a file", true, rw, seen(file, None), Ok(Step::Bind)),
            ("published", false, rw, seen(directory, Some((rw, true))), Ok(Step::Done)),
            (
                "for writing, not for reading only",
                false,
                ro,
                seen(directory, Some((rw, true))),
                Err(Condition::Exists),
            ),
            ("as a file system", true, rw, seen(directory, Some((rw, true))), Err(Condition::Exists)),
            ("as a disk", false, rw, seen(disk, Some((rw, true))), Err(Condition::Exists)),
            ("published as a disk", true, rw, seen(disk, Some((rw, true))), Ok(Step::Done)),
            ("published read-only", false, ro, seen(directory, Some((ro, true))), Ok(Step::Done)),
            (
                "for reading, not for writing",
                false,
                rw,
                seen(directory, Some((ro, true))),
                Err(Condition::Exists),
            ),
            ("another mount", false, rw, seen(directory, Some((rw, false))), Err(Condition::Precondition)),
            ("a file for a mount", false, rw, seen(file, None), Err(Condition::Precondition)),
            ("a directory for a disk", true, rw, seen(directory, None), Err(Condition::Precondition)),
            ("a dead disk's place", false, rw, seen(None, Some((rw, false))), Err(Condition::Precondition)),
        ];
        for (name, block, flags, seen, want) in table {
            let got =
                plan("v", &seen, &Ask { block, flags, exclusive: true }).map_err(|error| error.condition());
            assert_eq!(got, want, "{name}");
        }
    }

    #[test]
    fn an_exclusive_volume_has_one_path() {
        let flags = Flags::default();
        let seen = Seen { kind: None, mount: None, elsewhere: vec!["/other".into()] };
        let refused = plan("v", &seen, &Ask { block: false, flags, exclusive: true }).unwrap_err();
        assert!(refused.to_string().contains("/other"));
        assert_eq!(plan("v", &seen, &Ask { block: false, flags, exclusive: false }), Ok(Step::Make));
    }

    #[test]
    fn an_exclusive_volume_that_is_published_stays_so_whoever_binds_it_once_more() {
        let (kind, flags) = (Some(FileKind::Directory), Flags::default());
        let seen = Seen { kind, mount: Some((flags, true)), elsewhere: vec!["/volume-subpaths/0".into()] };
        assert_eq!(plan("v", &seen, &Ask { block: false, flags, exclusive: true }), Ok(Step::Done));
    }

    #[test]
    fn a_stricter_mount_than_asked_needs_no_change() {
        let strict = Flags { no_exec: true, no_suid: true, ..Flags::default() };
        assert!(covers(strict, Flags::default()));
        assert!(!covers(Flags::default(), strict));
    }
}
