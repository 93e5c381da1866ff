//! Children, and claims that no child may keep.
//!
//! Between its fork and its first own instruction a child has a copy of every descriptor, O_CLOEXEC or not: execve(2) wakes the
//! parent of a vfork before it closes them. A disk that was opened with O_EXCL stays claimed as long as one copy is open: the mkfs
//! or the mount that comes next would find it busy.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use nix::fcntl::OFlag;
use tokio::process::{Child, Command};

use crate::pace;

/// Held by whoever forks; and alone by whoever claims a disk and lets it go again.
static FORKING: RwLock<()> = RwLock::new(());

/// A child closes its copies within a millisecond, or when it gets its turn.
const PAUSE: Duration = Duration::from_millis(1);
const LOOKS: usize = 500;

/// Returns when the child has begun with its own program, or is about to.
pub fn spawn(command: &mut Command) -> io::Result<Child> {
    let _forking = FORKING.read().unwrap_or_else(PoisonError::into_inner);
    command.spawn()
}

/// Claims a disk for a moment, in which there is no fork.
pub fn is_claimed(disk: &Path) -> io::Result<bool> {
    let _alone = FORKING.write().unwrap_or_else(PoisonError::into_inner);
    let claimed = OpenOptions::new().read(true).custom_flags(OFlag::O_EXCL.bits()).open(disk);
    match claimed.map(drop) {
        Ok(()) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => Ok(true),
        Err(error) => Err(error),
    }
}

/// Returns once no child has a copy of the descriptor any more that had claimed a disk. If someone else has claimed it since,
/// whoever needs it next is told so.
pub async fn released(disk: &Path) {
    for _ in 0..LOOKS {
        let path = disk.to_owned();
        if !matches!(super::blocking(move || is_claimed(&path)).await, Ok(true)) {
            return;
        }
        pace::sleep(PAUSE).await;
    }
}
