//! One is removed: a look, a DELETE, and looks until it is gone.

use super::super::kind::Removal;
use super::super::{LOST_RACE, Made, RaceWindow, Wish};
use super::{By, Condition, Ending, Names, Next, Outcomes, Posted, Stage};

impl Names {
    /// What the plan of a removal says to the one as it is now.
    pub(super) fn removes(&self, n: usize, mut ending: Ending, out: &mut Outcomes) {
        let id = ending.id;
        if ending.due {
            return self.deletes(n, Ending { due: false, ..ending }, out);
        }
        let one = self.get(id);
        let is_free = one.is_some_and(|one| matches!(one.stage, Stage::Made | Stage::Broken));
        ending.unchanged = (ending.unchanged + u8::from(ending.sent && is_free)).min(3);
        if !ending.sent && one.is_some_and(|one| one.settled) {
            return out.add(format_args!("leaves {id}"), self.removed(n, ending, false));
        }
        match self.rules.kind.removal(one, ending.sent, ending.unchanged.into()) {
            Removal::Delete if self.rules.race_window == RaceWindow::Closed => self.deletes(n, ending, out),
            Removal::Delete => {
                let to = self.with_ending(n, Ending { due: true, ..ending });
                out.add(format_args!("will delete {id}"), to);
            }
            Removal::Wait => out.add(format_args!("waits for {id}"), self.with_ending(n, ending)),
            Removal::Fail => {
                out.add(format_args!("can't remove {id}"), self.failed(n, Condition::Unsettled));
            }
            Removal::Done => out.add(format_args!("sees {id} gone"), self.removed(n, ending, true)),
        }
    }

    fn deletes(&self, n: usize, ending: Ending, out: &mut Outcomes) {
        let id = ending.id;
        let Some(index) = self.index(id) else {
            return out.add(format_args!("finds {id} gone"), self.with_ending(n, ending));
        };
        if matches!(self.there[index].stage, Stage::Making | Stage::Going | Stage::Stuck) {
            let to = match ending.refused {
                0 => self.with_ending(n, Ending { refused: 1, ..ending }),
                _ => self.failed(n, Condition::Unsettled),
            };
            return out.add(format_args!("may not delete {id}"), to);
        }
        let mut to = self.clone();
        to.there[index].stage = Stage::Going;
        to.wrong = self.is_lost(&self.there[index]).or(to.wrong);
        if self.replies_get_lost() {
            let what = format_args!("deletes {id}, and the reply gets lost");
            out.add_fault(what, to.with_ending(n, ending.clone()));
        }
        out.add(format_args!("deletes {id}"), to.with_ending(n, Ending { sent: true, ..ending }));
    }

    /// Why it should have stayed.
    fn is_lost(&self, one: &Made) -> Option<&'static str> {
        let answered = Wish::Answered(one.id);
        match self.rules.race_window {
            _ if matches!(one.by, By::Stranger | By::ExistingDriver) => Some("what isn't ours was deleted"),
            RaceWindow::Closed => one.settled.then_some("what was promised was deleted"),
            RaceWindow::Excused | RaceWindow::Judged => {
                self.processes.iter().any(|process| process.wish == answered).then_some(LOST_RACE)
            }
        }
    }

    fn removed(&self, n: usize, ending: Ending, is_gone: bool) -> Self {
        let mut to = self.clone();
        to.loses(n, ending.id);
        if is_gone {
            to.forgets(n, ending.id);
        }
        match ending.why {
            Some(why) if is_gone => to.failed(n, to.while_in_doubt(n, why)),
            Some(_) => to.failed(n, Condition::Unsettled),
            None => to.decides(n, to.listed()),
        }
    }

    pub(super) fn with_ending(&self, n: usize, ending: Ending) -> Self {
        self.with_call(n, self.posted(n), Next::Remove(ending))
    }

    /// `Doubts::forget`.
    pub(super) fn forgets(&mut self, n: usize, id: u8) {
        let process = &mut self.processes[n];
        process.made = process.made.filter(|made| *made != id);
    }

    /// `Attempt::lose`.
    pub(super) fn loses(&mut self, n: usize, id: u8) {
        if let Some(call) = &mut self.processes[n].call
            && let Posted::As(made) | Posted::Earlier(made) = call.posted
            && made == id
        {
            call.posted = Posted::No;
        }
    }
}
