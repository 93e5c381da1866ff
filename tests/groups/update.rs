//! Volumes that can't be moved into the group, or out of it: PUT /groups/ID, and what Cinder does after it.

use std::time::Duration;

use cinder_csi::csi::proto::DeleteVolumeRequest;
use cinder_csi::openstack::{Group, MEMBERS_AT_ONCE};
use cinder_csi::sandbox::{Fault, Mishap, Operation, Trouble};
use http::Method;
use tonic::Code;

use super::{MINUTE, Stand, cut, delete, members, taking, within};
use crate::bed::{cinder, printed, wanted};

const CHANGE: &str = "/groups/{id}";

fn puts(trouble: Trouble) -> Fault {
    Fault::on(Method::PUT, CHANGE, trouble)
}

/// The next PUT is well, and what Cinder does after the one after it fails.
fn second_fails(stand: &Stand) {
    stand.bed.cloud.mishap(Mishap::Takes(Operation::UpdateGroup, Duration::from_secs(1)));
    stand.bed.cloud.mishap(Mishap::Fails(Operation::UpdateGroup, "no".to_owned()));
}

/// A cloud with more volumes than one PUT takes.
async fn many() -> Stand {
    let mut stand = Stand::new(taking(300)).await;
    for n in stand.volumes.len() + 1..=MEMBERS_AT_ONCE + 2 {
        let volume = stand.bed.volumes.ensure_created(&wanted(&format!("pvc-{n}"))).await.unwrap();
        stand.volumes.push(volume.id.to_string());
    }
    stand
}

async fn groups(stand: &Stand) -> Vec<Group> {
    cinder(&stand.bed.cloud).list_groups().await.unwrap()
}

async fn delete_volume(stand: &Stand, volume_id: &str) -> Code {
    let request = DeleteVolumeRequest { volume_id: volume_id.to_owned(), ..Default::default() };
    let answer = stand.driver().controller().delete_volume(within(MINUTE, request)).await;
    answer.map_or_else(|status| status.code(), |_: tonic::Response<_>| Code::Ok)
}

