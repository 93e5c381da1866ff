//! How often a process may ask the cloud.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cinder_csi::openstack::Limits;
use tokio::time::Instant;

use crate::scene::Scene;
use crate::traffic::Sent;

const SECOND: Duration = Duration::from_secs(1);
/// Of lists that serve many, one every 50 ms.
const LISTS_A_SECOND: usize = 21;
/// At one thing: every 50 ms while it is about to be done.
const LOOKS_A_SECOND: usize = 22;
/// What an RPC sends itself, beside the poller's looks: with up to five attempts of each, at first and then in each second.
/// Only where it waits for what another process makes does it look itself, after each look of the poller.
const REQUESTS_OF_AN_RPC: usize = 24;
const REQUESTS_A_SECOND: f64 = 2.0;
/// A look goes on without the RPC that it was for.
const ONE_LOOK: Duration = Duration::from_secs(31);

/// What one task sent, in order.
type Task<'a> = Vec<&'a Sent>;

impl Scene {
    pub fn check_budget(&self) {
        for replica in self.all_replicas() {
            let sent = replica.traffic.sent();
            for law in broken(&sent, self.limits) {
                self.broke(format_args!("replica {} {law}", replica.number));
            }
        }
    }
}

fn broken(sent: &[Sent], limits: Limits) -> Vec<String> {
    let limited = sent.iter().filter(|one| one.is_limited());
    let (pollers, others): (Vec<_>, Vec<_>) = tasks(limited).into_iter().partition(is_poller);
    let laws = [
        over_budget(sent, limits),
        too_many_lists(sent),
        too_many_looks(sent),
        busy_while_idle(sent),
        two_pollers(&pollers),
        costly(&others),
    ];
    laws.into_iter().flatten().collect()
}

fn tasks<'a>(sent: impl Iterator<Item = &'a Sent>) -> Vec<Task<'a>> {
    let mut tasks = Vec::<Task<'_>>::new();
    let mut places = BTreeMap::new();
    for one in sent {
        let place = *places.entry(one.task).or_insert(tasks.len());
        if place == tasks.len() {
            tasks.push(Vec::new());
        }
        tasks[place].push(one);
    }
    tasks
}

fn is_poller(task: &Task<'_>) -> bool {
    task.iter().any(|one| one.deadline != task[0].deadline)
}

/// More in a second than the bucket gives.
fn over_budget(sent: &[Sent], limits: Limits) -> Option<String> {
    let most = (limits.per_second + limits.burst) as usize;
    let (nova, cinder): (Vec<&Sent>, Vec<_>) =
        limited(sent).into_iter().partition(|one| one.what.contains("/compute"));
    let one = crowded(&nova, most).or_else(|| crowded(&cinder, most))?;
    Some(format!("sent more than {most} requests in the second from {:?} on", one.what))
}

/// What took a token from the bucket just before it was sent. A token of Keystone and a service's versions come without
/// one; what waited for them was given its own earlier, and so was what is sent again with a new token after a 401.
fn limited(sent: &[Sent]) -> Vec<&Sent> {
    let free = sent.iter().filter(|one| !one.is_limited());
    let landings: BTreeSet<Instant> = free.filter_map(|one| one.answered).map(|(at, _)| at).collect();
    let mut refused = BTreeSet::new();
    let mut limited = Vec::new();
    for one in sent.iter().filter(|one| one.is_limited()) {
        let is_again = refused.remove(&(one.task, &one.what));
        if matches!(one.answered, Some((_, 401))) {
            refused.insert((one.task, &one.what));
        }
        if !is_again && !landings.contains(&one.at) {
            limited.push(one);
        }
    }
    limited
}

fn too_many_lists(sent: &[Sent]) -> Option<String> {
    let lists: Vec<_> = sent.iter().filter(|one| one.serves_many()).collect();
    let one = crowded(&lists, LISTS_A_SECOND)?;
    Some(format!("asked for lists more than {LISTS_A_SECOND} times in a second: {}", one.what))
}

fn too_many_looks(sent: &[Sent]) -> Option<String> {
    let mut things = BTreeMap::<&str, Vec<&Sent>>::new();
    for one in sent.iter().filter(|one| one.method.is_safe()) {
        things.entry(&one.what).or_default().push(one);
    }
    let one = things.values().find_map(|looks| crowded(looks, LOOKS_A_SECOND))?;
    Some(format!("looked more than {LOOKS_A_SECOND} times in a second: {}", one.what))
}

fn busy_while_idle(sent: &[Sent]) -> Option<String> {
    let one = sent.iter().find(|one| one.idle > ONE_LOOK)?;
    Some(format!("sent {} {:?} after the last RPC had ended", one.what, one.idle))
}

fn two_pollers(pollers: &[Task<'_>]) -> Option<String> {
    let mut last: Option<&Sent> = None;
    for poller in pollers {
        if last.is_some_and(|last| poller[0].at < last.at) {
            return Some(format!("had two pollers at once: {}", poller[0].what));
        }
        last = poller.last().copied();
    }
    None
}

fn costly(others: &[Task<'_>]) -> Option<String> {
    let task = others.iter().find(|task| task.len() > may_send(task))?;
    Some(format!("sent {} requests for one RPC, beside its waiting: {}", task.len(), task[0].what))
}

fn may_send(task: &Task<'_>) -> usize {
    let took = task[task.len() - 1].at - task[0].at;
    REQUESTS_OF_AN_RPC + (REQUESTS_A_SECOND * took.as_secs_f64()) as usize
}

/// The first of more than `most` within a second.
fn crowded<'a>(sent: &[&'a Sent], most: usize) -> Option<&'a Sent> {
    let found = sent.windows(most + 1).find(|some| some[most].at - some[0].at < SECOND)?;
    Some(found[0])
}
