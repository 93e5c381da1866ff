//! Who may send the next request, where not all may at once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::budget::Budget;
use super::class::{CLASSES, Class};
use crate::pace;

/// Each class of request has a turn after the others, so that none starves another. Cheap to clone.
#[derive(Clone)]
pub struct Turns(Arc<Mutex<State>>);

struct State {
    budget: Budget,
    waiting: [VecDeque<oneshot::Sender<()>>; CLASSES],
    /// The class that had the last turn.
    last: usize,
    /// A task gives out turns.
    is_served: bool,
}

impl Turns {
    pub fn new(budget: Budget) -> Self {
        let waiting = std::array::from_fn(|_| VecDeque::new());
        Self(Arc::new(Mutex::new(State { budget, waiting, last: 0, is_served: false })))
    }

    /// Returns when a request of this class may be sent.
    pub async fn take(&self, class: Class) {
        let turn = {
            let mut state = self.lock();
            if !state.is_served && state.budget.take().is_zero() {
                return;
            }
            let (sender, turn) = oneshot::channel();
            state.waiting[class as usize].push_back(sender);
            if !std::mem::replace(&mut state.is_served, true) {
                tokio::spawn(self.clone().serve());
            }
            turn
        };
        // The task ends only when nobody waits.
        let _ = turn.await;
    }

    /// Requests a second, now.
    pub fn rate(&self) -> f64 {
        self.lock().budget.rate()
    }

    /// Likewise; `None` before the cloud's first 429.
    pub fn learnt(&self) -> Option<f64> {
        self.lock().budget.learnt()
    }

    pub fn taken(&self) {
        self.lock().budget.taken();
    }

    pub fn refused(&self, sent: Instant, retry_after: Option<Duration>) {
        self.lock().budget.refused(sent, retry_after);
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
        self.waiting.iter_mut().for_each(|class| class.retain(|turn| !turn.is_closed()));
        let next = (1..=CLASSES)
            .map(|step| (self.last + step) % CLASSES)
            .find(|class| !self.waiting[*class].is_empty());
        let Some(class) = next else {
            self.is_served = false;
            return None;
        };
        let wait = self.budget.take();
        if wait.is_zero() {
            self.last = class;
            while self.waiting[class].pop_front().is_some_and(|turn| turn.send(()).is_err()) {}
        }
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    /// Numbers of those that waited, in the order of their turns.
    async fn served(classes: &[Class]) -> Vec<usize> {
        let turns = Turns::new(Budget::new(10, 1));
        turns.take(Class::Read).await;
        let order = Mutex::new(Vec::new());
        let wait = async |number: usize, class| {
            turns.take(class).await;
            order.lock().unwrap().push(number);
        };
        join_all(classes.iter().enumerate().map(|(number, class)| wait(number, *class))).await;
        order.into_inner().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_of_one_kind_keeps_no_other_waiting() {
        let mut classes = vec![Class::Delete; 50];
        classes.extend([Class::Attach, Class::Attach, Class::Detach]);
        let served = served(&classes).await;
        assert!(
            served[..6].contains(&50) && served[..6].contains(&51) && served[..6].contains(&52),
            "{served:?}"
        );
        assert_eq!(served.len(), classes.len());
    }

    #[tokio::test(start_paused = true)]
    async fn those_of_one_kind_come_in_order() {
        assert_eq!(served(&[Class::Attach; 5]).await, [0, 1, 2, 3, 4]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_goes_away_keeps_nobody() {
        let turns = Turns::new(Budget::new(1, 1));
        turns.take(Class::Read).await;
        let began = Instant::now();
        let gone = tokio::time::timeout(Duration::from_millis(10), turns.take(Class::Read)).await;
        assert!(gone.is_err());
        turns.take(Class::Create).await;
        assert_eq!(began.elapsed().as_secs(), 1);
    }
}
