//! Group snapshots with the driver's own binary on a real OpenStack: `tests/run openstack` starts it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by them")]

#[path = "openstack_driver/bed.rs"]
mod bed;

use std::time::Duration;

use bed::{Driver, Lab, create_request, within};
use cinder_csi::csi::proto::group_controller_client::GroupControllerClient;
use cinder_csi::csi::proto::*;
use cinder_csi::openstack::{Cinder, GroupState};
use cinder_csi::pace;
use tokio::time::Instant;
use tonic::transport::Channel;
use tonic::{Code, Status};

type Groups = GroupControllerClient<Channel>;

fn request(name: &str, volumes: &[String]) -> CreateVolumeGroupSnapshotRequest {
    CreateVolumeGroupSnapshotRequest {
        name: name.to_owned(),
        source_volume_ids: volumes.to_vec(),
        ..CreateVolumeGroupSnapshotRequest::default()
    }
}

async fn cut(
    groups: &Groups,
    name: &str,
    volumes: &[String],
    seconds: u64,
) -> Result<VolumeGroupSnapshot, Status> {
    let reply = groups.clone().create_volume_group_snapshot(within(seconds, request(name, volumes))).await?;
    Ok(reply.into_inner().group_snapshot.unwrap())
}

async fn delete(groups: &Groups, cut: &VolumeGroupSnapshot) {
    let request = DeleteVolumeGroupSnapshotRequest {
        group_snapshot_id: cut.group_snapshot_id.clone(),
        snapshot_ids: cut.snapshots.iter().map(|one| one.snapshot_id.clone()).collect(),
        ..DeleteVolumeGroupSnapshotRequest::default()
    };
    groups.clone().delete_volume_group_snapshot(within(60, request)).await.unwrap();
}

async fn volumes(driver: &Driver, name: &str) -> Vec<String> {
    let mut made = Vec::new();
    for n in 0..2 {
        made.push(driver.create(create_request(&format!("{name}-{n}"))).await.unwrap());
    }
    made
}

/// What is left of a name in Cinder.
async fn left(cinder: &Cinder, name: &str) -> (usize, usize, usize) {
    let groups = cinder.list_groups_named(name).await.unwrap();
    let cuts = cinder.list_group_snapshots_named(name).await.unwrap();
    (groups.len(), cuts.len(), cinder.list_snapshots_named(name).await.unwrap().len())
}

#[tokio::test]
async fn two_volumes_are_cut_together_and_can_be_deleted_afterwards() {
    let lab = Lab::take().await;
    let (driver, server, cinder) = (lab.driver("NODE_1").await, lab.server("NODE_1"), lab.view().cinder);
    let made = volumes(&driver, "groups-cut").await;
    driver.attach(&made[0], &server, 60).await.unwrap();
    let first = cut(&driver.groups, "groups-cut", &made, 60).await.unwrap();
    assert!(first.ready_to_use);
    let mut sources: Vec<_> = first.snapshots.iter().map(|one| one.source_volume_id.clone()).collect();
    sources.sort();
    let mut wanted = made.clone();
    wanted.sort();
    assert_eq!(sources, wanted);
    assert!(first.snapshots.iter().all(|one| one.group_snapshot_id == first.group_snapshot_id));
    assert_eq!(
        cut(&driver.groups, "groups-cut", &made, 60).await.unwrap(),
        first,
        "a second call changes nothing"
    );
    let other = cut(&driver.groups, "groups-cut", &made[..1], 60).await.unwrap_err();
    assert_eq!(other.code(), Code::AlreadyExists, "{other}");
    // No volume stays in a group.
    for volume in &made {
        assert_eq!(cinder.find_group_of(volume.parse().unwrap()).await.unwrap(), None);
    }
    let mut restore = create_request("groups-restored");
    let snapshot =
        volume_content_source::SnapshotSource { snapshot_id: first.snapshots[0].snapshot_id.clone() };
    restore.volume_content_source =
        Some(VolumeContentSource { r#type: Some(volume_content_source::Type::Snapshot(snapshot)) });
    let restored = driver.create(restore).await.unwrap();
    driver.delete(&restored).await;
    let shown = GetVolumeGroupSnapshotRequest {
        group_snapshot_id: first.group_snapshot_id.clone(),
        ..GetVolumeGroupSnapshotRequest::default()
    };
    let shown =
        driver.groups.clone().get_volume_group_snapshot(within(10, shown)).await.unwrap().into_inner();
    assert_eq!(shown.group_snapshot, Some(first.clone()));
    delete(&driver.groups, &first).await;
    delete(&driver.groups, &first).await;
    assert_eq!(left(&cinder, "groups-cut").await, (0, 0, 0));
    driver.detach(&made[0], &server).await;
    for volume in made {
        driver.delete(&volume).await;
    }
}

/// Asks until it is so, for a minute at most.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is_so().await {
        assert!(Instant::now() < end, "{what} didn't come within a minute");
        pace::sleep(Duration::from_millis(100)).await;
    }
}

