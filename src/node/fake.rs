//! A machine in memory for unit tests: sysfs, links, disks, events and mounts as they're put there.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::broadcast;

use super::host::{Command, FileKind, Hold, Host, MountCall, Number, Output, Reply, Stat, Statfs, Uevents};

#[derive(Clone)]
pub(super) struct Fake {
    world: Arc<Mutex<World>>,
    events: broadcast::Sender<()>,
}

#[derive(Default)]
pub(super) struct World {
    pub files: BTreeMap<PathBuf, Vec<u8>>,
    pub links: BTreeMap<PathBuf, PathBuf>,
    pub disks: BTreeMap<PathBuf, (Number, u64)>,
    pub mounts: Vec<String>,
    /// Paths at which statfs never answers, and a read and a mkdir fail, until they're unmounted.
    pub hung: Vec<PathBuf>,
    /// Disks that someone has for himself.
    pub claimed: Vec<PathBuf>,
    /// Mount points that only a lazy unmount frees.
    pub busy: Vec<PathBuf>,
    /// What was done, one line each.
    pub done: Vec<String>,
}

struct Events(broadcast::Receiver<()>);

impl Default for Fake {
    fn default() -> Self {
        let fake = Self { world: Arc::default(), events: broadcast::channel(16).0 };
        fake.plug("vda", 0, 9 << 30, &[("serial", b"the-root-disk")]);
        fake
    }
}

impl Fake {
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// Plugs a disk in, with what it says of itself in sysfs.
    pub fn plug(&self, name: &str, minor: u64, size: u64, sysfs: &[(&str, &[u8])]) {
        let number = Number { major: 252, minor };
        let mut world = self.world();
        world.disks.insert(Path::new("/dev").join(name), (number, size));
        for directory in [format!("/sys/block/{name}"), format!("/sys/dev/block/{number}")] {
            let directory = Path::new(&directory);
            world.files.insert(directory.join("size"), (size / 512).to_string().into());
            for (file, bytes) in sysfs {
                world.files.insert(directory.join(file), bytes.to_vec());
            }
        }
        world.links.insert(format!("/sys/dev/block/{number}").into(), format!("/sys/block/{name}").into());
        drop(world);
        let _ = self.events.send(());
    }

    pub fn link(&self, link: &str, target: &str) {
        self.world().links.insert(link.into(), target.into());
    }
}

fn ready<T: Send + 'static>(answer: io::Result<T>) -> Reply<T> {
    Box::pin(std::future::ready(answer))
}

fn missing<T>() -> io::Result<T> {
    Err(io::ErrorKind::NotFound.into())
}

impl World {
    fn exists(&self, path: &Path) -> bool {
        self.disks.contains_key(path)
            || self.files.keys().chain(self.links.keys()).any(|known| known.starts_with(path))
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        match self.disks.get(path) {
            Some((number, _)) => Ok(Stat { kind: FileKind::BlockDevice(*number) }),
            None if self.exists(path) => Ok(Stat { kind: FileKind::Directory }),
            None => missing(),
        }
    }
}

impl Host for Fake {
    fn mount(&self, mount: MountCall) -> Reply<()> {
        self.world().done.push(format!("mount {}", mount.target.display()));
        ready(Ok(()))
    }

    fn unmount(&self, point: &Path, lazy: bool) -> Reply<()> {
        let mut world = self.world();
        if !lazy && world.busy.iter().any(|busy| busy == point) {
            return ready(Err(io::ErrorKind::ResourceBusy.into()));
        }
        world.done.push(format!("unmount {}{}", point.display(), if lazy { " lazily" } else { "" }));
        world.hung.retain(|hung| hung != point);
        let ours = format!(" {} ", point.display());
        let last = world.mounts.iter().rposition(|line| line.contains(&ours));
        if let Some(last) = last {
            world.mounts.remove(last);
        }
        ready(Ok(()))
    }

    fn mountinfo(&self) -> Reply<Vec<u8>> {
        ready(Ok(self.world().mounts.join("\n").into_bytes()))
    }

