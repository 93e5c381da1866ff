//! CreateSnapshot becomes a wanted snapshot or backup, and ListSnapshots a search.

use std::collections::{BTreeMap, HashMap};

use tonic::Status;

use super::parameters::check_names;
use super::{id, max_entries, names, text};
use crate::csi::ControllerSettings;
use crate::csi::proto::{CreateSnapshotRequest, ListSnapshotsRequest};
use crate::csi::status::invalid;
use crate::volume::{SnapshotId, VolumeId, WantedBackup, WantedSnapshot};

/// VolumeSnapshotClass parameters, as the existing driver has them.
const TYPE: &str = "type";
const FORCE: &str = "force-create";
const AVAILABILITY: &str = "availability";
const PATIENCE: &str = "backup-max-duration-seconds-per-gb";
/// All of them, and ours that names the cloud.
const KNOWN: [&str; 5] = [TYPE, FORCE, AVAILABILITY, PATIENCE, "cloud"];
/// What the external-snapshotter adds (`--extra-create-metadata`), kept as metadata.
const SNAPSHOTTERS: [&str; 3] = [
    "csi.storage.k8s.io/volumesnapshot/name",
    "csi.storage.k8s.io/volumesnapshot/namespace",
    "csi.storage.k8s.io/volumesnapshotcontent/name",
];

/// A checked CreateSnapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    Snapshot(WantedSnapshot),
    Backup(WantedBackup),
}

/// A checked ListSnapshots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Search {
    /// An id that no cloud gives is nobody's.
    Nothing,
    One {
        id: SnapshotId,
        source: Option<VolumeId>,
    },
    All {
        source: Option<VolumeId>,
        limit: Option<u32>,
    },
}

impl Wanted {
    pub fn source(&self) -> VolumeId {
        match self {
            Wanted::Snapshot(wanted) => wanted.source,
            Wanted::Backup(wanted) => wanted.source,
        }
    }
}

/// `None` where the volume's id has no form that a cloud gives.
pub fn create(
    request: &CreateSnapshotRequest,
    settings: &ControllerSettings,
) -> Result<Option<Wanted>, Status> {
    let cluster = settings.cluster.as_str();
    let name = text("name", &request.name)?.to_owned();
    check_names("VolumeSnapshotClass", &request.parameters, &KNOWN, settings.strict_parameters)?;
    let source = id::<VolumeId>("source_volume_id", &request.source_volume_id)?;
    let cluster = cluster.to_owned();
    let metadata = metadata(&request.parameters);
    names::check("VolumeSnapshotClass", &request.parameters, &KNOWN, false)?;
    let parameters = Parameters(&request.parameters);
    parameters.checked()?;
    let Some(source) = source else { return Ok(None) };
    Ok(Some(match parameters.get(TYPE) {
        None | Some("snapshot") => Wanted::Snapshot(WantedSnapshot { name, source, cluster, metadata }),
        Some("backup") => {
            let zone = parameters.get(AVAILABILITY).map(str::to_owned);
            Wanted::Backup(WantedBackup { name, source, zone, cluster, metadata })
        }
        Some(other) => {
            return Err(invalid("parameters.type", format!("{other:?} is neither snapshot nor backup")));
        }
    }))
}

pub fn list(request: &ListSnapshotsRequest) -> Result<Search, Status> {
    let limit = max_entries(request.max_entries)?;
    let source = some_id::<VolumeId>("source_volume_id", &request.source_volume_id)?;
    let one = some_id::<SnapshotId>("snapshot_id", &request.snapshot_id)?;
    Ok(match (one, source) {
        (Some(None), _) | (_, Some(None)) => Search::Nothing,
        (Some(Some(id)), source) => Search::One { id, source: source.flatten() },
        (None, source) => Search::All { source: source.flatten(), limit },
    })
}

/// An id that may be absent.
fn some_id<T: std::str::FromStr>(field: &str, value: &str) -> Result<Option<Option<T>>, Status> {
    if value.is_empty() { Ok(None) } else { id(field, value).map(Some) }
}

struct Parameters<'a>(&'a HashMap<String, String>);

