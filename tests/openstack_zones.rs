//! Zones of servers and of volumes on a real Cinder and Nova with two: `tests/run openstack` starts them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by them")]
#![allow(dead_code, reason = "it uses its part of the bed")]

#[path = "openstack_driver/bed.rs"]
mod bed;

use bed::{Driver, Lab, create_request, within};
use cinder_csi::csi::proto::*;
use tonic::{Code, Status};

const ZONE: &str = "topology.cinder.csi.openstack.org/zone";

fn terms(zones: &[&str]) -> Vec<Topology> {
    let term = |zone: &&str| Topology { segments: [(ZONE.to_owned(), (*zone).to_owned())].into() };
    zones.iter().map(term).collect()
}

fn request(name: &str, requisite: &[&str], preferred: &[&str]) -> CreateVolumeRequest {
    let required = TopologyRequirement { requisite: terms(requisite), preferred: terms(preferred) };
    CreateVolumeRequest { accessibility_requirements: Some(required), ..create_request(name) }
}

fn with(parameter: (&str, &str), request: CreateVolumeRequest) -> CreateVolumeRequest {
    let parameters = [(parameter.0.to_owned(), parameter.1.to_owned())].into();
    CreateVolumeRequest { parameters, ..request }
}

async fn create(driver: &Driver, request: CreateVolumeRequest) -> Result<Volume, Status> {
    let reply = driver.controller.clone().create_volume(within(60, request)).await?;
    Ok(reply.into_inner().volume.unwrap())
}

/// In this zone of Cinder's, and reached from those of servers; then it is deleted.
async fn assert_made(driver: &Driver, lab: &Lab, request: CreateVolumeRequest, zone: &str, from: &[&str]) {
    let name = request.name.clone();
    let made = create(driver, request).await.unwrap();
    let seen = lab.view().cinder.get_volume(made.volume_id.parse().unwrap()).await.unwrap();
    assert_eq!(seen.availability_zone.as_deref(), Some(zone), "{name}");
    assert_eq!(made.accessible_topology, terms(from), "{name}");
    driver.delete(&made.volume_id).await;
}

/// A driver with these lines under `[BlockStorage]`, and the directory of its settings.
async fn set_up(lab: &Lab, lines: &str, flags: &[&str]) -> (Driver, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let conf = directory.path().join("cloud.conf");
    let cloud = std::fs::read_to_string(lab.path("cloud.conf")).unwrap();
    std::fs::write(&conf, format!("{cloud}[BlockStorage]\n{lines}\n")).unwrap();
    let flags = [&["--cluster=openstack-driver-test"], flags].concat();
    (lab.driver_with(&conf, "NODE_3", &flags).await, directory)
}

async fn room(driver: &Driver, zone: &str) -> i64 {
    let accessible_topology = terms(&[zone]).pop();
    let request = GetCapacityRequest { accessible_topology, ..Default::default() };
    let answer = driver.controller.clone().get_capacity(within(10, request)).await.unwrap();
    answer.into_inner().available_capacity
}

#[tokio::test]
async fn the_preferred_zones_come_first_and_then_the_requisite_ones_in_their_order() {
    let lab = Lab::take().await;
    let driver = lab.driver("NODE_1").await;
    let orders = [
        (&["az1", "az2"][..], &["az2", "az1"][..], "az2"),
        (&["az2", "az1"], &["az1", "az2"], "az1"),
        (&["az1", "az2"], &["az2"], "az2"),
        (&["az2", "az1"], &[], "az2"),
        // Only the second one is there.
        (&["az9", "az2", "az1"], &["az9"], "az2"),
        (&[], &[], "az1"),
    ];
    for (n, (requisite, preferred, zone)) in orders.into_iter().enumerate() {
        let name = format!("zones-order-{n}");
        assert_made(&driver, &lab, request(&name, requisite, preferred), zone, &[zone]).await;
    }
}

