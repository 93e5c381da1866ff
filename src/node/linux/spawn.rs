//! Children, and descriptors that no child may keep.
//!
//! Between its fork and its exec a child has a copy of every descriptor, O_CLOEXEC or not (open(2)). A disk that was opened with
//! O_EXCL stays claimed as long as one copy is open: the mkfs or the mount that comes next would find it busy.

use std::io;
use std::sync::{PoisonError, RwLock};

use tokio::process::{Child, Command};

/// Held by whoever is between fork and exec.
static FORKING: RwLock<()> = RwLock::new(());

/// Returns once the child has begun with its own program.
pub fn spawn(command: &mut Command) -> io::Result<Child> {
    let _forking = FORKING.read().unwrap_or_else(PoisonError::into_inner);
    command.spawn()
}

/// Closes `file`, and every copy of it that a child has by accident.
pub fn close<T>(file: T) {
    drop(file);
    drop(FORKING.write().unwrap_or_else(PoisonError::into_inner));
}
