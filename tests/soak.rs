//! The driver's own process under a steady load, for as long as one likes: it must stay as large as it is.
//!
//! `tests/run soak [MINUTES]`. The cloud is simulated in this process and served over TCP, so that what is measured is the
//! driver alone. The controller's half only: what a node does needs disks, and leaves a trace in the kernel.

#![allow(
    clippy::disallowed_methods,
    reason = "it runs the binary as a user does, for so long as the environment says"
)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

#[path = "bed/calls.rs"]
mod calls;
#[path = "soak/faults.rs"]
mod faults;
#[path = "bed/http.rs"]
mod http;
#[path = "soak/load.rs"]
mod load;
#[path = "soak/measured.rs"]
mod measured;
#[path = "bed/process.rs"]
mod process;
#[path = "soak/samples.rs"]
mod samples;

use std::sync::Arc;
use std::time::Duration;

use cinder_csi::pace;
use cinder_csi::sandbox::{Latency, Settings, SimulatedCloud};
use futures_util::future::join_all;
use tokio::time::Instant;

use load::Load;
use measured::Measured;
use samples::Samples;

const USERS: usize = 6;
/// Ten of each third: enough for a median.
const SAMPLES: u32 = 30;

fn time() -> Duration {
    let minutes = std::env::var("MINUTES").map_or(30.0, |text| text.parse().unwrap());
    Duration::from_secs_f64(minutes * 60.0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_driver_stays_as_large_as_it_is() {
    let cloud = SimulatedCloud::new(Settings { latency: Latency::lab(), ..Settings::default() });
    let served = cloud.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let measured = Measured::start(&served).await;
    let load = Arc::new(Load::new(measured.driver.channel.clone(), &cloud));
    let faults = tokio::spawn(faults::inject(cloud.clone(), Arc::clone(&load)));
    let mut samples = Samples::default();
    let watch = async {
        let (began, pause) = (Instant::now(), time() / SAMPLES);
        for n in 1..=SAMPLES {
            pace::sleep((began + pause * n).saturating_duration_since(Instant::now())).await;
            samples.add(began.elapsed(), measured.size().await, load.take(), cloud.calls().len());
            cloud.reset_calls();
        }
        faults.abort();
        cloud.clear_faults();
        cloud.clear_mishaps();
        load.stop();
    };
    tokio::join!(watch, join_all((0..USERS).map(|user| load.go_on(user))));
    let left = cloud.inventory();
    let (status, log) = measured.driver.end();
    assert!(status.success(), "{status}\n{log}");
    samples.judge(&load.failures(), load.injected(), &left);
}
