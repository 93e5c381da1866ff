//! Disks, file systems and mounts of this machine.
//!
//! A [`Node`] decides; its [`Host`] does. Whatever changes a disk or a mount runs in a task of its own that holds the
//! volume until it ends: see `claim.rs`.

mod claim;
mod device;
mod error;
mod expand;
#[cfg(test)]
mod fake;
mod filesystem;
mod health;
mod host;
mod instance;
mod linux;
mod machine;
mod mounts;
mod options;
mod own_uuid;
mod phase;
mod place;
mod publish;
mod room;
mod stage;
mod stats;
mod zeros;
mod zone;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use error::{Condition, Error, Result};
pub use filesystem::{FsType, UnknownFsType};
pub use health::{Finding, Reason, Severity};
pub use host::{
    Command, FileKind, Flags, Hold, Host, MountCall, MountKind, Number, Output, Reply, Stat, Statfs, Uevents,
};
pub use instance::{Identity, Origin, REMEDY as IDENTITY_REMEDY, Whoami};
pub use linux::{Linux, keep_heap_small};
pub use options::forbidden as forbidden_mount_flag;
pub use phase::{Phase, Phases, phased};
pub use publish::Publish;
pub use room::attach_limit;
pub use stage::{FormatPolicy, Stage};
pub use stats::{Stats, Usage};
pub use zone::ZoneMemory;

use crate::pace::Deadline;
use claim::Claims;
use device::Search;

/// What the administrator decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the links to the disks are: `/dev/disk/by-id`.
    pub device_dir: PathBuf,
    /// Ask the disk for its size before growing a file system.
    pub rescan_on_resize: bool,
}

/// How a volume is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    Block,
    Mount { fs: FsType, flags: Vec<String> },
}

/// What the attachment says of the disk. Absent where another driver made the attachment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    pub size_bytes: Option<u64>,
    /// An encrypted volume's disk is smaller by its header.
    pub encrypted: Option<bool>,
    /// Nova's guess of a device name: told in errors, never believed.
    pub device_path: Option<String>,
}

/// This node. Cheap to clone.
#[derive(Clone)]
pub struct Node {
    host: Arc<dyn Host>,
    settings: Settings,
    claims: Claims,
    /// What only looks: by path, so that a disk that doesn't answer holds one thread and not one for each call.
    looks: Claims,
}

impl Default for Settings {
    fn default() -> Self {
        Self { device_dir: "/dev/disk/by-id".into(), rescan_on_resize: false }
    }
}

impl Node {
    pub fn new(host: Arc<dyn Host>, settings: Settings) -> Self {
        Self { host, settings, claims: Claims::default(), looks: Claims::default() }
    }

    /// Makes the volume usable on this node: its disk is found and verified, and for a file system formatted where that is
    /// allowed, checked, grown and mounted.
    pub async fn stage(&self, request: Stage) -> Result<()> {
        let search = self.search(&request.volume, &request.expected);
        self.claims.run(&claim::volume(&request.volume), stage::stage(search, request)).await
    }

    /// Undoes [`Node::stage`], also after the disk has gone.
    pub async fn unstage(&self, volume: &str, staging: &Path) -> Result<()> {
        let work = stage::unstage(self.host.clone(), volume.to_owned(), staging.to_owned());
        self.claims.run(&claim::volume(volume), work).await
    }

    /// Shows a staged volume at one more path.
    pub async fn publish(&self, request: Publish) -> Result<()> {
        let search = self.search(&request.volume, &request.expected);
        self.claims.run(&claim::volume(&request.volume), publish::publish(search, request)).await
    }

    /// Undoes [`Node::publish`]: nothing is left at `target`.
    pub async fn unpublish(&self, volume: &str, target: &Path) -> Result<()> {
        let work = publish::unpublish(self.host.clone(), target.to_owned());
        self.claims.run(&claim::volume(volume), work).await
    }

    /// Room and use of the volume at `path`.
    pub async fn stats(&self, volume: &str, path: &Path) -> Result<Stats> {
        let work = stats::stats(self.host.clone(), volume.to_owned(), path.to_owned());
        self.looks.run(&format!("volume {volume} at {}", path.display()), work).await
    }

