//! The machine in memory with its hypervisor, and what can befall them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cinder_csi::node::{Host, Settings};
use cinder_csi::pace;
use fastrand::Rng;

use super::disk::{Disk, MIB};
use super::history::History;
use super::machine::Machine;
use super::testbed::{Shown, Testbed};
use super::volume::{Kind, Volume};
use super::world::{BY_ID, Entry, World, node};

pub const KUBELET: &str = "/kubelet";
/// The serial of a virtio disk is cut to this.
const SHORT: usize = 20;
const ORIGIN: &str = "of its origin";

#[derive(Clone)]
pub struct MemoryTestbed {
    machine: Machine,
    history: History,
    state: Arc<Mutex<State>>,
    has_serials: bool,
    has_links: bool,
}

struct State {
    random: Rng,
    disturbances: BTreeMap<String, u32>,
    attached: BTreeMap<String, bool>,
    promised: BTreeMap<String, u64>,
    is_calm: bool,
}

#[derive(Clone, Copy, Debug)]
enum Disturbance {
    Unplug,
    Replug,
    Swap,
    Mislink,
    Sicken,
    Heal,
    Slow,
    Busy,
    Grow,
    Unmount,
}

const DISTURBANCES: [Disturbance; 10] = [
    Disturbance::Unplug,
    Disturbance::Replug,
    Disturbance::Swap,
    Disturbance::Mislink,
    Disturbance::Sicken,
    Disturbance::Heal,
    Disturbance::Slow,
    Disturbance::Busy,
    Disturbance::Grow,
    Disturbance::Unmount,
];

impl MemoryTestbed {
    /// The volumes' disks, and one that is no volume's: blank, and smaller than all.
    pub fn new(volumes: &mut [Volume], mut random: Rng, history: History) -> Self {
        let (has_serials, udev) = (random.u8(..4) > 0, random.bool());
        let mut world = World::default();
        world.paths.insert(KUBELET.into(), Entry::Directory);
        for volume in volumes.iter_mut() {
            world.disks.push(disk(volume, has_serials, &mut random));
        }
        world.disks.push(Disk::new(None, has_serials.then(|| "alien".into()), 64 * MIB));
        world.plug(volumes.len());
        let promised = volumes.iter().map(|volume| (volume.id.clone(), volume.size)).collect();
        let machine = Machine::new(world, random.fork());
        let (disturbances, attached) = (BTreeMap::new(), BTreeMap::new());
        let state = Arc::new(Mutex::new(State { random, disturbances, attached, promised, is_calm: false }));
        Self { machine, history, state, has_serials, has_links: udev || !has_serials }
    }

    fn random(&self, below: u64) -> u64 {
        self.state.lock().unwrap().random.u64(..below)
    }

    /// Later, unless it's calm by then.
    fn later(&self, most: u64, act: impl FnOnce(&Self) + Send + 'static) {
        let (testbed, after) = (self.clone(), self.random(most));
        tokio::spawn(async move {
            pace::sleep(Duration::from_millis(after)).await;
            if !testbed.state.lock().unwrap().is_calm {
                act(&testbed);
            }
        });
    }

    fn place(&self, volume: &str) -> usize {
        let found = self.machine.world().disks.iter().position(|disk| disk.volume.as_deref() == Some(volume));
        found.unwrap()
    }

    fn index(&self, volume: &str) -> Option<usize> {
        let place = self.place(volume);
        self.machine.world().living(place)
    }

    fn is_attached(&self, volume: &str) -> bool {
        self.state.lock().unwrap().attached.get(volume).copied().unwrap_or(false)
    }

    fn plug(&self, volume: &str) {
        if !self.is_attached(volume) || self.index(volume).is_some() {
            return;
        }
        let place = self.place(volume);
        let index = self.machine.world().plug(place);
        self.history.note(format!("{}: plugged as {}", &volume[..8], node(index).display()));
        let _ = self.machine.events.send(());
        let volume = volume.to_owned();
        // udev is late.
        self.later(1500, move |testbed| testbed.link(&volume));
    }

    fn link(&self, volume: &str) {
        let index = self.index(volume).filter(|_| self.has_links);
        let link = format!("virtio-{}", &volume[..SHORT]);
        let mut world = self.machine.world();
        match index {
            Some(index) => drop(world.links.insert(link, node(index))),
            None => drop(world.links.remove(&link)),
        }
    }

