//! Volumes as Cinder shows them. Unknown fields are ignored, absent ones tolerated, wrong types are an error.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::super::{ServerId, VolumeId};

/// A volume as Cinder shows it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Volume {
    pub id: VolumeId,
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    pub status: Status,
    /// GiB.
    pub size: u64,
    pub availability_zone: Option<String>,
    pub volume_type: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub multiattach: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub encrypted: bool,
    #[serde(default, deserialize_with = "flag")]
    pub bootable: bool,
    pub snapshot_id: Option<String>,
    pub source_volid: Option<String>,
    /// For administrators only.
    #[serde(rename = "os-vol-mig-status-attr:migstat")]
    pub migration_status: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub metadata: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "or_default")]
    pub attachments: Vec<Attachment>,
    #[serde(default, deserialize_with = "time")]
    pub created_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "time")]
    pub updated_at: Option<Timestamp>,
}

/// A volume in the list without details.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct VolumeName {
    pub id: VolumeId,
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
}

/// One entry of a volume's `attachments`: Cinder lists it once the attachment is complete.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Attachment {
    pub server_id: Option<ServerId>,
    pub attachment_id: Option<String>,
    pub device: Option<String>,
}

/// A volume's status; <https://docs.openstack.org/api-ref/block-storage/v3/#volumes-volumes>.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "Option<String>")]
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

impl Status {
    /// A state that Cinder or Nova leaves by itself, and in which they take no other order for the volume.
    pub fn is_passing(&self) -> bool {
        match self {
            Status::Creating
            | Status::Reserved
            | Status::Attaching
            | Status::Detaching
            | Status::BackingUp
            | Status::RestoringBackup
            | Status::Downloading
            | Status::Uploading
            | Status::Retyping
            | Status::Extending => true,
            Status::Available
            | Status::InUse
            | Status::Maintenance
            | Status::Deleting
            | Status::AwaitingTransfer
            | Status::Error
            | Status::ErrorDeleting
            | Status::ErrorBackingUp
            | Status::ErrorRestoring
            | Status::ErrorExtending
            | Status::Other(_) => false,
        }
    }
}

/// The volumes that changed, and the cloud's own clock when it answered.
#[derive(Clone, Debug)]
pub struct Changes {
    pub volumes: Vec<Volume>,
    pub date: Option<SystemTime>,
}

/// After a failed backup a volume may have none: Cinder gives it the status that it had before its last pause, and it
/// never paused. One such volume must not make a list of all unreadable.
impl From<Option<String>> for Status {
    fn from(text: Option<String>) -> Self {
        text.unwrap_or_else(|| "none".to_owned()).into()
    }
}

impl From<String> for Status {
    fn from(text: String) -> Self {
        match text.as_str() {
            "creating" => Status::Creating,
            "available" => Status::Available,
            "reserved" => Status::Reserved,
            "attaching" => Status::Attaching,
            "detaching" => Status::Detaching,
            "in-use" => Status::InUse,
            "maintenance" => Status::Maintenance,
            "deleting" => Status::Deleting,
            "awaiting-transfer" => Status::AwaitingTransfer,
            "error" => Status::Error,
            "error_deleting" => Status::ErrorDeleting,
            "error_backing-up" => Status::ErrorBackingUp,
            "error_restoring" => Status::ErrorRestoring,
            "error_extending" => Status::ErrorExtending,
            "backing-up" => Status::BackingUp,
            "restoring-backup" => Status::RestoringBackup,
            "downloading" => Status::Downloading,
            "uploading" => Status::Uploading,
            "retyping" => Status::Retyping,
            "extending" => Status::Extending,
            _ => Status::Other(text),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Status::Creating => "creating",
            Status::Available => "available",
            Status::Reserved => "reserved",
            Status::Attaching => "attaching",
            Status::Detaching => "detaching",
            Status::InUse => "in-use",
            Status::Maintenance => "maintenance",
            Status::Deleting => "deleting",
            Status::AwaitingTransfer => "awaiting-transfer",
            Status::Error => "error",
            Status::ErrorDeleting => "error_deleting",
            Status::ErrorBackingUp => "error_backing-up",
            Status::ErrorRestoring => "error_restoring",
            Status::ErrorExtending => "error_extending",
            Status::BackingUp => "backing-up",
            Status::RestoringBackup => "restoring-backup",
            Status::Downloading => "downloading",
            Status::Uploading => "uploading",
            Status::Retyping => "retyping",
            Status::Extending => "extending",
            Status::Other(text) => text,
        })
    }
}

/// `null` is the default, as an absent field is.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    from: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

/// Cinder writes `bootable` as the string "true".
fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Flag {
        Bool(bool),
        Text(String),
    }
    Ok(match Option::<Flag>::deserialize(from)? {
        Some(Flag::Bool(flag)) => flag,
        Some(Flag::Text(text)) => text.eq_ignore_ascii_case("true"),
        None => false,
    })
}

/// UTC without a zone, with or without microseconds.
pub(super) fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(Some(time));
    }
    let civil: DateTime = text.parse().map_err(D::Error::custom)?;
    Offset::UTC.to_timestamp(civil).map(Some).map_err(D::Error::custom)
}
