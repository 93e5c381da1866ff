//! One name, two processes that are each asked for it, and what can go wrong in between.
//!
//! A move is one HTTP call and what the process decides from its answer, or something that the cloud, a caller or time
//! does. Facts that the cloud here stands for:
//! - a POST with a name that is taken makes another one, and no token tells one from the other (`create` in
//!   <https://opendev.org/openstack/cinder/src/branch/master/cinder/volume/api.py>);
//! - `created_at` has whole seconds, so that of two of one second the id decides, which says nothing of their order;
//! - DELETE answers 400 while `creating` or `deleting` (`delete` ibid.), and metadata can be written in any of these
//!   statuses (`update_volume_metadata` ibid.);
//! - what is being made ends `available` or `error`, what is being deleted goes or ends `error_deleting`
//!   (<https://opendev.org/openstack/cinder/src/branch/master/cinder/volume/manager.py>), and only an administrator helps there;
//! - a list may come from a replica of the database that is behind.

mod cloud;
mod kind;
mod process;

use std::fmt::{self, Display};

use super::search::{Model, Move, Rows, search, table};
use crate::volume::namesakes::Stage;
use crate::volume::namesakes::plan::Posted;
use kind::Kind;
use process::Call;

/// Who made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum By {
    /// The running call of this process.
    Call(usize),
    /// A call of this process that has ended.
    Past(usize),
    /// It marks the cluster and no attempt.
    ExistingDriver,
    /// Somebody else.
    Stranger,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Made {
    pub id: u8,
    pub stage: Stage,
    pub by: By,
    pub settled: bool,
    pub listed: bool,
    /// For longer than any call lives.
    pub old: bool,
}

/// What a caller has been told, at last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Wish {
    Open,
    Answered(u8),
    /// A final error: nobody may come back.
    Refused,
}

/// A process of the driver, and the caller that it has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Process {
    wish: Wish,
    call: Option<Call>,
    /// `Doubts` of the name: a POST without a clear answer, and what one made for certain.
    unclear: bool,
    made: Option<u8>,
    /// A POST whose connection was cut may still be carried out.
    late: bool,
}

/// What may go wrong in a world, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Rules {
    kind: Kind,
    processes: usize,
    /// New ones are missing from lists for a while. Then no process dies and no answer gets lost: `docs/reliability.md`.
    lists_lag: bool,
    /// A POST whose connection was cut may be carried out some time later.
    late: bool,
    race_window: RaceWindow,
}

/// What lies between the look before a removal and its DELETE: Cinder knows no condition for a DELETE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum RaceWindow {
    /// Nothing: they are one move.
    Closed,
    /// Whatever happens, and what is lost by it is no finding.
    Excused,
    Judged,
}

/// The one thing that a [`RaceWindow`] may cost: `docs/reliability.md`, "Known limits".
const LOST_RACE: &str = "what was promised since the look was deleted";

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Names {
    rules: Rules,
    /// The oldest first.
    there: Vec<Made>,
    processes: Vec<Process>,
    /// How many may still happen, and how many have.
    faults: u8,
    harmed: bool,
    wrong: Option<&'static str>,
}

impl Names {
    fn new(rules: Rules, faults: u8, there: Option<By>) -> Self {
        let idle = Process { wish: Wish::Open, call: None, unclear: false, made: None, late: false };
        let made = |by| Made { id: 0, stage: Stage::Made, by, settled: false, listed: true, old: true };
        let processes = vec![idle; rules.processes];
        Self {
            rules,
            there: there.map(made).into_iter().collect(),
            processes,
            faults,
            harmed: false,
            wrong: None,
        }
    }

    fn index(&self, id: u8) -> Option<usize> {
        self.there.iter().position(|one| one.id == id)
    }

    fn get(&self, id: u8) -> Option<&Made> {
        self.there.iter().find(|one| one.id == id)
    }

    fn listed(&self) -> Vec<Made> {
        self.there.iter().filter(|one| one.listed).cloned().collect()
    }

    /// A backup that was marked and has failed since: whether its caller was told can't be known.
    fn may_fail_later(&self, one: &Made) -> bool {
        self.rules.kind == Kind::Backup && one.stage == Stage::Broken
    }

    fn is_excused(&self) -> bool {
        self.rules.race_window == RaceWindow::Excused && self.wrong == Some(LOST_RACE)
    }

