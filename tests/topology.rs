//! In which zone a volume is made, from where it can be reached, and by how many. Time is tokio's, and paused.

#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

#[path = "bed/asking.rs"]
mod asking;
#[path = "bed/bed.rs"]
mod bed;
#[path = "bed/driver.rs"]
mod driver;

use asking::{block, create, gib, mount, parameters, terms, volume, zones};
use bed::{Bed, printed, wanted};
use cinder_csi::csi::proto::volume_capability::access_mode::Mode;
use cinder_csi::csi::proto::*;
use cinder_csi::sandbox::{Mishap, Operation, Settings};
use cinder_csi::volume::{Wanted, ZoneChoice};
use driver::Driver;
use http::Method;
use serde_json::json;
use tonic::{Code, Status};

const NO_ROOM: &str = "Could not find any available weighted backend.";

fn stand() -> (Bed, Driver) {
    let bed = Bed::new(Settings::default());
    let driver = Driver::in_memory(bed.volumes.clone());
    (bed, driver)
}

fn in_zones(name: &str, wanted: &[&str]) -> CreateVolumeRequest {
    CreateVolumeRequest { accessibility_requirements: zones(wanted), ..volume(name) }
}

fn posts(bed: &Bed) -> usize {
    let calls = bed.calls();
    calls.iter().filter(|call| call.method == Method::POST && call.path == "/volumes").count()
}

async fn publish(
    driver: &Driver,
    volume: &str,
    server: &str,
    capability: VolumeCapability,
) -> Result<(), Status> {
    let request = ControllerPublishVolumeRequest {
        volume_id: volume.to_owned(),
        node_id: server.to_owned(),
        volume_capability: Some(capability),
        ..Default::default()
    };
    driver.controller().controller_publish_volume(request).await.map(drop)
}

#[tokio::test(start_paused = true)]
async fn the_preferred_zone_comes_first_and_the_next_one_when_that_has_no_room() {
    let (bed, driver) = stand();
    let made = create(&driver, in_zones("first", &["az2", "az1"])).await.unwrap();
    assert_eq!(made.accessible_topology, terms(&["az2"]));
    bed.calls();
    bed.cloud.mishap(Mishap::Fails(Operation::Create, NO_ROOM.to_owned()));
    let made = create(&driver, in_zones("second", &["az2", "az1"])).await.unwrap();
    assert_eq!(made.accessible_topology, terms(&["az1"]));
    assert_eq!(posts(&bed), 2);
    // Nothing is left in the zone that had no room, and the next call finds what there is.
    assert_eq!(bed.all().await.len(), 2);
    assert_eq!(create(&driver, in_zones("second", &["az2", "az1"])).await.unwrap(), made);
}

