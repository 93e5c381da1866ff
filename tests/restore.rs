//! Volumes from snapshots and volumes, through the real server. Time is tokio's, and paused.

#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

#[path = "bed/asking.rs"]
mod asking;
#[path = "restore/backups.rs"]
mod backups;
#[path = "bed/bed.rs"]
mod bed;
#[path = "bed/driver.rs"]
mod driver;

use std::time::Duration;

use asking::{create, gib, of_snapshot, of_volume, parameters, volume, zones};
use bed::{Bed, printed};
use cinder_csi::csi::proto::*;
use cinder_csi::sandbox::{Fault, Latency, Mishap, Operation, Settings, Trouble};
use driver::Driver;
use http::Method;
use serde_json::json;
use tonic::Code;

const NOBODY: &str = "11111111-2222-4333-8444-555555555555";
const RESIZE: &str = "cinder.csi.openstack.org/resizeRequired";

/// A volume of 2 GiB in az2, and a snapshot of it.
struct Stand {
    bed: Bed,
    driver: Driver,
    source: String,
    snapshot: String,
}

impl Stand {
    async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    async fn with(settings: Settings) -> Self {
        let bed = Bed::new(settings);
        let driver = Driver::in_memory(bed.volumes.clone());
        let request = CreateVolumeRequest {
            capacity_range: gib(2, 0),
            accessibility_requirements: zones(&["az2"]),
            ..volume("source")
        };
        let source = create(&driver, request).await.unwrap().volume_id;
        let snapshot = snapshot_of(&bed, &source).await;
        cinder_csi::pace::sleep(Duration::from_secs(10)).await;
        bed.calls();
        Self { bed, driver, source, snapshot }
    }

    /// The POSTs of volumes since the last call of this function.
    fn posts(&self) -> usize {
        let calls = self.bed.calls();
        calls.iter().filter(|call| call.method == Method::POST && call.path == "/volumes").count()
    }

    /// Of a volume that can't be made, nothing is left.
    async fn refused(&self, request: CreateVolumeRequest, code: Code, words: &str) {
        let status = create(&self.driver, request.clone()).await.unwrap_err();
        assert_eq!(status.code(), code, "{request:?}: {status}");
        assert!(status.message().contains(words), "{status}");
        let names: Vec<_> = self.bed.all().await.into_iter().map(|volume| volume.name).collect();
        assert!(!names.contains(&request.name), "{names:?}");
    }
}

