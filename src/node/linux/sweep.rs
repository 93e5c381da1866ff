//! Many reads of one disk past the page cache. Each reader has one descriptor and one piece of memory: a page of new memory
//! is a fault and costs more than the read of it.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::OFlag;

use super::super::zeros::{self, Area, PIECE};
use super::aligned::Aligned;

/// A disk behind a network answers several reads in the time of one.
const READERS: usize = 4;

/// What each reader reads.
pub fn shares(areas: Vec<Area>) -> Vec<Vec<Area>> {
    let pieces: Vec<_> = areas.into_iter().flat_map(zeros::pieces).collect();
    let share = |first| pieces.iter().skip(first).step_by(READERS).copied().collect();
    (0..READERS.min(pieces.len())).map(share).collect()
}

/// Reads all pieces, whatever it finds in the first ones.
pub fn is_zero(disk: &Path, pieces: Vec<Area>) -> io::Result<bool> {
    let file = OpenOptions::new().read(true).custom_flags(OFlag::O_DIRECT.bits()).open(disk)?;
    let mut memory = Aligned::new(PIECE);
    let mut zero = true;
    for (offset, length) in pieces {
        let bytes = &mut memory.bytes()[..length];
        file.read_exact_at(bytes, offset).map_err(|error| zeros::unread((offset, length), &error))?;
        zero &= zeros::is_zero(bytes);
    }
    Ok(zero)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_are_all_of_it_and_no_piece_is_read_twice() {
        let areas = vec![(0, 5 * PIECE + 512), (64 << 20, 512)];
        let shares = shares(areas.clone());
        assert_eq!(shares.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 2, 1]);
        let mut read: Vec<_> = shares.into_iter().flatten().collect();
        read.sort_unstable();
        assert_eq!(read, areas.into_iter().flat_map(zeros::pieces).collect::<Vec<_>>());
        assert_eq!(super::shares(vec![(0, PIECE)]), [vec![(0, PIECE)]]);
        assert!(super::shares(vec![]).is_empty());
    }
}
