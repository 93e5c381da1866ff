//! The task that looks, for as long as somebody waits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use tokio::time::Instant;

use super::lists::List;
use super::newcomers::Newcomers;
use super::told;
use super::{About, Answer, Ask, Interest, LIST_EVERY, LISTS, Seen, Shared, State};
use crate::openstack::{self, Kind, Volume, VolumeId};
use crate::pace::{self, Deadline};
use crate::volume::group::Sight;

/// Up to this many waiters, a GET each costs the cloud less than a list.
const FEW: usize = 2;
/// GETs at a time where the cloud can't list what changed.
const GETS_AT_ONCE: usize = 4;
/// `updated_at` has a resolution of one second and the API's hosts have clocks of their own.
const OVERLAP: Duration = Duration::from_secs(3);
/// A cloud is upgraded under us, and a version document may be out of reach for a while.
const TOO_OLD_FOR: Duration = Duration::from_secs(300);
/// A list may have waited for its turn, and a rate may be low.
const LONGEST_DISTANCE: Duration = Duration::from_secs(1);
const ONE_LOOK: Duration = Duration::from_secs(30);

/// What the next look is.
#[derive(Debug, PartialEq, Eq)]
pub enum Plan {
    End,
    Sleep(Instant),
    /// A look for each of these.
    Each(Vec<Interest>),
    Changes(SystemTime),
    /// A list of what is on its way, for those that wait for its end.
    Passing(List, Vec<Interest>),
}

pub struct Poller(pub Arc<Shared>);

impl Poller {
    pub async fn run(self) {
        let cloud = self.0.cinder.cloud_name();
        loop {
            let plan = {
                let mut state = self.0.lock();
                let plan = plan(&mut state);
                told::waiting(&cloud, &state.asks);
                plan
            };
            told::looks(&cloud, &plan);
            match plan {
                Plan::End => return,
                Plan::Sleep(until) => self.sleep(until).await,
                Plan::Each(asks) => self.look_at_each(asks).await,
                Plan::Changes(since) => self.list_changes(since).await,
                Plan::Passing(list, asks) => self.list_passing(list, asks).await,
            }
            self.0.lock().looking = None;
        }
    }

    /// Sleeps until then, or until somebody asks.
    async fn sleep(&self, until: Instant) {
        let time = until.saturating_duration_since(Instant::now());
        tokio::select! {
            biased;
            () = self.0.asked.notified() => {}
            () = pace::sleep(time) => {}
        }
    }

    async fn look_at_each(&self, interests: Vec<Interest>) {
        let began = self.begin();
        {
            let mut state = self.0.lock();
            state.listing_from = state.listing_from.max(Some(began.at + LIST_EVERY));
        }
        let looks = join_all(interests.iter().map(|interest| self.look(interest))).await;
        for (interest, seen) in interests.iter().zip(looks) {
            self.deliver(&began, |ask| ask.interest == *interest, |_| Some(seen.clone()));
        }
    }

    async fn look(&self, interest: &Interest) -> openstack::Result<Seen> {
        let cinder = &self.0.cinder;
        limited(async {
            match interest {
                Interest::Named(name, _) | Interest::New { name, .. } => {
                    cinder.list_volumes_named(name).await.map(Seen::Named)
                }
                Interest::Change(id) | Interest::Deletion(id) => {
                    let found = cinder.find_volume(*id).await?;
                    Ok(found.map_or(Seen::Gone, |volume| Seen::Volume(Box::new(volume))))
                }
                Interest::Snapshot(About::Named(name, _)) => {
                    cinder.list_snapshots_named(name).await.map(Seen::Snapshots)
                }
                Interest::Snapshot(About::End(id)) => {
                    let found = cinder.find_snapshot(*id).await?;
                    Ok(found.map_or(Seen::Gone, |snapshot| Seen::Snapshot(Box::new(snapshot))))
                }
                Interest::Backup(About::Named(name, _)) => {
                    cinder.list_backups_named(name).await.map(Seen::Backups)
                }
                Interest::Backup(About::End(id)) => {
                    let found = cinder.find_backup(*id).await?;
                    Ok(found.map_or(Seen::Gone, |backup| Seen::Backup(Box::new(backup))))
                }
                Interest::Group(name) => Sight::of(cinder, name).await.map(Seen::Group),
            }
        })
        .await
    }

    async fn list_changes(&self, since: SystemTime) {
        let mut began = self.begin();
        let listed = limited(self.0.cinder.list_volumes_changed_since(since)).await;
        self.listed(&began, 1);
        match listed {
            Ok(changes) => {
                began.clock = changes.date.unwrap_or(began.clock);
                let volumes = changes.volumes.into_iter().map(|volume| (volume.id, volume)).collect();
                self.tell_changes(&began, &volumes).await;
            }
            // An operator may not let this filter be used (`resource_filters_file`).
            Err(error) if matches!(error.kind, Kind::Unsupported | Kind::Refused | Kind::Forbidden) => {
                self.0.lock().too_old_until = Some(Instant::now() + TOO_OLD_FOR);
            }
            Err(error) => self.fail(&began, List::Changes, &error),
        }
    }