    fn run(&self, command: Command) -> Reply<Output> {
        self.world().done.push(format!("run {}", command.program));
        ready(missing())
    }

    fn statfs(&self, path: &Path) -> Reply<Statfs> {
        let mut world = self.world();
        world.done.push(format!("statfs {}", path.display()));
        if world.hung.iter().any(|hung| hung == path) {
            return Box::pin(std::future::pending());
        }
        ready(missing())
    }

    fn stat(&self, path: &Path) -> Reply<Stat> {
        ready(self.world().stat(path))
    }

    fn canonical(&self, path: &Path) -> Reply<PathBuf> {
        let world = self.world();
        let path = world.links.get(path).map_or(path, PathBuf::as_path);
        ready(if world.exists(path) { Ok(path.to_owned()) } else { missing() })
    }

    fn list(&self, directory: &Path) -> Reply<Vec<OsString>> {
        let world = self.world();
        let known = world.files.keys().chain(world.links.keys()).chain(world.disks.keys());
        let mut names: Vec<_> = known
            .filter_map(|path| path.strip_prefix(directory).ok()?.components().next())
            .map(|name| name.as_os_str().to_owned())
            .collect();
        names.sort();
        names.dedup();
        ready(Ok(names))
    }

    fn make_directory(&self, path: &Path) -> Reply<()> {
        let is_hung = self.world().hung.iter().any(|hung| hung == path);
        ready(if is_hung { Err(io::ErrorKind::AlreadyExists.into()) } else { Ok(()) })
    }

    fn make_file(&self, _path: &Path) -> Reply<()> {
        ready(Ok(()))
    }

    fn remove(&self, path: &Path) -> Reply<()> {
        self.world().done.push(format!("remove {}", path.display()));
        ready(Ok(()))
    }

    fn hold(&self, disk: &Path) -> Reply<Hold> {
        ready(self.world().stat(disk).map(|stat| Hold::new(stat, ())))
    }

    fn is_claimed(&self, disk: &Path) -> Reply<bool> {
        ready(Ok(self.world().claimed.iter().any(|claimed| claimed == disk)))
    }

    fn disk_size(&self, disk: &Path) -> Reply<u64> {
        ready(self.world().disks.get(disk).map_or_else(missing, |(_, size)| Ok(*size)))
    }

    /// The start of a disk is the file of its name.
    fn read_disk(&self, disk: &Path, offset: u64, length: usize) -> Reply<Vec<u8>> {
        let world = self.world();
        if world.hung.iter().any(|hung| hung == disk) {
            return Box::pin(std::future::pending());
        }
        let range = usize::try_from(offset).map(|offset| offset..offset + length);
        let found = world.files.get(disk).and_then(|bytes| bytes.get(range.ok()?));
        ready(found.map_or_else(missing, |bytes| Ok(bytes.to_vec())))
    }

    fn write_disk(&self, disk: &Path, _offset: u64, _bytes: Vec<u8>) -> Reply<()> {
        self.world().done.push(format!("write {}", disk.display()));
        ready(Ok(()))
    }

    fn read(&self, path: &Path) -> Reply<Vec<u8>> {
        let world = self.world();
        if world.hung.iter().any(|hung| hung == path) {
            return ready(Err(io::Error::other("sick")));
        }
        ready(world.files.get(path).cloned().map_or_else(missing, Ok))
    }

    fn write(&self, path: &Path, _bytes: &[u8]) -> Reply<()> {
        self.world().done.push(format!("write {}", path.display()));
        ready(Ok(()))
    }

    fn replace(&self, path: &Path, _bytes: &[u8]) -> Reply<()> {
        self.world().done.push(format!("replace {}", path.display()));
        ready(Ok(()))
    }

    fn uevents(&self) -> Reply<Box<dyn Uevents>> {
        ready(Ok(Box::new(Events(self.events.subscribe()))))
    }

    fn get(&self, _url: &str, _timeout: Duration) -> Reply<Vec<u8>> {
        ready(missing())
    }
}

impl Uevents for Events {
    fn next(&mut self) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async { self.0.recv().await.map_err(io::Error::other) })
    }
}
