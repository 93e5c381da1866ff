//! The driver's RPCs beside the cloud's own time, on the lab that `tests/openstack/up` started: a real Keystone, Cinder and Nova.
//!
//! Both take the same steps in the same rounds and take turns at being first, so that both meet the same noise.

mod bed;
mod plain;

use std::time::{Duration, Instant};

use super::Outcome;
use super::figures::{Times, millis, title};
use super::process::Driver;
use super::rpc::Rpc;
use bed::Lab;
use plain::Plain;

const ROUNDS: usize = 20;
const STEPS: [&str; 4] = ["create", "publish", "unpublish", "delete"];
/// What an RPC may take: this share of the cloud's own time, and this much more.
const SHARE: f64 = 1.1;
const MORE: f64 = 50.0;

/// One kind of operation.
#[derive(Default)]
struct Step {
    cloud: Times,
    driver: Times,
}

/// Who orders, and of what.
enum Caller {
    Cloud(Plain),
    Driver(Rpc, String),
}

pub async fn measure() -> Outcome<()> {
    title("An RPC beside the cloud's own time, on a real cloud, ms");
    let Some(lab) = Lab::named()? else {
        println!("not measured: CINDER_CSI_LAB names no running lab (tests/openstack/up starts one)");
        return Ok(());
    };
    let mut driver = Driver::start_on(&lab.cloud_conf(), &lab.server)?;
    let mut callers = [
        Caller::Cloud(Plain { cloud: lab.view()?, server: lab.server.parse()? }),
        Caller::Driver(driver.connect().await?, lab.server.clone()),
    ];
    let mut steps = STEPS.map(|_| Step::default());
    // The first round logs in and asks for versions.
    for round in 0..=ROUNDS {
        let times = one_round(&callers, round).await?;
        callers.reverse();
        if round > 0 {
            steps.iter_mut().zip(times).for_each(|(step, time)| step.add(time));
        }
    }
    print(&steps);
    Ok(())
}

/// The times of the steps, the cloud's and the driver's.
async fn one_round(callers: &[Caller; 2], round: usize) -> Outcome<[[Duration; 2]; 4]> {
    let mut times = [[Duration::ZERO; 2]; 4];
    let mut volumes = [String::new(), String::new()];
    for (step, times) in times.iter_mut().enumerate() {
        for (caller, volume) in callers.iter().zip(&mut volumes) {
            let began = Instant::now();
            caller.take(step, volume, round).await?;
            times[caller.column()] = began.elapsed();
        }
    }
    Ok(times)
}

impl Caller {
    fn column(&self) -> usize {
        match self {
            Self::Cloud(_) => 0,
            Self::Driver(..) => 1,
        }
    }

    async fn take(&self, step: usize, volume: &mut String, round: usize) -> Outcome<()> {
        match self {
            Self::Cloud(plain) => plain.take(STEPS[step], volume, round).await,
            Self::Driver(rpc, server) => match STEPS[step] {
                "create" => {
                    *volume = rpc.create(&format!("bench-driver-{}-{round}", std::process::id())).await?;
                    Ok(())
                }
                "publish" => rpc.publish(volume, server).await,
                "unpublish" => rpc.unpublish(volume, server).await,
                _ => rpc.delete(volume).await,
            },
        }
    }
}

impl Step {
    fn add(&mut self, [cloud, driver]: [Duration; 2]) {
        self.cloud.push(cloud);
        self.driver.push(driver);
    }
}

fn print(steps: &[Step]) {
    println!(
        "{:<12} | {:^17} | {:^17} | {:>5} | aim: <= {SHARE} x + {MORE} ms",
        "", "the cloud", "the driver", "ratio"
    );
    println!("{0:<12} | {1:>8} {2:>8} | {1:>8} {2:>8} | {1:>5} | in the median", "", "p50", "p95");
    for (name, step) in STEPS.iter().zip(steps) {
        let (cloud, driver) = (millis(step.cloud.median()), millis(step.driver.median()));
        let aim = cloud * SHARE + MORE;
        let verdict = if driver <= aim { "met" } else { "missed" };
        println!(
            "{name:<12} | {cloud:>8.1} {:>8.1} | {driver:>8.1} {:>8.1} | {:>5.2} | {aim:>8.1}, {verdict}",
            millis(step.cloud.quantile(0.95)),
            millis(step.driver.quantile(0.95)),
            driver / cloud,
        );
    }
    println!(
        "\n{ROUNDS} rounds; the cloud's own time: ordered by a plain client that looks every {} ms",
        plain::LOOK_EVERY.as_millis()
    );
}
