//! How many volumes a server takes, on a real Nova that takes six disks a server in zone `az2`: `tests/run openstack`
//! starts it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by them")]
#![allow(dead_code, reason = "it uses its part of the bed")]

#[path = "openstack_driver/bed.rs"]
mod bed;

use bed::{Driver, Lab, create_request, within};
use cinder_csi::csi::proto::*;
use cinder_csi::openstack::Status;
use tonic::Code;

/// Beside the root disk.
const ROOM: usize = 5;

/// Nothing tells a node of the lab its zone.
const FLAGS: [&str; 2] = ["--cluster=openstack-driver-test", "--with-topology=false"];

async fn told(driver: &Driver) -> i64 {
    let answer = driver.node.clone().node_get_info(within(20, NodeGetInfoRequest {})).await.unwrap();
    answer.into_inner().max_volumes_per_node
}

/// With `node-volume-attach-limit`, and the directory of its settings.
async fn limited(lab: &Lab, limit: i64) -> (Driver, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let conf = directory.path().join("cloud.conf");
    let cloud = std::fs::read_to_string(lab.path("cloud.conf")).unwrap();
    std::fs::write(&conf, format!("{cloud}[BlockStorage]\nnode-volume-attach-limit = {limit}\n")).unwrap();
    (lab.driver_with(&conf, "NODE_3", &FLAGS).await, directory)
}

async fn unlimited(lab: &Lab) -> Driver {
    lab.driver_with(&lab.path("cloud.conf"), "NODE_3", &FLAGS).await
}

async fn made(driver: &Driver, count: usize) -> Vec<String> {
    let mut volumes = Vec::new();
    for n in 0..count {
        volumes.push(driver.create(create_request(&format!("limits-{n}"))).await.unwrap());
    }
    volumes
}

#[tokio::test]
async fn the_number_is_the_same_before_and_after_a_restart_with_five_volumes() {
    let lab = Lab::take().await;
    let server = lab.server("NODE_3");
    let (driver, _conf) = limited(&lab, 5).await;
    let free = unlimited(&lab).await;
    let (limit, room) = (told(&driver).await, told(&free).await);
    assert_eq!(limit, 5);
    let volumes = made(&driver, ROOM).await;
    for volume in &volumes {
        driver.attach(volume, &server, 60).await.unwrap();
    }
    assert_eq!((told(&driver).await, told(&free).await), (limit, room));
    drop((driver, free));
    let (driver, _conf) = limited(&lab, 5).await;
    let free = unlimited(&lab).await;
    assert_eq!((told(&driver).await, told(&free).await), (limit, room));
    for volume in &volumes {
        driver.detach(volume, &server).await;
        driver.delete(volume).await;
    }
}

#[tokio::test]
async fn one_volume_too_many_is_exhausted_until_another_goes() {
    let lab = Lab::take().await;
    let (driver, server) = (lab.driver("NODE_3").await, lab.server("NODE_3"));
    let volumes = made(&driver, ROOM + 1).await;
    let (last, first) = volumes.split_last().unwrap();
    for volume in first {
        driver.attach(volume, &server, 60).await.unwrap();
    }
    let status = driver.attach(last, &server, 60).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert!(status.message().contains("maximum allowed number of disk devices (6)"), "{status}");
    assert!(status.message().contains("req-"), "{status}");
    let seen = lab.view().cinder.get_volume(last.parse().unwrap()).await.unwrap();
    assert_eq!((seen.status, seen.attachments), (Status::Available, Vec::new()));
    // What is there already is no volume too many.
    driver.attach(&first[0], &server, 60).await.unwrap();
    // The other servers' room is their own.
    let elsewhere = lab.server("NODE_1");
    driver.attach(last, &elsewhere, 60).await.unwrap();
    driver.detach(last, &elsewhere).await;
    driver.detach(&first[0], &server).await;
    driver.attach(last, &server, 60).await.unwrap();
    for volume in &volumes {
        driver.detach(volume, &server).await;
        driver.delete(volume).await;
    }
}
