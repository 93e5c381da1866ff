//! What the sidecars do with the driver: call it, read its codes, and call it again.

use std::time::Duration;

use cinder_csi::pace::{self, Backoff};
use cinder_csi::sandbox::Held;
use tokio::time::Instant;
use tonic::Status;

use crate::laws::has_failed_marked;
use crate::replica::Replica;
use crate::rpc::{Answer, Rpc, Source};
use crate::scene::{Scene, count, lease_of};

/// How long a sidecar waits for an answer, in seconds (`--timeout`).
const PATIENCE: [u64; 3] = [10, 30, 60];
/// The sidecars' `--retry-interval-start`; their `--retry-interval-max` is longer, for which no user here waits.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
/// One call in so many is made by two leaders at once.
const TWINS: u32 = 20;

/// What a sidecar makes of an answer.
#[derive(Clone, Debug)]
pub enum Outcome {
    Done(Answer),
    /// It may still be under way.
    Pending,
    Final(Status),
}

/// When a user has waited long enough. None do once all is calm.
#[derive(Clone, Copy)]
pub struct Patience(pub Option<Instant>);

impl Patience {
    pub fn has_ended(self, scene: &Scene) -> bool {
        !scene.is_calm() && self.0.is_some_and(|end| Instant::now() >= end)
    }
}

impl Scene {
    /// Calls until it is done; `None`: the user has given up, and nothing is left of it.
    pub async fn converge(&self, rpc: &Rpc, patience: Patience) -> Option<Answer> {
        self.ledger.borrow_mut().begin(rpc);
        let answer = self.call_until_done(rpc, patience).await;
        self.ledger.borrow_mut().end(rpc);
        answer
    }