async fn snapshot_of(bed: &Bed, volume: &str) -> String {
    let body = json!({ "snapshot": { "volume_id": volume, "name": "cut" } });
    bed.post_to_cinder("/snapshots", body).await["snapshot"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_copy_has_the_size_and_the_zone_of_its_source_and_says_what_it_is() {
    let stand = Stand::new().await;
    for source in [of_snapshot(&stand.snapshot), of_volume(&stand.source)] {
        let request = CreateVolumeRequest {
            volume_content_source: source.clone(),
            accessibility_requirements: zones(&["az1", "az2"]),
            ..volume(&format!("{source:?}").replace(|c: char| !c.is_ascii_alphanumeric(), "")[..40])
        };
        let made = create(&stand.driver, request.clone()).await.unwrap();
        assert_eq!(made.capacity_bytes, 2 << 30);
        assert_eq!(made.accessible_topology, asking::terms(&["az2"]));
        assert_eq!(made.content_source, source);
        assert_eq!(made.volume_context[RESIZE], "true");
        assert_eq!(stand.posts(), 1);
        // A second call finds it, without a look at the source.
        assert_eq!(create(&stand.driver, request).await.unwrap(), made);
        let calls = stand.bed.calls();
        assert!(calls.iter().all(|call| call.path == "/volumes/detail"), "{}", printed(&calls));
    }
}

#[tokio::test(start_paused = true)]
async fn a_larger_copy_is_made_larger_and_a_smaller_one_is_refused() {
    let stand = Stand::new().await;
    let sources = [of_snapshot(&stand.snapshot), of_volume(&stand.source)];
    for (n, source) in sources.into_iter().enumerate() {
        let asked = |required, limit| CreateVolumeRequest {
            capacity_range: gib(required, limit),
            volume_content_source: source.clone(),
            ..volume(&format!("copy-{n}"))
        };
        stand.refused(asked(1, 0), Code::OutOfRange, "has 2 GiB").await;
        stand.refused(asked(0, 1), Code::OutOfRange, "allows 1 GiB").await;
        assert_eq!(stand.posts(), 0);
        let made = create(&stand.driver, asked(3, 5)).await.unwrap();
        assert_eq!((made.capacity_bytes, made.volume_context[RESIZE].as_str()), (3 << 30, "true"));
        assert_eq!(stand.posts(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_stands_for_one_source() {
    let stand = Stand::new().await;
    let copied = |source| CreateVolumeRequest { volume_content_source: source, ..volume("copy") };
    let made = create(&stand.driver, copied(of_snapshot(&stand.snapshot))).await.unwrap();
    let other = snapshot_of(&stand.bed, &stand.source).await;
    for source in [None, of_volume(&stand.source), of_snapshot(&other)] {
        let status = create(&stand.driver, copied(source)).await.unwrap_err();
        assert_eq!(status.code(), Code::AlreadyExists, "{status}");
        assert!(status.message().contains(&format!("made from snapshot {}", stand.snapshot)), "{status}");
    }
    let plain = create(&stand.driver, volume("plain")).await.unwrap();
    assert!(plain.content_source.is_none() && !plain.volume_context.contains_key(RESIZE));
    let request = CreateVolumeRequest { volume_content_source: of_volume(&stand.source), ..volume("plain") };
    assert_eq!(create(&stand.driver, request).await.unwrap_err().code(), Code::AlreadyExists);
    assert_eq!(create(&stand.driver, copied(of_snapshot(&stand.snapshot))).await.unwrap(), made);
}

#[tokio::test(start_paused = true)]
async fn only_an_answer_that_it_is_unknown_means_that_a_source_is_not_there() {
    let stand = Stand::new().await;
    let copied = |source| CreateVolumeRequest { volume_content_source: source, ..volume("copy") };
    stand.refused(copied(of_snapshot(NOBODY)), Code::NotFound, "its source: snapshot or backup").await;
    let unknown = format!("its source: volume {NOBODY} is unknown to Cinder in this project");
    stand.refused(copied(of_volume(NOBODY)), Code::NotFound, &unknown).await;
    stand.refused(copied(of_volume(NOBODY)), Code::NotFound, "(request req-").await;
    for path in ["/snapshots/{id}", "/backups/{id}"] {
        stand.bed.cloud.fault(Fault::on(Method::GET, path, Trouble::Refused(503)).always());
        let status = create(&stand.driver, copied(of_snapshot(NOBODY))).await.unwrap_err();
        assert!([Code::Unavailable, Code::DeadlineExceeded].contains(&status.code()), "{path}: {status}");
        stand.bed.cloud.clear_faults();
    }
    assert_eq!(stand.posts(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_not_ready_is_not_final_and_a_broken_one_is() {
    let latency = Latency::fixed(Duration::from_secs(2));
    let stand = Stand::with(Settings { latency, ..Settings::default() }).await;
    let copied = |source| CreateVolumeRequest { volume_content_source: source, ..volume("copy") };
    let snapshot = snapshot_of(&stand.bed, &stand.source).await;
    stand.refused(copied(of_snapshot(&snapshot)), Code::Unavailable, "status creating").await;
    cinder_csi::pace::sleep(Duration::from_secs(10)).await;
    create(&stand.driver, copied(of_snapshot(&snapshot))).await.unwrap();

    let nowhere = json!({ "volume": { "name": "broken", "size": 1, "volume_type": "lab-nowhere" } });
    let broken =
        stand.bed.post_to_cinder("/volumes", nowhere).await["volume"]["id"].as_str().unwrap().to_owned();
    cinder_csi::pace::sleep(Duration::from_secs(10)).await;
    let request = CreateVolumeRequest { volume_content_source: of_volume(&broken), ..volume("copy-2") };
    stand.refused(request, Code::FailedPrecondition, "status error").await;
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_is_wanted_in_another_zone_sends_the_scheduler_on() {
    let stand = Stand::new().await;
    for source in [of_snapshot(&stand.snapshot), of_volume(&stand.source)] {
        let request = CreateVolumeRequest {
            volume_content_source: source.clone(),
            accessibility_requirements: zones(&["az1"]),
            ..volume("copy")
        };
        stand.refused(request, Code::ResourceExhausted, "is in zone az2").await;
        let request = CreateVolumeRequest {
            volume_content_source: source,
            parameters: parameters(&[("az-map", "az1=az2")]),
            accessibility_requirements: zones(&["az1"]),
            ..volume("copy-mapped")
        };
        let made = create(&stand.driver, request).await.unwrap();
        assert_eq!(made.accessible_topology, asking::terms(&["az1", "az2"]));
        let volume_id = made.volume_id;
        let request = DeleteVolumeRequest { volume_id, ..Default::default() };
        stand.driver.controller().delete_volume(request).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_cinder_cannot_make_is_removed_and_not_tried_elsewhere() {
    let stand = Stand::new().await;
    stand.bed.cloud.mishap(Mishap::Fails(Operation::Create, "no room".to_owned()));
    let request = CreateVolumeRequest {
        volume_content_source: of_snapshot(&stand.snapshot),
        accessibility_requirements: zones(&["az2", "az1"]),
        ..volume("copy")
    };
    stand.refused(request.clone(), Code::ResourceExhausted, "was removed").await;
    assert_eq!(stand.posts(), 1);
    create(&stand.driver, request).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_404_of_the_post_is_of_the_type_while_the_source_is_there() {
    let stand = Stand::new().await;
    let asked = CreateVolumeRequest { volume_content_source: of_snapshot(&stand.snapshot), ..volume("copy") };
    let lost = Fault::on(Method::POST, "/volumes", Trouble::Refused(404));
    stand.bed.cloud.fault(lost);
    stand.refused(asked, Code::InvalidArgument, "openstack volume type list").await;
    let nobodys = CreateVolumeRequest { parameters: parameters(&[("type", "nope")]), ..volume("copy") };
    stand.refused(nobodys, Code::InvalidArgument, "openstack volume type list").await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_to_a_copy_leaves_one_volume() {
    for trouble in [Trouble::ResetAfter, Trouble::FailedAfter(503), Trouble::ReplyLost] {
        let stand = Stand::new().await;
        stand.bed.cloud.fault(Fault::on(Method::POST, "/volumes", trouble.clone()));
        let request =
            CreateVolumeRequest { volume_content_source: of_volume(&stand.source), ..volume("copy") };
        let first = create(&stand.driver, request.clone()).await;
        let second = create(&stand.driver, request).await.unwrap();
        assert!(first.is_err() || first.as_ref().unwrap() == &second, "{trouble:?}: {first:?}");
        assert_eq!(stand.bed.all().await.len(), 2, "{trouble:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_says_from_where_it_can_be_used() {
    let stand = Stand::new().await;
    let asked = |name: &str, required| CreateSnapshotRequest {
        name: name.to_owned(),
        source_volume_id: stand.source.clone(),
        accessibility_requirements: required,
        ..Default::default()
    };
    let mut controller = stand.driver.controller();
    let made = controller.create_snapshot(asked("one", None)).await.unwrap().into_inner().snapshot.unwrap();
    assert_eq!(made.accessible_topology, asking::terms(&["az2"]));
    let shown = GetSnapshotRequest { snapshot_id: made.snapshot_id.clone(), ..Default::default() };
    let shown = controller.get_snapshot(shown).await.unwrap().into_inner().snapshot;
    assert_eq!(shown.as_ref(), Some(&made));
    let listed =
        controller.list_snapshots(ListSnapshotsRequest::default()).await.unwrap().into_inner().entries;
    assert_eq!(listed.len(), 2);
    assert!(
        listed
            .iter()
            .all(|entry| entry.snapshot.as_ref().unwrap().accessible_topology == asking::terms(&["az2"]))
    );
    let again = controller.create_snapshot(asked("one", zones(&["az1", "az2"]))).await.unwrap().into_inner();
    assert_eq!(again.snapshot, Some(made));
    let status = controller.create_snapshot(asked("two", zones(&["az1"]))).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert!(status.message().contains("az2"), "{status}");
}

#[tokio::test(start_paused = true)]
async fn the_zones_of_many_snapshots_cost_one_list() {
    let stand = Stand::new().await;
    for n in 0..12 {
        let request =
            CreateVolumeRequest { accessibility_requirements: zones(&["az1"]), ..volume(&format!("v-{n}")) };
        let id = create(&stand.driver, request).await.unwrap().volume_id;
        snapshot_of(&stand.bed, &id).await;
    }
    cinder_csi::pace::sleep(Duration::from_secs(700)).await;
    let mut controller = stand.driver.controller();
    stand.bed.calls();
    for looks in [1, 0] {
        let listed = controller.list_snapshots(ListSnapshotsRequest::default()).await.unwrap().into_inner();
        let zones =
            listed.entries.iter().map(|entry| entry.snapshot.as_ref().unwrap().accessible_topology.clone());
        assert_eq!(zones.filter(|zones| *zones == asking::terms(&["az1"])).count(), 12);
        let calls = stand.bed.calls();
        assert!(
            calls.iter().filter(|call| call.path.starts_with("/volumes")).count() == looks,
            "{}",
            printed(&calls)
        );
    }
}
