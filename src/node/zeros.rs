//! Whether parts of a disk are zero.

use std::io;

/// A part of a disk: offset and length.
pub type Area = (u64, usize);

const BLOCK: usize = 4096;

/// How much is read at once.
pub const PIECE: usize = 256 << 10;

/// glibc keeps what a thread has freed for that thread's next allocation (mallopt(3), M_TRIM_THRESHOLD), and there are many threads
/// for system calls: read whole, the ends of disks made a node's driver 70 MiB large.
pub fn pieces((offset, length): Area) -> impl Iterator<Item = Area> {
    (0..length).step_by(PIECE).map(move |at| (offset + at as u64, PIECE.min(length - at)))
}

/// Block by block, as memcmp compares them.
pub fn is_zero(bytes: &[u8]) -> bool {
    static ZEROS: [u8; BLOCK] = [0; BLOCK];
    bytes.chunks(BLOCK).all(|block| *block == ZEROS[..block.len()])
}

/// Says which part it was.
pub fn unread((offset, length): Area, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{length} bytes at {offset}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_anywhere_is_not_zero() {
        let mut bytes = vec![0; 3 * BLOCK + 512];
        assert!(is_zero(&bytes));
        for at in [0, 4095, 4096, bytes.len() - 1] {
            bytes[at] = 1;
            assert!(!is_zero(&bytes), "{at}");
            bytes[at] = 0;
        }
    }

    #[test]
    fn the_pieces_of_an_area_are_all_of_it() {
        for length in [512, PIECE, PIECE + 512, 16 * PIECE] {
            let mut next = 4096;
            for (offset, length) in pieces((4096, length)) {
                assert_eq!(offset, next);
                assert!(0 < length && length <= PIECE);
                next += length as u64;
            }
            assert_eq!(next, 4096 + length as u64);
        }
    }
}
