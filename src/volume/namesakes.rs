//! One thing for one name: a volume, a snapshot or a backup.
//!
//! Cinder takes no client token and its names aren't unique, so that a reply that got lost, a second controller and a
//! crash between two calls can each leave a second one of a name. Each carries the attempt that made it; the one that is
//! answered is marked settled first. An attempt removes its own one once another one has won.

mod doubts;
pub(super) mod plan;

pub use doubts::Doubts;
pub use plan::Posted;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

use super::remedy::ASK;
use super::watch::{Interest, Looks, Seen};
use super::{Condition, Error, Result, Volumes, metadata};
use crate::openstack;
use plan::{Attempt, Step, plan};

/// So long before a list by name showed none, one may have been created that turns up later: lists may come from a replica of the
/// database that is behind, and hosts of the API have clocks of their own.
const LISTED_AFTER: Duration = Duration::from_secs(300);

/// One of those that may have the name.
pub trait Candidate: Clone + fmt::Debug + PartialEq + Send + Sync {
    type Id: Copy + Ord + fmt::Debug + fmt::Display + From<Uuid> + Into<Uuid> + Send + Sync;
    /// "volume"
    const WHAT: &'static str;
    /// How an administrator removes one that Cinder couldn't delete.
    const REMOVED_BY: &'static str;

    fn id(&self) -> Self::Id;
    fn name(&self) -> &str;
    fn created_at(&self) -> Option<Timestamp>;
    fn metadata(&self) -> &BTreeMap<String, String>;
    fn stage(&self) -> Stage;
    /// Whether Cinder would delete it as it is now.
    fn is_free(&self) -> bool;

    fn is_settled(&self) -> bool {
        metadata::is_settled(self.id(), self.metadata())
    }

    fn is_unpromised(&self) -> bool {
        metadata::is_unpromised(self.metadata())
    }

    /// An attempt may have made it, and its marks don't tell.
    fn may_be_unpromised(&self) -> bool {
        self.is_unpromised()
    }
}

/// How far one has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// It can't be answered yet.
    Making,
    Made,
    /// Cinder gave it up.
    Broken,
    Going,
    /// Cinder couldn't delete it, and no tenant can try again.
    Stuck,
}

/// What a caller asks for under a name, and the calls that make it so.
pub trait Order: Sync {
    type Made: Candidate;

    fn name(&self) -> &str;

    /// In what one differs from what is asked for, as a clause; `None` where it is as asked for.
    fn difference(&self, made: &Self::Made) -> Option<String>;

    /// Cinder made another one than was asked for.
    fn mistaken(&self, _: &Self::Made, difference: &str) -> Error {
        let why = format!("Cinder made another {} than asked for: {difference}", Self::Made::WHAT);
        Error::new(Condition::Invalid, why)
    }

    /// All of the name, and of them this one where it is known.
    fn interest(&self, followed: Option<Id<Self>>) -> Interest;

    fn glance(&self, seen: Seen) -> Glance<Self::Made>;

    fn find(&self, volumes: &Volumes) -> impl Future<Output = openstack::Result<Vec<Self::Made>>> + Send;

    fn get(
        volumes: &Volumes,
        id: Id<Self>,
    ) -> impl Future<Output = openstack::Result<Option<Self::Made>>> + Send;

    /// Makes one with the attempt's mark, or sees that it isn't the time: then the name is looked at again.
    fn post(&self, volumes: &Volumes, attempt: &str)
    -> impl Future<Output = Result<Posted<Id<Self>>>> + Send;

    /// What the cloud's clear no to the POST means.
    fn refused(error: &openstack::Error) -> Error;

    fn settle(&self, volumes: &Volumes, made: Self::Made) -> impl Future<Output = Result<Self::Made>> + Send;

    /// Returns once Cinder knows it no more.
    fn remove(volumes: &Volumes, id: Id<Self>) -> impl Future<Output = Result<()>> + Send;

    /// Why Cinder couldn't make it, as a clause.
    fn reason(volumes: &Volumes, id: Id<Self>) -> impl Future<Output = String> + Send;

    /// One that was tried couldn't be made, for this reason.
    fn not_made(reason: &str) -> Error {
        Error::new(Condition::Failed, format!("Cinder couldn't make it; {reason}; {ASK}"))
    }
}

