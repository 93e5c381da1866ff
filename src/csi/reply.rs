//! Volumes as CSI shows them.

use std::collections::HashMap;

use super::proto;
use super::topology::Topology;
use crate::volume::{Ailment, GIB, Listed, Severity, Volume, VolumeId};

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
        ..shown(volume)
    }
}

/// A volume that somebody asks about: its context was the creator's to know.
pub fn shown(volume: &Volume) -> proto::Volume {
    proto::Volume {
        volume_id: volume.id.to_string(),
        capacity_bytes: bytes(volume.size),
        ..proto::Volume::default()
    }
}

pub fn entry(listed: &Listed) -> proto::list_volumes_response::Entry {
    proto::list_volumes_response::Entry {
        volume: Some(shown(&listed.volume)),
        status: Some(proto::list_volumes_response::VolumeStatus {
            published_node_ids: listed.published.iter().map(ToString::to_string).collect(),
        }),
    }
}

/// What is wrong with a volume.
pub fn health(volume: VolumeId, ailments: Vec<Ailment>) -> proto::VolumeHealth {
    let entry = |ailment: Ailment| proto::volume_health::VolumeHealthEntry {
        status: match ailment.reason.severity() {
            Severity::Degraded => proto::VolumeHealthErrorType::Degraded,
            Severity::Inaccessible => proto::VolumeHealthErrorType::Inaccessible,
            Severity::DataLoss => proto::VolumeHealthErrorType::DataLoss,
        } as i32,
        reason: ailment.reason.to_string(),
        message: ailment.message,
    };
    proto::VolumeHealth {
        volume_id: volume.to_string(),
        health_statuses: ailments.into_iter().map(entry).collect(),
    }
}

/// Cinder's sizes have 31 bits, so the product fits.
pub fn bytes(gib: u64) -> i64 {
    i64::try_from(gib.saturating_mul(GIB)).unwrap_or(i64::MAX)
}
