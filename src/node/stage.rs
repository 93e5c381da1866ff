//! From an attached disk to a mounted file system.
//!
//! | on the disk | what happens |
//! |---|---|
//! | the file system asked for | checked, grown, mounted |
//! | the same as a copy that is to have a UUID of its own | likewise, with that UUID: `own_uuid.rs` |
//! | nothing, all areas readable and zero | formatted, unless the volume was made from data or is staged read-only |
//! | our own mkfs, cut off | formatted again, likewise |
//! | another file system, or anything else | refused, nothing is written |

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::device::{self, Disk, Search};
use super::error::{Condition, Error, On, Result};
use super::filesystem::{self, FsType, Probe};
use super::host::{Flags, Host, MountCall, MountKind};
use super::mounts::Mount;
use super::own_uuid::OwnUuid;
use super::place::{self, Place};
use super::{Access, Expected, options};

/// A volume to be made usable at `staging`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    pub volume: String,
    pub staging: PathBuf,
    pub access: Access,
    pub expected: Expected,
    pub format: FormatPolicy,
    pub mkfs_options: Vec<String>,
    pub read_only: bool,
    /// Nothing at all is written, not even a journal's replay: other nodes read the same disk.
    pub untouched: bool,
    /// A copy gets a UUID of its own before its first mount.
    pub own_uuid: bool,
    /// The file system must span the disk afterwards. Without it a file system that can't grow is mounted as it is.
    pub resize: bool,
}

/// Whether an empty disk may be formatted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatPolicy {
    Allowed,
    /// Made from a snapshot, a volume, a backup or an image: where it seems empty, something is wrong.
    Never,
}

/// How the staging path stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Staged {
    No,
    Already,
}

/// What to do with the disk before it's mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Plan {
    Format { again: bool },
    Use,
}

/// What is asked of a file system volume.
struct Ask<'a> {
    volume: &'a str,
    fs: FsType,
    read_only: bool,
    format: FormatPolicy,
}

pub(super) async fn stage(search: Search, request: Stage) -> Result<()> {
    let disk = search.wait().await?;
    let host = &*search.host;
    match &request.access {
        // A raw disk has nothing to prepare: it's bound when it's published.
        Access::Block => {
            let mounts = place::mounts(host).await?;
            let in_use = place::uses(host, &mounts, disk.number).await;
            protect(host, &disk, &request, &in_use).await
        }
        Access::Mount { fs, flags } => {
            let (flags, data) = options::parse(flags)?;
            let read_only = request.read_only || request.untouched || flags.read_only;
            let ask = Ask { volume: &request.volume, fs: *fs, read_only, format: request.format };
            mounted(host, &disk, &ask, &request, Flags { read_only, ..flags }, &data).await
        }
    }
}

async fn mounted(
    host: &dyn Host,
    disk: &Disk,
    ask: &Ask<'_>,
    request: &Stage,
    flags: Flags,
    data: &str,
) -> Result<()> {
    host.make_directory(&request.staging).await.on(request.staging.display(), "make the directory")?;
    let mut place = living(host, &request.staging).await?;
    let is_ours = is_of(host, place.mount(), disk).await;
    if plan_staged(place.mount(), is_ours, ask)? == Staged::Already && wants_own_uuid(request, ask) {
        let staging = place.path.clone();
        place = own_uuid(disk, ask, &staging).undo_replay(host, place).await?;
    }
    if place.mount().is_none() {
        prepare(host, disk, ask, request, &place).await?;
        let data = filesystem::mount_data(ask.fs, data, request.untouched);
        let kind = MountKind::New { fs: ask.fs.name(), data };
        let (source, target) = (disk.path.clone(), place.path.clone());
        place::mount(host, disk, MountCall { source, target, kind, flags }).await?;
    }
    if !ask.read_only {
        grow(host, disk, ask, request, Some(&place.path)).await?;
    }
    Ok(())
}

fn wants_own_uuid(request: &Stage, ask: &Ask<'_>) -> bool {
    request.own_uuid && request.format == FormatPolicy::Never && !ask.read_only
}

