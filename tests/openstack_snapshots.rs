//! Snapshots and backups with the driver's own binary on a real OpenStack: `tests/run openstack` starts it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by them")]

#[path = "openstack_driver/bed.rs"]
mod bed;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use bed::{Driver, Lab, create_request, snapshot_request, within};
use cinder_csi::csi::proto::*;
use cinder_csi::openstack::{Cinder, NewSnapshot, Part, SnapshotId, VolumeId};
use cinder_csi::pace;
use futures_util::StreamExt;
use futures_util::stream;
use tonic::Code;

/// Every snapshot of a volume that Cinder has, the intermediate ones too.
async fn in_cinder(cinder: &Cinder, volume: &str) -> Vec<String> {
    let part = Part { volume: Some(volume.parse().unwrap()), limit: None, after: None };
    let listed = cinder.list_snapshots(part).await.unwrap();
    listed.items.into_iter().map(|snapshot| snapshot.name).collect()
}

/// Calls as the external-snapshotter does, until the snapshot can be used.
async fn ready(driver: &Driver, request: &CreateSnapshotRequest) -> Snapshot {
    for _ in 0..120 {
        match driver.snapshot(request.clone(), 30).await {
            Ok(snapshot) if snapshot.ready_to_use => return snapshot,
            Ok(_) => {}
            Err(status) => {
                let pending = [Code::Aborted, Code::DeadlineExceeded, Code::Unavailable];
                assert!(pending.contains(&status.code()), "{status}");
            }
        }
        pace::sleep(Duration::from_millis(500)).await;
    }
    panic!("{} isn't ready after a minute", request.name)
}

fn of_one(snapshot: &str) -> ListSnapshotsRequest {
    ListSnapshotsRequest { snapshot_id: snapshot.to_owned(), ..ListSnapshotsRequest::default() }
}

#[tokio::test]
async fn a_volume_in_use_is_snapshotted_and_the_snapshot_ends() {
    let lab = Lab::take().await;
    let (driver, server) = (lab.driver("NODE_1").await, lab.server("NODE_1"));
    let volume = driver.create(create_request("snapshots-in-use")).await.unwrap();
    driver.attach(&volume, &server, 60).await.unwrap();
    let request = snapshot_request("snapshots-in-use-1", &volume, "snapshot");
    let made = driver.snapshot(request.clone(), 60).await.unwrap();
    assert!(made.ready_to_use);
    assert_eq!((made.source_volume_id.as_str(), made.size_bytes), (volume.as_str(), 1 << 30));
    assert_eq!(driver.snapshot(request, 60).await.unwrap(), made, "a second call changes nothing");
    assert_eq!(driver.snapshots(of_one(&made.snapshot_id)).await, (vec![made.clone()], String::new()));
    let shown = GetSnapshotRequest { snapshot_id: made.snapshot_id.clone(), ..GetSnapshotRequest::default() };
    let shown = driver.controller.clone().get_snapshot(within(10, shown)).await.unwrap().into_inner();
    assert_eq!(shown.snapshot, Some(made.clone()));
    let other = driver.create(create_request("snapshots-other")).await.unwrap();
    let refused = driver.snapshot(snapshot_request("snapshots-in-use-1", &other, "snapshot"), 60).await;
    assert_eq!(refused.unwrap_err().code(), Code::AlreadyExists);
    driver.delete_snapshot(&made.snapshot_id).await;
    driver.delete_snapshot(&made.snapshot_id).await;
    assert!(driver.snapshots(of_one(&made.snapshot_id)).await.0.is_empty());
    driver.detach(&volume, &server).await;
    driver.delete(&volume).await;
    driver.delete(&other).await;
}

