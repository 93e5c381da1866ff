//! Clears up behind sandboxes that were killed: only what is certainly theirs.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::place::{self, LOCK, PREFIX};
use super::{host, mounts};

/// Removes the directories, mounts and loop devices of dead sandboxes. What can't be removed stays, with a warning.
pub(super) fn sweep() {
    let temporary = std::env::temp_dir();
    let entries = fs::read_dir(&temporary).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX)) {
        warn_of(bury(&entry.path()));
    }
    warn_of(detach_deleted(&temporary));
}

/// Removes a sandbox's directory if nobody holds its lock.
fn bury(directory: &Path) -> io::Result<()> {
    // Everybody may write to the temporary directory: a link, or a directory of another user, is not ours.
    let found = fs::symlink_metadata(directory)?;
    if !found.is_dir() || found.uid() != nix::unistd::geteuid().as_raw() {
        return Ok(());
    }
    let Ok(lock) = File::open(directory.join(LOCK)) else { return Ok(()) };
    if lock.try_lock().is_err() {
        return Ok(());
    }
    place::unmount_below(directory)?;
    for file in fs::read_dir(directory.join("volumes")).into_iter().flatten().flatten() {
        for device in host::loop_devices_of(&file.path())? {
            host::detach(&device)?;
        }
    }
    place::remove(directory)
}

/// Detaches loop devices whose file was a sandbox's volume and has been deleted. A living sandbox deletes no file of a
/// disk; and a file that is merely out of sight, in another container, has not been deleted.
fn detach_deleted(temporary: &Path) -> io::Result<()> {
    for (name, file) in host::loop_devices()? {
        if is_deleted_volume(&file, temporary) && mounts::of(None, std::slice::from_ref(&name))?.is_empty() {
            host::detach(&Path::new("/dev").join(name))?;
        }
    }
    Ok(())
}

/// `TEMPORARY/cinder-csi-sandbox-XXXXXX/volumes/UUID (deleted)`.
fn is_deleted_volume(file: &str, temporary: &Path) -> bool {
    let Some(file) = file.strip_suffix(" (deleted)") else { return false };
    let Ok(below) = Path::new(file).strip_prefix(temporary) else { return false };
    let parts: Vec<_> = below.iter().map(|part| part.to_str().unwrap_or_default()).collect();
    let [directory, "volumes", volume] = parts.as_slice() else { return false };
    directory.starts_with(PREFIX) && uuid::Uuid::try_parse(volume).is_ok()
}

fn warn_of(result: io::Result<()>) {
    if let Err(error) = result {
        tracing::warn!(%error, "what an earlier sandbox left behind could not be removed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_deleted_volume_of_a_sandbox_is_one() {
        let id = "0f9c0b2e-6d53-4b6a-9d5e-1c2f3a4b5c6d";
        let table = [
            (format!("/tmp/cinder-csi-sandbox-a1/volumes/{id} (deleted)"), true),
            (format!("/tmp/cinder-csi-sandbox-a1/volumes/{id}"), false),
            (format!("/var/cinder-csi-sandbox-a1/volumes/{id} (deleted)"), false),
            (format!("/tmp/sandbox-a1/volumes/{id} (deleted)"), false),
            (format!("/tmp/cinder-csi-sandbox-a1/{id} (deleted)"), false),
            (format!("/tmp/cinder-csi-sandbox-a1/volumes/deep/{id} (deleted)"), false),
            ("/tmp/cinder-csi-sandbox-a1/volumes/disk.img (deleted)".to_owned(), false),
        ];
        for (file, expected) in table {
            assert_eq!(is_deleted_volume(&file, Path::new("/tmp")), expected, "{file}");
        }
    }

    #[test]
    fn a_directory_without_a_lock_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("kept"), "").unwrap();
        bury(directory.path()).unwrap();
        assert!(directory.path().join("kept").exists());
    }

    #[test]
    fn a_living_sandbox_is_left_alone_and_a_dead_one_goes() {
        let place = place::Place::new().unwrap();
        bury(place.path()).unwrap();
        assert!(place.path().exists());
        let directory = tempfile::tempdir().unwrap().keep();
        File::create(directory.join(LOCK)).unwrap();
        bury(&directory).unwrap();
        assert!(!directory.exists());
    }
}
