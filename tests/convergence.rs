//! Volumes become as asked, whatever the cloud does meanwhile. Time is tokio's, and paused.

#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by them")]

#[path = "bed/bed.rs"]
mod bed;
#[path = "convergence/contest.rs"]
mod contest;
#[path = "convergence/crowds.rs"]
mod crowds;
#[path = "convergence/deletes.rs"]
mod deletes;
#[path = "convergence/late_attaches.rs"]
mod late_attaches;
#[path = "convergence/late_lists.rs"]
mod late_lists;

use std::time::Duration;

use bed::{Bed, controller, nova, printed, rpc, wanted};
use cinder_csi::openstack::Nova;
use cinder_csi::sandbox::{Fault, Latency, Mishap, Operation, Settings, Trouble};
use cinder_csi::volume::{Condition, Orphan, Published, VolumeId, Wanted};
use futures_util::future::{join, join_all};
use http::Method;
use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);

fn taking(millis: u64) -> Settings {
    Settings { latency: Latency::fixed(Duration::from_millis(millis)), ..Settings::default() }
}

/// The most lists that were made within one second.
fn lists_a_second(calls: &[cinder_csi::sandbox::Call]) -> usize {
    let lists: Vec<_> = calls
        .iter()
        .filter(|call| call.path == "/volumes/detail" || call.query.contains("deleting"))
        .collect();
    lists
        .iter()
        .map(|first| {
            let second = first.at..first.at + Duration::from_secs(1);
            lists.iter().filter(|call| second.contains(&call.at)).count()
        })
        .max()
        .unwrap_or(0)
}

