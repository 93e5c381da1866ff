//! What a request says of the cloud that it is for.

use std::collections::HashMap;

use tonic::Status;

use crate::csi::proto::volume_content_source::Type;
use crate::csi::proto::{CreateVolumeRequest, GetCapacityRequest, TopologyRequirement};
use crate::csi::status::invalid;
use crate::csi::topology::ZONE;
use crate::volume::Thing;

/// Of the secrets, as the existing driver has it, and of a StorageClass.
const CLOUD: &str = "cloud";

/// A cloud's name, and who says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named<'a> {
    pub cloud: &'a str,
    pub field: &'static str,
}

/// What CreateVolume says of the cloud.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish<'a> {
    pub named: Option<Named<'a>>,
    /// What the volume is made from.
    pub source: Option<Thing>,
    /// The topology asked for, the preferred terms first, without the zones: a node may tell its cloud by
    /// `--additional-topology`, as the existing driver's users have it
    /// (<https://github.com/kubernetes/cloud-provider-openstack/blob/master/docs/cinder-csi-plugin/multi-region-clouds.md>).
    pub segments: Vec<(&'a str, &'a str)>,
}

/// The cloud that the caller's secrets pick; an empty name is none.
pub fn secret(secrets: &HashMap<String, String>) -> Option<Named<'_>> {
    of("secrets.cloud", secrets)
}

/// The cloud that a class's parameters pick.
pub fn parameter(parameters: &HashMap<String, String>) -> Option<Named<'_>> {
    of("parameters.cloud", parameters)
}

/// The cloud that the caller's secrets pick, or a class's parameters, which must agree.
pub fn named<'a>(
    secrets: &'a HashMap<String, String>,
    parameters: &'a HashMap<String, String>,
) -> Result<Option<Named<'a>>, Status> {
    match (secret(secrets), parameter(parameters)) {
        (Some(secret), Some(parameter)) if secret.cloud != parameter.cloud => {
            let why = format!("says {:?} and {} says {:?}", parameter.cloud, secret.field, secret.cloud);
            Err(invalid(parameter.field, why))
        }
        (secret, parameter) => Ok(secret.or(parameter)),
    }
}

pub fn wish(request: &CreateVolumeRequest) -> Result<Wish<'_>, Status> {
    let named = named(&request.secrets, &request.parameters)?;
    // An id that no cloud gives is nobody's.
    let source = request.volume_content_source.as_ref().and_then(|source| match source.r#type.as_ref()? {
        Type::Volume(volume) => volume.volume_id.parse().ok().map(Thing::Volume),
        Type::Snapshot(snapshot) => snapshot.snapshot_id.parse().ok().map(Thing::Snapshot),
    });
    let segments = segments(request.accessibility_requirements.as_ref());
    Ok(Wish { named, source, segments })
}

/// What GetCapacity says of the cloud. It has no secrets.
pub fn of_room(request: &GetCapacityRequest) -> Wish<'_> {
    let segments = request.accessible_topology.iter().flat_map(|term| &term.segments);
    Wish { named: parameter(&request.parameters), source: None, segments: without_zones(segments) }
}

fn segments(required: Option<&TopologyRequirement>) -> Vec<(&str, &str)> {
    let terms =
        required.into_iter().flat_map(|required| required.preferred.iter().chain(&required.requisite));
    without_zones(terms.flat_map(|term| &term.segments))
}

fn without_zones<'a>(segments: impl Iterator<Item = (&'a String, &'a String)>) -> Vec<(&'a str, &'a str)> {
    segments.filter(|(key, _)| *key != ZONE).map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

fn of<'a>(field: &'static str, values: &'a HashMap<String, String>) -> Option<Named<'a>> {
    let cloud = values.get(CLOUD).map(String::as_str).filter(|name| !name.is_empty())?;
    Some(Named { cloud, field })
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    fn request(secret: &str, parameter: &str) -> CreateVolumeRequest {
        let map = |value: &str| HashMap::from([(CLOUD.to_owned(), value.to_owned())]);
        CreateVolumeRequest { secrets: map(secret), parameters: map(parameter), ..Default::default() }
    }

    #[test]
    fn secrets_and_parameters_name_a_cloud_and_must_agree() {
        for (secret, parameter, expected) in [
            ("", "", None),
            ("east", "", Some(("east", "secrets.cloud"))),
            ("", "east", Some(("east", "parameters.cloud"))),
            ("east", "east", Some(("east", "secrets.cloud"))),
        ] {
            let request = request(secret, parameter);
            let named = wish(&request).unwrap().named;
            assert_eq!(named.map(|named| (named.cloud, named.field)), expected);
        }
        let status = wish(&request("east", "west")).unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().starts_with("parameters.cloud: "), "{status}");
    }
}
