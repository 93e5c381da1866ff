//! Groups of volumes, and snapshots of them.
//!
//! <https://docs.openstack.org/api-ref/block-storage/v3/#groups>

use std::collections::BTreeMap;
use std::fmt;

use http::Method;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::super::request::{Microversion, Request, Version};
use super::super::{GroupId, GroupSnapshotId, Kind, Result, Service, VolumeId};
use super::volume::{or_default, time};
use super::{Cinder, Id, get, post};

const GROUP_TYPES: Version = Version::Needed(Microversion(3, 11));
const GROUPS: Version = Version::Needed(Microversion(3, 13));
/// `list_volume=true` shows a group's volumes from here on.
const MEMBERS: Version = Version::Needed(Microversion(3, 25));
/// Snapshots of groups came with 3.14, and filters for their list with 3.29.
const GROUP_SNAPSHOTS: Version = Version::Wanted(Microversion(3, 29));
/// Without it Cinder answers 404 for one that is there, too.
const GROUP_SNAPSHOT: Version = Version::Needed(Microversion(3, 14));

/// Cinder takes a list of ids that has 255 characters
/// (<https://opendev.org/openstack/cinder/src/branch/master/cinder/api/schemas/groups.py>).
pub const MEMBERS_AT_ONCE: usize = 6;

/// A group as Cinder shows it. It has no metadata.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Group {
    pub id: GroupId,
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub description: String,
    pub status: GroupState,
    #[serde(default, deserialize_with = "time")]
    pub created_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "or_default")]
    pub volumes: Vec<VolumeId>,
}

/// A snapshot of a group. Its members are snapshots of its name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct GroupSnapshot {
    pub id: GroupSnapshotId,
    pub group_id: GroupId,
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub description: String,
    pub status: GroupState,
    #[serde(default, deserialize_with = "time")]
    pub created_at: Option<Timestamp>,
}

/// The status of a group, and of a snapshot of one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum GroupState {
    Creating,
    Available,
    Updating,
    Deleting,
    /// For a moment, before it is gone (`delete_group_snapshot` in cinder/volume/manager.py).
    Deleted,
    Error,
    ErrorDeleting,
    Other(String),
}

/// What kind of group: an administrator makes it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct GroupType {
    pub id: String,
    pub name: String,
    /// Absent or null in a list that isn't an administrator's, whatever the policy (`_dict_with_group_specs_if_authorized` in
    /// <https://opendev.org/openstack/cinder/src/branch/master/cinder/db/api.py>).
    pub group_specs: Option<BTreeMap<String, String>>,
}

/// A group to make. Of several volume types, each of its volumes has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewGroup {
    pub name: String,
    pub description: String,
    pub group_type: String,
    pub volume_types: Vec<String>,
    pub availability_zone: Option<String>,
}

#[derive(Deserialize)]
struct GroupSpecs {
    group_specs: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct OneGroup {
    group: Id<GroupId>,
}

#[derive(Deserialize)]
struct OneSnapshot {
    group_snapshot: GroupSnapshot,
}

#[derive(Deserialize)]
struct MadeSnapshot {
    group_snapshot: Id<GroupSnapshotId>,
}

#[derive(Deserialize)]
struct OneVolume {
    volume: Membership,
}

#[derive(Deserialize)]
struct Membership {
    group_id: Option<GroupId>,
}

impl Cinder {
    /// GET /group_types: those that the project may use.
    pub async fn list_group_types(&self) -> Result<Vec<GroupType>> {
        self.all(get("list the group types", &["group_types"]).version(GROUP_TYPES)).await
    }

