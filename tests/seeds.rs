//! The controller half under everything that can go wrong, as a seed has it.
//!
//! One seed decides all: what the users do, how long the cloud takes, what fails, when a process of the driver is killed.
//! One thread, paused time, gRPC and HTTP in memory. `tests/run seeds [N [FIRST]]` runs N seeds from FIRST on; one seed
//! with its whole history: `SEED=FIRST cargo test --test seeds one -- --nocapture`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

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

use std::rc::Rc;
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
    faults: usize,
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
        faults: figures.faults.get(),
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
    let (first, count) = (number("SEED", 1), number("SEEDS", 200));
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    let shown: Vec<Shown> = std::thread::scope(|scope| {
        let part =
            |thread| move || (first + thread..first + count).step_by(threads as usize).map(brief).collect();
        let parts: Vec<_> = (0..threads).map(|thread| scope.spawn(part(thread))).collect::<Vec<_>>();
        parts
            .into_iter()
            .flat_map(|part: std::thread::ScopedJoinHandle<'_, Vec<Shown>>| part.join().unwrap())
            .collect()
    });
    let sum = |of: fn(&Shown) -> usize| shown.iter().map(of).sum::<usize>();
    let broken: Vec<_> = shown.iter().filter(|one| !one.broken.is_empty()).collect();
    println!("seeds from {first}  {count}");
    println!("RPCs               {}", sum(|one| one.calls));
    println!("requests           {}", sum(|one| one.requests));
    println!("disasters          {}", sum(|one| one.faults));
    println!("of them kills      {}", sum(|one| one.kills));
    println!("seeds that failed  {}", broken.len());
    for one in broken.iter().take(10) {
        println!("\nseed {}:\n  {}", one.seed, one.broken.join("\n  "));
    }
    if let Some(one) = broken.first() {
        println!("\n{}", one.history.join("\n"));
        panic!("SEED={} cargo test --test seeds one -- --nocapture", one.seed);
    }
}

fn brief(seed: u64) -> Shown {
    let shown = show(seed, false);
    match shown.broken.is_empty() {
        true => Shown { history: Vec::new(), ..shown },
        false => shown,
    }
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