#[tokio::test(start_paused = true)]
async fn more_volumes_than_one_call_takes_are_cut_together() {
    let stand = many().await;
    stand.bed.calls();
    let done = cut(&stand.driver(), &stand.volumes).await.unwrap();
    let mut sources: Vec<_> = done.snapshots.iter().map(|one| one.source_volume_id.clone()).collect();
    let mut asked = stand.volumes.clone();
    sources.sort();
    asked.sort();
    assert_eq!(sources, asked);
    let calls = stand.bed.calls();
    let changes = calls.iter().filter(|call| call.method == Method::PUT && call.path == CHANGE).count();
    assert_eq!(changes, 5, "two to fill it, two to empty it, one to sign:\n{}", printed(&calls));
    assert_eq!(groups(&stand).await[0].volumes, []);
    delete(&stand.driver(), &done.group_snapshot_id, members(&done)).await.unwrap();
    assert_eq!(stand.left(), Vec::<String>::new());
    stand.delete_volumes().await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_to_take_the_volumes_is_the_answer_once_it_is_repeated() {
    let stand = Stand::new(taking(300)).await;
    stand.bed.cloud.fault(puts(Trouble::Refused(400)).always());
    stand.refused(Code::FailedPrecondition, "req-").await;
    stand.bed.cloud.clear_faults();
    stand.bed.cloud.fault(puts(Trouble::Refused(400)));
    assert_eq!(cut(&stand.driver(), &stand.volumes).await.unwrap().snapshots.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_server_is_looked_into_and_not_taken_for_a_no() {
    for trouble in [Trouble::Refused(500), Trouble::FailedAfter(500)] {
        for nth in [1, 2, 3] {
            let stand = Stand::new(taking(300)).await;
            stand.bed.cloud.fault(puts(trouble.clone()).from_nth(nth));
            let done = cut(&stand.driver(), &stand.volumes).await.unwrap();
            assert_eq!(groups(&stand).await.len(), 1, "{trouble:?} {nth}");
            delete(&stand.driver(), &done.group_snapshot_id, members(&done)).await.unwrap();
            assert_eq!(stand.left(), Vec::<String>::new(), "{trouble:?} {nth}");
            stand.delete_volumes().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn volumes_that_a_broken_server_keeps_in_the_group_leave_it_when_it_is_well() {
    let stand = Stand::new(taking(300)).await;
    stand.bed.cloud.fault(puts(Trouble::Refused(500)).from_nth(2).always());
    let status = cut(&stand.driver(), &stand.volumes).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    assert_eq!(groups(&stand).await[0].volumes.len(), 2);
    stand.bed.cloud.clear_faults();
    cut(&stand.driver(), &stand.volumes).await.unwrap();
    assert_eq!(groups(&stand).await[0].volumes, []);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_fails_to_take_the_volumes_is_removed() {
    let stand = Stand::new(taking(300)).await;
    stand.bed.cloud.mishap(Mishap::Fails(Operation::UpdateGroup, "no".to_owned()));
    stand.refused(Code::Internal, "couldn't hold the volumes together").await;
    // Cinder calls the volumes broken, too, until an administrator resets them.
    stand.refused(Code::FailedPrecondition, "is in status error").await;
    stand.delete_volumes().await;
}

#[tokio::test(start_paused = true)]
async fn a_group_that_fails_when_it_holds_some_of_the_volumes_lets_them_out() {
    let stand = many().await;
    second_fails(&stand);
    let status = cut(&stand.driver(), &stand.volumes).await.unwrap_err();
    assert_eq!(status.code(), Code::Aborted, "{status}");
    assert!(status.message().contains("(status error)"), "{status}");
    stand.refused(Code::FailedPrecondition, "is in status error").await;
    stand.delete_volumes().await;
}

#[tokio::test(start_paused = true)]
async fn a_group_that_fails_to_let_the_volumes_out_is_asked_again() {
    let stand = Stand::new(taking(300)).await;
    second_fails(&stand);
    let status = cut(&stand.driver(), &stand.volumes).await.unwrap_err();
    assert_eq!(status.code(), Code::Aborted, "{status}");
    assert!(status.message().contains("(status error)"), "{status}");
    let done = cut(&stand.driver(), &stand.volumes).await.unwrap();
    assert_eq!(groups(&stand).await[0].volumes, []);
    delete(&stand.driver(), &done.group_snapshot_id, members(&done)).await.unwrap();
    stand.delete_volumes().await;
}

/// Nobody comes back for the group snapshot.
#[tokio::test(start_paused = true)]
async fn a_volume_that_was_left_in_a_group_in_error_is_deleted() {
    let stand = Stand::new(taking(300)).await;
    stand.bed.cloud.fault(Fault::on(Method::POST, "/group_snapshots", Trouble::Refused(503)).always());
    cut(&stand.driver(), &stand.volumes).await.unwrap_err();
    stand.bed.cloud.clear_faults();
    let group = groups(&stand).await.remove(0);
    assert!(stand.bed.cloud.set_status(&group.id.to_string(), "error"));
    assert_eq!(delete_volume(&stand, &stand.volumes[0]).await, Code::Aborted);
    for id in &stand.volumes {
        assert_eq!(delete_volume(&stand, id).await, Code::Ok);
    }
}

/// The answer comes to whoever asks later, not to the one who has given up.
#[tokio::test(start_paused = true)]
async fn a_group_that_never_ends_its_change_holds_the_call_to_its_deadline() {
    let stand = Stand::new(taking(300)).await;
    stand.bed.cloud.mishap(Mishap::Stuck(Operation::UpdateGroup));
    let status = cut(&stand.driver(), &stand.volumes).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    assert!(status.message().contains("updating"), "{status}");
}
