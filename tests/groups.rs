//! Group snapshots through the real gRPC server, whatever the cloud does meanwhile. Time is tokio's, and paused.

#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

#[path = "bed/bed.rs"]
mod bed;
#[path = "groups/doubts.rs"]
mod doubts;
#[path = "bed/driver.rs"]
mod driver;
#[path = "groups/given_up.rs"]
mod given_up;
#[path = "groups/offer.rs"]
mod offer;
#[path = "groups/update.rs"]
mod update;

use std::time::Duration;

use bed::{Bed, cinder, controller, printed, wanted};
use cinder_csi::csi::proto::*;
use cinder_csi::pace;
use cinder_csi::sandbox::{Fault, Latency, Mishap, Operation, Settings, Trouble};
use cinder_csi::volume::{Wanted, ZoneChoice};
use driver::Driver;
use futures_util::future::join;
use http::Method;
use tonic::{Code, Request, Status};

const MINUTE: Duration = Duration::from_secs(60);
const NAME: &str = "groupsnapshot-1";

fn taking(millis: u64) -> Settings {
    Settings { latency: Latency::fixed(Duration::from_millis(millis)), ..Settings::default() }
}

/// A cloud with two volumes.
struct Stand {
    bed: Bed,
    volumes: Vec<String>,
}

impl Stand {
    async fn new(settings: Settings) -> Self {
        Self::of(settings, [wanted("pvc-1"), wanted("pvc-2")]).await
    }

    async fn of(settings: Settings, both: [Wanted; 2]) -> Self {
        let bed = Bed::warm(settings).await;
        let mut volumes = Vec::new();
        for wanted in both {
            volumes.push(bed.volumes.ensure_created(&wanted).await.unwrap().id.to_string());
        }
        bed.calls();
        Self { bed, volumes }
    }

    /// One more controller.
    fn driver(&self) -> Driver {
        Driver::in_memory(controller(&self.bed.cloud))
    }

    /// What there is beside the two volumes.
    fn left(&self) -> Vec<String> {
        let all = self.bed.cloud.inventory().into_iter();
        let left: Vec<_> = all.filter(|line| !line.starts_with("volume ")).collect();
        left
    }

    async fn delete_volumes(&self) {
        for id in &self.volumes {
            self.bed.volumes.ensure_deleted(id.parse().unwrap()).await.unwrap();
        }
        assert_eq!(self.bed.cloud.inventory(), Vec::<String>::new());
    }

    /// Asked for and refused: for good, and nothing is left of it.
    async fn refused(&self, code: Code, words: &str) {
        let status = cut(&self.driver(), &self.volumes).await.unwrap_err();
        assert_eq!(status.code(), code, "{status}");
        assert!(status.message().contains(words), "{status}");
        assert_eq!(self.left(), Vec::<String>::new(), "{status}");
    }
}

fn request(volumes: &[String]) -> CreateVolumeGroupSnapshotRequest {
    CreateVolumeGroupSnapshotRequest {
        name: NAME.to_owned(),
        source_volume_ids: volumes.to_vec(),
        ..Default::default()
    }
}

fn within<T>(patience: Duration, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(patience);
    request
}

async fn cut(driver: &Driver, volumes: &[String]) -> Result<VolumeGroupSnapshot, Status> {
    let answer = driver.groups().create_volume_group_snapshot(within(MINUTE, request(volumes))).await?;
    Ok(answer.into_inner().group_snapshot.unwrap())
}

fn members(cut: &VolumeGroupSnapshot) -> Vec<String> {
    cut.snapshots.iter().map(|one| one.snapshot_id.clone()).collect()
}

async fn delete(driver: &Driver, id: &str, members: Vec<String>) -> Result<(), Status> {
    let request = DeleteVolumeGroupSnapshotRequest {
        group_snapshot_id: id.to_owned(),
        snapshot_ids: members,
        ..Default::default()
    };
    driver.groups().delete_volume_group_snapshot(within(MINUTE, request)).await.map(drop)
}

async fn get(driver: &Driver, id: &str, members: Vec<String>) -> Result<VolumeGroupSnapshot, Status> {
    let request = GetVolumeGroupSnapshotRequest {
        group_snapshot_id: id.to_owned(),
        snapshot_ids: members,
        ..Default::default()
    };
    let answer = driver.groups().get_volume_group_snapshot(within(MINUTE, request)).await?;
    Ok(answer.into_inner().group_snapshot.unwrap())
}

