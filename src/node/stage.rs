//! From an attached disk to a mounted file system.
//!
//! | on the disk | what happens |
//! |---|---|
//! | the file system asked for | checked, grown, mounted |
//! | the same as a copy that is to have a UUID of its own | likewise, with that UUID: `own_uuid.rs` |
//! | nothing, all areas readable and zero | formatted, unless the volume was made from data or is staged read-only |
//! | our own mkfs, cut off | formatted again, likewise |
//! | our own mkfs, ended, and nobody heard how | checked, grown, mounted if the file system's own tool finds all of it, otherwise refused |
//! | another file system, or anything else | refused, nothing is written |

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::device::{self, Disk, Search};
use super::error::{Condition, Error, On, Result};
use super::filesystem::{self, FsType, Probe};
use super::host::{FileKind, Flags, Host, MountCall, MountKind};
use super::mounts::Mount;
use super::own_uuid::OwnUuid;
use super::phase::{Phase, phase};
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

/// What to do with the disk before it's mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Plan {
    Format { again: bool },
    Use,
}

/// A file system volume on its way to its staging path.
struct Staging<'a> {
    host: &'a dyn Host,
    disk: &'a Disk,
    request: &'a Stage,
    fs: FsType,
    flags: Flags,
    /// The mount options of the file system's own.
    data: String,
}

pub(super) async fn stage(search: Search, request: Stage) -> Result<()> {
    let disk = phase(Phase::Find, search.wait()).await?;
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
            let flags =
                Flags { read_only: request.read_only || request.untouched || flags.read_only, ..flags };
            let data = filesystem::mount_data(*fs, &data, request.untouched);
            Staging { host, disk: &disk, request: &request, fs: *fs, flags, data }.run().await
        }
    }
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