impl Parameters<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// What the existing driver needs and this one doesn't must be right all the same: Cinder forces what has to be
    /// forced from 3.66 on by itself, and no call here waits for a backup.
    fn checked(&self) -> Result<(), Status> {
        if let Some(force) = self.get(FORCE)
            && !["true", "false"].contains(&force.to_ascii_lowercase().as_str())
        {
            return Err(invalid("parameters.force-create", format!("{force:?} is neither true nor false")));
        }
        if let Some(seconds) = self.get(PATIENCE)
            && seconds.parse::<u32>().is_err()
        {
            let field = format!("parameters.{PATIENCE}");
            return Err(invalid(&field, format!("{seconds:?} is no number of seconds")));
        }
        Ok(())
    }
}

fn metadata(parameters: &HashMap<String, String>) -> BTreeMap<String, String> {
    let given = SNAPSHOTTERS.iter().filter_map(|key| Some((key.to_string(), parameters.get(*key)?.clone())));
    given.collect()
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    const ID: &str = "6f1f0c66-4c3e-4b7e-9d51-0a1b2c3d4e5f";

    fn with(parameters: &[(&str, &str)]) -> CreateSnapshotRequest {
        let owned = |(key, value): &(&str, &str)| (key.to_string(), value.to_string());
        CreateSnapshotRequest {
            name: "snapshot-1".to_owned(),
            source_volume_id: ID.to_owned(),
            parameters: parameters.iter().map(owned).collect(),
            ..CreateSnapshotRequest::default()
        }
    }

    fn checked(parameters: &[(&str, &str)]) -> Result<Option<Wanted>, Status> {
        create(
            &with(parameters),
            &ControllerSettings { cluster: "kubernetes".to_owned(), ..ControllerSettings::default() },
        )
    }

    #[test]
    fn parameters_become_a_snapshot_or_a_backup() {
        let name = ("csi.storage.k8s.io/volumesnapshot/name", "daily");
        for parameters in [vec![name], vec![name, ("type", "snapshot"), ("force-create", "true")]] {
            let Some(Wanted::Snapshot(wanted)) = checked(&parameters).unwrap() else { panic!("no snapshot") };
            assert_eq!(wanted.metadata[name.0], "daily");
        }
        let backup =
            [("type", "backup"), ("availability", "az2"), ("backup-max-duration-seconds-per-gb", "20")];
        let Some(Wanted::Backup(wanted)) = checked(&backup).unwrap() else { panic!("no backup") };
        assert_eq!((wanted.zone.as_deref(), wanted.source.to_string().as_str()), (Some("az2"), ID));
    }

    #[test]
    fn what_cannot_be_served_is_refused_before_any_call() {
        for (parameter, value) in [
            ("type", "tape"),
            ("force-create", "perhaps"),
            ("backup-max-duration-seconds-per-gb", "soon"),
            ("backup-max-duration-seconds-per-gb", "-1"),
        ] {
            let status = checked(&[(parameter, value)]).unwrap_err();
            assert_eq!(status.code(), Code::InvalidArgument, "{parameter}");
            assert!(status.message().starts_with(&format!("parameters.{parameter}: ")), "{status}");
        }
        let unnamed = CreateSnapshotRequest { name: String::new(), ..with(&[]) };
        let sourceless = CreateSnapshotRequest { source_volume_id: String::new(), ..with(&[]) };
        for request in [unnamed, sourceless] {
            assert_eq!(
                create(&request, &ControllerSettings::default()).unwrap_err().code(),
                Code::InvalidArgument
            );
        }
        let foreign = CreateSnapshotRequest { source_volume_id: "vol-1".to_owned(), ..with(&[]) };
        assert_eq!(create(&foreign, &ControllerSettings::default()).unwrap(), None);
    }

    #[test]
    fn a_list_is_of_one_of_a_volumes_or_of_all() {
        let search = |snapshot: &str, volume: &str| {
            list(&ListSnapshotsRequest {
                snapshot_id: snapshot.to_owned(),
                source_volume_id: volume.to_owned(),
                ..ListSnapshotsRequest::default()
            })
            .unwrap()
        };
        let (one, volume) = (ID.parse().unwrap(), ID.parse().unwrap());
        assert_eq!(search("", ""), Search::All { source: None, limit: None });
        assert_eq!(search("", ID), Search::All { source: Some(volume), limit: None });
        assert_eq!(search(ID, ""), Search::One { id: one, source: None });
        assert_eq!(search(ID, ID), Search::One { id: one, source: Some(volume) });
        for (snapshot, volume) in [("none-such", ""), ("", "none-such"), (ID, "none-such")] {
            assert_eq!(search(snapshot, volume), Search::Nothing);
        }
    }
}
