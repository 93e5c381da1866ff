//! How much is answered in a second: by the driver as it is shipped, and without its limit of 500 calls a second to a cloud.
//!
//! Cloud, driver and caller share this machine's CPUs.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cinder_csi::csi::{
    Clouds, Controller, ControllerSettings, Endpoint, Identity, Services, Topology, serve,
};
use cinder_csi::openstack::{self, Proxy, Tls};
use cinder_csi::pace;
use cinder_csi::sandbox::Settings;
use cinder_csi::volume::Volumes;
use futures_util::future::try_join_all;

use super::Outcome;
use super::cloud::Cloud;
use super::figures::title;
use super::memory::limits;
use super::process::Driver;
use super::rpc::Rpc;

/// Callers, each with one RPC at a time.
const CALLERS: usize = 64;
/// Long enough to use up the burst of 500 calls that a quiet limit lets pass.
const WARM_UP: Duration = Duration::from_secs(3);
const MEASURED: Duration = Duration::from_secs(4);
const LISTED: usize = 100;

#[derive(Clone, Copy)]
enum Work {
    Probe,
    Capabilities,
    Get,
    List,
    CreateDelete,
    PublishUnpublish,
}

const ROWS: [(&str, Work); 6] = [
    ("Probe", Work::Probe),
    ("ControllerGetCapabilities", Work::Capabilities),
    ("ControllerGetVolume", Work::Get),
    ("ListVolumes of 100", Work::List),
    ("CreateVolume + DeleteVolume", Work::CreateDelete),
    ("ControllerPublish + Unpublish", Work::PublishUnpublish),
];

/// What the callers need to know.
struct Scene {
    rpc: Rpc,
    /// At least one for each caller.
    volumes: Vec<String>,
    servers: Vec<String>,
}

pub async fn measure() -> Outcome<()> {
    title(&format!("RPCs, or pairs of them, a second ({CALLERS} callers, cloud without latency)"));
    let cloud = Cloud::serve(CALLERS, Settings::default()).await?;
    let mut driver = Driver::start(&cloud)?;
    let shipped = Scene::set(driver.connect().await?, &cloud).await?;
    let directory = tempfile::tempdir()?;
    let socket = directory.path().join("csi.sock");
    let unlimited = serve_unlimited(&cloud, &socket)?;
    let free = Rpc::connect_soon(&socket, || Ok(())).await?;
    let free = Scene { rpc: free, volumes: shipped.volumes.clone(), servers: shipped.servers.clone() };
    println!("{:<32} {:>10} {:>14}", "", "as shipped", "without limit");
    let (shipped, free) = (Arc::new(shipped), Arc::new(free));
    for (name, work) in ROWS {
        let with = rate(&shipped, work).await?;
        let without = rate(&free, work).await?;
        println!("{name:<32} {with:>10.0} {without:>14.0}");
        cloud.exchanges();
    }
    unlimited.abort();
    Ok(())
}

/// The controller in this process, with limits that don't matter.
fn serve_unlimited(cloud: &Cloud, socket: &Path) -> Outcome<tokio::task::JoinHandle<()>> {
    let http = openstack::http::client(&Tls::default(), &Proxy::default())?;
    let volumes = Volumes::new(openstack::Cloud::limited(http, cloud.options()?, limits()));
    let settings = ControllerSettings {
        cluster: "bench".to_owned(),
        topology: Topology::default(),
        list_only_cluster: false,
        strict_parameters: false,
    };
    let services = Services {
        identity: Identity { topology: Topology::default() },
        controller: Some(Controller::new(Clouds::new([(String::new(), volumes)].into()), settings)),
        node: None,
        health: None,
    };
    let listener = Endpoint::Unix(socket.to_owned());
    let task = tokio::spawn(async move {
        if let Err(error) = serve(&listener, services, std::future::pending()).await {
            eprintln!("the driver in this process ended: {error}");
        }
    });
    Ok(task)
}

impl Scene {
    async fn set(rpc: Rpc, cloud: &Cloud) -> Outcome<Self> {
        let made = (0..LISTED).map(|number| {
            let rpc = rpc.clone();
            async move { rpc.create(&format!("scene-{number}")).await }
        });
        let volumes = try_join_all(made).await?;
        Ok(Self { rpc, volumes, servers: (0..CALLERS).map(|caller| cloud.server(caller)).collect() })
    }

    async fn work(&self, work: Work, caller: usize, round: usize) -> Outcome<()> {
        let (volume, server) = (&self.volumes[caller], &self.servers[caller]);
        match work {
            Work::Probe => self.rpc.probe().await,
            Work::Capabilities => self.rpc.capabilities().await,
            Work::Get => self.rpc.get(volume).await,
            Work::List => self.rpc.list(LISTED as i32).await,
            Work::CreateDelete => {
                let made = self.rpc.create(&format!("pvc-{caller}-{round}")).await?;
                self.rpc.delete(&made).await
            }
            Work::PublishUnpublish => {
                self.rpc.publish(volume, server).await?;
                self.rpc.unpublish(volume, server).await
            }
        }
    }
}

async fn rate(scene: &Arc<Scene>, work: Work) -> Outcome<f64> {
    let done = Arc::new(AtomicUsize::new(0));
    let over = Arc::new(AtomicBool::new(false));
    let callers = (0..CALLERS).map(|caller| {
        let (scene, done, over) = (scene.clone(), done.clone(), over.clone());
        tokio::spawn(async move {
            for round in 0.. {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                scene.work(work, caller, round).await?;
                done.fetch_add(1, Ordering::Relaxed);
            }
            Outcome::Ok(())
        })
    });
    let callers: Vec<_> = callers.collect();
    pace::sleep(WARM_UP).await;
    let (began, before) = (Instant::now(), done.load(Ordering::Relaxed));
    pace::sleep(MEASURED).await;
    let rate = (done.load(Ordering::Relaxed) - before) as f64 / began.elapsed().as_secs_f64();
    over.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await??;
    }
    Ok(rate)
}
