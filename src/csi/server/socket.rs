//! The unix socket: it has its name as long as it is served.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;

use tokio::net::UnixListener;

/// The listener, and the inode of its socket. A socket that a killed process left behind is in the way of its successor;
/// one that answers is another driver's.
pub fn bind(path: &Path) -> io::Result<(UnixListener, u64)> {
    clear(path)?;
    // bind(2) makes the file, with the mode of the umask, and connections to it are refused until listen(2): it gets its
    // name after both. unix(7): <https://man7.org/linux/man-pages/man7/unix.7.html>.
    let name = path.file_name().ok_or_else(|| in_the_way("it is a directory; name a path in it"))?;
    let unready = path.with_file_name(format!(".{}", name.display()));
    clear(&unready)?;
    let listener = UnixListener::bind(&unready)?;
    // The socket is root's: whoever can write to it can attach and format.
    fs::set_permissions(&unready, Permissions::from_mode(0o600))?;
    // Another driver may have been as fast: a link takes no name that is taken, as rename(2) would.
    fs::hard_link(&unready, path)?;
    fs::remove_file(&unready)?;
    Ok((listener, fs::symlink_metadata(path)?.ino()))
}

/// Removes what a killed process left.
pub fn clear(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {
            if UnixStream::connect(path).is_ok() {
                return Err(in_the_way("another process serves there; end it, or name another path"));
            }
            fs::remove_file(path)
        }
        Ok(_) => Err(in_the_way("it is no socket; remove it, or name another path")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn in_the_way(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::AddrInUse, why)
}

/// Removes the socket, unless a successor has put its own there.
pub fn remove(path: &Path, own: u64) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.ino() == own => fs::remove_file(path),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// What a caller finds who looks without a pause until there is a socket.
    fn first_found(path: &Path) -> (u32, io::Result<()>) {
        let found = loop {
            if let Ok(found) = fs::symlink_metadata(path) {
                break found;
            }
            thread::yield_now();
        };
        (found.mode() & 0o777, UnixStream::connect(path).map(drop))
    }

    #[tokio::test]
    async fn a_socket_that_is_there_is_served_and_roots_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("csi.sock");
        for round in 0..1000 {
            let (mode, connected) = thread::scope(|scope| {
                let caller = scope.spawn(|| first_found(&path));
                let (listener, own) = bind(&path).unwrap();
                let found = caller.join().unwrap();
                drop(listener);
                remove(&path, own).unwrap();
                found
            });
            assert!(connected.is_ok() && mode == 0o600, "round {round}: {mode:o}, {connected:?}");
        }
    }
}
