//! Requests about group snapshots.

use std::collections::BTreeSet;

use tonic::Status;

use super::parameters::check_names;
use super::{id, text};
use crate::csi::proto::CreateVolumeGroupSnapshotRequest;
use crate::csi::status::{self, invalid};
use crate::volume::{SnapshotId, VolumeId, WantedGroup};

/// A VolumeGroupSnapshotClass parameter: the Cinder group type, by name or id.
const GROUP_TYPE: &str = "group-type";
/// `cloud` is read in `request/cloud.rs`.
const KNOWN: [&str; 2] = [GROUP_TYPE, "cloud"];

/// `strict`: a parameter that nobody knows is an error.
pub fn wanted(request: &CreateVolumeGroupSnapshotRequest, strict: bool) -> Result<WantedGroup, Status> {
    let name = text("name", &request.name)?;
    check_names("VolumeGroupSnapshotClass", &request.parameters, &KNOWN, strict)?;
    if request.source_volume_ids.is_empty() {
        return Err(invalid("source_volume_ids", "at least one is required"));
    }
    let volumes: BTreeSet<VolumeId> =
        request.source_volume_ids.iter().map(|id| volume(id)).collect::<Result<_, _>>()?;
    let group_type = request.parameters.get(GROUP_TYPE).filter(|name| !name.is_empty()).cloned();
    Ok(WantedGroup { name: name.to_owned(), volumes, group_type })
}

/// Of whom the caller thinks as members.
pub fn members(ids: &[String]) -> Result<BTreeSet<SnapshotId>, Status> {
    let member = |one: &String| {
        id::<SnapshotId>("snapshot_ids", one)?
            .ok_or_else(|| invalid("snapshot_ids", format!("{one:?} is no snapshot's id")))
    };
    ids.iter().map(member).collect()
}

fn volume(text: &str) -> Result<VolumeId, Status> {
    id::<VolumeId>("source_volume_ids", text)?.ok_or_else(|| status::unknown("volume", text))
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    const ID: &str = "6f1f0c66-4c3e-4b7e-9d51-0a1b2c3d4e5f";

    fn request(name: &str, volumes: &[&str]) -> CreateVolumeGroupSnapshotRequest {
        CreateVolumeGroupSnapshotRequest {
            name: name.to_owned(),
            source_volume_ids: volumes.iter().map(|id| (*id).to_owned()).collect(),
            ..Default::default()
        }
    }

    #[test]
    fn a_group_snapshot_has_a_name_and_volumes() {
        assert_eq!(wanted(&request("g", &[ID, ID]), true).unwrap().volumes.len(), 1);
        for (name, volumes, code) in [
            ("", &[ID][..], Code::InvalidArgument),
            ("g", &[], Code::InvalidArgument),
            ("g", &[""], Code::InvalidArgument),
            ("g", &["none"], Code::NotFound),
        ] {
            assert_eq!(wanted(&request(name, volumes), true).unwrap_err().code(), code, "{name} {volumes:?}");
        }
        let mut misspelt = request("g", &[ID]);
        misspelt.parameters.insert("group-typ".to_owned(), "a".to_owned());
        assert!(wanted(&misspelt, false).is_ok());
        let status = wanted(&misspelt, true).unwrap_err();
        assert_eq!(status.message(), "parameters.group-typ: is unknown; did you mean \"group-type\"?");
        assert_eq!(members(&["x".to_owned()]).unwrap_err().code(), Code::InvalidArgument);
    }
}
