//! Lists, and several clouds behind one driver, on a real Keystone and Cinder: `tests/run openstack` starts them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by them")]
#![allow(dead_code, reason = "it uses its part of the bed")]

#[path = "openstack_driver/bed.rs"]
mod bed;

use std::collections::HashMap;
use std::path::PathBuf;

use bed::{Driver, Lab, create_request, within};
use cinder_csi::csi::proto::*;
use cinder_csi::openstack::NewVolume;
use cinder_csi::volume::{CLUSTER, VolumeId, Volumes};
use tonic::{Code, Status};

const NOBODY: &str = "11111111-2222-4333-8444-555555555555";

/// Volumes of this test in the driver's own project, oldest first; other tests have theirs.
struct Ours<'a> {
    lab: &'a Lab,
    ids: Vec<VolumeId>,
}

impl<'a> Ours<'a> {
    async fn make(lab: &'a Lab, cluster: &str, count: usize) -> Self {
        let mut ours = Self { lab, ids: Vec::new() };
        for n in 0..count {
            ours.add(&format!("{cluster}-{n}"), cluster).await;
        }
        ours
    }

    async fn add(&mut self, name: &str, cluster: &str) {
        let new = NewVolume {
            name: name.to_owned(),
            description: String::new(),
            size: 1,
            volume_type: None,
            availability_zone: None,
            metadata: [(CLUSTER.to_owned(), cluster.to_owned())].into(),
            ..NewVolume::default()
        };
        self.ids.push(self.lab.view().cinder.create_volume(&new).await.unwrap().id);
    }

    /// Waits until it is gone.
    async fn delete(&self, id: VolumeId) {
        let volumes = Volumes::new(self.lab.view());
        while let Err(error) = volumes.ensure_deleted(id).await {
            assert!(error.message.contains("creating"), "{error}");
        }
    }

    fn among(&self, listed: &[String]) -> Vec<VolumeId> {
        listed.iter().filter_map(|id| id.parse().ok()).filter(|id| self.ids.contains(id)).collect()
    }

    async fn clear(self) {
        for id in &self.ids {
            self.delete(*id).await;
        }
    }
}

async fn list(driver: &Driver, max: i32, token: &str) -> Result<(Vec<String>, String), Status> {
    let request = ListVolumesRequest { max_entries: max, starting_token: token.to_owned() };
    let answer = driver.controller.clone().list_volumes(within(30, request)).await?.into_inner();
    assert!(max == 0 || answer.entries.len() <= usize::try_from(max).unwrap());
    let ids = answer.entries.into_iter().map(|entry| entry.volume.unwrap().volume_id).collect();
    Ok((ids, answer.next_token))
}

/// From that token to the end.
async fn rest(driver: &Driver, max: i32, mut token: String) -> Vec<String> {
    let mut listed = Vec::new();
    while !token.is_empty() {
        let (page, next) = list(driver, max, &token).await.unwrap();
        listed.extend(page);
        token = next;
    }
    listed
}

#[tokio::test]
async fn pages_of_a_real_cinder_survive_that_their_last_volume_is_deleted() {
    let lab = Lab::take().await;
    let mut ours = Ours::make(&lab, "clouds-pages", 7).await;
    let flags = ["--cluster=clouds-pages", "--list-only-cluster"];
    let driver = lab.driver_with(&lab.path("cloud.conf"), "NODE_1", &flags).await;
    // Only this cluster's, each once, whatever the size of the pages.
    for max in [0, 1, 3, 7] {
        let (mut all, token) = list(&driver, max, "").await.unwrap();
        all.extend(rest(&driver, max, token).await);
        let (mut shown, mut expected) = (ours.among(&all), ours.ids.clone());
        assert_eq!(shown.len(), all.len(), "another cluster's volume is listed: {all:?}");
        shown.sort();
        expected.sort();
        assert_eq!(shown, expected, "pages of {max}");
    }
    let (first, token) = list(&driver, 3, "").await.unwrap();
    let first = ours.among(&first);
    for gone in [first[2], first[0]] {
        ours.delete(gone).await;
    }
    ours.add("clouds-pages-new", "clouds-pages").await;
    let second = ours.among(&rest(&driver, 2, token).await);
    let mut expected: Vec<_> = ours.ids.iter().filter(|id| !first.contains(id)).copied().collect();
    let mut shown = second.clone();
    shown.sort();
    expected.sort();
    assert_eq!(shown, expected, "each that is left, once, and the new one");
    let status = list(&driver, 1, "none of ours").await.unwrap_err();
    assert_eq!(status.code(), Code::Aborted, "{status}");
    ours.clear().await;
}

#[tokio::test]
async fn without_the_flag_every_volume_of_the_project_is_listed_with_its_node() {
    let lab = Lab::take().await;
    let ours = Ours::make(&lab, "clouds-all", 1).await;
    let (driver, server) = (lab.driver("NODE_1").await, lab.server("NODE_1"));
    let volume = driver.create(create_request("clouds-all-published")).await.unwrap();
    driver.attach(&volume, &server, 60).await.unwrap();
    let request = ListVolumesRequest::default();
    let listed = driver.controller.clone().list_volumes(within(30, request)).await.unwrap().into_inner();
    let ids: Vec<_> = listed.entries.iter().map(|entry| entry.volume.clone().unwrap().volume_id).collect();
    assert_eq!(ours.among(&ids), ours.ids);
    let entry = listed.entries.iter().find(|entry| entry.volume.as_ref().unwrap().volume_id == volume);
    assert_eq!(entry.unwrap().status.as_ref().unwrap().published_node_ids, std::slice::from_ref(&server));
    driver.detach(&volume, &server).await;
    driver.delete(&volume).await;
    ours.clear().await;
}