    async fn call_until_done(&self, rpc: &Rpc, patience: Patience) -> Option<Answer> {
        let mut pauses = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            let outcome = self.call(rpc).await;
            let is_given_up = patience.has_ended(self) || self.is_hopeless(rpc);
            match &outcome {
                Outcome::Done(answer) if answer.is_whole => return Some(answer.clone()),
                Outcome::Final(_) if is_given_up => return None,
                // The attacher detaches, whatever the attach came to.
                _ if is_given_up && matches!(rpc, Rpc::Publish { .. }) => return None,
                _ => {}
            }
            if self.is_overdue() {
                self.broke(format_args!("{rpc} never ended: {outcome:?}"));
                return None;
            }
            pace::sleep(pauses.step()).await;
        }
    }

    /// What it needs has gone.
    fn is_hopeless(&self, rpc: &Rpc) -> bool {
        let ledger = self.ledger.borrow();
        match rpc {
            Rpc::Publish { volume, server, .. } => {
                ledger.taken.contains(volume) || ledger.gone_servers.contains(server)
            }
            Rpc::Snapshot { name, volume, .. } => {
                let cut = ledger.snapshot(name).and_then(|id| self.snapshot(id));
                let has_failed = |held: &Held| held.name == *name && has_failed_marked(held);
                ledger.taken.contains(volume)
                    || cut.is_some_and(|cut| cut.status == "error")
                    || self.cloud.backups().iter().any(has_failed)
            }
            Rpc::CutGroup { name, volumes } => {
                let cut = ledger.groups.get(name).into_iter().flat_map(|group| &group.members);
                let mut cut = cut.filter_map(|id| self.snapshot(id));
                volumes.iter().any(|volume| ledger.taken.contains(volume))
                    || cut.any(|cut| cut.status == "error")
            }
            Rpc::Create { name, .. } if ledger.is_strangers(name) => true,
            Rpc::Expand { volume, .. }
            | Rpc::Modify { volume, .. }
            | Rpc::Create { source: Source::Volume(volume), .. } => ledger.taken.contains(volume),
            _ => false,
        }
    }

    /// One call, now and then by two leaders at once.
    async fn call(&self, rpc: &Rpc) -> Outcome {
        let (leader, other) = self.replicas(lease_of(rpc.sidecar()));
        let are_two = !self.is_calm() && self.random.borrow_mut().u32(..TWINS) == 0 && !self.is_restore(rpc);
        if !are_two {
            let answer = self.ask(&leader, rpc).await;
            return self.read(rpc, answer, true);
        }
        self.ledger.borrow_mut().doubled.extend(rpc.new_name().cloned());
        let outcome = self.call_by_two(rpc, &leader, &other).await;
        self.ledger.borrow_mut().doubled.retain(|name| Some(name) != rpc.new_name());
        outcome
    }

    async fn call_by_two(&self, rpc: &Rpc, leader: &Replica, other: &Replica) -> Outcome {
        let (one, two) = tokio::join!(biased; self.ask(leader, rpc), self.ask(other, rpc));
        let (mut one, mut two) = (self.read(rpc, one, false), self.read(rpc, two, false));
        if let Outcome::Pending = two {
            two = self.finish(rpc, other).await;
        }
        if let (Outcome::Pending, Outcome::Done(_)) = (&one, &two) {
            one = self.finish(rpc, leader).await;
        }
        match (one, two) {
            (done @ Outcome::Done(_), _) | (_, done @ Outcome::Done(_)) => done,
            (Outcome::Pending, _) | (_, Outcome::Pending) => Outcome::Pending,
            (Outcome::Final(_), Outcome::Final(status)) => {
                self.check_final(rpc, &status);
                Outcome::Final(status)
            }
        }
    }

    /// Two that are restored at once can't be told apart once both their processes have died: that is known
    /// (docs/reliability.md), and isn't tried here.
    fn is_restore(&self, rpc: &Rpc) -> bool {
        let Rpc::Create { source: Source::Snapshot(id), .. } = rpc else { return false };
        self.cloud.backups().iter().any(|backup| backup.id == *id)
    }

    /// A leader that doesn't know yet that it leads no more goes on until it has its answer.
    async fn finish(&self, rpc: &Rpc, replica: &Replica) -> Outcome {
        let mut pauses = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        while !self.is_overdue() && !replica.is_dead() {
            pace::sleep(pauses.step()).await;
            let answer = self.ask(replica, rpc).await;
            match self.read(rpc, answer, false) {
                Outcome::Pending => {}
                outcome => return outcome,
            }
        }
        Outcome::Pending
    }

    async fn ask(&self, replica: &Replica, rpc: &Rpc) -> Result<Answer, Status> {
        let patience = self.random.borrow_mut().choice(PATIENCE).map(Duration::from_secs).unwrap();
        let (began, _served) = (Instant::now(), replica.traffic.serve());
        count(&self.figures.calls);
        if self.ledger.borrow_mut().meets_a_stranger(rpc) {
            count(&self.figures.disasters_done);
        }
        if self.ledger.borrow_mut().send(rpc) {
            count(&self.figures.beside);
        }
        let was_kept = self.is_kept(rpc);
        let answer = tokio::select! {
            biased;
            () = replica.died() => Err(Status::unavailable("the driver has died")),
            answer = rpc.send(&replica.driver, patience) => answer,
        };
        self.ledger.borrow_mut().receive(rpc);
        let took = began.elapsed();
        let said = match &answer {
            Ok(answer) => format!("{answer:?}"),
            Err(status) => format!("{:?}: {}", status.code(), status.message()),
        };
        self.history.note(format_args!(
            "{rpc} by replica {}, {:.3} of {} s: {said}",
            replica.number,
            took.as_secs_f64(),
            patience.as_secs()
        ));
        self.check_manners(rpc, &answer, patience, took);
        if answer.is_ok() {
            self.check_nothing_comes(rpc, replica, was_kept);
        }
        answer
    }

    /// `is_alone`: nobody else called at the same time.
    fn read(&self, rpc: &Rpc, answer: Result<Answer, Status>, is_alone: bool) -> Outcome {
        match answer {
            Ok(answer) => {
                self.check_answer(rpc, &answer);
                Outcome::Done(answer)
            }
            Err(status) if rpc.sidecar().is_final(status.code()) => {
                if is_alone {
                    self.check_final(rpc, &status);
                }
                Outcome::Final(status)
            }
            Err(_) => Outcome::Pending,
        }
    }
}
