//! Every order of callers who need one value.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::pace::interleaved::{Stage, every};

#[test]
fn whoever_asks_and_leaves_one_fetch_serves_all() {
    every("flight: three who need a token, one of them leaves", async |course| {
        let (flight, fetches) = (Flight::<u32>::default(), Arc::new(AtomicUsize::new(0)));
        let mut stage = Stage::new(1);
        let gate = stage.gate.clone();
        for name in ["first", "second", "third"] {
            let (flight, fetches, gate) = (flight.clone(), Arc::clone(&fetches), gate.clone());
            stage.add(name, async move {
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
        let waiting = stage.gate.clone();
        let answers = stage.play(course, || assert!(waiting.waiting() <= 1, "two fetches at once")).await;
        let answered: Vec<_> = answers.into_iter().flatten().map(Result::unwrap).collect();
        assert!(answered.len() >= 2 && answered.iter().all(|answer| *answer == 7));
        assert_eq!(fetches.load(Ordering::Relaxed), 1);
    });
}
