//! A user of another identity provider on a real Keystone, Cinder and Nova: `tests/run openstack` starts them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by them")]
#![allow(dead_code, reason = "it uses its part of the bed")]

#[path = "openstack_driver/bed.rs"]
mod bed;

use bed::{Lab, create_request, within};
use cinder_csi::csi::proto::*;

/// Everything that a client gets a token for: Cinder takes the one of the project, whoever vouched for its user.
#[tokio::test]
async fn a_client_of_an_identity_provider_makes_and_deletes_a_volume() {
    let lab = Lab::take().await;
    let directory = tempfile::tempdir().unwrap();
    let conf = directory.path().join("cloud.conf");
    let clouds = lab.path("clouds.yaml");
    let text =
        format!("[Global]\nuse-clouds = true\nclouds-file = {}\ncloud = lab-federated\n", clouds.display());
    std::fs::write(&conf, text).unwrap();
    let driver = lab.driver_with(&conf, "NODE_1", &["--cluster=openstack-driver-test"]).await;
    let mut controller = driver.controller.clone();
    let created = controller.create_volume(within(60, create_request("federated"))).await.unwrap();
    let volume_id = created.into_inner().volume.unwrap().volume_id;
    let request = DeleteVolumeRequest { volume_id, ..Default::default() };
    controller.delete_volume(within(60, request)).await.unwrap();
}
