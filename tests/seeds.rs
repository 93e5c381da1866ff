//! The controller half under everything that can go wrong, as a seed has it.
//!
//! One seed decides all: what the users do, how long the cloud takes, what fails, when a process of the driver is killed.
//! One thread, paused time, gRPC and HTTP in memory. `tests/run seeds [N [FIRST]]` runs N seeds from FIRST on; one seed
//! with its whole history: `SEED=FIRST cargo test --test seeds one_seed -- --nocapture`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]
#![allow(clippy::disallowed_methods, reason = "which seeds are run is said in the environment")]

#[path = "bed/bed.rs"]
mod bed;
#[path = "seeds/budget.rs"]
mod budget;
#[path = "bed/bug.rs"]
mod bug;
#[path = "seeds/disasters.rs"]
mod disasters;
#[path = "bed/driver.rs"]
mod driver;
#[path = "bed/seeds.rs"]
mod frame;
#[path = "bed/history.rs"]
mod history;
#[path = "seeds/laws.rs"]
mod laws;
#[path = "seeds/ledger.rs"]
mod ledger;
#[path = "seeds/operator.rs"]
mod operator;
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
#[path = "seeds/traffic.rs"]
mod traffic;
#[path = "seeds/users.rs"]
mod users;

use std::rc::Rc;
use std::time::Duration;

use cinder_csi::pace;
use fastrand::Rng;

use disasters::Disasters;
use frame::Played;
use operator::calm;
use scene::{DISASTERS_END, Scene};
use users::User;

/// After this nothing that was begun is still on its way, and the driver has been silent for long.
const LATER: Duration = Duration::from_secs(300);

fn show(seed: u64, is_whole: bool) -> Played {
    frame::play(seed, play(seed, is_whole))
}

async fn play(seed: u64, is_whole: bool) -> Played {
    let mut random = Rng::with_seed(seed);
    let lists_lag = random.u8(..4) == 0;
    let scene = Rc::new(Scene::new(seed, lists_lag, is_whole).await);
    let mut lives = Vec::new();
    for number in 1..=users(seed, &mut random) {
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
    scene.check_all();
    scene.check_budget();
    let figures = &scene.figures;
    Played {
        seed,
        history: scene.history.lines(),
        broken: scene.broken(),
        figures: vec![
            ("RPCs", figures.calls.get()),
            ("beside another", figures.beside.get()),
            ("HTTP requests", scene.cloud.calls().len()),
            ("disasters ordered", figures.disasters_ordered.get()),
            ("disasters met", figures.disasters_done.get() + scene.cloud.met()),
            ("kills during a call", figures.kills.get()),
            ("left behind", figures.left_behind.get()),
        ],
    }
}

/// In one seed of fifty a crowd.
fn users(seed: u64, random: &mut Rng) -> usize {
    if seed.is_multiple_of(50) { random.usize(20..30) } else { random.usize(2..6) }
}

#[test]
fn every_seed_ends_as_was_promised() {
    frame::hold("seeds", 100, |seed| show(seed, false));
}

#[test]
fn one_seed_with_its_whole_history() {
    frame::replay(|seed| show(seed, true));
}

#[test]
fn a_seed_repeats_itself_to_the_byte() {
    frame::repeat(|seed| show(seed, true));
}
