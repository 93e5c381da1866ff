//! The programs that the driver runs, as far as their man pages matter to it.

use std::path::{Path, PathBuf};

use cinder_csi::node::{Command, Output};

use super::disk::BLOCK;
use super::machine::Machine;
use super::world::{Process, World};

type Result = std::result::Result<String, (i32, &'static str)>;

pub async fn run(machine: &Machine, command: &Command) -> Output {
    let arguments: Vec<_> = command.arguments.iter().filter_map(|argument| argument.to_str()).collect();
    let path = PathBuf::from(arguments.last().copied().unwrap_or_default());
    let first = arguments.first().copied().unwrap_or_default();
    let said = match command.program {
        "blkid" => look(machine, &path, blkid).await,
        "blockdev" => set_read_only(&mut machine.world(), &path, first == "--setro"),
        "xfs_growfs" => xfs_growfs(machine, &path, first == "-d").await,
        "mkfs.ext4" => mkfs(machine, &path, "ext4", true).await,
        "mkfs.xfs" => mkfs(machine, &path, "xfs", arguments.contains(&"-f")).await,
        "e2fsck" => alone(machine, &path, 8, |_, _| Ok(String::new())).await,
        "xfs_repair" => alone(machine, &path, 1, |_, _| Ok(String::new())).await,
        "resize2fs" => resize2fs(machine, &path).await,
        _ => Err((127, "not installed")),
    };
    match said {
        Ok(stdout) => Output { code: Some(0), stdout, stderr: String::new() },
        Err((KILLED, _)) => Output { code: None, stdout: String::new(), stderr: String::new() },
        Err((code, why)) => Output { code: Some(code), stdout: String::new(), stderr: why.into() },
    }
}

const KILLED: i32 = -9;
const IO: (i32, &str) = (1, "Input/output error");

async fn look(machine: &Machine, path: &Path, act: fn(&mut World, &Path) -> Result) -> Result {
    machine.work(5, 40).await;
    machine.wait_for(path).await;
    act(&mut machine.world(), path)
}

/// blkid(8): 2 also for a disk that it can't open or read.
fn blkid(world: &mut World, path: &Path) -> Result {
    let nothing = Err((2, ""));
    let Ok(disk) = world.disk(path) else { return nothing };
    match disk.recognised() {
        Some(fs) if !disk.sick => Ok(format!("TYPE={fs}\nUSAGE=filesystem\n")),
        _ => nothing,
    }
}

fn set_read_only(world: &mut World, path: &Path, read_only: bool) -> Result {
    let index = world.device(path).map_err(|_| IO)?;
    world.devices.get_mut(&index).ok_or(IO)?.read_only = read_only;
    Ok(String::new())
}

async fn xfs_growfs(machine: &Machine, point: &Path, grow: bool) -> Result {
    machine.work(5, 100).await;
    let mut world = machine.world();
    let index = world.top(point).filter(|mount| mount.fs == Some("xfs")).and_then(|mount| mount.device);
    let disk = world.disk_of(index.ok_or(IO)?).map_err(|_| IO)?;
    if grow {
        disk.write_superblock("xfs", false);
    }
    Ok(format!("data     =                       bsize={BLOCK}   blocks={}, imaxpct=25\n", disk.spans()))
}

/// A mounted ext4 grows by ioctl: resize2fs(8).
async fn resize2fs(machine: &Machine, path: &Path) -> Result {
    let grow = |world: &mut World, index| {
        world.disk_of(index).map_err(|_| IO)?.write_superblock("ext4", false);
        Ok(String::new())
    };
    let mounted = {
        let world = machine.world();
        world.device(path).ok().filter(|index| world.is_mounted(*index))
    };
    match mounted {
        Some(index) => {
            machine.work(5, 100).await;
            grow(&mut machine.world(), index)
        }
        None => alone(machine, path, 1, grow).await,
    }
}

/// mkfs.xfs(8): without `-f` it refuses a disk with a file system.
async fn mkfs(machine: &Machine, path: &Path, fs: &'static str, force: bool) -> Result {
    let id = begin(machine, path, 1)?;
    {
        let mut world = machine.world();
        let index = world.processes[&id].device;
        let disk = world.disk_of(index).map_err(|_| IO)?;
        if !force && disk.recognised().is_some() {
            world.processes.remove(&id);
            return Err((1, "appears to contain an existing filesystem"));
        }
        let holds = disk.holds_something();
        disk.begin_mkfs(fs);
        if let Some(what) = holds {
            world.broken.push(format!("mkfs.{fs} on {}, which holds {what}", path.display()));
        }
    }
    end(machine, id, |world, index| {
        world.disk_of(index).map_err(|_| IO)?.end_mkfs(fs);
        Ok(String::new())
    })
    .await
}

/// Work on a disk that no one else may have.
async fn alone(
    machine: &Machine,
    path: &Path,
    refused: i32,
    act: impl FnOnce(&mut World, usize) -> Result,
) -> Result {
    let id = begin(machine, path, refused)?;
    let is_sick = machine.world().disk(path).is_ok_and(|disk| disk.sick);
    let act = |world: &mut World, index| if is_sick { Err((refused, IO.1)) } else { act(world, index) };
    end(machine, id, act).await
}

/// Opens the disk with O_EXCL: mounted, or opened so by another process, it's busy.
fn begin(machine: &Machine, path: &Path, refused: i32) -> std::result::Result<u64, (i32, &'static str)> {
    let mut world = machine.world();
    let device = world.device(path).map_err(|_| (refused, "No such file or directory"))?;
    if world.is_mounted(device) || world.is_exclusive(device) {
        return Err((refused, "Device or resource busy"));
    }
    world.begun += 1;
    let id = world.begun;
    world.processes.insert(id, Process { device, exclusive: true });
    Ok(id)
}

async fn end(machine: &Machine, id: u64, act: impl FnOnce(&mut World, usize) -> Result) -> Result {
    machine.work(20, 3000).await;
    let mut world = machine.world();
    let Some(process) = world.processes.remove(&id) else { return Err((KILLED, "")) };
    let done = act(&mut world, process.device);
    world.reap();
    done
}