#[tokio::test(start_paused = true)]
async fn an_operation_costs_few_calls() {
    let bed = Bed::warm(Settings::default()).await;
    let volume = bed.volumes.ensure_created(&wanted("pvc-1")).await.unwrap().id;
    let calls = bed.calls();
    assert!(calls.len() <= 4, "create:\n{}", printed(&calls));
    let node = bed.server("node-1");
    bed.volumes.ensure_attached(volume, node).await.unwrap();
    let calls = bed.calls();
    assert!(calls.len() <= 4, "publish:\n{}", printed(&calls));
    bed.volumes.ensure_detached(volume, node, Orphan::Ended).await.unwrap();
    let calls = bed.calls();
    assert!(calls.len() <= 3, "unpublish:\n{}", printed(&calls));
    bed.volumes.ensure_deleted(volume).await.unwrap();
    let calls = bed.calls();
    assert!(calls.len() <= 2, "delete:\n{}", printed(&calls));
    assert!(bed.all().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_second_call_changes_nothing() {
    let bed = Bed::warm(Settings::default()).await;
    let node = bed.server("node-1");
    let volume = bed.volumes.ensure_created(&wanted("pvc-1")).await.unwrap();
    bed.volumes.ensure_attached(volume.id, node).await.unwrap();
    bed.calls();
    assert_eq!(bed.volumes.ensure_created(&wanted("pvc-1")).await.unwrap().id, volume.id);
    bed.volumes.ensure_attached(volume.id, node).await.unwrap();
    bed.volumes.ensure_expanded(volume.id, 1).await.unwrap();
    let calls = bed.calls();
    assert!(calls.iter().all(|call| call.method == Method::GET), "{}", printed(&calls));
    bed.volumes.ensure_detached(volume.id, node, Orphan::Ended).await.unwrap();
    bed.volumes.ensure_detached(volume.id, node, Orphan::Ended).await.unwrap();
    bed.volumes.ensure_deleted(volume.id).await.unwrap();
    bed.volumes.ensure_deleted(volume.id).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn services_that_have_moved_are_found_within_the_call() {
    let bed = Bed::warm(Settings::default()).await;
    pause(MINUTE).await;
    bed.cloud.move_services();
    let volume = rpc(MINUTE, bed.volumes.ensure_created(&wanted("pvc-1"))).await.unwrap();
    bed.volumes.ensure_attached(volume.id, bed.server("node-1")).await.unwrap();
    let tokens = bed.calls().iter().filter(|call| call.path == "/auth/tokens").count();
    assert_eq!(tokens, 1);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_waiters_share_few_lists() {
    // A server gets one disk after the other.
    let names: Vec<_> = (1..=100).map(|number| format!("node-{number}")).collect();
    let servers = names.iter().map(|name| (name.clone(), "az1".to_owned())).collect();
    let bed = Bed::warm(Settings { servers, ..taking(5000) }).await;
    let nodes: Vec<_> = names.iter().map(|name| bed.server(name)).collect();
    let names: Vec<_> = (0..100).map(|n| wanted(&format!("pvc-{n}"))).collect();
    let created = join_all(names.iter().map(|wanted| rpc(MINUTE, bed.volumes.ensure_created(wanted)))).await;
    let ids: Vec<_> = created.into_iter().map(|volume| volume.unwrap().id).collect();
    pause(MINUTE).await;
    bed.calls();

    let pairs: Vec<_> = ids.iter().copied().enumerate().map(|(n, id)| (id, nodes[n])).collect();
    assert_eq!(pairs.len(), 100);
    let started = Instant::now();
    let attached =
        join_all(pairs.iter().map(|(id, node)| rpc(MINUTE, bed.volumes.ensure_attached(*id, *node)))).await;
    assert!(attached.iter().all(Result::is_ok), "{attached:?}");
    let calls = bed.calls();
    assert!(lists_a_second(&calls) <= 20, "{} lists a second:\n{}", lists_a_second(&calls), printed(&calls));
    let looks = calls.iter().filter(|call| call.method == Method::GET).count();
    assert!(looks <= 100 + 5 * 15, "{looks} looks:\n{}", printed(&calls));
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());

    let detached = join_all(
        pairs.iter().map(|(id, node)| rpc(MINUTE, bed.volumes.ensure_detached(*id, *node, Orphan::Ended))),
    )
    .await;
    assert!(detached.iter().all(Result::is_ok), "{detached:?}");
    assert!(lists_a_second(&bed.calls()) <= 20);
    let deleted = join_all(ids.iter().map(|id| rpc(MINUTE, bed.volumes.ensure_deleted(*id)))).await;
    assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
    assert!(lists_a_second(&bed.calls()) <= 20);
    assert!(bed.all().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn clocks_five_minutes_apart_hide_nothing() {
    for clock_skew in [-300, 300] {
        let bed = Bed::warm(Settings { clock_skew, ..taking(3000) }).await;
        let names: Vec<_> = (0..10).map(|n| wanted(&format!("pvc-{n}"))).collect();
        let started = Instant::now();
        let created =
            join_all(names.iter().map(|wanted| rpc(MINUTE, bed.volumes.ensure_created(wanted)))).await;
        assert!(created.iter().all(Result::is_ok), "{created:?}");
        // The list of what changed found them, not the slow look of last resort.
        assert!(started.elapsed() < Duration::from_secs(6), "skew {clock_skew}: {:?}", started.elapsed());
        let calls = bed.calls();
        assert!(calls.iter().any(|call| call.query.contains("updated_at")), "{}", printed(&calls));
    }
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_cannot_list_what_changed_is_asked_volume_by_volume() {
    let bed = Bed::warm(Settings { block_storage: (3, 59), ..taking(3000) }).await;
    let names: Vec<_> = (0..10).map(|n| wanted(&format!("pvc-{n}"))).collect();
    let created = join_all(names.iter().map(|wanted| rpc(MINUTE, bed.volumes.ensure_created(wanted)))).await;
    assert!(created.iter().all(Result::is_ok), "{created:?}");
    let calls = bed.calls();
    assert!(!calls.iter().any(|call| call.query.contains("updated_at")), "{}", printed(&calls));
}

#[tokio::test(start_paused = true)]
async fn an_attach_that_fails_in_the_cloud_is_answered_at_the_next_look_with_its_reason() {
    let bed = Bed::warm(taking(400)).await;
    let volume = bed.volumes.ensure_created(&wanted("pvc-1")).await.unwrap().id;
    bed.cloud.mishap(Mishap::Fails(Operation::Attach, "libvirt said no".to_owned()));
    bed.calls();
    let attach = rpc(MINUTE, bed.volumes.ensure_attached(volume, bed.server("node-1")));
    let (error, failed) = join(attach, gave_up(&bed)).await;
    let error = error.unwrap_err();
    assert_eq!(error.condition, Condition::Failed, "{error}");
    assert!(error.message.contains("Error") && error.message.contains("req-"), "{error}");
    let calls = bed.calls();
    let looks = calls.iter().filter(|call| call.path == "/volumes/{id}" && call.at >= failed).count();
    assert_eq!(looks, 1, "after {failed:?}:\n{}", printed(&calls));
}

/// When the cloud has let go of an attach that it had begun, to the millisecond.
async fn gave_up(bed: &Bed) -> Instant {
    let attached = || bed.cloud.inventory().iter().any(|line| line.starts_with("attachment"));
    for wanted in [true, false] {
        while attached() != wanted {
            pause(Duration::from_millis(1)).await;
        }
    }
    Instant::now()
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_cinder_cannot_make_is_removed_and_its_reason_told() {
    let bed = Bed::warm(Settings::default()).await;
    let nowhere = Wanted { volume_type: Some("lab-nowhere".to_owned()), ..wanted("pvc-1") };
    let error = rpc(MINUTE, bed.volumes.ensure_created(&nowhere)).await.unwrap_err();
    assert_eq!(error.condition, Condition::Exhausted, "{error}");
    assert!(error.message.contains("schedule allocate volume"), "{error}");
    assert!(bed.all().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn two_controllers_that_create_one_name_end_with_one_volume() {
    for seed in 0..50 {
        let latency = Latency::lab();
        let bed = Bed::new(Settings { seed, latency, ..Settings::default() });
        let other = controller(&bed.cloud);
        let name = wanted("pvc-1");
        let (ours, theirs) =
            join(rpc(MINUTE, bed.volumes.ensure_created(&name)), rpc(MINUTE, other.ensure_created(&name)))
                .await;
        let (ours, theirs) = (ours.unwrap(), theirs.unwrap());
        assert_eq!(ours.id, theirs.id, "seed {seed}");
        assert_eq!(bed.all().await.len(), 1, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_attach_is_found_by_the_next_call() {
    let bed = Bed::warm(taking(5000)).await;
    let volume = bed.volumes.ensure_created(&wanted("pvc-1")).await.unwrap().id;
    let node = bed.server("node-1");
    bed.calls();
    let two = Duration::from_secs(2);
    let error = rpc(two, bed.volumes.ensure_attached(volume, node)).await.unwrap_err();
    assert_eq!(error.condition, Condition::TimedOut, "{error}");
    assert!(error.message.contains("attaching"), "{error}");
    rpc(MINUTE, bed.volumes.ensure_attached(volume, node)).await.unwrap();
    let attaches = bed.calls().into_iter().filter(|call| call.method == Method::POST).count();
    assert_eq!(attaches, 1);
}

#[tokio::test(start_paused = true)]
async fn a_detach_while_the_attach_goes_on_ends_detached() {
    let bed = Bed::warm(taking(3000)).await;
    let volume = bed.volumes.ensure_created(&wanted("pvc-1")).await.unwrap().id;
    let node = bed.server("node-1");
    rpc(Duration::from_secs(1), bed.volumes.ensure_attached(volume, node)).await.unwrap_err();
    rpc(MINUTE, bed.volumes.ensure_detached(volume, node, Orphan::Ended)).await.unwrap();
    let shown = bed.volumes.show(volume).await.unwrap();
    assert!(shown.published.is_empty());
    assert_eq!(bed.volumes.get(shown.id).await.unwrap().status.to_string(), "available");
}

#[tokio::test(start_paused = true)]
async fn a_detach_that_fails_in_the_cloud_says_so() {
    let bed = Bed::warm(taking(400)).await;
    let volume = bed.volumes.ensure_created(&wanted("pvc-1")).await.unwrap().id;
    let node = bed.server("node-1");
    bed.volumes.ensure_attached(volume, node).await.unwrap();
    bed.cloud.mishap(Mishap::Fails(Operation::Detach, "device is busy".to_owned()));
    let error = rpc(MINUTE, bed.volumes.ensure_detached(volume, node, Orphan::Ended)).await.unwrap_err();
    assert_eq!(error.condition, Condition::Failed, "{error}");
    rpc(MINUTE, bed.volumes.ensure_detached(volume, node, Orphan::Ended)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_to_a_create_leaves_one_volume() {
    for trouble in
        [Trouble::ResetAfter, Trouble::FailedAfter(500), Trouble::FailedAfter(503), Trouble::ReplyLost]
    {
        let bed = Bed::warm(Settings::default()).await;
        bed.cloud.fault(Fault::on(Method::POST, "/volumes", trouble.clone()));
        let first = rpc(Duration::from_secs(5), bed.volumes.ensure_created(&wanted("pvc-1"))).await;
        let second = rpc(MINUTE, bed.volumes.ensure_created(&wanted("pvc-1"))).await.unwrap();
        if let Ok(first) = first {
            assert_eq!(first.id, second.id, "{trouble:?}");
        }
        assert_eq!(bed.all().await.len(), 1, "{trouble:?}");
    }
}

async fn pause(time: Duration) {
    cinder_csi::pace::sleep(time).await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_not_final_while_an_earlier_post_is_in_doubt() {
    let bed = Bed::warm(Settings::default()).await;
    bed.cloud.fault(Fault::on(Method::POST, "/volumes", Trouble::ResetBefore));
    rpc(Duration::from_secs(1), bed.volumes.ensure_created(&wanted("pvc-1"))).await.unwrap_err();
    bed.cloud.fault(Fault::on(Method::POST, "/volumes", Trouble::Refused(413)).always());
    let error = rpc(MINUTE, bed.volumes.ensure_created(&wanted("pvc-1"))).await.unwrap_err();
    assert_eq!(error.condition, Condition::Unsettled, "{error}");
    let error = rpc(MINUTE, bed.volumes.ensure_created(&wanted("pvc-2"))).await.unwrap_err();
    assert_eq!(error.condition, Condition::Exhausted, "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_volume_with_snapshots_is_not_deleted_and_they_are_named() {
    let bed = Bed::warm(Settings::default()).await;
    let volume = bed.volumes.ensure_created(&wanted("pvc-1")).await.unwrap().id;
    let order = serde_json::json!({"snapshot": {"volume_id": volume.to_string(), "name": "kept"}});
    let made = bed.post_to_cinder("/snapshots", order).await;
    let snapshot = made["snapshot"]["id"].as_str().unwrap().to_owned();
    let error = rpc(MINUTE, bed.volumes.ensure_deleted(volume)).await.unwrap_err();
    assert_eq!(error.condition, Condition::Precondition, "{error}");
    assert!(error.message.contains(&snapshot), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_volume_grows_attached_and_not() {
    let bed = Bed::warm(taking(300)).await;
    let volume = bed.volumes.ensure_created(&wanted("pvc-1")).await.unwrap().id;
    assert_eq!(bed.volumes.ensure_expanded(volume, 2).await.unwrap().size, 2);
    bed.volumes.ensure_attached(volume, bed.server("node-1")).await.unwrap();
    assert_eq!(bed.volumes.ensure_expanded(volume, 3).await.unwrap().size, 3);
    bed.cloud.mishap(Mishap::Fails(Operation::Extend, "no room".to_owned()));
    let error = rpc(MINUTE, bed.volumes.ensure_expanded(volume, 4)).await.unwrap_err();
    assert_eq!(error.condition, Condition::Failed, "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_cloud_whose_clock_is_behind_makes_no_attempt_look_dead() {
    let bed = Bed::warm(Settings { clock_skew: -1200, ..taking(2000) }).await;
    let other = controller(&bed.cloud);
    let (small, large) = (wanted("pvc-1"), Wanted { size: 2, ..wanted("pvc-1") });
    let late = async {
        pause(Duration::from_secs(1)).await;
        rpc(MINUTE, other.ensure_created(&large)).await
    };
    let (first, second) = join(rpc(MINUTE, bed.volumes.ensure_created(&small)), late).await;
    assert_eq!(second.unwrap_err().condition, Condition::Unsettled);
    let (all, first) = (bed.all().await, first.unwrap());
    assert_eq!(all.iter().map(|volume| volume.id).collect::<Vec<_>>(), [first.id]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_full_is_exhausted_after_one_more_look() {
    let bed = Bed::warm(Settings { max_disks: 1, ..Settings::default() }).await;
    let node = bed.server("node-1");
    let first = bed.volumes.ensure_created(&wanted("pvc-1")).await.unwrap().id;
    let second = bed.volumes.ensure_created(&wanted("pvc-2")).await.unwrap().id;
    bed.volumes.ensure_attached(first, node).await.unwrap();
    bed.calls();
    let error = bed.volumes.ensure_attached(second, node).await.unwrap_err();
    assert_eq!(error.condition, Condition::Exhausted, "{error}");
    assert!(error.message.contains("maximum allowed number of disk devices"), "{error}");
    let calls = bed.calls();
    let asked: Vec<_> = calls.iter().map(|call| call.method.clone()).collect();
    let posted = asked.iter().position(|method| *method == Method::POST).unwrap();
    assert_eq!(asked.iter().filter(|method| **method == Method::POST).count(), 1, "{}", printed(&calls));
    assert!(asked[posted + 1..].contains(&Method::GET), "the state wasn't read again:\n{}", printed(&calls));
    // The volume that fills the server is on it.
    bed.volumes.ensure_attached(first, node).await.unwrap();
}

/// Attaches the second volume to a server that is full of the first, whose place `meanwhile` gives away between Nova's 403
/// and the look after it.
async fn attached_to_a_full_server(
    bed: &Bed,
    [first, second]: [VolumeId; 2],
    meanwhile: impl AsyncFnOnce(Nova),
) -> cinder_csi::volume::Result<Published> {
    let (node, nova) = (bed.server("node-1"), nova(&bed.cloud));
    bed.volumes.ensure_attached(first, node).await.unwrap();
    assert!(!nova.has_attachment(node, second).await.unwrap());
    bed.calls();
    let given_away = async {
        while !bed.cloud.calls().iter().any(|call| call.method == Method::POST) {
            pause(Duration::from_millis(1)).await;
        }
        nova.detach_volume(node, first).await.unwrap();
        meanwhile(nova).await;
    };
    join(rpc(MINUTE, bed.volumes.ensure_attached(second, node)), given_away).await.0
}

async fn two_volumes(bed: &Bed) -> [VolumeId; 2] {
    let first = bed.volumes.ensure_created(&wanted("pvc-1")).await.unwrap().id;
    [first, bed.volumes.ensure_created(&wanted("pvc-2")).await.unwrap().id]
}

#[tokio::test(start_paused = true)]
async fn a_server_that_was_full_and_has_the_volume_at_the_next_look_has_it() {
    let bed = Bed::warm(Settings { max_disks: 1, ..Settings::default() }).await;
    let (node, both) = (bed.server("node-1"), two_volumes(&bed).await);
    let attached = attached_to_a_full_server(&bed, both, async |nova| {
        nova.attach_volume(node, both[1]).await.unwrap();
    });
    attached.await.unwrap();
    let calls = bed.calls();
    let posts = calls.iter().filter(|call| call.method == Method::POST).count();
    assert_eq!(posts, 2, "one was refused, one is the other caller's:\n{}", printed(&calls));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_was_full_and_is_getting_the_volume_is_not_given_up() {
    let bed = Bed::warm(Settings { max_disks: 1, ..Settings::default() }).await;
    let (node, both) = (bed.server("node-1"), two_volumes(&bed).await);
    let attached = attached_to_a_full_server(&bed, both, async |nova| {
        bed.cloud.mishap(Mishap::Takes(Operation::Attach, Duration::from_secs(10)));
        nova.attach_volume(node, both[1]).await.unwrap();
        // Nova has its row before it tells Cinder.
        bed.cloud.set_status(&both[1].to_string(), "available");
    });
    let error = attached.await.unwrap_err();
    assert_eq!(error.condition, Condition::Unsettled, "{error}");
    assert!(error.message.contains("maximum allowed number of disk devices"), "{error}");
    pause(Duration::from_secs(10)).await;
    bed.volumes.ensure_attached(both[1], node).await.unwrap();
}
