//! What a node says of a volume with something wrong, on disks that a real Cinder and Nova attached: `tests/run
//! openstack` starts them.

#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by them")]
#![allow(dead_code, reason = "it uses its part of the bed")]

#[path = "openstack_driver/bed.rs"]
mod bed;
#[path = "sandbox_cloud/client.rs"]
mod client;
#[path = "bed/on_node.rs"]
mod on_node;
#[path = "bed/others.rs"]
mod others;

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::Command;

use bed::calls::RAW;
use bed::{Lab, capability, create_request, within};
use cinder_csi::csi::proto::*;
use on_node::OnNode;
use others::{path, tenant};
use tonic::Code;

async fn reasons(on_node: &OnNode<'_>, published: bool) -> Vec<String> {
    on_node.health(published).await.into_iter().map(|entry| entry.reason).collect()
}

fn run(command: &str, arguments: &[&str], paths: &[&Path]) {
    #[allow(clippy::disallowed_methods, reason = "what a person does to the node and its storage")]
    let done = Command::new(command).args(arguments).args(paths).status();
    assert!(done.unwrap().success(), "{command}");
}

/// Over what is at `to`, which stays the same file.
fn copy(from: &Path, to: &Path) {
    run("cp", &["--sparse=always"], &[from, to]);
}

#[tokio::test]
async fn a_disk_that_nova_took_away_is_told_and_one_that_it_gives_again_is_well() {
    let lab = Lab::take().await;
    let (driver, server, tenant) = (lab.driver("NODE_1").await, lab.server("NODE_1"), tenant(&lab).await);
    let volume = driver.create(create_request("node-health-taken")).await.unwrap();
    let on_node = OnNode::attach(&driver, &server, &volume, capability(RAW)).await;
    on_node.stage().await.unwrap();
    on_node.publish().await;
    assert_eq!(reasons(&on_node, true).await, [""; 0]);
    // Nobody has the disk open, so that it goes at once.
    assert_eq!(tenant.detach(&server, &volume).await.code, 202);
    tenant.until(&path(&volume), "available").await;
    // A loop device whose file is taken from it stays, and can't be read. Another one's disk would be gone.
    assert_eq!(reasons(&on_node, true).await, ["DeviceUnreadable"]);
    on_node.unpublish().await;
    on_node.unstage().await;
    let on_node = OnNode::attach(&driver, &server, &volume, capability(RAW)).await;
    on_node.stage().await.unwrap();
    on_node.publish().await;
    assert_eq!(reasons(&on_node, true).await, [""; 0]);
    on_node.unpublish().await;
    on_node.unstage().await;
    driver.detach(&volume, &server).await;
    driver.delete(&volume).await;
}

/// The file of a volume in the lab's storage.
fn file_of(lab: &Lab, volume: &str) -> PathBuf {
    lab.path("state/volumes/az1").join(format!("volume-{volume}"))
}

#[tokio::test]
async fn a_disk_that_its_storage_lost_is_told_until_it_is_back() {
    let lab = Lab::take().await;
    let (driver, server) = (lab.driver("NODE_1").await, lab.server("NODE_1"));
    let volume = driver.create(create_request("node-health-lost")).await.unwrap();
    let on_node = OnNode::attach(&driver, &server, &volume, capability("ext4")).await;
    on_node.stage().await.unwrap();
    assert_eq!(reasons(&on_node, false).await, [""; 0]);
    let file = file_of(&lab, &volume);
    on_node.unstage().await;
    let kept = driver.directory.path().join("kept");
    copy(&file, &kept);
    OpenOptions::new().write(true).open(&file).unwrap().set_len(0).unwrap();
    let told = on_node.health(false).await;
    assert_eq!(told[0].status(), VolumeHealthErrorType::Inaccessible);
    assert_eq!(told[0].reason, "DeviceUnreadable");
    assert_eq!(on_node.stage().await.unwrap_err().code(), Code::Internal);
    copy(&kept, &file);
    on_node.stage().await.unwrap();
    assert_eq!(reasons(&on_node, false).await, [""; 0]);
    on_node.unstage().await;
    driver.detach(&volume, &server).await;
    driver.delete(&volume).await;
}

#[tokio::test]
async fn a_file_system_that_ended_its_work_is_told_until_it_is_staged_again() {
    let lab = Lab::take().await;
    let (driver, server) = (lab.driver("NODE_1").await, lab.server("NODE_1"));
    let volume = driver.create(create_request("node-health-shut")).await.unwrap();
    let on_node = OnNode::attach(&driver, &server, &volume, capability("xfs")).await;
    on_node.stage().await.unwrap();
    on_node.publish().await;
    assert_eq!(reasons(&on_node, true).await, [""; 0]);
    run("xfs_io", &["-x", "-c", "shutdown"], &[&on_node.staging()]);
    let told = on_node.health(true).await;
    assert_eq!(told[0].status(), VolumeHealthErrorType::Inaccessible);
    assert_eq!((told.len(), told[0].reason.as_str()), (1, "FileSystemShutDown"));
    on_node.unpublish().await;
    on_node.unstage().await;
    assert_eq!(reasons(&on_node, false).await, ["NotMounted"]);
    on_node.stage().await.unwrap();
    on_node.publish().await;
    assert_eq!(reasons(&on_node, true).await, [""; 0]);
    on_node.unpublish().await;
    on_node.unstage().await;
    driver.detach(&volume, &server).await;
    driver.delete(&volume).await;
}

#[tokio::test]
async fn a_volume_that_the_node_has_not_is_unknown_to_it() {
    let lab = Lab::take().await;
    let driver = lab.driver("NODE_1").await;
    let volume = driver.create(create_request("node-health-elsewhere")).await.unwrap();
    let request = NodeGetVolumeHealthRequest { volume_id: volume.clone(), ..Default::default() };
    let status = driver.node.clone().node_get_volume_health(within(10, request)).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "{status}");
    driver.delete(&volume).await;
}
