//! Volumes from backups.

use std::collections::BTreeMap;
use std::time::Duration;

use cinder_csi::csi::proto::*;
use cinder_csi::sandbox::{Latency, Mishap, Operation, Settings, Span};
use serde_json::{Value, json};
use tonic::{Code, Request};

use super::asking::{create, gib, of_snapshot, parameters, terms, volume, zones};
use super::bed::Bed;
use super::driver::Driver;
use super::{RESIZE, Stand};

/// A backup of the source, once all data is in it.
async fn backup_of(stand: &Stand, name: &str) -> Snapshot {
    let request = CreateSnapshotRequest {
        name: name.to_owned(),
        source_volume_id: stand.source.clone(),
        parameters: parameters(&[("type", "backup")]),
        ..Default::default()
    };
    loop {
        let made = stand.driver.controller().create_snapshot(request.clone()).await.unwrap().into_inner();
        match made.snapshot.unwrap() {
            ready if ready.ready_to_use => return ready,
            begun => {
                // It can't be restored yet, and that is no final answer.
                let early = CreateVolumeRequest {
                    volume_content_source: of_snapshot(&begun.snapshot_id),
                    ..volume("early")
                };
                stand.refused(early, Code::Unavailable, "status creating").await;
            }
        }
        cinder_csi::pace::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_backup_is_restored_in_any_zone_after_its_volume_has_gone() {
    let latency = Latency::fixed(Duration::from_millis(500));
    let stand = Stand::with(Settings { latency, ..Settings::default() }).await;
    let backup = backup_of(&stand, "saved").await;
    // No place is named: it can be used from everywhere.
    assert!(backup.accessible_topology.is_empty());
    let request = DeleteSnapshotRequest { snapshot_id: stand.snapshot.clone(), ..Default::default() };
    stand.driver.controller().delete_snapshot(request).await.unwrap();
    let request = DeleteVolumeRequest { volume_id: stand.source.clone(), ..Default::default() };
    stand.driver.controller().delete_volume(request).await.unwrap();

    let asked = |name: &str, size| CreateVolumeRequest {
        volume_content_source: of_snapshot(&backup.snapshot_id),
        accessibility_requirements: zones(&["az1"]),
        capacity_range: gib(size, 0),
        ..volume(name)
    };
    stand.refused(asked("smaller", 1), Code::OutOfRange, "has 2 GiB").await;
    let made = create(&stand.driver, asked("larger", 3)).await.unwrap();
    assert_eq!((made.capacity_bytes, made.volume_context[RESIZE].as_str()), (3 << 30, "true"));
    assert_eq!(made.accessible_topology, terms(&["az1"]));
    assert_eq!(made.content_source, of_snapshot(&backup.snapshot_id));
    assert_eq!(create(&stand.driver, asked("larger", 3)).await.unwrap(), made);
    let other = CreateVolumeRequest { volume_content_source: None, ..asked("larger", 3) };
    assert_eq!(create(&stand.driver, other).await.unwrap_err().code(), Code::AlreadyExists);
}

#[tokio::test(start_paused = true)]
async fn a_restore_of_a_backup_that_fails_leaves_nothing() {
    let stand = Stand::new().await;
    let backup = backup_of(&stand, "saved").await.snapshot_id;
    let request = CreateVolumeRequest { volume_content_source: of_snapshot(&backup), ..volume("copy") };
    stand.bed.cloud.mishap(Mishap::Fails(Operation::Restore, "no".to_owned()));
    stand.refused(request.clone(), Code::Internal, "was removed").await;
    create(&stand.driver, request).await.unwrap();
}

/// A backup of a new volume with this metadata, which then is deleted.
async fn backup_of_one_with(bed: &Bed, driver: &Driver, metadata: &Value) -> String {
    let body = json!({ "volume": { "name": "was", "size": 1, "metadata": metadata } });
    let source = bed.post_to_cinder("/volumes", body).await["volume"]["id"].as_str().unwrap().to_owned();
    cinder_csi::pace::sleep(Duration::from_secs(10)).await;
    let body = json!({ "backup": { "name": "saved", "volume_id": source } });
    let backup = bed.post_to_cinder("/backups", body).await["backup"]["id"].as_str().unwrap().to_owned();
    cinder_csi::pace::sleep(Duration::from_secs(60)).await;
    let request = DeleteVolumeRequest { volume_id: source, ..Default::default() };
    driver.controller().delete_volume(request).await.unwrap();
    backup
}

/// Calls of a second each until the volume is there; whatever they answer before that isn't final.
async fn restored(driver: &Driver, asked: &CreateVolumeRequest) -> Volume {
    for _ in 0..60 {
        let mut request = Request::new(asked.clone());
        request.set_timeout(Duration::from_secs(1));
        match driver.controller().create_volume(request).await {
            Ok(made) => return made.into_inner().volume.unwrap(),
            Err(status) => {
                let waits = [Code::DeadlineExceeded, Code::Unavailable, Code::Aborted];
                assert!(waits.contains(&status.code()), "{status}");
            }
        }
    }
    panic!("a minute of calls made no volume");
}

#[tokio::test(start_paused = true)]
async fn a_restored_volume_is_known_under_its_sources_metadata_and_gets_its_own() {
    const CLUSTER: &str = "cinder.csi.openstack.org/cluster";
    const ATTEMPT: &str = "cinder.csi.openstack.org/attempt";
    const SETTLED: &str = "cinder.csi.openstack.org/settled";
    let ours =
        json!({ CLUSTER: "kubernetes", ATTEMPT: "a", SETTLED: "11111111-2222-4333-8444-555555555555" });
    let another_clusters =
        json!({ CLUSTER: "another", ATTEMPT: "a", SETTLED: "11111111-2222-4333-8444-555555555555" });
    let restored_itself =
        json!({ CLUSTER: "kubernetes", "cinder.csi.openstack.org/restored-from": "of-old" });
    for kept in [ours, another_clusters, restored_itself, json!({ "owner": "a person" }), json!({})] {
        let second = Latency::fixed(Duration::from_secs(1));
        let latency =
            Latency { restore: Span::of_millis(5_000, 0), detach: Span::of_millis(3_000, 0), ..second };
        let bed = Bed::new(Settings { latency, ..Settings::default() });
        let driver = Driver::in_memory(bed.volumes.clone());
        let backup = backup_of_one_with(&bed, &driver, &kept).await;
        let asked = CreateVolumeRequest {
            volume_content_source: of_snapshot(&backup),
            parameters: parameters(&[("appendVolumeMetadata", r#"{"team":"blue"}"#)]),
            ..volume("pvc-1")
        };
        let made = restored(&driver, &asked).await;
        assert_eq!(restored(&driver, &asked).await, made, "{kept}");
        let all = bed.all().await;
        let [volume] = all.as_slice() else { panic!("{kept}: {all:?}") };
        let expected: BTreeMap<&str, &str> = [
            (CLUSTER, "kubernetes"),
            (SETTLED, made.volume_id.as_str()),
            ("cinder.csi.openstack.org/restored-from", backup.as_str()),
            ("team", "blue"),
        ]
        .into();
        for (key, value) in expected {
            assert_eq!(volume.metadata.get(key).map(String::as_str), Some(value), "{kept}: {key}");
        }
    }
}
