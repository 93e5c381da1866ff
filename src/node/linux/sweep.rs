//! Many reads of one disk past the page cache, with one descriptor and one piece of memory: a page of new memory is a fault
//! and costs more than the read of it.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::OFlag;

use super::super::zeros::{self, Area, PIECE};
use super::aligned::Aligned;

/// Reads all areas, whatever it finds in the first ones.
pub fn is_zero(disk: &Path, areas: Vec<Area>) -> io::Result<bool> {
    let file = OpenOptions::new().read(true).custom_flags(OFlag::O_DIRECT.bits()).open(disk)?;
    let mut memory = Aligned::new(PIECE);
    let mut zero = true;
    for (offset, length) in areas.into_iter().flat_map(zeros::pieces) {
        let bytes = &mut memory.bytes()[..length];
        file.read_exact_at(bytes, offset).map_err(|error| zeros::unread((offset, length), &error))?;
        zero &= zeros::is_zero(bytes);
    }
    Ok(zero)
}
