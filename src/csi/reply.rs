//! Volumes, snapshots, capacity and health as CSI shows them.

use jiff::Timestamp;

use super::proto;
use super::request::create::Create;
use crate::volume::{Ailment, CutGroup, GIB, Listed, Room, Saved, Severity, Volume, VolumeId};

/// A volume that CreateVolume answers, to a request that was for it.
pub fn created(volume: &Volume, create: Create, request: &proto::CreateVolumeRequest) -> proto::Volume {
    let required = request.accessibility_requirements.as_ref();
    proto::Volume {
        volume_context: create.context,
        content_source: request.volume_content_source.clone(),
        accessible_topology: create.topology.of_volume(volume.availability_zone.as_deref(), required),
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

/// A snapshot with the places from where the volumes made of it can be reached.
pub fn snapshot(saved: &Saved, accessible_topology: Vec<proto::Topology>) -> proto::Snapshot {
    proto::Snapshot {
        snapshot_id: saved.id().to_string(),
        source_volume_id: saved.source().to_string(),
        size_bytes: bytes(saved.size()),
        creation_time: Some(time(saved.taken_at())),
        ready_to_use: saved.is_ready(),
        group_snapshot_id: saved.group().map(|group| group.to_string()).unwrap_or_default(),
        accessible_topology,
    }
}

/// A snapshot of several volumes: its members were cut when it was.
pub fn group(group: &CutGroup, members: Vec<proto::Snapshot>) -> proto::VolumeGroupSnapshot {
    proto::VolumeGroupSnapshot {
        group_snapshot_id: group.cut.id.to_string(),
        snapshots: members,
        creation_time: Some(time(group.cut.created_at.unwrap_or_default())),
        ready_to_use: group.is_ready(),
    }
}

fn time(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() }
}

/// Cinder has whole GiB, so that one is the smallest volume.
pub fn capacity(room: Room) -> proto::GetCapacityResponse {
    proto::GetCapacityResponse {
        available_capacity: bytes(room.available),
        maximum_volume_size: Some(bytes(room.largest)),
        minimum_volume_size: Some(bytes(1)),
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
