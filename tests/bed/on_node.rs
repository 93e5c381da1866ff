//! A volume on a node of the lab, as a kubelet puts it there.

#![allow(dead_code, reason = "each test crate uses its part of the bed")]

use std::collections::HashMap;
use std::path::PathBuf;

use cinder_csi::csi::proto::*;
use tonic::Status;

use crate::bed::calls::Place;
use crate::bed::{Driver, within};

pub struct OnNode<'a> {
    driver: &'a Driver,
    pub place: Place,
}

impl<'a> OnNode<'a> {
    /// As if it were attached.
    pub fn new(
        driver: &'a Driver,
        volume: &str,
        capability: VolumeCapability,
        publish_context: HashMap<String, String>,
    ) -> Self {
        let path = |kind| driver.directory.path().join(format!("{kind}-{volume}")).display().to_string();
        let place = Place {
            volume: volume.to_owned(),
            capability,
            publish_context,
            volume_context: HashMap::new(),
            staging: path("staging"),
            target: path("target"),
        };
        Self { driver, place }
    }

    /// Attached to the server.
    pub async fn attach(
        driver: &'a Driver,
        server: &str,
        volume: &str,
        capability: VolumeCapability,
    ) -> Self {
        let publish_context = driver.attach(volume, server, 60).await.unwrap();
        Self::new(driver, volume, capability, publish_context)
    }

    pub fn staging(&self) -> PathBuf {
        self.place.staging.clone().into()
    }

    pub fn target(&self) -> PathBuf {
        self.place.target.clone().into()
    }

    pub async fn stage(&self) -> Result<(), Status> {
        std::fs::create_dir_all(self.staging()).unwrap();
        self.driver.calls(60).stage(&self.place).await
    }

    pub async fn publish(&self) {
        self.driver.calls(60).publish(&self.place).await.unwrap();
    }

    pub async fn unpublish(&self) {
        self.driver.calls(60).unpublish(&self.place).await.unwrap();
    }

    pub async fn unstage(&self) {
        self.driver.calls(60).unstage(&self.place).await.unwrap();
    }

    /// Where it is staged, published or not.
    pub async fn expand(&self, gib: i64) -> i64 {
        let place = Place { target: self.place.staging.clone(), ..self.place.clone() };
        self.driver.calls(60).node_expand(&place, gib << 30).await.unwrap()
    }

    /// What is wrong with it there. `published`: at its target, too.
    pub async fn health(&self, published: bool) -> Vec<volume_health::VolumeHealthEntry> {
        let target = if published { self.place.target.clone() } else { String::new() };
        let request = NodeGetVolumeHealthRequest {
            volume_id: self.place.volume.clone(),
            volume_publish_path: target,
            staging_target_path: self.place.staging.clone(),
        };
        let answer = self.driver.node.clone().node_get_volume_health(within(30, request)).await.unwrap();
        answer.into_inner().volume_health.unwrap().health_statuses
    }
}