    fn unplug(&self, volume: &str, leave_link: bool) {
        let Some(index) = self.index(volume) else { return };
        self.machine.world().unplug(index);
        if !leave_link {
            self.link(volume);
        }
        let _ = self.machine.events.send(());
    }

    /// Its disk has now the size that the cloud promises.
    fn resize(&self, volume: &str) {
        let size = self.state.lock().unwrap().promised[volume];
        let place = self.place(volume);
        let disk = &mut self.machine.world().disks[place];
        disk.size = disk.size.max(size);
        let _ = self.machine.events.send(());
    }

    /// A link that leads elsewhere. Without serials nothing but the size could tell a larger disk from the right one.
    fn mislink(&self, volume: &str) {
        let place = self.place(volume);
        let mut world = self.machine.world();
        let size = world.disks[place].size;
        let may = |disk: &Disk| self.has_serials || disk.size < size;
        let other = world
            .devices
            .iter()
            .find(|(_, device)| device.disk != place && !device.gone && may(&world.disks[device.disk]));
        let Some((index, _)) = other else { return };
        let (link, target) = (format!("virtio-{}", &volume[..SHORT]), node(*index));
        world.links.insert(link, target);
    }

    fn swap(&self) {
        if !self.has_serials {
            return;
        }
        let names: Vec<_> = self.state.lock().unwrap().attached.keys().cloned().collect();
        for volume in &names {
            self.unplug(volume, true);
        }
        let reversed = self.random(2) == 0;
        let order: Vec<_> = if reversed { names.iter().rev().collect() } else { names.iter().collect() };
        for volume in order {
            *self.state.lock().unwrap().disturbances.entry(volume.clone()).or_default() += 1;
            if self.random(4) > 0 {
                self.plug(volume);
            }
        }
    }

    fn befall(&self, disturbance: Disturbance, volume: &str) {
        self.history.note(format!("{}: {disturbance:?}", &volume[..8]));
        if matches!(
            disturbance,
            Disturbance::Unplug | Disturbance::Swap | Disturbance::Sicken | Disturbance::Unmount
        ) {
            *self.state.lock().unwrap().disturbances.entry(volume.to_owned()).or_default() += 1;
        }
        let place = self.place(volume);
        match disturbance {
            Disturbance::Unplug => self.unplug(volume, self.has_serials && self.random(2) == 0),
            Disturbance::Replug => self.plug(volume),
            Disturbance::Swap => self.swap(),
            Disturbance::Mislink => self.mislink(volume),
            Disturbance::Sicken => self.machine.world().disks[place].sick = true,
            Disturbance::Heal => self.heal(place),
            Disturbance::Slow => self.machine.world().disks[place].slow = true,
            Disturbance::Busy => self.occupy(place),
            Disturbance::Grow => self.resize(volume),
            Disturbance::Unmount => self.unmount(place),
        }
    }

    fn heal(&self, place: usize) {
        let disk = &mut self.machine.world().disks[place];
        disk.sick = false;
        disk.slow = false;
        if let Some((fs, words)) = disk.copied.take() {
            disk.write_superblock(fs, false);
            disk.write_words(words);
        }
    }

    /// Someone unmounts it at one place, behind the driver.
    fn unmount(&self, place: usize) {
        let mut world = self.machine.world();
        let Some(index) = world.living(place) else { return };
        let point =
            world.mounts.iter().find(|mount| mount.device == Some(index)).map(|mount| mount.point.clone());
        if let Some(point) = point {
            let _ = world.unmount(&point, true);
        }
    }

    /// Processes work wherever the disk is mounted, for a while; where it's gone meanwhile they hang.
    fn occupy(&self, place: usize) {
        let mut world = self.machine.world();
        let Some(index) = world.living(place) else { return };
        let its = world.mounts.iter().filter(|mount| mount.device == Some(index));
        let points: Vec<_> = its.map(|mount| mount.point.clone()).collect();
        world.busy.extend(points.iter().cloned());
        drop(world);
        self.later(20_000, move |testbed| testbed.machine.world().free(&points));
    }
}