    /// A promise that nobody breaks while a call is under way.
    fn broken_at_rest(&self) -> Option<&'static str> {
        let ours = || self.there.iter().filter(|one| one.by != By::Stranger);
        let answered = || {
            self.processes.iter().filter_map(|process| match process.wish {
                Wish::Answered(id) => Some(id),
                Wish::Open | Wish::Refused => None,
            })
        };
        if ours().any(|one| one.by != By::ExistingDriver && !one.settled) {
            return Some("one is left that nobody was promised");
        }
        if answered().any(|id| !self.get(id).is_some_and(|one| self.rules.kind.is_usable(one.stage))) {
            return Some("one that was promised isn't there");
        }
        let several = ours().count() > 1;
        match answered().next() {
            Some(first) if answered().any(|id| id != first) => Some("the two were promised different ones"),
            Some(_) if several => Some("there are two of the name"),
            None if ours().any(|one| one.by != By::ExistingDriver && !self.may_fail_later(one)) => {
                Some("one is left and nobody was told of it")
            }
            _ => None,
        }
    }
}

impl Model for Names {
    fn moves(&self, told: bool) -> Vec<Move<Self>> {
        let mut moves = self.of_the_cloud(told);
        for n in 0..self.processes.len() {
            self.of_process(n, told, &mut moves);
        }
        moves
    }

    fn broken(&self) -> Option<String> {
        if self.is_excused() {
            return None;
        }
        let wrong = self.wrong.or_else(|| self.is_at_rest().then(|| self.broken_at_rest()).flatten());
        wrong.map(str::to_owned)
    }

    fn is_unharmed(&self) -> bool {
        !self.harmed
    }

    fn is_at_rest(&self) -> bool {
        let is_passing = |one: &Made| matches!(one.stage, Stage::Making | Stage::Going | Stage::Stuck);
        let is_done = |one: &Process| one.call.is_none() && one.wish != Wish::Open && !one.late;
        self.is_excused() || self.processes.iter().all(is_done) && !self.there.iter().any(is_passing)
    }
}

impl Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let there: Vec<_> = self.there.iter().map(ToString::to_string).collect();
        write!(f, "[{}]", there.join(", "))
    }
}

impl Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?} by {:?}", self.id, self.stage, self.by)?;
        for (is, mark) in [(self.settled, "settled"), (!self.listed, "unlisted"), (self.old, "old")] {
            if is {
                write!(f, ", {mark}")?;
            }
        }
        Ok(())
    }
}

/// One of somebody else that lists show late.
fn late_stranger(rules: Rules, faults: u8) -> Names {
    let mut names = Names::new(rules, faults, Some(By::Stranger));
    names.there.iter_mut().for_each(|one| (one.old, one.listed) = (false, false));
    names
}

const BEGINNINGS: [Option<By>; 3] = [None, Some(By::ExistingDriver), Some(By::Stranger)];

fn worlds(rules: Rules, faults: u8) -> [Names; 3] {
    BEGINNINGS.map(|there| Names::new(rules, faults, there))
}

const fn two(kind: Kind) -> Rules {
    Rules { kind, processes: 2, lists_lag: false, late: false, race_window: RaceWindow::Closed }
}

#[test]
fn every_interleaving_of_calls_of_one_name_ends_with_one_of_it() {
    let mut rows = Rows::default();
    for kind in [Kind::Volume, Kind::Snapshot, Kind::Backup] {
        let late = kind == Kind::Volume;
        let name = format!("{kind:?}s of one name: two controllers, one fault").to_lowercase();
        rows.add(name + if late { ", a late POST" } else { "" }, worlds(Rules { late, ..two(kind) }, 1));
    }
    for (processes, who, faults, how_many) in
        [(1, "one controller", 3, "three faults"), (2, "two controllers", 0, "no fault")]
    {
        let rules = Rules { processes, lists_lag: true, ..two(Kind::Volume) };
        let beginnings = worlds(rules, faults).into_iter().chain([late_stranger(rules, faults)]);
        rows.add(format!("volumes of one name: {who}, lists that lag, {how_many}"), beginnings);
    }
    let rules = Rules { race_window: RaceWindow::Excused, ..two(Kind::Volume) };
    rows.add(
        "volumes of one name: two controllers, one fault, a DELETE later than its look",
        worlds(rules, 1),
    );
    table(rows);
}

#[test]
fn what_a_look_and_its_delete_leave_between_them_can_cost_a_promised_one() {
    let rules = Rules { race_window: RaceWindow::Judged, ..two(Kind::Volume) };
    let finding = search(worlds(rules, 1)).unwrap_err();
    println!("\n{finding}");
    assert_eq!(finding.what, LOST_RACE);
}
