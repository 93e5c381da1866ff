//! The driver on a real Keystone, Cinder and Nova: `tests/run openstack` starts them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by them")]

#[path = "openstack_driver/bed.rs"]
mod bed;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bed::{Driver, Lab, capability, create_request, within};
use cinder_csi::csi::proto::*;
use cinder_csi::openstack::Status;
use tonic::Code;

#[tokio::test]
async fn an_attach_that_fails_on_the_compute_host_is_answered_soon_and_with_its_request() {
    let lab = Lab::take().await;
    let (driver, server) = (lab.driver("NODE_1").await, lab.server("NODE_1"));
    let volume = driver.create(create_request("driver-attach-fails")).await.unwrap();
    let view = lab.view();
    lab.inject("nova.attach", "fail 1");
    let mut still_at_it = Instant::now();
    let mut call = std::pin::pin!(driver.attach(&volume, &server, 60));
    let status = loop {
        tokio::select! {
            answer = &mut call => break answer.unwrap_err(),
            () = cinder_csi::pace::sleep(Duration::from_millis(50)) => {}
        }
        let looked = Instant::now();
        let seen = view.cinder.get_volume(volume.parse().unwrap()).await.unwrap();
        let named = view.nova.has_attachment(server.parse().unwrap(), seen.id).await.unwrap();
        if named || seen.status != Status::Available {
            still_at_it = looked;
        }
    };
    assert_eq!(status.code(), Code::Internal, "{status}");
    assert!(status.message().contains("req-") && status.message().contains("Error"), "{status}");
    // Two seconds is the longest pause between two looks. The existing driver polls for a minute.
    assert!(still_at_it.elapsed() < Duration::from_secs(3), "{:?}", still_at_it.elapsed());
    lab.heal();
    driver.attach(&volume, &server, 60).await.unwrap();
    driver.detach(&volume, &server).await;
    driver.delete(&volume).await;
}

#[tokio::test]
async fn a_volume_that_no_backend_can_hold_is_not_left_behind() {
    let lab = Lab::take().await;
    let driver = lab.driver("NODE_1").await;
    let before = driver.volumes().await;
    let nowhere = HashMap::from([("type".to_owned(), "lab-nowhere".to_owned())]);
    let request = CreateVolumeRequest { parameters: nowhere, ..create_request("driver-nowhere") };
    let status = driver.create(request).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert!(status.message().contains("schedule allocate volume"), "{status}");
    assert_eq!(driver.volumes().await, before);
}

#[tokio::test]
async fn a_quota_is_resource_exhausted() {
    let lab = Lab::take().await;
    let driver = lab.driver_of("cloud-small.conf", "NODE_1").await;
    let capacity_range = Some(CapacityRange { required_bytes: 6 << 30, limit_bytes: 0 });
    let request = CreateVolumeRequest { capacity_range, ..create_request("driver-quota") };
    let status = driver.create(request).await.unwrap_err();
    // Cinder answers 413 to both: larger than any volume may be, and more than the project has left.
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
    let mut made = Vec::new();
    let refusal = loop {
        match driver.create(create_request(&format!("driver-quota-{}", made.len()))).await {
            Ok(volume) => made.push(volume),
            Err(status) => break status,
        }
        assert!(made.len() < 10, "the small project has no quota");
    };
    assert_eq!(refusal.code(), Code::ResourceExhausted, "{refusal}");
    assert!(refusal.message().contains("req-"), "{refusal}");
    let status = driver.expand(&made[0], 6).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
    let status = driver.expand(&made[0], 4).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    for volume in made {
        driver.delete(&volume).await;
    }
}

#[tokio::test]
async fn two_controllers_that_create_one_name_at_once_end_with_one_volume() {
    let lab = Lab::take().await;
    let (ours, theirs) = (lab.driver("NODE_1").await, lab.driver("NODE_2").await);
    let before = ours.volumes().await.len();
    for round in 0..5 {
        let request = create_request(&format!("driver-twins-{round}"));
        let (one, other) = tokio::join!(ours.create(request.clone()), theirs.create(request.clone()));
        let volume = one.unwrap();
        assert_eq!(volume, other.unwrap());
        assert_eq!(ours.volumes().await.len(), before + 1);
        ours.delete(&volume).await;
    }
}

