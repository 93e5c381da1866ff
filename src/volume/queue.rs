//! Attaches to one server, one after another.
//!
//! nova-compute works on one disk of a server at a time, and Nova keeps the next attach waiting for it before it answers
//! (`reserve_block_device_name` in nova/compute/manager.py). Several sent at once would only fill up its API.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::OwnedMutexGuard;

use super::{Condition, Error, Result, ServerId};
use crate::pace;

const IN_LINE: &str = "earlier attaches to that server still wait for Nova, which works on one disk of a server at a time: nothing \
                       was asked for yet, and the next call goes on. If it stays so, is nova-compute of the server's host up?";

type Line = Arc<tokio::sync::Mutex<()>>;

/// Cheap to clone: the clones share the lines.
#[derive(Clone, Debug, Default)]
pub struct Queue(Arc<Mutex<HashMap<ServerId, Line>>>);

/// A place in a server's line, and then the turn. It keeps those behind it waiting until it's left.
pub struct Place<'a> {
    queue: &'a Queue,
    server: ServerId,
    waiting: Option<BoxFuture<'a, Result<Turn>>>,
    turn: Option<Turn>,
}

/// The next in the line has its turn once this is dropped.
pub struct Turn {
    queue: Queue,
    server: ServerId,
    turn: Option<OwnedMutexGuard<()>>,
}

impl Queue {
    /// In no line yet.
    pub fn place(&self, server: ServerId) -> Place<'_> {
        Place { queue: self, server, waiting: None, turn: None }
    }

    /// Waits for the end of those that came before, within the RPC's deadline.
    async fn turn(&self, server: ServerId) -> Result<Turn> {
        let line = Line::clone(self.lines().entry(server).or_default());
        let mut turn = Turn { queue: self.clone(), server, turn: None };
        match tokio::time::timeout(pace::deadline().remaining(), line.lock_owned()).await {
            Ok(mine) => turn.turn = Some(mine),
            Err(_) => return Err(Error::new(Condition::Unsettled, IN_LINE)),
        }
        Ok(turn)
    }

    fn lines(&self) -> std::sync::MutexGuard<'_, HashMap<ServerId, Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    pub fn has_turn(&self) -> bool {
        self.turn.is_some()
    }

    /// Joins the line where it isn't in it, and waits for the turn. Whoever stops waiting keeps the place.
    pub async fn turn(&mut self) -> Result<()> {
        if self.has_turn() {
            return Ok(());
        }
        let (queue, server) = (self.queue, self.server);
        let turn = self.waiting.get_or_insert_with(|| queue.turn(server).boxed()).await;
        self.waiting = None;
        self.turn = Some(turn?);
        Ok(())
    }

    /// With the turn, where it has come.
    pub fn leave(&mut self) -> Option<Turn> {
        self.waiting = None;
        self.turn.take()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut lines = self.queue.lines();
        self.turn = None;
        // Nobody else has it.
        if lines.get(&self.server).is_some_and(|line| Arc::strong_count(line) == 1) {
            lines.remove(&self.server);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::join_all;
    use tokio::time::Instant;

    use super::*;
    use crate::pace::Deadline;
    use crate::volume::sample::server;

    #[tokio::test(start_paused = true)]
    async fn each_server_has_a_line_of_its_own_in_order() {
        let (queue, order) = (Queue::default(), Mutex::new(Vec::new()));
        let visit = async |number: u128, of: u128| {
            let _turn = queue.turn(server(of)).await.unwrap();
            pace::sleep(Duration::from_secs(1)).await;
            order.lock().unwrap().push((of, number));
        };
        let began = Instant::now();
        join_all((0..6).map(|number| visit(number, number % 2))).await;
        assert_eq!(began.elapsed().as_secs(), 3);
        let of = |which| {
            order.lock().unwrap().iter().filter(|(of, _)| *of == which).map(|(_, n)| *n).collect::<Vec<_>>()
        };
        assert_eq!((of(0), of(1)), (vec![0, 2, 4], vec![1, 3, 5]));
        assert!(queue.lines().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_has_asked_for_nothing() {
        let queue = Queue::default();
        let first = queue.turn(server(1)).await.unwrap();
        let began = Instant::now();
        let second = pace::within(Deadline::after(Duration::from_secs(5)), queue.turn(server(1))).await;
        assert_eq!(second.err().map(|error| error.condition), Some(Condition::Unsettled));
        assert_eq!(began.elapsed().as_secs(), 5);
        drop(first);
        assert!(queue.lines().is_empty(), "nobody is left in it");
    }
}
