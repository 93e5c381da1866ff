//! ext2, ext3 and ext4, with e2fsprogs.
//!
//! mke2fs overwrites the old superblock first and writes the new one when it closes the file system, after everything
//! else: one that was killed leaves a disk on which blkid finds nothing.

use std::path::Path;

use uuid::Uuid;

use super::super::error::{Error, KERNEL_LOG};
use super::super::host::{Command, Output};
use super::FsType;
use super::uuid::{Log, Seen, at};

/// <https://docs.kernel.org/filesystems/ext4/super.html>
const SUPERBLOCK: usize = 1024;
const MAGIC: (usize, [u8; 2]) = (SUPERBLOCK + 0x38, [0x53, 0xef]);
const BLOCKS: usize = SUPERBLOCK + 0x4;
const BLOCK_SIZE: usize = SUPERBLOCK + 0x18;
const BLOCKS_HIGH: usize = SUPERBLOCK + 0x150;
const INCOMPATIBLE: usize = SUPERBLOCK + 0x60;
const READ_ONLY_COMPATIBLE: usize = SUPERBLOCK + 0x64;
const UUID: usize = SUPERBLOCK + 0x68;
const METADATA_CHECKSUMS: u32 = 0x400;
const NEEDS_RECOVERY: u32 = 0x4;
const SIXTY_FOUR_BIT: u32 = 0x80;
const CHECKSUM_SEED: u32 = 0x2000;

/// What e2fsck found and left as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    NeedsHuman(String),
    Failed(String),
}

/// `-F`: a whole disk, no partition. `-m0`: no blocks kept for root, as Kubernetes' own mkfs does. No discard: it would
/// take the mark of an unfinished mkfs with it, and a new volume has nothing to discard. The user's options come last.
pub fn make(fs: FsType, options: &[String], disk: &Path) -> Command {
    let program = match fs {
        FsType::Ext2 => "mkfs.ext2",
        FsType::Ext3 => "mkfs.ext3",
        _ => "mkfs.ext4",
    };
    Command::new(program).with_all(["-F", "-m0", "-E", "nodiscard"]).with_all(options).with(disk)
}

/// Replays the journal and mends what needs no decision.
pub fn check(disk: &Path) -> Command {
    Command::new("e2fsck").with("-p").with(disk)
}

pub fn check_all(disk: &Path) -> Command {
    Command::new("e2fsck").with_all(["-f", "-p"]).with(disk)
}

/// Looks at all of it and writes nothing.
pub fn prove(disk: &Path) -> Command {
    Command::new("e2fsck").with_all(["-f", "-n"]).with(disk)
}

/// Metadata checksums begin with the UUID, unless the superblock holds a seed for them: without the seed tune2fs rewrites
/// every block of metadata, which must not be cut off.
pub fn rewrite(disk: &Path, own: Uuid, block: &[u8]) -> Command {
    let has = |offset, bit| number(block, offset).is_some_and(|features| features & bit != 0);
    let seeds = has(READ_ONLY_COMPATIBLE, METADATA_CHECKSUMS) && !has(INCOMPATIBLE, CHECKSUM_SEED);
    let seed = if seeds { ["-O", "metadata_csum_seed"].as_slice() } else { &[] };
    Command::new("tune2fs").with_all(seed).with("-U").with(own.to_string()).with(disk)
}

/// Whether the journal has something to replay.
pub fn is_unreplayed(block: &[u8]) -> Option<bool> {
    number(block, INCOMPATIBLE).map(|features| features & NEEDS_RECOVERY != 0)
}

/// From the first block of the disk. tune2fs writes the first superblock after all its copies.
pub fn identity(block: &[u8]) -> Option<Seen> {
    if block.get(MAGIC.0..MAGIC.0 + 2)? != MAGIC.1 {
        return None;
    }
    // e2fsck replayed the journal just before.
    Some(Seen { uuid: at(block, UUID)?, whole: true, log: Log::Clean })
}

fn number(block: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_le_bytes(block.get(offset..offset + 4)?.try_into().ok()?))
}

pub fn grow(disk: &Path) -> Command {
    Command::new("resize2fs").with(disk)
}

