//! ext3 and ext4, with e2fsprogs.
//!
//! mke2fs overwrites the old superblock first and writes the new one when it closes the file system, after everything
//! else: one that was killed leaves a disk on which blkid finds nothing.

use std::path::Path;

use super::super::error::Error;
use super::super::host::{Command, Output};
use super::FsType;

/// What e2fsck found and left as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    NeedsHuman(String),
    Failed(String),
}

/// `-F`: a whole disk, no partition. `-m0`: no blocks kept for root, as Kubernetes' own mkfs does. No discard: it would
/// take the mark of an unfinished mkfs with it, and a new volume has nothing to discard. The user's options come last.
pub fn make(fs: FsType, options: &[String], disk: &Path) -> Command {
    let program = if fs == FsType::Ext3 { "mkfs.ext3" } else { "mkfs.ext4" };
    Command::new(program).with_all(["-F", "-m0", "-E", "nodiscard"]).with_all(options).with(disk)
}

/// Replays the journal and mends what needs no decision.
pub fn check(disk: &Path) -> Command {
    Command::new("e2fsck").with("-p").with(disk)
}

pub fn check_all(disk: &Path) -> Command {
    Command::new("e2fsck").with_all(["-f", "-p"]).with(disk)
}

pub fn grow(disk: &Path) -> Command {
    Command::new("resize2fs").with(disk)
}

/// The superblock through the page cache, where the kernel keeps that of a mounted one.
pub fn describe(disk: &Path) -> Command {
    Command::new("dumpe2fs").with("-h").with(disk)
}

/// The size from dumpe2fs' answer.
pub fn parse(text: &str) -> Option<u64> {
    let number = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        line.trim().parse::<u64>().ok()
    };
    number("Block count:")?.checked_mul(number("Block size:")?)
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
                Error::internal(disk.display(), format!("e2fsck couldn't check it: {text}"))
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
    fn the_size_is_read_from_dumpe2fs() {
        assert_eq!(
            parse("Inode count:   1\nBlock count:              262144\nBlock size:               4096\n"),
            Some(1 << 30)
        );
        assert_eq!(parse("Block count: x\nBlock size: 4096\n"), None);
        assert_eq!(parse("Block count: 18446744073709551615\nBlock size: 4096\n"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn the_users_options_come_last_before_the_disk() {
        let command = make(FsType::Ext4, &["-E".into(), "discard".into()], Path::new("/dev/vdb"));
        assert_eq!(command.program, "mkfs.ext4");
        assert_eq!(command.arguments, ["-F", "-m0", "-E", "nodiscard", "-E", "discard", "/dev/vdb"]);
    }
}
