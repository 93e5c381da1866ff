//! The driver dies at any call of the host: before it, after it, or in its middle.

use std::ffi::OsString;
use std::future::ready;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cinder_csi::node::{Command, Hold, Host, MountCall, MountKind, Output, Reply, Stat, Statfs, Uevents};
use cinder_csi::pace;
use fastrand::Rng;
use tokio::time::Instant;

use super::history::History;
use super::judge::Judge;
use super::testbed::Testbed;

/// One life of the driver.
pub struct Life {
    random: Mutex<Rng>,
    is_mortal: AtomicBool,
    is_dead: AtomicBool,
    /// Reads and programs that haven't ended, and when the last one did.
    waits: Mutex<(usize, Instant)>,
    history: History,
    judge: Arc<Judge>,
}

/// The host as the driver has it for a life.
pub struct Mortal {
    pub below: Arc<dyn Host>,
    pub testbed: Arc<dyn Testbed>,
    pub life: Arc<Life>,
}

enum Fate {
    Before,
    During(Duration),
    After,
}

/// One call of so many is the last: of those that look, of those that change something, of the thirty reads of one look at a disk.
const OFTEN: u32 = 200;
const GRAVELY: u32 = 12;
const RARELY: u32 = 1500;

impl Life {
    pub fn new(random: Rng, is_mortal: bool, history: History, judge: Arc<Judge>) -> Arc<Self> {
        let (random, is_mortal) = (Mutex::new(random), AtomicBool::new(is_mortal));
        let waits = Mutex::new((0, Instant::now()));
        Arc::new(Self { random, is_mortal, is_dead: AtomicBool::new(false), waits, history, judge })
    }

    pub fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::Relaxed)
    }

    /// Whether a disk or a program keeps it waiting, or did a moment ago.
    pub fn is_waiting(&self) -> bool {
        let (waits, ended) = *self.waits.lock().unwrap();
        waits > 0 || ended.elapsed() < Duration::from_millis(100)
    }

    /// What may take long.
    async fn long<T>(self: Arc<Self>, call: impl Future<Output = T>) -> T {
        self.waits.lock().unwrap().0 += 1;
        let ended = call.await;
        let mut waits = self.waits.lock().unwrap();
        *waits = (waits.0 - 1, Instant::now());
        ended
    }

    pub fn end(&self) {
        self.is_dead.store(true, Ordering::Relaxed);
    }

    pub fn spare(&self) {
        self.is_mortal.store(false, Ordering::Relaxed);
    }

    fn fate(&self, odds: u32) -> Option<Fate> {
        let mut random = self.random.lock().unwrap();
        if !self.is_mortal.load(Ordering::Relaxed) || random.u32(..odds) > 0 {
            return None;
        }
        Some(match random.u8(..3) {
            0 => Fate::Before,
            1 => Fate::After,
            _ => Fate::During(Duration::from_millis(random.u64(..200))),
        })
    }

    /// Unwinds the task, as a process ends: all that it holds is let go. No panic hook is run.
    fn die(&self, verb: &str) -> ! {
        if !self.is_dead() {
            self.history.note(format!("the driver dies at {verb}"));
        }
        self.end();
        std::panic::resume_unwind(Box::new("the driver died"))
    }

    async fn call<T>(self: Arc<Self>, verb: String, odds: u32, reply: Reply<T>) -> std::io::Result<T> {
        if self.is_dead() {
            self.die(&verb);
        }
        match self.fate(odds) {
            None => {
                let answer = reply.await;
                if self.is_dead() { self.die(&verb) } else { answer }
            }
            Some(Fate::Before) => self.die(&format!("{verb}, not begun")),
            Some(Fate::After) => {
                let _ = reply.await;
                self.die(&format!("{verb}, ended"))
            }
            Some(Fate::During(time)) => {
                tokio::select! {
                    biased;
                    _ = reply => self.die(&format!("{verb}, ended")),
                    () = pace::sleep(time) => self.die(&format!("{verb}, begun")),
                }
            }
        }
    }
}

impl Mortal {
    fn often<T: Send + 'static>(&self, verb: &str, reply: Reply<T>) -> Reply<T> {
        Box::pin(self.life.clone().call(verb.to_owned(), OFTEN, reply))
    }

    /// What may change `disk` is seen by the judge, before and after.
    fn watched<T: Send + 'static>(&self, verb: String, disk: &Path, reply: Reply<T>) -> Reply<T> {
        let (life, disk) = (self.life.clone(), disk.to_owned());
        Box::pin(async move {
            life.judge.touched(&disk, &verb);
            life.history.note(format!("  {verb}"));
            let answer = life.clone().call(verb.clone(), GRAVELY, reply).await;
            life.judge.touched(&disk, &verb);
            if let Err(error) = &answer {
                life.history.note(format!("  {verb}: {error}"));
            }
            answer
        })
    }
}

