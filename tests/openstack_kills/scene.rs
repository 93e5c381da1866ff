//! Who calls the driver while it is killed, and calls again.

use std::time::{Duration, Instant};

use cinder_csi::pace;
use tonic::Status;

use crate::bed::Lab;
use crate::calls::Calls;
use crate::campaign::{Campaign, Fate};
use crate::client::Client;
use crate::mortal::Mortal;
use crate::others::tenant;
use crate::sidecar::Sidecar;

/// The sidecars wait a second and longer; the cloud doesn't care, and the test is short.
const PAUSE: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(120);

/// Who calls.
#[derive(Clone, Copy, Debug)]
pub enum Caller {
    Sidecar(Sidecar),
    /// Calls again after every error: <https://github.com/kubernetes/kubernetes/blob/master/pkg/volume/csi/csi_attacher.go>.
    Kubelet,
}

pub struct Scene<'a> {
    pub lab: &'a Lab,
    pub tenant: Client,
    pub server: String,
    pub driver: Mortal<'a>,
    pub campaign: Campaign,
    pub volumes: usize,
    pub bytes: usize,
    pub starts: usize,
}

impl<'a> Scene<'a> {
    pub async fn new(lab: &'a Lab, seed: u64) -> Self {
        Self {
            lab,
            tenant: tenant(lab).await,
            server: lab.server("NODE_1"),
            driver: Mortal::new(lab),
            campaign: Campaign::new(seed),
            volumes: 0,
            bytes: 0,
            starts: 0,
        }
    }

    /// Calls until it is done, whenever the driver dies.
    pub async fn converge<T>(
        &mut self,
        operation: &str,
        caller: Caller,
        call: impl AsyncFn(Calls) -> Result<T, Status>,
    ) -> T {
        let began = Instant::now();
        for calls in 0.. {
            let fate = self.campaign.fate(operation, calls);
            self.have_driver(&fate).await;
            if let Some(done) = self.call(operation, caller, &fate, &call).await {
                return done;
            }
            self.campaign.called_again(operation);
            assert!(
                began.elapsed() < LONGEST,
                "{operation} doesn't end; the last driver said:\n{}",
                self.driver.said()
            );
        }
        unreachable!("it ends by its time");
    }

    async fn have_driver(&mut self, fate: &Fate) {
        let point = match fate {
            Fate::At(point) => Some(point),
            _ => None,
        };
        if point.is_some() || !self.driver.is_alive() {
            self.starts += 1;
            self.driver.start(point).await;
        }
    }

    async fn call<T>(
        &mut self,
        operation: &str,
        caller: Caller,
        fate: &Fate,
        call: impl AsyncFn(Calls) -> Result<T, Status>,
    ) -> Option<T> {
        self.driver.crossed();
        let began = Instant::now();
        let calls = self.driver.calls();
        let answer = match fate {
            Fate::Later { after, whole } => tokio::select! {
                answer = call(calls) => Some(answer),
                () = pace::sleep(*after) => {
                    self.driver.kill(*whole);
                    None
                }
            },
            _ => Some(call(calls).await),
        };
        let took = began.elapsed();
        let said = match &answer {
            None => "no answer".to_owned(),
            Some(Ok(_)) => "OK".to_owned(),
            Some(Err(status)) => format!("{:?} {}", status.code(), status.message()),
        };
        println!("{:9.3} {operation}: the driver {fate}: {said}", took.as_secs_f64());
        match answer {
            Some(Ok(done)) => {
                let crossed = self.driver.crossed();
                self.campaign.learn(operation, &crossed, took);
                Some(done)
            }
            answer => {
                self.failed(operation, caller, fate, answer.and_then(Result::err)).await;
                None
            }
        }
    }

    /// Only a death is a reason.
    async fn failed(&mut self, operation: &str, caller: Caller, fate: &Fate, status: Option<Status>) {
        if self.driver.dies().await {
            self.campaign.killed(operation, fate);
            return;
        }
        let status = status.unwrap();
        if let Caller::Sidecar(sidecar) = caller {
            assert!(!sidecar.is_final(status.code()), "{operation}: {status}\n{}", self.driver.said());
        }
        pace::sleep(PAUSE).await;
    }
}
