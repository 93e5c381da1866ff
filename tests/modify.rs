//! ControllerModifyVolume through the real gRPC server, whatever the cloud does meanwhile. Time is tokio's, and paused.

#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

#[path = "bed/bed.rs"]
mod bed;
#[path = "bed/driver.rs"]
mod driver;

use std::time::Duration;

use bed::{Bed, controller, options, printed, wanted};
use cinder_csi::csi::proto::*;
use cinder_csi::openstack::{Cloud, NewGroup};
use cinder_csi::pace;
use cinder_csi::sandbox::{Fault, Latency, Mishap, Operation, Quota, Settings, Trouble};
use cinder_csi::volume::{Volume, VolumeId, Wanted};
use driver::Driver;
use futures_util::future::join;
use http::Method;
use serde_json::json;
use tonic::{Code, Request, Status};

const ACTION: &str = "/volumes/{id}/action";
const MINUTE: Duration = Duration::from_secs(60);

fn taking(millis: u64) -> Settings {
    Settings { latency: Latency::fixed(Duration::from_millis(millis)), ..Settings::default() }
}

/// A cloud with one volume of type `lab`, and a driver of it.
struct Stand {
    bed: Bed,
    driver: Driver,
    volume: VolumeId,
}

impl Stand {
    async fn new(settings: Settings) -> Self {
        let bed = Bed::warm(settings).await;
        let volume = bed.volumes.ensure_created(&wanted("pvc-1")).await.unwrap();
        assert_eq!(volume.volume_type.as_deref(), Some("lab"));
        let driver = Driver::in_memory(controller(&bed.cloud));
        // Its token is there.
        let request = ControllerGetVolumeRequest { volume_id: volume.id.to_string() };
        driver.controller().controller_get_volume(request).await.unwrap();
        bed.calls();
        Self { bed, driver, volume: volume.id }
    }

    async fn attached(settings: Settings) -> Self {
        let stand = Self::new(settings).await;
        stand.bed.volumes.ensure_attached(stand.volume, stand.bed.server("node-1")).await.unwrap();
        stand.bed.calls();
        stand
    }

    async fn modify(&self, parameters: &[(&str, &str)]) -> Result<(), Status> {
        modify(&self.driver, self.volume, parameters, MINUTE).await
    }

    async fn refused(&self, parameters: &[(&str, &str)]) -> Status {
        self.modify(parameters).await.unwrap_err()
    }

    async fn shown(&self) -> Volume {
        self.bed.volumes.get(self.volume).await.unwrap()
    }

    /// Type and status.
    async fn state(&self) -> (String, String) {
        let volume = self.shown().await;
        (volume.volume_type.unwrap(), volume.status.to_string())
    }

    /// How often a retype was asked for since the last call.
    fn retypes(&self) -> usize {
        self.bed.calls().iter().filter(|call| call.path == ACTION).count()
    }
}

async fn modify(
    driver: &Driver,
    volume: VolumeId,
    parameters: &[(&str, &str)],
    patience: Duration,
) -> Result<(), Status> {
    let owned = parameters.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let mut request = Request::new(ControllerModifyVolumeRequest {
        volume_id: volume.to_string(),
        mutable_parameters: owned.collect(),
        ..Default::default()
    });
    request.set_timeout(patience);
    driver.controller().controller_modify_volume(request).await.map(drop)
}

async fn expand(driver: &Driver, volume: VolumeId, gib: i64) -> Result<(), Status> {
    let mut request = Request::new(ControllerExpandVolumeRequest {
        volume_id: volume.to_string(),
        capacity_range: Some(CapacityRange { required_bytes: gib << 30, limit_bytes: 0 }),
        ..Default::default()
    });
    request.set_timeout(MINUTE);
    driver.controller().controller_expand_volume(request).await.map(drop)
}

fn of(kind: &str, status: &str) -> (String, String) {
    (kind.to_owned(), status.to_owned())
}