fn disk(volume: &mut Volume, has_serials: bool, random: &mut Rng) -> Disk {
    let length = if random.bool() { SHORT } else { volume.id.len() };
    let serial = has_serials.then(|| volume.id[..length].to_owned());
    let mut disk = Disk::new(Some(volume.id.clone()), serial, volume.size);
    if let (Kind::Fs(fs), true) = (volume.kind, random.u8(..4) == 0) {
        volume.from_data = true;
        volume.words = ORIGIN.into();
        if random.u8(..3) == 0 {
            disk.copied = Some((fs.name(), ORIGIN));
        } else {
            disk.write_superblock(fs.name(), false);
            disk.write_words(ORIGIN);
        }
    }
    disk
}

impl Testbed for MemoryTestbed {
    fn host(&self) -> Arc<dyn Host> {
        Arc::new(self.machine.clone())
    }

    fn settings(&self) -> Settings {
        Settings { device_dir: BY_ID.into(), rescan_on_resize: true }
    }

    fn owner(&self, device: &Path) -> Option<String> {
        let world = self.machine.world();
        let index = world.device(device).ok()?;
        let disk = &world.disks[world.devices.get(&index)?.disk];
        Some(disk.volume.clone().unwrap_or_else(|| "no one".into()))
    }

    fn shown(&self) -> Vec<Shown> {
        let world = self.machine.world();
        let ours = world.mounts.iter().filter(|mount| mount.point.starts_with(KUBELET));
        let shown = ours.map(|mount| {
            let device = mount.device.and_then(|index| world.devices.get(&index));
            Shown {
                point: mount.point.clone(),
                volume: device.and_then(|device| world.disks[device.disk].volume.clone()),
                is_block: mount.fs.is_none(),
                read_only: mount.read_only,
                alive: device.is_some_and(|device| !device.gone),
            }
        });
        shown.collect()
    }

    fn is_there(&self, path: &Path) -> bool {
        self.machine.world().paths.contains_key(path)
    }

    fn write(&self, shown: &Shown, words: &str) {
        let mut world = self.machine.world();
        let index = world.top(&shown.point).and_then(|mount| mount.device);
        if let Some(Ok(disk)) = index.map(|index| world.disk_of(index)) {
            disk.write_words(words);
        }
    }

    fn words(&self, shown: &Shown) -> String {
        let mut world = self.machine.world();
        let index = world.top(&shown.point).and_then(|mount| mount.device);
        match index.map(|index| world.disk_of(index)) {
            Some(Ok(disk)) => disk.words(),
            _ => "nothing: its disk has gone".into(),
        }
    }

    fn attach(&self, volume: &str) {
        self.state.lock().unwrap().attached.insert(volume.to_owned(), true);
        let (volume, is_calm) = (volume.to_owned(), self.state.lock().unwrap().is_calm);
        if is_calm {
            self.plug(&volume);
            self.link(&volume);
        } else {
            self.later(15_000, move |testbed| testbed.plug(&volume));
        }
    }

    fn detach(&self, volume: &str) {
        self.state.lock().unwrap().attached.insert(volume.to_owned(), false);
        self.unplug(volume, false);
    }

    fn grow(&self, volume: &str, size: u64) {
        self.state.lock().unwrap().promised.insert(volume.to_owned(), size);
        let volume = volume.to_owned();
        self.later(30_000, move |testbed| testbed.resize(&volume));
    }

    fn disturbances(&self, volume: &str) -> u32 {
        self.state.lock().unwrap().disturbances.get(volume).copied().unwrap_or(0)
    }

    fn strike(&self, volume: &str) {
        let (disturbance, volume) =
            (DISTURBANCES[self.random(DISTURBANCES.len() as u64) as usize], volume.to_owned());
        self.later(8000, move |testbed| testbed.befall(disturbance, &volume));
    }

    fn died(&self) {
        if self.random(2) == 0 {
            self.history.note("the driver's children die with it");
            self.machine.world().processes.clear();
        }
        self.machine.world().reap();
    }

    fn reboot(&self) {
        let mut world = self.machine.world();
        world.processes.clear();
        world.mounts.clear();
        world.busy.clear();
        world.reap();
    }

    fn calm(&self) {
        self.state.lock().unwrap().is_calm = true;
        let points: Vec<_> = self.machine.world().busy.iter().cloned().collect();
        self.machine.world().free(&points);
        let volumes: Vec<_> = self.state.lock().unwrap().promised.keys().cloned().collect();
        for volume in volumes {
            self.heal(self.place(&volume));
            self.resize(&volume);
            self.plug(&volume);
            self.link(&volume);
        }
    }

    fn broken(&self) -> Vec<String> {
        self.machine.world().broken.clone()
    }
}
