//! Snapshots and what is made from them, with several clouds.

use std::collections::HashMap;

use cinder_csi::csi::proto::*;
use tonic::{Code, Status};

use super::requests::{create, delete, naming, wanted};
use super::{NOBODY, two};
use crate::driver::Driver;
use crate::site::{Line, driver_of};

async fn snapshot(driver: &Driver, volume: &str) -> Result<Snapshot, Status> {
    saved(driver, volume, "snapshot").await
}

async fn saved(driver: &Driver, volume: &str, kind: &str) -> Result<Snapshot, Status> {
    let request = CreateSnapshotRequest {
        name: format!("{kind}-of-{volume}"),
        source_volume_id: volume.to_owned(),
        parameters: HashMap::from([("type".to_owned(), kind.to_owned())]),
        ..Default::default()
    };
    Ok(driver.controller().create_snapshot(request).await?.into_inner().snapshot.unwrap())
}

fn from_snapshot(name: &str, zones: &[&str], snapshot: &str) -> CreateVolumeRequest {
    let snapshot_id = snapshot.to_owned();
    let source = volume_content_source::SnapshotSource { snapshot_id };
    let r#type = Some(volume_content_source::Type::Snapshot(source));
    CreateVolumeRequest { volume_content_source: Some(VolumeContentSource { r#type }), ..wanted(name, zones) }
}

fn from_volume(name: &str, zones: &[&str], volume: &str) -> CreateVolumeRequest {
    let source = volume_content_source::VolumeSource { volume_id: volume.to_owned() };
    let r#type = Some(volume_content_source::Type::Volume(source));
    CreateVolumeRequest { volume_content_source: Some(VolumeContentSource { r#type }), ..wanted(name, zones) }
}

async fn delete_snapshot(driver: &Driver, id: &str) -> Result<(), Status> {
    let request = DeleteSnapshotRequest { snapshot_id: id.to_owned(), ..Default::default() };
    driver.controller().delete_snapshot(request).await.map(drop)
}

/// All snapshots, page by page.
async fn listed(driver: &Driver, max_entries: i32, secrets: HashMap<String, String>) -> Vec<String> {
    let (mut ids, mut starting_token) = (Vec::new(), String::new());
    loop {
        let secrets = secrets.clone();
        let request = ListSnapshotsRequest { max_entries, starting_token, secrets, ..Default::default() };
        let answer = driver.controller().list_snapshots(request).await.unwrap().into_inner();
        ids.extend(answer.entries.into_iter().map(|entry| entry.snapshot.unwrap().snapshot_id));
        starting_token = answer.next_token;
        if starting_token.is_empty() {
            ids.sort();
            return ids;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_is_made_in_the_cloud_of_its_source() {
    let (driver, east, west) = two();
    let volume = create(&driver, wanted("pvc-1", &["b"])).await.unwrap().volume_id;
    let cut = snapshot(&driver, &volume).await.unwrap().snapshot_id;
    let backup = saved(&driver, &volume, "backup").await.unwrap();
    assert!(saved(&driver, &volume, "backup").await.unwrap().ready_to_use, "it is done by now");
    // Of the driver that made them, and of one that must look for them.
    for (n, driver) in [driver, driver_of(&[&east, &west])].iter().enumerate() {
        for (what, request) in [
            ("snapshot", from_snapshot(&format!("of-snapshot-{n}"), &[], &cut)),
            ("backup", from_snapshot(&format!("of-backup-{n}"), &[], &backup.snapshot_id)),
            ("volume", from_volume(&format!("of-volume-{n}"), &[], &volume)),
            ("snapshot in its zone", from_snapshot(&format!("in-zone-{n}"), &["b"], &cut)),
        ] {
            let copy = create(driver, request).await.unwrap_or_else(|status| panic!("{what}: {status}"));
            let there = west.all().await;
            assert!(there.iter().any(|volume| volume.id.to_string() == copy.volume_id), "{what}");
        }
    }
    assert!(east.all().await.is_empty());
    let driver = driver_of(&[&east, &west]);
    for request in [from_snapshot("nobodys", &[], NOBODY), from_volume("nobodys", &[], NOBODY)] {
        let status = create(&driver, request).await.unwrap_err();
        assert_eq!(status.code(), Code::NotFound, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn snapshots_of_all_clouds_are_listed_page_by_page_and_found_by_their_ids() {
    let (driver, east, west) = two();
    let (mut all, mut of_west) = (Vec::new(), Vec::new());
    for (name, zone) in [("pvc-1", "a"), ("pvc-2", "b"), ("pvc-3", "b")] {
        let volume = create(&driver, wanted(name, &[zone])).await.unwrap().volume_id;
        let made = snapshot(&driver, &volume).await.unwrap().snapshot_id;
        all.push(made.clone());
        if zone == "b" {
            of_west.push(made);
        }
    }
    all.sort();
    of_west.sort();
    let driver = driver_of(&[&east, &west]);
    for max in [0, 1, 2, 3] {
        assert_eq!(listed(&driver, max, HashMap::new()).await, all, "pages of {max}");
        assert_eq!(listed(&driver, max, naming("west")).await, of_west, "pages of {max}, of one");
    }
    for id in &all {
        let request = GetSnapshotRequest { snapshot_id: id.clone(), ..Default::default() };
        driver.controller().get_snapshot(request).await.unwrap();
        delete_snapshot(&driver, id).await.unwrap();
    }
    assert!(listed(&driver, 0, HashMap::new()).await.is_empty());
    for starting_token in ["x", "v2/volumes//east", "v2/snapshots//north"] {
        let starting_token = starting_token.to_owned();
        let request = ListSnapshotsRequest { starting_token, ..Default::default() };
        let status = driver.controller().list_snapshots(request).await.unwrap_err();
        assert_eq!(status.code(), Code::Aborted, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_in_a_cloud_that_is_down_is_not_taken_for_gone() {
    let (driver, east, west) = two();
    let volume = create(&driver, wanted("pvc-1", &["b"])).await.unwrap().volume_id;
    let cut = snapshot(&driver, &volume).await.unwrap().snapshot_id;
    west.set(Line::Cut);
    let driver = driver_of(&[&east, &west]);
    let get = GetSnapshotRequest { snapshot_id: cut.clone(), ..Default::default() };
    for answer in [
        delete_snapshot(&driver, &cut).await,
        driver.controller().get_snapshot(get).await.map(drop),
        snapshot(&driver, &volume).await.map(drop),
        create(&driver, from_snapshot("copy", &["a"], &cut)).await.map(drop),
        driver.controller().list_snapshots(ListSnapshotsRequest::default()).await.map(drop),
    ] {
        let status = answer.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        assert!(status.message().contains("\"west\""), "{status}");
    }
    west.set(Line::Up);
    delete_snapshot(&driver, &cut).await.unwrap();
    delete(&driver, &volume, HashMap::new()).await.unwrap();
    assert!(west.all().await.is_empty() && east.all().await.is_empty());
}