#[tokio::test(start_paused = true)]
async fn zones_without_room_are_named_and_nothing_is_left_there() {
    let (bed, driver) = stand();
    for _ in 0..2 {
        bed.cloud.mishap(Mishap::Fails(Operation::Create, NO_ROOM.to_owned()));
    }
    let status = create(&driver, in_zones("pvc-1", &["az2", "az1"])).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    for words in ["az2, az1", " (request req-", "choose a type and a zone of which a back end has room"] {
        assert!(status.message().contains(words), "{words}: {status}");
    }
    assert!(bed.all().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_zone_that_cinder_does_not_have_is_passed_over_or_named() {
    let (bed, driver) = stand();
    let made = create(&driver, in_zones("pvc-1", &["nova", "az2"])).await.unwrap();
    assert_eq!(made.accessible_topology, terms(&["az2"]));
    let status = create(&driver, in_zones("pvc-2", &["nova"])).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert!(status.message().contains("no zone nova, it has az1, az2"), "{status}");
    assert!(status.message().contains("az-map"), "{status}");
    assert_eq!(bed.all().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_cinder_puts_elsewhere_is_removed_and_the_next_zone_tried() {
    let bed = Bed::new(Settings { zone_fallback: true, ..Settings::default() });
    let driver = Driver::in_memory(bed.volumes.clone());
    let made = create(&driver, in_zones("pvc-1", &["nova", "az2"])).await.unwrap();
    assert_eq!(made.accessible_topology, terms(&["az2"]));
    let status = create(&driver, in_zones("pvc-2", &["nova"])).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert!(status.message().contains("its zone is az1 and nova is asked for; map"), "{status}");
    assert_eq!(bed.all().await.len(), 1);
}

/// `ignore-volume-az`.
#[tokio::test(start_paused = true)]
async fn a_zone_that_is_only_wished_for_is_taken_where_cinder_has_it() {
    let (bed, _driver) = stand();
    let wished = |zones: &[&str]| ZoneChoice::Rather(zones.iter().map(|zone| (*zone).to_owned()).collect());
    for (n, zones, expected) in
        [(1, vec!["az2", "az1"], "az2"), (2, vec!["nova", "az2"], "az2"), (3, vec!["nova"], "az1")]
    {
        let asked = Wanted { zone: wished(&zones), ..wanted(&format!("pvc-{n}")) };
        let made = bed.volumes.ensure_created(&asked).await.unwrap();
        assert_eq!(made.availability_zone.as_deref(), Some(expected), "{zones:?}");
        // Wherever it is, it is the one of that name.
        let again = Wanted { zone: wished(&["az1", "az2"]), ..wanted(&format!("pvc-{n}")) };
        assert_eq!(bed.volumes.ensure_created(&again).await.unwrap().id, made.id);
    }
}

#[tokio::test(start_paused = true)]
async fn where_the_zones_that_are_wished_for_have_no_room_cinder_chooses() {
    let (bed, _driver) = stand();
    for _ in 0..2 {
        bed.cloud.mishap(Mishap::Fails(Operation::Create, NO_ROOM.to_owned()));
    }
    let wished = ["nova", "az2", "az1"].map(str::to_owned).to_vec();
    let asked = Wanted { zone: ZoneChoice::Rather(wished), ..wanted("pvc-1") };
    let made = bed.volumes.ensure_created(&asked).await.unwrap();
    assert_eq!(made.availability_zone.as_deref(), Some("az1"), "the default");
    assert_eq!((posts(&bed), bed.all().await.len()), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn a_quota_is_no_reason_to_try_the_next_zone() {
    let (bed, driver) = stand();
    let request = CreateVolumeRequest { capacity_range: gib(100_000, 0), ..in_zones("p", &["az1", "az2"]) };
    let status = create(&driver, request).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert_eq!(posts(&bed), 1);
}

#[tokio::test(start_paused = true)]
async fn zones_of_servers_are_mapped_to_those_of_volumes_and_back() {
    let (_bed, driver) = stand();
    let request = CreateVolumeRequest {
        parameters: parameters(&[("az-map", "nova1=az2,nova2=az2")]),
        ..in_zones("pvc-1", &["nova2", "nova1", "az1"])
    };
    let made = create(&driver, request).await.unwrap();
    assert_eq!(made.accessible_topology, terms(&["az2", "nova1", "nova2"]));
}

#[tokio::test(start_paused = true)]
async fn a_storage_classs_own_zone_wins() {
    let (_bed, driver) = stand();
    let request = CreateVolumeRequest {
        parameters: parameters(&[("availability", "az2")]),
        ..in_zones("pvc-1", &["az1"])
    };
    assert_eq!(create(&driver, request).await.unwrap().accessible_topology, terms(&["az2"]));
}

#[tokio::test(start_paused = true)]
async fn hints_reach_the_scheduler() {
    let (bed, driver) = stand();
    let beside = create(&driver, volume("beside")).await.unwrap().volume_id;
    let request = CreateVolumeRequest {
        parameters: parameters(&[("scheduler-hint-same-host", &beside)]),
        ..volume("pvc-1")
    };
    let made = create(&driver, request).await.unwrap().volume_id;
    assert_eq!(bed.cloud.hints_of(&made), json!({ "same_host": [beside] }));
}

#[tokio::test(start_paused = true)]
async fn what_several_servers_need_is_refused_before_anything_is_made() {
    let (bed, driver) = stand();
    let shared = |name: &str, kind: &[(&str, &str)], capability| CreateVolumeRequest {
        volume_capabilities: vec![capability],
        parameters: parameters(kind),
        ..volume(name)
    };
    let multi = [("type", "lab-multiattach")];
    for (kind, capability, words) in [
        (&[("type", "lab")][..], block(Mode::MultiNodeMultiWriter), "type lab isn't a multiattach one"),
        (&[], block(Mode::MultiNodeMultiWriter), "isn't a multiattach one"),
        (&multi, mount(Mode::MultiNodeMultiWriter), "would corrupt it"),
        (&multi, mount(Mode::MultiNodeSingleWriter), "would corrupt it"),
    ] {
        let status = create(&driver, shared("pvc-1", kind, capability)).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        assert!(status.message().contains(words), "{status}");
    }
    let calls = bed.calls();
    assert!(
        !calls.iter().any(|call| call.method == Method::POST && call.path == "/volumes"),
        "{}",
        printed(&calls)
    );
    for (n, capability) in
        [block(Mode::MultiNodeMultiWriter), mount(Mode::MultiNodeReaderOnly)].into_iter().enumerate()
    {
        create(&driver, shared(&format!("shared-{n}"), &multi, capability)).await.unwrap();
    }
    for mode in [Mode::SingleNodeSingleWriter, Mode::SingleNodeMultiWriter, Mode::SingleNodeReaderOnly] {
        create(&driver, shared(mode.as_str_name(), &[], mount(mode))).await.unwrap();
    }
}

/// The existing driver makes ReadWriteMany volumes with a file system: those PVs are there. And a type that allows several
/// servers doesn't make a claim for one node theirs.
#[tokio::test(start_paused = true)]
async fn what_is_for_one_node_or_would_be_corrupted_is_published_to_one_node_at_a_time() {
    let (bed, driver) = stand();
    let (one, other) = (bed.server("node-1").to_string(), bed.server("node-2").to_string());
    let kinds = ["lab", "lab-multiattach"];
    let modes = [Mode::MultiNodeMultiWriter, Mode::SingleNodeWriter, Mode::SingleNodeSingleWriter];
    for (kind, mode) in kinds.into_iter().flat_map(|kind| modes.map(|mode| (kind, mode))) {
        let body = json!({ "volume": { "name": kind, "size": 1, "volume_type": kind } });
        let made = bed.post_to_cinder("/volumes", body).await;
        let id = made["volume"]["id"].as_str().unwrap();
        let capability = mount(mode);
        publish(&driver, id, &one, capability.clone()).await.unwrap();
        publish(&driver, id, &one, capability.clone()).await.unwrap();
        let status = publish(&driver, id, &other, capability.clone()).await.unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
        assert!(status.message().contains(&one), "{status}");
        let unpublish = ControllerUnpublishVolumeRequest {
            volume_id: id.to_owned(),
            node_id: one.clone(),
            ..Default::default()
        };
        driver.controller().controller_unpublish_volume(unpublish).await.unwrap();
        publish(&driver, id, &other, capability).await.unwrap();
    }
}

/// What the existing driver and the in-tree plugin's migration left: no mark of ours is on it.
#[tokio::test(start_paused = true)]
async fn volumes_that_came_before_are_published_grown_and_deleted() {
    let (bed, driver) = stand();
    let theirs = [
        json!({ "cinder.csi.openstack.org/cluster": "kubernetes", "csi.storage.k8s.io/pvc/name": "data" }),
        json!({ "kubernetes.io/created-for/pvc/name": "data" }),
        json!({}),
    ];
    for (n, metadata) in theirs.into_iter().enumerate() {
        let body = json!({ "volume": { "name": format!("kubernetes-dynamic-pvc-{n}"), "size": 1, "metadata": metadata } });
        let made = bed.post_to_cinder("/volumes", body).await;
        let id = made["volume"]["id"].as_str().unwrap().to_owned();
        let server = bed.server("node-1").to_string();
        publish(&driver, &id, &server, mount(Mode::SingleNodeWriter)).await.unwrap();
        let grow = ControllerExpandVolumeRequest {
            volume_id: id.clone(),
            capacity_range: gib(2, 0),
            ..Default::default()
        };
        let grown = driver.controller().controller_expand_volume(grow).await.unwrap().into_inner();
        assert_eq!(grown.capacity_bytes, 2 << 30);
        let unpublish =
            ControllerUnpublishVolumeRequest { volume_id: id.clone(), node_id: server, ..Default::default() };
        driver.controller().controller_unpublish_volume(unpublish).await.unwrap();
        let delete = DeleteVolumeRequest { volume_id: id, ..Default::default() };
        driver.controller().delete_volume(delete).await.unwrap();
    }
    assert!(bed.all().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_says_from_where_it_can_be_used_and_is_refused_elsewhere() {
    let (_, driver) = stand();
    let volume = create(&driver, in_zones("pvc-1", &["az2"])).await.unwrap();
    let request = |name: &str, wanted: &[&str]| CreateSnapshotRequest {
        name: name.to_owned(),
        source_volume_id: volume.volume_id.clone(),
        accessibility_requirements: zones(wanted),
        ..Default::default()
    };
    let mut controller = driver.controller();
    let made =
        controller.create_snapshot(request("s-1", &["az2"])).await.unwrap().into_inner().snapshot.unwrap();
    assert_eq!(made.accessible_topology, terms(&["az2"]));
    let elsewhere = controller.create_snapshot(request("s-2", &["az1"])).await.unwrap_err();
    assert_eq!(elsewhere.code(), Code::ResourceExhausted, "{elsewhere}");
    assert!(elsewhere.message().contains("az2"), "{elsewhere}");
    let shown = GetSnapshotRequest { snapshot_id: made.snapshot_id.clone(), ..Default::default() };
    let shown = controller.get_snapshot(shown).await.unwrap().into_inner().snapshot.unwrap();
    assert_eq!(shown, made);
    let listed = controller.list_snapshots(ListSnapshotsRequest::default()).await.unwrap().into_inner();
    assert_eq!(listed.entries.into_iter().map(|entry| entry.snapshot.unwrap()).collect::<Vec<_>>(), [made]);
}
