//! What is asked for, and when.

use std::time::Duration;

use cinder_csi::pace;
use futures_util::future::join_all;

use super::super::Outcome;
use super::super::rpc::Rpc;
use super::Options;
use super::bed::Bed;
use super::load::{Done, Order};
use super::run::{Run, Waiting};

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Scenario {
    Creates,
    Attaches,
    Deletes,
    /// A node is emptied of a hundred volumes.
    Drain,
    /// The controller is killed in the middle of attaches.
    Restart,
    /// Attaches of 100 volumes, of 1,000 and of 5,000.
    Growth100,
    Growth5000,
    /// All pages of ten thousand volumes.
    Listing,
    /// Volumes live, from create to delete, begun at even times.
    Mixed,
}

const DRAINED: usize = 100;
const LISTED: usize = 10_000;
/// Of the attaches, when the controller is killed.
const RESTART_AFTER: Duration = Duration::from_secs(2);

impl Scenario {
    pub const USUAL: [Self; 8] = [
        Self::Creates,
        Self::Attaches,
        Self::Deletes,
        Self::Drain,
        Self::Restart,
        Self::Growth100,
        Self::Growth5000,
        Self::Listing,
    ];

    pub fn is_limited_too(self) -> bool {
        matches!(self, Self::Creates | Self::Attaches | Self::Deletes)
    }

    pub async fn run(self, bed: &Bed, options: &Options) -> Outcome<Run> {
        let many = options.operations;
        let rpc = bed.rpc().await?;
        // Logs in, and asks for versions.
        rpc.list(1).await?;
        match self {
            Self::Creates => {
                let names = (0..many).map(|number| Order::Create(format!("pvc-{number}")));
                at_once(format!("{many} creates"), bed, &rpc, names).await
            }
            Self::Attaches => attaches(format!("{many} attaches"), bed, &rpc, many, options).await,
            Self::Growth100 => attaches("100 attaches".to_owned(), bed, &rpc, 100, options).await,
            Self::Growth5000 => attaches("5000 attaches".to_owned(), bed, &rpc, 5000, options).await,
            Self::Deletes => {
                // As in the life of a volume, the controller has made what it deletes.
                let names = (0..many).map(|number| Order::Create(format!("pvc-{number}")));
                let made = all(names, &rpc, &Waiting::default()).await?;
                let orders = made.into_iter().map(|done| Order::Delete(done.volume));
                at_once(format!("{many} deletes"), bed, &rpc, orders).await
            }
            Self::Drain => drain(bed, &rpc).await,
            Self::Restart => restart(bed, &rpc, options).await,
            Self::Listing => listing(bed, &rpc).await,
            Self::Mixed => mixed(bed, &rpc, options).await,
        }
    }
}

async fn at_once(
    name: String,
    bed: &Bed,
    rpc: &Rpc,
    orders: impl IntoIterator<Item = Order>,
) -> Outcome<Run> {
    let waiting = Waiting::default();
    let load = all(orders, rpc, &waiting);
    Run::of(name, bed, waiting.clone(), load).await
}

async fn all(orders: impl IntoIterator<Item = Order>, rpc: &Rpc, waiting: &Waiting) -> Outcome<Vec<Done>> {
    let asked = orders.into_iter().map(|order| {
        let (rpc, waiting) = (rpc.clone(), waiting.clone());
        tokio::spawn(async move { waiting.during(order.carry_out(&rpc)).await })
    });
    let asked: Vec<_> = asked.collect();
    Ok(join_all(asked).await.into_iter().collect::<Result<_, _>>()?)
}

/// One after another to each server, as the pods of a node come to it.
fn to_servers(bed: &Bed, volumes: Vec<String>, options: &Options) -> Vec<Order> {
    let servers: Vec<_> = (0..options.servers).map(|number| bed.cloud.server(number)).collect();
    let share = volumes.len().div_ceil(servers.len());
    let attach =
        |(number, volume): (usize, _)| Order::Attach { volume, server: servers[number / share].clone() };
    volumes.into_iter().enumerate().map(attach).collect()
}

async fn attaches(name: String, bed: &Bed, rpc: &Rpc, many: usize, options: &Options) -> Outcome<Run> {
    let orders = to_servers(bed, bed.volumes(many).await?, options);
    at_once(name, bed, rpc, orders).await
}

async fn drain(bed: &Bed, rpc: &Rpc) -> Outcome<Run> {
    let (server, volumes) = (bed.cloud.server(0), bed.volumes(DRAINED).await?);
    bed.attach(&server, &volumes)?;
    let orders = volumes.into_iter().map(|volume| Order::Detach { volume, server: server.clone() });
    at_once(format!("drain of {DRAINED}"), bed, rpc, orders).await
}

async fn restart(bed: &Bed, rpc: &Rpc, options: &Options) -> Outcome<Run> {
    let orders = to_servers(bed, bed.volumes(options.operations).await?, options);
    let waiting = Waiting::default();
    let name = format!("{} attaches, restart", options.operations);
    let load = async {
        let killed = async {
            pace::sleep(RESTART_AFTER).await;
            bed.restart().await
        };
        let (done, killed) = tokio::join!(all(orders, rpc, &waiting), killed);
        killed?;
        done
    };
    Run::of(name, bed, waiting.clone(), load).await
}

async fn listing(bed: &Bed, rpc: &Rpc) -> Outcome<Run> {
    bed.volumes(LISTED).await?;
    let load = async {
        let listed = rpc.list_all().await?;
        if listed != LISTED {
            return Err(format!("{listed} volumes were listed, not {LISTED}").into());
        }
        Ok(Vec::new())
    };
    Run::of(format!("list of {LISTED}"), bed, Waiting::default(), load).await
}

/// A quarter as many lives as operations: each is four of them.
async fn mixed(bed: &Bed, rpc: &Rpc, options: &Options) -> Outcome<Run> {
    let lives = options.operations / 4;
    let between = Duration::from_secs(options.minutes * 60) / lives.max(1) as u32;
    let waiting = Waiting::default();
    let load = async {
        let mut living = Vec::new();
        for number in 0..lives {
            let server = bed.cloud.server(number % options.servers);
            let (rpc, waiting) = (rpc.clone(), waiting.clone());
            living.push(tokio::spawn(async move { life(number, server, &rpc, &waiting).await }));
            pace::sleep(between).await;
        }
        Ok(join_all(living).await.into_iter().collect::<Result<Vec<_>, _>>()?.concat())
    };
    let name = format!("{} mixed, {} min", options.operations, options.minutes);
    Run::of(name, bed, waiting.clone(), load).await
}

async fn life(number: usize, server: String, rpc: &Rpc, waiting: &Waiting) -> Vec<Done> {
    let created = waiting.during(Order::Create(format!("pvc-{number}")).carry_out(rpc)).await;
    let volume = created.volume.clone();
    let mut done = vec![created];
    for order in [
        Order::Attach { volume: volume.clone(), server: server.clone() },
        Order::Detach { volume: volume.clone(), server },
        Order::Delete(volume),
    ] {
        done.push(waiting.during(order.carry_out(rpc)).await);
    }
    done
}
