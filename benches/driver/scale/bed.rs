//! The cloud, and the controller that is measured on it.

use std::path::PathBuf;
use std::time::Duration;

use cinder_csi::pace;
use cinder_csi::sandbox::{ApiLimit, Latency, Mishap, Operation, Settings, Span};
use tokio::sync::Mutex;

use super::super::Outcome;
use super::super::cloud::Cloud;
use super::super::process::{self, Driver, Memory};
use super::super::rpc::Rpc;
use super::Options;

/// What every answer takes.
pub const ANSWER: Duration = Duration::from_millis(30);

/// Lists of what changed reach back three seconds more (`OVERLAP` in `volume/watch/poller.rs`).
const UNCHANGED: Duration = Duration::from_secs(4);

pub struct Bed {
    pub cloud: Cloud,
    subject: Mutex<Subject>,
}

/// What is measured.
enum Subject {
    Ours(Driver),
    Another { socket: PathBuf, process: Option<u32> },
}

impl Bed {
    pub async fn new(options: &Options, limit: Option<ApiLimit>) -> Outcome<Self> {
        let settings = Settings { latency: latency(), api_limit: limit, ..Settings::default() };
        let cloud = Cloud::serve_at(&options.cloud, options.servers, settings).await?;
        if let Some(file) = &options.cloud_conf {
            cloud.write_cloud_conf(file)?;
        }
        let subject = match &options.endpoint {
            Some(socket) => Subject::Another { socket: socket.clone(), process: options.process },
            None => Subject::Ours(Driver::start(&cloud)?),
        };
        let bed = Self { cloud, subject: Mutex::new(subject) };
        bed.rpc().await?.probe().await?;
        Ok(bed)
    }

    /// A connection to it, as soon as it listens.
    pub async fn rpc(&self) -> Outcome<Rpc> {
        match &mut *self.subject.lock().await {
            Subject::Ours(driver) => driver.connect().await,
            Subject::Another { socket, .. } => Rpc::connect_soon(socket, || Ok(())).await,
        }
    }

    /// Kills it and starts it again.
    pub async fn restart(&self) -> Outcome<()> {
        match &mut *self.subject.lock().await {
            Subject::Ours(driver) => driver.restart(),
            Subject::Another { .. } => Err("another controller can't be restarted from here".into()),
        }
    }

    async fn process(&self) -> Option<u32> {
        match &*self.subject.lock().await {
            Subject::Ours(driver) => Some(driver.id()),
            Subject::Another { process, .. } => *process,
        }
    }

    pub async fn memory(&self) -> Memory {
        self.process().await.and_then(|id| process::memory(id).ok()).unwrap_or_default()
    }

    pub async fn processor_time(&self) -> Duration {
        self.process().await.and_then(|id| process::processor_time(id).ok()).unwrap_or_default()
    }

    /// Volumes that are there already, and that nobody has changed for a while.
    pub async fn volumes(&self, count: usize) -> Outcome<Vec<String>> {
        let cloud = &self.cloud.cloud;
        let make = |number| {
            cloud.mishap(Mishap::Takes(Operation::Create, Duration::ZERO));
            let made =
                cloud.make_volume(&format!("pvc-earlier-{number}"), 1).ok_or("no room for a volume")?;
            Ok(made.id)
        };
        let volumes = (0..count).map(make).collect();
        cloud.deeds();
        pace::sleep(UNCHANGED).await;
        volumes
    }

    /// The server has these already.
    pub fn attach(&self, server: &str, volumes: &[String]) -> Outcome<()> {
        let cloud = &self.cloud.cloud;
        for volume in volumes {
            cloud.mishap(Mishap::Takes(Operation::Attach, Duration::ZERO));
            if !cloud.attach_volume(server, volume) {
                return Err("the server takes no more".into());
            }
        }
        cloud.deeds();
        Ok(())
    }
}

/// Answers in 30 ms, creates and deletes in 1 s, attaches in 3 s ± 1, detaches in 2 s ± 1.
fn latency() -> Latency {
    let answer = Span { base: ANSWER, jitter: Duration::ZERO };
    let second = Span::of_millis(1000, 0);
    Latency { get: answer, create: second, delete: second, ..Latency::production() }
}
