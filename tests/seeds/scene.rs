//! A cloud, two replicas of the driver before it, and what was promised.

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::rc::Rc;
use std::time::Duration;

use cinder_csi::openstack::{Limits, NewVolume};
use cinder_csi::pace;
use cinder_csi::sandbox::{Held, Latency, Settings, SimulatedCloud};
use fastrand::Rng;
use tokio::time::Instant;

use crate::bed::cinder;
use crate::history::History;
use crate::ledger::Ledger;
use crate::replica::Replica;
use crate::sidecar::Sidecar;

/// Until then everything may go wrong.
pub const DISASTERS_END: Duration = Duration::from_secs(300);
/// By then every user has what was asked for.
const ALL_ENDS: Duration = Duration::from_secs(1500);

/// Each sidecar has a lease of its own.
pub const LEASES: [&str; 4] =
    ["external-provisioner", "external-attacher", "external-resizer", "external-snapshotter"];

pub fn lease_of(sidecar: Sidecar) -> usize {
    match sidecar {
        Sidecar::Provisioner => 0,
        Sidecar::Attacher => 1,
        Sidecar::Resizer | Sidecar::Modifier => 2,
        Sidecar::Snapshotter | Sidecar::GroupSnapshotter => 3,
    }
}

pub struct Scene {
    pub cloud: SimulatedCloud,
    pub history: History,
    /// Of each process.
    pub limits: Limits,
    pub ledger: RefCell<Ledger>,
    /// The ids of the servers.
    pub servers: Vec<String>,
    /// Lists show late what is new. Then a process that dies, that never learns an id or that isn't called again leaves
    /// what nobody can find by its name for a while: that is known (docs/reliability.md), and isn't tried here.
    pub lists_lag: bool,
    /// What others have in the project.
    pub foreign: Vec<Held>,
    pub random: RefCell<Rng>,
    pub figures: Figures,
    replicas: RefCell<Vec<Rc<Replica>>>,
    all_replicas: RefCell<Vec<Rc<Replica>>>,
    /// Where the holder of each of [`LEASES`] is.
    holders: [Cell<usize>; LEASES.len()],
    /// Two thirds of the seeds: the sidecars lead in different pods.
    leases_are_apart: bool,
    began: Instant,
    broken: RefCell<Vec<String>>,
}

/// What a run tried.
#[derive(Default)]
pub struct Figures {
    pub calls: Cell<usize>,
    /// Of the calls, those that began while another one, for something else, was under way on the same volume.
    pub beside: Cell<usize>,
    pub disasters_ordered: Cell<usize>,
    /// Those that did something. The cloud counts its faults and mishaps itself.
    pub disasters_done: Cell<usize>,
    /// Of a process that had a call under way.
    pub kills: Cell<usize>,
    /// What nobody was promised, in the end.
    pub left_behind: Cell<usize>,
}

pub fn count(figure: &Cell<usize>) {
    figure.set(figure.get() + 1);
}

impl Scene {
    pub async fn new(seed: u64, lists_lag: bool, is_whole: bool) -> Self {
        let latency = if seed.is_multiple_of(2) { Latency::lab() } else { Latency::production() };
        // A third of the seeds: tokens that expire every two minutes.
        let token_lifetime = Duration::from_secs(if seed.is_multiple_of(3) { 120 } else { 14_400 });
        let cloud = SimulatedCloud::new(Settings { seed, latency, token_lifetime, ..Settings::default() });
        let mut random = Rng::with_seed(seed);
        let leases_are_apart = random.u8(..3) > 0;
        let holders = LEASES.map(|_| Cell::new(if leases_are_apart { random.usize(..2) } else { 0 }));
        let history = History::new(is_whole);
        let limits = limits(seed);
        let replicas: Vec<_> =
            (1..=2).map(|n| Rc::new(Replica::start(n, limits, &cloud, &history))).collect();
        Self {
            limits,
            lists_lag,
            foreign: foreign(&cloud).await,
            servers: ["node-1", "node-2", "node-3"].map(|name| cloud.server_id(name)).into(),
            ledger: RefCell::default(),
            random: RefCell::new(random),
            figures: Figures::default(),
            all_replicas: RefCell::new(replicas.clone()),
            replicas: RefCell::new(replicas),
            holders,
            leases_are_apart,
            began: Instant::now(),
            broken: RefCell::default(),
            cloud,
            history,
        }
    }

    pub fn is_calm(&self) -> bool {
        self.began.elapsed() >= DISASTERS_END
    }

    pub fn is_overdue(&self) -> bool {
        self.began.elapsed() >= ALL_ENDS
    }

    /// The replica whose sidecars hold this lease, and the other one.
    pub fn replicas(&self, lease: usize) -> (Rc<Replica>, Rc<Replica>) {
        let (replicas, leader) = (self.replicas.borrow(), self.holders[lease].get());
        (replicas[leader].clone(), replicas[1 - leader].clone())
    }

    pub fn all_replicas(&self) -> Vec<Rc<Replica>> {
        self.all_replicas.borrow().clone()
    }

    /// The other pod holds this lease from now on, and where leases aren't apart all of them.
    pub fn move_lease(&self, lease: usize) {
        let holder = 1 - self.holders[lease].get();
        let moved = |one: &usize| *one == lease || !self.leases_are_apart;
        (0..LEASES.len()).filter(moved).for_each(|one| self.holders[one].set(holder));
    }

    /// Another process takes the dead one's place.
    pub fn kill_holder(&self, lease: usize) {
        let slot = self.holders[lease].get();
        let number = self.all_replicas.borrow().len() + 1;
        let next = Rc::new(Replica::start(number, self.limits, &self.cloud, &self.history));
        self.all_replicas.borrow_mut().push(next.clone());
        std::mem::replace(&mut self.replicas.borrow_mut()[slot], next).kill();
    }

    /// A law is broken.
    pub fn broke(&self, law: impl Display) {
        self.history.note(format_args!("BROKEN: {law}"));
        self.broken.borrow_mut().push(law.to_string());
    }

    pub fn broken(&self) -> Vec<String> {
        self.broken.borrow().clone()
    }

    pub fn volume(&self, id: &str) -> Option<Held> {
        self.cloud.volumes().into_iter().find(|held| held.id == id)
    }

    pub fn snapshot(&self, id: &str) -> Option<Held> {
        self.saved().into_iter().find(|held| held.id == id)
    }

    /// What CSI calls a snapshot: those and the backups.
    pub fn saved(&self) -> Vec<Held> {
        self.cloud.snapshots().into_iter().chain(self.cloud.backups()).collect()
    }
}

/// In half of the seeds as little as a few users feel.
fn limits(seed: u64) -> Limits {
    if seed % 4 < 2 { Limits { per_second: 5, burst: 10, ..Limits::default() } } else { Limits::default() }
}

/// Two volumes of somebody else in the same project; one looks like a claim's.
async fn foreign(cloud: &SimulatedCloud) -> Vec<Held> {
    let cinder = cinder(cloud);
    for name in ["database", "pvc-of-another-cluster"] {
        let new = NewVolume { name: name.to_owned(), size: 1, ..NewVolume::default() };
        cinder.create_volume(&new).await.unwrap();
    }
    pace::sleep(Duration::from_secs(30)).await;
    cloud.volumes()
}
