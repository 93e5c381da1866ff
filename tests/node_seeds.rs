//! The node half under everything that can go wrong, as a seed has it.
//!
//! One seed decides all: what the kubelet asks for, how long the machine takes, what befalls the disks, at which call of the
//! host the driver dies. One thread, paused time, a machine in memory; `loop_` tests play the same on loop devices, as root.
//! SEEDS says how many; one seed with its history: `SEED=N cargo test --test node_seeds one_seed -- --nocapture`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]
#![allow(clippy::disallowed_methods, reason = "the tests read SEED and SEEDS, and make loop devices")]

#[path = "loop/bed.rs"]
#[allow(dead_code, reason = "it's the bed of tests/loop_devices.rs, too")]
mod bed;
#[path = "node_seeds/disk.rs"]
mod disk;
#[path = "node_seeds/ground.rs"]
mod ground;
#[path = "seeds/history.rs"]
#[allow(dead_code, reason = "it's the history of tests/seeds.rs, too")]
mod history;
#[path = "node_seeds/judge.rs"]
mod judge;
#[path = "node_seeds/kubelet.rs"]
mod kubelet;
#[path = "node_seeds/lab.rs"]
mod lab;
#[path = "node_seeds/loops.rs"]
mod loops;
#[path = "node_seeds/machine.rs"]
mod machine;
#[path = "node_seeds/mortal.rs"]
mod mortal;
#[path = "node_seeds/programs.rs"]
mod programs;
#[path = "node_seeds/volume.rs"]
mod volume;
#[path = "node_seeds/world.rs"]
mod world;

use std::num::NonZero;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use cinder_csi::node::FsType;
use cinder_csi::pace;
use fastrand::Rng;

use disk::MIB;
use history::History;
use kubelet::{Kubelet, Pace};
use lab::Lab;
use volume::{Kind, Volume};

/// After this nothing that was begun is still on its way.
const LATER: Duration = Duration::from_secs(90);
const STEPS: usize = 40;

/// What a seed showed.
struct Shown {
    seed: u64,
    history: Vec<String>,
    broken: Vec<String>,
    calls: usize,
    deaths: usize,
    refused: usize,
}

fn show(seed: u64) -> Shown {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        pace::begin(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000), seed);
        let mut random = Rng::with_seed(seed);
        let history = History::new(true);
        let mut volumes = volumes(&mut random, Path::new(lab::KUBELET), [128, 96]);
        let lab = Lab::new(&mut volumes, random.fork(), history.clone());
        let pace = Pace { rest: LATER, lateness: Duration::ZERO };
        let kubelet = Kubelet::new(Arc::new(lab), history, random.fork(), pace);
        play(seed, kubelet, volumes, random).await
    })
}

/// Two volumes. The first has the larger disk.
fn volumes(random: &mut Rng, kubelet: &Path, sizes: [u64; 2]) -> Vec<Volume> {
    let of = |size: u64| {
        let id =
            uuid::Builder::from_random_bytes(std::array::from_fn(|_| random.u8(..))).into_uuid().to_string();
        let kind = [Kind::Fs(FsType::Ext4), Kind::Fs(FsType::Xfs), Kind::Raw][random.usize(..3)];
        Volume::new(id, kind, size * MIB, kubelet, random.bool())
    };
    sizes.map(of).into()
}

async fn play(seed: u64, kubelet: Kubelet, mut volumes: Vec<Volume>, mut random: Rng) -> Shown {
    for volume in &volumes {
        let (kind, data) = (volume.kind, if volume.from_data { ", made from data" } else { "" });
        kubelet.history.note(format!("{} is {kind:?} of {} MiB{data}", volume.id, volume.size / MIB));
    }
    for _ in 0..STEPS {
        step(&kubelet, &mut volumes, &mut random).await;
        kubelet.judge.look(&volumes);
    }
    kubelet.history.note("calm");
    kubelet.spare();
    kubelet.ground.calm();
    pace::sleep(kubelet.rest).await;
    kubelet.conclude(&mut volumes, &mut random).await;
    let figures = &kubelet.figures;
    Shown {
        seed,
        history: kubelet.history.lines(),
        broken: kubelet.judge.broken(),
        calls: figures.calls.get(),
        deaths: figures.deaths.get(),
        refused: figures.refused.get(),
    }
}

