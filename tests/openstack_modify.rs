//! Another type for a volume, and what a project has left, on a real Keystone, Cinder and Nova: `tests/run openstack`
//! starts them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by them")]
#![allow(dead_code, reason = "it uses its part of the bed")]

#[path = "openstack_driver/bed.rs"]
mod bed;

use std::collections::HashMap;

use bed::{Driver, Lab, create_request, within};
use cinder_csi::csi::proto::*;
use cinder_csi::openstack::Volume;
use tonic::{Code, Status};

const GIB: i64 = 1 << 30;

fn map(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

async fn modify(driver: &Driver, volume: &str, parameters: &[(&str, &str)]) -> Result<(), Status> {
    let request = ControllerModifyVolumeRequest {
        volume_id: volume.to_owned(),
        mutable_parameters: map(parameters),
        ..Default::default()
    };
    driver.controller.clone().controller_modify_volume(within(60, request)).await.map(drop)
}

async fn capacity(driver: &Driver, parameters: &[(&str, &str)], zone: Option<&str>) -> (i64, i64) {
    let topology = |zone| Topology { segments: map(&[("topology.cinder.csi.openstack.org/zone", zone)]) };
    let request = GetCapacityRequest {
        parameters: map(parameters),
        accessible_topology: zone.map(topology),
        ..Default::default()
    };
    let answer = driver.controller.clone().get_capacity(within(10, request)).await.unwrap().into_inner();
    (answer.available_capacity / GIB, answer.maximum_volume_size.unwrap() / GIB)
}

/// A volume of type `lab`.
async fn made(driver: &Driver, name: &str) -> String {
    let parameters = map(&[("type", "lab")]);
    driver.create(CreateVolumeRequest { parameters, ..create_request(name) }).await.unwrap()
}

async fn shown(lab: &Lab, volume: &str) -> Volume {
    lab.view().cinder.get_volume(volume.parse().unwrap()).await.unwrap()
}

fn type_and_status(volume: &Volume) -> (String, String) {
    (volume.volume_type.clone().unwrap(), volume.status.to_string())
}

fn of(kind: &str, status: &str) -> (String, String) {
    (kind.to_owned(), status.to_owned())
}

#[tokio::test]
async fn a_volume_changes_its_type_while_it_is_attached() {
    let lab = Lab::take().await;
    let (driver, server) = (lab.driver("NODE_1").await, lab.server("NODE_1"));
    let volume = made(&driver, "modify-attached").await;
    driver.attach(&volume, &server, 60).await.unwrap();
    let before = shown(&lab, &volume).await;
    modify(&driver, &volume, &[("type", "lab-fast"), ("metadata.iops-tier", "gold")]).await.unwrap();
    let after = shown(&lab, &volume).await;
    assert_eq!(type_and_status(&after), of("lab-fast", "in-use"));
    assert_eq!(after.attachments, before.attachments);
    assert_eq!(after.metadata["iops-tier"], "gold");
    assert!(before.metadata.iter().all(|(key, value)| after.metadata.get(key) == Some(value)));
    // By its id, and back.
    let cinder = lab.view().cinder;
    let slow = cinder.find_volume_type("lab").await.unwrap().unwrap();
    modify(&driver, &volume, &[("type", &slow.id)]).await.unwrap();
    assert_eq!(type_and_status(&shown(&lab, &volume).await), of("lab", "in-use"));
    driver.detach(&volume, &server).await;
    driver.delete(&volume).await;
}

#[tokio::test]
async fn what_the_cloud_cannot_do_is_infeasible_and_the_volume_goes_on() {
    let lab = Lab::take().await;
    let (driver, server) = (lab.driver("NODE_1").await, lab.server("NODE_1"));
    let volume = made(&driver, "modify-infeasible").await;
    driver.attach(&volume, &server, 60).await.unwrap();
    for (kind, words) in [
        // The scheduler finds no place, and Cinder leaves no message.
        ("lab-nowhere", "gave it up"),
        ("nobody's", "openstack volume type list"),
        ("lab-multiattach", "only on a detached volume"),
    ] {
        let status = modify(&driver, &volume, &[("type", kind), ("metadata.a", "b")]).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{kind}: {status}");
        assert!(status.message().contains(words), "{kind}: {status}");
        let after = shown(&lab, &volume).await;
        assert_eq!(type_and_status(&after), of("lab", "in-use"), "{kind}");
        assert!(!after.metadata.contains_key("a"), "{kind}");
    }
    let grown = driver.expand(&volume, 2).await.unwrap();
    assert_eq!(grown.capacity_bytes, 2 * GIB);
    driver.detach(&volume, &server).await;
    driver.delete(&volume).await;
}

#[tokio::test]
async fn an_expand_and_a_modify_by_two_controllers_at_once_both_come_true() {
    let lab = Lab::take().await;
    let (one, other) = (lab.driver("NODE_1").await, lab.driver("NODE_2").await);
    let volume = made(&one, "modify-and-expand").await;
    for (round, kind) in ["lab-fast", "lab", "lab-fast"].into_iter().enumerate() {
        let size = 2 + i64::try_from(round).unwrap();
        let parameters = [("type", kind)];
        let (modified, expanded) =
            tokio::join!(modify(&one, &volume, &parameters), other.expand(&volume, size));
        modified.unwrap();
        expanded.unwrap();
        let after = shown(&lab, &volume).await;
        assert_eq!((type_and_status(&after), i64::try_from(after.size)), (of(kind, "available"), Ok(size)));
    }
    one.delete(&volume).await;
}

/// `tests/openstack` gives its small project few gigabytes.
#[tokio::test]
async fn the_room_of_a_project_is_what_its_quota_has_left() {
    let lab = Lab::take().await;
    let driver = lab.driver_of("cloud-small.conf", "NODE_1").await;
    let (before, largest) = capacity(&driver, &[], None).await;
    assert!(before > 0 && largest > 0 && largest <= before, "{before} {largest}");
    assert_eq!(capacity(&driver, &[("type", "lab")], Some("az1")).await, (before, largest));
    assert_eq!(capacity(&driver, &[], Some("az9")).await, (0, 0));
    assert_eq!(capacity(&driver, &[("type", "nobody's")], Some("az1")).await, (0, 0));
    assert_eq!(capacity(&driver, &[("availability", "az2")], Some("az1")).await, (0, 0));
    let volume = made(&driver, "modify-capacity").await;
    // The first driver keeps its answer for some seconds.
    let second = lab.driver_of("cloud-small.conf", "NODE_1").await;
    assert_eq!(capacity(&second, &[], None).await.0, before - 1);
    // As much as is said to be there is there, and no more.
    let size = |gib: i64| Some(CapacityRange { required_bytes: gib * GIB, limit_bytes: 0 });
    let request =
        |gib| CreateVolumeRequest { capacity_range: size(gib), ..create_request("modify-too-large") };
    let status = driver.create(request(largest + 1)).await.unwrap_err();
    assert!([Code::OutOfRange, Code::ResourceExhausted].contains(&status.code()), "{status}");
    driver.delete(&volume).await;
}
