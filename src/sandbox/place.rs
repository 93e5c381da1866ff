//! The directory of a sandbox: its sockets, settings, links to disks and the volumes' data.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::{host, mounts};

/// Begins the name of every sandbox's directory.
pub(super) const PREFIX: &str = "cinder-csi-sandbox-";
/// Held with flock(2) for as long as its sandbox lives: the kernel lets go of it when the process dies.
pub(super) const LOCK: &str = "lock";

/// A directory that goes away with everything that is mounted in it.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    _lock: File,
}

impl Place {
    pub fn new() -> io::Result<Self> {
        let path = tempfile::Builder::new().prefix(PREFIX).tempdir()?.keep();
        // Named only once it is held, so that no other sandbox takes this one for dead.
        let held = path.join("held");
        let lock = File::create_new(&held)?;
        lock.lock()?;
        fs::rename(held, path.join(LOCK))?;
        Ok(Self { path, _lock: lock })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// Where the log is kept when the directory goes.
    pub fn log_beside(&self) -> PathBuf {
        self.path.with_extension("log")
    }

    /// What is still in use: mounts and loop devices.
    pub fn in_use(&self) -> io::Result<Vec<String>> {
        let devices = devices_below(&self.path)?;
        let mounts = mounts::of(Some(&self.path), &devices)?;
        let mounts = mounts.iter().map(|point| format!("mount {}", point.display()));
        Ok(mounts.chain(devices.iter().map(|name| format!("loop device /dev/{name}"))).collect())
    }

    /// The files with the data of volumes.
    pub fn data(&self) -> io::Result<Vec<String>> {
        match fs::read_dir(self.path.join("volumes")) {
            Ok(files) => Ok(files.flatten().map(|file| format!("file {}", file.path().display())).collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Removes the directory, unless there is still a mount in it.
    pub fn remove(&self) -> io::Result<()> {
        remove(&self.path)
    }

    pub fn unmount_all(&self) -> io::Result<()> {
        unmount_below(&self.path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        match remove(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, "the sandbox could not remove its directory");
            }
            _ => {}
        }
    }
}

/// Also unmounts what the sandbox's disks are mounted on elsewhere, as csi-sanity has its own directories.
pub(super) fn unmount_below(directory: &Path) -> io::Result<()> {
    mounts::unmount(&mounts::of(Some(directory), &devices_below(directory)?)?)
}

/// Removes the directory, unless there is a mount in it: then that which is mounted would be deleted.
pub(super) fn remove(directory: &Path) -> io::Result<()> {
    unmount_below(directory)?;
    match mounts::of(Some(directory), &[])?.first() {
        Some(point) => Err(io::Error::other(format!("{} is still mounted", point.display()))),
        None => fs::remove_dir_all(directory),
    }
}

/// The names of the loop devices whose files are in `directory`.
fn devices_below(directory: &Path) -> io::Result<Vec<String>> {
    let devices = host::loop_devices()?.into_iter();
    let ours = devices.filter(|(_, file)| Path::new(file).starts_with(directory));
    Ok(ours.map(|(name, _)| name).collect())
}
