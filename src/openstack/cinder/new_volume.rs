//! A volume to create.

use std::collections::BTreeMap;
use std::fmt;

use http::Method;
use serde_json::{Value, json};

use super::super::request::{Microversion, Request, Version};
use super::super::{BackupId, Result, ServerId, Service, SnapshotId, VolumeId};
use super::{Cinder, One, Volume};

/// `backup_id` is promised from here on: a Cinder that is older ignores it, and the volume is empty.
const FROM_BACKUP: Version = Version::Needed(Microversion(3, 47));

/// What to create.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewVolume {
    pub name: String,
    pub description: String,
    /// GiB.
    pub size: u64,
    pub volume_type: Option<String>,
    pub availability_zone: Option<String>,
    pub origin: Option<Origin>,
    pub hints: Hints,
    pub metadata: BTreeMap<String, String>,
}

/// Whose data a volume begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    Snapshot(SnapshotId),
    Backup(BackupId),
    Volume(VolumeId),
}

/// What Cinder's scheduler is asked to keep to.
///
/// <https://docs.openstack.org/cinder/latest/cli/cli-cinder-scheduling.html>
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// On the back end of these volumes.
    pub same_host: Vec<VolumeId>,
    /// On another back end than these volumes.
    pub different_host: Vec<VolumeId>,
    /// JsonFilter's query.
    pub query: Option<String>,
    /// On the host of this server.
    pub local_to_instance: Option<ServerId>,
}

impl NewVolume {
    fn body(&self) -> Value {
        let mut volume = json!({
            "name": self.name,
            "description": self.description,
            "size": self.size,
            "metadata": self.metadata,
        });
        if let Some(volume_type) = &self.volume_type {
            volume["volume_type"] = json!(volume_type);
        }
        if let Some(zone) = &self.availability_zone {
            volume["availability_zone"] = json!(zone);
        }
        match self.origin {
            None => {}
            Some(Origin::Snapshot(id)) => volume["snapshot_id"] = json!(id.to_string()),
            Some(Origin::Backup(id)) => volume["backup_id"] = json!(id.to_string()),
            Some(Origin::Volume(id)) => volume["source_volid"] = json!(id.to_string()),
        }
        let mut body = json!({ "volume": volume });
        if self.hints != Hints::default() {
            body["OS-SCH-HNT:scheduler_hints"] = self.hints.body();
        }
        body
    }
}

impl Hints {
    fn body(&self) -> Value {
        let ids = |ids: &[VolumeId]| json!(ids.iter().map(ToString::to_string).collect::<Vec<_>>());
        let mut hints = json!({});
        if !self.same_host.is_empty() {
            hints["same_host"] = ids(&self.same_host);
        }
        if !self.different_host.is_empty() {
            hints["different_host"] = ids(&self.different_host);
        }
        if let Some(query) = &self.query {
            hints["query"] = json!(query);
        }
        if let Some(server) = self.local_to_instance {
            hints["local_to_instance"] = json!(server.to_string());
        }
        hints
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Snapshot(id) => write!(f, "snapshot {id}"),
            Origin::Backup(id) => write!(f, "backup {id}"),
            Origin::Volume(id) => write!(f, "volume {id}"),
        }
    }
}

impl Cinder {
    /// POST /volumes. Kind::Unsupported from a backup below 3.47.
    pub async fn create_volume(&self, new: &NewVolume) -> Result<Volume> {
        let from_backup = matches!(new.origin, Some(Origin::Backup(_)));
        let request = Request::new(Service::Cinder, "create a volume", Method::POST, &["volumes"])
            .json(&new.body())
            .version(if from_backup { FROM_BACKUP } else { Version::Any });
        Ok(self.call(request).await?.json::<One>()?.volume)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new() -> NewVolume {
        NewVolume {
            name: "pvc-1".to_owned(),
            description: String::new(),
            size: 2,
            volume_type: None,
            availability_zone: None,
            origin: None,
            hints: Hints::default(),
            metadata: BTreeMap::new(),
        }
    }

    #[test]
    fn what_is_not_asked_for_is_not_in_the_body() {
        let plain = json!({ "volume": { "name": "pvc-1", "description": "", "size": 2, "metadata": {} } });
        assert_eq!(new().body(), plain);
    }

    #[test]
    fn the_source_and_the_hints_are_named_as_cinder_names_them() {
        let id = uuid::Uuid::from_u128(7);
        for (origin, field) in [
            (Origin::Snapshot(id.into()), "snapshot_id"),
            (Origin::Backup(id.into()), "backup_id"),
            (Origin::Volume(id.into()), "source_volid"),
        ] {
            let body = NewVolume { origin: Some(origin), ..new() }.body();
            assert_eq!(body["volume"][field], id.to_string(), "{origin}");
        }
        let hints =
            Hints { different_host: vec![id.into()], query: Some("[\"=\"]".to_owned()), ..Hints::default() };
        let body = NewVolume { hints, ..new() }.body();
        let expected = json!({ "different_host": [id.to_string()], "query": "[\"=\"]" });
        assert_eq!(body["OS-SCH-HNT:scheduler_hints"], expected);
        assert!(body["volume"].get("scheduler_hints").is_none());
    }
}
