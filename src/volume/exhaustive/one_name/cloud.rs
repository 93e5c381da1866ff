//! What the cloud, the callers and time do.

use std::fmt::Arguments;

use super::{Made, Move, Names, Stage, Wish};

impl Names {
    pub fn of_the_cloud(&self, told: bool) -> Vec<Move<Self>> {
        let mut moves = Vec::new();
        let mut add = |what: Arguments, to| {
            let what = if told { what.to_string() } else { String::new() };
            moves.push(Move { what, is_timeout: false, to });
        };
        for (n, one) in self.there.iter().enumerate() {
            self.of_one(n, one, &mut add);
        }
        if let Some(to) = self.much_later() {
            let what = "ten minutes pass".to_owned();
            moves.push(Move { what, is_timeout: true, to });
        }
        moves
    }

    fn of_one(&self, n: usize, one: &Made, add: &mut impl FnMut(Arguments, Self)) {
        let id = one.id;
        let mut become_ = |what: &str, stage, faults| {
            let mut to = self.clone();
            to.faults -= faults;
            to.harmed |= faults > 0;
            to.there[n].stage = stage;
            add(format_args!("{id} {what}"), to);
        };
        let may_fail = self.faults > 0;
        match one.stage {
            Stage::Making => {
                become_("is made", Stage::Made, 0);
                if may_fail {
                    become_("can't be made", Stage::Broken, 1);
                }
            }
            Stage::Going if may_fail => become_("can't be deleted", Stage::Stuck, 1),
            _ => {}
        }
        if matches!(one.stage, Stage::Going | Stage::Stuck) {
            let mut to = self.clone();
            to.there.remove(n);
            let who = if one.stage == Stage::Stuck { "by an administrator" } else { "for good" };
            add(format_args!("{id} is gone {who}"), to);
        }
        if !one.listed {
            let mut to = self.clone();
            to.there[n].listed = true;
            add(format_args!("lists show {id}"), to);
        }
    }

    /// No call lives so long, nor a request, nor what a process remembers of one.
    fn much_later(&self) -> Option<Self> {
        let mut to = self.clone();
        for one in &mut to.there {
            (one.old, one.listed) = (true, true);
        }
        for process in &mut to.processes {
            (process.unclear, process.made, process.late) = (false, None, false);
        }
        let is_quiet = self.processes.iter().all(|process| process.call.is_none());
        (is_quiet && to != *self).then_some(to)
    }

    /// A POST's effect: every place that the new one may have among those of its second.
    pub fn with_another(&self, process: usize) -> Vec<(u8, Self)> {
        let id = self.free_id();
        let old = self.there.iter().filter(|one| one.old).count();
        let listed = !self.rules.lists_lag;
        let by = super::By::Call(process);
        let new = Made { id, stage: Stage::Making, by, settled: false, listed, old: false };
        let places = old..=self.there.len();
        let worlds = places.map(|place| {
            let mut to = self.clone();
            to.there.insert(place, new.clone());
            (id, to)
        });
        worlds.collect()
    }

    /// One that nothing refers to.
    fn free_id(&self) -> u8 {
        let mut used: Vec<u8> = self.there.iter().map(|one| one.id).collect();
        for process in &self.processes {
            used.extend(process.made);
            used.extend(process.call.iter().flat_map(|call| call.ids()));
            if let Wish::Answered(id) = process.wish {
                used.push(id);
            }
        }
        (0..=u8::MAX).find(|id| !used.contains(id)).unwrap_or_default()
    }
}
