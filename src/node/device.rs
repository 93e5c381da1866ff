//! The disk of a volume: found by link and by serial, verified, held.
//!
//! A link is a hint: udev's can be stale, and a disk that goes and another that comes share a name. The disk's own serial
//! and size decide; a disk without serial (a loop device) is taken only by its link and with a known size.

mod identity;
mod judge;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::error::{Error, On, Result};
use super::host::{Command, FileKind, Hold, Host, Number};
use super::{Expected, Settings};
use crate::pace;
pub(super) use identity::serials;
use judge::{Facts, Verdict};
pub(super) use judge::{claims_to_be_a_volume, identifies};
pub(super) use watch::Watch;

/// A disk that is a volume's. While it's kept, its name can't pass to another disk.
pub(super) struct Disk {
    pub path: PathBuf,
    pub number: Number,
    pub size: u64,
    /// Whether its own serial says so. Otherwise a link and the size do.
    pub by_serial: bool,
    _hold: Hold,
}

impl Disk {
    pub fn held(path: PathBuf, number: Number, size: u64, by_serial: bool, hold: Hold) -> Self {
        Self { path, number, size, by_serial, _hold: hold }
    }
}

/// What one look found.
enum Sighting {
    Disk(Disk),
    /// Nothing yet, and why what was seen isn't it.
    Nothing(Vec<String>),
}

/// The bus is asked again only after the kernel has had this long to tell by itself.
const RESCAN_AFTER: Duration = Duration::from_secs(10);

/// Where to look, for whom.
#[derive(Clone)]
pub(super) struct Search {
    pub host: Arc<dyn Host>,
    pub settings: Settings,
    pub volume: String,
    pub expected: Expected,
}

impl Search {
    /// The disk, waited for until the deadline.
    pub async fn wait(&self) -> Result<Disk> {
        if let Sighting::Disk(disk) = self.look().await? {
            return Ok(disk);
        }
        let mut watch = Watch::new(&self.host).await;
        let mut rescan = Some(pace::Deadline::after(RESCAN_AFTER.min(pace::deadline().remaining() / 2)));
        loop {
            let seen = match self.look().await? {
                Sighting::Disk(disk) => return Ok(disk),
                Sighting::Nothing(seen) => seen,
            };
            if rescan.is_some_and(pace::Deadline::has_passed) {
                rescan = None;
                rescan_buses(&*self.host).await;
            }
            if !watch.wait().await {
                return Err(self.absent(&seen));
            }
        }
    }

    /// The disk, which must be there.
    pub async fn now(&self) -> Result<Disk> {
        match self.look().await? {
            Sighting::Disk(disk) => Ok(disk),
            Sighting::Nothing(seen) if seen.is_empty() => {
                Err(Error::precondition(self.object(), "no disk of this volume is attached to this node")
                    .next("stage it first"))
            }
            Sighting::Nothing(seen) => Err(self.absent(&seen)),
        }
    }

    async fn look(&self) -> Result<Sighting> {
        let (candidates, mut seen) = self.linked().await;
        let mut found: Vec<Disk> = self.judge_all(candidates, &mut seen).await?;
        if !found.iter().any(|disk| disk.by_serial) {
            let candidates = identity::scan(&*self.host, &self.volume).await;
            found.extend(self.judge_all(candidates, &mut seen).await?);
        }
        if found.iter().any(|disk| disk.by_serial) {
            found.retain(|disk| disk.by_serial);
        }
        found.dedup_by_key(|disk| disk.number);
        match found.len() {
            0 => Ok(Sighting::Nothing(seen)),
            1 => Ok(found.pop().map_or(Sighting::Nothing(seen), Sighting::Disk)),
            _ => Err(self.ambiguous(&found)),
        }
    }