#[tokio::test(start_paused = true)]
async fn two_volumes_are_cut_together_shown_and_deleted() {
    let stand = Stand::new(taking(300)).await;
    let driver = stand.driver();
    let first = cut(&driver, &stand.volumes).await.unwrap();
    assert!(first.ready_to_use && first.snapshots.iter().all(|one| one.ready_to_use));
    let mut sources: Vec<_> = first.snapshots.iter().map(|one| one.source_volume_id.clone()).collect();
    sources.sort();
    let mut asked = stand.volumes.clone();
    asked.sort();
    assert_eq!(sources, asked);
    stand.bed.calls();
    assert_eq!(cut(&driver, &stand.volumes).await.unwrap(), first);
    let calls = stand.bed.calls();
    assert!(calls.iter().all(|call| call.method == Method::GET), "{}", printed(&calls));
    let other = cut(&driver, &stand.volumes[..1]).await.unwrap_err();
    assert_eq!(other.code(), Code::AlreadyExists, "{other}");
    let id = &first.group_snapshot_id;
    let words = format!(
        "group snapshot {id} has that name and is of the volumes {}; delete it or choose another name",
        asked.join(", ")
    );
    assert!(other.message().ends_with(&words), "{other}");
    assert_eq!(get(&driver, id, vec![]).await.unwrap(), first);
    assert_eq!(get(&driver, id, members(&first)).await.unwrap(), first);
    for wrong in [members(&first)[..1].to_vec(), vec![stand.volumes[0].clone()]] {
        assert_eq!(get(&driver, id, wrong.clone()).await.unwrap_err().code(), Code::InvalidArgument);
        assert_eq!(delete(&driver, id, wrong).await.unwrap_err().code(), Code::InvalidArgument);
    }
    assert_eq!(get(&driver, id, vec![]).await.unwrap(), first, "a refused deletion deletes nothing");
    delete(&driver, id, members(&first)).await.unwrap();
    delete(&driver, id, members(&first)).await.unwrap();
    assert_eq!(get(&driver, id, vec![]).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(stand.left(), Vec::<String>::new());
    stand.delete_volumes().await;
}

/// Gives the call up once it has made `calls` requests; whether it got so far.
async fn crashed<T>(stand: &Stand, calls: usize, call: impl Future<Output = T>) -> bool {
    stand.bed.calls();
    let reached = async {
        while stand.bed.cloud.calls().len() < calls {
            pace::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        biased;
        _ = call => false,
        () = reached => true,
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_after_any_call_is_gone_on_with_by_the_next_controller() {
    for calls in 1.. {
        let stand = Stand::new(taking(20)).await;
        let is_crashed = {
            let driver = stand.driver();
            crashed(&stand, calls, cut(&driver, &stand.volumes)).await
        };
        let driver = stand.driver();
        let done = cut(&driver, &stand.volumes).await.unwrap_or_else(|why| panic!("after {calls}: {why}"));
        assert_eq!(done.snapshots.len(), 2, "after {calls}");
        let is_deletion_crashed = {
            let driver = stand.driver();
            crashed(&stand, calls, delete(&driver, &done.group_snapshot_id, members(&done))).await
        };
        delete(&driver, &done.group_snapshot_id, vec![]).await.unwrap();
        assert_eq!(stand.left(), Vec::<String>::new(), "after {calls}");
        stand.delete_volumes().await;
        if !is_crashed && !is_deletion_crashed {
            assert!(calls > 10, "{calls}");
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn two_controllers_make_one_cut() {
    for seed in 0..50 {
        let stand = Stand::new(Settings { seed, ..taking(20 + seed * 7) }).await;
        let (one, other) = (stand.driver(), stand.driver());
        let late = async {
            pace::sleep(Duration::from_millis(seed * 13)).await;
            settled(&other, &stand.volumes).await
        };
        let (first, second) = join(settled(&one, &stand.volumes), late).await;
        assert_eq!(first, second, "seed {seed}");
        delete(&one, &first.group_snapshot_id, members(&first)).await.unwrap();
        assert_eq!(stand.left(), Vec::<String>::new(), "seed {seed}");
        stand.delete_volumes().await;
    }
}

/// As the sidecar calls it: again, as long as the code isn't final.
async fn settled(driver: &Driver, volumes: &[String]) -> VolumeGroupSnapshot {
    loop {
        match cut(driver, volumes).await {
            Ok(cut) => return cut,
            Err(status) if matches!(status.code(), Code::Aborted | Code::DeadlineExceeded) => {
                pace::sleep(Duration::from_secs(1)).await;
            }
            Err(status) => panic!("{status}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_cinder_cannot_do_is_told_and_leaves_nothing() {
    for operation in [Operation::Group, Operation::GroupSnapshot] {
        let stand = Stand::new(taking(300)).await;
        stand.bed.cloud.mishap(Mishap::Fails(operation, "no".to_owned()));
        stand.refused(Code::Internal, "couldn't").await;
        stand.delete_volumes().await;
    }
    for (path, code) in [("/groups", Code::ResourceExhausted), ("/group_snapshots", Code::ResourceExhausted)]
    {
        let stand = Stand::new(taking(300)).await;
        stand.bed.cloud.fault(Fault::on(Method::POST, path, Trouble::Refused(413)).always());
        stand.refused(code, "req-").await;
        stand.delete_volumes().await;
    }
}

#[tokio::test(start_paused = true)]
async fn volumes_that_cannot_be_cut_together_are_refused() {
    let in_zone =
        |name: &str, zone: &str| Wanted { zone: ZoneChoice::OneOf(vec![zone.to_owned()]), ..wanted(name) };
    let stand = Stand::of(taking(300), [in_zone("a", "az1"), in_zone("b", "az2")]).await;
    stand.refused(Code::FailedPrecondition, "several zones").await;

    let mut stand = Stand::new(taking(300)).await;
    stand.bed.cloud.set_status(&stand.volumes[0], "extending");
    stand.refused(Code::Aborted, "extending").await;
    stand.bed.cloud.set_status(&stand.volumes[0], "error");
    stand.refused(Code::FailedPrecondition, "error").await;
    stand.bed.cloud.set_status(&stand.volumes[0], "available");
    stand.volumes.push("00000000-0000-4000-8000-000000000000".to_owned());
    stand.refused(Code::NotFound, "00000000-0000-4000-8000-000000000000").await;
}

#[tokio::test(start_paused = true)]
async fn volumes_of_two_types_are_cut_together() {
    let fast = Wanted { volume_type: Some("lab-fast".to_owned()), ..wanted("fast") };
    let stand = Stand::of(taking(300), [wanted("slow"), fast]).await;
    assert_eq!(cut(&stand.driver(), &stand.volumes).await.unwrap().snapshots.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_was_left_in_a_group_is_deleted() {
    let stand = Stand::new(taking(300)).await;
    stand.bed.cloud.fault(Fault::on(Method::POST, "/group_snapshots", Trouble::Refused(503)).always());
    cut(&stand.driver(), &stand.volumes).await.unwrap_err();
    stand.bed.cloud.clear_faults();
    assert_eq!(stand.left().len(), 1, "{:?}", stand.left());
    for id in &stand.volumes {
        stand.bed.volumes.ensure_deleted(id.parse().unwrap()).await.unwrap();
    }
}

/// DeleteVolume took a volume out just before the cut, and whoever cut has died.
#[tokio::test(start_paused = true)]
async fn a_cut_that_lacks_a_volume_and_was_promised_to_nobody_is_undone() {
    let stand = Stand::new(taking(300)).await;
    stand.bed.cloud.fault(Fault::on(Method::POST, "/group_snapshots", Trouble::Refused(503)).always());
    cut(&stand.driver(), &stand.volumes).await.unwrap_err();
    stand.bed.cloud.clear_faults();
    let cinder = cinder(&stand.bed.cloud);
    let group = cinder.list_groups().await.unwrap().remove(0);
    cinder.remove_from_group(group.id, &[stand.volumes[0].parse().unwrap()]).await.unwrap();
    pace::sleep(Duration::from_secs(1)).await;
    cinder.create_group_snapshot(group.id, NAME, &group.description).await.unwrap();
    let status = cut(&stand.driver(), &stand.volumes).await.unwrap_err();
    assert_eq!(status.code(), Code::Aborted, "{status}");
    assert!(status.message().contains("left the group"), "{status}");
    assert_eq!(stand.left(), Vec::<String>::new(), "{status}");
    assert_eq!(cut(&stand.driver(), &stand.volumes).await.unwrap().snapshots.len(), 2);
}
