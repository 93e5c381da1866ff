//! Children, and claims that no child may keep.
//!
//! Between its fork and its first own instruction a child has a copy of every descriptor, O_CLOEXEC or not: execve(2) wakes the
//! parent of a vfork before it closes them. A disk that was opened with O_EXCL stays claimed as long as one copy is open: the mkfs
//! or the mount that comes next would find it busy.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use nix::fcntl::OFlag;
use tokio::process::{Child, Command};
use tokio::sync::RwLock;
use tokio::time::timeout;

use crate::pace;

/// Held by whoever forks; and alone by whoever claims a disk and lets it go again.
static FORKING: RwLock<()> = RwLock::const_new(());

/// The open of a sick disk may take minutes. Nobody else waits for it: what comes of a fork meanwhile is that a disk is busy.
const PATIENCE: Duration = Duration::from_millis(100);
/// A child closes its copies within a millisecond, or when it gets its turn.
const PAUSE: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(500);

/// Returns when the child has begun with its own program, or is about to.
pub async fn spawn(command: &mut Command) -> io::Result<Child> {
    let _forking = timeout(PATIENCE, FORKING.read()).await;
    command.spawn()
}

/// Claims a disk for a moment, in which there is no fork.
pub async fn is_claimed(disk: &Path) -> io::Result<bool> {
    let _alone = timeout(PATIENCE, FORKING.write()).await;
    let disk = disk.to_owned();
    let claim = move || OpenOptions::new().read(true).custom_flags(OFlag::O_EXCL.bits()).open(disk).map(drop);
    match super::blocking(claim).await {
        Ok(()) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => Ok(true),
        Err(error) => Err(error),
    }
}

/// Returns once no child has a copy of the descriptor any more that had claimed a disk. If someone else has claimed it since,
/// whoever needs it next is told so.
pub async fn released(disk: &Path) {
    let free = async {
        while matches!(is_claimed(disk).await, Ok(true)) {
            pace::sleep(PAUSE).await;
        }
    };
    let _ = timeout(LONGEST, free).await;
}