/// The bytes that it spans, from the first block of the disk.
pub fn spans(block: &[u8]) -> Option<u64> {
    if block.get(MAGIC.0..MAGIC.0 + 2)? != MAGIC.1 {
        return None;
    }
    let is_64_bit = number(block, INCOMPATIBLE)? & SIXTY_FOUR_BIT != 0;
    let high = if is_64_bit { number(block, BLOCKS_HIGH)? } else { 0 };
    let blocks = u64::from(high) << 32 | u64::from(number(block, BLOCKS)?);
    let size =
        1024_u64.checked_shl(number(block, BLOCK_SIZE)?).filter(|size| (1024..=65536).contains(size))?;
    blocks.checked_mul(size)
}

/// e2fsck(8): 1 mended, 2 mended and a reboot is due (for a mounted one), 4 errors left, 8 and up it couldn't work.
pub fn judge_check(output: &Output) -> Result<(), Problem> {
    match output.code {
        Some(0..=3) => Ok(()),
        Some(code) if code & !7 == 0 => Err(Problem::NeedsHuman(output.complaint())),
        _ => Err(Problem::Failed(output.complaint())),
    }
}

impl Problem {
    pub fn into_error(self, disk: &Path) -> Error {
        match self {
            Self::NeedsHuman(text) => Error::precondition(
                disk.display(),
                format!("its file system has errors that e2fsck -p leaves: {text}"),
            )
            .next("take a snapshot of the volume, then run e2fsck on the disk by hand"),
            Self::Failed(text) => {
                Error::internal(disk.display(), format!("e2fsck couldn't check it: {text}")).next(KERNEL_LOG)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(code: Option<i32>) -> Output {
        Output { code, stdout: String::new(), stderr: "said".into() }
    }

    #[test]
    fn e2fscks_exit_codes_are_understood() {
        for code in [0, 1, 2, 3] {
            assert_eq!(judge_check(&ended(Some(code))), Ok(()), "{code}");
        }
        for code in [4, 5, 6, 7] {
            assert!(matches!(judge_check(&ended(Some(code))), Err(Problem::NeedsHuman(_))), "{code}");
        }
        for code in [Some(8), Some(12), Some(16), Some(32), Some(128), None] {
            assert!(matches!(judge_check(&ended(code)), Err(Problem::Failed(_))), "{code:?}");
        }
    }

    #[test]
    fn a_uuid_changes_without_all_checksums_only_where_they_have_a_seed() {
        let mut block = vec![0; 4096];
        assert_eq!(identity(&block), None);
        block[MAGIC.0..MAGIC.0 + 2].copy_from_slice(&MAGIC.1);
        assert_eq!(identity(&block).unwrap().uuid, Uuid::nil());
        let seeds = |block: &[u8]| rewrite(Path::new("/dev/vdb"), Uuid::nil(), block).arguments.len() == 5;
        assert!(!seeds(&block));
        block[READ_ONLY_COMPATIBLE + 1] = 0x04;
        assert!(seeds(&block));
        block[INCOMPATIBLE + 1] = 0x20;
        assert!(!seeds(&block));
    }

    #[test]
    fn the_size_is_read_from_the_superblock() {
        let mut block = vec![0; 4096];
        assert_eq!(spans(&block), None);
        block[MAGIC.0..MAGIC.0 + 2].copy_from_slice(&MAGIC.1);
        let mut set = |offset: usize, value: u32| {
            block[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
            spans(&block)
        };
        set(BLOCKS, 262_144);
        assert_eq!(set(BLOCK_SIZE, 2), Some(1 << 30));
        assert_eq!(set(BLOCKS_HIGH, 1), Some(1 << 30), "without the feature these bytes are another field's");
        assert_eq!(set(INCOMPATIBLE, SIXTY_FOUR_BIT), Some((1 << 30) + (1 << 44)));
        for shift in [7, 31, 63, 64, u32::MAX] {
            assert_eq!(set(BLOCK_SIZE, shift), None, "{shift}");
        }
        assert_eq!(set(BLOCK_SIZE, 6), Some((1 << 34) + (1 << 48)));
        assert_eq!(set(BLOCKS_HIGH, u32::MAX), None);
        assert_eq!(spans(&block[..1100]), None);
    }

    #[test]
    fn the_users_options_come_last_before_the_disk() {
        let command = make(FsType::Ext4, &["-E".into(), "discard".into()], Path::new("/dev/vdb"));
        assert_eq!(command.program, "mkfs.ext4");
        assert_eq!(command.arguments, ["-F", "-m0", "-E", "nodiscard", "-E", "discard", "/dev/vdb"]);
    }
}
