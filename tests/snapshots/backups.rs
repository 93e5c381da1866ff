//! Backups are snapshots to the orchestrator, and leave no intermediate snapshot behind.

use std::time::Duration;

use cinder_csi::openstack::{Part, Snapshot};
use cinder_csi::pace::{self, Deadline};
use cinder_csi::sandbox::{Fault, Mishap, Operation, Settings, Trouble};
use cinder_csi::volume::{Condition, Result, Saved, SnapshotId, VolumeId, Volumes, WantedBackup};
use futures_util::future::join;
use http::Method;

use super::bed::{Bed, backup, cinder, controller, listed, rpc, snapshot, wanted};
use super::{MINUTE, taking, with_volume};

/// Every snapshot, the intermediate ones too.
async fn intermediates(bed: &Bed) -> Vec<Snapshot> {
    let part = Part { volume: None, limit: None, after: None };
    cinder(&bed.cloud).list_snapshots(part).await.unwrap().items
}

/// Calls as the external-snapshotter does: after what isn't final, and until the backup can be used.
async fn until_ready(volumes: &Volumes, wanted: &WantedBackup) -> Result<Saved> {
    for _ in 0..120 {
        match rpc(MINUTE, volumes.ensure_backup(wanted)).await {
            Ok(saved) if saved.is_ready() => return Ok(saved),
            Ok(_) => {}
            Err(error) => match error.condition {
                Condition::Unsettled | Condition::TimedOut | Condition::Unavailable => {}
                _ => return Err(error),
            },
        }
        pace::sleep(Duration::from_secs(1)).await;
    }
    panic!("{} is never ready", wanted.name)
}

async fn made(bed: &Bed, name: &str, volume: VolumeId) -> SnapshotId {
    until_ready(&bed.volumes, &backup(name, volume)).await.unwrap().id()
}

#[tokio::test(start_paused = true)]
async fn a_backup_is_answered_when_it_is_cut_and_ready_when_it_is_made() {
    for in_use in [false, true] {
        let (bed, volume) = with_volume(taking(300)).await;
        if in_use {
            bed.volumes.ensure_attached(volume, bed.server("node-1")).await.unwrap();
        }
        bed.cloud.mishap(Mishap::Takes(Operation::Backup, Duration::from_secs(3600)));
        let wanted = backup("snap-1", volume);
        let started = tokio::time::Instant::now();
        let first = rpc(MINUTE, bed.volumes.ensure_backup(&wanted)).await.unwrap();
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
        assert!(!first.is_ready());
        let cut = intermediates(&bed).await;
        assert_eq!((cut.len(), cut[0].created_at), (1, Some(first.taken_at())), "the cut is what counts");
        assert_eq!(
            listed(&bed.volumes, None).await,
            vec![first.clone()],
            "the intermediate one is nobody's to see"
        );
        assert_eq!(bed.volumes.find_saved(cut[0].id).await.unwrap(), None);
        pace::sleep(Duration::from_secs(3600)).await;
        let last = rpc(MINUTE, bed.volumes.ensure_backup(&wanted)).await.unwrap();
        assert!(last.is_ready());
        assert_eq!((last.id(), last.taken_at(), last.source()), (first.id(), first.taken_at(), volume));
        assert!(intermediates(&bed).await.is_empty());
    }
}

