//! One volume, two servers, and two calls at once, each of another process.
//!
//! A move is one HTTP call and what the call decides from its answer, or something that the cloud or time does. Facts
//! that the cloud here stands for:
//! - Nova makes its record of an attachment first, then Cinder reserves the volume (`_create_volume_bdm`, `attach_volume` in
//!   <https://opendev.org/openstack/nova/src/branch/master/nova/compute/api.py>), and each refuses with a 400 what doesn't
//!   fit its state; a volume that isn't multiattach has one record;
//! - an attach goes `reserved`, `attaching`, and then `in-use` with an entry, or back; a detach takes the entry away while
//!   the status is still `detaching`, or goes back; Nova drops its record last (`_detach_volume` in
//!   <https://opendev.org/openstack/nova/src/branch/master/nova/compute/manager.py>);
//! - an extend ends in the status before it, or in `error_extending`; a deletion in 404, or in `error_deleting`
//!   (<https://opendev.org/openstack/cinder/src/branch/master/cinder/volume/manager.py>), and there an administrator helps.

mod call;
mod cloud;

use std::fmt::{self, Display};

use super::search::{Model, Move, Rows, table};
use call::Call;
use cloud::Cloud;

/// What one call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Goal {
    Attach(usize),
    /// And to no other server.
    AttachAlone(usize),
    Detach(usize),
    Expand,
    Delete,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    Open,
    Done,
    /// A final error: nothing may be under way for it.
    Refused,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Life {
    pub cloud: Cloud,
    pub goals: [Goal; 2],
    pub outcomes: [Outcome; 2],
    pub calls: [Option<Call>; 2],
    pub faults: u8,
    pub harmed: bool,
    pub wrong: Option<&'static str>,
}

impl Life {
    fn new(goals: [Goal; 2], cloud: Cloud, faults: u8) -> Self {
        let (outcomes, calls) = ([Outcome::Open; 2], [None, None]);
        Self { cloud, goals, outcomes, calls, faults, harmed: false, wrong: None }
    }

    /// Whether what was answered is so, where the other call wasn't for the contrary.
    fn is_kept(&self, n: usize) -> bool {
        let cloud = &self.cloud;
        let (has, other) =
            (|server: usize| cloud.entries[server] && cloud.records[server], self.goals[1 - n]);
        let detached = |server| other == Goal::Detach(server);
        let attached = |server| other == Goal::Attach(server) || other == Goal::AttachAlone(server);
        match self.goals[n] {
            Goal::Attach(server) | Goal::AttachAlone(server) => has(server) || detached(server),
            Goal::Detach(server) => !cloud.entries[server] && !cloud.records[server] || attached(server),
            Goal::Expand => cloud.size == 2 || cloud.is_gone(),
            Goal::Delete => cloud.is_gone(),
        }
    }

    fn broken_at_rest(&self) -> Option<&'static str> {
        let kept = |n: &usize| self.outcomes[*n] != Outcome::Done || self.is_kept(*n);
        if !(0..2).all(|n| kept(&n)) {
            return Some("what was answered isn't so");
        }
        let records_without_entries = (0..2).any(|n| self.cloud.records[n] != self.cloud.entries[n]);
        (records_without_entries && !self.cloud.is_gone()).then_some("Nova and Cinder differ")
    }
}

impl Model for Life {
    fn moves(&self, told: bool) -> Vec<Move<Self>> {
        let mut moves = self.of_the_cloud(told);
        (0..2).for_each(|n| self.of_call(n, told, &mut moves));
        moves
    }

    fn broken(&self) -> Option<String> {
        let both = self.cloud.entries == [true; 2] && !self.cloud.multiattach;
        let wrong = self.wrong.or(both.then_some("two servers have it"));
        let wrong = wrong.or_else(|| self.is_at_rest().then(|| self.broken_at_rest()).flatten());
        wrong.map(|wrong| format!("{:?}: {wrong}", self.goals))
    }

    fn is_at_rest(&self) -> bool {
        let is_done = |n: usize| self.calls[n].is_none() && self.outcomes[n] != Outcome::Open;
        is_done(0) && is_done(1) && self.cloud.is_quiet()
    }

    fn is_unharmed(&self) -> bool {
        !self.harmed
    }
}

impl Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cloud { status, entries, records, size, .. } = &self.cloud;
        write!(f, "{status:?}, {size} GiB, Cinder {entries:?}, Nova {records:?}")
    }
}

/// Every pair of these, on a volume that is free and on one that the first server has.
fn pairs(goals: &[Goal], multiattach: bool) -> Vec<Life> {
    let mut worlds = Vec::new();
    for (n, first) in goals.iter().enumerate() {
        for second in &goals[n..] {
            for cloud in [Cloud::free(multiattach), Cloud::attached(multiattach)] {
                worlds.push(Life::new([*first, *second], cloud, FAULTS));
            }
        }
    }
    worlds
}

const FAULTS: u8 = 2;

#[test]
fn every_interleaving_of_two_calls_of_one_volume_ends_as_was_answered() {
    use Goal::{Attach, AttachAlone, Delete, Detach, Expand};
    let mut rows = Rows::default();
    let all = [Attach(0), Attach(1), Detach(0), Detach(1), Expand, Delete];
    rows.add("one volume: two calls, two servers, two faults", pairs(&all, false));
    rows.add("one multiattach volume: two calls, two servers, two faults", pairs(&all, true));
    let alone = [AttachAlone(0), AttachAlone(1), Detach(0), Expand, Delete];
    rows.add("one multiattach volume, for one server at a time: two calls, two faults", pairs(&alone, true));
    table(rows);
}