    /// What is wrong with the volume on this node. A disk that doesn't answer is such a thing, and not an error of the call.
    pub async fn health(
        &self,
        volume: &str,
        target: Option<&Path>,
        staging: Option<&Path>,
    ) -> Result<Vec<Finding>> {
        let key = format!("health of volume {volume}");
        let ask = health::Ask {
            volume: volume.to_owned(),
            target: target.map(Path::to_owned),
            staging: staging.map(Path::to_owned),
            device_dir: self.settings.device_dir.clone(),
        };
        let work = || health::health(self.host.clone(), ask.clone());
        Ok(health::patiently(&self.looks, &key, work).await?.unwrap_or_else(|| vec![Finding::silent()]))
    }

    /// What is wrong with the disks of volumes on this node, all together.
    pub async fn storage_health(&self) -> Result<Option<Finding>> {
        let mut answers = Vec::new();
        for disk in machine::volumes(&*self.host, &self.claims).await? {
            let key = format!("disk {}", disk.display());
            answers.push(async move {
                let work = || health::answers(self.host.clone(), disk.clone());
                let answer = health::patiently(&self.looks, &key, work).await;
                (disk.clone(), answer)
            });
        }
        let answers = futures_util::future::join_all(answers).await;
        let failed = answers.iter().filter(|(_, answer)| !matches!(answer, Ok(Some(()))));
        let failed: Vec<_> = failed.map(|(disk, _)| disk.display().to_string()).collect();
        Ok(health::of_storage(&failed, answers.len()))
    }

    /// How many volumes this machine's bus has room for, ours that are there included. `None`: it can't be known.
    pub async fn room(&self) -> Option<usize> {
        machine::observe(&*self.host, &self.claims).await.ok().and_then(|machine| room::room(&machine))
    }

    /// How many of this machine's disks are volumes of ours. `None`: it isn't known, or another look hasn't ended: a disk that
    /// doesn't answer holds one thread and not one for each call.
    pub async fn attached(&self) -> Option<usize> {
        let (host, claims) = (self.host.clone(), self.claims.clone());
        let look = async move { machine::volumes(&*host, &claims).await };
        self.looks.run("the disks of this node", look).await.ok().map(|disks| disks.len())
    }

    /// Waits until the disk has `required` bytes, grows what is on it, and answers the disk's size.
    pub async fn expand(
        &self,
        volume: &str,
        path: &Path,
        staging: Option<&Path>,
        required: Option<u64>,
    ) -> Result<u64> {
        let expansion = expand::Expansion {
            host: self.host.clone(),
            settings: self.settings.clone(),
            volume: volume.to_owned(),
            path: path.to_owned(),
            staging: staging.map(Path::to_owned),
            required,
        };
        self.claims.run(&claim::volume(volume), expansion.run()).await
    }

    /// Which Nova server this machine is. A call that is dropped leaves no config drive mounted.
    pub async fn identify(&self, whoami: &Whoami) -> Result<Identity> {
        Ok(self.identify_by(whoami).await?.0)
    }

    /// As [`Self::identify`], and who of [`Whoami::order`] told it. `None`: nobody of them.
    pub async fn identify_by(&self, whoami: &Whoami) -> Result<(Identity, Option<Origin>)> {
        let (host, whoami) = (self.host.clone(), whoami.clone());
        let identified = tokio::spawn(async move {
            let (found, by) = instance::identify(&*host, &whoami).await?;
            Ok((whoami.zone.settle(&*host, found).await, by))
        });
        identified.await.unwrap_or_else(|error| Err(Error::internal("this node", error)))
    }

    /// Ends when no work on a disk is left, or at `deadline` (`false`): for an orderly exit of the process.
    pub async fn idle(&self, deadline: Deadline) -> bool {
        self.claims.idle(deadline).await
    }

    fn search(&self, volume: &str, expected: &Expected) -> Search {
        Search {
            host: self.host.clone(),
            settings: self.settings.clone(),
            volume: volume.to_owned(),
            expected: expected.clone(),
        }
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("settings", &self.settings).finish_non_exhaustive()
    }
}