#[tokio::test]
async fn zones_of_servers_lead_to_those_of_volumes_by_the_settings_and_by_the_class() {
    let lab = Lab::take().await;
    let (driver, _conf) = set_up(&lab, "az-map = rack1=az1, rack2=az2, az2=az1", &[]).await;
    let asked = |name: &str, zone: &str| request(name, &["rack1", "rack2", "az2"], &[zone]);
    assert_made(&driver, &lab, asked("zones-rack1", "rack1"), "az1", &["az1", "az2", "rack1"]).await;
    // Servers in az2 use other volumes.
    assert_made(&driver, &lab, asked("zones-rack2", "rack2"), "az2", &["rack2"]).await;
    assert_made(&driver, &lab, asked("zones-az2", "az2"), "az1", &["az1", "az2", "rack1"]).await;
    let class = with(("az-map", "rack2=az1,rack3=az1"), asked("zones-class", "rack2"));
    assert_made(&driver, &lab, class, "az1", &["az1", "az2", "rack1", "rack2", "rack3"]).await;
    assert!(room(&driver, "rack2").await > 0);
    assert_eq!(room(&driver, "rack9").await, 0);
}

#[tokio::test]
async fn a_volume_of_a_mapped_zone_is_published_to_the_server_that_it_was_made_for() {
    let lab = Lab::take().await;
    let (driver, _conf) = set_up(&lab, "az-map = az2=az1", &[]).await;
    let server = lab.server("NODE_3");
    let made = create(&driver, request("zones-across", &["az2"], &["az2"])).await.unwrap();
    assert_eq!(made.accessible_topology, terms(&["az1", "az2"]));
    driver.attach(&made.volume_id, &server, 60).await.unwrap();
    assert_eq!(driver.published(&made.volume_id).await, [server.as_str()]);
    driver.detach(&made.volume_id, &server).await;
    driver.delete(&made.volume_id).await;
}

#[tokio::test]
async fn with_zones_of_other_names_volumes_are_made_where_cinder_likes_or_the_class_says() {
    let lab = Lab::take().await;
    let (driver, _conf) = set_up(&lab, "ignore-volume-az = true", &[]).await;
    let asked = |name: &str| request(name, &["rack1", "rack2"], &["rack2", "rack1"]);
    assert_made(&driver, &lab, asked("zones-ignored"), "az1", &["rack2", "rack1"]).await;
    let class = with(("availability", "az2"), asked("zones-ignored-class"));
    assert_made(&driver, &lab, class, "az2", &["rack2", "rack1"]).await;
    assert!(room(&driver, "rack1").await > 0);
}

#[tokio::test]
async fn without_topology_nothing_is_asked_and_nothing_told_of_zones() {
    let lab = Lab::take().await;
    let (driver, _conf) = set_up(&lab, "", &["--with-topology=false"]).await;
    assert_made(&driver, &lab, request("zones-off", &["az2"], &["az2"]), "az1", &[]).await;
    let class = with(("availability", "az2"), request("zones-off-class", &["az1"], &["az1"]));
    assert_made(&driver, &lab, class, "az2", &[]).await;
    let info = driver.node.clone().node_get_info(within(20, NodeGetInfoRequest {})).await.unwrap();
    assert_eq!(info.into_inner().accessible_topology, None);
}

#[tokio::test]
async fn a_zone_that_cinder_has_not_is_named_and_nothing_is_made() {
    let lab = Lab::take().await;
    let (driver, _conf) = set_up(&lab, "az-map = rack1=az9", &[]).await;
    let before = driver.volumes().await;
    for (request, zone) in [
        (request("zones-none", &["az8"], &["az8"]), "az8"),
        (request("zones-none", &["rack1"], &["rack1"]), "az9"),
        (with(("availability", "az7"), request("zones-none", &["az1"], &["az1"])), "az7"),
    ] {
        let status = create(&driver, request).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted, "{zone}: {status}");
        assert!(status.message().contains(zone), "{zone}: {status}");
        assert_eq!(driver.volumes().await, before, "{zone}");
    }
    assert_eq!(room(&driver, "rack1").await, 0);
}
