//! The sign on a disk that our own mkfs has begun and not ended.
//!
//! A mkfs that is killed leaves data that no one recognises, and such a disk is refused. So before mkfs we write a mark,
//! onto a disk just proven empty, and take it away before the first mount for writing. A disk that carries it holds nothing of
//! anybody: it can be formatted again.
//!
//! The mark lies 3 MiB before the end: there mkfs clears at most 128 KiB for ext and xfs, and 2 MiB for btrfs. Where a file
//! system puts something of its own over it, the mark is gone, and an unfinished mkfs is refused as any unknown data.
//! A mkfs that outlives its driver holds the disk (O_EXCL, for btrfs its lock): a second one fails and is tried again later.

use super::super::device::Disk;
use super::super::error::{On, Result};
use super::super::host::Host;

const FROM_END: u64 = 3 << 20;
const LENGTH: usize = 4096;

/// On a smaller disk the mark could lie in the way of the file system.
const SMALLEST: u64 = 64 << 20;

pub async fn write(host: &dyn Host, disk: &Disk, volume: &str) -> Result<()> {
    let Some(offset) = offset(disk.size) else { return Ok(()) };
    host.write_disk(&disk.path, offset, mark(volume)).await.on(disk.path.display(), "write to it")
}

pub async fn is_there(host: &dyn Host, disk: &Disk, volume: &str) -> Result<bool> {
    let Some(offset) = offset(disk.size) else { return Ok(false) };
    let found = host.read_disk(&disk.path, offset, LENGTH).await.on(disk.path.display(), "read it")?;
    Ok(found == mark(volume))
}

/// Writes only where the mark is whole: anything else there is the file system's.
pub async fn erase(host: &dyn Host, disk: &Disk, volume: &str) -> Result<()> {
    let Some(offset) = offset(disk.size) else { return Ok(()) };
    if !is_there(host, disk, volume).await? {
        return Ok(());
    }
    host.write_disk(&disk.path, offset, vec![0; LENGTH]).await.on(disk.path.display(), "write to it")
}

/// Takes away the superblock of a mkfs that has failed: mkfs.xfs that lost a write says so only by its exit code, and leaves a
/// superblock that claims to be whole. The mark stays, so that the next stage begins again. Of a disk that is
/// mounted, or that another mkfs has claimed, the kernel lets nothing be written.
pub async fn erase_superblock(host: &dyn Host, disk: &Disk, volume: &str, superblock: u64) {
    if !is_there(host, disk, volume).await.unwrap_or(false) {
        return;
    }
    if let Err(error) = host.write_disk(&disk.path, superblock, vec![0; LENGTH]).await {
        tracing::warn!(disk = %disk.path.display(), %error, "what mkfs has left stays");
    }
}

fn offset(size: u64) -> Option<u64> {
    (size >= SMALLEST).then(|| (size - FROM_END) / LENGTH as u64 * LENGTH as u64)
}

fn mark(volume: &str) -> Vec<u8> {
    let mut block = format!("cinder-csi has begun to make a file system for volume {volume}\n").into_bytes();
    block.resize(LENGTH, 0);
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_lies_in_whole_blocks_near_the_end_of_a_disk_that_has_room() {
        assert_eq!(offset(SMALLEST - 1), None);
        assert_eq!(offset(1 << 30), Some((1 << 30) - FROM_END));
        assert_eq!(offset((1 << 30) + 512), Some((1 << 30) - FROM_END));
        assert_eq!(mark("v").len(), LENGTH);
        assert_ne!(mark("v"), mark("w"));
    }
}
