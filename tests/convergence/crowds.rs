//! Many that are made at once share the look whether another one has come under their names.

use std::time::Duration;

use cinder_csi::sandbox::{Call, Fault, Mishap, Operation, Settings, Trouble};
use cinder_csi::volume::{Condition, Volume, Volumes};
use futures_util::future::{join, join_all};
use http::Method;

use crate::bed::{Bed, controller, printed, rpc, wanted};
use crate::{MINUTE, pause, taking};

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("pvc-{n}")).collect()
}

async fn made(volumes: &Volumes, names: &[String]) -> Vec<Volume> {
    let made = names.iter().map(async |name| rpc(MINUTE, volumes.ensure_created(&wanted(name))).await);
    join_all(made).await.into_iter().map(Result::unwrap).collect()
}

/// Lists of what is new.
fn of_new(calls: &[Call]) -> usize {
    calls.iter().filter(|call| call.path == "/volumes" && call.query.starts_with("created_at=")).count()
}

fn by_name(calls: &[Call], name: &str) -> usize {
    calls.iter().filter(|call| call.query == format!("name={name}")).count()
}

async fn check_one_of_each(bed: &Bed, made: &[Volume]) {
    let mut ids: Vec<_> = made.iter().map(|volume| volume.id).collect();
    let mut all: Vec<_> = bed.all().await.iter().map(|volume| volume.id).collect();
    ids.sort();
    all.sort();
    assert_eq!(all, ids);
}

#[tokio::test(start_paused = true)]
async fn a_crowd_looks_for_namesakes_together() {
    let bed = Bed::warm(taking(3000)).await;
    let made = made(&bed.volumes, &names(100)).await;
    let calls = bed.calls();
    assert!(calls.len() <= 350, "{} calls:\n{}", calls.len(), printed(&calls));
    assert!((1..=10).contains(&of_new(&calls)), "{}", printed(&calls));
    check_one_of_each(&bed, &made).await;
}

#[tokio::test(start_paused = true)]
async fn two_look_for_themselves() {
    let bed = Bed::warm(taking(3000)).await;
    made(&bed.volumes, &names(2)).await;
    assert_eq!(of_new(&bed.calls()), 0);
}

#[tokio::test(start_paused = true)]
async fn whoever_takes_longer_than_five_minutes_looks_itself() {
    let bed = Bed::warm(taking(320_000)).await;
    let names = names(10);
    let made = join_all(
        names.iter().map(async |name| rpc(10 * MINUTE, bed.volumes.ensure_created(&wanted(name))).await),
    );
    assert!(made.await.iter().all(Result::is_ok));
    assert_eq!(of_new(&bed.calls()), 0);
}

#[tokio::test(start_paused = true)]
async fn two_controllers_that_create_many_names_end_with_one_volume_each() {
    for seed in 0..10 {
        let bed = Bed::warm(Settings { seed, ..taking(3000) }).await;
        let (other, names) = (controller(&bed.cloud), names(10));
        let (ours, theirs) = join(made(&bed.volumes, &names), made(&other, &names)).await;
        let ids = |made: &[Volume]| made.iter().map(|volume| volume.id).collect::<Vec<_>>();
        assert_eq!(ids(&ours), ids(&theirs), "seed {seed}");
        check_one_of_each(&bed, &ours).await;
    }
}

/// The other one has died, so that nobody else removes it.
#[tokio::test(start_paused = true)]
async fn one_that_was_there_before_and_that_lists_show_late_is_found() {
    let bed = Bed::warm(taking(25_000)).await;
    bed.cloud.mishap(Mishap::Unlisted(Operation::Create, Duration::from_secs(30)));
    let other = rpc(Duration::from_secs(20), controller(&bed.cloud).ensure_created(&wanted("pvc-0"))).await;
    assert_eq!(other.unwrap_err().condition, Condition::TimedOut);
    let made = made(&bed.volumes, &names(10)).await;
    let calls = bed.calls();
    assert!(of_new(&calls) > 0 && by_name(&calls, "pvc-0") > 1, "{}", printed(&calls));
    check_one_of_each(&bed, &made).await;
}

#[tokio::test(start_paused = true)]
async fn a_name_that_was_not_free_at_first_is_looked_at_by_name() {
    let bed = Bed::warm(taking(3000)).await;
    let first = rpc(MINUTE, bed.volumes.ensure_created(&wanted("pvc-0"))).await.unwrap().id;
    assert!(bed.cloud.delete_volume(&first.to_string()));
    bed.calls();
    let made = made(&bed.volumes, &names(10)).await;
    let calls = bed.calls();
    assert!(of_new(&calls) > 0, "{}", printed(&calls));
    assert_eq!((by_name(&calls, "pvc-0"), by_name(&calls, "pvc-1")), (2, 1), "{}", printed(&calls));
    check_one_of_each(&bed, &made).await;
}

#[tokio::test(start_paused = true)]
async fn a_name_whose_earlier_post_is_in_doubt_is_looked_at_by_name() {
    let bed = Bed::warm(taking(3000)).await;
    bed.cloud.fault(Fault::on(Method::POST, "/volumes", Trouble::ResetBefore));
    rpc(Duration::from_secs(1), bed.volumes.ensure_created(&wanted("pvc-0"))).await.unwrap_err();
    bed.calls();
    made(&bed.volumes, &names(10)).await;
    let calls = bed.calls();
    assert_eq!((by_name(&calls, "pvc-0"), by_name(&calls, "pvc-1")), (2, 1), "{}", printed(&calls));
}

#[tokio::test(start_paused = true)]
async fn where_the_list_of_what_is_new_fails_each_looks_itself() {
    for trouble in [Trouble::Refused(400), Trouble::Refused(403), Trouble::Refused(500)] {
        let bed = Bed::warm(taking(3000)).await;
        bed.cloud.fault(Fault::on(Method::GET, "/volumes", trouble.clone()).always());
        let made = made(&bed.volumes, &names(10)).await;
        let calls = bed.calls();
        assert!(of_new(&calls) > 0, "{trouble:?}:\n{}", printed(&calls));
        assert!(names(10).iter().all(|name| by_name(&calls, name) == 2), "{trouble:?}:\n{}", printed(&calls));
        check_one_of_each(&bed, &made).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_ahead_or_behind_costs_no_more() {
    for clock_skew in [-1200, 1200] {
        let bed = Bed::warm(Settings { clock_skew, ..taking(3000) }).await;
        made(&bed.volumes, &names(10)).await;
        let calls = bed.calls();
        assert_eq!(by_name(&calls, "pvc-1"), 1, "skew {clock_skew}:\n{}", printed(&calls));
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_something_else_is_told_before_that_look() {
    let bed = Bed::warm(taking(3000)).await;
    let other = rpc(MINUTE, bed.volumes.ensure_created(&wanted("other"))).await.unwrap().id;
    bed.cloud.fault(Fault::on(Method::GET, "/volumes", Trouble::Slow(Duration::from_secs(20))).always());
    let names = names(10);
    let grown = async {
        pause(Duration::from_millis(10)).await;
        rpc(Duration::from_secs(10), bed.volumes.ensure_expanded(other, 2)).await.unwrap();
    };
    join(made(&bed.volumes, &names), grown).await;
    assert!(of_new(&bed.calls()) > 0);
}
