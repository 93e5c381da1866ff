//! The time that the driver adds to what the cloud takes.
//!
//! Of an RPC's time, seen by its caller, what the cloud spent on its answers is the cloud's. The rest is the driver's:
//! gRPC, its own work, HTTP over loopback, and the pause before it looks at what it ordered. That pause is the
//! longest time between two of its calls. The last column leaves it out and counts the longest of the
//! other such times in its place.

use std::time::{Duration, Instant};

use bytes::Bytes;
use cinder_csi::openstack::{Http, Proxy, Tls, http as client};
use cinder_csi::sandbox::Settings;
use tower::ServiceExt;

use super::Outcome;
use super::cloud::{Cloud, Exchange};
use super::figures::{COLUMNS, Times, millis, title};
use super::process::Driver;
use super::rpc::Rpc;

const ROUNDS: usize = 100;
/// Shorter than the shortest pause (`SHORTEST_PAUSE` of `volume/watch/experience.rs`), longer than work takes.
const PAUSE: Duration = Duration::from_millis(40);

/// What was seen of one kind of operation.
#[derive(Default)]
struct Operation {
    name: &'static str,
    calls: usize,
    added: Times,
    without_pause: Times,
}

/// One RPC, taken apart.
struct Parts {
    added: Duration,
    pause: Option<Duration>,
    /// The longest of the other times between two calls, where there was a pause.
    longest: Duration,
}

pub async fn measure() -> Outcome<()> {
    title("Time added to an operation, ms (cloud without latency, one operation at a time)");
    let cloud = Cloud::serve(1, Settings::default()).await?;
    let mut driver = Driver::start(&cloud)?;
    let rpc = driver.connect().await?;
    let bare = bare(&cloud).await?;
    let mut operations =
        ["create", "publish", "unpublish", "delete"].map(|name| Operation { name, ..Operation::default() });
    // The first round logs in and asks for versions.
    for round in 0..=ROUNDS {
        life(&cloud, &rpc, &mut operations, round).await?;
        if round == 0 {
            operations.iter_mut().for_each(|one| *one = Operation { name: one.name, ..Operation::default() });
        }
    }
    println!(
        "{:<12} {:>5} | {:^26} | {:^26} | {:>7}",
        "", "", "with the first pause", "without it (aim 2)", "bare"
    );
    println!("{:<12} {:>5} | {COLUMNS} | {COLUMNS} | {:>7}", "", "calls", "HTTP");
    for one in operations {
        let bare = millis(bare.median()) * one.calls as f64;
        println!(
            "{:<12} {:>5} | {} | {} | {bare:>7.2}",
            one.name,
            one.calls,
            one.added.columns(),
            one.without_pause.columns()
        );
    }
    println!("\nbare HTTP: as many exchanges by the driver's HTTP client alone, medians, of the same run");
    Ok(())
}

async fn life(
    cloud: &Cloud,
    rpc: &Rpc,
    [create, publish, unpublish, delete]: &mut [Operation; 4],
    round: usize,
) -> Outcome<()> {
    let server = cloud.server(0);
    let name = format!("pvc-{round}");
    let volume = create.time(cloud, rpc.create(&name)).await?;
    publish.time(cloud, rpc.publish(&volume, &server)).await?;
    unpublish.time(cloud, rpc.unpublish(&volume, &server)).await?;
    delete.time(cloud, rpc.delete(&volume)).await
}

/// An exchange of the driver's own HTTP client, with nothing around it.
async fn bare(cloud: &Cloud) -> Outcome<Times> {
    let http = client::client(&Tls::default(), &Proxy::default())?;
    let mut times = Times::default();
    for round in 0..=ROUNDS {
        cloud.exchanges();
        let began = Instant::now();
        ask(&http, cloud).await?;
        let parts = Parts::of(began, Instant::now(), &cloud.exchanges());
        // The first one connects.
        if round > 0 {
            times.push(parts.added);
        }
    }
    Ok(times)
}

async fn ask(http: &Http, cloud: &Cloud) -> Outcome<()> {
    let request = http::Request::get(format!("http://{}/volume/", cloud.address)).body(Bytes::new())?;
    http.clone().oneshot(request).await?;
    Ok(())
}

impl Operation {
    async fn time<T>(&mut self, cloud: &Cloud, call: impl Future<Output = Outcome<T>>) -> Outcome<T> {
        cloud.exchanges();
        let began = Instant::now();
        let answer = call.await?;
        let ended = Instant::now();
        let exchanges = cloud.exchanges();
        let parts = Parts::of(began, ended, &exchanges);
        self.calls = exchanges.len();
        self.added.push(parts.added);
        self.without_pause.push(parts.added - parts.pause.unwrap_or_default() + parts.longest);
        Ok(answer)
    }
}

impl Parts {
    fn of(began: Instant, ended: Instant, exchanges: &[Exchange]) -> Self {
        let cloud: Duration = exchanges.iter().map(|one| one.ended - one.began).sum();
        let mut between: Vec<_> =
            exchanges.windows(2).map(|pair| pair[1].began.saturating_duration_since(pair[0].ended)).collect();
        between.sort();
        let pause = between.pop_if(|longest| *longest >= PAUSE);
        Self {
            added: (ended - began).saturating_sub(cloud),
            longest: pause.and(between.pop()).unwrap_or_default(),
            pause,
        }
    }
}
