//! What is on a disk.
//!
//! `blkid -p` answers 2 for a blank disk, and also for one that it can't read (one bad block in a healthy ext4 is enough) or
//! whose beginning is lost. So its 2 counts only when we have read the places of all signatures, of their copies, and samples
//! of all the rest ourselves, past the page cache, and found zeros.

use std::collections::BTreeSet;

use futures_util::future::join;

use super::super::device::Disk;
use super::super::error::{Error, KERNEL_LOG, On, Result};
use super::super::host::{Command, Host, Output};
use super::super::zeros::PIECE;
use super::{mark, xfs};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Readable, and nothing but zeros where any file system, partition table or volume manager has its signature, and where
    /// data would be.
    Empty,
    /// Our own mkfs began and didn't end; nothing was ever mounted.
    Unfinished,
    /// A file system, by blkid's name for it.
    Found(String),
    /// Something else that may be data.
    Foreign(String),
}

/// What blkid makes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Recognised {
    Nothing,
    FileSystem(String),
    Other(String),
}

const MIB: u64 = 1 << 20;

/// How much of each end is read.
const END: u64 = 4 * MIB;

/// What is between the ends is read in so many places, so much of each. The groups of xfs, of which there are four, begin in
/// such places: mkfs.xfs(8).
const SAMPLES: u64 = 64;
const SAMPLE: u64 = 64 << 10;

/// Where superblocks have copies: btrfs' first and second one
/// (<https://btrfs.readthedocs.io/en/latest/dev/On-disk-format.html#superblock>), and those of ext in its second group, whose
/// blocks have 1 or 4 KiB (<https://docs.kernel.org/filesystems/ext4/super.html>).
const COPIES: [u64; 4] = [64 * MIB, 256 << 30, 8 * MIB, 128 * MIB];

const BLOCK: u64 = 4096;

/// How the owner of a refused disk goes on.
pub const WAY_OUT: &str = "nothing was written; if its data isn't needed, clear it (`wipefs --all` for what is recognised, \
                           `blkdiscard --zeroout` for all of it), or use another volume";

/// Looks at a disk and writes nothing.
pub async fn probe(host: &dyn Host, disk: &Disk, volume: &str) -> Result<Probe> {
    let (mut recognised, zero) = look(host, disk).await?;
    if recognised == Recognised::Nothing {
        if zero? {
            return Ok(Probe::Empty);
        }
        // It can be read now; when blkid looked it may have been unreadable.
        recognised = blkid(host, disk).await?;
    }
    match recognised {
        Recognised::Other(what) => Ok(Probe::Foreign(what)),
        Recognised::FileSystem(fs) if fs == "xfs" && is_unfinished_xfs(host, disk, volume).await? => {
            Ok(Probe::Unfinished)
        }
        Recognised::FileSystem(fs) => Ok(Probe::Found(fs)),
        Recognised::Nothing if mark::is_there(host, disk, volume).await? => Ok(Probe::Unfinished),
        Recognised::Nothing => Ok(Probe::Foreign("data that blkid doesn't recognise".into())),
    }
}

/// What blkid finds, and, where that is nothing, whether all is zero. What begins with zeros is most likely empty: then
/// both look at once.
async fn look(host: &dyn Host, disk: &Disk) -> Result<(Recognised, Result<bool>)> {
    let start = PIECE.min(disk.size as usize);
    if host.is_zero(&disk.path, vec![(0, start)]).await.unwrap_or(false) {
        let (zero, recognised) = join(all_zero(host, disk), blkid(host, disk)).await;
        return Ok((recognised?, zero));
    }
    let recognised = blkid(host, disk).await?;
    let zero = if recognised == Recognised::Nothing { all_zero(host, disk).await } else { Ok(false) };
    Ok((recognised, zero))
}

async fn blkid(host: &dyn Host, disk: &Disk) -> Result<Recognised> {
    let command = Command::new("blkid").with_all(["-p", "-o", "export"]).with(&disk.path);
    let output = host.run(command).await.on(disk.path.display(), "run blkid")?;
    recognise(&output).ok_or_else(|| {
        Error::internal(disk.path.display(), format!("blkid failed: {}", output.complaint())).next(KERNEL_LOG)
    })
}

/// blkid(8): 0 something was found, 2 nothing, 8 several things that exclude each other.
fn recognise(output: &Output) -> Option<Recognised> {
    match output.code {
        Some(0) => Some(recognise_found(&output.stdout)),
        Some(2) => Some(Recognised::Nothing),
        Some(8) => Some(Recognised::Other("signatures of several kinds".into())),
        _ => None,
    }
}

