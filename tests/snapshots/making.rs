//! Snapshots are cut, and end.

use std::time::Duration;

use cinder_csi::sandbox::{Fault, Mishap, Operation, Settings, Trouble};
use cinder_csi::volume::Condition;
use futures_util::future::join;
use http::Method;

use super::bed::{Bed, controller, listed, printed, rpc, snapshot, wanted};
use super::{MINUTE, made, taking, with_volume};

#[tokio::test(start_paused = true)]
async fn a_snapshot_costs_few_calls_and_a_second_call_changes_nothing() {
    let (bed, volume) = with_volume(Settings::default()).await;
    let warm = made(&bed, "warm", volume).await;
    bed.volumes.ensure_snapshot_deleted(warm).await.unwrap();
    bed.calls();
    let first = bed.volumes.ensure_snapshot(&snapshot("snap-1", volume)).await.unwrap();
    let calls = bed.calls();
    assert!(calls.len() <= 5, "create:\n{}", printed(&calls));
    assert!(first.is_ready());
    assert_eq!((first.source(), first.size()), (volume, 1));
    let again = bed.volumes.ensure_snapshot(&snapshot("snap-1", volume)).await.unwrap();
    assert_eq!(again.id(), first.id());
    let calls = bed.calls();
    assert_eq!(calls.len(), 1, "{}", printed(&calls));
    bed.volumes.ensure_snapshot_deleted(first.id()).await.unwrap();
    let calls = bed.calls();
    assert!(calls.len() <= 3, "delete:\n{}", printed(&calls));
    bed.volumes.ensure_snapshot_deleted(first.id()).await.unwrap();
    assert_eq!(bed.calls().len(), 2, "both places say that it isn't there");
    bed.volumes.ensure_deleted(volume).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_volume_in_use_is_snapshotted_by_old_and_new_clouds() {
    for block_storage in [(3, 50), (3, 65), (3, 66), (3, 71)] {
        let (bed, volume) = with_volume(Settings { block_storage, ..taking(300) }).await;
        let saved = bed.volumes.ensure_snapshot(&snapshot("of-an-idle-one", volume)).await.unwrap();
        assert!(saved.is_ready());
        bed.volumes.ensure_attached(volume, bed.server("node-1")).await.unwrap();
        let saved = rpc(MINUTE, bed.volumes.ensure_snapshot(&snapshot("of-a-busy-one", volume))).await;
        assert!(saved.unwrap().is_ready(), "{block_storage:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_volume_in_transition_is_waited_for() {
    let (bed, volume) = with_volume(taking(300)).await;
    bed.cloud.mishap(Mishap::Takes(Operation::Attach, Duration::from_secs(20)));
    let node = bed.server("node-1");
    let other = controller(&bed.cloud);
    let attach = rpc(MINUTE, other.ensure_attached(volume, node));
    let wanted = snapshot("snap-1", volume);
    let late = async {
        cinder_csi::pace::sleep(Duration::from_secs(1)).await;
        rpc(MINUTE, bed.volumes.ensure_snapshot(&wanted)).await
    };
    let (attached, saved) = join(attach, late).await;
    attached.unwrap();
    assert!(saved.unwrap().is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_is_not_there_or_in_error_is_refused() {
    let bed = Bed::warm(Settings::default()).await;
    let nowhere = "6f1f0c66-4c3e-4b7e-9d51-0a1b2c3d4e5f".parse().unwrap();
    let error = bed.volumes.ensure_snapshot(&snapshot("snap-1", nowhere)).await.unwrap_err();
    assert_eq!(error.condition, Condition::NotFound, "{error}");
    let order = serde_json::json!({"volume": {"name": "x", "size": 1, "volume_type": "lab-nowhere"}});
    let broken = bed.post_to_cinder("/volumes", order).await;
    let broken = broken["volume"]["id"].as_str().unwrap().parse().unwrap();
    cinder_csi::pace::sleep(Duration::from_secs(10)).await;
    let error = bed.volumes.ensure_snapshot(&snapshot("snap-1", broken)).await.unwrap_err();
    assert_eq!(error.condition, Condition::Precondition, "{error}");
    assert!(error.message.contains("status error"), "{error}");
    assert!(bed.calls().iter().all(|call| call.path != "/snapshots"), "nothing was tried");
}

#[tokio::test(start_paused = true)]
async fn a_name_is_for_one_volume() {
    let (bed, volume) = with_volume(Settings::default()).await;
    let other = bed.volumes.ensure_created(&wanted("pvc-2")).await.unwrap().id;
    let kept = made(&bed, "snap-1", volume).await;
    let error = bed.volumes.ensure_snapshot(&snapshot("snap-1", other)).await.unwrap_err();
    assert_eq!(error.condition, Condition::AlreadyExists, "{error}");
    assert!(error.message.contains(&kept.to_string()), "{error}");
    assert_eq!(listed(&bed.volumes, None).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_of_the_existing_drivers_is_taken_over() {
    let (bed, volume) = with_volume(Settings::default()).await;
    let order = serde_json::json!({"snapshot": {"volume_id": volume.to_string(), "name": "snap-1"}});
    let theirs = bed.post_to_cinder("/snapshots", order).await;
    let saved = bed.volumes.ensure_snapshot(&snapshot("snap-1", volume)).await.unwrap();
    assert_eq!(saved.id().to_string(), theirs["snapshot"]["id"].as_str().unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_leaves_one_snapshot() {
    for trouble in
        [Trouble::ResetAfter, Trouble::FailedAfter(500), Trouble::FailedAfter(503), Trouble::ReplyLost]
    {
        let (bed, volume) = with_volume(taking(300)).await;
        bed.cloud.fault(Fault::on(Method::POST, "/snapshots", trouble.clone()));
        let wanted = snapshot("snap-1", volume);
        let first = rpc(Duration::from_secs(5), bed.volumes.ensure_snapshot(&wanted)).await;
        let second = rpc(MINUTE, bed.volumes.ensure_snapshot(&wanted)).await.unwrap();
        if let Ok(first) = first {
            assert_eq!(first.id(), second.id(), "{trouble:?}");
        }
        assert_eq!(listed(&bed.volumes, None).await.len(), 1, "{trouble:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_crashed_is_followed_by_one_that_finds_its_snapshot() {
    // At each moment of the first call: before its POST, after it, and while it waits.
    for millis in (0..1200).step_by(60) {
        let (bed, volume) = with_volume(taking(500)).await;
        let wanted = snapshot("snap-1", volume);
        let crashed = controller(&bed.cloud);
        let call = crashed.ensure_snapshot(&wanted);
        let _ = tokio::time::timeout(Duration::from_millis(millis), call).await;
        let saved = rpc(MINUTE, controller(&bed.cloud).ensure_snapshot(&wanted)).await.unwrap();
        let all = listed(&bed.volumes, None).await;
        assert_eq!(all.iter().map(|saved| saved.id()).collect::<Vec<_>>(), [saved.id()], "{millis} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn two_controllers_at_once_end_with_one_snapshot() {
    for seed in 0..50 {
        fastrand::seed(seed);
        let (bed, volume) = with_volume(Settings { seed, ..taking(fastrand::u64(50..800)) }).await;
        let wanted = snapshot("snap-1", volume);
        let other = controller(&bed.cloud);
        let pause = Duration::from_millis(fastrand::u64(0..300));
        let late = async {
            cinder_csi::pace::sleep(pause).await;
            rpc(MINUTE, other.ensure_snapshot(&wanted)).await
        };
        let (one, two) = join(rpc(MINUTE, bed.volumes.ensure_snapshot(&wanted)), late).await;
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_eq!(one.id(), two.id(), "seed {seed}");
        let all = listed(&bed.volumes, None).await;
        assert_eq!(all.len(), 1, "seed {seed}: {all:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_fails_is_removed_within_its_call_and_its_reason_told() {
    let (bed, volume) = with_volume(taking(300)).await;
    bed.cloud.mishap(Mishap::Fails(Operation::Snapshot, "the array is full".to_owned()));
    let wanted = snapshot("snap-1", volume);
    let error = rpc(MINUTE, bed.volumes.ensure_snapshot(&wanted)).await.unwrap_err();
    assert_eq!(error.condition, Condition::Failed, "{error}");
    for words in
        ["Cinder says:", " (request req-", "; if it fails again, ask the cloud's operator", "was removed"]
    {
        assert!(error.message.contains(words), "{words}: {error}");
    }
    assert!(listed(&bed.volumes, None).await.is_empty());
    assert!(rpc(MINUTE, bed.volumes.ensure_snapshot(&wanted)).await.unwrap().is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_in_error_that_nobody_here_made_is_reported_and_kept() {
    let (bed, volume) = with_volume(Settings::default()).await;
    bed.cloud.mishap(Mishap::Fails(Operation::Snapshot, "no".to_owned()));
    let order = serde_json::json!({"snapshot": {"volume_id": volume.to_string(), "name": "snap-1"}});
    bed.post_to_cinder("/snapshots", order).await;
    cinder_csi::pace::sleep(Duration::from_secs(5)).await;
    let error = bed.volumes.ensure_snapshot(&snapshot("snap-1", volume)).await.unwrap_err();
    assert_eq!(error.condition, Condition::Precondition, "{error}");
    assert!(error.message.contains("Cinder says:"), "{error}");
    assert_eq!(listed(&bed.volumes, None).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_fails_is_never_taken_for_not_there() {
    let (bed, volume) = with_volume(Settings::default()).await;
    let kept = made(&bed, "snap-1", volume).await;
    for path in ["/snapshots/{id}", "/backups/{id}"] {
        for trouble in [503, 500, 403].map(Trouble::Refused) {
            bed.cloud.fault(Fault::on(Method::GET, path, trouble.clone()).always());
            let id = match path {
                "/backups/{id}" => "6f1f0c66-4c3e-4b7e-9d51-0a1b2c3d4e5f".parse().unwrap(),
                _ => kept,
            };
            let deleted = rpc(MINUTE, bed.volumes.ensure_snapshot_deleted(id)).await.unwrap_err();
            assert_eq!(deleted.condition, Condition::Unsettled, "{path} {trouble:?}: {deleted}");
            rpc(MINUTE, bed.volumes.find_saved(id)).await.unwrap_err();
            let error = rpc(MINUTE, bed.volumes.get_saved(id)).await.unwrap_err();
            assert_ne!(error.condition, Condition::NotFound, "{path} {trouble:?}: {error}");
            bed.cloud.clear_faults();
        }
    }
    assert_eq!(bed.volumes.get_saved(kept).await.unwrap().id(), kept);
    let nowhere = "6f1f0c66-4c3e-4b7e-9d51-0a1b2c3d4e5f".parse().unwrap();
    assert_eq!(bed.volumes.find_saved(nowhere).await.unwrap(), None);
    assert_eq!(bed.volumes.get_saved(nowhere).await.unwrap_err().condition, Condition::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_fails_names_the_way_out() {
    let (bed, volume) = with_volume(taking(300)).await;
    let kept = made(&bed, "snap-1", volume).await;
    bed.cloud.mishap(Mishap::Fails(Operation::DeleteSnapshot, "no".to_owned()));
    let error = rpc(MINUTE, bed.volumes.ensure_snapshot_deleted(kept)).await.unwrap_err();
    assert_eq!(error.condition, Condition::Failed, "{error}");
    assert!(error.message.contains("openstack volume snapshot delete --force"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn many_snapshots_at_once_share_the_looks() {
    let (bed, volume) = with_volume(taking(5000)).await;
    let names: Vec<_> = (0..40).map(|n| snapshot(&format!("snap-{n}"), volume)).collect();
    let calls = names.iter().map(|wanted| rpc(MINUTE, bed.volumes.ensure_snapshot(wanted)));
    let saved = futures_util::future::join_all(calls).await;
    assert!(saved.iter().all(Result::is_ok), "{saved:?}");
    let calls = bed.calls();
    let looks = calls.iter().filter(|call| call.method == Method::GET).count();
    // A name and a volume each at the start, a name at the end, and lists for all between.
    assert!(looks <= 3 * 40 + 60, "{looks} looks:\n{}", printed(&calls));
    let ids: Vec<_> = saved.into_iter().map(|saved| saved.unwrap().id()).collect();
    let calls = ids.iter().map(|id| rpc(MINUTE, bed.volumes.ensure_snapshot_deleted(*id)));
    let gone = futures_util::future::join_all(calls).await;
    assert!(gone.iter().all(Result::is_ok), "{gone:?}");
    let calls = bed.calls();
    let looks = calls.iter().filter(|call| call.method == Method::GET).count();
    assert!(looks <= 2 * 40 + 60, "{looks} looks:\n{}", printed(&calls));
}