/// What the CSI specification lets an orchestrator do that isn't the external-snapshotter.
#[tokio::test(start_paused = true)]
async fn asking_for_the_backup_by_its_id_ends_the_intermediate_snapshot_too() {
    let (bed, volume) = with_volume(taking(300)).await;
    let first = bed.volumes.ensure_backup(&backup("snap-1", volume)).await.unwrap();
    let mut shown = bed.volumes.get_saved(first.id()).await.unwrap();
    while !shown.is_ready() {
        assert_eq!(intermediates(&bed).await.len(), 1, "it is needed until the backup is made");
        pace::sleep(Duration::from_millis(200)).await;
        shown = bed.volumes.get_saved(first.id()).await.unwrap();
    }
    pace::sleep(Duration::from_secs(5)).await;
    assert!(intermediates(&bed).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_moment_leaves_one_backup_and_no_snapshot() {
    // Before the snapshot, while it is cut, between it and the backup, after that.
    for millis in (0..3000).step_by(75) {
        let (bed, volume) = with_volume(taking(500)).await;
        let wanted = backup("snap-1", volume);
        let crashed = controller(&bed.cloud);
        let _ = tokio::time::timeout(Duration::from_millis(millis), until_ready(&crashed, &wanted)).await;
        let saved = until_ready(&controller(&bed.cloud), &wanted).await.unwrap();
        assert_eq!(listed(&bed.volumes, None).await, [saved], "{millis} ms");
        assert!(intermediates(&bed).await.is_empty(), "{millis} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_moment_and_then_the_end_of_it_leave_nothing() {
    for millis in (0..3000).step_by(75) {
        let (bed, volume) = with_volume(taking(500)).await;
        let wanted = backup("snap-1", volume);
        let crashed = controller(&bed.cloud);
        let _ = tokio::time::timeout(Duration::from_millis(millis), until_ready(&crashed, &wanted)).await;
        // The snapshotter asks for the end once a call has told it the id.
        let other = controller(&bed.cloud);
        let told = loop {
            match rpc(MINUTE, other.ensure_backup(&wanted)).await {
                Ok(saved) => break saved.id(),
                Err(error) => assert_eq!(error.condition, Condition::Unsettled, "{error}"),
            }
        };
        rpc(MINUTE, other.ensure_snapshot_deleted(told)).await.unwrap();
        assert!(listed(&bed.volumes, None).await.is_empty(), "{millis} ms");
        assert!(intermediates(&bed).await.is_empty(), "{millis} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_cut_short_is_ended_by_the_next() {
    for millis in (0..1500).step_by(50) {
        let (bed, volume) = with_volume(taking(500)).await;
        let first = bed.volumes.ensure_backup(&backup("snap-1", volume)).await.unwrap();
        pace::sleep(Duration::from_secs(5)).await;
        let crashed = controller(&bed.cloud);
        let end = crashed.ensure_snapshot_deleted(first.id());
        let _ = tokio::time::timeout(Duration::from_millis(millis), end).await;
        rpc(MINUTE, bed.volumes.ensure_snapshot_deleted(first.id())).await.unwrap();
        assert!(intermediates(&bed).await.is_empty(), "{millis} ms");
        assert!(listed(&bed.volumes, None).await.is_empty(), "{millis} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_leaves_one_backup() {
    for path in ["/snapshots", "/backups"] {
        for trouble in [Trouble::ResetAfter, Trouble::FailedAfter(503), Trouble::ReplyLost] {
            let (bed, volume) = with_volume(taking(300)).await;
            bed.cloud.fault(Fault::on(Method::POST, path, trouble.clone()));
            let wanted = backup("snap-1", volume);
            let _ = rpc(Duration::from_secs(5), bed.volumes.ensure_backup(&wanted)).await;
            let saved = until_ready(&bed.volumes, &wanted).await.unwrap();
            assert_eq!(listed(&bed.volumes, None).await, [saved], "{path} {trouble:?}");
            assert!(intermediates(&bed).await.is_empty(), "{path} {trouble:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn two_controllers_at_once_end_with_one_backup() {
    for seed in 0..50 {
        fastrand::seed(seed);
        let (bed, volume) = with_volume(Settings { seed, ..taking(fastrand::u64(50..800)) }).await;
        let wanted = backup("snap-1", volume);
        let other = controller(&bed.cloud);
        let pause = Duration::from_millis(fastrand::u64(0..1000));
        let late = async {
            pace::sleep(pause).await;
            until_ready(&other, &wanted).await
        };
        let (one, two) = join(until_ready(&bed.volumes, &wanted), late).await;
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_eq!(one.id(), two.id(), "seed {seed}");
        assert_eq!(listed(&bed.volumes, None).await, [one], "seed {seed}");
        assert!(intermediates(&bed).await.is_empty(), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_backup_that_fails_once_it_is_promised_is_reported_and_kept_for_its_end() {
    let (bed, volume) = with_volume(taking(300)).await;
    bed.cloud.mishap(Mishap::Fails(Operation::Backup, "the tape tore".to_owned()));
    let wanted = backup("snap-1", volume);
    let first = rpc(MINUTE, bed.volumes.ensure_backup(&wanted)).await.unwrap();
    pace::sleep(Duration::from_secs(5)).await;
    for _ in 0..2 {
        let error = rpc(MINUTE, bed.volumes.ensure_backup(&wanted)).await.unwrap_err();
        assert_eq!(error.condition, Condition::Precondition, "{error}");
        assert!(error.message.contains("the tape tore"), "{error}");
        assert!(intermediates(&bed).await.is_empty());
    }
    assert_eq!(listed(&bed.volumes, None).await.len(), 1, "it is never replaced");
    rpc(MINUTE, bed.volumes.ensure_snapshot_deleted(first.id())).await.unwrap();
    assert!(listed(&bed.volumes, None).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_backed_up_leaves_no_snapshot() {
    for (trouble, condition) in
        [(413, Condition::Exhausted), (403, Condition::Denied), (400, Condition::Precondition)]
    {
        let (bed, volume) = with_volume(taking(300)).await;
        bed.cloud.fault(Fault::on(Method::POST, "/backups", Trouble::Refused(trouble)).always());
        let error = rpc(MINUTE, bed.volumes.ensure_backup(&backup("snap-1", volume))).await.unwrap_err();
        assert_eq!(error.condition, condition, "{error}");
        assert!(intermediates(&bed).await.is_empty(), "{trouble}");
    }
    let (bed, volume) = with_volume(taking(300)).await;
    let nowhere = WantedBackup { zone: Some("nowhere".to_owned()), ..backup("snap-1", volume) };
    let error = rpc(MINUTE, bed.volumes.ensure_backup(&nowhere)).await.unwrap_err();
    assert_eq!(error.condition, Condition::Invalid, "{error}");
    assert!(error.message.contains("no zone nowhere, it has az1, az2"), "{error}");
    assert!(intermediates(&bed).await.is_empty());
    // Below 3.43 backups have no metadata, and nothing would tell whose one is.
    let (bed, volume) = with_volume(Settings { block_storage: (3, 42), ..taking(300) }).await;
    let error = rpc(MINUTE, bed.volumes.ensure_backup(&backup("snap-1", volume))).await.unwrap_err();
    assert_eq!(error.condition, Condition::Precondition, "{error}");
    assert!(error.message.contains("3.43") && intermediates(&bed).await.is_empty(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_intermediate_snapshot_that_cannot_be_removed_keeps_nobody_from_the_backup() {
    let (bed, volume) = with_volume(taking(300)).await;
    let wanted = backup("snap-1", volume);
    bed.volumes.ensure_backup(&wanted).await.unwrap();
    bed.cloud.mishap(Mishap::Fails(Operation::DeleteSnapshot, "no".to_owned()));
    let saved = until_ready(&bed.volumes, &wanted).await.unwrap();
    assert!(saved.is_ready());
    let error = rpc(MINUTE, bed.volumes.ensure_snapshot_deleted(saved.id())).await.unwrap_err();
    assert_eq!(error.condition, Condition::Failed, "{error}");
    assert!(error.message.contains("intermediate snapshot"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_intermediate_snapshot_that_lists_did_not_show_ends_with_the_backup_or_with_its_volume() {
    for dies in [false, true] {
        let (bed, volume) = with_volume(taking(300)).await;
        let (wanted, other) = (backup("snap-1", volume), controller(&bed.cloud));
        bed.cloud.mishap(Mishap::Unlisted(Operation::Snapshot, Duration::from_secs(30)));
        let first = pace::within(Deadline::after(Duration::from_secs(5)), bed.volumes.ensure_backup(&wanted));
        first.await.unwrap_err();
        let saved = until_ready(&other, &wanted).await.unwrap();
        let last = if dies { &other } else { &bed.volumes };
        rpc(MINUTE, last.ensure_snapshot_deleted(saved.id())).await.unwrap();
        pace::sleep(MINUTE).await;
        assert_eq!(intermediates(&bed).await.len(), usize::from(dies));
        rpc(MINUTE, other.ensure_deleted(volume)).await.unwrap();
        assert_eq!(bed.cloud.inventory(), Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn backups_are_listed_after_the_snapshots_and_in_the_same_pages() {
    let (bed, volume) = with_volume(Settings::default()).await;
    let other = bed.volumes.ensure_created(&wanted("pvc-2")).await.unwrap().id;
    let mut all = Vec::new();
    for n in 0..3 {
        all.push(bed.volumes.ensure_snapshot(&snapshot(&format!("snap-{n}"), volume)).await.unwrap().id());
    }
    for n in 3..6 {
        all.push(made(&bed, &format!("snap-{n}"), if n == 5 { other } else { volume }).await);
    }
    all.sort();
    for limit in [None, Some(1), Some(2), Some(3), Some(4), Some(5), Some(6), Some(7)] {
        let mut told: Vec<_> = listed(&bed.volumes, limit).await.iter().map(Saved::id).collect();
        told.sort();
        assert_eq!(told, all, "{limit:?}");
    }
    let page = bed.volumes.page_saved(Some(other), None, None).await.unwrap();
    assert_eq!((page.items.len(), page.next), (1, None));
    let backup = page.items[0].clone();
    assert!(matches!(backup, Saved::Backup(_)));
    assert_eq!(bed.volumes.find_saved(backup.id()).await.unwrap(), Some(backup));
}

/// A backup's service may be gone when its end is asked for: Cinder then answers 404, and the backup is there.
#[tokio::test(start_paused = true)]
async fn a_404_of_the_backup_service_is_not_the_end_of_the_backup() {
    let (bed, volume) = with_volume(taking(300)).await;
    let kept = made(&bed, "snap-1", volume).await;
    bed.cloud.fault(Fault::on(Method::DELETE, "/backups/{id}", Trouble::Refused(404)).always());
    let started = tokio::time::Instant::now();
    let error = rpc(MINUTE, bed.volumes.ensure_snapshot_deleted(kept)).await.unwrap_err();
    assert_eq!(error.condition, Condition::Unavailable, "{error}");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    bed.cloud.clear_faults();
    rpc(MINUTE, bed.volumes.ensure_snapshot_deleted(kept)).await.unwrap();
}

/// Cinder finds no backup service: the backup fails, and its snapshot stays as if it went on.
#[tokio::test(start_paused = true)]
async fn a_cloud_without_a_backup_service_is_told_as_such() {
    let (bed, volume) = with_volume(Settings { backup_zones: Some(Vec::new()), ..taking(300) }).await;
    let wanted = backup("snap-1", volume);
    rpc(MINUTE, bed.volumes.ensure_backup(&wanted)).await.unwrap();
    pace::sleep(Duration::from_secs(5)).await;
    let error = rpc(MINUTE, bed.volumes.ensure_backup(&wanted)).await.unwrap_err();
    assert_eq!(error.condition, Condition::TimedOut, "{error}");
    for told in ["Service not found", "openstack volume snapshot set --state available"] {
        assert!(error.message.contains(told), "{error}");
    }
}