fn recognise_found(text: &str) -> Recognised {
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    match (value("TYPE"), value("USAGE"), value("PTTYPE")) {
        (Some(fs), Some("filesystem"), _) => Recognised::FileSystem(fs.to_owned()),
        (Some(kind), usage, _) => {
            let usage = usage.map(|usage| format!(" ({usage})")).unwrap_or_default();
            Recognised::Other(format!("{kind}{usage}"))
        }
        (None, _, Some(table)) => Recognised::Other(format!("a partition table ({table})")),
        (None, _, None) => Recognised::Other("something that blkid found but doesn't name".into()),
    }
}

async fn is_unfinished_xfs(host: &dyn Host, disk: &Disk, volume: &str) -> Result<bool> {
    let block = host.read_disk(&disk.path, 0, BLOCK as usize).await.on(disk.path.display(), "read it")?;
    Ok(xfs::is_unfinished(&block) && mark::is_there(host, disk, volume).await?)
}

/// Reads the areas. What can't be read may be data: an error.
async fn all_zero(host: &dyn Host, disk: &Disk) -> Result<bool> {
    host.is_zero(&disk.path, areas(disk.size)).await.map_err(|error| {
        let cause = format!("can't read all of it, so it may hold data: {error}");
        Error::internal(disk.path.display(), cause)
            .next("nothing was written; see this node's kernel log and the volume's back end")
    })
}

/// Both ends, and samples between them: offset and length, in whole blocks but for the very end.
fn areas(size: u64) -> Vec<(u64, usize)> {
    if size <= 2 * END {
        return vec![(0, size as usize)];
    }
    let tail = (size - END) / BLOCK * BLOCK;
    let evenly = (1..SAMPLES).map(|n| size / SAMPLES * n / SAMPLE * SAMPLE);
    let samples: BTreeSet<_> = evenly.chain(COPIES).filter(|at| (END..tail).contains(at)).collect();
    let samples = samples.into_iter().map(|at| (at, SAMPLE.min(tail - at) as usize));
    [(0, END as usize)].into_iter().chain(samples).chain([(tail, (size - tail) as usize)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: Option<i32>, stdout: &str) -> Output {
        Output { code, stdout: stdout.into(), stderr: String::new() }
    }

    #[test]
    fn blkids_answers_are_understood() {
        let other = |what: &str| Some(Recognised::Other(what.into()));
        let fs = |name: &str| Some(Recognised::FileSystem(name.into()));
        let table = [
            (said(Some(2), ""), Some(Recognised::Nothing)),
            (said(Some(0), "DEVNAME=/dev/a\nTYPE=ext4\nUSAGE=filesystem\n"), fs("ext4")),
            (said(Some(0), "TYPE=vfat\nUSAGE=filesystem\nPTTYPE=dos\n"), fs("vfat")),
            (said(Some(0), "TYPE=crypto_LUKS\nUSAGE=crypto\n"), other("crypto_LUKS (crypto)")),
            (said(Some(0), "TYPE=LVM2_member\nUSAGE=raid\n"), other("LVM2_member (raid)")),
            (said(Some(0), "TYPE=swap\nUSAGE=other\n"), other("swap (other)")),
            (said(Some(0), "PTUUID=x\nPTTYPE=gpt\n"), other("a partition table (gpt)")),
            (said(Some(0), "SUBTYPE=ext4\n"), other("something that blkid found but doesn't name")),
            (said(Some(0), ""), other("something that blkid found but doesn't name")),
            (said(Some(8), ""), other("signatures of several kinds")),
            (said(Some(4), ""), None),
            (said(Some(1), ""), None),
            (said(None, ""), None),
        ];
        for (output, want) in table {
            assert_eq!(recognise(&output), want, "{output:?}");
        }
    }

    #[test]
    fn both_ends_and_samples_are_read_and_never_past_the_end() {
        assert_eq!(areas(MIB), [(0, MIB as usize)]);
        assert_eq!(areas(8 * MIB), [(0, 8 << 20)]);
        let areas_of_a_gib = areas(1024 * MIB);
        assert_eq!(areas_of_a_gib[0], (0, 4 << 20));
        assert_eq!(areas_of_a_gib[areas_of_a_gib.len() - 1], (1020 << 20, 4 << 20));
        for at in [8, 64, 128, 256, 512, 768] {
            assert!(areas_of_a_gib.contains(&(at << 20, 64 << 10)), "{at} MiB");
        }
        assert!(areas(1 << 40).contains(&(256 << 30, 64 << 10)));
        assert!(areas(68 * MIB + 8192).contains(&(64 << 20, 8192)), "a copy just before the end");
        for size in [8 * MIB + 512, 67 * MIB, 68 * MIB, 68 * MIB + 512, 68 * MIB + 8192, 1024 * MIB + 512] {
            let areas = areas(size);
            let (offset, length) = areas[areas.len() - 1];
            assert_eq!(offset + length as u64, size);
            assert!(areas.iter().all(|(offset, length)| offset % BLOCK == 0 && length % 512 == 0), "{size}");
        }
    }
}
