//! The kubelet: NodeStage before NodePublish, NodeUnpublish of every target before NodeUnstage, each call again until it's OK
//! (<https://github.com/kubernetes/kubernetes/blob/v1.36.1/pkg/kubelet/volumemanager/reconciler/reconciler_common.go>).

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cinder_csi::node::{Condition, Node, Result};
use cinder_csi::pace::{self, Deadline};
use fastrand::Rng;
use tokio::time::Instant;

use super::disk::MIB;
use super::history::History;
use super::judge::Judge;
use super::mortal::{Life, Mortal};
use super::testbed::{Shown, Testbed};
use super::volume::{Kind, MountState, Volume};

pub struct Kubelet {
    pub testbed: Arc<dyn Testbed>,
    pub judge: Arc<Judge>,
    pub history: History,
    pub is_mortal: Cell<bool>,
    pub figures: Figures,
    pub rest: Duration,
    lateness: Duration,
    random: RefCell<Rng>,
    driver: RefCell<Option<(Node, Arc<Life>)>>,
}

/// On the real machine time is dear, and the clock may be late.
#[derive(Clone, Copy)]
pub struct Pace {
    /// The longest rest between two calls.
    pub rest: Duration,
    pub lateness: Duration,
}

#[derive(Default)]
pub struct Figures {
    pub calls: Cell<usize>,
    pub deaths: Cell<usize>,
    pub refused: Cell<usize>,
}

/// What a disk grows by.
const GROWTH: u64 = 24 * MIB;
const LARGEST: u64 = 4;
/// So often the kubelet asks before the model calls it in vain.
const PATIENCE: usize = 12;

fn more(count: &Cell<usize>) {
    count.set(count.get() + 1);
}

impl Kubelet {
    pub fn new(testbed: Arc<dyn Testbed>, history: History, random: Rng, pace: Pace) -> Self {
        let Pace { rest, lateness } = pace;
        Self {
            rest,
            judge: Judge::new(testbed.clone()),
            testbed,
            history,
            is_mortal: Cell::new(true),
            figures: Figures::default(),
            lateness,
            random: RefCell::new(random),
            driver: RefCell::default(),
        }
    }

    /// The driver, started anew where it has died.
    fn driver(&self) -> (Node, Arc<Life>) {
        let mut driver = self.driver.borrow_mut();
        if let Some((node, life)) = driver.as_ref().filter(|(_, life)| !life.is_dead()) {
            return (node.clone(), life.clone());
        }
        let random = self.random.borrow_mut().fork();
        let life = Life::new(random, self.is_mortal.get(), self.history.clone(), self.judge.clone());
        let (below, testbed) = (self.testbed.host(), self.testbed.clone());
        let host = Mortal { below, testbed, life: life.clone() };
        let node = Node::new(Arc::new(host), self.testbed.settings());
        *driver = Some((node.clone(), life.clone()));
        (node, life)
    }

    pub fn spare(&self) {
        self.is_mortal.set(false);
        if let Some((_, life)) = self.driver.borrow().as_ref() {
            life.spare();
        }
    }

    pub fn reboot(&self, volumes: &mut [Volume]) {
        self.history.note("the machine is started again");
        self.driver().1.end();
        self.testbed.reboot();
        for volume in volumes {
            volume.leaving = true;
            self.judge.end(&volume.id);
        }
    }

    /// One call. None: it's not known how it ended, or it failed.
    async fn call<T>(
        &self,
        volume: &str,
        what: String,
        work: impl AsyncFnOnce(Node) -> Result<T>,
    ) -> Option<T> {
        let (node, life) = self.driver();
        let short = &volume[..8];
        let timeout = Duration::from_secs([2, 15, 60, 120][self.random.borrow_mut().usize(..4)]);
        self.history.note(format!("{short}: {what}, within {} s", timeout.as_secs()));
        more(&self.figures.calls);
        self.judge.begin(volume);
        let (began, deadline) = (Instant::now(), Deadline::of_rpc(timeout));
        let whole = deadline.remaining();
        let answer = pace::within(deadline, work(node)).await;
        if life.is_dead() {
            more(&self.figures.deaths);
            self.history.note(format!("{short}: {what}: no answer"));
            self.testbed.died();
            self.judge.end(volume);
            return None;
        }
        // A disk or a program that doesn't answer: then the driver says so a little later (`GRACE`).
        let (took, most) = (began.elapsed(), whole + Duration::from_millis(100) + self.lateness);
        if took > most || took == most && !life.is_waiting() {
            self.judge.blame(format!("{short}: {what} took {took:?} of {whole:?}"));
        }
        match answer {
            Ok(answer) => {
                self.history.note(format!("{short}: {what}: OK"));
                self.judge.end(volume);
                Some(answer)
            }
            Err(error) => {
                more(&self.figures.refused);
                self.history.note(format!("{short}: {what}: {error}"));
                // Its work may still go on.
                if !matches!(error.condition(), Condition::Unsettled | Condition::Busy) {
                    self.judge.end(volume);
                }
                None
            }
        }
    }