#[tokio::test]
async fn a_snapshot_that_fails_on_the_backend_leaves_nothing() {
    let lab = Lab::take().await;
    let driver = lab.driver("NODE_1").await;
    let volume = driver.create(create_request("snapshots-fail")).await.unwrap();
    lab.inject("cinder.snapshot", "fail 1");
    let request = snapshot_request("snapshots-fail-1", &volume, "snapshot");
    let status = driver.snapshot(request.clone(), 60).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal, "{status}");
    assert!(in_cinder(&lab.view().cinder, &volume).await.is_empty());
    let made = driver.snapshot(request, 60).await.unwrap();
    driver.delete_snapshot(&made.snapshot_id).await;
    driver.delete(&volume).await;
}

#[tokio::test]
async fn a_backup_is_a_snapshot_without_its_intermediate_one() {
    let lab = Lab::take().await;
    let (driver, server) = (lab.driver("NODE_1").await, lab.server("NODE_1"));
    let volume = driver.create(create_request("snapshots-backup")).await.unwrap();
    driver.attach(&volume, &server, 60).await.unwrap();
    let request = snapshot_request("snapshots-backup-1", &volume, "backup");
    let first = driver.snapshot(request.clone(), 60).await.unwrap();
    let made = ready(&driver, &request).await;
    assert_eq!(made, Snapshot { ready_to_use: true, ..first });
    assert!(in_cinder(&lab.view().cinder, &volume).await.is_empty(), "the intermediate snapshot is left");
    assert_eq!(driver.snapshots(of_one(&made.snapshot_id)).await.0, vec![made.clone()]);
    let of_volume =
        ListSnapshotsRequest { source_volume_id: volume.clone(), ..ListSnapshotsRequest::default() };
    assert_eq!(driver.snapshots(of_volume).await.0, vec![made.clone()]);
    driver.detach(&volume, &server).await;
    driver.delete(&volume).await;
    assert_eq!(
        driver.snapshots(of_one(&made.snapshot_id)).await.0,
        vec![made.clone()],
        "it outlives its volume"
    );
    driver.delete_snapshot(&made.snapshot_id).await;
    assert!(driver.snapshots(of_one(&made.snapshot_id)).await.0.is_empty());
}

#[tokio::test]
async fn a_crash_between_the_intermediate_snapshot_and_the_backup_leaves_nothing() {
    let lab = Lab::take().await;
    let driver = lab.driver("NODE_1").await;
    let volume = driver.create(create_request("snapshots-crash")).await.unwrap();
    let request = snapshot_request("snapshots-crash-1", &volume, "backup");
    lab.inject("cinder.snapshot", "delay 4");
    let call = driver.snapshot(request.clone(), 60);
    tokio::time::timeout(Duration::from_secs(2), call).await.unwrap_err();
    // SIGKILL.
    drop(driver);
    let cinder = lab.view().cinder;
    assert_eq!(in_cinder(&cinder, &volume).await, ["snapshots-crash-1-for-backup"]);
    assert!(cinder.list_backups_named("snapshots-crash-1").await.unwrap().is_empty());
    lab.heal();
    let driver = lab.driver("NODE_1").await;
    let made = ready(&driver, &request).await;
    assert!(in_cinder(&cinder, &volume).await.is_empty(), "the intermediate snapshot is left");
    assert_eq!(cinder.list_backups_named("snapshots-crash-1").await.unwrap().len(), 1);
    driver.delete_snapshot(&made.snapshot_id).await;
    driver.delete(&volume).await;
}

/// Its caller gives the snapshot up while the backup is being made.
#[tokio::test]
async fn a_backup_that_is_deleted_before_it_is_ready_leaves_nothing() {
    let lab = Lab::take().await;
    let driver = lab.driver("NODE_1").await;
    let volume = driver.create(create_request("snapshots-early-end")).await.unwrap();
    let request = snapshot_request("snapshots-early-end-1", &volume, "backup");
    let made = driver.snapshot(request, 60).await.unwrap();
    driver.delete_snapshot(&made.snapshot_id).await;
    assert!(in_cinder(&lab.view().cinder, &volume).await.is_empty());
    driver.delete(&volume).await;
}

/// How many calls to make at once.
const AT_ONCE: usize = 12;

