//! What is wrong with a volume on this node: docs/health.md has the table.

mod reason;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::claim::Claims;
use super::device;
use super::error::{Condition, Error, Result};
use super::filesystem;
use super::host::{Host, Number};
use super::mounts::Mount;
use super::place::{self, Place};
use crate::pace::{self, Deadline};
pub use reason::{Reason, Severity};

/// One thing that is wrong. The reason is for programs; the message is for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub reason: Reason,
    pub message: String,
}

#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub volume: String,
    pub target: Option<PathBuf>,
    pub staging: Option<PathBuf>,
    pub device_dir: PathBuf,
}

/// What was seen of the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Disk {
    Unknown,
    Gone,
    Unreadable(String),
    Fine,
}

/// What was seen at one of the paths.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    /// Nothing is mounted there.
    Nothing,
    Other(String),
    /// The raw disk.
    Raw,
    Mounted {
        made_read_only: bool,
        shut_down: bool,
        errors: u64,
        unreplayed: bool,
    },
}

/// A disk that hasn't answered for so long is sick, whatever the caller's patience.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the end of another look is waited for.
const PAUSE: Duration = Duration::from_millis(50);

impl Finding {
    fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    pub(super) fn silent() -> Self {
        let message =
            "its disk hasn't answered a read in time; see this node's kernel log and the volume's back end";
        Self::new(Reason::DeviceNotResponding, message)
    }
}

/// Runs `work` for as long as a disk may take, and no longer than half of what the caller waits. `None`: it hasn't ended.
pub(super) async fn patiently<T, F>(looks: &Claims, key: &str, work: impl Fn() -> F) -> Result<Option<T>>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let deadline = Deadline::after(PATIENCE.min(pace::deadline().remaining() / 2));
    pace::within(deadline, async {
        loop {
            match looks.run(key, work()).await {
                Err(error) if error.condition() == Condition::Unsettled => return Ok(None),
                // Another caller asks the same; where the disk is dead, that never ends.
                Err(error) if error.condition() == Condition::Busy => {
                    if !pace::pause(PAUSE).await {
                        return Ok(None);
                    }
                }
                ended => return ended.map(Some),
            }
        }
    })
    .await
}

pub(super) async fn health(host: Arc<dyn Host>, ask: Ask) -> Result<Vec<Finding>> {
    let host = &*host;
    let mut number = None;
    let mut places = Vec::new();
    for path in [&ask.target, &ask.staging].into_iter().flatten() {
        let place = Place::observe(host, path).await?;
        number = match (number, place.kind.and_then(|kind| kind.disk()), place.mount()) {
            (Some(number), ..) => Some(number),
            (None, Some(raw), _) => Some(raw),
            (None, None, Some(mount)) => place::disk_of(host, mount).await,
            (None, None, None) => None,
        };
        places.push(place);
    }
    let named = device::find(host, &ask.device_dir, &ask.volume).await;
    let number = named.or(number);
    if number.is_none() && places.is_empty() {
        let object = format!("volume {}", ask.volume);
        return Err(Error::not_found(object, "no disk of it is on this node, and no path of it was named"));
    }
    let mut seen = Vec::new();
    for place in &places {
        seen.push((place.path.clone(), look(host, place, number).await));
    }
    let disk = if lost(host, &places).await { Disk::Gone } else { read(host, number).await };
    Ok(judge(&disk, &seen))
}

/// Whether what is mounted at one of the paths has no disk any more. The volume may be back under another name; and of a btrfs,
/// whose mount names its disk and has no number of it, nothing else would tell.
async fn lost(host: &dyn Host, places: &[Place]) -> bool {
    for mount in places.iter().filter_map(Place::mount) {
        if place::is_dead(host, mount).await {
            return true;
        }
    }
    false
}

/// Whether a disk answers a read.
pub(super) async fn answers(host: Arc<dyn Host>, disk: PathBuf) -> Result<()> {
    let read = host.read_disk(&disk, 0, 4096).await;
    read.map(drop).map_err(|error| Error::internal(disk.display(), error))
}

/// All disks together: `failed` of `all` don't answer.
pub(super) fn of_storage(failed: &[String], all: usize) -> Option<Finding> {
    let message = format!(
        "{} of the {all} disks of volumes on this node can't be read: {}",
        failed.len(),
        failed.join(", ")
    );
    match failed.len() {
        0 => None,
        failed if failed == all => Some(Finding::new(Reason::DisksUnreadable, message)),
        _ => Some(Finding::new(Reason::SomeDisksUnreadable, message)),
    }
}

