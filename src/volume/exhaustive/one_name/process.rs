//! A process of the driver: one HTTP call after the other, as `namesakes.rs`, `delete.rs` and `removal.rs` make them.

mod removal;

use std::fmt::Display;

use super::super::is_asked_again;
use super::kind::{Own, Said};
use super::{By, Made, Move, Names, Posted, Process, Stage, Wish};
use crate::volume::{Condition, Error};

/// A call that runs: what it asks the cloud next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    posted: Posted<u8>,
    /// Its first list showed none, and it has seen none but its own since.
    free: bool,
    next: Next,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Next {
    /// The one that an earlier call made, which this list doesn't show.
    Recall(u8, Vec<Made>),
    /// The own one, which this list doesn't show.
    Fetch(u8, Vec<Made>),
    Post,
    Look {
        followed: Option<u8>,
    },
    /// A list of what is new, for the own one that was seen at rest: `watch/newcomers.rs`.
    LookForNew(Made),
    /// `sure`: nobody can be removing it.
    Settle {
        id: u8,
        sure: bool,
    },
    /// Whether the one that was marked is there still.
    Confirm(u8),
    Remove(Ending),
}

/// One is being removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Ending {
    id: u8,
    /// It was looked at, and its DELETE is the next call.
    due: bool,
    sent: bool,
    refused: u8,
    unchanged: u8,
    /// With what the call ends then; none: it goes on.
    why: Option<Condition>,
}

impl Call {
    /// It may answer from what it has seen. Nothing can be done about a POST that is carried out only then:
    /// `docs/reliability.md`.
    fn has_looked(&self) -> bool {
        matches!(self.next, Next::Recall(..) | Next::Fetch(..) | Next::Settle { .. } | Next::Confirm(_))
    }

    /// Where it can end early with another outcome than if it had never been made, or had gone on for a moment.
    fn waits(&self) -> bool {
        matches!(self.next, Next::Look { .. } | Next::Remove(_) | Next::Confirm(_))
    }

    pub fn ids(&self) -> Vec<u8> {
        let mut ids = Vec::new();
        if let Posted::As(id) | Posted::Earlier(id) = self.posted {
            ids.push(id);
        }
        match &self.next {
            Next::Post => {}
            Next::Recall(id, seen) | Next::Fetch(id, seen) => {
                ids.push(*id);
                ids.extend(seen.iter().map(|one| one.id));
            }
            Next::Look { followed } => ids.extend(followed),
            Next::LookForNew(one) => ids.push(one.id),
            Next::Settle { id, .. } | Next::Confirm(id) | Next::Remove(Ending { id, .. }) => ids.push(*id),
        }
        ids
    }
}

/// Adds what may come of one call.
struct Outcomes<'a> {
    process: usize,
    told: bool,
    from: &'a Names,
    moves: &'a mut Vec<Move<Names>>,
}

impl Outcomes<'_> {
    fn add(&mut self, what: impl Display, to: Names) {
        let what = if self.told { format!("{} {what}", self.process) } else { String::new() };
        self.moves.push(Move { what, is_timeout: false, to });
    }

    /// As often as faults are left. A reply that gets lost is one.
    fn add_fault(&mut self, what: impl Display, mut to: Names) {
        if self.from.faults > 0 && to.faults > 0 {
            to.faults -= 1;
            to.harmed = true;
            self.add(what, to);
        }
    }
}

impl Names {
    pub fn of_process(&self, n: usize, told: bool, moves: &mut Vec<Move<Self>>) {
        let mut out = Outcomes { process: n, told, from: self, moves };
        let process = &self.processes[n];
        if process.late && !process.call.as_ref().is_some_and(Call::has_looked) {
            for (id, mut to) in self.with_another(n) {
                to.processes[n].late = false;
                let by = if process.call.is_some() { By::Call(n) } else { By::Past(n) };
                if let Some(index) = to.index(id) {
                    to.there[index].by = by;
                }
                out.add(format_args!("'s POST is carried out late and makes {id}"), to);
            }
        }
        let Some(call) = &process.call else {
            if !matches!(process.wish, Wish::Answered(_)) {
                let mut to = self.clone();
                let free = self.is_free_for(n);
                to.processes[n].call = Some(Call { posted: Posted::No, free, next: Next::Post });
                to.processes[n].wish = Wish::Open;
                out.add("is called and lists", to.recalls(n, self.listed()));
            }
            return;
        };
        if call.waits() {
            self.ends_early(n, &mut out);
        }
        self.makes_a_call(n, call, &mut out);
    }

    /// The deadline comes, or the process dies.
    fn ends_early(&self, n: usize, out: &mut Outcomes) {
        out.add("meets its deadline", self.ended(n));
        if let Some(late) = out.moves.last_mut() {
            late.is_timeout = true;
        }
        if self.replies_get_lost() {
            let mut dead = self.ended(n);
            let process = &mut dead.processes[n];
            (process.unclear, process.made, process.late) = (false, None, false);
            out.add_fault("dies", dead);
        }
    }

    fn replies_get_lost(&self) -> bool {
        !self.rules.lists_lag
    }

