//! A second call for an object whose first call is under way is told so at once, and changes nothing.

#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

#[path = "bed/asking.rs"]
mod asking;
#[path = "bed/bed.rs"]
mod bed;
#[path = "bed/driver.rs"]
mod driver;

use std::fmt::Debug;
use std::time::Duration;

use bed::Bed;
use cinder_csi::csi::proto::volume_capability::access_mode::Mode;
use cinder_csi::csi::proto::*;
use cinder_csi::pace;
use cinder_csi::sandbox::{Latency, Settings};
use driver::Driver;
use tonic::{Code, Response, Status};

/// The first call is answered, the second one refused.
async fn one_of_two<T: Debug>(what: &str, call: impl AsyncFn() -> Result<Response<T>, Status>) -> T {
    let late = async {
        pace::sleep(Duration::from_millis(50)).await;
        call().await
    };
    let (first, second) = tokio::join!(biased; call(), late);
    let busy = second.unwrap_err();
    assert_eq!(busy.code(), Code::Aborted, "{what}: {busy}");
    assert!(busy.message().ends_with("is under way: it goes on, call again"), "{what}: {busy}");
    first.unwrap_or_else(|status| panic!("{what}: {status}")).into_inner()
}

async fn slow() -> (Bed, Driver) {
    let latency = Latency::fixed(Duration::from_secs(2));
    let bed = Bed::warm(Settings { latency, ..Settings::default() }).await;
    let driver = Driver::in_memory(bed.volumes.clone());
    (bed, driver)
}

async fn created(driver: &Driver, name: &str) -> String {
    let call = async || driver.controller().create_volume(asking::volume(name)).await;
    one_of_two("CreateVolume", call).await.volume.unwrap().volume_id
}

async fn deleted(driver: &Driver, volume_id: String) {
    let request = DeleteVolumeRequest { volume_id, ..Default::default() };
    one_of_two("DeleteVolume", async || driver.controller().delete_volume(request.clone()).await).await;
}

#[tokio::test(start_paused = true)]
async fn a_volume_has_one_call_at_a_time() {
    let (bed, driver) = slow().await;
    let volume_id = created(&driver, "pvc-1").await;
    let node_id = bed.server("node-1").to_string();
    let publish = ControllerPublishVolumeRequest {
        volume_id: volume_id.clone(),
        node_id: node_id.clone(),
        volume_capability: Some(asking::block(Mode::SingleNodeWriter)),
        ..Default::default()
    };
    let call = async || driver.controller().controller_publish_volume(publish.clone()).await;
    one_of_two("ControllerPublishVolume", call).await;
    let unpublish =
        ControllerUnpublishVolumeRequest { volume_id: volume_id.clone(), node_id, ..Default::default() };
    let call = async || driver.controller().controller_unpublish_volume(unpublish.clone()).await;
    one_of_two("ControllerUnpublishVolume", call).await;
    let expand = ControllerExpandVolumeRequest {
        volume_id: volume_id.clone(),
        capacity_range: asking::gib(2, 0),
        ..Default::default()
    };
    let call = async || driver.controller().controller_expand_volume(expand.clone()).await;
    one_of_two("ControllerExpandVolume", call).await;
    let modify = ControllerModifyVolumeRequest {
        volume_id: volume_id.clone(),
        mutable_parameters: asking::parameters(&[("type", "lab-fast")]),
        ..Default::default()
    };
    let call = async || driver.controller().controller_modify_volume(modify.clone()).await;
    one_of_two("ControllerModifyVolume", call).await;
    deleted(&driver, volume_id).await;
    assert_eq!(bed.cloud.inventory(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_has_one_call_at_a_time_alone_and_in_a_group() {
    let (bed, driver) = slow().await;
    let volume_id = created(&driver, "pvc-1").await;
    let cut = CreateSnapshotRequest {
        name: "snap-1".to_owned(),
        source_volume_id: volume_id.clone(),
        ..Default::default()
    };
    let call = async || driver.controller().create_snapshot(cut.clone()).await;
    let snapshot_id = one_of_two("CreateSnapshot", call).await.snapshot.unwrap().snapshot_id;
    let delete = DeleteSnapshotRequest { snapshot_id, ..Default::default() };
    let call = async || driver.controller().delete_snapshot(delete.clone()).await;
    one_of_two("DeleteSnapshot", call).await;
    let group = CreateVolumeGroupSnapshotRequest {
        name: "group-1".to_owned(),
        source_volume_ids: vec![volume_id.clone()],
        ..Default::default()
    };
    let call = async || driver.groups().create_volume_group_snapshot(group.clone()).await;
    let cut = one_of_two("CreateVolumeGroupSnapshot", call).await.group_snapshot.unwrap();
    let delete =
        DeleteVolumeGroupSnapshotRequest { group_snapshot_id: cut.group_snapshot_id, ..Default::default() };
    let call = async || driver.groups().delete_volume_group_snapshot(delete.clone()).await;
    one_of_two("DeleteVolumeGroupSnapshot", call).await;
    deleted(&driver, volume_id).await;
    assert_eq!(bed.cloud.inventory(), Vec::<String>::new());
}
