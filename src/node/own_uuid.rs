//! A copy that is to have a UUID of its own gets it before anyone sees it mounted.
//!
//! The log is replayed by the kernel: the copy is mounted at its staging path and unmounted. A driver that dies in between
//! leaves it mounted there, published nowhere; the next call takes it down again.

use std::path::Path;

use uuid::Uuid;

use super::device::Disk;
use super::error::{Error, Result};
use super::filesystem::uuid::Step;
use super::filesystem::{self, FsType};
use super::host::{Flags, Host, MountCall, MountKind};
use super::place::{self, Place};

/// What has to be done to a copy, and where.
pub(super) struct OwnUuid<'a> {
    pub disk: &'a Disk,
    pub fs: FsType,
    pub volume: &'a str,
    pub staging: &'a Path,
}

/// Replay, mend, replay, rewrite, look.
const STEPS: usize = 6;

impl OwnUuid<'_> {
    pub async fn ensure(&self, host: &dyn Host) -> Result<()> {
        let own = self.own()?;
        let mut replayed = false;
        for _ in 0..STEPS {
            let seen = filesystem::uuid::look(host, self.disk, self.fs, own).await?;
            match filesystem::uuid::plan(&seen, own, replayed) {
                Step::Done => return Ok(()),
                Step::Replay => {
                    self.replay(host).await?;
                    replayed = true;
                }
                step => filesystem::uuid::rewrite(host, self.disk, self.fs, own, step).await?,
            }
        }
        Err(Error::internal(
            self.disk.path.display(),
            "the steps to give it a UUID of its own have no effect",
        ))
    }

    /// Takes down a mount that an earlier call made for the replay alone. One that is published stays as it is.
    pub async fn undo_replay(&self, host: &dyn Host, place: Place) -> Result<Place> {
        let uses = place::uses(host, &place.mounts, self.disk.number).await;
        if !place::elsewhere(&uses, &place.path).is_empty()
            || filesystem::uuid::has_own(host, self.disk, self.fs, self.own()?).await?
        {
            return Ok(place);
        }
        place::clear(host, &place.path).await?;
        Place::observe(host, self.staging).await
    }

    async fn replay(&self, host: &dyn Host) -> Result<()> {
        let kind = MountKind::New { fs: self.fs.name(), data: filesystem::mount_data(self.fs, "", false) };
        let flags = Flags { no_suid: true, no_dev: true, no_exec: true, ..Flags::default() };
        let source = self.disk.path.clone();
        place::mount(host, self.disk, MountCall { source, target: self.staging.to_owned(), kind, flags })
            .await?;
        place::clear(host, self.staging).await
    }

    /// A volume's id is a UUID, and no other file system has it.
    fn own(&self) -> Result<Uuid> {
        self.volume.parse().map_err(|_| {
            let object = format!("volume {}", self.volume);
            Error::invalid(object, "its id is no UUID, so that its file system can't have it as its own")
        })
    }
}