/// One volume goes on, or both at once; something may befall one meanwhile.
async fn step(kubelet: &Kubelet, volumes: &mut [Volume], random: &mut Rng) {
    if random.u8(..80) == 0 {
        kubelet.reboot(volumes);
    }
    for _ in 0..random.u8(..6).saturating_sub(3) {
        kubelet.ground.strike(&volumes[random.usize(..2)].id);
    }
    let [one, two] = volumes else { return };
    let (mut left, mut right) = (random.fork(), random.fork());
    match random.u8(..4) {
        0 => drop(tokio::join!(kubelet.step(one, &mut left), kubelet.step(two, &mut right))),
        1 => kubelet.step(two, &mut right).await,
        _ => kubelet.step(one, &mut left).await,
    }
    pace::sleep(kubelet.rest.min(Duration::from_millis(random.u64(..3000)))).await;
}

fn number(variable: &str, otherwise: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable}={text}: that isn't a number")),
        Err(_) => otherwise,
    }
}

/// `SEEDS`: how many. `SEED`: the first.
#[test]
fn every_seed_leaves_the_node_as_was_asked() {
    let (first, count) = (number("SEED", 1), number("SEEDS", 200));
    let shown = show_all(first..first + count);
    let sum = |of: fn(&Shown) -> usize| shown.iter().map(of).sum::<usize>();
    let broken: Vec<_> = shown.iter().filter(|one| !one.broken.is_empty()).collect();
    println!("seeds, from {first}:    {:9}", shown.len());
    println!("calls:            {:9}", sum(|one| one.calls));
    println!("of them refused:  {:9}", sum(|one| one.refused));
    println!("cut off by death: {:9}", sum(|one| one.deaths));
    println!("broken seeds:     {:9}", broken.len());
    for one in broken.iter().take(10) {
        println!("\nseed {}:\n  {}", one.seed, one.broken.join("\n  "));
    }
    if let Some(one) = broken.first() {
        println!("\n{}", one.history.join("\n"));
        panic!("SEED={} cargo test --test node_seeds one_seed -- --nocapture", one.seed);
    }
}

/// On all processors.
fn show_all(seeds: Range<u64>) -> Vec<Shown> {
    let next = AtomicU64::new(seeds.start);
    let take = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < seeds.end);
    let brief = |seed| match show(seed) {
        shown if shown.broken.is_empty() => Shown { history: Vec::new(), ..shown },
        shown => shown,
    };
    let work = || std::iter::from_fn(take).map(brief).collect::<Vec<_>>();
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..processors).map(|_| scope.spawn(work)).collect();
        let mut shown: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        shown.sort_by_key(|one| one.seed);
        shown
    })
}

/// `SEED`: which.
#[test]
fn one_seed_with_its_whole_history() {
    let shown = show(number("SEED", 1));
    println!("{}", shown.history.join("\n"));
    assert!(shown.broken.is_empty(), "{}", shown.broken.join("\n"));
}

#[test]
fn a_seed_repeats_itself_to_the_byte() {
    for seed in 1..=20 {
        let (one, two) = (show(seed), show(seed));
        assert!(one.history.len() > 20, "seed {seed}: nothing happened");
        let differing = one.history.iter().zip(&two.history).find(|(one, two)| one != two);
        assert_eq!(differing, None, "seed {seed}");
        assert_eq!(one.history.len(), two.history.len(), "seed {seed}");
    }
    assert_ne!(show(1).history, show(2).history);
}
