//! CreateVolume becomes a wanted volume.

use std::collections::HashMap;

use tonic::Status;

use super::access::{self, Access};
use super::mutable::mutable;
use super::parameters::parameters;
use super::{MADE_FROM_DATA, size, text};
use crate::csi::ControllerSettings;
use crate::csi::proto::volume_content_source::Type;
use crate::csi::proto::{CreateVolumeRequest, VolumeContentSource};
use crate::csi::status::{self, invalid};
use crate::csi::topology::Topology;
use crate::volume::{Origin, Wanted};

/// A checked request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    pub wanted: Wanted,
    /// What the node has to know when it formats and mounts.
    pub context: HashMap<String, String>,
    /// The driver's, with the StorageClass's own map of zones.
    pub topology: Topology,
}

pub fn create(request: &CreateVolumeRequest, settings: &ControllerSettings) -> Result<Create, Status> {
    let name = text("name", &request.name)?;
    let accesses = access::accesses(&request.volume_capabilities)?;
    let size = size::size(request.capacity_range)?;
    let mut parameters = parameters(&request.parameters, settings.strict_parameters)?;
    // What can change goes before what can't, and a migration policy has nothing to say about a new volume.
    let change = mutable(&request.mutable_parameters)?;
    parameters.metadata.extend(change.metadata);
    let origin = request.volume_content_source.as_ref().map(origin).transpose()?;
    let topology = settings.topology.mapped(&parameters.zone_map);
    let required = request.accessibility_requirements.as_ref();
    let wanted = Wanted {
        name: name.to_owned(),
        size: size.required,
        size_is_free: size.is_free,
        size_limit: size.limit,
        volume_type: change.volume_type.or(parameters.volume_type),
        zone: topology.zones(parameters.availability.as_deref(), required),
        origin,
        hints: parameters.hints,
        multiattach: accesses.iter().any(Access::is_multi_node),
        cluster: settings.cluster.clone(),
        metadata: parameters.metadata,
    };
    let mut context = parameters.context;
    if origin.is_some() {
        context.insert(MADE_FROM_DATA.to_owned(), "true".to_owned());
    }
    Ok(Create { wanted, context, topology })
}

/// What to copy. Nothing has an id that no cloud gives.
fn origin(source: &VolumeContentSource) -> Result<Origin, Status> {
    const SNAPSHOT: &str = "volume_content_source.snapshot.snapshot_id";
    const VOLUME: &str = "volume_content_source.volume.volume_id";
    match &source.r#type {
        None => Err(invalid("volume_content_source", "a snapshot or a volume is required")),
        Some(Type::Snapshot(snapshot)) => {
            let id = super::id(SNAPSHOT, &snapshot.snapshot_id)?;
            Ok(Origin::Snapshot(id.ok_or_else(|| status::unknown("snapshot", &snapshot.snapshot_id))?))
        }
        Some(Type::Volume(volume)) => {
            let id = super::id(VOLUME, &volume.volume_id)?;
            Ok(Origin::Volume(id.ok_or_else(|| status::unknown("volume", &volume.volume_id))?))
        }
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;
    use crate::csi::proto::VolumeCapability;
    use crate::csi::proto::volume_capability::access_mode::Mode;
    use crate::csi::proto::volume_capability::{AccessMode, AccessType, BlockVolume};
    use crate::csi::proto::volume_content_source::{SnapshotSource, VolumeSource};

    const ID: &str = "6f1f0c66-4c3e-4b7e-9d51-0a1b2c3d4e5f";

    fn request() -> CreateVolumeRequest {
        CreateVolumeRequest {
            name: "pvc-1".to_owned(),
            volume_capabilities: vec![VolumeCapability {
                access_mode: Some(AccessMode { mode: Mode::MultiNodeMultiWriter as i32 }),
                access_type: Some(AccessType::Block(BlockVolume {})),
            }],
            ..CreateVolumeRequest::default()
        }
    }

    fn from(source: Option<Type>) -> CreateVolumeRequest {
        CreateVolumeRequest {
            volume_content_source: Some(VolumeContentSource { r#type: source }),
            ..request()
        }
    }

    fn snapshot(id: &str) -> Option<Type> {
        Some(Type::Snapshot(SnapshotSource { snapshot_id: id.to_owned() }))
    }

    fn volume(id: &str) -> Option<Type> {
        Some(Type::Volume(VolumeSource { volume_id: id.to_owned() }))
    }

    fn checked(request: &CreateVolumeRequest) -> Result<Create, Status> {
        create(request, &ControllerSettings::default())
    }

    #[test]
    fn a_request_becomes_a_wanted_volume() {
        let parameters = HashMap::from([("type".to_owned(), "fast".to_owned())]);
        let create = checked(&CreateVolumeRequest { parameters, ..request() }).unwrap();
        assert_eq!(create.wanted.volume_type.as_deref(), Some("fast"));
        assert!(create.wanted.multiattach && create.wanted.size_is_free);
        assert!(create.context.is_empty() && create.wanted.origin.is_none());
    }

    #[test]
    fn what_can_change_goes_before_what_cannot() {
        let owned = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let create = checked(&CreateVolumeRequest {
            parameters: owned(&[("type", "slow"), ("appendVolumeMetadata", r#"{"tier":"tin","a":"b"}"#)]),
            mutable_parameters: owned(&[("type", "fast"), ("metadata.tier", "gold")]),
            ..request()
        });
        let wanted = create.unwrap().wanted;
        assert_eq!(wanted.volume_type.as_deref(), Some("fast"));
        assert_eq!((wanted.metadata["tier"].as_str(), wanted.metadata["a"].as_str()), ("gold", "b"));
    }

    #[test]
    fn the_node_hears_that_a_copy_is_one() {
        for (source, origin) in [
            (snapshot(ID), Origin::Snapshot(ID.parse().unwrap())),
            (volume(ID), Origin::Volume(ID.parse().unwrap())),
        ] {
            let create = checked(&from(source)).unwrap();
            assert_eq!(create.wanted.origin, Some(origin));
            assert_eq!(create.context["cinder.csi.openstack.org/resizeRequired"], "true");
        }
    }

    #[test]
    fn what_cannot_be_served_is_refused_before_any_call() {
        let bad = [
            (CreateVolumeRequest { name: String::new(), ..request() }, Code::InvalidArgument),
            (CreateVolumeRequest { volume_capabilities: Vec::new(), ..request() }, Code::InvalidArgument),
            (from(None), Code::InvalidArgument),
            (from(snapshot("")), Code::InvalidArgument),
            (from(volume("")), Code::InvalidArgument),
            (from(snapshot("no-uuid")), Code::NotFound),
            (from(volume("no-uuid")), Code::NotFound),
            (
                CreateVolumeRequest {
                    mutable_parameters: HashMap::from([("tpye".to_owned(), "x".to_owned())]),
                    ..request()
                },
                Code::InvalidArgument,
            ),
        ];
        for (request, code) in bad {
            assert_eq!(checked(&request).unwrap_err().code(), code, "{request:?}");
        }
    }
}