async fn make_many(cinder: &Cinder, volume: VolumeId, names: Vec<String>) -> Vec<SnapshotId> {
    let make = |name| async move {
        let new = NewSnapshot {
            name,
            description: String::new(),
            volume_id: volume,
            force: false,
            metadata: BTreeMap::new(),
        };
        cinder.create_snapshot(&new).await.unwrap().id
    };
    stream::iter(names).map(make).buffer_unordered(AT_ONCE).collect().await
}

/// Asks for their end as soon as Cinder lets it.
async fn end_many(cinder: &Cinder, ids: Vec<SnapshotId>) {
    let end = |id| async move {
        let last = Instant::now() + Duration::from_secs(300);
        while let Err(refused) = cinder.delete_snapshot(id).await {
            let Some(snapshot) = cinder.find_snapshot(id).await.unwrap() else { return };
            assert!(Instant::now() < last, "{id} stays {}: {refused}", snapshot.status);
            pace::sleep(Duration::from_secs(1)).await;
        }
    };
    stream::iter(ids).map(end).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await;
}

/// Those that come and those that go, one of each between any two pages.
struct Traffic<'a> {
    cinder: &'a Cinder,
    volume: VolumeId,
    there: Vec<SnapshotId>,
    made: usize,
}

impl Traffic<'_> {
    async fn pass(&mut self) {
        let came = make_many(self.cinder, self.volume, vec![format!("snapshots-comer-{}", self.made)]).await;
        self.made += 1;
        let goes = self.there.remove(fastrand::usize(..self.there.len()));
        self.there.extend(came);
        end_many(self.cinder, vec![goes]).await;
    }
}

#[tokio::test]
async fn a_thousand_snapshots_are_listed_while_others_come_and_go() {
    let lab = Lab::take().await;
    let (driver, cinder) = (lab.driver("NODE_1").await, lab.view().cinder);
    let volume = driver.create(create_request("snapshots-thousand")).await.unwrap();
    let id: VolumeId = volume.parse().unwrap();
    // The ones that go are made among those that stay.
    let mut stay = HashSet::new();
    let mut traffic = Traffic { cinder: &cinder, volume: id, there: Vec::new(), made: 0 };
    for block in 0..20 {
        let names = (0..50).map(|n| format!("snapshots-stayer-{block}-{n}")).collect();
        let goers = (0..2).map(|n| format!("snapshots-goer-{block}-{n}")).collect();
        stay.extend(make_many(&cinder, id, names).await.into_iter().map(|id| id.to_string()));
        traffic.there.extend(make_many(&cinder, id, goers).await);
    }
    assert_eq!(stay.len(), 1000);

    let mut told: HashMap<String, usize> = HashMap::new();
    let mut request = ListSnapshotsRequest { max_entries: 60, ..ListSnapshotsRequest::default() };
    let mut pages = 0;
    loop {
        let (page, next) = driver.snapshots(request.clone()).await;
        assert!(page.len() <= 60);
        page.into_iter().for_each(|snapshot| *told.entry(snapshot.snapshot_id).or_default() += 1);
        pages += 1;
        if next.is_empty() {
            break;
        }
        request.starting_token = next;
        traffic.pass().await;
    }
    let twice: Vec<_> = told.iter().filter(|(_, times)| **times > 1).collect();
    let missed: Vec<_> = stay.iter().filter(|id| !told.contains_key(*id)).collect();
    assert!(twice.is_empty(), "told twice: {twice:?}");
    assert!(missed.is_empty(), "missed: {missed:?}");
    assert!(pages >= 17, "{pages} pages");

    let all = stay.iter().map(|id| id.parse().unwrap()).chain(traffic.there).collect();
    end_many(&cinder, all).await;
    let last = Instant::now() + Duration::from_secs(300);
    loop {
        let left = in_cinder(&cinder, &volume).await;
        if left.is_empty() {
            break;
        }
        assert!(Instant::now() < last, "Cinder doesn't end {left:?}");
        pace::sleep(Duration::from_secs(1)).await;
    }
    driver.delete(&volume).await;
}
