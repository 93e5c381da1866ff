//! Resident memory of the driver's own process.

use std::collections::BTreeMap;
use std::time::Duration;

use cinder_csi::openstack::{Cloud as Client, Limits, NewVolume};
use cinder_csi::pace;
use cinder_csi::sandbox::{Latency, Settings, Span};
use futures_util::future::try_join_all;
use http::Method;

use super::Outcome;
use super::cloud::Cloud;
use super::figures::{mib, title};
use super::process::{Driver, Memory};

const IN_FLIGHT: usize = 1000;
/// Longer than it takes to order all, two calls for each.
const ATTACH: Span = Span::of_millis(25_000, 0);

pub async fn measure() -> Outcome<()> {
    title("Resident memory of the driver's process, MiB");
    let latency = Latency { attach: ATTACH, ..Latency::zero() };
    let cloud = Cloud::serve(IN_FLIGHT, Settings { latency, ..Settings::default() }).await?;
    println!("{:<42} {:>8} {:>8} {:>8}", "", "resident", "its own", "peak");
    let mut driver = Driver::start(&cloud)?;
    let rpc = driver.connect().await?;
    rpc.probe().await?;
    pace::sleep(Duration::from_secs(2)).await;
    row("idle: started, probed", driver.memory()?, "9.5 (10 MB)");
    let volumes = volumes(&cloud, IN_FLIGHT).await?;
    rpc.list(1).await?;
    row("idle: logged in, one list", driver.memory()?, "9.5 (10 MB)");
    cloud.exchanges();
    let publishes = volumes.into_iter().enumerate().map(|(number, volume)| {
        let (rpc, server) = (rpc.clone(), cloud.server(number));
        async move { rpc.publish(&volume, &server).await }
    });
    let publishes = tokio::spawn(try_join_all(publishes.collect::<Vec<_>>()));
    let most = watch(&driver, &cloud, || publishes.is_finished()).await?;
    publishes.await??;
    row(&format!("{IN_FLIGHT} publishes, all attaches ordered"), most, "38.1 (40 MB)");
    row("all answered", driver.memory()?, "");
    rpc.list(0).await?;
    row(&format!("one ListVolumes of all {IN_FLIGHT}"), driver.memory()?, "");
    Ok(())
}

/// The most that was resident while all were in flight and every attach was ordered.
async fn watch(driver: &Driver, cloud: &Cloud, ended: impl Fn() -> bool) -> Outcome<Memory> {
    let mut most = Memory::default();
    let mut look = tokio::time::interval(Duration::from_millis(100));
    while !ended() {
        look.tick().await;
        let memory = driver.memory()?;
        let ordered = cloud.cloud.calls().iter().filter(|call| call.method == Method::POST).count();
        if ordered >= IN_FLIGHT && memory.resident > most.resident {
            most = memory;
        }
    }
    Ok(most)
}

/// Made past the driver.
pub async fn volumes(cloud: &Cloud, count: usize) -> Outcome<Vec<String>> {
    let client = Client::limited(cloud.cloud.http(), cloud.options()?, limits());
    let mut made = Vec::new();
    for number in 0..count {
        let order = NewVolume {
            name: format!("pvc-{number}"),
            description: String::new(),
            size: 1,
            volume_type: None,
            availability_zone: None,
            metadata: BTreeMap::new(),
            origin: None,
            hints: Default::default(),
        };
        made.push(client.cinder.create_volume(&order).await?.id.to_string());
    }
    Ok(made)
}

/// None to speak of.
pub fn limits() -> Limits {
    Limits { per_second: 1_000_000, burst: 1_000_000, concurrent: 64, ..Limits::default() }
}

fn row(what: &str, memory: Memory, aim: &str) {
    let columns = [memory.resident, memory.own, memory.peak].map(|bytes| format!("{:>8.2}", mib(bytes)));
    let aim = if aim.is_empty() { String::new() } else { format!("   aim {aim}") };
    println!("{what:<42} {}{aim}", columns.join(" "));
}