    /// The next thing that becomes of a volume.
    pub async fn step(&self, volume: &mut Volume, random: &mut Rng) {
        if volume.staged != MountState::NotMounted
            && self.testbed.disturbances(&volume.id) != volume.disturbances
        {
            volume.leaving |= random.u8(..3) == 0;
        }
        match (volume.attached, volume.leaving, volume.staged) {
            (false, _, _) => self.attach(volume),
            (true, true, _) => self.take_down(volume, random).await,
            (true, false, MountState::NotMounted | MountState::Uncertain) => {
                self.stage(volume).await;
                volume.leaving = volume.staged != MountState::Mounted && random.u8(..6) == 0;
            }
            (true, false, MountState::Mounted) => self.live(volume, random).await,
        }
    }

    async fn live(&self, volume: &mut Volume, random: &mut Rng) {
        let target = random.usize(..volume.targets.len());
        match random.u8(..12) {
            0 => volume.leaving = true,
            1 => self.stage(volume).await,
            2 | 3 => self.expand(volume).await,
            4 => drop(self.unpublish(volume, target).await),
            5 => self.unstage_too_early(volume).await,
            _ => {
                self.publish(volume, target).await;
                self.write(volume, target, random);
            }
        }
    }

    pub fn attach(&self, volume: &mut Volume) {
        self.history.note(format!("{}: attach", &volume.id[..8]));
        volume.attached = true;
        volume.stated = volume.size;
        self.testbed.attach(&volume.id);
    }

    pub async fn stage(&self, volume: &mut Volume) {
        if volume.staged == MountState::NotMounted {
            volume.staged = MountState::Uncertain;
        }
        let (request, disturbances) = (volume.stage(), self.testbed.disturbances(&volume.id));
        let done = self.call(&volume.id, "stage".into(), async |node| node.stage(request).await).await;
        if done.is_some() {
            volume.staged = MountState::Mounted;
            volume.disturbances = disturbances;
            self.judge.staged(volume, self.testbed.disturbances(&volume.id) == disturbances);
        }
    }

    pub async fn publish(&self, volume: &mut Volume, target: usize) {
        let (request, disturbances) = (volume.publish(target), self.testbed.disturbances(&volume.id));
        if volume.targets[target].published == MountState::NotMounted {
            volume.targets[target].published = MountState::Uncertain;
        }
        let what = format!("publish at {target}");
        let done = self.call(&volume.id, what, async |node| node.publish(request).await).await;
        if done.is_some() {
            volume.targets[target].published = MountState::Mounted;
            volume.targets[target].disturbances = disturbances;
            self.judge.published(volume, target, self.testbed.disturbances(&volume.id) == disturbances);
        }
    }

    async fn unpublish(&self, volume: &mut Volume, target: usize) -> bool {
        let path = volume.targets[target].path.clone();
        volume.targets[target].published = MountState::Uncertain;
        let (id, what) = (volume.id.clone(), format!("unpublish at {target}"));
        let done = self.call(&id, what, async |node| node.unpublish(&volume.id, &path).await).await;
        if done.is_some() {
            volume.targets[target].published = MountState::NotMounted;
            self.judge.unpublished(volume, target);
        }
        done.is_some()
    }

    async fn unstage(&self, volume: &mut Volume) {
        let (id, staging) = (volume.id.clone(), volume.staging.clone());
        volume.staged = MountState::Uncertain;
        let done =
            self.call(&id, "unstage".into(), async |node| node.unstage(&volume.id, &staging).await).await;
        if done.is_some() {
            volume.staged = MountState::NotMounted;
            volume.leaving = false;
            self.judge.unstaged(volume);
        }
    }

    /// By a kubelet that has forgotten what is published: refused.
    async fn unstage_too_early(&self, volume: &Volume) {
        let is_shown = |path: &Path| self.testbed.shown().iter().any(|one| one.point == path && one.alive);
        let mut published = volume.targets.iter().filter(|target| target.published == MountState::Mounted);
        if volume.kind == Kind::Raw || !is_shown(&volume.staging) || !published.any(|at| is_shown(&at.path)) {
            return;
        }
        let (id, staging, disturbances) =
            (&volume.id, &volume.staging, self.testbed.disturbances(&volume.id));
        let work = async |node: Node| node.unstage(id, staging).await;
        if self.call(id, "unstage too early".into(), work).await.is_some()
            && self.testbed.disturbances(id) == disturbances
        {
            self.judge.blame(format!("{id} was unstaged while it was published"));
        }
    }

