use tokio::sync::oneshot;
use tokio::time::Instant;

use super::*;
use crate::openstack::Status;
use crate::volume::sample::{id, volume};
use crate::volume::watch::Schedule;

fn clock(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn ask(interest: Interest) -> Ask {
    let (now, reply) = (Instant::now(), oneshot::channel().0);
    let schedule = Schedule::default();
    let (since, has_look) = (clock(0), false);
    Ask { interest, since, begun: now, asked: now, due: now, forgotten: now, has_look, schedule, reply }
}

fn new(name: &str, n: u128, from: u64) -> Ask {
    ask(Interest::New { name: name.to_owned(), id: id(n), from: clock(from) })
}

fn shown(status: Status, ids: &[u128]) -> BTreeMap<VolumeId, Volume> {
    ids.iter().map(|n| (id(*n), volume(status.clone()).with_id(*n))).collect()
}

fn named(name: &str, n: u128) -> VolumeName {
    VolumeName { id: id(n), name: name.to_owned() }
}

fn ids(newcomers: &Newcomers) -> Vec<VolumeId> {
    newcomers.0.keys().copied().collect()
}

#[tokio::test]
async fn newcomers_are_new_at_rest_and_not_slow() {
    let asks = [
        new("a", 1, 1000),
        new("b", 2, 399),
        new("c", 3, 400),
        new("d", 4, 1000),
        ask(Interest::Change(id(5))),
        ask(Interest::Named("f".to_owned(), Some(id(6)))),
    ];
    let mut on_the_list = shown(Status::Available, &[1, 2, 3, 5, 6]);
    let newcomers = Newcomers::of(&asks, &on_the_list, clock(1000));
    assert_eq!((ids(&newcomers), newcomers.from()), (vec![id(1), id(3)], Some(clock(400))));
    let has: Vec<_> = asks.iter().map(|ask| newcomers.has(ask)).collect();
    assert_eq!(has, [true, false, true, false, false, false]);
    on_the_list.extend(shown(Status::Creating, &[1]));
    on_the_list.extend(shown(Status::Error, &[3]));
    assert_eq!(ids(&Newcomers::of(&asks, &on_the_list, clock(1000))), [id(3)]);
}

#[tokio::test]
async fn one_is_alone_where_it_is_on_the_list_and_no_other_has_its_name() {
    let asks = [new("a", 1, 0), new("b", 2, 0), new("c", 3, 0), new("D", 4, 0), new("e", 5, 0)];
    let newcomers = Newcomers::of(&asks, &shown(Status::Available, &[1, 2, 3, 4, 5]), clock(0));
    let listed =
        [named("a", 1), named("b", 2), named("b", 12), named("d", 14), named("D", 4), named("e", 15)];
    assert_eq!(newcomers.alone(&listed), [id(1), id(4)].into());
    assert_eq!(newcomers.alone(&[]), [].into());
}
