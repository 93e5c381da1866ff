//! A call: one HTTP call after the other, as `attach.rs`, `detach.rs`, `expand.rs` and `delete.rs` make them.

use super::super::is_asked_again;
use super::cloud::{Cloud, Reply, State};
use super::{Goal, Life, Move, Outcome};
use crate::openstack::{Status, Volume};
use crate::volume::attach::{self, Sent, Sharing};
use crate::volume::detach::{self, Nova};
use crate::volume::sample::{server, volume};
use crate::volume::{Condition, delete, expand};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    next: Next,
    /// What came of the change that was asked for.
    sent: Answer,
    refusals: u8,
    /// The status before the extend.
    before: Option<State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Next {
    /// GET the volume.
    Look,
    /// Ask for the change.
    Change,
    /// The same without a look before: an earlier call has seen it free, however long ago.
    ChangeUnseen,
    /// GET Nova's record.
    AskNova,
    /// The same after the last refusal.
    AskWhyRefused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Answer {
    Nothing,
    Accepted,
    /// 404 of a detach.
    NamesNone,
    Refused,
    Unclear,
}

/// What a call does next.
enum Verdict {
    Go(Next),
    End(Result<(), Condition>),
}

const GO_ON: Verdict = Verdict::Go(Next::Look);

impl Life {
    pub fn of_call(&self, n: usize, told: bool, moves: &mut Vec<Move<Self>>) {
        let mut add = |what: &str, is_timeout: bool, to: Self| {
            let what = if told { format!("{n} ({:?}) {what}", self.goals[n]) } else { String::new() };
            moves.push(Move { what, is_timeout, to });
        };
        let Some(call) = &self.calls[n] else {
            if self.outcomes[n] != Outcome::Done {
                add("is called", false, self.called(n));
                if self.goals[n] == Goal::Delete {
                    add("is called and remembers it", false, self.called_to(n, Next::ChangeUnseen));
                }
            }
            return;
        };
        add("meets its deadline", true, self.with(n, None));
        match call.next {
            Next::Look => {
                let mut call = call.clone();
                if self.goals[n] == Goal::Expand && call.sent != Answer::Accepted {
                    call.before = Some(self.cloud.status);
                }
                add("looks", false, self.decided(n, &call, self.looked(n, &call)));
            }
            Next::AskNova => {
                let verdict = self.asked_nova(n, call);
                add("asks Nova", false, self.decided(n, call, verdict));
            }
            Next::AskWhyRefused => {
                let is_named = self.names(n);
                let why = if is_named { Condition::Unsettled } else { Condition::Precondition };
                add("asks Nova", false, self.decided(n, call, Verdict::End(Err(why))));
            }
            Next::Change | Next::ChangeUnseen => {
                let mut to = self.clone();
                let reply = to.change(n);
                if self.faults > 0 {
                    for (what, mut lost) in [
                        ("asks, and the reply gets lost", to.clone()),
                        ("asks in vain, and can't know", self.clone()),
                    ] {
                        lost.faults -= 1;
                        lost.harmed = true;
                        add(what, false, lost.replied(n, call, None));
                    }
                }
                add(&format!("asks: {reply:?}"), false, to.replied(n, call, Some(reply)));
            }
        }
    }

    fn called(&self, n: usize) -> Self {
        let next = match self.goals[n] {
            // The DELETE is the first look, too.
            Goal::Detach(_) => Next::Change,
            _ => Next::Look,
        };
        self.called_to(n, next)
    }

    fn called_to(&self, n: usize, next: Next) -> Self {
        let mut to = self.with(n, Some(Call { next, sent: Answer::Nothing, refusals: 0, before: None }));
        to.outcomes[n] = Outcome::Open;
        to
    }

    fn with(&self, n: usize, call: Option<Call>) -> Self {
        let mut to = self.clone();
        to.calls[n] = call;
        to
    }

    fn decided(&self, n: usize, call: &Call, verdict: Verdict) -> Self {
        let condition = match verdict {
            Verdict::Go(next) => return self.with(n, Some(Call { next, ..call.clone() })),
            Verdict::End(Ok(())) => {
                let mut to = self.with(n, None);
                to.outcomes[n] = Outcome::Done;
                return to;
            }
            Verdict::End(Err(condition)) => condition,
        };
        let mut to = self.with(n, None);
        if !is_asked_again(condition) {
            to.outcomes[n] = Outcome::Refused;
            if self.cloud.work.is_some_and(|work| work.call == n) {
                to.wrong = Some("a final error while the cloud goes on for it");
            }
        }
        to
    }

    fn change(&mut self, n: usize) -> Reply {
        match self.goals[n] {
            Goal::Attach(server) | Goal::AttachAlone(server) => self.cloud.attach(n, server),
            Goal::Detach(server) => self.cloud.detach(n, server),
            Goal::Expand => self.cloud.extend(n),
            Goal::Delete => self.cloud.delete(n),
        }
    }

    /// `None`: no clear answer.
    fn replied(&self, n: usize, call: &Call, reply: Option<Reply>) -> Self {
        let mut call = call.clone();
        let is_detach = matches!(self.goals[n], Goal::Detach(_));
        let verdict = match (self.goals[n], reply) {
            (_, Some(Reply::Accepted)) => {
                call.sent = Answer::Accepted;
                GO_ON
            }
            (_, None) => {
                call.sent = if self.goals[n] == Goal::Delete { call.sent } else { Answer::Unclear };
                GO_ON
            }
            (Goal::Detach(_), Some(Reply::Missing)) => {
                call.sent = Answer::NamesNone;
                GO_ON
            }
            (Goal::Delete, Some(Reply::Missing)) => GO_ON,
            (_, Some(Reply::Refused)) if call.next == Next::ChangeUnseen => GO_ON,
            (_, Some(Reply::Missing)) => Verdict::End(Err(Condition::NotFound)),
            (goal, Some(Reply::Refused)) if u32::from(call.refusals) < refusals_allowed(goal) => {
                call.refusals += 1;
                call.sent = if is_detach { Answer::Refused } else { call.sent };
                GO_ON
            }
            (Goal::Attach(_) | Goal::AttachAlone(_), Some(Reply::Refused)) => {
                Verdict::Go(Next::AskWhyRefused)
            }
            (_, Some(Reply::Refused)) => Verdict::End(Err(Condition::Precondition)),
        };
        self.decided(n, &call, verdict)
    }

    fn names(&self, n: usize) -> bool {
        match self.goals[n] {
            Goal::Attach(server) | Goal::AttachAlone(server) | Goal::Detach(server) => {
                self.cloud.records[server]
            }
            Goal::Expand | Goal::Delete => false,
        }
    }

    fn asked_nova(&self, n: usize, call: &Call) -> Verdict {
        match (self.goals[n], self.names(n)) {
            (Goal::Detach(_), false) => Verdict::End(Ok(())),
            (Goal::Detach(_), true) if call.sent == Answer::Refused => Verdict::Go(Next::Change),
            (_, true) => GO_ON,
            (_, false) => Verdict::End(Err(Condition::Failed)),
        }
    }

    /// What the plan says to the volume as it is now.
    fn looked(&self, n: usize, call: &Call) -> Verdict {
        let seen = (!self.cloud.is_gone()).then(|| shown(&self.cloud));
        match (self.goals[n], seen) {
            (Goal::Attach(to), Some(seen)) => attaching(&seen, to, Sharing::AsItsType, call.sent),
            (Goal::AttachAlone(to), Some(seen)) => attaching(&seen, to, Sharing::No, call.sent),
            (Goal::Detach(from), seen) => detaching(seen.as_ref(), from, call.sent),
            (Goal::Expand, Some(seen)) => expanding(&seen, call),
            (Goal::Delete, seen) => deleting(seen.as_ref(), call.sent),
            (_, None) => Verdict::End(Err(Condition::NotFound)),
        }
    }
}

fn refusals_allowed(goal: Goal) -> u32 {
    match goal {
        Goal::Attach(_) | Goal::AttachAlone(_) => attach::REFUSALS,
        Goal::Detach(_) => detach::REFUSALS,
        Goal::Expand => expand::REFUSALS,
        Goal::Delete => delete::REFUSALS,
    }
}

fn attaching(seen: &Volume, to: usize, sharing: Sharing, sent: Answer) -> Verdict {
    let known = match sent {
        Answer::Accepted => Sent::Accepted(None),
        Answer::Unclear => Sent::Unclear(String::new()),
        Answer::Nothing | Answer::NamesNone | Answer::Refused => Sent::Nothing,
    };
    match attach::plan(seen, server(to as u128), sharing, &known) {
        attach::Step::Done => Verdict::End(Ok(())),
        attach::Step::Attach => Verdict::Go(Next::Change),
        attach::Step::Failed if sent == Answer::Accepted => Verdict::Go(Next::AskNova),
        attach::Step::Wait | attach::Step::Failed => GO_ON,
        attach::Step::Refuse(condition, _) => Verdict::End(Err(condition)),
    }
}

fn detaching(seen: Option<&Volume>, from: usize, sent: Answer) -> Verdict {
    let known = match sent {
        Answer::Accepted => Nova::Detaching,
        Answer::NamesNone => Nova::NamesNone,
        Answer::Refused => Nova::Refused,
        Answer::Unclear | Answer::Nothing => Nova::Unclear,
    };
    match detach::plan(seen, server(from as u128), &known) {
        detach::Step::AskNova if sent == Answer::NamesNone => Verdict::End(Ok(())),
        detach::Step::AskNova => Verdict::Go(Next::AskNova),
        detach::Step::Detach => Verdict::Go(Next::Change),
        detach::Step::Wait => GO_ON,
        // The server is there, so that nobody takes an entry of it away.
        detach::Step::Failed | detach::Step::Orphan => Verdict::End(Err(Condition::Failed)),
    }
}

fn expanding(seen: &Volume, call: &Call) -> Verdict {
    let (sent, before) = (call.sent, call.before.map(status));
    match expand::plan(seen, 2, before.as_ref().filter(|_| sent == Answer::Accepted)) {
        expand::Step::Done => Verdict::End(Ok(())),
        expand::Step::Extend { .. } if sent != Answer::Unclear => Verdict::Go(Next::Change),
        expand::Step::Extend { .. } | expand::Step::Wait => GO_ON,
        expand::Step::Failed => Verdict::End(Err(Condition::Failed)),
        expand::Step::Refuse(_) => Verdict::End(Err(Condition::Precondition)),
    }
}

fn deleting(seen: Option<&Volume>, sent: Answer) -> Verdict {
    match delete::plan(seen, sent == Answer::Accepted) {
        delete::Step::Done => Verdict::End(Ok(())),
        delete::Step::Delete => Verdict::Go(Next::Change),
        delete::Step::Wait => GO_ON,
        delete::Step::Failed => Verdict::End(Err(Condition::Failed)),
        delete::Step::Refuse(condition, _) => Verdict::End(Err(condition)),
    }
}

fn status(state: State) -> Status {
    match state {
        State::Available => Status::Available,
        State::InUse => Status::InUse,
        State::Reserved => Status::Reserved,
        State::Attaching => Status::Attaching,
        State::Detaching => Status::Detaching,
        State::Extending => Status::Extending,
        State::ErrorExtending => Status::ErrorExtending,
        State::Deleting | State::Gone => Status::Deleting,
        State::ErrorDeleting => Status::ErrorDeleting,
    }
}

fn shown(cloud: &Cloud) -> Volume {
    let on: Vec<u128> = (0..2).filter(|n| cloud.entries[*n]).map(|n| n as u128).collect();
    let (size, multiattach) = (cloud.size.into(), cloud.multiattach);
    Volume { size, multiattach, ..volume(status(cloud.status)).on(&on) }
}
