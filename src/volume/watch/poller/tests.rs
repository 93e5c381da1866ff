use tokio::sync::oneshot;

use super::*;
use crate::openstack::{SnapshotId, Status};
use crate::volume::sample::{id, volume};
use crate::volume::watch::{PATIENCE, Schedule};

/// A list with the receivers of its asks, which must live for the asks to count.
struct Waiting {
    state: State,
    _answers: Vec<oneshot::Receiver<Answer>>,
}

fn ask(interest: Interest, asked: Instant, due: Instant) -> (Ask, oneshot::Receiver<Answer>) {
    let (reply, answer) = oneshot::channel();
    let (schedule, forgotten) = (Schedule::default(), asked + PATIENCE);
    let ask = Ask {
        interest,
        since: clock(100),
        begun: asked,
        asked,
        due,
        forgotten,
        has_look: false,
        schedule,
        reply,
    };
    (ask, answer)
}

fn clock(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// Asks made now and due now.
fn waiting(interests: impl IntoIterator<Item = Interest>) -> Waiting {
    let now = Instant::now();
    let (asks, _answers) = interests.into_iter().map(|interest| ask(interest, now, now)).unzip();
    Waiting { state: State { asks, polling: true, ..State::default() }, _answers }
}

fn changes(count: u128) -> Vec<Interest> {
    (1..=count).map(|n| Interest::Change(id(n))).collect()
}

fn deletions(count: u128) -> Vec<Interest> {
    (101..=100 + count).map(|n| Interest::Deletion(id(n))).collect()
}

fn snapshots(count: u128) -> Vec<Interest> {
    let id = |n| SnapshotId::from(uuid::Uuid::from_u128(n));
    (1..=count).map(|n| Interest::Snapshot(About::Named(format!("snap-{n}"), Some(id(n))))).collect()
}

#[tokio::test(start_paused = true)]
async fn a_poller_without_waiters_ends() {
    let mut state = waiting([]).state;
    assert_eq!(plan(&mut state), Plan::End);
    assert!(!state.polling);
    // A waiter that has gone away is none.
    let mut gone = waiting(changes(1));
    gone._answers.clear();
    assert_eq!(plan(&mut gone.state), Plan::End);
}

#[tokio::test(start_paused = true)]
async fn who_waits_in_vain_is_told_why() {
    let failure = Some("HTTP 500".to_owned());
    let mut state = State { failure, looking: Some(Instant::now()), ..State::default() };
    assert_eq!(state.trouble(), "; the last look failed: HTTP 500");
    tokio::time::advance(Duration::from_secs(12)).await;
    assert_eq!(state.trouble(), "; Cinder has given no answer that is of use for 12 s");
    (state.failure, state.looking) = (None, None);
    assert_eq!(state.trouble(), "");
}

#[test]
fn the_status_is_told_of_the_volume_that_is_waited_for_and_of_no_namesake() {
    let volumes = || [volume(Status::Available).with_id(1), volume(Status::Creating).with_id(2)].to_vec();
    for (waited, status) in [(Some(id(2)), Some("creating")), (None, Some("available")), (Some(id(3)), None)]
    {
        let seen = Seen::Named(volumes()).status(&Interest::Named("pvc-1".to_owned(), waited));
        assert_eq!(seen.as_deref(), status, "{waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_waiters_get_a_look_each_and_three_a_list() {
    assert_eq!(plan(&mut waiting(changes(2)).state), Plan::Each(changes(2)));
    assert_eq!(plan(&mut waiting(changes(3)).state), Plan::Changes(clock(100) - OVERLAP));
    let named = Interest::Named("pvc-1".to_owned(), None);
    assert_eq!(plan(&mut waiting([named.clone()]).state), Plan::Each(vec![named]));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_looked_at_before_it_is_due() {
    let mut later = waiting(changes(5));
    let due = Instant::now() + Duration::from_secs(1);
    later.state.asks.iter_mut().for_each(|ask| ask.due = due);
    assert_eq!(plan(&mut later.state), Plan::Sleep(due));
}

#[tokio::test(start_paused = true)]
async fn lists_keep_their_distance() {
    let mut crowd = waiting(changes(5));
    let now = Instant::now();
    crowd.state.listing_from = Some(now + LIST_EVERY);
    assert_eq!(plan(&mut crowd.state), Plan::Sleep(now + LIST_EVERY));
    pace::sleep(LIST_EVERY).await;
    assert!(matches!(plan(&mut crowd.state), Plan::Changes(_)));
}

#[tokio::test(start_paused = true)]
async fn the_lists_take_turns() {
    let passing = |list, asks| Plan::Passing(list, asks);
    assert_eq!(plan(&mut waiting(deletions(5)).state), passing(List::VolumesDeleting, deletions(5)));
    let named = Interest::Group("groupsnapshot-1".to_owned());
    let mut all =
        waiting(changes(5).into_iter().chain(deletions(5)).chain(snapshots(5)).chain([named.clone()]));
    let mut turns = Vec::new();
    for _ in 0..5 {
        turns.push(match plan(&mut all.state) {
            Plan::Changes(_) => Some(List::Changes),
            Plan::Passing(list, _) => Some(list),
            Plan::Each(each) if each == [named.clone()] => None,
            other => panic!("{other:?}"),
        });
    }
    use List::*;
    assert_eq!(turns, [None, Some(Changes), Some(VolumesDeleting), Some(SnapshotsCreating), None]);
}

#[tokio::test(start_paused = true)]
async fn names_that_have_nothing_yet_are_looked_at_a_few_at_a_time() {
    let named = |n| Interest::Snapshot(About::Named(format!("snap-{n}"), None));
    let mut crowd = waiting((1..=5).map(named));
    assert_eq!(plan(&mut crowd.state), Plan::Each(vec![named(1), named(2)]));
}

#[tokio::test(start_paused = true)]
async fn a_cloud_too_old_for_lists_is_asked_a_few_at_a_time() {
    let mut crowd = waiting(changes(50));
    crowd.state.too_old_until = Some(Instant::now() + TOO_OLD_FOR);
    assert_eq!(plan(&mut crowd.state), Plan::Each(changes(GETS_AT_ONCE as u128)));
    pace::sleep(TOO_OLD_FOR).await;
    crowd.state.asks.iter_mut().for_each(|ask| ask.forgotten = Instant::now() + PATIENCE);
    assert!(matches!(plan(&mut crowd.state), Plan::Changes(_)));
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_no_list_mentions_gets_a_look_of_its_own() {
    let mut crowd = waiting(changes(5));
    pace::sleep(PATIENCE).await;
    let later = Instant::now() + PATIENCE;
    crowd.state.asks.iter_mut().skip(1).for_each(|ask| ask.forgotten = later);
    assert_eq!(plan(&mut crowd.state), Plan::Each(changes(1)));
    // Lists go on between such looks, or a crowd that waits long would wait for its turn.
    assert!(matches!(plan(&mut crowd.state), Plan::Changes(_)));
}
