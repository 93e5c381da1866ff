//! Deletions that Cinder begins and gives up: what was to go is in status error again.

use std::time::Duration;

use cinder_csi::openstack::{Group, NewGroup};
use cinder_csi::pace;
use cinder_csi::sandbox::{Mishap, Operation};
use http::Method;
use tonic::{Code, Status};

use super::{NAME, Stand, cut, delete, members, taking};
use crate::bed::cinder;

/// How the description of the driver's own groups begins.
const MARK: &str = "cinder-csi holds the volumes of one group snapshot together while it is cut";
const DELETE_CUT: (Method, &str) = (Method::DELETE, "/group_snapshots/{id}");
const DELETE_GROUP: (Method, &str) = (Method::POST, "/groups/{id}/action");

fn fails(stand: &Stand, operation: Operation) {
    stand.bed.cloud.mishap(Mishap::Fails(operation, "no".to_owned()));
}

/// It is told with this code, after one such request.
fn given_up(stand: &Stand, status: &Status, code: Code, (method, path): (Method, &str)) {
    assert_eq!(status.code(), code, "{status}");
    assert!(status.message().contains("gave it up"), "{status}");
    let calls = stand.bed.calls();
    let sent = calls.iter().filter(|call| call.method == method && call.path == path).count();
    assert_eq!(sent, 1, "{path}: {status}");
}

#[tokio::test(start_paused = true)]
async fn a_deletion_ends_with_the_reason() {
    for (operation, call) in
        [(Operation::DeleteGroupSnapshot, DELETE_CUT), (Operation::DeleteGroup, DELETE_GROUP)]
    {
        let stand = Stand::new(taking(300)).await;
        let driver = stand.driver();
        let done = cut(&driver, &stand.volumes).await.unwrap();
        stand.bed.calls();
        fails(&stand, operation);
        let status = delete(&driver, &done.group_snapshot_id, members(&done)).await.unwrap_err();
        given_up(&stand, &status, Code::Internal, call);
        delete(&driver, &done.group_snapshot_id, vec![]).await.unwrap();
        assert_eq!(stand.left(), Vec::<String>::new());
        stand.delete_volumes().await;
    }
}

/// The next call goes on with what is left.
#[tokio::test(start_paused = true)]
async fn a_cut_that_failed_and_cannot_be_removed_is_told() {
    for (operation, call) in
        [(Operation::DeleteGroupSnapshot, DELETE_CUT), (Operation::DeleteGroup, DELETE_GROUP)]
    {
        let stand = Stand::new(taking(300)).await;
        let driver = stand.driver();
        fails(&stand, Operation::GroupSnapshot);
        fails(&stand, operation);
        let status = cut(&driver, &stand.volumes).await.unwrap_err();
        given_up(&stand, &status, Code::Aborted, call);
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_failed_and_cannot_be_removed_is_told() {
    let stand = Stand::new(taking(300)).await;
    let group = failed_group(&stand).await;
    fails(&stand, Operation::DeleteGroup);
    let status = cut(&stand.driver(), &stand.volumes).await.unwrap_err();
    assert!(status.message().contains(&group), "{status}");
    given_up(&stand, &status, Code::Aborted, DELETE_GROUP);
    assert_eq!(cut(&stand.driver(), &stand.volumes).await.unwrap().snapshots.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_second_cut_that_cannot_be_removed_is_told() {
    // It has failed before anybody looks: one that is going is waited for no longer.
    let stand = Stand::new(taking(20)).await;
    let first = cut(&stand.driver(), &stand.volumes).await.unwrap();
    cut_again(&stand).await;
    // No RPC lives as long: whoever made it has died.
    pace::sleep(Duration::from_secs(700)).await;
    stand.bed.calls();
    fails(&stand, Operation::DeleteGroupSnapshot);
    let status = cut(&stand.driver(), &stand.volumes).await.unwrap_err();
    given_up(&stand, &status, Code::Aborted, DELETE_CUT);
    assert_eq!(cut(&stand.driver(), &stand.volumes).await.unwrap(), first);
}

/// A group of a call that has died.
async fn failed_group(stand: &Stand) -> String {
    let cinder = cinder(&stand.bed.cloud);
    let types = cinder.list_group_types().await.unwrap();
    let new = NewGroup {
        name: NAME.to_owned(),
        description: MARK.to_owned(),
        group_type: types[0].id.clone(),
        volume_types: vec!["lab".to_owned()],
        availability_zone: None,
    };
    let id = cinder.create_group(&new).await.unwrap().to_string();
    pace::sleep(Duration::from_secs(1)).await;
    assert!(stand.bed.cloud.set_status(&id, "error"));
    id
}

async fn cut_again(stand: &Stand) {
    let cinder = cinder(&stand.bed.cloud);
    let group: Group = cinder.list_groups().await.unwrap().remove(0);
    let volume = [stand.volumes[0].parse().unwrap()];
    cinder.add_to_group(group.id, &volume).await.unwrap();
    pace::sleep(Duration::from_secs(1)).await;
    cinder.create_group_snapshot(group.id, NAME, MARK).await.unwrap();
    pace::sleep(Duration::from_secs(1)).await;
    cinder.remove_from_group(group.id, &volume).await.unwrap();
}
