//! Bytes that are written and must come back.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

const SIZE: usize = 16 << 20;
pub(super) const SIZE_SHOWN: &str = "16 MiB";

/// Writes the bytes that `seed` gives, and waits until they are on the disk.
pub(super) fn write(file: &Path, seed: u64) -> io::Result<()> {
    let mut file = File::create_new(file)?;
    file.write_all(&bytes(seed))?;
    file.sync_all()
}

/// Whether the file has these bytes, read from the disk and not from the page cache.
pub(super) fn holds(file: &Path, seed: u64) -> io::Result<bool> {
    let mut file = File::open(file)?;
    posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
    let mut found = Vec::with_capacity(SIZE);
    file.read_to_end(&mut found)?;
    Ok(found == bytes(seed))
}

fn bytes(seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; SIZE];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_changed_byte_is_seen() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("proof");
        write(&file, 7).unwrap();
        assert!(holds(&file, 7).unwrap());
        assert!(!holds(&file, 8).unwrap());
        let mut content = std::fs::read(&file).unwrap();
        content[SIZE - 1] ^= 1;
        std::fs::write(&file, content).unwrap();
        assert!(!holds(&file, 7).unwrap());
    }
}