fn own_uuid<'a>(disk: &'a Disk, ask: &Ask<'a>, staging: &'a Path) -> OwnUuid<'a> {
    OwnUuid { disk, fs: ask.fs, volume: ask.volume, staging }
}

/// Other nodes read a disk that is to stay untouched: then the kernel itself is told. `ro` and `noload` together don't keep
/// ext4 from clearing its list of orphans, and a bind mount that is `ro` keeps no one from writing to a raw disk.
async fn protect(host: &dyn Host, disk: &Disk, request: &Stage, in_use: &[PathBuf]) -> Result<()> {
    if in_use.is_empty() { device::protect(host, disk, request.untouched).await } else { Ok(()) }
}

pub(super) async fn unstage(host: Arc<dyn Host>, volume: String, staging: PathBuf) -> Result<()> {
    let host = &*host;
    let place = Place::observe(host, &staging).await?;
    let Some(mount) = place.mount() else { return Ok(()) };
    if let Some(number) = place::disk_of(host, mount).await {
        let others = place::elsewhere(&place::uses(host, &place.mounts, number).await, &place.path);
        if !others.is_empty() {
            let cause = format!("the volume is still mounted at {}", others.join(", "));
            return Err(
                Error::precondition(format!("volume {volume}"), cause).next("unpublish it there first")
            );
        }
    }
    place::clear(host, &place.path).await
}

async fn is_of(host: &dyn Host, mount: Option<&Mount>, disk: &Disk) -> bool {
    match mount {
        Some(mount) => place::disk_of(host, mount).await == Some(disk.number),
        None => false,
    }
}

/// The staging path, freed of a mount whose disk was pulled out: the volume comes back under another name, and nothing can
/// be read from or written to the old one.
async fn living(host: &dyn Host, staging: &Path) -> Result<Place> {
    let place = Place::observe(host, staging).await?;
    let Some(mount) = place.mount() else { return Ok(place) };
    if !place::is_dead(host, mount).await {
        return Ok(place);
    }
    tracing::warn!(path = %place.path.display(), source = %mount.source.display(), "the staged disk has vanished");
    place::clear(host, &place.path).await?;
    Place::observe(host, staging).await
}

/// Makes the disk ready to be mounted.
async fn prepare(host: &dyn Host, disk: &Disk, ask: &Ask<'_>, request: &Stage, place: &Place) -> Result<()> {
    let in_use = place::uses(host, &place.mounts, disk.number).await;
    refuse_borrowed(disk, &in_use)?;
    protect(host, disk, request, &in_use).await?;
    let found = filesystem::probe(host, disk, ask.volume).await?;
    if let Plan::Format { again } = plan_disk(&found, disk, ask)? {
        refuse_in_use(disk, &in_use)?;
        return filesystem::make(host, disk, ask.volume, ask.fs, &request.mkfs_options, again).await;
    }
    if request.untouched && filesystem::uuid::is_unreplayed(host, &disk.path, ask.fs).await? == Some(true) {
        let path = disk.path.display();
        tracing::warn!(volume = ask.volume, disk = %path, "its journal isn't replayed, so that readers may see old data");
    }
    if ask.read_only || !in_use.is_empty() {
        return Ok(());
    }
    filesystem::settle(host, disk, ask.volume).await?;
    filesystem::check(host, disk, ask.fs).await?;
    if wants_own_uuid(request, ask) {
        own_uuid(disk, ask, &place.path).ensure(host).await?;
    }
    if ask.fs.is_ext() {
        grow(host, disk, ask, request, None).await?;
    }
    Ok(())
}

/// A disk without serial that is mounted elsewhere may be any disk of this machine, its root included.
fn refuse_borrowed(disk: &Disk, in_use: &[PathBuf]) -> Result<()> {
    match in_use.first() {
        Some(point) if !disk.by_serial => {
            let cause = format!("it has no serial and is in use already at {}", point.display());
            Err(Error::precondition(disk.path.display(), cause)
                .next("nothing was written; see whether the link leads to the right disk"))
        }
        _ => Ok(()),
    }
}