/// Two projects of the lab's cloud as two clouds: they have the same zones and different volumes.
fn two_clouds(lab: &Lab, directory: &tempfile::TempDir) -> PathBuf {
    let section = |name: &str, file: &str| {
        let text = std::fs::read_to_string(lab.path(file)).unwrap();
        text.replace("[Global]", &format!("[Global \"{name}\"]"))
    };
    let conf = directory.path().join("cloud.conf");
    std::fs::write(&conf, section("large", "cloud.conf") + &section("small", "cloud-small.conf")).unwrap();
    conf
}

#[tokio::test]
async fn a_volume_is_found_in_its_cloud_by_its_id() {
    let (lab, directory) = (Lab::take().await, tempfile::tempdir().unwrap());
    let conf = two_clouds(&lab, &directory);
    let flags = ["--cluster=clouds-two", "--cloud-name=large,small"];
    let driver = lab.driver_with(&conf, "NODE_1", &flags).await;
    let mut made = Vec::new();
    for cloud in ["large", "small"] {
        let parameters = HashMap::from([("cloud".to_owned(), cloud.to_owned())]);
        let request = CreateVolumeRequest { parameters, ..create_request("clouds-two") };
        made.push(driver.create(request).await.unwrap());
    }
    let in_small = lab.view().cinder.find_volume(made[1].parse().unwrap()).await.unwrap();
    assert!(in_small.is_none(), "the large project doesn't have it");
    // Another driver, which has made none of them.
    let driver = lab.driver_with(&conf, "NODE_1", &flags).await;
    let (page, token) = list(&driver, 0, "").await.unwrap();
    let listed = [page, rest(&driver, 0, token).await].concat();
    assert!(made.iter().all(|id| listed.contains(id)), "{listed:?}");
    let server = lab.server("NODE_1");
    driver.attach(&made[0], &server, 60).await.unwrap();
    let status = driver.attach(&made[1], &server, 60).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "{status}");
    assert!(status.message().contains("is in cloud \"large\""), "{status}");
    driver.detach(&made[0], &server).await;
    let status = driver.create(create_request("clouds-nowhere")).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    for volume in &made {
        driver.expand(volume, 2).await.unwrap();
        driver.delete(volume).await;
    }
    driver.delete(NOBODY).await;
    let (page, token) = list(&driver, 0, "").await.unwrap();
    let listed = [page, rest(&driver, 0, token).await].concat();
    assert!(made.iter().all(|id| !listed.contains(id)), "{listed:?}");
}

#[tokio::test]
async fn a_snapshot_is_found_listed_and_restored_in_its_cloud() {
    let (lab, directory) = (Lab::take().await, tempfile::tempdir().unwrap());
    let conf = two_clouds(&lab, &directory);
    let flags = ["--cluster=clouds-cut", "--cloud-name=large,small"];
    let driver = lab.driver_with(&conf, "NODE_1", &flags).await;
    let parameters = HashMap::from([("cloud".to_owned(), "small".to_owned())]);
    let request = CreateVolumeRequest { parameters, ..create_request("clouds-cut") };
    let volume = driver.create(request).await.unwrap();
    let driver = lab.driver_with(&conf, "NODE_1", &flags).await;
    let mut controller = driver.controller.clone();
    let cut = CreateSnapshotRequest {
        name: "clouds-cut".to_owned(),
        source_volume_id: volume.clone(),
        ..Default::default()
    };
    let made = controller.create_snapshot(within(60, cut)).await.unwrap().into_inner().snapshot.unwrap();
    // A driver that has made none of it.
    let driver = lab.driver_with(&conf, "NODE_1", &flags).await;
    let mut controller = driver.controller.clone();
    let (mut listed, mut starting_token) = (Vec::new(), String::new());
    loop {
        let request = ListSnapshotsRequest { max_entries: 1, starting_token, ..Default::default() };
        let page = controller.list_snapshots(within(30, request)).await.unwrap().into_inner();
        listed.extend(page.entries.into_iter().map(|entry| entry.snapshot.unwrap().snapshot_id));
        starting_token = page.next_token;
        if starting_token.is_empty() {
            break;
        }
    }
    assert_eq!(listed.iter().filter(|id| **id == made.snapshot_id).count(), 1, "{listed:?}");
    let source = volume_content_source::SnapshotSource { snapshot_id: made.snapshot_id.clone() };
    let r#type = Some(volume_content_source::Type::Snapshot(source));
    let request = CreateVolumeRequest {
        volume_content_source: Some(VolumeContentSource { r#type }),
        ..create_request("clouds-copy")
    };
    let copy = driver.create(request).await.unwrap();
    assert!(lab.view().cinder.find_volume(copy.parse().unwrap()).await.unwrap().is_none());
    driver.delete(&copy).await;
    let request = DeleteSnapshotRequest { snapshot_id: made.snapshot_id, ..Default::default() };
    controller.delete_snapshot(within(60, request)).await.unwrap();
    driver.delete(&volume).await;
}
