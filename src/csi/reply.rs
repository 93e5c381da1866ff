//! Volumes as CSI shows them.

use std::collections::HashMap;

use super::proto;
use super::topology::Topology;
use crate::volume::{GIB, Listed, Room, Volume};

/// A volume that CreateVolume answers.
pub fn created(
    volume: &Volume,
    context: HashMap<String, String>,
    topology: &Topology,
    required: Option<&proto::TopologyRequirement>,
) -> proto::Volume {
    proto::Volume {
        volume_context: context,
        accessible_topology: topology.of_volume(volume.availability_zone.as_deref(), required),
        ..shown(&Listed::from(volume))
    }
}

/// Only nodes with this label are in the volume's cloud.
pub fn in_cloud(volume: &mut proto::Volume, (key, name): (&str, &str)) {
    let terms = &mut volume.accessible_topology;
    terms.retain(|term| term.segments.get(key).is_none_or(|value| value == name));
    for term in terms {
        term.segments.insert(key.to_owned(), name.to_owned());
    }
}

/// A volume that somebody asks about: its context was the creator's to know.
pub fn shown(volume: &Listed) -> proto::Volume {
    proto::Volume {
        volume_id: volume.id.to_string(),
        capacity_bytes: bytes(volume.size),
        ..proto::Volume::default()
    }
}

pub fn entry(listed: &Listed) -> proto::list_volumes_response::Entry {
    proto::list_volumes_response::Entry {
        volume: Some(shown(listed)),
        status: Some(proto::list_volumes_response::VolumeStatus {
            published_node_ids: listed.published.iter().map(ToString::to_string).collect(),
        }),
    }
}

/// Cinder has whole GiB, so that one is the smallest volume.
pub fn capacity(room: Room) -> proto::GetCapacityResponse {
    proto::GetCapacityResponse {
        available_capacity: bytes(room.available),
        maximum_volume_size: Some(bytes(room.largest)),
        minimum_volume_size: Some(bytes(1)),
    }
}

/// Cinder's sizes have 31 bits, so the product fits.
pub fn bytes(gib: u64) -> i64 {
    i64::try_from(gib.saturating_mul(GIB)).unwrap_or(i64::MAX)
}