    /// GET /group_types/ID/group_specs; `None` where the policy shows them to administrators only.
    pub async fn find_group_specs(&self, group_type: &str) -> Result<Option<BTreeMap<String, String>>> {
        let request = get("show the group type's specs", &["group_types", group_type, "group_specs"]);
        match self.call(request.version(GROUP_TYPES)).await {
            Ok(answer) => Ok(Some(answer.json::<GroupSpecs>()?.group_specs)),
            Err(error) if matches!(error.kind, Kind::Forbidden | Kind::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// GET /groups/detail?name=NAME&list_volume=true, all pages.
    pub async fn list_groups_named(&self, name: &str) -> Result<Vec<Group>> {
        let request = get("list the groups of a name", &["groups", "detail"])
            .query("name", name)
            .query("list_volume", true)
            .version(MEMBERS);
        let mut groups: Vec<Group> = self.all(request).await?;
        groups.retain(|group| group.name == name);
        Ok(groups)
    }

    /// GET /groups/detail?list_volume=true, all pages.
    pub async fn list_groups(&self) -> Result<Vec<Group>> {
        let request = get("list the groups", &["groups", "detail"]).query("list_volume", true);
        self.all(request.version(MEMBERS)).await
    }

    /// POST /groups
    pub async fn create_group(&self, new: &NewGroup) -> Result<GroupId> {
        let mut group = json!({
            "name": new.name,
            "description": new.description,
            "group_type": new.group_type,
            "volume_types": new.volume_types,
        });
        if let Some(zone) = &new.availability_zone {
            group["availability_zone"] = json!(zone);
        }
        let request = post("create a group", &["groups"]).json(&json!({ "group": group })).version(GROUPS);
        Ok(self.call(request).await?.json::<OneGroup>()?.group.id)
    }

    /// PUT /groups/ID: the group is `updating` until these volumes are in it, [`MEMBERS_AT_ONCE`] at most.
    pub async fn add_to_group(&self, id: GroupId, volumes: &[VolumeId]) -> Result<()> {
        self.update_group(id, json!({ "add_volumes": joined(volumes) })).await
    }

    /// PUT /groups/ID: the group is `updating` until these volumes are out of it, [`MEMBERS_AT_ONCE`] at most.
    pub async fn remove_from_group(&self, id: GroupId, volumes: &[VolumeId]) -> Result<()> {
        self.update_group(id, json!({ "remove_volumes": joined(volumes) })).await
    }

    /// PUT /groups/ID
    pub async fn describe_group(&self, id: GroupId, description: &str) -> Result<()> {
        self.update_group(id, json!({ "description": description })).await
    }

    async fn update_group(&self, id: GroupId, group: serde_json::Value) -> Result<()> {
        let path = ["groups", &id.to_string()];
        let request = Request::new(Service::Cinder, "change the group", Method::PUT, &path);
        self.call(request.json(&json!({ "group": group })).version(GROUPS)).await?;
        Ok(())
    }

    /// POST /groups/ID/action delete, of a group without volumes.
    pub async fn delete_group(&self, id: GroupId) -> Result<()> {
        let request = post("delete the group", &["groups", &id.to_string(), "action"])
            .json(&json!({ "delete": { "delete-volumes": false } }))
            .version(GROUPS);
        self.call(request).await?;
        Ok(())
    }

    /// GET /volumes/ID: the group that it is in.
    pub async fn find_group_of(&self, id: VolumeId) -> Result<Option<GroupId>> {
        let request = get("show the volume's group", &["volumes", &id.to_string()]).version(GROUPS);
        match self.call(request).await {
            Ok(answer) => Ok(answer.json::<OneVolume>()?.volume.group_id),
            Err(error) if matches!(error.kind, Kind::NotFound | Kind::Unsupported) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// GET /group_snapshots/detail?name=NAME, all pages.
    pub async fn list_group_snapshots_named(&self, name: &str) -> Result<Vec<GroupSnapshot>> {
        let request = get("list the group snapshots of a name", &["group_snapshots", "detail"])
            .query("name", name)
            .version(GROUP_SNAPSHOTS);
        let mut snapshots: Vec<GroupSnapshot> = self.all(request).await?;
        snapshots.retain(|snapshot| snapshot.name == name);
        Ok(snapshots)
    }

    /// GET /group_snapshots/ID, with a 404 as `None`.
    pub async fn find_group_snapshot(&self, id: GroupSnapshotId) -> Result<Option<GroupSnapshot>> {
        let request = get("show the group snapshot", &["group_snapshots", &id.to_string()]);
        match self.call(request.version(GROUP_SNAPSHOT)).await {
            Ok(answer) => Ok(Some(answer.json::<OneSnapshot>()?.group_snapshot)),
            Err(error) if error.kind == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// POST /group_snapshots: one snapshot of each of the group's volumes, all of this name.
    pub async fn create_group_snapshot(
        &self,
        group: GroupId,
        name: &str,
        description: &str,
    ) -> Result<GroupSnapshotId> {
        let snapshot = json!({ "group_id": group.to_string(), "name": name, "description": description });
        let request = post("create a group snapshot", &["group_snapshots"])
            .json(&json!({ "group_snapshot": snapshot }))
            .version(GROUP_SNAPSHOTS);
        Ok(self.call(request).await?.json::<MadeSnapshot>()?.group_snapshot.id)
    }

    /// DELETE /group_snapshots/ID, and its members with it.
    pub async fn delete_group_snapshot(&self, id: GroupSnapshotId) -> Result<()> {
        let path = ["group_snapshots", &id.to_string()];
        let request = Request::new(Service::Cinder, "delete the group snapshot", Method::DELETE, &path);
        self.call(request.version(GROUP_SNAPSHOTS)).await?;
        Ok(())
    }
}

fn joined(volumes: &[VolumeId]) -> String {
    volumes.iter().map(VolumeId::to_string).collect::<Vec<_>>().join(",")
}

impl GroupState {
    pub fn is_going(&self) -> bool {
        matches!(self, GroupState::Deleting | GroupState::Deleted)
    }

    /// It ends by itself.
    pub fn is_passing(&self) -> bool {
        self.is_going() || matches!(self, GroupState::Creating | GroupState::Updating)
    }
}

impl GroupType {
    /// Whether its snapshots are of one moment, where the cloud tells.
    pub fn is_consistent(&self) -> Option<bool> {
        let specs = self.group_specs.as_ref()?;
        Some(specs.get("consistent_group_snapshot_enabled").is_some_and(|value| value == "<is> True"))
    }
}

impl From<String> for GroupState {
    fn from(text: String) -> Self {
        match text.as_str() {
            "creating" => GroupState::Creating,
            "available" => GroupState::Available,
            "updating" => GroupState::Updating,
            "deleting" => GroupState::Deleting,
            "deleted" => GroupState::Deleted,
            "error" => GroupState::Error,
            "error_deleting" => GroupState::ErrorDeleting,
            _ => GroupState::Other(text),
        }
    }
}

impl fmt::Display for GroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            GroupState::Creating => "creating",
            GroupState::Available => "available",
            GroupState::Updating => "updating",
            GroupState::Deleting => "deleting",
            GroupState::Deleted => "deleted",
            GroupState::Error => "error",
            GroupState::ErrorDeleting => "error_deleting",
            GroupState::Other(text) => text,
        })
    }
}
