//! What sidecars ask of a driver.

use std::collections::HashMap;

use cinder_csi::csi::proto::volume_capability::access_mode::Mode;
use cinder_csi::csi::proto::volume_capability::{AccessMode, AccessType, BlockVolume};
use cinder_csi::csi::proto::*;
use tonic::Status;

use crate::driver::Driver;

pub const ZONE: &str = "topology.cinder.csi.openstack.org/zone";

/// What a StorageClass of one kind asks for: the same for every cloud.
pub fn wanted(name: &str, zones: &[&str]) -> CreateVolumeRequest {
    let term = |zone: &&str| Topology { segments: [(ZONE.to_owned(), (*zone).to_owned())].into() };
    let terms: Vec<_> = zones.iter().map(term).collect();
    CreateVolumeRequest {
        name: name.to_owned(),
        volume_capabilities: vec![block()],
        accessibility_requirements: Some(TopologyRequirement { requisite: terms.clone(), preferred: terms }),
        ..Default::default()
    }
}

pub fn block() -> VolumeCapability {
    VolumeCapability {
        access_mode: Some(AccessMode { mode: Mode::SingleNodeWriter as i32 }),
        access_type: Some(AccessType::Block(BlockVolume {})),
    }
}

pub fn naming(cloud: &str) -> HashMap<String, String> {
    HashMap::from([("cloud".to_owned(), cloud.to_owned())])
}

pub async fn create(driver: &Driver, request: CreateVolumeRequest) -> Result<Volume, Status> {
    Ok(driver.controller().create_volume(request).await?.into_inner().volume.unwrap())
}

pub async fn publish(driver: &Driver, volume: &str, server: impl ToString) -> Result<(), Status> {
    let request = ControllerPublishVolumeRequest {
        volume_id: volume.to_owned(),
        node_id: server.to_string(),
        volume_capability: Some(block()),
        ..Default::default()
    };
    driver.controller().controller_publish_volume(request).await.map(drop)
}

pub async fn unpublish(driver: &Driver, volume: &str, server: impl ToString) -> Result<(), Status> {
    let request = ControllerUnpublishVolumeRequest {
        volume_id: volume.to_owned(),
        node_id: server.to_string(),
        ..Default::default()
    };
    driver.controller().controller_unpublish_volume(request).await.map(drop)
}

pub async fn expand(driver: &Driver, volume: &str) -> Result<i64, Status> {
    let request = ControllerExpandVolumeRequest {
        volume_id: volume.to_owned(),
        capacity_range: Some(CapacityRange { required_bytes: 2 << 30, limit_bytes: 0 }),
        ..Default::default()
    };
    Ok(driver.controller().controller_expand_volume(request).await?.into_inner().capacity_bytes)
}

pub async fn delete(driver: &Driver, volume: &str, secrets: HashMap<String, String>) -> Result<(), Status> {
    let request = DeleteVolumeRequest { volume_id: volume.to_owned(), secrets };
    driver.controller().delete_volume(request).await.map(drop)
}
