//! Every order of calls of one object.

use std::cell::Cell;

use super::*;
use crate::pace::schedules::{Scheduler, every_schedule};

#[test]
fn no_order_of_calls_has_two_of_one_object_and_none_keeps_it_for_ever() {
    every_schedule("locks: two calls of one object, one of another, one cancelled", async |schedule| {
        let (locks, held) = (Locks::default(), Cell::new(0));
        let mut scheduler = Scheduler::new(1);
        let gate = scheduler.gate.clone();
        for (name, key) in [("first", "a"), ("second", "a"), ("other", "b")] {
            let (locks, held, gate) = (locks.clone(), &held, gate.clone());
            scheduler.add(name, async move {
                let Ok(claim) = locks.claim(key) else { return false };
                let _held = (key == "a").then(|| Held::new(held));
                gate.pass(name).await;
                drop(claim);
                true
            });
        }
        let claimed = scheduler.play(schedule, || assert!(held.get() <= 1, "two calls have it")).await;
        assert_ne!(claimed[2], Some(false), "nobody else asked for that one");
        locks.claim("a").unwrap();
    });
}

/// Counts who is at work, to the end or to the drop.
struct Held<'a>(&'a Cell<usize>);

impl<'a> Held<'a> {
    fn new(count: &'a Cell<usize>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