/// What a driver waits for on its way to a group snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Group,
    Members,
    Cut,
    Leave,
}

impl Step {
    async fn is_there(self, cinder: &Cinder, name: &str) -> bool {
        let groups = cinder.list_groups_named(name).await.unwrap();
        let cuts = cinder.list_group_snapshots_named(name).await.unwrap();
        let group = |status| groups.iter().any(|group| group.status == status);
        match self {
            Step::Group => group(GroupState::Creating),
            Step::Members => group(GroupState::Updating) && cuts.is_empty(),
            Step::Cut => cuts.iter().any(|cut| cut.status == GroupState::Creating),
            Step::Leave => group(GroupState::Updating) && !cuts.is_empty(),
        }
    }
}

/// The driver dies at every step in turn: what the next one finds is gone on with, and nothing is left in the end.
#[tokio::test]
async fn a_driver_that_is_killed_at_any_step_leaves_a_call_that_can_be_gone_on_with() {
    let lab = Lab::take().await;
    let cinder = lab.view().cinder;
    for step in [Step::Group, Step::Members, Step::Cut, Step::Leave] {
        let name = format!("groups-killed-at-{step:?}");
        let made = killed_at(&lab, step, &name).await;
        assert!(step.is_there(&cinder, &name).await, "{step:?} was over before the driver was");
        lab.heal();
        let driver = lab.driver("NODE_1").await;
        let done = cut(&driver.groups, &name, &made, 60).await.unwrap();
        assert!(done.ready_to_use && done.snapshots.len() == 2, "{done:?}");
        delete(&driver.groups, &done).await;
        assert_eq!(left(&cinder, &name).await, (0, 0, 0), "{name}");
        for volume in made {
            driver.delete(&volume).await;
        }
    }
}

/// The volumes of a call whose driver dies while Cinder is at this step.
async fn killed_at(lab: &Lab, step: Step, name: &str) -> Vec<String> {
    let cinder = lab.view().cinder;
    let driver = lab.driver("NODE_1").await;
    let made = volumes(&driver, name).await;
    lab.inject(if step == Step::Cut { "cinder.group_snapshot" } else { "cinder.group" }, "delay 3");
    let what = format!("{step:?} of {name}");
    tokio::select! {
        answer = cut(&driver.groups, name, &made, 60) => panic!("{what}: {answer:?}"),
        () = until(&what, async || step.is_there(&cinder, name).await) => {}
    }
    made
}

/// Nobody comes back for the group: its volumes can be deleted all the same.
#[tokio::test]
async fn a_volume_that_a_crash_left_in_a_group_leaves_it_when_it_is_deleted() {
    let lab = Lab::take().await;
    let cinder = lab.view().cinder;
    let driver = lab.driver("NODE_1").await;
    let made = volumes(&driver, "groups-left").await;
    lab.inject("cinder.group_snapshot", "fail");
    let status = cut(&driver.groups, "groups-left", &made, 60).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal, "{status}");
    assert_eq!(left(&cinder, "groups-left").await, (0, 0, 0), "{status}");
    lab.heal();
    lab.inject("cinder.group_snapshot", "delay 20");
    let status = cut(&driver.groups, "groups-left", &made[..1], 6).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    lab.heal();
    let all = cinder.list_group_snapshots_named("groups-left").await.unwrap();
    until("the cut", async || {
        cinder.find_group_snapshot(all[0].id).await.unwrap().unwrap().status != GroupState::Creating
    })
    .await;
    let request = DeleteVolumeRequest { volume_id: made[0].clone(), ..DeleteVolumeRequest::default() };
    let refused = driver.controller.clone().delete_volume(within(60, request)).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "it has a snapshot: {refused}");
    cinder.delete_group_snapshot(all[0].id).await.unwrap();
    until("the end of the cut", async || cinder.find_group_snapshot(all[0].id).await.unwrap().is_none())
        .await;
    assert!(cinder.find_group_of(made[0].parse().unwrap()).await.unwrap().is_some());
    for volume in made {
        driver.delete(&volume).await;
    }
    for group in cinder.list_groups_named("groups-left").await.unwrap() {
        cinder.delete_group(group.id).await.unwrap();
    }
}
