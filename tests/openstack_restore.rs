//! Copies with the driver's own binary on a real OpenStack, their content read back: `tests/run openstack` starts it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by them")]

#[path = "openstack_driver/bed.rs"]
mod bed;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bed::{Driver, Lab, capability, create_request, snapshot_request, within};
use cinder_csi::csi::proto::volume_content_source::{SnapshotSource, Type, VolumeSource};
use cinder_csi::csi::proto::*;
use cinder_csi::pace;
use tonic::{Code, Status};

const ZONE: &str = "topology.cinder.csi.openstack.org/zone";
const CONTENT: &str = "what was written before the copy";

fn of_snapshot(id: &str) -> Option<VolumeContentSource> {
    let snapshot = SnapshotSource { snapshot_id: id.to_owned() };
    Some(VolumeContentSource { r#type: Some(Type::Snapshot(snapshot)) })
}

fn of_volume(id: &str) -> Option<VolumeContentSource> {
    let volume = VolumeSource { volume_id: id.to_owned() };
    Some(VolumeContentSource { r#type: Some(Type::Volume(volume)) })
}

fn term(zone: &str) -> Topology {
    Topology { segments: [(ZONE.to_owned(), zone.to_owned())].into() }
}

fn zones(zones: &[&str]) -> Option<TopologyRequirement> {
    let terms: Vec<_> = zones.iter().map(|zone| term(zone)).collect();
    Some(TopologyRequirement { requisite: terms.clone(), preferred: terms })
}

fn gib(required: i64) -> Option<CapacityRange> {
    Some(CapacityRange { required_bytes: required << 30, limit_bytes: 0 })
}

async fn create(driver: &Driver, request: CreateVolumeRequest) -> Result<Volume, Status> {
    let reply = driver.controller.clone().create_volume(within(60, request)).await?;
    Ok(reply.into_inner().volume.unwrap())
}

/// A volume on a node, mounted.
struct Mounted<'a> {
    driver: &'a Driver,
    server: &'a str,
    volume: String,
    staging: PathBuf,
}

impl<'a> Mounted<'a> {
    async fn stage(driver: &'a Driver, server: &'a str, volume: &Volume, fs: &str) -> Self {
        let publish_context = driver.attach(&volume.volume_id, server, 60).await.unwrap();
        let staging = driver.directory.path().join(&volume.volume_id);
        fs::create_dir(&staging).unwrap();
        let stage = NodeStageVolumeRequest {
            volume_id: volume.volume_id.clone(),
            publish_context,
            staging_target_path: staging.display().to_string(),
            volume_capability: Some(capability(fs)),
            volume_context: volume.volume_context.clone(),
            ..NodeStageVolumeRequest::default()
        };
        driver.node.clone().node_stage_volume(within(60, stage)).await.unwrap();
        Self { driver, server, volume: volume.volume_id.clone(), staging }
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.staging.join(name);
        fs::write(&path, content).unwrap();
        fs::File::open(&path).unwrap().sync_all().unwrap();
    }

    fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.staging.join(name)).ok()
    }

    async fn room(&self) -> i64 {
        room(self.driver, &self.volume, &self.staging).await
    }

    async fn unstage(self) {
        let unstage = NodeUnstageVolumeRequest {
            volume_id: self.volume.clone(),
            staging_target_path: self.staging.display().to_string(),
        };
        self.driver.node.clone().node_unstage_volume(within(60, unstage)).await.unwrap();
        self.driver.detach(&self.volume, self.server).await;
    }
}

/// The bytes of the file system at `path`.
async fn room(driver: &Driver, volume: &str, path: &Path) -> i64 {
    let request = NodeGetVolumeStatsRequest {
        volume_id: volume.to_owned(),
        volume_path: path.display().to_string(),
        ..NodeGetVolumeStatsRequest::default()
    };
    let stats = driver.node.clone().node_get_volume_stats(within(10, request)).await.unwrap().into_inner();
    stats.usage[0].total
}

#[tokio::test]
async fn a_snapshot_of_a_volume_in_use_is_restored_larger_with_its_content() {
    let lab = Lab::take().await;
    let (driver, server) = (lab.driver("NODE_1").await, lab.server("NODE_1"));
    for fs in ["xfs", "ext4"] {
        let source = create(&driver, create_request(&format!("restore-source-{fs}"))).await.unwrap();
        let mounted = Mounted::stage(&driver, &server, &source, fs).await;
        mounted.write("before", CONTENT);
        let request = snapshot_request(&format!("restore-{fs}"), &source.volume_id, "snapshot");
        let snapshot = driver.snapshot(request, 60).await.unwrap();
        mounted.write("after", "what came later");
        let request = CreateVolumeRequest {
            capacity_range: gib(2),
            volume_content_source: of_snapshot(&snapshot.snapshot_id),
            ..create_request(&format!("restore-copy-{fs}"))
        };
        let copy = create(&driver, request.clone()).await.unwrap();
        assert_eq!(
            (copy.capacity_bytes, copy.content_source.clone()),
            (2 << 30, request.volume_content_source.clone())
        );
        assert_eq!(create(&driver, request).await.unwrap(), copy, "a second call finds it");
        // Beside its source, on the same node.
        let copied = Mounted::stage(&driver, &server, &copy, fs).await;
        assert_eq!(copied.read("before").as_deref(), Some(CONTENT), "{fs}");
        assert_eq!(copied.read("after"), None, "{fs}");
        let (source_room, copy_room) = (mounted.room().await, copied.room().await);
        assert!(copy_room - source_room > (9 << 30) / 10, "{fs}: {source_room} and {copy_room} bytes");
        copied.unstage().await;
        mounted.unstage().await;
        driver.delete(&copy.volume_id).await;
        driver.delete_snapshot(&snapshot.snapshot_id).await;
        driver.delete(&source.volume_id).await;
    }
}

#[tokio::test]
async fn a_volume_in_use_is_cloned_with_its_content() {
    let lab = Lab::take().await;
    let (driver, server) = (lab.driver("NODE_1").await, lab.server("NODE_1"));
    let source = create(&driver, create_request("restore-cloned")).await.unwrap();
    let mounted = Mounted::stage(&driver, &server, &source, "xfs").await;
    mounted.write("before", CONTENT);
    let request = CreateVolumeRequest {
        volume_content_source: of_volume(&source.volume_id),
        ..create_request("restore-clone")
    };
    let smaller = CreateVolumeRequest {
        capacity_range: Some(CapacityRange { required_bytes: 0, limit_bytes: 1 << 29 }),
        ..request.clone()
    };
    assert_eq!(create(&driver, smaller).await.unwrap_err().code(), Code::OutOfRange);
    let copy = create(&driver, request).await.unwrap();
    mounted.write("after", "what came later");
    let copied = Mounted::stage(&driver, &server, &copy, "xfs").await;
    assert_eq!((copied.read("before").as_deref(), copied.read("after")), (Some(CONTENT), None));
    copied.unstage().await;
    mounted.unstage().await;
    driver.delete(&source.volume_id).await;
    driver.delete(&copy.volume_id).await;
}

/// Calls as the external-snapshotter does, until the backup has all the data.
async fn backed_up(driver: &Driver, request: &CreateSnapshotRequest) -> String {
    for _ in 0..120 {
        match driver.snapshot(request.clone(), 30).await {
            Ok(snapshot) if snapshot.ready_to_use => return snapshot.snapshot_id,
            Ok(snapshot) => {
                // It can't be restored yet, and that is no final answer.
                let early = CreateVolumeRequest {
                    volume_content_source: of_snapshot(&snapshot.snapshot_id),
                    ..create_request("restore-early")
                };
                match create(driver, early).await {
                    Ok(volume) => driver.delete(&volume.volume_id).await,
                    Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status}"),
                }
            }
            Err(status) => {
                let pending = [Code::Aborted, Code::DeadlineExceeded, Code::Unavailable];
                assert!(pending.contains(&status.code()), "{status}");
            }
        }
        pace::sleep(Duration::from_millis(300)).await;
    }
    panic!("{} isn't ready", request.name)
}

