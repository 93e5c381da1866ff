//! xfs, with xfsprogs.
//!
//! mkfs.xfs writes the superblock first, with `sb_inprogress` set, and clears that byte last. blkid calls the unfinished
//! one xfs all the same; the kernel refuses to mount it.

use std::path::Path;

use uuid::Uuid;

use super::super::host::Command;
use super::uuid::{Log, Seen, at};

/// The offset of `sb_inprogress`.
const IN_PROGRESS: usize = 126;
/// `sb_uuid`.
const UUID: usize = 32;
/// `h_magicno` and `h_fs_uuid` of a record of the log.
const RECORD: [u8; 4] = [0xfe, 0xed, 0xba, 0xbe];
const RECORD_UUID: usize = 304;

/// Where on the disk a change of the UUID begins and ends: first the log is stamped anew, then each group's superblock.
/// <https://mirrors.edge.kernel.org/pub/linux/utils/fs/xfs/docs/xfs_filesystem_structure.pdf>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    pub log: u64,
    pub last_group: u64,
}

impl Places {
    /// From the first superblock. None: not one, or its log is on another disk.
    pub fn parse(block: &[u8]) -> Option<Self> {
        let size = u64::from(short(block, 4)?);
        let group = u64::from(short(block, 84)?);
        let groups = u64::from(short(block, 88)?);
        let log = u64::from_be_bytes(block.get(48..56)?.try_into().ok()?);
        let bits = u32::from(*block.get(124)?);
        if !block.starts_with(b"XFSB") || log == 0 || bits > 31 {
            return None;
        }
        // An address is the number of a group and a block in it.
        let log = (log >> bits).checked_mul(group)?.checked_add(log & ((1 << bits) - 1))?;
        let last_group = groups.checked_sub(1)?.checked_mul(group)?;
        Some(Self { log: log.checked_mul(size)?, last_group: last_group.checked_mul(size)? })
    }
}

/// xfs_admin(8) is a script around this.
pub fn rewrite(disk: &Path, own: Uuid) -> Command {
    Command::new("xfs_db").with_all(["-x", "-c"]).with(format!("uuid {own}")).with(disk)
}

/// Makes the log anew. xfs_db has begun to do so, and only begins where the log is clean: nothing is lost with it.
pub fn mend(disk: &Path) -> Command {
    Command::new("xfs_repair").with("-L").with(disk)
}

/// `log` is the first block of the log. A record there with the volume's own UUID is of our rewrite, and of nothing else.
pub fn identity(first: &[u8], last: &[u8], log: &[u8], own: Uuid) -> Option<Seen> {
    if !last.starts_with(b"XFSB") {
        return None;
    }
    let uuid = at(first, UUID)?;
    let stamped = log.starts_with(&RECORD) && at(log, RECORD_UUID)? == own;
    let log = if stamped && uuid != own { Log::CutOff } else { Log::Replay };
    Some(Seen { uuid, whole: at(last, UUID)? == uuid, log })
}

fn short(block: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_be_bytes(block.get(offset..offset + 4)?.try_into().ok()?))
}

/// Without `-f` mkfs.xfs looks by itself whether the disk is empty. `-K`: no discard, see [`super::ext::make`].
pub fn make(options: &[String], disk: &Path, again: bool) -> Command {
    let force = again.then_some("-f");
    Command::new("mkfs.xfs").with_all(force).with("-K").with_all(options).with(disk)
}

/// Looks at all of it and writes nothing.
pub fn prove(disk: &Path) -> Command {
    Command::new("xfs_repair").with("-n").with(disk)
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
    fn the_log_and_the_last_superblock_are_found() {
        let mut block = vec![0; 4096];
        assert_eq!(Places::parse(&block), None);
        block[..4].copy_from_slice(b"XFSB");
        // mkfs.xfs on 320 MiB: `xfs_db -c "sb 0" -c p`.
        for (offset, value) in [(4, 4096_u32), (52, 65542), (84, 20480), (88, 4)] {
            block[offset..offset + 4].copy_from_slice(&value.to_be_bytes());
        }
        block[124] = 15;
        let want = Places { log: 40966 * 4096, last_group: 3 * 20480 * 4096 };
        assert_eq!(Places::parse(&block), Some(want));
        for cut in [0, 4, 50, 90, 124] {
            assert_eq!(Places::parse(&block[..cut]), None);
        }
    }

    #[test]
    fn a_log_with_the_new_uuid_under_the_old_superblock_was_cut_off() {
        let (own, other) = (Uuid::from_u128(7), Uuid::from_u128(8));
        let group = |uuid: Uuid| {
            let mut block = vec![0; 512];
            block[..4].copy_from_slice(b"XFSB");
            block[UUID..UUID + 16].copy_from_slice(uuid.as_bytes());
            block
        };
        let record = |uuid: Uuid| {
            let mut block = vec![0; 512];
            block[..4].copy_from_slice(&RECORD);
            block[RECORD_UUID..RECORD_UUID + 16].copy_from_slice(uuid.as_bytes());
            block
        };
        let table = [
            (other, other, record(other), (other, true, Log::Replay)),
            (other, other, record(own), (other, true, Log::CutOff)),
            (own, other, record(own), (own, false, Log::Replay)),
            (own, own, record(own), (own, true, Log::Replay)),
            (other, other, vec![0; 512], (other, true, Log::Replay)),
        ];
        for (first, last, log, (uuid, whole, want)) in table {
            let seen = identity(&group(first), &group(last), &log, own);
            assert_eq!(seen, Some(Seen { uuid, whole, log: want }));
        }
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