#[tokio::test(start_paused = true)]
async fn an_attached_volume_changes_its_type_and_its_metadata() {
    let stand = Stand::attached(taking(400)).await;
    let before = stand.shown().await;
    stand.bed.calls();
    stand.modify(&[("type", "lab-fast"), ("metadata.iops-tier", "gold")]).await.unwrap();
    let calls = stand.bed.calls();
    assert!(calls.len() <= 8, "{}", printed(&calls));
    let after = stand.shown().await;
    assert_eq!(stand.state().await, of("lab-fast", "in-use"));
    assert_eq!((after.id, after.attachments), (before.id, before.attachments));
    let mut metadata = before.metadata;
    metadata.insert("iops-tier".to_owned(), "gold".to_owned());
    assert_eq!(after.metadata, metadata, "what was there stays");
}

#[tokio::test(start_paused = true)]
async fn a_second_call_changes_nothing() {
    let stand = Stand::new(Settings::default()).await;
    let parameters = [("type", "lab-fast"), ("metadata.a", "b")];
    stand.modify(&parameters).await.unwrap();
    stand.bed.calls();
    stand.modify(&parameters).await.unwrap();
    stand.modify(&[]).await.unwrap();
    let calls = stand.bed.calls();
    assert!(calls.iter().all(|call| call.method == Method::GET), "{}", printed(&calls));
    assert_eq!(calls.len(), 2, "{}", printed(&calls));
}

