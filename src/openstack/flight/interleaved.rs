//! Every order of callers who need one value.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::pace::schedules::{Scheduler, every_schedule};

#[test]
fn whoever_asks_and_leaves_one_fetch_serves_all() {
    every_schedule("flight: three who need a token, one of them leaves", async |schedule| {
        let (flight, fetches) = (Flight::<u32>::default(), Arc::new(AtomicUsize::new(0)));
        let mut scheduler = Scheduler::new(1);
        let gate = scheduler.gate.clone();
        for name in ["first", "second", "third"] {
            let (flight, fetches, gate) = (flight.clone(), Arc::clone(&fetches), gate.clone());
            scheduler.add(name, async move {
                let fetch = || {
                    fetches.fetch_add(1, Ordering::Relaxed);
                    async move {
                        gate.pass("the fetch").await;
                        Ok(7)
                    }
                };
                flight.get(|_| Age::Fresh, fetch).await
            });
        }
        let waiting = scheduler.gate.clone();
        let answers =
            scheduler.play(schedule, || assert!(waiting.waiting() <= 1, "two fetches at once")).await;
        let answered: Vec<_> = answers.into_iter().flatten().map(Result::unwrap).collect();
        assert!(answered.len() >= 2 && answered.iter().all(|answer| *answer == 7));
        assert_eq!(fetches.load(Ordering::Relaxed), 1);
    });
}
