//! Backups as Cinder shows them, and the calls about them.
//!
//! <https://docs.openstack.org/api-ref/block-storage/v3/#backups-backups>

use std::collections::BTreeMap;
use std::fmt;

use http::Method;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::super::request::{Microversion, Request, Version};
use super::super::{BackupId, Kind, Result, Service, SnapshotId, VolumeId};
use super::snapshot::{Part, Portion};
use super::volume::{or_default, time};
use super::{Cinder, Id, get, post};

/// Backups have metadata from here on.
const METADATA: Microversion = Microversion(3, 43);
/// A backup's zone can be asked for from here on.
const ZONE: Microversion = Microversion(3, 51);

/// A backup as Cinder shows it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Backup {
    pub id: BackupId,
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    pub status: BackupStatus,
    /// GiB. An imported backup that isn't read yet has none.
    #[serde(default, deserialize_with = "or_default")]
    pub size: u64,
    pub volume_id: VolumeId,
    /// What it was made from; it may be gone since.
    pub snapshot_id: Option<SnapshotId>,
    pub availability_zone: Option<String>,
    pub fail_reason: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub metadata: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "time")]
    pub created_at: Option<Timestamp>,
    /// When the data was as it is in the backup: the snapshot's `created_at`.
    #[serde(default, deserialize_with = "time")]
    pub data_timestamp: Option<Timestamp>,
}

/// A backup's status; `BackupStatus` of <https://opendev.org/openstack/cinder/src/branch/master/cinder/objects/fields.py>.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum BackupStatus {
    Creating,
    Available,
    Restoring,
    Deleting,
    Error,
    ErrorDeleting,
    Other(String),
}

/// What to back up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBackup {
    pub name: String,
    pub description: String,
    pub volume_id: VolumeId,
    pub snapshot_id: SnapshotId,
    pub availability_zone: Option<String>,
    pub metadata: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct One<T> {
    backup: T,
}

impl Cinder {
    /// GET /backups/ID, with a 404 as `None`.
    pub async fn find_backup(&self, id: BackupId) -> Result<Option<Backup>> {
        let request =
            get("show the backup", &["backups", &id.to_string()]).version(Version::Wanted(METADATA));
        match self.call(request).await {
            Ok(answer) => Ok(Some(answer.json::<One<Backup>>()?.backup)),
            Err(error) if error.kind == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// GET /backups/detail?name=NAME, all pages.
    pub async fn list_backups_named(&self, name: &str) -> Result<Vec<Backup>> {
        let request = get("list the backups of a name", &["backups", "detail"])
            .query("name", name)
            .version(Version::Wanted(METADATA));
        let mut backups: Vec<Backup> = self.all(request).await?;
        backups.retain(|backup| backup.name == name);
        Ok(backups)
    }

    /// GET /backups/detail?sort=created_at:asc,id:asc: one part, oldest first.
    pub async fn list_backups(&self, part: Part<BackupId>) -> Result<Portion<Backup>> {
        let request = get("list backups", &["backups", "detail"]).version(Version::Wanted(METADATA));
        self.part(request, part).await
    }

    /// GET /backups?status=STATUS, all pages: ids only.
    pub async fn list_backups_that_are(&self, status: BackupStatus) -> Result<Vec<BackupId>> {
        let request = get("list the backups of a status", &["backups"]).query("status", status).for_many();
        let backups: Vec<Id<BackupId>> = self.all(request).await?;
        Ok(backups.into_iter().map(|backup| backup.id).collect())
    }

    /// POST /backups. Kind::Unsupported below 3.43, and below 3.51 where a zone is asked for.
    pub async fn create_backup(&self, new: &NewBackup) -> Result<BackupId> {
        let mut backup = json!({
            "name": new.name,
            "description": new.description,
            "volume_id": new.volume_id.to_string(),
            "snapshot_id": new.snapshot_id.to_string(),
            "metadata": new.metadata,
        });
        let mut version = METADATA;
        if let Some(zone) = &new.availability_zone {
            backup["availability_zone"] = json!(zone);
            version = ZONE;
        }
        let request = post("back up the volume", &["backups"])
            .json(&json!({ "backup": backup }))
            .version(Version::Needed(version));
        Ok(self.call(request).await?.json::<One<Id<BackupId>>>()?.backup.id)
    }

    /// PUT /backups/ID: `metadata` is all that it then has. Safe to repeat.
    pub async fn replace_backup_metadata(
        &self,
        id: BackupId,
        metadata: &BTreeMap<String, String>,
    ) -> Result<()> {
        let path = ["backups", &id.to_string()];
        let request = Request::new(Service::Cinder, "write the backup's metadata", Method::PUT, &path)
            .json(&json!({ "backup": { "metadata": metadata } }))
            .version(Version::Needed(METADATA))
            .repeatable();
        self.call(request).await?;
        Ok(())
    }

    /// DELETE /backups/ID
    pub async fn delete_backup(&self, id: BackupId) -> Result<()> {
        let path = ["backups", &id.to_string()];
        self.call(Request::new(Service::Cinder, "delete the backup", Method::DELETE, &path)).await?;
        Ok(())
    }
}

impl From<String> for BackupStatus {
    fn from(text: String) -> Self {
        match text.as_str() {
            "creating" => BackupStatus::Creating,
            "available" => BackupStatus::Available,
            "restoring" => BackupStatus::Restoring,
            "deleting" => BackupStatus::Deleting,
            "error" => BackupStatus::Error,
            "error_deleting" => BackupStatus::ErrorDeleting,
            _ => BackupStatus::Other(text),
        }
    }
}

impl fmt::Display for BackupStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BackupStatus::Creating => "creating",
            BackupStatus::Available => "available",
            BackupStatus::Restoring => "restoring",
            BackupStatus::Deleting => "deleting",
            BackupStatus::Error => "error",
            BackupStatus::ErrorDeleting => "error_deleting",
            BackupStatus::Other(text) => text,
        })
    }
}

#[cfg(test)]
mod tests;