#[tokio::test(start_paused = true)]
async fn a_type_may_be_named_by_its_id() {
    let stand = Stand::new(Settings::default()).await;
    let cinder = Cloud::new(stand.bed.cloud.http(), options("csi", "k8s")).cinder;
    let fast = cinder.find_volume_type("lab-fast").await.unwrap().unwrap();
    stand.modify(&[("type", &fast.id)]).await.unwrap();
    assert_eq!(stand.state().await, of("lab-fast", "available"));
    stand.bed.calls();
    stand.modify(&[("type", &fast.id)]).await.unwrap();
    assert_eq!(stand.retypes(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_the_cloud_does_not_have_is_infeasible_and_leaves_the_volume_as_it_was() {
    let apart = || Settings { types_are_apart: true, ..taking(300) };
    for (settings, parameters, retypes, words) in [
        (taking(300), vec![("type", "nobody's")], 0, "openstack volume type list"),
        (taking(300), vec![("type", "lab-nowhere"), ("metadata.a", "b")], 1, "gave it up"),
        (apart(), vec![("type", "lab-fast")], 1, "migration-policy \"never\" forbids"),
        (
            taking(300),
            vec![("type", "lab-multiattach")],
            0,
            "its type doesn't allow multiattach and \"lab-multiattach\" does: ",
        ),
    ] {
        let stand = Stand::attached(settings).await;
        let before = stand.shown().await.metadata;
        let status = stand.refused(&parameters).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        assert!(status.message().contains(words), "{status}");
        assert!(status.message().contains(&stand.volume.to_string()), "{status}");
        assert_eq!(stand.retypes(), retypes, "{parameters:?}");
        assert_eq!(stand.state().await, of("lab", "in-use"));
        assert_eq!(stand.shown().await.metadata, before);
        // The way back, and another class.
        stand.modify(&[("type", "lab")]).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_volume_moves_where_its_class_lets_it() {
    let stand = Stand::attached(Settings { types_are_apart: true, ..taking(2000) }).await;
    stand.modify(&[("type", "lab-fast"), ("migration-policy", "on-demand")]).await.unwrap();
    assert_eq!(stand.state().await, of("lab-fast", "in-use"));
}

#[tokio::test(start_paused = true)]
async fn a_detached_volume_becomes_a_multiattach_one() {
    let stand = Stand::new(Settings::default()).await;
    stand.modify(&[("type", "lab-multiattach")]).await.unwrap();
    assert!(stand.shown().await.multiattach);
}

#[tokio::test(start_paused = true)]
async fn a_quota_of_the_new_type_is_named_and_the_class_can_be_changed() {
    let of_types = [("gigabytes_lab-fast".to_owned(), 0)].into();
    let quota = Quota { of_types, ..Quota::default() };
    let stand = Stand::new(Settings { quota, ..Settings::default() }).await;
    let status = stand.refused(&[("type", "lab-fast")]).await;
    // RESOURCE_EXHAUSTED would hold the resizer to this class for ever.
    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
    assert!(status.message().contains("gigabytes_lab-fast") && status.message().contains("req-"), "{status}");
}

#[tokio::test(start_paused = true)]
async fn a_bad_parameter_is_named_and_no_cloud_is_asked() {
    let stand = Stand::new(Settings::default()).await;
    for (key, value, words) in [
        ("Type", "lab-fast", "did you mean \"type\"?"),
        ("iops", "3000", "\"metadata.KEY\""),
        ("migration-policy", "sometimes", "on-demand"),
        ("metadata.cinder.csi.openstack.org/settled", "", "the driver's own"),
    ] {
        let status = stand.refused(&[(key, value)]).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        assert!(status.message().starts_with(&format!("mutable_parameters.{key}: ")), "{status}");
        assert!(status.message().contains(words), "{status}");
    }
    assert_eq!(stand.bed.calls().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_is_not_there_or_in_error_is_told_apart() {
    let stand = Stand::new(Settings::default()).await;
    let gone = "11111111-2222-4333-8444-555555555555".parse().unwrap();
    let status = modify(&stand.driver, gone, &[("type", "lab-fast")], MINUTE).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "{status}");
    assert!(status.message().contains(" (request req-"), "{status}");

    stand.bed.cloud.mishap(Mishap::Fails(Operation::Create, "no room".to_owned()));
    let order = json!({"volume": {"name": "broken", "size": 1}});
    let made = stand.bed.post_to_cinder("/volumes", order).await;
    let broken = made["volume"]["id"].as_str().unwrap().parse().unwrap();
    pace::sleep(MINUTE).await;
    let status = modify(&stand.driver, broken, &[("type", "lab-fast")], MINUTE).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
    assert!(status.message().contains("status error"), "{status}");
}

#[tokio::test(start_paused = true)]
async fn a_retype_whose_answer_is_lost_is_found_and_not_sent_again() {
    for trouble in [Trouble::ReplyLost, Trouble::ResetAfter, Trouble::FailedAfter(503)] {
        let stand = Stand::new(taking(1000)).await;
        stand.bed.cloud.fault(Fault::on(Method::POST, ACTION, trouble.clone()));
        let mut answer = modify(&stand.driver, stand.volume, &[("type", "lab-fast")], MINUTE).await;
        if let Err(status) = &answer {
            assert_eq!(status.code(), Code::DeadlineExceeded, "{trouble:?}: {status}");
            answer = stand.modify(&[("type", "lab-fast")]).await;
        }
        answer.unwrap();
        assert_eq!(stand.retypes(), 1, "{trouble:?}");
        assert_eq!(stand.state().await, of("lab-fast", "available"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_retype_that_never_ends_is_never_final_and_is_waited_for_again() {
    let stand = Stand::new(taking(300)).await;
    stand.bed.cloud.mishap(Mishap::Takes(Operation::Retype, Duration::from_secs(25)));
    for _ in 0..2 {
        let status =
            modify(&stand.driver, stand.volume, &[("type", "lab-fast")], Duration::from_secs(10)).await;
        let status = status.unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
        assert!(status.message().contains("status retyping"), "{status}");
    }
    stand.modify(&[("type", "lab-fast")]).await.unwrap();
    assert_eq!(stand.retypes(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_expand_and_a_modify_by_two_controllers_at_once_both_come_true() {
    for first in [Operation::Retype, Operation::Extend] {
        let stand = Stand::attached(taking(2000)).await;
        let other = Driver::in_memory(controller(&stand.bed.cloud));
        let (modified, expanded) = match first {
            Operation::Retype => {
                join(stand.modify(&[("type", "lab-fast")]), async {
                    pace::sleep(Duration::from_millis(500)).await;
                    expand(&other, stand.volume, 3).await
                })
                .await
            }
            _ => {
                let late = async {
                    pace::sleep(Duration::from_millis(500)).await;
                    stand.modify(&[("type", "lab-fast")]).await
                };
                join(late, expand(&other, stand.volume, 3)).await
            }
        };
        modified.unwrap();
        expanded.unwrap();
        assert_eq!(stand.state().await, of("lab-fast", "in-use"));
        assert_eq!(stand.shown().await.size, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn an_expand_while_one_controller_modifies_is_told_to_come_again() {
    let stand = Stand::new(taking(2000)).await;
    let (modified, expanded) =
        join(stand.modify(&[("type", "lab-fast")]), expand(&stand.driver, stand.volume, 2)).await;
    let codes = [modified, expanded].map(|answer| answer.err().map(|status| status.code()));
    assert!([[None, Some(Code::Aborted)], [Some(Code::Aborted), None]].contains(&codes), "{codes:?}");
    stand.modify(&[("type", "lab-fast")]).await.unwrap();
    expand(&stand.driver, stand.volume, 2).await.unwrap();
    assert_eq!((stand.state().await, stand.shown().await.size), (of("lab-fast", "available"), 2));
}

#[tokio::test(start_paused = true)]
async fn two_controllers_that_modify_one_volume_both_see_it_done() {
    let stand = Stand::attached(taking(1000)).await;
    let other = Driver::in_memory(controller(&stand.bed.cloud));
    let parameters = [("type", "lab-fast"), ("metadata.a", "b")];
    let (one, two) = join(stand.modify(&parameters), modify(&other, stand.volume, &parameters, MINUTE)).await;
    one.unwrap();
    two.unwrap();
    assert_eq!(stand.state().await, of("lab-fast", "in-use"));
    assert_eq!(stand.shown().await.metadata["a"], "b");
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_is_being_attached_is_waited_for() {
    let stand = Stand::new(taking(3000)).await;
    let attach = stand.bed.volumes.ensure_attached(stand.volume, stand.bed.server("node-1"));
    let modify = async {
        pace::sleep(Duration::from_millis(500)).await;
        stand.modify(&[("type", "lab-fast")]).await
    };
    let (attached, modified) = join(attach, modify).await;
    attached.unwrap();
    modified.unwrap();
    assert_eq!(stand.state().await, of("lab-fast", "in-use"));
}

#[tokio::test(start_paused = true)]
async fn a_type_that_another_class_chose_is_changed_back() {
    let stand = Stand::new(Settings::default()).await;
    let fast = Wanted { volume_type: Some("lab-fast".to_owned()), ..wanted("pvc-2") };
    let volume = stand.bed.volumes.ensure_created(&fast).await.unwrap().id;
    modify(&stand.driver, volume, &[("type", "lab")], MINUTE).await.unwrap();
    let shown = stand.bed.volumes.get(volume).await.unwrap();
    assert_eq!(shown.volume_type.as_deref(), Some("lab"));
}

fn moments() -> impl Future<Output = ()> {
    pace::sleep(Duration::from_millis(100))
}

/// Cinder retypes no volume that is in a group.
#[tokio::test(start_paused = true)]
async fn a_volume_that_is_held_for_a_group_snapshot_is_waited_for() {
    let stand = Stand::new(taking(3000)).await;
    let cinder = bed::cinder(&stand.bed.cloud);
    let mut groups = Driver::in_memory(controller(&stand.bed.cloud)).groups();
    let mut request = Request::new(CreateVolumeGroupSnapshotRequest {
        name: "groupsnapshot-1".to_owned(),
        source_volume_ids: vec![stand.volume.to_string()],
        ..Default::default()
    });
    request.set_timeout(MINUTE);
    let modify = async {
        while cinder.find_group_of(stand.volume).await.unwrap().is_none() {
            moments().await;
        }
        stand.modify(&[("type", "lab-fast")]).await
    };
    let (cut, modified) = join(groups.create_volume_group_snapshot(request), modify).await;
    cut.unwrap();
    modified.unwrap();
    assert_eq!(stand.state().await, of("lab-fast", "available"));
}

#[tokio::test(start_paused = true)]
async fn a_volume_in_somebody_elses_group_is_told_and_the_class_stays_possible() {
    let stand = Stand::new(Settings::default()).await;
    let cinder = bed::cinder(&stand.bed.cloud);
    let group_type = cinder.list_group_types().await.unwrap().remove(0).id;
    let (name, description) = ("theirs".to_owned(), String::new());
    let volume_types = vec!["lab".to_owned()];
    let new = NewGroup { name, description, group_type, volume_types, availability_zone: None };
    let group = cinder.create_group(&new).await.unwrap();
    pace::sleep(MINUTE).await;
    cinder.add_to_group(group, &[stand.volume]).await.unwrap();
    pace::sleep(MINUTE).await;
    let status = stand.refused(&[("type", "lab-fast")]).await;
    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
    assert!(status.message().contains(&group.to_string()), "{status}");
}
