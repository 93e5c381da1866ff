//! Group snapshots, with several clouds.

use std::time::Duration;

use cinder_csi::csi::proto::*;
use cinder_csi::pace;
use tonic::{Code, Status};

use super::requests::{create, wanted};
use super::two;
use crate::bed::cinder;
use crate::driver::Driver;
use crate::site::{Site, driver_of};

const NAME: &str = "groupsnapshot-1";

async fn volumes(driver: &Driver, zones: &[&str]) -> Vec<String> {
    let mut ids = Vec::new();
    for (n, zone) in zones.iter().enumerate() {
        ids.push(create(driver, wanted(&format!("pvc-{n}"), &[zone])).await.unwrap().volume_id);
    }
    ids
}

async fn cut(driver: &Driver, volumes: &[String]) -> Result<VolumeGroupSnapshot, Status> {
    let request = CreateVolumeGroupSnapshotRequest {
        name: NAME.to_owned(),
        source_volume_ids: volumes.to_vec(),
        ..Default::default()
    };
    let answer = driver.groups().create_volume_group_snapshot(request).await?;
    Ok(answer.into_inner().group_snapshot.unwrap())
}

async fn delete(driver: &Driver, id: &str) {
    let request = DeleteVolumeGroupSnapshotRequest { group_snapshot_id: id.to_owned(), ..Default::default() };
    driver.groups().delete_volume_group_snapshot(request).await.unwrap();
}

/// As a driver leaves it that is killed before it has seen the end of the cut.
async fn delete_the_cut_alone(site: &Site, id: &str) {
    let cinder = cinder(&site.cloud);
    let id = id.parse().unwrap();
    cinder.delete_group_snapshot(id).await.unwrap();
    while cinder.find_group_snapshot(id).await.unwrap().is_some() {
        pace::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_whose_cut_is_gone_is_found_in_its_cloud_and_removed() {
    for zone in ["a", "b"] {
        let (driver, east, west) = two();
        let site = if zone == "a" { &east } else { &west };
        let made = volumes(&driver, &[zone, zone]).await;
        let id = cut(&driver, &made).await.unwrap().group_snapshot_id;
        delete_the_cut_alone(site, &id).await;
        delete(&driver_of(&[&east, &west]), &id).await;
        assert_eq!(cinder(&site.cloud).list_groups().await.unwrap(), [], "{zone}");
    }
}

#[tokio::test(start_paused = true)]
async fn volumes_of_two_clouds_are_refused_and_both_clouds_are_named() {
    let (driver, east, west) = two();
    let made = volumes(&driver, &["a", "b"]).await;
    let status = cut(&driver_of(&[&east, &west]), &made).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
    assert!(status.message().contains("cloud \"east\", cloud \"west\""), "{status}");
    let nobodys = [made[1].clone(), super::NOBODY.to_owned()];
    let status = cut(&driver, &nobodys).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "{status}");
    assert!(status.message().contains("\"west\"") && status.message().contains(super::NOBODY), "{status}");
}
