//! Growing what is on a disk that has grown.
//!
//! Cinder and Nova say done before the guest's disk has its new size, and say so even where it never gets it: only the
//! disk's own size counts.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Settings;
use super::device::{self, Disk, Watch};
use super::error::{Error, Result};
use super::filesystem::{self, FsType};
use super::host::{FileKind, Host, Number};
use super::mounts::Mount;
use super::place::{self, Place};
use crate::pace::{self, Deadline};

/// The kubelet does nothing else with the volume as long as it waits, not even unmount it, and it asks again by itself
/// (`nestedpendingoperations` of Kubernetes).
const PATIENCE: Duration = Duration::from_secs(15);

/// One call to expand.
pub(super) struct Expansion {
    pub host: Arc<dyn Host>,
    pub settings: Settings,
    pub volume: String,
    pub path: PathBuf,
    pub staging: Option<PathBuf>,
    pub required: Option<u64>,
}

/// What is at the path.
enum Use {
    Raw(Number),
    Mounted { number: Number, fs: FsType, point: PathBuf },
}

impl Expansion {
    pub async fn run(self) -> Result<u64> {
        let host = &*self.host;
        let found = self.observe().await?;
        let (Use::Raw(number) | Use::Mounted { number, .. }) = &found;
        let mut disk = device::in_use(host, &self.volume, *number).await?;
        pace::within(pace::deadline().min(Deadline::after(PATIENCE)), self.wait(&mut disk)).await?;
        if let Use::Mounted { fs, point, .. } = &found {
            let grew = filesystem::grow(host, &disk, *fs, Some(point)).await?;
            tracing::info!(volume = self.volume, bytes = disk.size, grew, "the volume spans its disk");
        }
        Ok(disk.size)
    }

    async fn observe(&self) -> Result<Use> {
        let mut read_only = None;
        for path in [Some(&self.path), self.staging.as_ref()].into_iter().flatten() {
            let place = Place::observe(&*self.host, path).await?;
            if let Some(FileKind::BlockDevice(number)) = place.kind {
                return Ok(Use::Raw(number));
            }
            match place.mount() {
                // The kernel lets no one grow a file system through a read-only mount of it.
                Some(mount) if mount.is_read_only() => read_only = read_only.or(Some(mount.clone())),
                Some(mount) => return self.mounted(mount).await,
                None => {}
            }
        }
        if let Some(mount) = read_only {
            return self.mounted(&mount).await;
        }
        Err(Error::not_found(self.object(&self.path), "no volume is published or staged there"))
    }

    async fn mounted(&self, mount: &Mount) -> Result<Use> {
        let object = self.object(&mount.point);
        let number = place::disk_of(&*self.host, mount).await.ok_or_else(|| {
            Error::precondition(&object, format!("the disk {} under it has vanished", mount.source.display()))
        })?;
        let fs = mount.fs.parse().map_err(|error| Error::precondition(&object, error))?;
        if mount.file_system_is_read_only() {
            return Err(Error::precondition(object, "its file system is mounted read-only: it can't grow")
                .next("stage the volume for writing"));
        }
        Ok(Use::Mounted { number, fs, point: mount.point.clone() })
    }

    /// Waits until the disk is as large as it must be.
    async fn wait(&self, disk: &mut Disk) -> Result<()> {
        let host = &*self.host;
        let Some(required) = self.required.filter(|required| *required > disk.size) else { return Ok(()) };
        let mut watch = Watch::new(&self.host).await;
        loop {
            if self.settings.rescan_on_resize {
                device::rescan_disk(host, disk).await;
            }
            disk.size = device::size(host, disk).await?;
            if disk.size >= required {
                return Ok(());
            }
            if !watch.wait().await {
                let cause =
                    format!("its disk {} has {} bytes of {required} so far", disk.path.display(), disk.size);
                return Err(Error::unsettled(format!("volume {}", self.volume), cause)
                    .next("Nova may not have told the guest: detach and attach the volume if this stays"));
            }
        }
    }

    fn object(&self, path: &Path) -> String {
        format!("volume {} at {}", self.volume, path.display())
    }
}
