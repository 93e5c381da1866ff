//! CreateVolume becomes a wanted volume.

use std::collections::{BTreeMap, HashMap};

use tonic::Status;

use super::access::{self, Access};
use super::{MKFS_OPTIONS, size, text};
use crate::csi::proto::CreateVolumeRequest;
use crate::csi::status::invalid;
use crate::csi::topology::Topology;
use crate::volume::Wanted;

/// StorageClass parameters, as the existing driver has them.
const TYPE: &str = "type";
const AVAILABILITY: &str = "availability";
const APPEND_METADATA: &str = "appendVolumeMetadata";
/// What the external-provisioner adds (`--extra-create-metadata`), kept as metadata of the volume.
const PROVISIONERS: [&str; 3] =
    ["csi.storage.k8s.io/pvc/name", "csi.storage.k8s.io/pvc/namespace", "csi.storage.k8s.io/pv/name"];
/// Cinder's limit for a metadata key and for a value (`cinder/api/validation/parameter_types.py`).
const LONGEST_METADATA: usize = 255;

/// A checked request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    pub wanted: Wanted,
    /// What the node has to know when it formats.
    pub context: HashMap<String, String>,
}

pub fn create(request: &CreateVolumeRequest, topology: &Topology, cluster: &str) -> Result<Create, Status> {
    let name = text("name", &request.name)?;
    let accesses = access::accesses(&request.volume_capabilities)?;
    let size = size::size(request.capacity_range)?;
    if request.volume_content_source.is_some() {
        return Err(invalid(
            "volume_content_source",
            "isn't served: neither CREATE_DELETE_SNAPSHOT nor CLONE_VOLUME is advertised",
        ));
    }
    if !request.mutable_parameters.is_empty() {
        return Err(invalid("mutable_parameters", "aren't served: MODIFY_VOLUME isn't advertised"));
    }
    let parameter =
        |key: &str| request.parameters.get(key).map(String::as_str).filter(|value| !value.is_empty());
    let wanted = Wanted {
        name: name.to_owned(),
        size: size.required,
        size_limit: size.limit,
        volume_type: parameter(TYPE).map(str::to_owned),
        zone: topology.zones(parameter(AVAILABILITY), request.accessibility_requirements.as_ref()),
        multiattach: accesses.iter().any(Access::is_multi_node),
        cluster: cluster.to_owned(),
        metadata: metadata(request)?,
    };
    let context = parameter(MKFS_OPTIONS).map(|options| (MKFS_OPTIONS.to_owned(), options.to_owned()));
    Ok(Create { wanted, context: context.into_iter().collect() })
}

fn metadata(request: &CreateVolumeRequest) -> Result<BTreeMap<String, String>, Status> {
    const FIELD: &str = "parameters.appendVolumeMetadata";
    let mut metadata: BTreeMap<String, String> =
        match request.parameters.get(APPEND_METADATA).map(String::as_str) {
            None | Some("") => BTreeMap::new(),
            Some(json) => serde_json::from_str(json)
                .map_err(|error| invalid(FIELD, format!("must be a JSON object of strings: {error}")))?,
        };
    for (key, value) in &metadata {
        if key.is_empty() || key.len() > LONGEST_METADATA || value.len() > LONGEST_METADATA {
            return Err(invalid(
                FIELD,
                format!("a key or value is empty or longer than Cinder's {LONGEST_METADATA} characters"),
            ));
        }
        // The driver's own marks decide what may be removed.
        if key.starts_with("cinder.csi.openstack.org/") {
            return Err(invalid(FIELD, format!("{key} is the driver's own")));
        }
    }
    for key in PROVISIONERS {
        if let Some(value) = request.parameters.get(key) {
            metadata.insert(key.to_owned(), value.clone());
        }
    }
    Ok(metadata)
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;
    use crate::csi::proto::volume_capability::access_mode::Mode;
    use crate::csi::proto::volume_capability::{AccessMode, AccessType, BlockVolume};
    use crate::csi::proto::{VolumeCapability, VolumeContentSource};

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

    fn with(key: &str, value: &str) -> CreateVolumeRequest {
        CreateVolumeRequest { parameters: HashMap::from([(key.to_owned(), value.to_owned())]), ..request() }
    }

    fn checked(request: &CreateVolumeRequest) -> Result<Create, Status> {
        create(request, &Topology::default(), "kubernetes")
    }

    #[test]
    fn parameters_become_the_wanted_volume() {
        let mut request = with("type", "fast");
        request.parameters.insert("appendVolumeMetadata".to_owned(), r#"{"iops":"100"}"#.to_owned());
        request.parameters.insert("csi.storage.k8s.io/pvc/name".to_owned(), "data".to_owned());
        request.parameters.insert("mkfs-options".to_owned(), "-E nodiscard".to_owned());
        let create = checked(&request).unwrap();
        assert_eq!(create.wanted.volume_type.as_deref(), Some("fast"));
        assert_eq!(create.wanted.metadata["iops"], "100");
        assert_eq!(create.wanted.metadata["csi.storage.k8s.io/pvc/name"], "data");
        assert_eq!(create.context["mkfs-options"], "-E nodiscard");
        assert!(create.wanted.multiattach);
    }

    #[test]
    fn what_cannot_be_served_is_refused_before_any_call() {
        let bad = [
            CreateVolumeRequest { name: String::new(), ..request() },
            CreateVolumeRequest { volume_capabilities: Vec::new(), ..request() },
            CreateVolumeRequest { volume_content_source: Some(VolumeContentSource::default()), ..request() },
            CreateVolumeRequest {
                mutable_parameters: HashMap::from([("type".to_owned(), "x".to_owned())]),
                ..request()
            },
            with("appendVolumeMetadata", "[1]"),
            with("appendVolumeMetadata", r#"{"a":1}"#),
            with("appendVolumeMetadata", r#"{"cinder.csi.openstack.org/settled":"true"}"#),
        ];
        for request in bad {
            assert_eq!(checked(&request).unwrap_err().code(), Code::InvalidArgument, "{request:?}");
        }
    }
}
