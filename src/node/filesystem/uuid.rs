//! A copy gets a UUID of its own: that of its volume.
//!
//! A volume made from a snapshot, a volume or a backup has its origin's file system, UUID included. Its own is the volume's
//! id and not a random one: then a look at the disk tells whether the work is done, and whose cut-off work it is.
//!
//! | on the disk | what happens |
//! |---|---|
//! | the volume's UUID in every copy of the superblock | nothing |
//! | another UUID | mounted and unmounted once, which replays the log; then rewritten |
//! | xfs whose log bears the volume's UUID and its superblock doesn't | our rewrite was cut off inside the log: mended, rewritten |
//! | btrfs with the flag of an unfinished change | btrfstune again, which only a newer one completes |

use std::path::Path;

use uuid::Uuid;

use super::super::device::Disk;
use super::super::error::{Error, On, Result};
use super::super::host::Host;
use super::{FsType, btrfs, ext, run, xfs};

/// What the superblocks say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub uuid: Uuid,
    /// The last thing that a rewrite changes is changed, too.
    pub whole: bool,
    pub log: Log,
}

/// What is to be done about the log before the UUID can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    /// It's empty, or the tools replay it themselves.
    Clean,
    /// Only the kernel replays it: a rewrite without that loses the file system (btrfs) or is refused (xfs).
    Replay,
    /// It can't be mounted: our own rewrite was cut off, which began on a clean log.
    CutOff,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Done,
    /// Mount it and unmount it.
    Replay,
    Mend,
    Rewrite,
}

pub fn plan(seen: &Seen, own: Uuid, replayed: bool) -> Step {
    match seen.log {
        _ if seen.uuid == own && seen.whole => Step::Done,
        Log::CutOff => Step::Mend,
        Log::Replay if !replayed => Step::Replay,
        Log::Replay | Log::Clean => Step::Rewrite,
    }
}

pub async fn look(host: &dyn Host, disk: &Disk, fs: FsType, own: Uuid) -> Result<Seen> {
    let seen = match fs {
        FsType::Ext2 | FsType::Ext3 | FsType::Ext4 => ext::identity(&read(host, &disk.path, 0).await?),
        FsType::Btrfs => btrfs::identity(&read(host, &disk.path, btrfs::SUPERBLOCK).await?),
        FsType::Xfs => {
            let first = read(host, &disk.path, 0).await?;
            let Some(places) = xfs::Places::parse(&first) else {
                return Err(unreadable(disk, fs));
            };
            let last = read(host, &disk.path, places.last_group).await?;
            let log = read(host, &disk.path, places.log).await?;
            xfs::identity(&first, &last, &log, own)
        }
    };
    seen.ok_or_else(|| unreadable(disk, fs))
}

pub async fn has_own(host: &dyn Host, disk: &Disk, fs: FsType, own: Uuid) -> Result<bool> {
    let seen = look(host, disk, fs, own).await?;
    Ok(plan(&seen, own, false) == Step::Done)
}

/// Changes the UUID of a file system that is mounted nowhere. The tools' exit codes tell little (xfs_db's are 0 where it
/// refuses): the next look decides.
pub async fn rewrite(host: &dyn Host, disk: &Disk, fs: FsType, own: Uuid, step: Step) -> Result<()> {
    if host.is_claimed(&disk.path).await.on(disk.path.display(), "see whether it's in use")? {
        return Err(Error::precondition(disk.path.display(), "it's in use, and its UUID must change first")
            .next("nothing was written; unmount it where it is mounted, other mount namespaces included"));
    }
    let command = match (fs, step) {
        // A log that is stamped from end to end is taken by xfs_db, and left alone by xfs_repair.
        (FsType::Xfs, Step::Mend) => {
            run(host, disk, xfs::rewrite(&disk.path, own)).await?;
            xfs::mend(&disk.path)
        }
        (FsType::Xfs, _) => xfs::rewrite(&disk.path, own),
        (FsType::Btrfs, _) => {
            let block = read(host, &disk.path, btrfs::SUPERBLOCK).await?;
            btrfs::may_be_rewritten(&block)
                .map_err(|cause| Error::precondition(disk.path.display(), cause))?;
            btrfs::rewrite(&disk.path, own)
        }
        (FsType::Ext2 | FsType::Ext3 | FsType::Ext4, _) => {
            ext::rewrite(&disk.path, own, &read(host, &disk.path, 0).await?)
        }
    };
    tracing::info!(disk = %disk.path.display(), %fs, uuid = %own, ?step, "giving the copy a UUID of its own");
    let output = run(host, disk, command).await?;
    let seen = look(host, disk, fs, own).await?;
    if step == Step::Rewrite && plan(&seen, own, true) != Step::Done {
        let cause = format!("its {fs} didn't take the UUID {own}: {}", output.complaint());
        return Err(Error::internal(disk.path.display(), cause).next(
            "its origin still has all data: if this stays, make the volume again, or leave out regenerate-uuid",
        ));
    }
    Ok(())
}

/// Whether a journal or log holds what isn't in its place yet. `None`: xfs tells no one but its tools.
pub async fn is_unreplayed(host: &dyn Host, disk: &Path, fs: FsType) -> Result<Option<bool>> {
    Ok(match fs {
        FsType::Ext2 | FsType::Ext3 | FsType::Ext4 => ext::is_unreplayed(&read(host, disk, 0).await?),
        FsType::Btrfs => {
            let seen = btrfs::identity(&read(host, disk, btrfs::SUPERBLOCK).await?);
            seen.map(|seen| seen.log == Log::Replay)
        }
        FsType::Xfs => None,
    })
}

async fn read(host: &dyn Host, disk: &Path, offset: u64) -> Result<Vec<u8>> {
    const LENGTH: usize = 4096;
    host.read_disk(disk, offset, LENGTH).await.on(disk.display(), "read its superblock")
}

fn unreadable(disk: &Disk, fs: FsType) -> Error {
    Error::precondition(disk.path.display(), format!("its {fs} superblock isn't one that this driver knows"))
        .next("nothing was written; leave out regenerate-uuid")
}

/// 16 bytes of a superblock.
pub fn at(block: &[u8], offset: usize) -> Option<Uuid> {
    Some(Uuid::from_bytes(block.get(offset..offset + 16)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Uuid = Uuid::from_u128(7);
    const OTHER: Uuid = Uuid::from_u128(8);

    #[test]
    fn a_uuid_is_rewritten_once_and_only_on_a_replayed_log() {
        let seen = |uuid, whole, log| Seen { uuid, whole, log };
        let table = [
            (seen(OWN, true, Log::Clean), false, Step::Done),
            (seen(OWN, true, Log::Replay), false, Step::Done),
            (seen(OTHER, true, Log::Clean), false, Step::Rewrite),
            (seen(OTHER, true, Log::Replay), false, Step::Replay),
            (seen(OTHER, true, Log::Replay), true, Step::Rewrite),
            // Cut off between two superblocks.
            (seen(OWN, false, Log::Replay), false, Step::Replay),
            (seen(OWN, false, Log::Clean), false, Step::Rewrite),
            // Cut off inside the log: it can't be mounted any more.
            (seen(OTHER, true, Log::CutOff), false, Step::Mend),
            (seen(OTHER, true, Log::CutOff), true, Step::Mend),
        ];
        for (seen, replayed, step) in table {
            assert_eq!(plan(&seen, OWN, replayed), step, "{seen:?} {replayed}");
        }
    }
}
