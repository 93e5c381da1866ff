//! A volume on a node of the lab, as a kubelet puts it there.

#![allow(dead_code, reason = "each test crate uses its part of the bed")]

use std::collections::HashMap;
use std::path::PathBuf;

use cinder_csi::csi::proto::*;
use tonic::Status;

use crate::bed::calls::Place;
use crate::bed::{Driver, within};

pub struct OnNode<'a> {
    pub driver: &'a Driver,
    pub volume: String,
    pub capability: VolumeCapability,
    pub publish_context: HashMap<String, String>,
    pub volume_context: HashMap<String, String>,
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
        self.driver.calls(60).stage(&self.place()).await
    }

    pub async fn publish(&self) {
        self.driver.calls(60).publish(&self.place()).await.unwrap();
    }

    pub async fn unpublish(&self) {
        self.driver.calls(60).unpublish(&self.place()).await.unwrap();
    }

    pub async fn unstage(&self) {
        self.driver.calls(60).unstage(&self.place()).await.unwrap();
    }

    /// Where it is staged, published or not.
    pub async fn expand(&self, gib: i64) -> i64 {
        let place = Place { target: self.staging().display().to_string(), ..self.place() };
        self.driver.calls(60).grow(&place, gib << 30).await.unwrap()
    }

    fn place(&self) -> Place {
        Place {
            volume: self.volume.clone(),
            capability: self.capability.clone(),
            publish_context: self.publish_context.clone(),
            volume_context: self.volume_context.clone(),
            staging: self.staging().display().to_string(),
            target: self.target().display().to_string(),
        }
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