    fn makes_a_call(&self, n: usize, call: &Call, out: &mut Outcomes) {
        match &call.next {
            Next::Recall(id, seen) => {
                let is_there = self.get(*id).is_some_and(|one| !is_going(one));
                out.add(format_args!("looks for {id}"), self.recalled(n, *id, is_there, seen.clone()));
            }
            Next::Fetch(id, seen) => out.add(format_args!("looks for {id}"), self.fetched(n, *id, seen)),
            Next::Post => self.posts(n, out),
            Next::Look { followed } => {
                out.add("lists", self.decides(n, self.listed()));
                let making = |one: &&Made| one.stage == Stage::Making && self.looks_at_one_alone();
                if let Some(one) = followed.and_then(|id| self.get(id)).filter(making) {
                    out.add(format_args!("looks at {}", one.id), self.decides(n, vec![one.clone()]));
                }
                let rested = |one: &&Made| call.free && one.stage != Stage::Making;
                if let Some(one) = followed.and_then(|id| self.get(id)).filter(rested) {
                    let to = self.with_call(n, call.posted.clone(), Next::LookForNew(one.clone()));
                    out.add(format_args!("sees {} at rest", one.id), to);
                }
            }
            Next::LookForNew(own) => {
                let new: Vec<_> = self.listed().into_iter().filter(|one| !one.old).collect();
                let is_alone = new.iter().map(|one| one.id).eq([own.id]);
                let again = || self.with_call(n, call.posted.clone(), Next::Look { followed: Some(own.id) });
                let to = if is_alone { self.decides(n, vec![own.clone()]) } else { again() };
                out.add("lists what is new", to);
            }
            Next::Settle { id, sure } => self.settles(n, *id, *sure, out),
            Next::Confirm(id) => self.confirms(n, *id, out),
            Next::Remove(ending) => self.removes(n, ending.clone(), out),
        }
    }

    /// A look at one alone is enough while it is being made; a backup needs no such look.
    fn looks_at_one_alone(&self) -> bool {
        self.rules.kind != super::Kind::Backup
    }

    /// What is remembered comes first.
    fn recalls(&self, n: usize, seen: Vec<Made>) -> Self {
        match self.processes[n].made {
            None => self.decides(n, seen),
            Some(id) => match seen.iter().find(|one| one.id == id) {
                Some(one) => self.recalled(n, id, !is_going(one), seen.clone()),
                // What is gone stays so: the look for it need be no move of its own.
                None if self.get(id).is_none() => self.recalled(n, id, false, seen),
                None => self.with_call(n, Posted::No, Next::Recall(id, seen)),
            },
        }
    }

    fn recalled(&self, n: usize, id: u8, is_there: bool, seen: Vec<Made>) -> Self {
        if is_there {
            let to = self.with_call(n, Posted::Earlier(id), Next::Post);
            return to.decides(n, seen);
        }
        let mut to = self.clone();
        to.processes[n].made = None;
        to.decides(n, seen)
    }

    fn fetched(&self, n: usize, id: u8, seen: &[Made]) -> Self {
        let mut seen = seen.to_vec();
        if let Some(place) = self.index(id) {
            let is_before = |one: &Made| self.index(one.id).is_some_and(|other| other < place);
            let before = seen.iter().filter(|one| is_before(one)).count();
            seen.insert(before, self.there[place].clone());
            return self.planned(n, &seen);
        }
        let mut to = self.clone();
        to.forgets(n, id);
        to.loses(n, id);
        to.planned(n, &seen)
    }

    fn decides(&self, n: usize, seen: Vec<Made>) -> Self {
        let posted = self.posted(n);
        match self.rules.kind.unlisted(Own { process: n, posted: &posted }, &seen) {
            Some(own) if self.get(own).is_none() => self.fetched(n, own, &seen),
            Some(own) => self.with_call(n, posted, Next::Fetch(own, seen)),
            None => self.planned(n, &seen),
        }
    }

    /// What the plan of `namesakes/plan.rs` says to this.
    fn planned(&self, n: usize, seen: &[Made]) -> Self {
        let posted = self.posted(n);
        let is_own = |one: &Made| posted == Posted::As(one.id);
        if !seen.iter().all(is_own) && self.processes[n].call.as_ref().is_some_and(|call| call.free) {
            let mut to = self.clone();
            to.processes[n].call.iter_mut().for_each(|call| call.free = false);
            return to.planned(n, seen);
        }
        let said = self.rules.kind.plan(Own { process: n, posted: &posted }, seen);
        let to = |next| self.with_call(n, posted.clone(), next);
        let remove = |id, why| Next::Remove(Ending { id, why, ..Ending::default() });
        match said {
            Said::Create => to(Next::Post),
            Said::Wait { followed } => to(Next::Look { followed }),
            Said::Settle(id) => {
                let is_at_rest = seen.iter().any(|one| one.id == id && one.stage != Stage::Making);
                to(Next::Settle { id, sure: posted == Posted::As(id) && is_at_rest })
            }
            Said::Answer(id) => self.answered(n, id),
            Said::Discard(id) => to(remove(id, None)),
            Said::Remove(id, why) => to(remove(id, Some(why))),
            Said::Broken => self.failed(n, self.while_in_doubt(n, Condition::Precondition)),
            Said::Refuse(condition) => self.failed(n, self.while_in_doubt(n, condition)),
        }
    }

