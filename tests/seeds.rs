//! The controller half under everything that can go wrong, as a seed has it.
//!
//! One seed decides all: what the users do, how long the cloud takes, what fails, when a process of the driver is killed.
//! One thread, paused time, gRPC and HTTP in memory. `tests/run seeds [N [FIRST]]` runs N seeds from FIRST on; one seed
//! with its whole history: `SEED=FIRST cargo test --test seeds one_seed -- --nocapture`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]
#![allow(clippy::disallowed_methods, reason = "which seeds are run is said in the environment")]

#[path = "bed/bed.rs"]
mod bed;
#[path = "seeds/disasters.rs"]
mod disasters;
#[path = "bed/driver.rs"]
mod driver;
#[path = "seeds/history.rs"]
mod history;
#[path = "seeds/laws.rs"]
mod laws;
#[path = "seeds/replica.rs"]
mod replica;
#[path = "seeds/rpc.rs"]
mod rpc;
#[path = "seeds/scene.rs"]
mod scene;
#[path = "bed/sidecar.rs"]
mod sidecar;
#[path = "seeds/sidecars.rs"]
mod sidecars;
#[path = "seeds/users.rs"]
mod users;

use std::num::NonZero;
use std::ops::Range;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use cinder_csi::pace;
use fastrand::Rng;
use tokio::task::LocalSet;

use disasters::{Disasters, calm};
use scene::{DISASTERS_END, Scene};
use users::User;

/// After this nothing that was begun is still on its way.
const LATER: Duration = Duration::from_secs(200);

/// What a seed showed.
struct Shown {
    seed: u64,
    history: Vec<String>,
    broken: Vec<String>,
    calls: usize,
    kills: usize,
    disasters: usize,
    requests: usize,
}

fn show(seed: u64, is_whole: bool) -> Shown {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, play(seed, is_whole))
}

async fn play(seed: u64, is_whole: bool) -> Shown {
    pace::begin(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000), seed);
    let mut random = Rng::with_seed(seed);
    let lists_lag = random.u8(..4) == 0;
    let scene = Rc::new(Scene::new(seed, lists_lag, is_whole).await);
    let mut lives = Vec::new();
    for number in 1..=random.usize(2..6) {
        let user = User::new(scene.clone(), format!("pvc-{number}"), random.fork());
        lives.push(tokio::task::spawn_local(user.live()));
    }
    let mut disasters = Disasters { scene: scene.clone(), random };
    disasters.strike().await;
    while !scene.is_calm() {
        pace::sleep(DISASTERS_END / 100).await;
    }
    calm(&scene).await;
    for life in lives {
        life.await.unwrap();
    }
    pace::sleep(LATER).await;
    scene.hold_all();
    let figures = &scene.figures;
    Shown {
        seed,
        history: scene.history.lines(),
        broken: scene.broken(),
        calls: figures.calls.get(),
        kills: figures.kills.get(),
        disasters: figures.disasters.get(),
        requests: scene.cloud.calls().len(),
    }
}

fn number(variable: &str, otherwise: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable}={text}: that isn't a number")),
        Err(_) => otherwise,
    }
}

/// `SEEDS`: how many. `SEED`: the first.
#[test]
fn every_seed_ends_as_was_promised() {
    let (first, count) = (number("SEED", 1), number("SEEDS", 100));
    let shown = show_all(first..first + count);
    let sum = |of: fn(&Shown) -> usize| shown.iter().map(of).sum::<usize>();
    let broken: Vec<_> = shown.iter().filter(|one| !one.broken.is_empty()).collect();
    println!("seeds, from {first}:    {:9}", shown.len());
    println!("RPCs:             {:9}", sum(|one| one.calls));
    println!("HTTP requests:    {:9}", sum(|one| one.requests));
    println!("disasters:        {:9}", sum(|one| one.disasters));
    println!("of them kills:    {:9}", sum(|one| one.kills));
    println!("broken seeds:     {:9}", broken.len());
    for one in broken.iter().take(10) {
        println!("\nseed {}:\n  {}", one.seed, one.broken.join("\n  "));
    }
    if let Some(one) = broken.first() {
        println!("\n{}", one.history.join("\n"));
        panic!("SEED={} cargo test --test seeds one_seed -- --nocapture", one.seed);
    }
}

/// On all processors. Whole histories of a hundred thousand seeds would fill the memory.
fn show_all(seeds: Range<u64>) -> Vec<Shown> {
    let next = AtomicU64::new(seeds.start);
    let take = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < seeds.end);
    let brief = |seed| match show(seed, false) {
        shown if shown.broken.is_empty() => Shown { history: Vec::new(), ..shown },
        shown => shown,
    };
    let work = || std::iter::from_fn(take).map(brief).collect::<Vec<_>>();
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..processors).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

/// `SEED`: which.
#[test]
fn one_seed_with_its_whole_history() {
    let shown = show(number("SEED", 1), true);
    println!("{}", shown.history.join("\n"));
    assert!(shown.broken.is_empty(), "{}", shown.broken.join("\n"));
}

#[test]
fn a_seed_repeats_itself_to_the_byte() {
    for seed in 1..=20 {
        let (one, two) = (show(seed, true), show(seed, true));
        assert!(one.history.len() > 20, "seed {seed}: nothing happened");
        let differing = one.history.iter().zip(&two.history).find(|(one, two)| one != two);
        assert_eq!(differing, None, "seed {seed}");
        assert_eq!(one.history.len(), two.history.len(), "seed {seed}");
    }
    assert_ne!(show(1, true).history, show(2, true).history);
}