/// Whoever has a disk open may be about to write to it, however empty it looks.
fn refuse_in_use(disk: &Disk, in_use: &[PathBuf]) -> Result<()> {
    let Some(point) = in_use.first() else { return Ok(()) };
    let cause = format!("no file system is on it, and it's in use already at {}", point.display());
    Err(Error::precondition(disk.path.display(), cause)
        .next("nothing was written; unpublish it there, or use it as a raw disk here, too"))
}

async fn grow(
    host: &dyn Host,
    disk: &Disk,
    ask: &Ask<'_>,
    request: &Stage,
    mounted: Option<&Path>,
) -> Result<()> {
    match filesystem::grow(host, disk, ask.fs, mounted).await {
        Ok(grew) => {
            if grew {
                tracing::info!(volume = ask.volume, bytes = disk.size, "the file system has grown");
            }
            Ok(())
        }
        Err(error) if request.resize => Err(error),
        Err(error) => {
            tracing::warn!(volume = ask.volume, %error, "the file system stays smaller than its disk");
            Ok(())
        }
    }
}

fn plan_staged(mount: Option<&Mount>, is_this_disk: bool, ask: &Ask<'_>) -> Result<Staged> {
    let Some(mount) = mount else { return Ok(Staged::No) };
    let object = format!("volume {} at {}", ask.volume, mount.point.display());
    if !is_this_disk || mount.root != Path::new("/") {
        let cause = format!("something else is mounted there: {} ({})", mount.source.display(), mount.fs);
        return Err(Error::precondition(object, cause).next("unmount it, then ask again"));
    }
    let differs = if mount.fs != ask.fs.name() {
        format!("it's staged as {}, and {} is asked for", mount.fs, ask.fs)
    } else if mount.is_read_only() != ask.read_only {
        match ask.read_only {
            true => "it's staged for writing, and reading only is asked for".into(),
            false => {
                "it's staged read-only (the kernel does that after an error, too), and writing is asked for"
                    .into()
            }
        }
    } else {
        return Ok(Staged::Already);
    };
    Err(Error::new(Condition::Exists, object, differs).next("unstage it first"))
}