/// The commands that only look.
const LOOKS: [&str; 1] = ["blkid"];

impl Host for Mortal {
    fn mount(&self, mount: MountCall) -> Reply<()> {
        let (source, target) = (mount.source.clone(), mount.target.display());
        let kind = if mount.kind == MountKind::Bind { "bind" } else { "mount" };
        let verb = format!("{kind} {} at {target}", source.display());
        self.watched(verb, &source, self.below.mount(mount))
    }

    fn unmount(&self, point: &Path, lazy: bool) -> Reply<()> {
        let verb = format!("unmount {}{}", point.display(), if lazy { " lazily" } else { "" });
        self.watched(verb, Path::new(""), self.below.unmount(point, lazy))
    }

    fn mountinfo(&self) -> Reply<Vec<u8>> {
        self.often("mountinfo", self.below.mountinfo())
    }

    fn run(&self, command: Command) -> Reply<Output> {
        if LOOKS.contains(&command.program) {
            let look = self.often(command.program, self.below.run(command));
            return Box::pin(self.life.clone().long(look));
        }
        let disk = PathBuf::from(command.arguments.last().cloned().unwrap_or_default());
        let arguments: Vec<_> = command.arguments.iter().map(|text| text.to_string_lossy()).collect();
        let verb = format!("{} {}", command.program, arguments.join(" "));
        let (life, program) = (self.life.clone(), command.program);
        let ran = self.watched(verb, &disk, self.below.run(command));
        Box::pin(async move {
            let output = life.clone().long(ran).await?;
            life.history.note(format!("  {program} ended with {:?} {}", output.code, output.stderr.trim()));
            if program.starts_with("mkfs") && output.code == Some(0) {
                life.judge.formatted(&disk);
            }
            Ok(output)
        })
    }

    fn statfs(&self, path: &Path) -> Reply<Statfs> {
        self.often("statfs", self.below.statfs(path))
    }

    fn stat(&self, path: &Path) -> Reply<Stat> {
        self.often("stat", self.below.stat(path))
    }

    fn canonical(&self, path: &Path) -> Reply<PathBuf> {
        self.often("canonical", self.below.canonical(path))
    }

    fn list(&self, directory: &Path) -> Reply<Vec<OsString>> {
        self.often("list", self.below.list(directory))
    }

    fn make_directory(&self, path: &Path) -> Reply<()> {
        self.often("make_directory", self.below.make_directory(path))
    }

    fn make_file(&self, path: &Path) -> Reply<()> {
        self.often("make_file", self.below.make_file(path))
    }

    fn remove(&self, path: &Path) -> Reply<()> {
        self.often("remove", self.below.remove(path))
    }

    fn hold(&self, disk: &Path) -> Reply<Hold> {
        self.often("hold", self.below.hold(disk))
    }

    fn is_claimed(&self, disk: &Path) -> Reply<bool> {
        self.often("is_claimed", self.below.is_claimed(disk))
    }

    fn disk_size(&self, disk: &Path) -> Reply<u64> {
        self.often("disk_size", self.below.disk_size(disk))
    }

    fn read_disk(&self, disk: &Path, offset: u64, length: usize) -> Reply<Vec<u8>> {
        let verb = format!("read_disk {} at {offset}", disk.display());
        let read = self.life.clone().call(verb, RARELY, self.below.read_disk(disk, offset, length));
        Box::pin(self.life.clone().long(read))
    }

    fn write_disk(&self, disk: &Path, offset: u64, bytes: Vec<u8>) -> Reply<()> {
        let verb = format!("write {} bytes to {} at {offset}", bytes.len(), disk.display());
        self.watched(verb, disk, self.below.write_disk(disk, offset, bytes))
    }

    fn read(&self, path: &Path) -> Reply<Vec<u8>> {
        let read = match self.testbed.serial(path) {
            Some(serial) => Box::pin(ready(Ok(serial))),
            None => self.below.read(path),
        };
        self.often("read", read)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Reply<()> {
        self.often("write", self.below.write(path, bytes))
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> Reply<()> {
        self.often("replace", self.below.replace(path, bytes))
    }

    fn uevents(&self) -> Reply<Box<dyn Uevents>> {
        self.often("uevents", self.below.uevents())
    }

    fn get(&self, url: &str, timeout: Duration) -> Reply<Vec<u8>> {
        self.often("get", self.below.get(url, timeout))
    }
}
