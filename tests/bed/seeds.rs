//! Runs plays that one seed decides, and tells what they showed.
//!
//! `SEEDS`: how many; `SEED`: the first, or which.

#[path = "figures.rs"]
mod figures;
#[path = "panics.rs"]
mod panics;

use std::num::NonZero;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use cinder_csi::pace;
use figures::count;
use panics::Panics;
use tokio::runtime::Builder;
use tokio::task::LocalSet;

use crate::history::History;

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

/// Plays on one thread, in paused time that begins at one moment for every seed. A panic breaks it, whoever catches it.
pub fn play(seed: u64, play: impl Future<Output = Played>) -> Played {
    let panics = Panics::default();
    let played = catch_unwind(AssertUnwindSafe(|| play_watched(seed, &panics, play)));
    let cut_off = |_| Played { seed, history: History::take_last(), broken: Vec::new(), figures: Vec::new() };
    let mut played = played.unwrap_or_else(cut_off);
    played.broken.extend(panics.all());
    played
}

fn play_watched(seed: u64, panics: &Panics, play: impl Future<Output = Played>) -> Played {
    panics.watch_this_thread();
    let theirs = panics.clone();
    let mut runtime = Builder::new_current_thread();
    runtime.enable_all().start_paused(true).on_thread_start(move || theirs.watch_this_thread());
    LocalSet::new().block_on(&runtime.build().unwrap(), async {
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
    let names = shown.iter().map(|one| &one.figures).max_by_key(|figures| figures.len()).unwrap();
    for (name, _) in names {
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

#[test]
fn a_panic_breaks_its_seed_and_leaves_its_history() {
    let played = play(7, async {
        History::new(true).note("before");
        panic!("of the play")
    });
    assert_eq!((played.seed, played.history.len(), played.broken.len()), (7, 1, 1));
    assert!(played.broken[0].contains("of the play"), "{:?}", played.broken);
}

#[test]
fn a_panic_that_somebody_catches_breaks_its_seed_too() {
    let played = play(7, async {
        let history = History::new(true);
        tokio::spawn(async { panic!("of a task") }).await.unwrap_err();
        tokio::task::spawn_blocking(|| panic!("of a thread")).await.unwrap_err();
        Played { seed: 7, history: history.lines(), broken: Vec::new(), figures: Vec::new() }
    });
    assert_eq!(played.broken.len(), 2, "{:?}", played.broken);
}