fn plan_disk(found: &Probe, disk: &Disk, ask: &Ask<'_>) -> Result<Plan> {
    let object = format!("volume {} ({})", ask.volume, disk.path.display());
    let refuse = |cause: String| Err(Error::precondition(&object, cause).next(filesystem::WAY_OUT));
    let again = match found {
        Probe::Found(fs) if ask.fs.takes(fs) => return Ok(Plan::Use),
        Probe::Found(fs) => {
            let cause = format!("it holds {fs}, and {} is asked for", ask.fs);
            return Err(Error::precondition(&object, cause)
                .next("nothing was written; name the file system that it has in the PersistentVolume or StorageClass"));
        }
        Probe::Foreign(what) => return refuse(format!("it holds {what}")),
        Probe::Empty => false,
        Probe::Unfinished => true,
    };
    if ask.format == FormatPolicy::Never {
        let cause = "it was made from data, and no file system is on it";
        return Err(
            Error::precondition(object, cause).next("nothing was written; look at what it was made from")
        );
    }
    if ask.read_only {
        let cause = "no file system is on it, and it's staged read-only";
        return Err(Error::precondition(object, cause).next("nothing was written; stage it once for writing"));
    }
    Ok(Plan::Format { again })
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::super::host::{FileKind, Hold, Number, Stat};
    use super::super::mounts::Mounts;
    use super::*;

    fn ask(read_only: bool, format: FormatPolicy) -> Ask<'static> {
        Ask { volume: "v", fs: FsType::Ext4, read_only, format }
    }

    fn disk(by_serial: bool) -> Disk {
        let number = Number { major: 252, minor: 16 };
        let hold = Hold::new(Stat { kind: FileKind::BlockDevice(number) }, ());
        Disk::held("/dev/vdb".into(), number, 1 << 30, by_serial, hold)
    }

    #[test]
    fn only_an_empty_disk_is_formatted_and_only_where_it_may_be() {
        use FormatPolicy::{Allowed, Never};
        let found = |fs: &str| Probe::Found(fs.into());
        let table = [
            (Probe::Empty, false, Allowed, Some(Plan::Format { again: false })),
            (Probe::Unfinished, false, Allowed, Some(Plan::Format { again: true })),
            (Probe::Empty, false, Never, None),
            (Probe::Unfinished, false, Never, None),
            (Probe::Empty, true, Allowed, None),
            (Probe::Unfinished, true, Allowed, None),
            (found("ext4"), false, Allowed, Some(Plan::Use)),
            (found("ext4"), true, Never, Some(Plan::Use)),
            (found("xfs"), false, Allowed, None),
            (found("ext3"), false, Allowed, Some(Plan::Use)),
            (found("ext2"), true, Never, Some(Plan::Use)),
            (found("vfat"), true, Allowed, None),
            (Probe::Foreign("swap".into()), false, Allowed, None),
            (Probe::Foreign("swap".into()), true, Never, None),
        ];
        for (probe, read_only, format, want) in table {
            let got = plan_disk(&probe, &disk(true), &ask(read_only, format));
            match (got, want) {
                (Ok(plan), want) => assert_eq!(Some(plan), want, "{probe:?}"),
                (Err(error), want) => {
                    assert_eq!(want, None, "{probe:?}");
                    assert_eq!(error.condition(), Condition::Precondition);
                    assert!(error.to_string().contains("nothing was written"), "{error}");
                }
            }
        }
    }

    #[test]
    fn a_staging_path_is_free_ours_or_refused() {
        let line = |root: &str, options: &str, fs: &str| {
            format!("1 2 252:16 {root} /s {options} - {fs} /dev/vdb rw\n")
        };
        let table = [
            (line("/", "rw", "ext4"), true, false, Ok(Staged::Already)),
            (line("/", "ro", "ext4"), true, true, Ok(Staged::Already)),
            (line("/", "rw", "ext4"), true, true, Err(Condition::Exists)),
            (line("/", "ro", "ext4"), true, false, Err(Condition::Exists)),
            (line("/", "rw", "xfs"), true, false, Err(Condition::Exists)),
            (line("/", "rw", "ext4"), false, false, Err(Condition::Precondition)),
            (line("/part", "rw", "ext4"), true, false, Err(Condition::Precondition)),
            (String::new(), false, false, Ok(Staged::No)),
        ];
        for (text, is_this_disk, read_only, want) in table {
            let mounts = Mounts::parse(text.as_bytes()).unwrap();
            let ask = ask(read_only, FormatPolicy::Allowed);
            let got = plan_staged(mounts.at(Path::new("/s")), is_this_disk, &ask)
                .map_err(|error| error.condition());
            assert_eq!(got, want, "{text}");
        }
    }

    #[test]
    fn a_disk_without_serial_that_is_in_use_may_be_any_disk() {
        let root = [PathBuf::from("/")];
        assert!(refuse_borrowed(&disk(false), &root).is_err());
        refuse_borrowed(&disk(true), &root).unwrap();
        refuse_borrowed(&disk(false), &[]).unwrap();
    }

    #[test]
    fn a_disk_that_is_in_use_is_not_formatted_however_empty_it_is() {
        let error = refuse_in_use(&disk(true), &[PathBuf::from("/pods/raw")]).unwrap_err();
        assert!(error.to_string().contains("in use already at /pods/raw"), "{error}");
        refuse_in_use(&disk(true), &[]).unwrap();
    }

    #[tokio::test]
    async fn a_staged_disk_that_was_pulled_out_makes_room_for_its_successor() {
        let fake = Fake::default();
        fake.world().mounts.push("1 2 252:16 / /staging rw - ext4 /dev/vdb rw".into());
        fake.world().busy.push("/staging".into());
        let place = living(&fake, Path::new("/staging")).await.unwrap();
        assert!(place.mount().is_none());
        assert_eq!(fake.world().done, ["unmount /staging lazily"]);
    }

    #[tokio::test]
    async fn a_staged_disk_that_is_there_stays() {
        let fake = Fake::default();
        fake.plug("vdb", 16, 1 << 30, &[]);
        fake.world().mounts.push("1 2 252:16 / /staging rw - ext4 /dev/vdb rw".into());
        assert!(living(&fake, Path::new("/staging")).await.unwrap().mount().is_some());
        assert!(fake.world().done.is_empty());
    }
}