async fn read(host: &dyn Host, number: Option<Number>) -> Disk {
    let Some(number) = number else { return Disk::Unknown };
    if device::has_vanished(host, number).await {
        return Disk::Gone;
    }
    let Some(path) = device::path_of(host, number).await else { return Disk::Unknown };
    match host.read_disk(&path, 0, 4096).await {
        Ok(_) => Disk::Fine,
        Err(error) => Disk::Unreadable(format!("{}: {error}", path.display())),
    }
}

async fn look(host: &dyn Host, place: &Place, number: Option<Number>) -> Seen {
    let disk = place.kind.and_then(|kind| kind.disk());
    if let Some(raw) = disk {
        return if Some(raw) == number { Seen::Raw } else { Seen::Other(format!("the disk {raw}")) };
    }
    let Some(mount) = place.mount() else { return Seen::Nothing };
    if place::disk_of(host, mount).await != number && !place::is_dead(host, mount).await {
        return Seen::Other(format!("{} ({})", mount.source.display(), mount.fs));
    }
    // xfs lets no one in once it has shut down, and says nothing of it in its options.
    let refuses =
        matches!(host.stat(&place.path).await, Err(error) if error.kind() != io::ErrorKind::NotFound);
    Seen::Mounted {
        made_read_only: mount.was_made_read_only(),
        shut_down: mount.is_shut_down() || refuses,
        errors: errors(host, mount).await,
        unreplayed: is_unreplayed(host, mount, number).await,
    }
}

async fn is_unreplayed(host: &dyn Host, mount: &Mount, number: Option<Number>) -> bool {
    let (true, Ok(fs), Some(number)) = (mount.is_without_replay(), mount.fs.parse(), number) else {
        return false;
    };
    let Some(path) = device::path_of(host, number).await else { return false };
    filesystem::uuid::is_unreplayed(host, &path, fs).await.is_ok_and(|unreplayed| unreplayed == Some(true))
}

/// What ext4 has counted since its last check: <https://docs.kernel.org/admin-guide/ext4.html>.
async fn errors(host: &dyn Host, mount: &Mount) -> u64 {
    let Some(name) = mount.source.file_name() else { return 0 };
    let file = Path::new("/sys/fs/ext4").join(name).join("errors_count");
    let text = host.read(&file).await.unwrap_or_default();
    String::from_utf8_lossy(&text).trim().parse().unwrap_or(0)
}

fn judge(disk: &Disk, places: &[(PathBuf, Seen)]) -> Vec<Finding> {
    let raw = places.iter().any(|(_, seen)| *seen == Seen::Raw);
    let mut findings = Vec::new();
    let mut found = |reason, message: String| {
        // CSI allows one entry for each reason: the first path speaks for both.
        if findings.iter().all(|known: &Finding| known.reason != reason) {
            findings.push(Finding::new(reason, message));
        }
    };
    match disk {
        Disk::Gone => found(Reason::DeviceGone, "its disk has vanished from this node".into()),
        Disk::Unreadable(error) => {
            found(Reason::DeviceUnreadable, format!("its disk can't be read: {error}"));
        }
        Disk::Unknown | Disk::Fine => {}
    }
    for (path, seen) in places {
        let at = path.display();
        match seen {
            // Nothing is mounted where a raw disk is staged.
            Seen::Nothing if raw || path.iter().any(|part| part == "volumeDevices") => {}
            Seen::Nothing => found(Reason::NotMounted, format!("nothing is mounted at {at}")),
            Seen::Other(what) => {
                found(Reason::WrongDevice, format!("not its disk but {what} is mounted at {at}"));
            }
            Seen::Raw => {}
            Seen::Mounted { shut_down: true, .. } => {
                let why = format!("its file system at {at} has shut down after an error");
                found(Reason::FileSystemShutDown, format!("{why}; see this node's kernel log"));
            }
            Seen::Mounted { made_read_only: true, .. } => {
                let why = format!("the kernel made its file system at {at} read-only after an error");
                found(Reason::FileSystemReadOnly, format!("{why}; it's checked when it's staged again"));
            }
            Seen::Mounted { errors: 1.., .. } => {
                let why = format!("its file system at {at} has found errors in itself");
                found(Reason::FileSystemErrors, format!("{why}; it's checked when it's staged again"));
            }
            Seen::Mounted { unreplayed: true, .. } => {
                let why = format!(
                    "its file system at {at} is read by several nodes without a replay of its journal"
                );
                found(Reason::JournalNotReplayed, format!("{why}; mount the volume once for writing"));
            }
            Seen::Mounted { .. } => {}
        }
    }
    findings
}

#[cfg(test)]
mod tests;