pub type Id<O> = <<O as Order>::Made as Candidate>::Id;

/// What one look showed of those of a name.
pub enum Glance<C> {
    All(Vec<C>),
    One(C),
    /// The followed one is gone.
    Gone,
}

impl Volumes {
    /// Returns the one of the order's name once it can be answered.
    pub(super) async fn make_one<O: Order>(&self, order: &O) -> Result<O::Made> {
        let made = self.converge(order).await;
        if made.is_ok() {
            self.doubts.settle(&doubt(order));
        }
        made
    }

    async fn converge<O: Order>(&self, order: &O) -> Result<O::Made> {
        // An earlier call of this name may have left one: until that is known, nothing is final.
        let (mut seen, mut free_from) = self.first_look(order).await?;
        let posted = self.earlier(order, &seen).await?;
        let mut attempt = Attempt { id: Uuid::new_v4().to_string(), posted };
        let mut looks = None;
        loop {
            self.add_unlisted(order, &mut attempt, &mut seen).await?;
            free_from = free_from.filter(|_| attempt.is_alone(&seen));
            match plan(order, &attempt, &seen, self.cinder.clock()) {
                Step::Create => attempt.posted = order.post(self, &attempt.id).await?,
                Step::Wait => {}
                Step::Answer(made) => return Ok(made),
                Step::Settle(made) => {
                    looks.iter().for_each(Looks::ended);
                    return self.settle_one(order, &attempt, made).await;
                }
                Step::Discard(id) => {
                    discard::<O>(self, id).await?;
                    attempt.lose(id);
                    seen = self.named(order).await?;
                    continue;
                }
                Step::Remove(id, why) => {
                    return Err(self.while_in_doubt(order, remove::<O>(self, id, why).await));
                }
                Step::Broken(id) => return Err(self.while_in_doubt(order, broken::<O>(self, id).await)),
                Step::Refuse(error) => return Err(self.while_in_doubt(order, error)),
            }
            let interest = order.interest(attempt.followed(&seen)).under_a_free_name(free_from);
            let looks =
                looks.get_or_insert_with(|| self.watch.follow(("create", O::Made::WHAT), interest.clone()));
            looks.turn_to(interest);
            seen = self.look(looks, order).await?;
        }
    }

    /// All of the name; where there is none, from when on another one would have been created.
    async fn first_look<O: Order>(&self, order: &O) -> Result<(Vec<O::Made>, Option<SystemTime>)> {
        let (in_doubt, asked) = (self.doubts.are_there(&doubt(order)), Instant::now());
        let seen = self.named(order).await?;
        let is_free = seen.is_empty() && !in_doubt;
        let from = is_free.then(|| self.cinder.clock() - asked.elapsed() - LISTED_AFTER);
        Ok((seen, from))
    }

    /// Marks it. Cinder writes the metadata of what is being deleted, too, so that another call of the name may be removing
    /// it: all but what this very call has made and seen at rest is looked at once more.
    async fn settle_one<O: Order>(
        &self,
        order: &O,
        attempt: &Attempt<Id<O>>,
        made: O::Made,
    ) -> Result<O::Made> {
        let id = made.id();
        let is_sure = attempt.posted == Posted::As(id) && made.is_free();
        let settled = order.settle(self, made).await?;
        if is_sure {
            return Ok(settled);
        }
        let now = O::get(self, id).await.map_err(Error::unsettled)?;
        if now.is_none_or(|one| plan::is_going(&one)) {
            let why = format!("another call of that name is removing {} {id}", O::Made::WHAT);
            return Err(Error::new(Condition::Unsettled, why));
        }
        Ok(settled)
    }

    /// What an earlier call made: lists may show it late.
    async fn earlier<O: Order>(&self, order: &O, seen: &[O::Made]) -> Result<Posted<Id<O>>> {
        let Some(made) = self.doubts.made(&doubt(order)) else { return Ok(Posted::No) };
        let id = Id::<O>::from(made);
        let one = match seen.iter().find(|one| one.id() == id) {
            Some(one) => Some(one.clone()),
            None => O::get(self, id).await.map_err(Error::unsettled)?,
        };
        if one.is_some_and(|one| !plan::is_going(&one)) {
            return Ok(Posted::Earlier(id));
        }
        self.doubts.forget(made);
        Ok(Posted::No)
    }

