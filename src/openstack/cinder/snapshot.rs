//! Snapshots as Cinder shows them, and the calls about them.
//!
//! <https://docs.openstack.org/api-ref/block-storage/v3/#volume-snapshots-snapshots>

use std::collections::BTreeMap;
use std::fmt;

use http::Method;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::super::request::{Microversion, Request, Version};
use super::super::{GroupSnapshotId, Kind, Result, Service, SnapshotId, VolumeId};
use super::volume::{or_default, time};
use super::{Cinder, Id, get, post};

/// Shows the group snapshot that a snapshot belongs to.
const SHOWN: Version = Version::Wanted(Microversion(3, 14));
/// Volumes in use are snapshotted without `force` from here on; a true one is ignored.
const OF_VOLUMES_IN_USE: Version = Version::Wanted(Microversion(3, 66));

/// A snapshot as Cinder shows it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Snapshot {
    pub id: SnapshotId,
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    pub status: SnapshotStatus,
    /// GiB.
    pub size: u64,
    pub volume_id: VolumeId,
    pub group_snapshot_id: Option<GroupSnapshotId>,
    #[serde(default, deserialize_with = "or_default")]
    pub metadata: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "time")]
    pub created_at: Option<Timestamp>,
}

/// A snapshot's status; `SnapshotStatus` of <https://opendev.org/openstack/cinder/src/branch/master/cinder/objects/fields.py>.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum SnapshotStatus {
    Creating,
    Available,
    BackingUp,
    Restoring,
    Deleting,
    Error,
    ErrorDeleting,
    Unmanaging,
    Other(String),
}

/// What to snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSnapshot {
    pub name: String,
    pub description: String,
    pub volume_id: VolumeId,
    /// Also where the volume is in use.
    pub force: bool,
    pub metadata: BTreeMap<String, String>,
}

/// Which part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<I> {
    /// Of this volume.
    pub volume: Option<VolumeId>,
    /// At most so many; Cinder's `osapi_max_limit` is a limit of its own.
    pub limit: Option<u32>,
    /// Those that come after this one. Kind::NotFound where it is gone.
    pub after: Option<I>,
}

/// A part of a list, oldest first.
#[derive(Clone, Debug)]
pub struct Portion<T> {
    pub items: Vec<T>,
    /// There may be more, after the last one.
    pub more: bool,
}

#[derive(Deserialize)]
struct One {
    snapshot: Snapshot,
}

impl Cinder {
    /// GET /snapshots/ID, with a 404 as `None`.
    pub async fn find_snapshot(&self, id: SnapshotId) -> Result<Option<Snapshot>> {
        let request = get("show the snapshot", &["snapshots", &id.to_string()]).version(SHOWN);
        match self.call(request).await {
            Ok(answer) => Ok(Some(answer.json::<One>()?.snapshot)),
            Err(error) if error.kind == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// GET /snapshots/detail?name=NAME, all pages.
    pub async fn list_snapshots_named(&self, name: &str) -> Result<Vec<Snapshot>> {
        let request =
            get("list the snapshots of a name", &["snapshots", "detail"]).query("name", name).version(SHOWN);
        let mut snapshots: Vec<Snapshot> = self.all(request).await?;
        snapshots.retain(|snapshot| snapshot.name == name);
        Ok(snapshots)
    }

    /// GET /snapshots/detail?sort=created_at:asc,id:asc: one part, oldest first.
    pub async fn list_snapshots(&self, part: Part<SnapshotId>) -> Result<Portion<Snapshot>> {
        let request = get("list snapshots", &["snapshots", "detail"]).version(SHOWN);
        self.part(request, part).await
    }

    /// GET /snapshots?status=STATUS, all pages: ids only.
    pub async fn list_snapshots_that_are(&self, status: SnapshotStatus) -> Result<Vec<SnapshotId>> {
        let request =
            get("list the snapshots of a status", &["snapshots"]).query("status", status).for_many();
        let snapshots: Vec<Id<SnapshotId>> = self.all(request).await?;
        Ok(snapshots.into_iter().map(|snapshot| snapshot.id).collect())
    }

    /// POST /snapshots
    pub async fn create_snapshot(&self, new: &NewSnapshot) -> Result<Snapshot> {
        let mut snapshot = json!({
            "name": new.name,
            "description": new.description,
            "volume_id": new.volume_id.to_string(),
            "metadata": new.metadata,
        });
        if new.force {
            snapshot["force"] = json!(true);
        }
        let request = post("snapshot the volume", &["snapshots"])
            .json(&json!({ "snapshot": snapshot }))
            .version(OF_VOLUMES_IN_USE);
        Ok(self.call(request).await?.json::<One>()?.snapshot)
    }

    /// POST /snapshots/ID/metadata: merges `metadata` into what is there. Safe to repeat.
    pub async fn update_snapshot_metadata(
        &self,
        id: SnapshotId,
        metadata: &BTreeMap<String, String>,
    ) -> Result<()> {
        let request = post("write the snapshot's metadata", &["snapshots", &id.to_string(), "metadata"])
            .json(&json!({ "metadata": metadata }))
            .repeatable();
        self.call(request).await?;
        Ok(())
    }

    /// DELETE /snapshots/ID
    pub async fn delete_snapshot(&self, id: SnapshotId) -> Result<()> {
        let path = ["snapshots", &id.to_string()];
        self.call(Request::new(Service::Cinder, "delete the snapshot", Method::DELETE, &path)).await?;
        Ok(())
    }
}

impl From<String> for SnapshotStatus {
    fn from(text: String) -> Self {
        match text.as_str() {
            "creating" => SnapshotStatus::Creating,
            "available" => SnapshotStatus::Available,
            "backing-up" => SnapshotStatus::BackingUp,
            "restoring" => SnapshotStatus::Restoring,
            "deleting" => SnapshotStatus::Deleting,
            "error" => SnapshotStatus::Error,
            "error_deleting" => SnapshotStatus::ErrorDeleting,
            "unmanaging" => SnapshotStatus::Unmanaging,
            _ => SnapshotStatus::Other(text),
        }
    }
}

impl fmt::Display for SnapshotStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SnapshotStatus::Creating => "creating",
            SnapshotStatus::Available => "available",
            SnapshotStatus::BackingUp => "backing-up",
            SnapshotStatus::Restoring => "restoring",
            SnapshotStatus::Deleting => "deleting",
            SnapshotStatus::Error => "error",
            SnapshotStatus::ErrorDeleting => "error_deleting",
            SnapshotStatus::Unmanaging => "unmanaging",
            SnapshotStatus::Other(text) => text,
        })
    }
}

#[cfg(test)]
mod tests;
