//! A volume on a node of the lab, as a kubelet puts it there.

#![allow(dead_code, reason = "each test crate uses its part of the bed")]

use std::collections::HashMap;
use std::path::PathBuf;

use cinder_csi::csi::proto::volume_capability::{AccessType, BlockVolume};
use cinder_csi::csi::proto::*;
use tonic::Status;

use crate::bed::{Driver, capability, within};

pub struct OnNode<'a> {
    pub driver: &'a Driver,
    pub volume: String,
    pub capability: VolumeCapability,
    pub publish_context: HashMap<String, String>,
    pub volume_context: HashMap<String, String>,
}

pub fn raw() -> VolumeCapability {
    VolumeCapability { access_type: Some(AccessType::Block(BlockVolume {})), ..capability("") }
}

impl<'a> OnNode<'a> {
    /// Attached to the server.
    pub async fn attach(
        driver: &'a Driver,
        server: &str,
        volume: &str,
        capability: VolumeCapability,
    ) -> Self {
        let publish_context = driver.publish(volume, server, 60).await.unwrap();
        let volume = volume.to_owned();
        Self { driver, volume, capability, publish_context, volume_context: HashMap::new() }
    }

    pub fn staging(&self) -> PathBuf {
        self.driver.directory.path().join(format!("staging-{}", self.volume))
    }

    pub fn target(&self) -> PathBuf {
        self.driver.directory.path().join(format!("target-{}", self.volume))
    }

    pub async fn stage(&self) -> Result<(), Status> {
        std::fs::create_dir_all(self.staging()).unwrap();
        let request = NodeStageVolumeRequest {
            volume_id: self.volume.clone(),
            publish_context: self.publish_context.clone(),
            staging_target_path: self.staging().display().to_string(),
            volume_capability: Some(self.capability.clone()),
            volume_context: self.volume_context.clone(),
            ..Default::default()
        };
        self.driver.node.clone().node_stage_volume(within(60, request)).await.map(drop)
    }

    pub async fn publish(&self) {
        let request = NodePublishVolumeRequest {
            volume_id: self.volume.clone(),
            publish_context: self.publish_context.clone(),
            staging_target_path: self.staging().display().to_string(),
            target_path: self.target().display().to_string(),
            volume_capability: Some(self.capability.clone()),
            volume_context: self.volume_context.clone(),
            ..Default::default()
        };
        self.driver.node.clone().node_publish_volume(within(60, request)).await.unwrap();
    }

    pub async fn unpublish(&self) {
        let request = NodeUnpublishVolumeRequest {
            volume_id: self.volume.clone(),
            target_path: self.target().display().to_string(),
        };
        self.driver.node.clone().node_unpublish_volume(within(60, request)).await.unwrap();
    }

    pub async fn unstage(&self) {
        let request = NodeUnstageVolumeRequest {
            volume_id: self.volume.clone(),
            staging_target_path: self.staging().display().to_string(),
        };
        self.driver.node.clone().node_unstage_volume(within(60, request)).await.unwrap();
    }

    pub async fn expand(&self, gib: i64) -> i64 {
        let request = NodeExpandVolumeRequest {
            volume_id: self.volume.clone(),
            volume_path: self.staging().display().to_string(),
            staging_target_path: self.staging().display().to_string(),
            capacity_range: Some(CapacityRange { required_bytes: gib << 30, limit_bytes: 0 }),
            ..Default::default()
        };
        self.driver
            .node
            .clone()
            .node_expand_volume(within(60, request))
            .await
            .unwrap()
            .into_inner()
            .capacity_bytes
    }

    /// What is wrong with it there. `published`: at its target, too.
    pub async fn health(&self, published: bool) -> Vec<volume_health::VolumeHealthEntry> {
        let target = if published { self.target().display().to_string() } else { String::new() };
        let request = NodeGetVolumeHealthRequest {
            volume_id: self.volume.clone(),
            volume_publish_path: target,
            staging_target_path: self.staging().display().to_string(),
        };
        let answer = self.driver.node.clone().node_get_volume_health(within(30, request)).await.unwrap();
        answer.into_inner().volume_health.unwrap().health_statuses
    }
}