    fn posts(&self, n: usize, out: &mut Outcomes) {
        let look = Next::Look { followed: None };
        for (id, to) in self.with_another(n) {
            let mut known = to.with_call(n, Posted::As(id), Next::Look { followed: Some(id) });
            known.processes[n].made = Some(id);
            out.add(format_args!("POSTs, which makes {id}"), known);
            if self.replies_get_lost() {
                let mut lost = to.with_call(n, Posted::Unclear, look.clone());
                lost.processes[n].unclear = true;
                out.add_fault(format_args!("POSTs, which makes {id}, and the reply gets lost"), lost);
                out.add_fault(format_args!("is cancelled while its POST makes {id}"), to.ended(n));
            }
        }
        if self.replies_get_lost() {
            let mut lost = self.with_call(n, Posted::Unclear, look);
            lost.processes[n].unclear = true;
            out.add_fault("POSTs in vain and can't know", lost.clone());
            if self.rules.late && !lost.processes[n].late {
                lost.processes[n].late = true;
                out.add_fault("POSTs, and nothing is heard of it yet", lost);
            }
        }
        out.add_fault("POSTs and is refused", self.failed(n, self.while_in_doubt(n, Condition::Exhausted)));
    }

    fn settles(&self, n: usize, id: u8, sure: bool, out: &mut Outcomes) {
        let Some(index) = self.index(id) else {
            return out.add(format_args!("can't mark {id}"), self.failed(n, Condition::Unsettled));
        };
        let mut to = self.clone();
        to.there[index].settled = true;
        to.processes[n].late = false;
        if self.there[index].by == By::Stranger {
            to.wrong = Some("what isn't ours was changed");
        }
        if self.replies_get_lost() {
            let lost = to.failed(n, Condition::Unsettled);
            out.add_fault(format_args!("marks {id}, and the reply gets lost"), lost);
        }
        if sure {
            return out.add(format_args!("marks {id} and answers"), to.answered(n, id));
        }
        out.add(format_args!("marks {id}"), to.with_call(n, self.posted(n), Next::Confirm(id)));
    }

    fn confirms(&self, n: usize, id: u8, out: &mut Outcomes) {
        match self.get(id).filter(|one| !is_going(one)) {
            Some(_) => out.add(format_args!("sees {id} and answers"), self.answered(n, id)),
            None => out.add(format_args!("misses {id}"), self.failed(n, Condition::Unsettled)),
        }
    }

    fn posted(&self, n: usize) -> Posted<u8> {
        self.processes[n].call.as_ref().map(|call| call.posted.clone()).unwrap_or_default()
    }

    fn with_call(&self, n: usize, posted: Posted<u8>, next: Next) -> Self {
        let mut to = self.clone();
        let looks = matches!(next, Next::Fetch(..) | Next::Post | Next::Look { .. });
        let free = looks && self.processes[n].call.as_ref().is_some_and(|call| call.free);
        to.processes[n].call = Some(Call { posted, free, next });
        to
    }

    /// Whether a list of what is new may tell of others: only of volumes is there one.
    fn is_free_for(&self, n: usize) -> bool {
        let Process { unclear, made, .. } = self.processes[n];
        let is_known = self.rules.kind == super::Kind::Volume && !unclear && made.is_none();
        is_known && self.listed().is_empty()
    }

    fn while_in_doubt(&self, n: usize, condition: Condition) -> Condition {
        let process = &self.processes[n];
        let doubtful = process.unclear || process.made.is_some();
        let error = Error::new(condition, "");
        if doubtful { error.unfinished().condition } else { error.condition }
    }

    fn ended(&self, n: usize) -> Self {
        let mut to = self.clone();
        to.processes[n].call = None;
        for one in to.there.iter_mut().filter(|one| one.by == By::Call(n)) {
            one.by = By::Past(n);
        }
        to
    }

    fn answered(&self, n: usize, id: u8) -> Self {
        let mut to = self.ended(n);
        let process = &mut to.processes[n];
        process.wish = Wish::Answered(id);
        (process.unclear, process.made, process.late) = (false, None, false);
        match self.get(id) {
            Some(one) if one.settled && self.rules.kind.is_usable(one.stage) => {}
            _ => to.wrong = Some("what was answered can't be used"),
        }
        to
    }

    fn failed(&self, n: usize, condition: Condition) -> Self {
        let mut to = self.ended(n);
        if is_asked_again(condition) {
            return to;
        }
        to.processes[n].wish = Wish::Refused;
        let is_left = |one: &Made| one.by == By::Past(n) && !one.settled && !is_going(one);
        if to.there.iter().any(is_left) || to.processes[n].late {
            to.wrong = Some("a final error leaves something behind");
        }
        to
    }
}

fn is_going(one: &Made) -> bool {
    matches!(one.stage, Stage::Going | Stage::Stuck)
}
