//! The machine in memory as the driver's host: every verb takes its time, and does what it does at its end.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use cinder_csi::node::{Command, Hold, Host, MountCall, MountKind, Output, Reply, Stat, Statfs, Uevents};
use cinder_csi::pace;
use fastrand::Rng;
use futures_util::future::BoxFuture;
use tokio::sync::broadcast;

use super::programs;
use super::world::{Entry, World};

#[derive(Clone)]
pub struct Machine {
    world: Arc<Mutex<World>>,
    random: Arc<Mutex<Rng>>,
    pub events: broadcast::Sender<()>,
}

/// Keeps a disk's name from passing to another one.
struct Held {
    machine: Machine,
    index: usize,
}

struct Events(broadcast::Receiver<()>);

/// How long a disk that is slow lets a reader wait.
const SLOW: u64 = 20_000;

impl Machine {
    pub fn new(world: World, random: Rng) -> Self {
        let world = Arc::new(Mutex::new(world));
        Self { world, random: Arc::new(Mutex::new(random)), events: broadcast::channel(64).0 }
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    pub async fn work(&self, least: u64, most: u64) {
        let milliseconds = self.random.lock().unwrap().u64(least..=most);
        pace::sleep(Duration::from_millis(milliseconds)).await;
    }

    /// Reads and commands wait where the disk is slow.
    pub async fn wait_for(&self, disk: &Path) {
        let is_slow = self.world().disk(disk).is_ok_and(|disk| disk.slow);
        if is_slow {
            self.work(SLOW / 2, SLOW).await;
        }
    }

    fn soon<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut World) -> io::Result<T> + Send + 'static,
    ) -> Reply<T> {
        let machine = self.clone();
        Box::pin(async move {
            machine.work(0, 2).await;
            act(&mut machine.world())
        })
    }
}

impl Host for Machine {
    fn mount(&self, mount: MountCall) -> Reply<()> {
        self.soon(move |world| match mount.kind {
            MountKind::New { fs, .. } => world.mount(&mount.source, &mount.target, fs, mount.flags.read_only),
            MountKind::Bind => world.bind(&mount.source, &mount.target, mount.flags.read_only),
        })
    }

    fn unmount(&self, point: &Path, lazy: bool) -> Reply<()> {
        let point = point.to_owned();
        self.soon(move |world| world.unmount(&point, lazy))
    }

    fn mountinfo(&self) -> Reply<Vec<u8>> {
        self.soon(|world| Ok(world.mountinfo().into_bytes()))
    }

    /// In a task of its own: a child goes on when the driver dies.
    fn run(&self, command: Command) -> Reply<Output> {
        let machine = self.clone();
        Box::pin(async move {
            tokio::spawn(async move { programs::run(&machine, &command).await })
                .await
                .map_err(io::Error::other)
        })
    }

    fn statfs(&self, _path: &Path) -> Reply<Statfs> {
        self.soon(|_| Err(io::ErrorKind::Unsupported.into()))
    }

    fn stat(&self, path: &Path) -> Reply<Stat> {
        let path = path.to_owned();
        self.soon(move |world| world.stat(&path))
    }

    fn canonical(&self, path: &Path) -> Reply<PathBuf> {
        let path = path.to_owned();
        self.soon(move |world| world.canonical(&path))
    }

    fn list(&self, directory: &Path) -> Reply<Vec<OsString>> {
        let directory = directory.to_owned();
        self.soon(move |world| Ok(world.list(&directory).into_iter().map(OsString::from).collect()))
    }

    fn make_directory(&self, path: &Path) -> Reply<()> {
        let path = path.to_owned();
        self.soon(move |world| world.make(&path, Entry::Directory))
    }

    fn make_file(&self, path: &Path) -> Reply<()> {
        let path = path.to_owned();
        self.soon(move |world| world.make(&path, Entry::File))
    }

    fn remove(&self, path: &Path) -> Reply<()> {
        let path = path.to_owned();
        self.soon(move |world| world.remove(&path))
    }

    fn hold(&self, disk: &Path) -> Reply<Hold> {
        let (machine, disk) = (self.clone(), disk.to_owned());
        self.soon(move |world| {
            let index = world.device(&disk)?;
            let stat = world.stat(&disk)?;
            if let Some(device) = world.devices.get_mut(&index) {
                device.holds += 1;
            }
            Ok(Hold::new(stat, Held { machine, index }))
        })
    }

    fn is_claimed(&self, disk: &Path) -> Reply<bool> {
        let disk = disk.to_owned();
        self.soon(move |world| {
            let index = world.device(&disk)?;
            Ok(world.is_mounted(index) || world.is_exclusive(index))
        })
    }

    fn disk_size(&self, disk: &Path) -> Reply<u64> {
        let disk = disk.to_owned();
        self.soon(move |world| Ok(world.disk(&disk)?.size))
    }

    fn read_disk(&self, disk: &Path, offset: u64, length: usize) -> Reply<Vec<u8>> {
        let (machine, disk) = (self.clone(), disk.to_owned());
        Box::pin(async move {
            machine.wait_for(&disk).await;
            machine.world().disk(&disk)?.read(offset, length)
        })
    }

    fn write_disk(&self, disk: &Path, offset: u64, bytes: Vec<u8>) -> Reply<()> {
        let disk = disk.to_owned();
        self.soon(move |world| {
            world.disk(&disk)?.write(offset, &bytes);
            Ok(())
        })
    }

    fn read(&self, path: &Path) -> Reply<Vec<u8>> {
        let path = path.to_owned();
        self.soon(move |world| world.read(&path))
    }

    fn write(&self, _path: &Path, _bytes: &[u8]) -> Reply<()> {
        self.soon(|_| Err(io::ErrorKind::NotFound.into()))
    }

    fn replace(&self, _path: &Path, _bytes: &[u8]) -> Reply<()> {
        self.soon(|_| Err(io::ErrorKind::NotFound.into()))
    }

    fn uevents(&self) -> Reply<Box<dyn Uevents>> {
        let events = self.events.subscribe();
        self.soon(|_| Ok(Box::new(Events(events)) as Box<dyn Uevents>))
    }

    fn get(&self, _url: &str, _timeout: Duration) -> Reply<Vec<u8>> {
        self.soon(|_| Err(io::ErrorKind::NotFound.into()))
    }
}

impl Uevents for Events {
    fn next(&mut self) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async { self.0.recv().await.map_err(io::Error::other) })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut world = self.machine.world();
        if let Some(device) = world.devices.get_mut(&self.index) {
            device.holds -= 1;
        }
        world.reap();
    }
}
