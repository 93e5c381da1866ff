//! CreateVolume as a provisioner asks for it.

#![allow(dead_code, reason = "each test crate uses its part of the bed")]
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::time::Duration;

use cinder_csi::csi::proto::volume_capability::access_mode::Mode;
use cinder_csi::csi::proto::volume_capability::{AccessMode, AccessType, BlockVolume, MountVolume};
use cinder_csi::csi::proto::volume_content_source::{SnapshotSource, Type, VolumeSource};
use cinder_csi::csi::proto::*;
use tonic::{Request, Status};

use crate::driver::Driver;

pub const ZONE: &str = "topology.cinder.csi.openstack.org/zone";

pub fn volume(name: &str) -> CreateVolumeRequest {
    CreateVolumeRequest {
        name: name.to_owned(),
        volume_capabilities: vec![mount(Mode::SingleNodeWriter)],
        ..Default::default()
    }
}

pub fn mount(mode: Mode) -> VolumeCapability {
    capability(mode, AccessType::Mount(MountVolume::default()))
}

pub fn block(mode: Mode) -> VolumeCapability {
    capability(mode, AccessType::Block(BlockVolume {}))
}

fn capability(mode: Mode, access_type: AccessType) -> VolumeCapability {
    VolumeCapability { access_mode: Some(AccessMode { mode: mode as i32 }), access_type: Some(access_type) }
}

pub fn of_snapshot(id: &str) -> Option<VolumeContentSource> {
    let snapshot = SnapshotSource { snapshot_id: id.to_owned() };
    Some(VolumeContentSource { r#type: Some(Type::Snapshot(snapshot)) })
}

pub fn of_volume(id: &str) -> Option<VolumeContentSource> {
    let volume = VolumeSource { volume_id: id.to_owned() };
    Some(VolumeContentSource { r#type: Some(Type::Volume(volume)) })
}

pub fn gib(required: i64, limit: i64) -> Option<CapacityRange> {
    Some(CapacityRange { required_bytes: required << 30, limit_bytes: limit << 30 })
}

pub fn terms(zones: &[&str]) -> Vec<Topology> {
    let term = |zone: &&str| Topology { segments: [(ZONE.to_owned(), (*zone).to_owned())].into() };
    zones.iter().map(term).collect()
}

/// Any of these zones, the first one first.
pub fn zones(zones: &[&str]) -> Option<TopologyRequirement> {
    let mut requisite = terms(zones);
    requisite.reverse();
    Some(TopologyRequirement { requisite, preferred: terms(zones) })
}

pub fn parameters(pairs: &[(&str, &str)]) -> std::collections::HashMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// From a caller that waits for a minute.
pub async fn create(driver: &Driver, request: CreateVolumeRequest) -> Result<Volume, Status> {
    let mut request = Request::new(request);
    request.set_timeout(Duration::from_secs(60));
    Ok(driver.controller().create_volume(request).await?.into_inner().volume.unwrap())
}
