//! One operation, asked for as a sidecar asks: again, a second later, where it failed.

use std::time::{Duration, Instant};

use cinder_csi::pace;
use cinder_csi::sandbox::Operation;

use super::super::Outcome;
use super::super::rpc::Rpc;

const AGAIN: Duration = Duration::from_secs(1);

/// What is asked for.
#[derive(Clone, Debug)]
pub enum Order {
    Create(String),
    Delete(String),
    Attach { volume: String, server: String },
    Detach { volume: String, server: String },
}

/// What became of it.
#[derive(Clone, Debug)]
pub struct Done {
    pub operation: Operation,
    pub volume: String,
    pub began: Instant,
    pub ended: Instant,
    /// The RPCs that failed before the one that succeeded.
    pub failures: Vec<String>,
}

impl Order {
    pub async fn carry_out(self, rpc: &Rpc) -> Done {
        let began = Instant::now();
        let mut failures = Vec::new();
        loop {
            match self.ask(rpc).await {
                Ok(volume) => {
                    let ended = Instant::now();
                    return Done { operation: self.operation(), volume, began, ended, failures };
                }
                Err(error) => failures.push(error.to_string()),
            }
            pace::sleep(AGAIN).await;
        }
    }

    /// The volume that it was about.
    async fn ask(&self, rpc: &Rpc) -> Outcome<String> {
        match self {
            Order::Create(name) => rpc.create(name).await,
            Order::Delete(volume) => rpc.delete(volume).await.map(|()| volume.clone()),
            Order::Attach { volume, server } => rpc.publish(volume, server).await.map(|()| volume.clone()),
            Order::Detach { volume, server } => rpc.unpublish(volume, server).await.map(|()| volume.clone()),
        }
    }

    fn operation(&self) -> Operation {
        match self {
            Order::Create(_) => Operation::Create,
            Order::Delete(_) => Operation::Delete,
            Order::Attach { .. } => Operation::Attach,
            Order::Detach { .. } => Operation::Detach,
        }
    }
}
