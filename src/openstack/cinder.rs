//! Cinder's calls, one HTTP request each. Which answer means what is decided in `volume`.

use std::collections::BTreeMap;
use std::time::SystemTime;

use jiff::Timestamp;

use super::{Result, ServerId, VolumeId};

/// A client of one cloud's Cinder.
#[derive(Clone, Debug)]
pub struct Cinder {}

/// A volume as Cinder shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    pub id: VolumeId,
    pub name: String,
    pub status: Status,
    /// GiB.
    pub size: u64,
    pub availability_zone: Option<String>,
    pub volume_type: Option<String>,
    pub multiattach: bool,
    pub encrypted: bool,
    pub bootable: bool,
    pub snapshot_id: Option<String>,
    pub source_volid: Option<String>,
    pub metadata: BTreeMap<String, String>,
    pub attachments: Vec<Attachment>,
    pub created_at: Option<Timestamp>,
    pub updated_at: Option<Timestamp>,
}

/// One entry of a volume's `attachments`: Cinder lists it once the attachment is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    pub server_id: Option<ServerId>,
    pub attachment_id: Option<String>,
    pub device: Option<String>,
}

/// A volume's status; <https://docs.openstack.org/api-ref/block-storage/v3/#volumes-volumes>.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    Creating,
    Available,
    Reserved,
    Attaching,
    Detaching,
    InUse,
    Maintenance,
    Deleting,
    AwaitingTransfer,
    Error,
    ErrorDeleting,
    ErrorBackingUp,
    ErrorRestoring,
    ErrorExtending,
    BackingUp,
    RestoringBackup,
    Downloading,
    Uploading,
    Retyping,
    Extending,
    Other(String),
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

/// What to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewVolume {
    pub name: String,
    pub description: String,
    /// GiB.
    pub size: u64,
    pub volume_type: Option<String>,
    pub availability_zone: Option<String>,
    pub metadata: BTreeMap<String, String>,
}

/// The volumes that changed, and the cloud's own clock when it answered.
#[derive(Clone, Debug)]
pub struct Changes {
    pub volumes: Vec<Volume>,
    pub date: Option<SystemTime>,
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Page {
    pub volumes: Vec<Volume>,
    /// There is more, to be asked for with this marker.
    pub next: Option<VolumeId>,
}

#[allow(unused_variables, clippy::unimplemented, reason = "the signatures that `volume` builds on")]
impl Cinder {
    /// GET /volumes/ID
    pub async fn get_volume(&self, id: VolumeId) -> Result<Volume> {
        unimplemented!()
    }

    /// As [`Self::get_volume`], with a 404 as `None`.
    pub async fn find_volume(&self, id: VolumeId) -> Result<Option<Volume>> {
        unimplemented!()
    }

    /// GET /volumes/detail?name=NAME, all pages.
    pub async fn list_volumes_named(&self, name: &str) -> Result<Vec<Volume>> {
        unimplemented!()
    }

    /// GET /volumes/detail?updated_at=gte:TIME, all pages. Kind::Unsupported below 3.60.
    pub async fn list_volumes_changed_since(&self, since: SystemTime) -> Result<Changes> {
        unimplemented!()
    }

    /// GET /volumes?status=deleting, all pages: ids only.
    pub async fn list_volumes_being_deleted(&self) -> Result<Vec<VolumeId>> {
        unimplemented!()
    }

    /// GET /volumes/detail?limit=&marker=: one page. Kind::NotFound: the marker is unknown.
    pub async fn list_volumes(&self, limit: Option<u32>, marker: Option<VolumeId>) -> Result<Page> {
        unimplemented!()
    }

    /// POST /volumes
    pub async fn create_volume(&self, new: &NewVolume) -> Result<Volume> {
        unimplemented!()
    }

    /// DELETE /volumes/ID
    pub async fn delete_volume(&self, id: VolumeId) -> Result<()> {
        unimplemented!()
    }

    /// POST /volumes/ID/metadata: merges `metadata` into what is there. Safe to repeat.
    pub async fn update_volume_metadata(
        &self,
        id: VolumeId,
        metadata: &BTreeMap<String, String>,
    ) -> Result<()> {
        unimplemented!()
    }

    /// POST /volumes/ID/action os-extend, with 3.42 where `attached`.
    pub async fn extend_volume(&self, id: VolumeId, size: u64, attached: bool) -> Result<()> {
        unimplemented!()
    }

    /// GET /snapshots/detail?volume_id=ID: the ids of its snapshots.
    pub async fn list_snapshot_ids_of(&self, id: VolumeId) -> Result<Vec<String>> {
        unimplemented!()
    }

    /// GET /messages?resource_uuid=ID: the newest user message about this volume, if the cloud has (3.3+).
    pub async fn find_message(&self, id: VolumeId) -> Result<Option<String>> {
        unimplemented!()
    }

    /// The cloud's own clock: the `Date` of its last answer, aged; `pace::now()` before any.
    pub fn clock(&self) -> SystemTime {
        unimplemented!()
    }
}