    /// What the links and the attachment's own word point at.
    async fn linked(&self) -> (Vec<PathBuf>, Vec<String>) {
        let (mut paths, mut seen) = (Vec::new(), Vec::new());
        let there = self.host.list(&self.settings.device_dir).await.unwrap_or_default();
        for name in judge::link_names(&self.volume) {
            if !there.iter().any(|entry| entry.as_os_str() == name.as_str()) {
                continue;
            }
            let link = self.settings.device_dir.join(name);
            match self.host.canonical(&link).await {
                Ok(path) if !paths.contains(&path) => paths.push(path),
                Ok(_) => {}
                Err(error) => seen.push(format!("the link {} leads nowhere: {error}", link.display())),
            }
        }
        (paths, seen)
    }

    async fn judge_all(&self, candidates: Vec<PathBuf>, seen: &mut Vec<String>) -> Result<Vec<Disk>> {
        let mut right = Vec::new();
        for path in candidates {
            match inspect(&*self.host, &path).await {
                Err(reason) => seen.push(format!("{} is no disk that can be used: {reason}", path.display())),
                Ok((facts, number, hold)) => match judge::judge(&self.volume, &self.expected, &facts) {
                    Verdict::Right { by_serial } => {
                        right.push(Disk::held(path, number, facts.size, by_serial, hold));
                    }
                    Verdict::Wrong(reason) => seen.push(format!("{} {reason}", path.display())),
                    Verdict::Refused(reason) => return Err(self.refused(&path, &reason)),
                },
            }
        }
        Ok(right)
    }

    fn refused(&self, path: &Path, reason: &str) -> Error {
        Error::precondition(self.object(), format!("{} {reason}", path.display()))
            .next("nothing was written; detach the volume and attach it again")
    }

    fn ambiguous(&self, found: &[Disk]) -> Error {
        let names: Vec<_> = found.iter().map(|disk| disk.path.display().to_string()).collect();
        Error::precondition(self.object(), format!("{} all claim to be its disk", names.join(" and ")))
            .next("nothing was written; detach the volume and attach it again")
    }

    fn absent(&self, seen: &[String]) -> Error {
        if !seen.is_empty() {
            return Error::precondition(self.object(), seen.join("; "))
                .next("nothing was written; detach the volume and attach it again");
        }
        let hint = self.expected.device_path.as_deref().map(|path| format!(" (Nova named {path})"));
        let cause = format!("its disk hasn't appeared on this node{}", hint.unwrap_or_default());
        Error::unsettled(self.object(), cause)
            .next("see `openstack volume show` for the server it is attached to, and this node's kernel log")
    }

    fn object(&self) -> String {
        format!("volume {}", self.volume)
    }
}

/// The disk `number`, already in use for `volume`: refused where its serial says that it's another's.
pub(super) async fn in_use(host: &dyn Host, volume: &str, number: Number) -> Result<Disk> {
    let object = format!("volume {volume}");
    let directory = PathBuf::from(format!("/sys/dev/block/{number}"));
    let directory = host.canonical(&directory).await.map_err(|_| {
        Error::precondition(&object, format!("its disk {number} has vanished from this node"))
            .next("unpublish and unstage the volume, see the server's volumes, then attach it again")
    })?;
    let path = Path::new("/dev").join(directory.file_name().unwrap_or_default());
    let (facts, found, hold) = inspect(host, &path).await.map_err(|reason| {
        Error::precondition(&object, format!("{} can't be used: {reason}", path.display()))
    })?;
    if found != number {
        return Err(Error::internal(&object, format!("{} is not the disk {number}", path.display())));
    }
    if !facts.serials.is_empty() && !facts.serials.iter().any(|serial| judge::identifies(serial, volume)) {
        let cause =
            format!("{} has the serial {}: another volume's", path.display(), facts.serials.join(", "));
        return Err(Error::precondition(object, cause).next("unpublish and unstage this path"));
    }
    Ok(Disk::held(path, number, facts.size, !facts.serials.is_empty(), hold))
}

