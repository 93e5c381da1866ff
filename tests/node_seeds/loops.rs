//! The same on loop devices: the real file systems and mounts, and their real tools. Needs root.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cinder_csi::node::{Host, Linux, Settings};
use fastrand::Rng;

use super::bed::{self, Bed, Disk};
use super::ground::{Ground, Shown};
use super::history::History;
use super::kubelet::{Kubelet, Pace};
use super::volume::Volume;
use super::{frame, play, volumes};

/// Loop devices have no serial: a link and the size tell a disk. They stay where they are.
struct Loops {
    bed: Bed,
    disks: Mutex<BTreeMap<String, Disk>>,
}

impl Loops {
    fn new(bed: Bed, volumes: &[Volume]) -> Self {
        fs::create_dir_all(bed.path("kubelet")).unwrap();
        let disk = |volume: &Volume| (volume.id.clone(), bed.unlinked(&volume.id, volume.size, |_| {}));
        let disks = Mutex::new(volumes.iter().map(disk).collect());
        Self { bed, disks }
    }

    fn link(&self, volume: &str) -> PathBuf {
        self.bed.path("dev").join(format!("virtio-{}", &volume[..20]))
    }

    fn disk(&self, volume: &str) -> Disk {
        self.disks.lock().unwrap()[volume].clone()
    }

    /// The volume whose disk has this number, `7:3`.
    fn numbered(&self, number: &str) -> Option<String> {
        let disks = self.disks.lock().unwrap();
        let has = |disk: &Disk| number_of(fs::metadata(&disk.device).unwrap().rdev()) == number;
        disks.iter().find(|(_, disk)| has(disk)).map(|(volume, _)| volume.clone())
    }

    fn shown_by(&self, line: &str) -> Option<Shown> {
        let fields: Vec<_> = line.split(' ').collect();
        let point = PathBuf::from(fields[4]);
        if !point.starts_with(self.bed.path("kubelet")) {
            return None;
        }
        let found = fs::metadata(&point).unwrap();
        let is_block = !found.is_dir();
        let number = if is_block { number_of(found.rdev()) } else { fields[2].to_owned() };
        let read_only = fields[5].split(',').any(|option| option == "ro");
        Some(Shown { volume: self.numbered(&number), point, is_block, read_only, alive: true })
    }
}

fn number_of(device: u64) -> String {
    format!("{}:{}", nix::sys::stat::major(device), nix::sys::stat::minor(device))
}

impl Ground for Loops {
    fn host(&self) -> Arc<dyn Host> {
        Arc::new(Linux::default())
    }

    fn settings(&self) -> Settings {
        Settings { device_dir: self.bed.path("dev"), rescan_on_resize: false }
    }

    fn owner(&self, device: &Path) -> Option<String> {
        let disks = self.disks.lock().unwrap();
        let found = disks.iter().find(|(_, disk)| disk.device == device).map(|(volume, _)| volume.clone());
        found.or_else(|| device.starts_with("/dev").then(|| "no one".into()))
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
        bed::run("sh", &["-c", script, "sh", shown.point.to_str().unwrap(), words]);
    }

    fn words(&self, shown: &Shown) -> String {
        if !shown.is_block {
            let file = shown.point.join("words");
            return if file.exists() { bed::read(&file) } else { String::new() };
        }
        let script = "dd if=\"$1\" skip=1M iflag=skip_bytes,count_bytes count=64 status=none | tr -d '\\0'";
        bed::run("sh", &["-c", script, "sh", shown.point.to_str().unwrap()]).trim().to_owned()
    }

    fn attach(&self, volume: &str) {
        let _ = symlink(self.disk(volume).device, self.link(volume));
    }

    fn detach(&self, volume: &str) {
        fs::remove_file(self.link(volume)).unwrap();
    }

    fn grow(&self, volume: &str, size: u64) {
        self.disks.lock().unwrap().get_mut(volume).unwrap().grow(size);
    }

    fn blows(&self, _volume: &str) -> u32 {
        0
    }

    fn strike(&self, _volume: &str) {}

    /// Its children go on.
    fn died(&self) {}

    /// Mounts are gone. An orphan may still have a disk.
    fn reboot(&self) {
        for one in self.shown().iter().rev() {
            bed::run("umount", &[one.point.to_str().unwrap()]);
        }
    }

    fn calm(&self) {}

    fn broken(&self) -> Vec<String> {
        Vec::new()
    }
}

/// An orphaned mkfs ends while the kubelet asks in vain.
const PACE: Pace = Pace { rest: Duration::from_millis(300), lateness: Duration::from_secs(30) };

#[test]
fn loop_seeds_leave_the_real_machine_as_was_asked() {
    let (first, count) = (frame::number("SEED", 1), frame::number("LOOP_SEEDS", 4));
    for seed in first..first + count {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let shown = runtime.block_on(async {
            let mut random = Rng::with_seed(seed);
            let (bed, history) = (Bed::new(), History::new(true));
            let volumes = volumes(&mut random, &bed.path("kubelet"), [384, 320]);
            let ground = Arc::new(Loops::new(bed, &volumes));
            let kubelet = Kubelet::new(ground, history, random.fork(), PACE);
            play(seed, kubelet, volumes, random).await
        });
        println!(
            "seed {seed}: {} calls, {} cut off by death",
            shown.figure("calls"),
            shown.figure("cut off by death")
        );
        let history = shown.history.join("\n");
        assert!(shown.broken.is_empty(), "{history}\nSEED={seed}:\n{}", shown.broken.join("\n"));
    }
}
