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
#[path = "bed/seeds.rs"]
mod frame;
#[path = "bed/history.rs"]
#[allow(dead_code, reason = "it's the history of tests/seeds.rs, too")]
mod history;
#[path = "node_seeds/judge.rs"]
mod judge;
#[path = "node_seeds/kubelet.rs"]
mod kubelet;
#[path = "node_seeds/loop_disk.rs"]
mod loop_disk;
#[path = "node_seeds/loops.rs"]
mod loops;
#[path = "node_seeds/machine.rs"]
mod machine;
#[path = "node_seeds/memory.rs"]
mod memory;
#[path = "node_seeds/mortal.rs"]
mod mortal;
#[path = "node_seeds/programs.rs"]
mod programs;
#[path = "node_seeds/testbed.rs"]
mod testbed;
#[path = "node_seeds/volume.rs"]
mod volume;
#[path = "node_seeds/world.rs"]
mod world;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cinder_csi::node::FsType;
use cinder_csi::pace;
use fastrand::Rng;

use disk::MIB;
use frame::Played;
use history::History;
use kubelet::{Kubelet, Pace};
use memory::MemoryTestbed;
use volume::{Kind, Volume};

/// After this nothing that was begun is still on its way.
const LATER: Duration = Duration::from_secs(90);
const STEPS: usize = 40;
/// Those that the machine in memory knows.
const KINDS: [Kind; 3] = [Kind::Fs(FsType::Ext4), Kind::Fs(FsType::Xfs), Kind::Raw];

fn show(seed: u64) -> Played {
    frame::play(seed, async {
        let mut random = Rng::with_seed(seed);
        let history = History::new(true);
        let mut volumes = volumes(&mut random, &KINDS, Path::new(memory::KUBELET), [128, 96]);
        let testbed = MemoryTestbed::new(&mut volumes, random.fork(), history.clone());
        let pace = Pace { rest: LATER, lateness: Duration::ZERO };
        let kubelet = Kubelet::new(Arc::new(testbed), history, random.fork(), pace);
        play(seed, kubelet, volumes, random).await
    })
}

/// Two volumes. The first has the larger disk.
fn volumes(random: &mut Rng, kinds: &[Kind], kubelet: &Path, sizes: [u64; 2]) -> Vec<Volume> {
    let of = |size: u64| {
        let id =
            uuid::Builder::from_random_bytes(std::array::from_fn(|_| random.u8(..))).into_uuid().to_string();
        let kind = kinds[random.usize(..kinds.len())];
        Volume::new(id, kind, size * MIB, kubelet, random.bool())
    };
    sizes.map(of).into()
}

async fn play(seed: u64, kubelet: Kubelet, mut volumes: Vec<Volume>, mut random: Rng) -> Played {
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
    kubelet.testbed.calm();
    pace::sleep(kubelet.rest).await;
    kubelet.conclude(&mut volumes, &mut random).await;
    let figures = &kubelet.figures;
    Played {
        seed,
        history: kubelet.history.lines(),
        broken: kubelet.judge.broken(),
        figures: vec![
            ("calls", figures.calls.get()),
            ("of them refused", figures.refused.get()),
            ("cut off by death", figures.deaths.get()),
        ],
    }
}

/// One volume goes on, or both at once; something may befall one meanwhile.
async fn step(kubelet: &Kubelet, volumes: &mut [Volume], random: &mut Rng) {
    if random.u8(..80) == 0 {
        kubelet.reboot(volumes);
    }
    for _ in 0..random.u8(..6).saturating_sub(3) {
        kubelet.testbed.strike(&volumes[random.usize(..2)].id);
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

#[test]
fn every_seed_leaves_the_node_as_was_asked() {
    frame::hold("node_seeds", 200, show);
}

#[test]
fn one_seed_with_its_whole_history() {
    frame::replay(show);
}

#[test]
fn a_seed_repeats_itself_to_the_byte() {
    frame::repeat(show);
}