impl Staging<'_> {
    async fn run(&self) -> Result<()> {
        let staging = &self.request.staging;
        let mut place = without_dead_mount(self.host, staging).await?;
        // Not onto a mount: a file system that has shut down denies that its root is a directory.
        if place.mount().is_none() {
            self.host.make_directory(staging).await.on(staging.display(), "make the directory")?;
            place = Place::observe(self.host, staging).await?;
        }
        let is_ours = shows_disk(self.host, place.mount(), self.disk).await;
        let is_staged = self.is_staged(place.mount(), is_ours)?;
        if is_staged && place.kind != Some(FileKind::Directory) {
            return Err(self.shut_down(&place));
        }
        if is_staged && self.wants_own_uuid() {
            let path = place.path.clone();
            place = self.own_uuid(&path).undo_replay(self.host, place).await?;
        }
        if place.mount().is_none() {
            self.prepare(&place).await?;
            self.mount(&place.path).await?;
        }
        if !self.flags.read_only {
            self.grow(Some(&place.path)).await?;
        }
        Ok(())
    }

    /// Makes the disk ready to be mounted.
    async fn prepare(&self, place: &Place) -> Result<()> {
        let Self { host, disk, request, fs, .. } = *self;
        let in_use = place::uses(host, &place.mounts, disk.number).await;
        refuse_in_use_without_serial(disk, &in_use)?;
        protect(host, disk, request, &in_use).await?;
        let found = phase(Phase::Probe, filesystem::probe(host, disk, &request.volume)).await?;
        if let Plan::Format { again } = self.plan(&found)? {
            refuse_in_use(disk, &in_use)?;
            let make = filesystem::make(host, disk, &request.volume, fs, &request.mkfs_options, again);
            return phase(Phase::Mkfs, make).await;
        }
        if request.untouched && filesystem::uuid::is_unreplayed(host, &disk.path, fs).await? == Some(true) {
            let path = disk.path.display();
            tracing::warn!(volume = request.volume, disk = %path, "its journal isn't replayed, so that readers may see old data");
        }
        if !in_use.is_empty() {
            return Ok(());
        }
        let is_fresh = filesystem::confirm_mkfs(host, disk, &request.volume, fs).await?;
        if self.flags.read_only {
            return Ok(());
        }
        if is_fresh {
            filesystem::end_mkfs(host, disk, &request.volume).await?;
        }
        phase(Phase::Check, filesystem::check(host, disk, fs)).await?;
        if self.wants_own_uuid() {
            self.own_uuid(&place.path).ensure(host).await?;
        }
        if fs.is_ext() { self.grow(None).await } else { Ok(()) }
    }

    async fn mount(&self, target: &Path) -> Result<()> {
        let kind = MountKind::New { fs: self.fs.name(), data: self.data.clone() };
        let (source, target) = (self.disk.path.clone(), target.to_owned());
        let call = MountCall { source, target, kind, flags: self.flags };
        phase(Phase::Mount, place::mount(self.host, self.disk, call)).await
    }

    async fn grow(&self, mounted: Option<&Path>) -> Result<()> {
        let volume = &self.request.volume;
        match phase(Phase::Grow, filesystem::grow(self.host, self.disk, self.fs, mounted)).await {
            Ok(grew) => {
                if grew {
                    tracing::info!(volume, bytes = self.disk.size, "the file system has grown");
                }
                Ok(())
            }
            Err(error) if self.request.resize => Err(error),
            Err(error) => {
                tracing::warn!(volume, %error, "the file system stays smaller than its disk");
                Ok(())
            }
        }
    }

    fn wants_own_uuid(&self) -> bool {
        self.request.own_uuid && self.request.format == FormatPolicy::Never && !self.flags.read_only
    }

    fn own_uuid<'a>(&'a self, staging: &'a Path) -> OwnUuid<'a> {
        OwnUuid { disk: self.disk, fs: self.fs, volume: &self.request.volume, staging }
    }

    /// Whether what is mounted at the staging path is the volume as it's asked for.
    fn is_staged(&self, mount: Option<&Mount>, is_this_disk: bool) -> Result<bool> {
        let Some(mount) = mount else { return Ok(false) };
        let object = format!("volume {} at {}", self.request.volume, mount.point.display());
        if !is_this_disk || mount.root != Path::new("/") {
            let cause = format!("something else is mounted there: {} ({})", mount.source.display(), mount.fs);
            return Err(Error::precondition(object, cause).next("unmount it, then ask again"));
        }
        let differs = match (mount.is_read_only(), self.flags.read_only) {
            _ if mount.fs != self.fs.name() => {
                &format!("it's staged as {}, and {} is asked for", mount.fs, self.fs)
            }
            (false, true) => "it's staged for writing, and reading only is asked for",
            (true, false) => {
                "it's staged read-only (the kernel does that after an error, too), and writing is asked for"
            }
            (false, false) | (true, true) => return Ok(true),
        };
        Err(Error::new(Condition::Exists, object, differs).next("unstage it first"))
    }

    /// The disk is there, and the file system on it answers nothing any more.
    fn shut_down(&self, place: &Place) -> Error {
        let object = format!("volume {} at {}", self.request.volume, place.path.display());
        Error::precondition(object, "its file system can't be read: it has shut down after an error")
            .next("see this node's kernel log, and delete the pods that use it: it is unstaged then, and staged anew")
    }

    fn plan(&self, found: &Probe) -> Result<Plan> {
        let object = format!("volume {} ({})", self.request.volume, self.disk.path.display());
        let refuse = |cause: &str, next: &str| Err(Error::precondition(&object, cause).next(next));
        let again = match found {
            Probe::Found(fs) if self.fs.takes(fs) => return Ok(Plan::Use),
            Probe::Found(fs) => {
                return refuse(
                    &format!("it holds {fs}, and {} is asked for", self.fs),
                    "nothing was written; name the file system that it has in the PersistentVolume or StorageClass",
                );
            }
            Probe::Foreign(what) => return refuse(&format!("it holds {what}"), filesystem::WAY_OUT),
            Probe::Empty => false,
            Probe::Unfinished => true,
        };
        if self.request.format == FormatPolicy::Never {
            let cause = "it was made from data, and no file system is on it";
            return refuse(cause, "nothing was written; look at what it was made from");
        }
        if self.flags.read_only {
            let cause = "no file system is on it, and it's staged read-only";
            return refuse(cause, "nothing was written; stage it once for writing");
        }
        Ok(Plan::Format { again })
    }
}

/// Other nodes read a disk that is to stay untouched: then the kernel itself is told. `ro` and `noload` together don't keep
/// ext4 from clearing its list of orphans, and a bind mount that is `ro` keeps no one from writing to a raw disk.
async fn protect(host: &dyn Host, disk: &Disk, request: &Stage, in_use: &[PathBuf]) -> Result<()> {
    if in_use.is_empty() { device::protect(host, disk, request.untouched).await } else { Ok(()) }
}

async fn shows_disk(host: &dyn Host, mount: Option<&Mount>, disk: &Disk) -> bool {
    match mount {
        Some(mount) => place::disk_of(host, mount).await == Some(disk.number),
        None => false,
    }
}

/// The staging path, freed of a mount whose disk was pulled out: the volume comes back under another name, and nothing can
/// be read from or written to the old one.
async fn without_dead_mount(host: &dyn Host, staging: &Path) -> Result<Place> {
    let place = Place::observe(host, staging).await?;
    let Some(mount) = place.mount() else { return Ok(place) };
    if !place::is_dead(host, mount).await {
        return Ok(place);
    }
    tracing::warn!(path = %place.path.display(), source = %mount.source.display(), "the staged disk has vanished");
    place::clear(host, &place.path).await?;
    Place::observe(host, staging).await
}

/// A disk without serial that is mounted elsewhere may be any disk of this machine, its root included.
fn refuse_in_use_without_serial(disk: &Disk, in_use: &[PathBuf]) -> Result<()> {
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

#[cfg(test)]
mod tests;