    async fn tell_changes(&self, began: &Began, volumes: &BTreeMap<VolumeId, Volume>) {
        let listed = |ask: &Ask| ask.interest.id().and_then(|id| volumes.get(&id));
        let seen = |volume: &Volume| Some(Ok(Seen::Volume(Box::new(volume.clone()))));
        let newcomers = self.newcomers(began, volumes);
        self.deliver(
            began,
            |ask| !newcomers.has(ask) && (ask.list() == Some(List::Changes) || listed(ask).is_some()),
            |ask| seen(listed(ask)?),
        );
        let Some(from) = newcomers.from() else { return };
        let alone = self.alone(began, &newcomers, from).await;
        self.deliver(
            began,
            |ask| newcomers.has(ask),
            |ask| {
                let volume = listed(ask)?;
                if alone.contains(&volume.id) {
                    return Some(Ok(Seen::Named(vec![volume.clone()])));
                }
                seen(volume)
            },
        );
    }

    /// None where they are few: then each looks itself.
    fn newcomers(&self, began: &Began, volumes: &BTreeMap<VolumeId, Volume>) -> Newcomers {
        let state = self.0.lock();
        if state.unlisted_until.is_some_and(|until| Instant::now() < until) {
            return Newcomers::default();
        }
        let asks = state.asks.iter().filter(|ask| ask.asked <= began.at);
        let newcomers = Newcomers::of(asks, volumes, began.clock);
        if newcomers.len() > FEW { newcomers } else { Newcomers::default() }
    }

    /// Those that have their name alone for certain; the others look themselves.
    async fn alone(&self, began: &Began, newcomers: &Newcomers, from: SystemTime) -> BTreeSet<VolumeId> {
        told::look_for_namesakes(&self.0.cinder.cloud_name());
        let listed = limited(self.0.cinder.list_volumes_created_since(from)).await;
        self.listed(began, 2);
        if listed.is_err() {
            self.0.lock().unlisted_until = Some(Instant::now() + TOO_OLD_FOR);
        }
        listed.map(|listed| newcomers.alone(&listed)).unwrap_or_default()
    }

    /// Only those hear of it that would have been told by that list.
    fn fail(&self, began: &Began, list: List, error: &openstack::Error) {
        self.deliver(began, |ask| !ask.has_look && ask.list() == Some(list), |_| Some(Err(error.clone())));
    }

    /// What is no longer on the list of what is on its way has come to its end, or failed: a look at it tells.
    async fn list_passing(&self, list: List, asks: Vec<Interest>) {
        let began = self.begin();
        let listed = limited(list.passing(&self.0.cinder)).await;
        self.listed(&began, 1);
        match listed {
            Ok(passing) => {
                let is_over = |ask: &Interest| ask.listed().is_none_or(|listed| !passing.contains(&listed));
                let (ended, going): (BTreeSet<_>, BTreeSet<_>) = asks.into_iter().partition(is_over);
                self.deliver(&began, |ask| !ask.has_look && going.contains(&ask.interest), |_| None);
                if !ended.is_empty() {
                    self.look_beside(began, ended);
                }
            }
            Err(error) => self.fail(&began, list, &error),
        }
    }

    /// A look each, beside the poller: in a crowd they wait for their turns at the cloud, and the lists go on meanwhile.
    fn look_beside(&self, began: Began, interests: BTreeSet<Interest>) {
        let concerned = |ask: &&mut Ask| ask.asked <= began.at && interests.contains(&ask.interest);
        // By then the look has ended, and has told or put off who asked.
        let end = Instant::now() + ONE_LOOK;
        self.0.lock().asks.iter_mut().filter(concerned).for_each(|ask| (ask.due, ask.has_look) = (end, true));
        let poller = Self(Arc::clone(&self.0));
        tokio::spawn(async move {
            let looks = interests.iter().map(async |interest| {
                let seen = poller.look(interest).await;
                poller.deliver(&began, |ask| ask.interest == *interest, |_| Some(seen.clone()));
                // Who was put off may be due before anybody else.
                if seen.is_err() {
                    poller.0.asked.notify_one();
                }
            });
            join_all(looks).await;
            poller.0.asked.notify_one();
        });
    }

    fn begin(&self) -> Began {
        self.0.lock().looking = Some(Instant::now());
        Began { at: Instant::now(), clock: self.0.cinder.clock() }
    }

    /// The last of so many lists is answered.
    fn listed(&self, began: &Began, lists: u32) {
        let share = Duration::from_secs_f64(f64::from(lists) / (LISTS * self.0.cinder.rate()));
        let rest = began.at.elapsed().max(share);
        self.0.lock().listing_from = Some(Instant::now() + rest.clamp(LIST_EVERY, LONGEST_DISTANCE));
    }

