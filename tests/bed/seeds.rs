//! Runs plays that one seed decides, and tells what they showed.
//!
//! `SEEDS`: how many; `SEED`: the first, or which.

#[path = "figures.rs"]
mod figures;

use std::num::NonZero;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use cinder_csi::pace;
use figures::count;
use tokio::task::LocalSet;

/// What a play showed.
pub struct Played {
    pub seed: u64,
    pub history: Vec<String>,
    /// The laws that didn't hold.
    pub broken: Vec<String>,
    /// What was tried, and how often.
    pub figures: Vec<(&'static str, usize)>,
}

impl Played {
    pub fn figure(&self, name: &str) -> usize {
        self.figures.iter().filter(|(known, _)| *known == name).map(|(_, figure)| figure).sum()
    }
}

/// Plays on one thread, in paused time that begins at one moment for every seed.
pub fn play<F: Future>(seed: u64, play: F) -> F::Output {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        pace::begin(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000), seed);
        play.await
    })
}

/// Every law holds with every seed. `target`: the test target that replays one.
pub fn hold(target: &str, usual: u64, show: impl Fn(u64) -> Played + Sync) {
    let first = number("SEED", 1);
    let shown = show_all(first..first + number("SEEDS", usual), show);
    let broken: Vec<_> = shown.iter().filter(|one| !one.broken.is_empty()).collect();
    println!("{target} from {first} on");
    tell(target, "seeds", shown.len());
    for (name, _) in &shown[0].figures {
        tell(target, name, shown.iter().map(|one| one.figure(name)).sum());
    }
    tell(target, "broken seeds", broken.len());
    for one in broken.iter().take(10) {
        println!("\nseed {}:\n  {}", one.seed, one.broken.join("\n  "));
    }
    if let Some(one) = broken.first() {
        println!("\n{}", one.history.join("\n"));
        panic!("SEED={} cargo test --test {target} one_seed -- --nocapture", one.seed);
    }
}

/// One seed, with its whole history.
pub fn replay(show: impl Fn(u64) -> Played) {
    let shown = show(number("SEED", 1));
    println!("{}", shown.history.join("\n"));
    assert!(shown.broken.is_empty(), "{}", shown.broken.join("\n"));
}

/// The same seed twice is the same to the byte.
pub fn repeat(show: impl Fn(u64) -> Played) {
    for seed in 1..=20 {
        let (one, two) = (show(seed), show(seed));
        assert!(one.history.len() > 20, "seed {seed}: nothing happened");
        let differing = one.history.iter().zip(&two.history).find(|(one, two)| one != two);
        assert_eq!(differing, None, "seed {seed}");
        assert_eq!(one.history.len(), two.history.len(), "seed {seed}");
    }
    assert_ne!(show(1).history, show(2).history);
}

/// On all processors. The histories of a hundred thousand seeds would fill the memory: only those of broken ones are kept.
fn show_all(seeds: Range<u64>, show: impl Fn(u64) -> Played + Sync) -> Vec<Played> {
    let next = AtomicU64::new(seeds.start);
    let take = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < seeds.end);
    let brief = |seed| match show(seed) {
        shown if shown.broken.is_empty() => Played { history: Vec::new(), ..shown },
        shown => shown,
    };
    let work = || std::iter::from_fn(take).map(brief).collect::<Vec<_>>();
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let mut shown: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..processors).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(!shown.is_empty(), "SEEDS=0 shows nothing");
    shown.sort_by_key(|one| one.seed);
    shown
}

fn tell(target: &str, name: &str, figure: usize) {
    println!("{:22}{figure:9}", format!("{name}:"));
    count(&format!("{target}: {name}"), figure);
}

pub fn number(variable: &str, otherwise: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable}={text}: that isn't a number")),
        Err(_) => otherwise,
    }
}
