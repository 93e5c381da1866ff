//! Which of the things of one name is the one. Pure.

use std::cmp::Reverse;
use std::time::{Duration, SystemTime};

use super::{Candidate, Order, Stage};
use crate::volume::metadata::ATTEMPT;
use crate::volume::{Condition, Error};

/// An attempt that hasn't settled for so long has died: no RPC lives as long.
const DEAD_AFTER: Duration = Duration::from_secs(600);

/// This RPC's own attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt<I> {
    pub id: String,
    pub posted: Posted<I>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Posted<I> {
    #[default]
    No,
    As(I),
    /// An earlier call's POST made this one.
    Earlier(I),
    /// The POST was sent and no clear answer came.
    Unclear,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Step<C: Candidate> {
    Create,
    Wait,
    /// Mark it, then answer with it.
    Settle(C),
    Answer(C),
    /// Remove one that lost, then look again.
    Discard(C::Id),
    /// Remove one of ours and say why; without a reason, Cinder knows it.
    Remove(C::Id, Option<Error>),
    /// It is promised, or somebody else's, and Cinder couldn't make it or keep it: say why.
    Broken(C::Id),
    Refuse(Error),
}

impl<I: Copy + Eq> Attempt<I> {
    /// This process made it and nobody was promised it. Another process may have settled it since.
    fn owns<C: Candidate<Id = I>>(&self, one: &C) -> bool {
        let made = self.made() == Some(one.id()) || one.metadata().get(ATTEMPT) == Some(&self.id);
        made && !one.is_settled()
    }

    /// What this process made.
    fn made(&self) -> Option<I> {
        match self.posted {
            Posted::As(id) | Posted::Earlier(id) => Some(id),
            Posted::No | Posted::Unclear => None,
        }
    }

    /// What this process made, where the lists show others of the name, and not it.
    pub fn unlisted<C: Candidate<Id = I>>(&self, name: &str, seen: &[C]) -> Option<I> {
        let is_other = seen.iter().any(|one| one.name() == name);
        self.made().filter(|made| is_other && seen.iter().all(|one| one.id() != *made))
    }

    /// Nothing is seen but what this process made.
    pub fn is_alone<C: Candidate<Id = I>>(&self, seen: &[C]) -> bool {
        seen.iter().all(|one| self.made() == Some(one.id()))
    }

    /// What this process made is gone, or another process has settled it.
    pub fn lose(&mut self, gone: I) {
        if self.made() == Some(gone) {
            self.posted = Posted::No;
        }
    }

    /// The one that the next looks are at.
    pub fn followed<C: Candidate<Id = I>>(&self, seen: &[C]) -> Option<I> {
        let own = self.made();
        let is_busy =
            |id: &I| seen.is_empty() || seen.iter().any(|one| one.id() == *id && is_being_made(one));
        let others = || seen.iter().find(|one| is_being_made(*one)).map(Candidate::id);
        own.filter(is_busy).or_else(others).or(own)
    }
}

/// This driver made it, or promised it.
fn is_marked<C: Candidate>(one: &C) -> bool {
    one.metadata().contains_key(ATTEMPT) || one.is_settled()
}

pub fn is_being_made<C: Candidate>(one: &C) -> bool {
    one.stage() == Stage::Making
}

pub fn plan<O: Order>(
    order: &O,
    attempt: &Attempt<<O::Made as Candidate>::Id>,
    seen: &[O::Made],
    now: SystemTime,
) -> Step<O::Made> {
    let mut there: Vec<&O::Made> = seen
        .iter()
        // MySQL compares names without case, and what is going away is no longer there.
        .filter(|one| one.name() == order.name() && !is_going(*one))
        .collect();
    there.sort_by_key(|one| (Reverse(one.is_settled()), one.created_at(), one.id()));
    // A promise is kept, whatever strangers call theirs.
    if there.first().is_some_and(|first| first.is_settled() && order.difference(first).is_none()) {
        there.retain(|one| is_marked(*one) || order.difference(one).is_none());
    }
    let is_free_to_go = |one: &O::Made| one.is_unpromised() || attempt.owns(one);
    let unmade = |one: &&&O::Made| one.stage() == Stage::Broken && is_free_to_go(one);
    if let Some(broken) = there.iter().find(unmade) {
        // Beside another of the name the error would be final for that one, too.
        return if there.len() == 1 { Step::Remove(broken.id(), None) } else { Step::Discard(broken.id()) };
    }
    if let Some(stuck) = seen.iter().find(|one| one.name() == order.name() && is_stuck(*one)) {
        return clean_up_then_refuse(attempt, &there, now, unremovable(stuck));
    }
    if let Some(step) = incompatible(order, attempt, &there, now) {
        return step;
    }
    match there.as_slice() {
        [] => absent(attempt),
        [only] => alone(order, attempt, *only),
        several => contested(attempt, several, now),
    }
}

pub fn is_going<C: Candidate>(one: &C) -> bool {
    matches!(one.stage(), Stage::Going | Stage::Stuck)
}

/// One that nobody was promised and that Cinder couldn't delete. Each further try could leave one more.
fn is_stuck<C: Candidate>(one: &C) -> bool {
    one.stage() == Stage::Stuck && one.is_unpromised()
}

fn unremovable<C: Candidate>(one: &C) -> Error {
    let why = format!(
        "{} {} of that name couldn't be made and can't be removed (status error_deleting): an administrator must delete it \
         ({}), then this goes on by itself",
        C::WHAT,
        one.id(),
        C::REMOVED_BY
    );
    Error::new(Condition::Unsettled, why)
}

fn absent<C: Candidate>(attempt: &Attempt<C::Id>) -> Step<C> {
    match attempt.posted {
        Posted::No => Step::Create,
        // Lists may show a new one late.
        Posted::As(_) | Posted::Earlier(_) | Posted::Unclear => Step::Wait,
    }
}

/// The one of this name, which is compatible or our own.
fn alone<O: Order>(order: &O, attempt: &Attempt<<O::Made as Candidate>::Id>, one: &O::Made) -> Step<O::Made> {
    if is_being_made(one) {
        return Step::Wait;
    }
    if let Some(difference) = order.difference(one).filter(|_| attempt.owns(one)) {
        return match attempt.posted {
            // It is as it was asked for then.
            Posted::Earlier(id) if id == one.id() => Step::Discard(id),
            _ => Step::Remove(one.id(), Some(order.mistaken(one, &difference))),
        };
    }
    match one.stage() {
        Stage::Broken => Step::Broken(one.id()),
        _ if one.is_settled() => Step::Answer(one.clone()),
        _ => Step::Settle(one.clone()),
    }
}

/// More than one: the settled one wins, else the oldest. The winner is answered once the others are gone.
fn contested<C: Candidate>(attempt: &Attempt<C::Id>, there: &[&C], now: SystemTime) -> Step<C> {
    let losers = || there.iter().skip(1);
    let removable = |loser: &&&C| attempt.owns(**loser) || is_dead(**loser, now);
    if let Some(loser) = losers().filter(removable).find(|loser| loser.is_free()) {
        return Step::Discard(loser.id());
    }
    // One without an attempt, or a second settled one, is nobody's to remove.
    if losers().any(|loser| !loser.is_unpromised()) {
        return clean_up_then_refuse(attempt, there, now, ambiguous(there));
    }
    Step::Wait
}

/// Refuses once none is left that an attempt made and nobody was promised: the caller of a final error never comes back.
fn clean_up_then_refuse<C: Candidate>(
    attempt: &Attempt<C::Id>,
    there: &[&C],
    now: SystemTime,
    refusal: Error,
) -> Step<C> {
    let own = there.iter().find(|one| attempt.owns(**one));
    let other = there.iter().find(|one| one.is_unpromised());
    match (own, other) {
        (Some(own), _) if !own.is_free() => Step::Wait,
        (Some(own), _) => Step::Discard(own.id()),
        (None, Some(other)) if is_dead(*other, now) && other.is_free() => Step::Discard(other.id()),
        // A restored volume has the marks of its source from some moment of the restore on.
        _ if there.iter().any(|one| one.may_be_unpromised() || is_being_made(*one)) => {
            Step::Refuse(refusal.unfinished())
        }
        _ => Step::Refuse(refusal),
    }
}

fn ambiguous<C: Candidate>(there: &[&C]) -> Error {
    let ids: Vec<_> = there.iter().map(|one| one.id().to_string()).collect();
    Error::new(
        Condition::AlreadyExists,
        format!(
            "there are several {}s of that name and which one is in use can't be told: {}; delete or rename the others",
            C::WHAT,
            ids.join(", ")
        ),
    )
}

fn is_dead<C: Candidate>(one: &C, now: SystemTime) -> bool {
    let created = one.created_at().and_then(|created| SystemTime::try_from(created).ok());
    let age = created.and_then(|created| now.duration_since(created).ok());
    one.is_unpromised() && age.is_some_and(|age| age > DEAD_AFTER)
}

/// What to do about one of the name that isn't as wanted and isn't this attempt's.
fn incompatible<O: Order>(
    order: &O,
    attempt: &Attempt<<O::Made as Candidate>::Id>,
    there: &[&O::Made],
    now: SystemTime,
) -> Option<Step<O::Made>> {
    let others = there.iter().filter(|one| !attempt.owns(**one));
    let (other, difference) = others.filter_map(|one| Some((one, order.difference(one)?))).next()?;
    if is_dead(*other, now) {
        return Some(Step::Discard(other.id()));
    }
    // One that nobody was promised may be another attempt's that is about to remove it: not final.
    let condition = if other.is_unpromised() { Condition::Unsettled } else { Condition::AlreadyExists };
    let what = O::Made::WHAT;
    let refusal = Error::new(condition, format!("{what} {} has that name, but {difference}", other.id()));
    Some(clean_up_then_refuse(attempt, there, now, refusal))
}

#[cfg(test)]
mod tests;