    /// Which of several it is can only be told with the own one among them.
    async fn add_unlisted<O: Order>(
        &self,
        order: &O,
        attempt: &mut Attempt<Id<O>>,
        seen: &mut Vec<O::Made>,
    ) -> Result<()> {
        let Some(own) = attempt.unlisted(order.name(), seen) else { return Ok(()) };
        match O::get(self, own).await.map_err(Error::unsettled)? {
            Some(one) => seen.push(one),
            None => {
                self.doubts.forget(own.into());
                attempt.lose(own);
            }
        }
        Ok(())
    }

    async fn named<O: Order>(&self, order: &O) -> Result<Vec<O::Made>> {
        order.find(self).await.map_err(Error::unsettled)
    }

    /// All of the name, once the followed one may have come to rest.
    async fn look<O: Order>(&self, looks: &mut Looks, order: &O) -> Result<Vec<O::Made>> {
        match order.glance(looks.next_seen().await?) {
            Glance::All(seen) => Ok(seen),
            Glance::One(one) if plan::is_being_made(&one) => Ok(vec![one]),
            Glance::One(_) | Glance::Gone => self.named(order).await,
        }
    }

    /// What is known after a POST.
    pub(super) fn posted<O: Order>(
        &self,
        order: &O,
        answer: openstack::Result<Id<O>>,
    ) -> Result<Posted<Id<O>>> {
        let posted = self.doubts.posted(&doubt(order), answer, O::refused)?;
        if let Posted::As(id) = posted {
            self.doubts.remember(&doubt(order), id.into());
        }
        Ok(posted)
    }

    /// An error, which is not final while a POST of the name may still make one.
    pub(super) fn while_in_doubt<O: Order>(&self, order: &O, error: Error) -> Error {
        self.doubts.keep(&doubt(order), error)
    }
}

fn doubt<O: Order>(order: &O) -> String {
    doubt_of(O::Made::WHAT, order.name())
}

/// Under what a doubt is kept.
pub fn doubt_of(what: &str, name: &str) -> String {
    format!("{what} {name}")
}

/// What became of one that was to be removed.
enum Discarded {
    Removed,
    /// It stays: since the last look another process saw it alone, took it for a dead one's and marked it.
    Settled,
}

/// Removes one that nobody was promised.
async fn discard<O: Order>(volumes: &Volumes, id: Id<O>) -> Result<Discarded> {
    let now = O::get(volumes, id).await.map_err(Error::unsettled)?;
    if now.is_some_and(|one| one.is_settled()) {
        return Ok(Discarded::Settled);
    }
    O::remove(volumes, id).await.map_err(Error::unfinished)?;
    volumes.doubts.forget(id.into());
    Ok(Discarded::Removed)
}

/// Removes one of ours that can't be answered, and says why: the reason is read before it goes.
async fn remove<O: Order>(volumes: &Volumes, id: Id<O>, why: Option<Error>) -> Error {
    let why = match why {
        Some(why) => why,
        None => O::not_made(&O::reason(volumes, id).await),
    };
    let what = O::Made::WHAT;
    match discard::<O>(volumes, id).await {
        Ok(Discarded::Settled) => {
            let why = format!("{why}. {what} {id} was promised meanwhile, and stays");
            Error::new(Condition::Unsettled, why)
        }
        Ok(Discarded::Removed) => {
            let mut what = what.to_owned();
            what[..1].make_ascii_uppercase();
            Error::new(why.condition, format!("{why}. {what} {id} was removed"))
        }
        Err(error) => error.context(format!("{why}, and {what} {id} couldn't be removed yet")),
    }
}

async fn broken<O: Order>(volumes: &Volumes, id: Id<O>) -> Error {
    let reason = O::reason(volumes, id).await;
    let what = O::Made::WHAT;
    Error::new(
        Condition::Precondition,
        format!(
            "{what} {id} of that name is in status error; {reason}; delete it, or let an administrator reset it"
        ),
    )
}