#[tokio::test]
async fn a_backup_outlives_its_volume_and_is_restored_in_another_zone_with_its_content() {
    let lab = Lab::take().await;
    let (driver, server) = (lab.driver("NODE_1").await, lab.server("NODE_1"));
    let in_zone = CreateVolumeRequest {
        accessibility_requirements: zones(&["az1"]),
        ..create_request("restore-backed-up")
    };
    let source = create(&driver, in_zone).await.unwrap();
    let mounted = Mounted::stage(&driver, &server, &source, "ext4").await;
    mounted.write("before", CONTENT);
    mounted.unstage().await;
    let request = snapshot_request("restore-backup", &source.volume_id, "backup");
    let backup = backed_up(&driver, &request).await;
    driver.delete(&source.volume_id).await;

    let request = CreateVolumeRequest {
        volume_content_source: of_snapshot(&backup),
        accessibility_requirements: zones(&["az2"]),
        capacity_range: gib(2),
        ..create_request("restore-from-backup")
    };
    let copy = create(&driver, request.clone()).await.unwrap();
    assert_eq!(copy.accessible_topology, [term("az2")]);
    assert_eq!(create(&driver, request).await.unwrap(), copy, "a second call finds it");
    let copied = Mounted::stage(&driver, &server, &copy, "ext4").await;
    assert_eq!(copied.read("before").as_deref(), Some(CONTENT));
    copied.unstage().await;
    driver.delete(&copy.volume_id).await;
    driver.delete_snapshot(&backup).await;
}

