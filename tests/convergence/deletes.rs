//! A volume that this process last saw free is deleted without a look before; Cinder refuses what mustn't be.

use std::time::Duration;

use cinder_csi::sandbox::{Call, Fault, Mishap, Operation, Settings, Trouble};
use cinder_csi::volume::{Condition, VolumeId};
use futures_util::future::{join, join_all};
use http::Method;
use tokio::time::Instant;

use crate::bed::{Bed, controller, nova, printed, rpc, wanted};
use crate::{MINUTE, pause, taking};

fn methods(calls: &[Call]) -> Vec<&str> {
    calls.iter().map(|call| call.method.as_str()).collect()
}

async fn with_a_volume(settings: Settings) -> (Bed, VolumeId) {
    let bed = Bed::warm(settings).await;
    let volume = rpc(MINUTE, bed.volumes.ensure_created(&wanted("pvc-1"))).await.unwrap().id;
    bed.calls();
    (bed, volume)
}

#[tokio::test(start_paused = true)]
async fn one_that_was_seen_free_needs_no_look_before() {
    let (bed, volume) = with_a_volume(Settings::default()).await;
    rpc(MINUTE, bed.volumes.ensure_deleted(volume)).await.unwrap();
    assert_eq!(methods(&bed.calls()), ["DELETE", "GET"]);
}

#[tokio::test(start_paused = true)]
async fn another_process_looks_before() {
    let (bed, volume) = with_a_volume(Settings::default()).await;
    let other = controller(&bed.cloud);
    other.get(volume).await.unwrap();
    bed.calls();
    rpc(MINUTE, other.ensure_deleted(volume)).await.unwrap();
    assert_eq!(methods(&bed.calls()), ["GET", "DELETE", "GET"]);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_being_made_is_looked_at_until_it_is_there() {
    let bed = Bed::warm(taking(3000)).await;
    let short = Duration::from_secs(1);
    rpc(short, bed.volumes.ensure_created(&wanted("pvc-1"))).await.unwrap_err();
    let volume = bed.all().await[0].id;
    bed.calls();
    rpc(MINUTE, bed.volumes.ensure_deleted(volume)).await.unwrap();
    assert_eq!(methods(&bed.calls())[0], "GET");
}

#[tokio::test(start_paused = true)]
async fn one_that_was_attached_since_is_refused_as_after_a_look() {
    for settings in [Settings::default(), taking(20_000)] {
        let (bed, volume) = with_a_volume(settings).await;
        let (node, short) = (bed.server("node-1"), Duration::from_secs(5));
        nova(&bed.cloud).attach_volume(node, volume).await.unwrap();
        pause(Duration::from_secs(1)).await;
        bed.calls();
        let ours = rpc(short, bed.volumes.ensure_deleted(volume)).await.unwrap_err();
        assert_eq!(methods(&bed.calls())[..2], ["DELETE", "GET"]);
        let theirs = rpc(short, controller(&bed.cloud).ensure_deleted(volume)).await.unwrap_err();
        assert_eq!(ours, theirs);
        assert!([Condition::Precondition, Condition::TimedOut].contains(&ours.condition), "{ours}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_this_process_attached_is_looked_at() {
    let (bed, volume) = with_a_volume(Settings::default()).await;
    bed.volumes.ensure_attached(volume, bed.server("node-1")).await.unwrap();
    bed.calls();
    let error = rpc(MINUTE, bed.volumes.ensure_deleted(volume)).await.unwrap_err();
    assert_eq!(error.condition, Condition::Precondition, "{error}");
    let calls = bed.calls();
    assert_eq!(methods(&calls), ["GET"], "{}", printed(&calls));
}

#[tokio::test(start_paused = true)]
async fn what_may_have_come_of_the_delete_a_look_tells() {
    let troubles = [
        Trouble::Refused(404),
        Trouble::Refused(400),
        Trouble::Refused(403),
        Trouble::Refused(503),
        Trouble::ResetBefore,
        Trouble::ResetAfter,
        Trouble::FailedAfter(500),
    ];
    for trouble in troubles {
        let (bed, volume) = with_a_volume(Settings::default()).await;
        bed.cloud.fault(Fault::on(Method::DELETE, "/volumes/{id}", trouble.clone()));
        rpc(MINUTE, bed.volumes.ensure_deleted(volume)).await.unwrap();
        assert!(bed.all().await.is_empty(), "{trouble:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_never_may_be_deleted_is_refused_as_often_as_after_a_look() {
    let (bed, volume) = with_a_volume(Settings::default()).await;
    bed.cloud.fault(Fault::on(Method::DELETE, "/volumes/{id}", Trouble::Refused(400)).always());
    let ours = rpc(MINUTE, bed.volumes.ensure_deleted(volume)).await.unwrap_err();
    let our_calls = methods(&bed.calls()).join(" ");
    let theirs = rpc(MINUTE, controller(&bed.cloud).ensure_deleted(volume)).await.unwrap_err();
    assert_eq!(ours.condition, theirs.condition);
    let their_calls = bed.calls();
    let their_calls = methods(&their_calls);
    let without_token: Vec<_> = their_calls.into_iter().skip_while(|method| *method != "DELETE").collect();
    assert!(our_calls.ends_with(&without_token.join(" ")), "{our_calls} / {without_token:?}");
}

#[tokio::test(start_paused = true)]
async fn one_that_another_process_deleted_is_done() {
    let (bed, volume) = with_a_volume(Settings::default()).await;
    rpc(MINUTE, controller(&bed.cloud).ensure_deleted(volume)).await.unwrap();
    bed.calls();
    rpc(MINUTE, bed.volumes.ensure_deleted(volume)).await.unwrap();
    assert_eq!(methods(&bed.calls()), ["DELETE", "GET"]);
}

#[tokio::test(start_paused = true)]
async fn the_look_at_one_of_a_crowd_keeps_no_other_waiting_and_is_not_ordered_again() {
    let bed = Bed::warm(taking(3000)).await;
    let names: Vec<_> = (0..10).map(|n| format!("pvc-{n}")).collect();
    let made = names.iter().map(async |name| rpc(MINUTE, bed.volumes.ensure_created(&wanted(name))).await);
    let made = join_all(made).await;
    bed.calls();
    bed.cloud.fault(Fault::on(Method::GET, "/volumes/{id}", Trouble::Slow(Duration::from_secs(20))));
    (0..3).for_each(|_| bed.cloud.mishap(Mishap::Takes(Operation::Delete, Duration::from_secs(9))));
    let deleted = made.iter().map(async |made| {
        let began = Instant::now();
        rpc(MINUTE, bed.volumes.ensure_deleted(made.as_ref().unwrap().id)).await.unwrap();
        began.elapsed()
    });
    // A list that fails says nothing of what is looked at.
    let trouble = async {
        pause(Duration::from_secs(5)).await;
        bed.cloud.fault(Fault::on(Method::GET, "/volumes", Trouble::Refused(500)));
    };
    let (deleted, ()) = join(join_all(deleted), trouble).await;
    let late = deleted.into_iter().filter(|took| *took > Duration::from_secs(15));
    assert_eq!(late.count(), 1);
    let calls = bed.calls();
    let looks = calls.iter().filter(|call| call.method == Method::GET && call.path == "/volumes/{id}");
    assert_eq!(looks.count(), 10, "{}", printed(&calls));
}
