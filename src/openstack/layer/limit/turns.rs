//! Who may send the next request, where not all may at once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::budget::Budget;
use super::kind::{KINDS, Kind};
use crate::pace;

/// Each kind of request has a turn after the others, so that none starves another. Cheap to clone.
#[derive(Clone)]
pub struct Turns(Arc<Mutex<State>>);

struct State {
    budget: Budget,
    waiting: [VecDeque<oneshot::Sender<()>>; KINDS],
    /// The kind that had the last turn.
    last: usize,
    /// A task gives out turns.
    is_served: bool,
}

impl Turns {
    pub fn new(budget: Budget) -> Self {
        let waiting = std::array::from_fn(|_| VecDeque::new());
        Self(Arc::new(Mutex::new(State { budget, waiting, last: 0, is_served: false })))
    }

    /// Returns when a request of this kind may be sent.
    pub async fn take(&self, kind: Kind) {
        let turn = {
            let mut state = self.lock();
            if !state.is_served && state.budget.take().is_zero() {
                return;
            }
            let (sender, turn) = oneshot::channel();
            state.waiting[kind as usize].push_back(sender);
            if !std::mem::replace(&mut state.is_served, true) {
                tokio::spawn(self.clone().serve());
            }
            turn
        };
        // The task ends only when nobody waits.
        let _ = turn.await;
    }

    pub fn taken(&self) {
        self.lock().budget.taken();
    }

    /// Answers the new rate, requests a second.
    pub fn refused(&self, sent: Instant, retry_after: Option<Duration>) -> f64 {
        let mut state = self.lock();
        state.budget.refused(sent, retry_after);
        state.budget.rate()
    }

    async fn serve(self) {
        loop {
            let Some(wait) = self.lock().step() else { return };
            if !wait.is_zero() {
                pace::sleep(wait).await;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Gives a turn, or says when the next one is; `None` where nobody waits.
    fn step(&mut self) -> Option<Duration> {
        self.waiting.iter_mut().for_each(|kind| kind.retain(|turn| !turn.is_closed()));
        let next =
            (1..=KINDS).map(|step| (self.last + step) % KINDS).find(|kind| !self.waiting[*kind].is_empty());
        let Some(kind) = next else {
            self.is_served = false;
            return None;
        };
        let wait = self.budget.take();
        if wait.is_zero() {
            self.last = kind;
            while self.waiting[kind].pop_front().is_some_and(|turn| turn.send(()).is_err()) {}
        }
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    /// Numbers of those that waited, in the order of their turns.
    async fn served(kinds: &[Kind]) -> Vec<usize> {
        let turns = Turns::new(Budget::new(10, 1));
        turns.take(Kind::Read).await;
        let order = Mutex::new(Vec::new());
        let wait = async |number: usize, kind| {
            turns.take(kind).await;
            order.lock().unwrap().push(number);
        };
        join_all(kinds.iter().enumerate().map(|(number, kind)| wait(number, *kind))).await;
        order.into_inner().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_of_one_kind_keeps_no_other_waiting() {
        let mut kinds = vec![Kind::Delete; 50];
        kinds.extend([Kind::Attach, Kind::Attach, Kind::Detach]);
        let served = served(&kinds).await;
        assert!(
            served[..6].contains(&50) && served[..6].contains(&51) && served[..6].contains(&52),
            "{served:?}"
        );
        assert_eq!(served.len(), kinds.len());
    }

    #[tokio::test(start_paused = true)]
    async fn those_of_one_kind_come_in_order() {
        assert_eq!(served(&[Kind::Attach; 5]).await, [0, 1, 2, 3, 4]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_goes_away_keeps_nobody() {
        let turns = Turns::new(Budget::new(1, 1));
        turns.take(Kind::Read).await;
        let began = Instant::now();
        let gone = tokio::time::timeout(Duration::from_millis(10), turns.take(Kind::Read)).await;
        assert!(gone.is_err());
        turns.take(Kind::Create).await;
        assert_eq!(began.elapsed().as_secs(), 1);
    }
}