#[tokio::test]
async fn a_restore_that_fails_leaves_nothing_and_the_next_one_is_made() {
    let lab = Lab::take().await;
    let driver = lab.driver("NODE_1").await;
    let source = create(&driver, create_request("restore-fails")).await.unwrap();
    let backup = backed_up(&driver, &snapshot_request("restore-fails", &source.volume_id, "backup")).await;
    let before = driver.volumes().await;
    lab.inject("cinder.restore", "fail 1");
    let request = CreateVolumeRequest {
        volume_content_source: of_snapshot(&backup),
        ..create_request("restore-fails-copy")
    };
    let status = create(&driver, request.clone()).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal, "{status}");
    assert_eq!(driver.volumes().await, before);
    let copy = create(&driver, request).await.unwrap();
    driver.delete(&copy.volume_id).await;
    driver.delete_snapshot(&backup).await;
    driver.delete(&source.volume_id).await;
}

#[tokio::test]
async fn a_copy_that_is_asked_for_in_the_other_zone_sends_the_scheduler_on() {
    let lab = Lab::take().await;
    let driver = lab.driver("NODE_1").await;
    let in_zone = CreateVolumeRequest {
        accessibility_requirements: zones(&["az2"]),
        ..create_request("restore-zoned")
    };
    let source = create(&driver, in_zone).await.unwrap();
    let snapshot =
        driver.snapshot(snapshot_request("restore-zoned", &source.volume_id, "snapshot"), 60).await;
    let snapshot = snapshot.unwrap().snapshot_id;
    let before = driver.volumes().await;
    for (n, origin) in [of_snapshot(&snapshot), of_volume(&source.volume_id)].into_iter().enumerate() {
        let asked = |wanted: &[&str]| CreateVolumeRequest {
            accessibility_requirements: zones(wanted),
            volume_content_source: origin.clone(),
            ..create_request(&format!("restore-zoned-{n}"))
        };
        let status = create(&driver, asked(&["az1"])).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
        assert!(status.message().contains("is in zone az2"), "{status}");
        assert_eq!(driver.volumes().await, before);
        let copy = create(&driver, asked(&["az1", "az2"])).await.unwrap();
        assert_eq!(copy.accessible_topology, [term("az2")]);
        driver.delete(&copy.volume_id).await;
    }
    driver.delete_snapshot(&snapshot).await;
    driver.delete(&source.volume_id).await;
}

#[tokio::test]
async fn zones_are_mapped_passed_over_and_named() {
    let lab = Lab::take().await;
    let driver = lab.driver("NODE_1").await;
    let asked = |name: &str, wanted: &[&str]| CreateVolumeRequest {
        accessibility_requirements: zones(wanted),
        ..create_request(name)
    };
    let passed = create(&driver, asked("restore-passed", &["rack-7", "az2"])).await.unwrap();
    assert_eq!(passed.accessible_topology, [term("az2")]);
    let status = create(&driver, asked("restore-nowhere", &["rack-7"])).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert!(status.message().contains("no zone rack-7") && status.message().contains("az-map"), "{status}");
    let parameters = HashMap::from([("az-map".to_owned(), "rack-7=az2".to_owned())]);
    let request = CreateVolumeRequest { parameters, ..asked("restore-mapped", &["rack-7"]) };
    let mapped = create(&driver, request).await.unwrap();
    assert_eq!(mapped.accessible_topology, [term("az2"), term("rack-7")]);
    for volume in [passed, mapped] {
        driver.delete(&volume.volume_id).await;
    }
}

#[tokio::test]
async fn a_volume_for_several_servers_needs_a_type_that_allows_it() {
    let lab = Lab::take().await;
    let driver = lab.driver("NODE_1").await;
    let shared = |name: &str, kind: &str| {
        let mut request = create_request(name);
        request.parameters.insert("type".to_owned(), kind.to_owned());
        let capability = &mut request.volume_capabilities[0];
        capability.access_type =
            Some(volume_capability::AccessType::Block(volume_capability::BlockVolume {}));
        let mode = volume_capability::access_mode::Mode::MultiNodeMultiWriter as i32;
        capability.access_mode = Some(volume_capability::AccessMode { mode });
        request
    };
    let before = driver.volumes().await;
    let status = create(&driver, shared("restore-single", "lab")).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    assert!(status.message().contains("type lab isn't a multiattach one"), "{status}");
    assert_eq!(driver.volumes().await, before);
    let made = create(&driver, shared("restore-shared", "lab-multiattach")).await.unwrap();
    driver.delete(&made.volume_id).await;
}
