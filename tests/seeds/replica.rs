//! One process of the driver's controller, which can be killed at any await.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use cinder_csi::openstack::{Cloud, Http, Limits};
use cinder_csi::sandbox::SimulatedCloud;
use cinder_csi::volume::Volumes;
use tokio::sync::Notify;
use tower::ServiceExt;

use crate::bed::options;
use crate::driver::Driver;
use crate::history::History;
use crate::traffic::Traffic;

pub struct Replica {
    pub number: usize,
    pub driver: Driver,
    death: Death,
    pub traffic: Traffic,
}

impl Replica {
    pub fn start(number: usize, limits: Limits, cloud: &SimulatedCloud, history: &History) -> Self {
        let death = Death::default();
        let traffic = Traffic::default();
        let line = Line {
            number,
            cloud: cloud.clone(),
            death: death.clone(),
            history: history.clone(),
            traffic: traffic.clone(),
        };
        let volumes = Volumes::new(Cloud::limited(line.http(), options("csi", "k8s"), limits));
        Self { number, driver: Driver::in_memory(volumes), death, traffic }
    }

    /// From now on nothing that it does reaches anybody: all that a dead process is to the others.
    pub fn kill(&self) {
        self.death.come();
    }

    pub fn is_dead(&self) -> bool {
        self.death.has_come()
    }

    pub async fn died(&self) {
        self.death.awaited().await;
    }
}

/// Whoever waits for it is woken in the order in which they came: `tokio::sync::watch` wakes in a random one.
#[derive(Clone, Default)]
struct Death(Arc<(AtomicBool, Notify)>);

impl Death {
    fn come(&self) {
        self.0.0.store(true, Ordering::SeqCst);
        self.0.1.notify_waiters();
    }

    fn has_come(&self) -> bool {
        self.0.0.load(Ordering::SeqCst)
    }

    async fn awaited(&self) {
        let woken = self.0.1.notified();
        if !self.has_come() {
            woken.await;
        }
    }
}

/// The way of one process to the cloud.
#[derive(Clone)]
struct Line {
    number: usize,
    cloud: SimulatedCloud,
    death: Death,
    history: History,
    traffic: Traffic,
}

impl Line {
    fn http(self) -> Http {
        Http::new(tower::service_fn(move |request| self.clone().exchange(request)))
    }

    async fn exchange(self, request: http::Request<Bytes>) -> std::io::Result<http::Response<Bytes>> {
        if self.death.has_come() {
            return pending().await;
        }
        let sent = self.traffic.send(&request);
        let what = format!("{} {}", request.method(), request.uri());
        tokio::select! {
            biased;
            () = self.death.awaited() => pending().await,
            answer = self.cloud.http().oneshot(request) => {
                self.traffic.answer(sent, answer.as_ref().map_or(0, |answer| answer.status().as_u16()));
                self.history.note_exchange(|| {
                    let code = answer.as_ref().map(|answer| answer.status().to_string());
                    format!("    replica {}: {what}: {}", self.number, code.unwrap_or_else(|error| error.to_string()))
                });
                answer
            }
        }
    }
}
