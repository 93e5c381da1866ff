//! One process of the driver's controller, which can be killed at any await.

use std::future::pending;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use cinder_csi::openstack::{Cloud, Http};
use cinder_csi::sandbox::SimulatedCloud;
use cinder_csi::volume::Volumes;
use tokio::sync::watch;
use tokio::time::Instant;
use tower::ServiceExt;

use crate::bed::options;
use crate::driver::Driver;
use crate::history::History;

pub struct Replica {
    pub number: usize,
    pub driver: Driver,
    dead: watch::Sender<bool>,
    /// When it asked the cloud for all that changed.
    pub lists: Arc<Mutex<Vec<Instant>>>,
}

impl Replica {
    pub fn start(number: usize, cloud: &SimulatedCloud, history: &History) -> Self {
        let (dead, dies) = watch::channel(false);
        let lists = Arc::<Mutex<Vec<Instant>>>::default();
        let line =
            Line { number, cloud: cloud.clone(), dies, history: history.clone(), lists: Arc::clone(&lists) };
        let volumes = Volumes::new(Cloud::new(line.http(), options("csi", "k8s")));
        Self { number, driver: Driver::in_memory(volumes), dead, lists }
    }

    /// From now on nothing that it does reaches anybody: all that a dead process is to the others.
    pub fn kill(&self) {
        self.dead.send_replace(true);
    }

    pub fn is_dead(&self) -> bool {
        *self.dead.borrow()
    }

    pub async fn died(&self) {
        has_died(&mut self.dead.subscribe()).await;
    }
}

async fn has_died(dies: &mut watch::Receiver<bool>) {
    let _ = dies.wait_for(|dead| *dead).await;
}

/// The way of one process to the cloud.
#[derive(Clone)]
struct Line {
    number: usize,
    cloud: SimulatedCloud,
    dies: watch::Receiver<bool>,
    history: History,
    lists: Arc<Mutex<Vec<Instant>>>,
}

impl Line {
    fn http(self) -> Http {
        Http::new(tower::service_fn(move |request| self.clone().exchange(request)))
    }

    async fn exchange(mut self, request: http::Request<Bytes>) -> std::io::Result<http::Response<Bytes>> {
        if request.uri().query().is_some_and(|query| query.contains("updated_at=")) {
            self.lists.lock().unwrap().push(Instant::now());
        }
        let what = format!("{} {}", request.method(), request.uri());
        tokio::select! {
            biased;
            () = has_died(&mut self.dies) => pending().await,
            answer = self.cloud.http().oneshot(request) => {
                self.history.note_exchange(|| {
                    let code = answer.as_ref().map(|answer| answer.status().to_string());
                    format!("    replica {}: {what}: {}", self.number, code.unwrap_or_else(|error| error.to_string()))
                });
                answer
            }
        }
    }
}