/// The number of the disk that says it's the volume's, or that a link says is. To look at only: nothing proves it.
pub(super) async fn find(host: &dyn Host, links: &Path, volume: &str) -> Option<Number> {
    let links = judge::link_names(volume).into_iter().map(|name| links.join(name));
    for path in identity::scan(host, volume).await.into_iter().chain(links) {
        if let Some(number) = host.stat(&path).await.ok().and_then(|found| found.kind.disk()) {
            return Some(number);
        }
    }
    None
}

/// The device node of the disk `number`.
pub(super) async fn path_of(host: &dyn Host, number: Number) -> Option<PathBuf> {
    let directory = host.canonical(&PathBuf::from(format!("/sys/dev/block/{number}"))).await.ok()?;
    Some(Path::new("/dev").join(directory.file_name()?))
}

/// Whether the disk `number` has gone from the machine. Where there is no sysfs to tell, it hasn't.
pub(super) async fn has_vanished(host: &dyn Host, number: Number) -> bool {
    let disks = Path::new("/sys/dev/block");
    if host.stat(disks).await.is_err() {
        return false;
    }
    let found = host.stat(&disks.join(number.to_string())).await;
    matches!(found, Err(error) if error.kind() == std::io::ErrorKind::NotFound)
}

/// Asks the disk again for its size: SCSI disks don't always tell.
pub(super) async fn rescan_disk(host: &dyn Host, disk: &Disk) {
    let Some(name) = disk.path.file_name() else { return };
    let path = Path::new("/sys/block").join(name).join("device/rescan");
    if let Err(error) = host.write(&path, b"1").await {
        tracing::debug!(disk = %disk.path.display(), %error, "no rescan of this disk");
    }
}

/// Tells the kernel whether anyone on this node may write to the disk. A disk that the cloud gave for reading only stays so.
pub(super) async fn protect(host: &dyn Host, disk: &Disk, read_only: bool) -> Result<()> {
    let file = PathBuf::from(format!("/sys/dev/block/{}/ro", disk.number));
    let now = host.read(&file).await.is_ok_and(|text| text.starts_with(b"1"));
    if now == read_only {
        return Ok(());
    }
    let flag = if read_only { "--setro" } else { "--setrw" };
    let command = Command::new("blockdev").with(flag).with(&disk.path);
    let output = host.run(command).await.on(disk.path.display(), "run blockdev")?;
    if output.code != Some(0) {
        let cause = format!("blockdev {flag} failed: {}", output.complaint());
        return Err(Error::internal(disk.path.display(), cause));
    }
    Ok(())
}

pub(super) async fn size(host: &dyn Host, disk: &Disk) -> Result<u64> {
    host.disk_size(&disk.path).await.on(disk.path.display(), "read its size")
}

async fn inspect(host: &dyn Host, path: &Path) -> std::result::Result<(Facts, Number, Hold), String> {
    // Opening something else than a disk may hang (a FIFO) or do something (a tape): look first.
    let FileKind::BlockDevice(_) = host.stat(path).await.map_err(|error| error.to_string())?.kind else {
        return Err("it isn't a block device".into());
    };
    let hold = host.hold(path).await.map_err(|error| error.to_string())?;
    let FileKind::BlockDevice(number) = hold.stat.kind else {
        return Err("it isn't a block device any more".into());
    };
    let directory = PathBuf::from(format!("/sys/dev/block/{number}"));
    let partition = host.read(&directory.join("partition")).await.is_ok();
    let serials = identity::serials(host, &directory)
        .await
        .map_err(|error| format!("it doesn't tell its serial: {error}"))?;
    let size = host.disk_size(path).await.map_err(|error| error.to_string())?;
    Ok((Facts { partition, serials, size }, number, hold))
}

/// The last resort: some hypervisors plug a disk without an event that this kernel understands.
async fn rescan_buses(host: &dyn Host) {
    let scsi = Path::new("/sys/class/scsi_host");
    for entry in host.list(scsi).await.unwrap_or_default() {
        let _ = host.write(&scsi.join(entry).join("scan"), b"- - -").await;
    }
    let _ = host.write(Path::new("/sys/bus/pci/rescan"), b"1").await;
}

#[cfg(test)]
mod tests;
