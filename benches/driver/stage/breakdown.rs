//! The stage of an empty disk by its parts, in the process of the bench.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cinder_csi::node::{Access, Expected, FormatPolicy, FsType, Node, Settings, Stage};

use super::super::Outcome;
use super::super::figures::{Times, millis};
use super::super::process::Driver;
use super::ROUNDS;
use super::disk::{Disk, SIZE};
use super::timed::{Spent, Timed};

/// The times of one part, and how many calls they are of.
#[derive(Default)]
struct Part {
    calls: usize,
    times: Times,
}

pub async fn measure(driver: &Driver) -> Outcome<()> {
    let host = Arc::new(Timed::default());
    let settings = Settings { device_dir: driver.device_dir(), ..Settings::default() };
    let node = Node::new(host.clone(), settings);
    let (mut whole, mut parts) = (Times::default(), BTreeMap::<_, Part>::new());
    for _ in 0..ROUNDS {
        let disk = Disk::empty(driver, 0)?;
        let (time, spent) = one(&node, &host, &disk).await?;
        whole.push(time);
        for (what, (calls, time)) in spent {
            let part = parts.entry(what).or_default();
            part.calls = calls;
            part.times.push(time);
        }
    }
    println!("\n{:<50} | calls |      p50", "an empty disk by its parts, without gRPC");
    for (what, part) in parts {
        println!("{what:<50} | {:>5} | {:>8.2}", part.calls, millis(part.times.median()));
    }
    println!("{:<50} | {:>5} | {:>8.2}", "all of it", "", millis(whole.median()));
    Ok(())
}

async fn one(node: &Node, host: &Timed, disk: &Disk) -> Outcome<(Duration, Spent)> {
    host.spent();
    let began = Instant::now();
    node.stage(request(disk)).await?;
    let took = (began.elapsed(), host.spent());
    node.unstage(&disk.volume, &disk.staging).await?;
    Ok(took)
}

fn request(disk: &Disk) -> Stage {
    Stage {
        volume: disk.volume.clone(),
        staging: disk.staging.clone(),
        access: Access::Mount { fs: FsType::Ext4, flags: Vec::new() },
        expected: Expected { size_bytes: Some(SIZE), ..Expected::default() },
        format: FormatPolicy::Allowed,
        mkfs_options: Vec::new(),
        read_only: false,
        untouched: false,
        own_uuid: false,
        resize: true,
    }
}
