//! xfs, with xfsprogs.
//!
//! mkfs.xfs writes the superblock first, with `sb_inprogress` set, and clears that byte last. blkid calls the unfinished
//! one xfs all the same; the kernel refuses to mount it.

use std::path::Path;

use super::super::host::Command;

/// The offset of `sb_inprogress`.
const IN_PROGRESS: usize = 126;

/// Without `-f` mkfs.xfs looks by itself whether the disk is empty. `-K`: no discard, see [`super::ext::make`].
pub fn make(options: &[String], disk: &Path, again: bool) -> Command {
    let force = again.then_some("-f");
    Command::new("mkfs.xfs").with_all(force).with("-K").with_all(options).with(disk)
}

pub fn grow(point: &Path) -> Command {
    Command::new("xfs_growfs").with("-d").with(point)
}

/// Describes a mounted one and changes nothing.
pub fn describe(point: &Path) -> Command {
    Command::new("xfs_growfs").with("-n").with(point)
}

/// The size from `data     =     bsize=4096   blocks=262144, imaxpct=25`.
pub fn parse(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with("data "))?;
    let number = |key: &str| {
        let field = line.split([' ', ',']).find_map(|field| field.strip_prefix(key))?;
        field.parse::<u64>().ok()
    };
    number("bsize=")?.checked_mul(number("blocks=")?)
}

/// Whether the first block of a disk is that of an unfinished mkfs.
pub fn is_unfinished(block: &[u8]) -> bool {
    block.starts_with(b"XFSB") && block.get(IN_PROGRESS) == Some(&1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = "\
meta-data=/dev/loop0             isize=512    agcount=4, agsize=65536 blks
         =                       sectsz=512   attr=2, projid32bit=1
data     =                       bsize=4096   blocks=262144, imaxpct=25
         =                       sunit=0      swidth=0 blks
log      =internal log           bsize=4096   blocks=16384, version=2
";

    #[test]
    fn the_size_is_that_of_the_data_section() {
        assert_eq!(parse(INFO), Some(1 << 30));
        assert_eq!(parse("log = bsize=1 blocks=2"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn only_xfs_can_be_an_unfinished_xfs() {
        let mut block = vec![0; 4096];
        block[IN_PROGRESS] = 1;
        assert!(!is_unfinished(&block));
        block[..4].copy_from_slice(b"XFSB");
        assert!(is_unfinished(&block));
        block[IN_PROGRESS] = 0;
        assert!(!is_unfinished(&block));
        assert!(!is_unfinished(b"XFSB"));
    }
}
