//! The time that the driver adds to the commands and system calls that a staged ext4 needs. Needs root.

mod breakdown;
mod disk;
mod timed;

use std::time::{Duration, Instant};

use cinder_csi::sandbox::{LoopDevices, Settings};
use futures_util::future::try_join_all;

use super::Outcome;
use super::cloud::Cloud;
use super::figures::{COLUMNS, Times, title};
use super::process::Driver;
use super::rpc::Rpc;
use disk::{Disk, SIZE};

const ROUNDS: usize = 30;
/// A node that is drained onto gets so many volumes at once.
const CROWD: usize = 10;
const CROWDS: usize = 10;

/// The same work by the driver and by hand.
#[derive(Default)]
struct Row {
    driver: Times,
    hand: Times,
}

pub async fn measure() -> Outcome<()> {
    title("NodeStageVolume of an ext4 of 1 GiB on a loop device, ms");
    if !LoopDevices::are_possible() {
        println!("not measured: it needs root and loop devices");
        return Ok(());
    }
    let cloud = Cloud::serve(1, Settings::default()).await?;
    let mut driver = Driver::start(&cloud)?;
    let rpc = driver.connect().await?;
    let (mut empty, mut full, mut crowd) = (Row::default(), Row::default(), Row::default());
    for _ in 0..ROUNDS {
        one(&driver, &rpc, &mut empty, &mut full).await?;
    }
    for _ in 0..CROWDS {
        many(&driver, &rpc, &mut crowd).await?;
    }
    println!("{:<50} | {:^26} | {:^26} | added", "", "the driver", "by hand");
    println!("{:<50} | {COLUMNS} | {COLUMNS} |   p50", "");
    empty.print("empty disk: mkfs.ext4, mount");
    full.print("ext4: e2fsck -p, mount");
    crowd.print(&format!("{CROWD} empty disks at once, until the last is done"));
    println!("\nby hand nothing is looked at before, and nothing marks a mkfs that was cut off");
    breakdown::measure(&driver).await
}

async fn one(driver: &Driver, rpc: &Rpc, empty: &mut Row, full: &mut Row) -> Outcome<()> {
    let disk = Disk::empty(driver, 0)?;
    empty.driver.push(stage(rpc, &disk).await?);
    full.driver.push(stage(rpc, &disk).await?);
    drop(disk);
    let disk = Disk::empty(driver, 0)?;
    empty.hand.push(disk.by_hand(Disk::format)?);
    full.hand.push(disk.by_hand(Disk::check)?);
    Ok(())
}

async fn many(driver: &Driver, rpc: &Rpc, row: &mut Row) -> Outcome<()> {
    let disks = crowd(driver)?;
    let times = try_join_all(disks.iter().map(|disk| stage(rpc, disk))).await?;
    row.driver.push(times.into_iter().max().unwrap_or_default());
    drop(disks);
    let disks = crowd(driver)?;
    let times: Outcome<Vec<_>> = std::thread::scope(|scope| {
        let hands: Vec<_> = disks.iter().map(|disk| scope.spawn(|| disk.by_hand(Disk::format))).collect();
        hands.into_iter().map(|hand| hand.join().map_err(|_| "a hand failed")?).collect()
    });
    row.hand.push(times?.into_iter().max().unwrap_or_default());
    Ok(())
}

fn crowd(driver: &Driver) -> Outcome<Vec<Disk>> {
    (0..CROWD).map(|number| Disk::empty(driver, number)).collect()
}

/// Stages, and unstages outside of the time.
async fn stage(rpc: &Rpc, disk: &Disk) -> Outcome<Duration> {
    let began = Instant::now();
    rpc.stage(&disk.volume, &disk.staging, SIZE).await?;
    let took = began.elapsed();
    rpc.unstage(&disk.volume, &disk.staging).await?;
    Ok(took)
}

impl Row {
    fn print(&self, what: &str) {
        let added = self.driver.median().as_secs_f64() - self.hand.median().as_secs_f64();
        println!("{what:<50} | {} | {} | {:>5.2}", self.driver.columns(), self.hand.columns(), added * 1e3);
    }
}
