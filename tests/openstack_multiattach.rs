//! Volumes for several servers, with the driver's own binary on a real OpenStack: `tests/run openstack` starts it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by them")]

#[path = "openstack_driver/bed.rs"]
mod bed;

use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use bed::{Driver, Lab, capability, create_request, within};
use cinder_csi::csi::proto::volume_capability::access_mode::Mode;
use cinder_csi::csi::proto::volume_capability::{AccessMode, AccessType, BlockVolume};
use cinder_csi::csi::proto::*;
use tonic::{Code, Status};

fn shared(capability: VolumeCapability) -> VolumeCapability {
    VolumeCapability {
        access_mode: Some(AccessMode { mode: Mode::MultiNodeMultiWriter as i32 }),
        ..capability
    }
}

fn block() -> VolumeCapability {
    shared(VolumeCapability { access_type: Some(AccessType::Block(BlockVolume {})), access_mode: None })
}

async fn attach(
    driver: &Driver,
    volume: &str,
    server: &str,
    capability: VolumeCapability,
) -> Result<HashMap<String, String>, Status> {
    let request = ControllerPublishVolumeRequest {
        volume_id: volume.to_owned(),
        node_id: server.to_owned(),
        volume_capability: Some(capability),
        ..ControllerPublishVolumeRequest::default()
    };
    Ok(driver
        .controller
        .clone()
        .controller_publish_volume(within(60, request))
        .await?
        .into_inner()
        .publish_context)
}

/// The volume as a raw device of this node, at the path that is returned.
async fn show(driver: &Driver, volume: &str, context: HashMap<String, String>) -> PathBuf {
    let staging = driver.directory.path().join("staging");
    let target = driver.directory.path().join("disk");
    std::fs::create_dir_all(&staging).unwrap();
    let stage = NodeStageVolumeRequest {
        volume_id: volume.to_owned(),
        publish_context: context.clone(),
        staging_target_path: staging.display().to_string(),
        volume_capability: Some(block()),
        ..NodeStageVolumeRequest::default()
    };
    driver.node.clone().node_stage_volume(within(60, stage)).await.unwrap();
    let publish = NodePublishVolumeRequest {
        volume_id: volume.to_owned(),
        publish_context: context,
        staging_target_path: staging.display().to_string(),
        target_path: target.display().to_string(),
        volume_capability: Some(block()),
        ..NodePublishVolumeRequest::default()
    };
    driver.node.clone().node_publish_volume(within(60, publish)).await.unwrap();
    target
}

async fn hide(driver: &Driver, volume: &str) {
    let unpublish = NodeUnpublishVolumeRequest {
        volume_id: volume.to_owned(),
        target_path: driver.directory.path().join("disk").display().to_string(),
    };
    driver.node.clone().node_unpublish_volume(within(60, unpublish)).await.unwrap();
    let unstage = NodeUnstageVolumeRequest {
        volume_id: volume.to_owned(),
        staging_target_path: driver.directory.path().join("staging").display().to_string(),
    };
    driver.node.clone().node_unstage_volume(within(60, unstage)).await.unwrap();
}

/// Past the page cache: the other server has its own.
const DIRECT: i32 = 0o40000;

/// Memory that O_DIRECT takes begins at a sector.
#[repr(align(4096))]
struct Sector([u8; 4096]);

fn write(disk: &Path, byte: u8) {
    let mut disk = std::fs::OpenOptions::new().write(true).custom_flags(DIRECT).open(disk).unwrap();
    disk.seek(SeekFrom::Start(8 << 20)).unwrap();
    disk.write_all(&Sector([byte; 4096]).0).unwrap();
    disk.sync_all().unwrap();
}

fn read(disk: &Path) -> [u8; 4096] {
    let mut disk = std::fs::OpenOptions::new().read(true).custom_flags(DIRECT).open(disk).unwrap();
    disk.seek(SeekFrom::Start(8 << 20)).unwrap();
    let mut sector = Sector([0; 4096]);
    disk.read_exact(&mut sector.0).unwrap();
    sector.0
}

fn request(name: &str, capability: VolumeCapability) -> CreateVolumeRequest {
    CreateVolumeRequest {
        parameters: [("type".to_owned(), "lab-multiattach".to_owned())].into(),
        volume_capabilities: vec![capability],
        ..create_request(name)
    }
}

#[tokio::test]
async fn a_raw_disk_of_two_servers_shows_each_what_the_other_writes() {
    let lab = Lab::take().await;
    let (one, other) = (lab.driver("NODE_1").await, lab.driver("NODE_2").await);
    let (first, second) = (lab.server("NODE_1"), lab.server("NODE_2"));
    let volume = one.create(request("multiattach-raw", block())).await.unwrap();
    let here = show(&one, &volume, attach(&one, &volume, &first, block()).await.unwrap()).await;
    let there = show(&other, &volume, attach(&one, &volume, &second, block()).await.unwrap()).await;
    let mut servers = one.published(&volume).await;
    servers.sort();
    let mut both = vec![first.clone(), second.clone()];
    both.sort();
    assert_eq!(servers, both);
    write(&here, 7);
    assert_eq!(read(&there), [7; 4096]);
    write(&there, 9);
    assert_eq!(read(&here), [9; 4096]);
    hide(&one, &volume).await;
    one.detach(&volume, &first).await;
    assert_eq!(one.published(&volume).await, [second.as_str()]);
    assert_eq!(read(&there), [9; 4096], "the other server's disk stays");
    hide(&other, &volume).await;
    one.detach(&volume, &second).await;
    one.delete(&volume).await;
}

/// The existing driver made such claims. They stay usable, on one server at a time.
#[tokio::test]
async fn a_file_system_for_many_nodes_is_refused_new_and_published_once_where_it_is_there() {
    let lab = Lab::take().await;
    let driver = lab.driver("NODE_1").await;
    let (first, second) = (lab.server("NODE_1"), lab.server("NODE_2"));
    let mounted = || shared(capability("ext4"));
    let refused = driver.create(request("multiattach-rwx", mounted())).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    assert!(refused.message().contains("volumeMode: Block"), "{refused}");
    let volume = driver.create(create_request("multiattach-old")).await.unwrap();
    attach(&driver, &volume, &first, mounted()).await.unwrap();
    let elsewhere = attach(&driver, &volume, &second, mounted()).await.unwrap_err();
    assert_eq!(elsewhere.code(), Code::FailedPrecondition, "{elsewhere}");
    assert!(elsewhere.message().contains(&first), "{elsewhere}");
    driver.detach(&volume, &first).await;
    driver.delete(&volume).await;
}

/// Cinder and Nova would allow it.
#[tokio::test]
async fn a_claim_for_one_node_on_a_type_for_several_is_published_once() {
    let lab = Lab::take().await;
    let driver = lab.driver("NODE_1").await;
    let (first, second) = (lab.server("NODE_1"), lab.server("NODE_2"));
    let asked = CreateVolumeRequest {
        volume_capabilities: vec![capability("ext4")],
        ..request("multiattach-rwo", block())
    };
    let volume = driver.create(asked).await.unwrap();
    attach(&driver, &volume, &first, capability("ext4")).await.unwrap();
    let elsewhere = attach(&driver, &volume, &second, capability("ext4")).await.unwrap_err();
    assert_eq!(elsewhere.code(), Code::FailedPrecondition, "{elsewhere}");
    assert_eq!(driver.published(&volume).await, [first.as_str()]);
    driver.detach(&volume, &first).await;
    driver.delete(&volume).await;
}
