//! The same on loop devices: the real file systems and mounts, and their real tools. Needs root.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use cinder_csi::node::{FsType, Host, Linux, Settings};
use cinder_csi::pace;
use fastrand::Rng;

use super::bed::{self, Bed};
use super::disk::MIB;
use super::history::History;
use super::kubelet::{Kubelet, Pace};
use super::loop_disk::{LoopDisk, number_of};
use super::testbed::{Shown, Testbed};
use super::volume::{Kind, Volume};
use super::{frame, play, volumes};

/// Loop devices of one machine; in half of the seeds each has a serial, as a disk of virtio-blk has.
#[derive(Clone)]
struct LoopTestbed(Arc<Inner>);

struct Inner {
    /// Before the bed: its directory has the files.
    state: Mutex<State>,
    bed: Bed,
    history: History,
    has_serials: bool,
}

struct State {
    random: Rng,
    disks: BTreeMap<String, LoopDisk>,
    /// No volume's: blank, and smaller than all.
    alien: LoopDisk,
    attached: BTreeMap<String, bool>,
    disturbances: BTreeMap<String, u32>,
    happened: BTreeMap<String, usize>,
    is_calm: bool,
    broken: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
enum Disturbance {
    Unplug,
    Swap,
    Mislink,
    Sicken,
    Unmount,
}

const DISTURBANCES: [Disturbance; 5] =
    [Disturbance::Unplug, Disturbance::Swap, Disturbance::Mislink, Disturbance::Sicken, Disturbance::Unmount];

/// Milliseconds until something befalls a disk, and until that is over: the driver waits for a disk in real time.
const SOON: u64 = 600;
const OVER: u64 = 1500;

impl LoopTestbed {
    fn new(bed: Bed, volumes: &[Volume], mut random: Rng, history: History) -> Self {
        fs::create_dir_all(bed.path("kubelet")).unwrap();
        let has_serials = random.bool();
        let mut alien = LoopDisk::new(bed.path("alien"), 64 * MIB);
        alien.plug(&free_device());
        let disk = |volume: &Volume| (volume.id.clone(), LoopDisk::new(bed.path(&volume.id), volume.size));
        let disks = volumes.iter().map(disk).collect();
        let (attached, disturbances, happened) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let broken = Vec::new();
        let state = State { random, disks, alien, attached, disturbances, happened, is_calm: false, broken };
        Self(Arc::new(Inner { state: Mutex::new(state), bed, history, has_serials }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    fn note(&self, volume: &str, what: &str) {
        self.0.history.note(format!("{}: {what}", &volume[..8]));
    }

    /// Later, unless it's calm by then.
    fn later(&self, most: u64, act: impl FnOnce(&Self) + Send + 'static) {
        let (testbed, after) = (self.clone(), self.state().random.u64(..most));
        tokio::spawn(async move {
            pace::sleep(Duration::from_millis(after)).await;
            if !testbed.state().is_calm {
                act(&testbed);
            }
        });
    }

    fn path_of_link(&self, volume: &str) -> PathBuf {
        self.0.bed.path("dev").join(format!("virtio-{}", &volume[..20]))
    }

    fn device(&self, volume: &str) -> Option<PathBuf> {
        self.state().disks[volume].device().map(Path::to_owned)
    }

    fn link_to(&self, volume: &str, device: Option<PathBuf>) {
        let link = self.path_of_link(volume);
        let _ = fs::remove_file(&link);
        if let Some(device) = device {
            symlink(device, link).unwrap();
        }
    }

    /// To its own disk.
    fn link(&self, volume: &str) {
        self.link_to(volume, self.device(volume));
    }

    fn plug(&self, volume: &str) {
        let mut state = self.state();
        if !state.attached.get(volume).is_some_and(|is| *is) || state.disks[volume].device().is_some() {
            return;
        }
        let device = free_device();
        self.note(volume, &format!("plugged as {}", device.display()));
        heal(&mut state, volume);
        state.disks.get_mut(volume).unwrap().plug(&device);
    }

    /// It's plugged, perhaps not readable yet, and udev is late.
    fn come(&self, volume: &str) {
        self.plug(volume);
        if self.state().random.u8(..3) == 0 {
            self.befall(Disturbance::Sicken, volume);
        }
        let volume = volume.to_owned();
        self.later(SOON, move |testbed| testbed.link(&volume));
    }

    fn unplug(&self, volume: &str) -> bool {
        self.state().disks.get_mut(volume).unwrap().unplug()
    }

    /// What is attached is there, well, as large as promised, and linked.
    fn mend(&self, volume: &str) {
        self.plug(volume);
        heal(&mut self.state(), volume);
        self.state().disks.get_mut(volume).unwrap().resize();
        self.link(volume);
    }

    fn befall(&self, disturbance: Disturbance, volume: &str) {
        let happened = match disturbance {
            Disturbance::Unplug => self.pull(volume),
            Disturbance::Swap => self.swap(),
            Disturbance::Mislink => self.mislink(volume),
            Disturbance::Sicken => self.state().disks.get_mut(volume).unwrap().sicken(),
            Disturbance::Unmount => self.unmount(volume),
        };
        if happened {
            self.note(volume, &format!("{disturbance:?}"));
            *self.state().disturbances.entry(volume.to_owned()).or_default() += 1;
            *self.state().happened.entry(format!("{disturbance:?}")).or_default() += 1;
            let volumes: Vec<_> = self.state().disks.keys().cloned().collect();
            self.later(OVER, move |testbed| volumes.iter().for_each(|volume| testbed.mend(volume)));
        }
    }

    /// Its link may stay for a while, where a serial tells which disk comes next under that name.
    fn pull(&self, volume: &str) -> bool {
        let is_stale = self.0.has_serials && self.state().random.bool();
        let is_gone = self.unplug(volume);
        if is_gone && !is_stale {
            self.link_to(volume, None);
        }
        is_gone
    }

    /// The disks come back under each other's names, and the links lag behind.
    fn swap(&self) -> bool {
        let names: Vec<_> = self.state().disks.keys().cloned().collect();
        if !self.0.has_serials || !names.iter().all(|name| self.unplug(name)) {
            return false;
        }
        for name in names.iter().rev() {
            *self.state().disturbances.entry(name.clone()).or_default() += 1;
            self.plug(name);
        }
        true
    }

    /// Without serials only the size tells that it's another disk.
    fn mislink(&self, volume: &str) -> bool {
        let alien = self.state().alien.device().map(Path::to_owned);
        let other = self.state().disks.keys().find(|other| *other != volume).cloned();
        let other = other.and_then(|other| self.device(&other)).filter(|_| self.0.has_serials);
        self.link_to(volume, other.or(alien));
        true
    }

    /// Someone unmounts it at one place, behind the driver.
    fn unmount(&self, volume: &str) -> bool {
        let shown = self.shown();
        let Some(one) = shown.iter().find(|one| one.volume.as_deref() == Some(volume)) else { return false };
        bed::run("umount", &["--lazy", one.point.to_str().unwrap()]);
        true
    }

    /// The volume whose disk has this number, `7:1000`.
    fn numbered(&self, number: &str) -> Option<String> {
        let state = self.state();
        let found = state.disks.iter().find(|(_, disk)| disk.number().as_deref() == Some(number));
        found.map(|(volume, _)| volume.clone())
    }

    fn shown_by(&self, line: &str) -> Option<Shown> {
        let fields: Vec<_> = line.split(' ').collect();
        let point = PathBuf::from(fields[4]);
        if !point.starts_with(self.0.bed.path("kubelet")) {
            return None;
        }
        let found = fs::metadata(&point).unwrap();
        let is_block = !found.is_dir();
        let number = if is_block { Some(number_of(found.rdev())) } else { disk_of(&fields) };
        let volume = number.and_then(|number| self.numbered(&number));
        let read_only = fields[5].split(',').any(|option| option == "ro");
        Some(Shown { alive: volume.is_some(), volume, point, is_block, read_only })
    }
}

/// The number of the disk that a line of mountinfo is about: that of a btrfs is nobody's, and its source is named.
fn disk_of(fields: &[&str]) -> Option<String> {
    let dash = fields.iter().position(|field| *field == "-")?;
    if fields[dash + 1] != "btrfs" {
        return Some(fields[2].to_owned());
    }
    Some(number_of(fs::metadata(fields[dash + 2]).ok()?.rdev()))
}

/// The lowest free one: a name passes to the next disk.
/// Beyond those that `losetup --find` gives to others, and those of another run beside this one. The kernel counts to 2^20.
fn free_device() -> PathBuf {
    let first = 1000 + std::process::id() % 10_000 * 100;
    let device = |number| PathBuf::from(format!("/dev/loop{number}"));
    (first..).map(device).find(|device| !device.exists()).unwrap()
}

fn heal(state: &mut State, volume: &str) {
    if !state.disks.get_mut(volume).unwrap().heal() {
        state.broken.push(format!("{volume} was written to while it couldn't be read"));
    }
}

impl Testbed for LoopTestbed {
    fn host(&self) -> Arc<dyn Host> {
        Arc::new(Linux::default())
    }

    fn settings(&self) -> Settings {
        Settings { device_dir: self.0.bed.path("dev"), rescan_on_resize: false }
    }

    fn serial(&self, file: &Path) -> Option<Vec<u8>> {
        let disk = file.strip_prefix("/sys/dev/block").or_else(|_| file.strip_prefix("/sys/block")).ok()?;
        let disk = disk.to_str()?.strip_suffix("/serial").filter(|_| self.0.has_serials)?;
        let number = disk.replace("loop", "7:");
        let serial = self.numbered(&number).map(|volume| volume[..20].to_owned());
        let serial = serial.or_else(|| number.starts_with("7:").then(|| "alien".to_owned()));
        serial.map(String::into_bytes)
    }

    fn owner(&self, device: &Path) -> Option<String> {
        let state = self.state();
        let found = state.disks.iter().find(|(_, disk)| disk.device() == Some(device));
        found
            .map(|(volume, _)| volume.clone())
            .or_else(|| device.starts_with("/dev").then(|| "no one".into()))
    }

    fn shown(&self) -> Vec<Shown> {
        let text = fs::read_to_string("/proc/self/mountinfo").unwrap();
        text.lines().filter_map(|line| self.shown_by(line)).collect()
    }

    fn is_there(&self, path: &Path) -> bool {
        path.exists()
    }

    /// Past this process, see [`bed::write`].
    fn write(&self, shown: &Shown, words: &str) {
        if !shown.is_block {
            return bed::write(&shown.point.join("words"), words);
        }
        let script =
            "printf %-64s \"$2\" | dd of=\"$1\" seek=1M oflag=seek_bytes conv=notrunc,fsync status=none";
        bed::run("sh", &["-c", script, "sh", self.raw(shown).to_str().unwrap(), words]);
    }

    fn words(&self, shown: &Shown) -> String {
        if !shown.is_block {
            let file = shown.point.join("words");
            return if file.exists() { bed::read(&file) } else { String::new() };
        }
        let script = "dd if=\"$1\" skip=1M iflag=skip_bytes,count_bytes count=64 status=none | tr -d '\\0'";
        bed::run("sh", &["-c", script, "sh", self.raw(shown).to_str().unwrap()]).trim().to_owned()
    }

    fn attach(&self, volume: &str) {
        self.state().attached.insert(volume.to_owned(), true);
        let (is_calm, volume) = (self.state().is_calm, volume.to_owned());
        if is_calm {
            return self.mend(&volume);
        }
        // What an earlier disk's link leads to now: only a serial tells.
        if self.0.has_serials && self.state().random.bool() {
            self.befall(Disturbance::Mislink, &volume);
        }
        self.later(OVER, move |testbed| testbed.come(&volume));
    }

    /// An orphan may still have the disk.
    fn detach(&self, volume: &str) {
        self.state().attached.insert(volume.to_owned(), false);
        self.unplug(volume);
        self.link_to(volume, None);
    }

    fn grow(&self, volume: &str, size: u64) {
        self.state().disks.get_mut(volume).unwrap().size = size;
        let volume = volume.to_owned();
        self.later(OVER, move |testbed| testbed.state().disks.get_mut(&volume).unwrap().resize());
    }

    fn disturbances(&self, volume: &str) -> u32 {
        self.state().disturbances.get(volume).copied().unwrap_or(0)
    }

    fn strike(&self, volume: &str) {
        let (disturbance, volume) =
            (DISTURBANCES[self.state().random.usize(..DISTURBANCES.len())], volume.to_owned());
        self.later(SOON, move |testbed| testbed.befall(disturbance, &volume));
    }

    /// Its children go on.
    fn died(&self) {}

    /// Mounts are gone. An orphan may still have a disk.
    fn reboot(&self) {
        for one in self.shown().iter().rev() {
            bed::run("umount", &[one.point.to_str().unwrap()]);
        }
    }

    fn calm(&self) {
        self.state().is_calm = true;
        let volumes: Vec<_> = self.state().disks.keys().cloned().collect();
        volumes.iter().for_each(|volume| self.mend(volume));
    }

    fn broken(&self) -> Vec<String> {
        self.state().broken.clone()
    }
}

impl LoopTestbed {
    /// Where the bytes of a raw disk are: what can't be read is still there.
    fn raw(&self, shown: &Shown) -> PathBuf {
        let state = self.state();
        let disk = shown.volume.as_ref().and_then(|volume| state.disks.get(volume));
        disk.filter(|disk| disk.is_sick()).map_or_else(|| shown.point.clone(), LoopDisk::bytes)
    }
}

/// An orphaned mkfs ends while the kubelet asks in vain.
const PACE: Pace = Pace { rest: Duration::from_millis(300), lateness: Duration::from_secs(30) };

const KINDS: [Kind; 4] = [Kind::Fs(FsType::Ext4), Kind::Fs(FsType::Xfs), Kind::Fs(FsType::Btrfs), Kind::Raw];

#[test]
fn loop_seeds_leave_the_real_machine_as_was_asked() {
    let (first, count) = (frame::number("SEED", 1), frame::number("LOOP_SEEDS", 6));
    for seed in first..first + count {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let shown = runtime.block_on(async {
            let mut random = Rng::with_seed(seed);
            let (bed, history) = (Bed::new(), History::new(true));
            let volumes = volumes(&mut random, &KINDS, &bed.path("kubelet"), [384, 320]);
            let testbed = Arc::new(LoopTestbed::new(bed, &volumes, random.fork(), history.clone()));
            let kubelet = Kubelet::new(testbed.clone(), history, random.fork(), PACE);
            let shown = play(seed, kubelet, volumes, random).await;
            println!("seed {seed}: {:?}, {:?}", shown.figures, testbed.state().happened);
            shown
        });
        let history = shown.history.join("\n");
        assert!(shown.broken.is_empty(), "{history}\nSEED={seed}:\n{}", shown.broken.join("\n"));
    }
}
