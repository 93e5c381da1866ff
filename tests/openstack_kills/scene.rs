//! Who calls the driver while it is killed, and calls again.

use std::time::{Duration, Instant};

use cinder_csi::pace;
use tonic::Status;

use crate::bed::Lab;
use crate::calls::{Calls, bug};
use crate::campaign::{Campaign, Fate, START};
use crate::mortal::Mortal;
use crate::sidecar::Sidecar;
use crate::witness::Witness;

/// The sidecars wait a second and longer; the cloud doesn't care, and the test is short.
const PAUSE: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(240);

/// Who calls.
#[derive(Clone, Copy, Debug)]
pub enum Caller {
    Sidecar(Sidecar),
    /// Calls again after every error: <https://github.com/kubernetes/kubernetes/blob/master/pkg/volume/csi/csi_attacher.go>.
    Kubelet,
}

pub struct Scene<'a> {
    pub witness: Witness<'a>,
    pub server: String,
    pub driver: Mortal<'a>,
    pub campaign: Campaign,
    pub lives: usize,
    pub volumes: usize,
    pub bytes: usize,
    pub history: Vec<String>,
}

/// What happened is of use where a law didn't hold.
impl Drop for Scene<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.history.join("\n"));
        }
    }
}

impl<'a> Scene<'a> {
    pub async fn new(lab: &'a Lab, seed: u64) -> Self {
        let server = lab.server("NODE_1");
        Self {
            witness: Witness::on(lab, &server).await,
            server,
            driver: Mortal::new(lab),
            campaign: Campaign::new(seed),
            lives: 0,
            volumes: 0,
            bytes: 0,
            history: Vec::new(),
        }
    }

    /// A process that may die while it begins.
    pub async fn begin(&mut self) {
        for starts in 0.. {
            let fate = self.campaign.fate(START, starts);
            let end = match &fate {
                Fate::Live => return self.driver.start(None).await,
                Fate::At(point) => {
                    self.driver.spawn(Some(point));
                    self.driver.dies(LONGEST).await
                }
                Fate::Later { after, with_programs } => {
                    self.driver.spawn(None);
                    pace::sleep(*after).await;
                    self.driver.kill(*with_programs);
                    self.driver.end().await
                }
            };
            let end = end.unwrap_or_else(|| panic!("it never comes there: {fate}\n{}", self.driver.said()));
            self.history.push(format!("{:9} {START}: {fate}", ""));
            self.campaign.killed(START, &end);
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
        self.driver.reached();
        let began = Instant::now();
        let answer = self.ask(fate, call).await;
        let took = began.elapsed();
        self.history.push(format!("{:9.3} {operation}: {fate}: {}", took.as_secs_f64(), gist(&answer)));
        let reached = self.driver.reached();
        let end = self.driver.end().await;
        match (&end, fate) {
            (Some(end), _) => self.campaign.killed(operation, end),
            (None, Fate::At(_)) => self.spare(operation),
            _ => {}
        }
        match (answer, end) {
            (Some(Ok(done)), _) => {
                self.campaign.learn(operation, reached, took);
                return Some(done);
            }
            (Some(Err(status)), None) => {
                self.campaign.learn(operation, reached, took);
                self.endure(operation, caller, status).await;
            }
            _ => {}
        }
        None
    }

    /// `None`: it was killed before it answered.
    async fn ask<T>(
        &mut self,
        fate: &Fate,
        call: impl AsyncFn(Calls) -> Result<T, Status>,
    ) -> Option<Result<T, Status>> {
        let calls = self.driver.calls();
        let Fate::Later { after, with_programs } = fate else { return Some(call(calls).await) };
        tokio::select! {
            answer = call(calls) => Some(answer),
            () = pace::sleep(*after) => {
                self.driver.kill(*with_programs);
                None
            }
        }
    }

    /// It didn't come to its point, and may not die there in another operation.
    fn spare(&mut self, operation: &str) {
        self.campaign.missed(operation);
        self.driver.kill(true);
    }

    /// Nothing but the driver fails here, so that one which lives never answers with a final code.
    async fn endure(&mut self, operation: &str, caller: Caller, status: Status) {
        assert!(!bug::is_told(status.message()), "{operation}: {status}\n{}", self.driver.said());
        if let Caller::Sidecar(sidecar) = caller {
            let said = self.driver.said();
            assert!(!sidecar.is_final(status.code()), "{operation}: {status}\n{said}");
        }
        pace::sleep(PAUSE).await;
    }
}

fn gist<T>(answer: &Option<Result<T, Status>>) -> String {
    match answer {
        None => "no answer".to_owned(),
        Some(Ok(_)) => "OK".to_owned(),
        Some(Err(status)) => format!("{:?} {}", status.code(), status.message()),
    }
}