#[tokio::test]
async fn a_slow_attach_called_again_ends_attached_once() {
    let lab = Lab::take().await;
    let (driver, server) = (lab.driver("NODE_1").await, lab.server("NODE_1"));
    let volume = driver.create(create_request("driver-slow-attach")).await.unwrap();
    lab.inject("nova.attach", "delay 5");
    let status = driver.attach(&volume, &server, 2).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    assert!(status.message().contains("attaching"), "{status}");
    let context = driver.attach(&volume, &server, 60).await.unwrap();
    assert_eq!(context["size"], (1u64 << 30).to_string());
    assert_eq!(driver.published(&volume).await.join(" "), server);
    lab.heal();
    driver.detach(&volume, &server).await;
    driver.delete(&volume).await;
}

#[tokio::test]
async fn a_detach_while_the_attach_goes_on_ends_detached() {
    let lab = Lab::take().await;
    let (driver, server) = (lab.driver("NODE_1").await, lab.server("NODE_1"));
    let volume = driver.create(create_request("driver-crossed")).await.unwrap();
    lab.inject("nova.attach", "delay 4");
    driver.attach(&volume, &server, 1).await.unwrap_err();
    driver.detach(&volume, &server).await;
    assert!(driver.published(&volume).await.is_empty());
    lab.heal();
    driver.delete(&volume).await;
}

#[tokio::test]
async fn an_unknown_server_is_named_as_such() {
    let lab = Lab::take().await;
    let driver = lab.driver("NODE_1").await;
    let volume = driver.create(create_request("driver-no-server")).await.unwrap();
    let status = driver.attach(&volume, "11111111-2222-3333-4444-555555555555", 30).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "{status}");
    assert!(status.message().contains("unknown to Nova"), "{status}");
    driver.delete(&volume).await;
}

/// Cinder says `in-use` before the guest's disk has grown.
#[tokio::test]
async fn a_volume_grows_online_to_the_end_of_its_file_system() {
    let lab = Lab::take().await;
    let (driver, server) = (lab.driver("NODE_1").await, lab.server("NODE_1"));
    let volume = driver.create(create_request("driver-grow")).await.unwrap();
    let publish_context = driver.attach(&volume, &server, 60).await.unwrap();
    let staging = driver.directory.path().join("staging");
    std::fs::create_dir(&staging).unwrap();
    let stage = NodeStageVolumeRequest {
        volume_id: volume.clone(),
        publish_context,
        staging_target_path: staging.display().to_string(),
        volume_capability: Some(capability("xfs")),
        ..NodeStageVolumeRequest::default()
    };
    driver.node.clone().node_stage_volume(within(60, stage)).await.unwrap();
    let before = room(&driver, &volume, &staging).await;

    lab.inject("nova.extend", "delay 3");
    let range = Some(CapacityRange { required_bytes: 2 << 30, limit_bytes: 0 });
    let grown = driver.expand(&volume, 2).await.unwrap();
    assert_eq!((grown.capacity_bytes, grown.node_expansion_required), (2 << 30, true));
    let expand = NodeExpandVolumeRequest {
        volume_id: volume.clone(),
        volume_path: staging.display().to_string(),
        staging_target_path: staging.display().to_string(),
        capacity_range: range,
        ..NodeExpandVolumeRequest::default()
    };
    driver.node.clone().node_expand_volume(within(60, expand)).await.unwrap();
    let after = room(&driver, &volume, &staging).await;
    assert!(after - before > (9 << 30) / 10, "the file system had {before} bytes and has {after}");

    let unstage = NodeUnstageVolumeRequest {
        volume_id: volume.clone(),
        staging_target_path: staging.display().to_string(),
    };
    driver.node.clone().node_unstage_volume(within(60, unstage)).await.unwrap();
    lab.heal();
    driver.detach(&volume, &server).await;
    driver.delete(&volume).await;
}

/// The bytes of the file system at `path`.
async fn room(driver: &Driver, volume: &str, path: &std::path::Path) -> i64 {
    let request = NodeGetVolumeStatsRequest {
        volume_id: volume.to_owned(),
        volume_path: path.display().to_string(),
        ..NodeGetVolumeStatsRequest::default()
    };
    let stats = driver.node.clone().node_get_volume_stats(within(10, request)).await.unwrap().into_inner();
    stats.usage[0].total
}
