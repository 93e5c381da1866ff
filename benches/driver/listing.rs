//! A long list: how many calls it is to the cloud, how long it takes, and what it leaves in the driver's memory.

use std::time::Instant;

use cinder_csi::sandbox::Settings;

use super::Outcome;
use super::cloud::Cloud;
use super::figures::{mib, millis, title};
use super::memory::volumes;
use super::process::Driver;

const VOLUMES: usize = 10_000;
const ROUNDS: usize = 10;

pub async fn measure() -> Outcome<()> {
    title(&format!("ListVolumes of {VOLUMES} volumes, all pages, without max_entries"));
    let cloud = Cloud::serve(1, Settings::default()).await?;
    volumes(&cloud, VOLUMES).await?;
    let mut driver = Driver::start(&cloud)?;
    let rpc = driver.connect().await?;
    // Logs in, and reads one volume.
    rpc.list(1).await?;
    let before = driver.memory()?;
    println!("{:<42} {:>8} {:>8} {:>10} {:>10}", "", "calls", "ms", "grown, MiB", "peak, MiB");
    for round in 1..=ROUNDS {
        cloud.exchanges();
        let began = Instant::now();
        let listed = rpc.list_all().await?;
        let (took, calls) = (millis(began.elapsed()), cloud.exchanges().len());
        if listed != VOLUMES {
            return Err(format!("{listed} volumes were listed").into());
        }
        let after = driver.memory()?;
        let grown = [after.resident, after.peak].map(|bytes| mib(bytes.saturating_sub(before.resident)));
        if [1, ROUNDS].contains(&round) {
            let aim = "   aim 10 or 11 calls, 10 MiB";
            println!(
                "{:<42} {calls:>8} {took:>8.0} {:>10.2} {:>10.2}{aim}",
                format!("list {round}"),
                grown[0],
                grown[1]
            );
        }
    }
    Ok(())
}