    /// Answers every ask of those `concerned` that was there when the look began and that `seen` knows something for;
    /// puts off the other ones of them.
    fn deliver(
        &self,
        began: &Began,
        concerned: impl Fn(&Ask) -> bool,
        seen: impl Fn(&Ask) -> Option<openstack::Result<Seen>>,
    ) {
        let mut state = self.0.lock();
        let sharers = state.sharers();
        for mut ask in std::mem::take(&mut state.asks) {
            if ask.asked > began.at || !concerned(&ask) {
                state.asks.push(ask);
                continue;
            }
            match seen(&ask) {
                Some(Err(error)) if is_passing(&error) => {
                    state.failure = Some(error.to_string());
                    ask.put_off(began.at, sharers);
                    state.asks.push(ask);
                }
                Some(seen) => {
                    state.failure = None;
                    let volumes = seen.as_ref().map_or(&[][..], Seen::volumes);
                    volumes.iter().for_each(|volume| state.free.see(volume));
                    let Ask { reply, schedule, .. } = ask;
                    // A caller that has gone away needs no answer.
                    let _ = reply.send(Answer { seen, clock: began.clock, looked: began.at, schedule });
                }
                None => {
                    ask.since = ask.since.max(began.clock);
                    ask.put_off(began.at, sharers);
                    state.asks.push(ask);
                }
            }
        }
    }
}

/// When a look was begun, by tokio's clock and the cloud's.
struct Began {
    at: Instant,
    clock: SystemTime,
}

impl Ask {
    fn list(&self) -> Option<List> {
        self.interest.list()
    }

    fn put_off(&mut self, looked: Instant, sharers: usize) {
        self.has_look = false;
        self.due = looked + self.schedule.step(if self.list().is_some() { sharers } else { 1 });
    }
}

/// What to look at next. The end is decided under the lock, so that no ask comes too late for it.
fn plan(state: &mut State) -> Plan {
    state.asks.retain(|ask| !ask.reply.is_closed());
    let Some(first) = state.asks.iter().map(|ask| ask.due).min() else {
        state.polling = false;
        return Plan::End;
    };
    let now = Instant::now();
    if first > now {
        return Plan::Sleep(first);
    }
    if state.asks.len() <= FEW {
        return Plan::Each(due(&state.asks, now, FEW));
    }
    if let Some(listing_from) = state.listing_from.filter(|from| *from > now) {
        return Plan::Sleep(listing_from);
    }
    if state.too_old_until.is_some_and(|until| now < until) {
        return Plan::Each(due(&state.asks, now, GETS_AT_ONCE));
    }
    let forgotten = |ask: &&Ask| ask.forgotten <= now && ask.due <= now;
    if !state.full_look_had_turn
        && let Some(ask) = state.asks.iter().find(forgotten)
    {
        let interest = ask.interest.clone();
        state.full_look_had_turn = true;
        return Plan::Each(vec![interest]);
    }
    crowd(state, now)
}

/// Those whose time has come, the longest waiting first.
fn due<'a>(asks: impl IntoIterator<Item = &'a Ask>, now: Instant, most: usize) -> Vec<Interest> {
    let mut due: Vec<_> = asks.into_iter().filter(|ask| ask.due <= now).collect();
    due.sort_by_key(|ask| ask.due);
    let mut each: Vec<Interest> = Vec::new();
    for ask in due {
        if each.len() < most && !each.contains(&ask.interest) {
            each.push(ask.interest.clone());
        }
    }
    each
}

/// One list for all that wait alike. The lists take turns, and those that are on none have one, too.
fn crowd(state: &mut State, now: Instant) -> Plan {
    let mut wanted: Vec<Option<List>> =
        state.asks.iter().filter(|ask| ask.due <= now).map(Ask::list).collect();
    wanted.sort();
    let next = wanted.iter().find(|turn| Some(**turn) > state.last_turn).or(wanted.first());
    let turn = next.copied().flatten();
    state.last_turn = Some(turn);
    state.full_look_had_turn = false;
    let asks = state.asks.iter().filter(|ask| ask.list() == turn);
    match turn {
        None => Plan::Each(due(asks, now, FEW)),
        Some(List::Changes) => {
            let since = asks.map(|ask| ask.since).min().unwrap_or(SystemTime::UNIX_EPOCH);
            Plan::Changes(since - OVERLAP)
        }
        Some(list) => {
            Plan::Passing(list, asks.filter(|ask| !ask.has_look).map(|ask| ask.interest.clone()).collect())
        }
    }
}

/// A failure that the next look may not meet.
fn is_passing(error: &openstack::Error) -> bool {
    matches!(error.kind, Kind::Throttled | Kind::Unavailable | Kind::Deadline | Kind::Malformed)
}

/// A look outlives the RPC that caused it, so it has a deadline of its own.
async fn limited<T>(look: impl Future<Output = T>) -> T {
    pace::within(Deadline::after(ONE_LOOK), look).await
}

#[cfg(test)]
mod tests;