    /// One call of those that take it down. The kubelet unstages after a failed NodeStageVolume, too.
    async fn take_down(&self, volume: &mut Volume, random: &mut Rng) {
        let up = volume.targets.iter().position(|target| target.published != MountState::NotMounted);
        if let Some(target) = up {
            self.unpublish(volume, target).await;
        } else if volume.staged != MountState::NotMounted {
            self.unstage(volume).await;
        }
        if volume.mount_states().all(|state| state == MountState::NotMounted) {
            volume.leaving = false;
            if volume.attached && random.bool() {
                self.detach(volume);
            }
        }
    }

    pub fn detach(&self, volume: &mut Volume) {
        self.history.note(format!("{}: detach", &volume.id[..8]));
        volume.attached = false;
        self.testbed.detach(&volume.id);
    }

    async fn expand(&self, volume: &mut Volume) {
        if volume.size < LARGEST * GROWTH + volume.stated {
            volume.size += GROWTH;
            self.testbed.grow(&volume.id, volume.size);
        }
        self.grow(volume).await;
    }

    pub async fn grow(&self, volume: &Volume) -> bool {
        let (size, what) = (volume.size, format!("expand to {} MiB", volume.size / MIB));
        let Some(at) = volume.targets.iter().find(|target| target.published == MountState::Mounted) else {
            return true;
        };
        let (path, staging) = (&at.path, Some(volume.staging.as_path()));
        let work = async |node: Node| node.expand(&volume.id, path, staging, Some(size)).await;
        let done = self.call(&volume.id, what, work).await;
        if done.is_some_and(|bytes| bytes < size) {
            self.judge.blame(format!("{} has grown to {done:?} of {size}", volume.id));
        }
        done.is_some()
    }

    /// A pod writes where it may, and what it wrote stays.
    fn write(&self, volume: &mut Volume, target: usize, random: &mut Rng) {
        let at = &volume.targets[target];
        if at.published != MountState::Mounted || at.read_only {
            return;
        }
        let shown = self.testbed.shown();
        let is_its =
            |one: &&Shown| one.point == at.path && one.alive && one.volume.as_ref() == Some(&volume.id);
        let Some(one) = shown.iter().rev().find(is_its) else { return };
        volume.words = format!("{} {}", &volume.id[..8], random.u16(..));
        self.testbed.write(one, &volume.words);
    }

    /// Nothing goes wrong any more: what was to be staged is, then down, up, grown, read, down.
    pub async fn conclude(&self, volumes: &mut [Volume], random: &mut Rng) {
        for volume in &mut *volumes {
            volume.leaving |= volume.targets.iter().any(|target| target.published != MountState::NotMounted);
        }
        self.bring_down(volumes, random).await;
        for volume in &mut *volumes {
            if volume.attached && volume.staged != MountState::NotMounted {
                self.stage_at_last(volume).await;
            }
            volume.leaving = true;
        }
        self.bring_down(volumes, random).await;
        self.judge.clean(volumes);
        for volume in &mut *volumes {
            self.bring_up(volume).await;
        }
        self.judge.look(volumes);
        for volume in &mut *volumes {
            volume.leaving = true;
        }
        self.bring_down(volumes, random).await;
        self.judge.clean(volumes);
    }

    /// Those that are to leave.
    async fn bring_down(&self, volumes: &mut [Volume], random: &mut Rng) {
        for _ in 0..PATIENCE {
            if volumes.iter().all(|volume| !volume.leaving) {
                return;
            }
            for volume in volumes.iter_mut().filter(|volume| volume.leaving) {
                self.take_down(volume, random).await;
            }
            pace::sleep(self.rest.min(Duration::from_secs(1))).await;
        }
    }

    async fn stage_at_last(&self, volume: &mut Volume) {
        volume.staged = MountState::Uncertain;
        for _ in 0..PATIENCE {
            self.stage(volume).await;
            if volume.staged == MountState::Mounted {
                return;
            }
            pace::sleep(self.rest.min(Duration::from_secs(1))).await;
        }
        self.judge.blame(format!("{} could not be staged", volume.id));
    }

    async fn bring_up(&self, volume: &mut Volume) {
        volume.leaving = false;
        if volume.attached {
            self.detach(volume);
        }
        self.attach(volume);
        self.stage_at_last(volume).await;
        for target in 0..volume.targets.len() {
            self.publish(volume, target).await;
        }
        let is_up = volume.mount_states().all(|state| state == MountState::Mounted);
        if !is_up || !self.grow(volume).await {
            self.judge.blame(format!("{} could not be brought up", volume.id));
        }
    }
}
