//! One operation during which a service goes away.

use std::time::{Duration, Instant};

use cinder_csi::pace;
use tonic::Status;

use crate::bed::{Driver, Lab, capability};
use crate::calls::Calls;
use crate::eyes::Eyes;
use crate::honest::{Honest, counted};
use crate::service::{Away, How};
use crate::sidecar::Sidecar;

/// The cloud takes so long for the operation, and the service goes in the middle of it.
const SLOWLY: &str = "delay 2";
const MIDDLE: Duration = Duration::from_millis(900);
/// How long it is away, beside what it takes to start.
const OUTAGE: Duration = Duration::from_secs(4);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Create,
    Attach,
    Detach,
    Delete,
}

#[derive(Clone, Copy, Debug)]
pub struct Outage {
    pub service: &'static str,
    pub how: How,
    pub during: Operation,
}

pub struct Story<'a> {
    lab: &'a Lab,
    server: String,
    driver: &'a Driver,
    honest: Honest,
    eyes: Eyes<'a>,
}

impl Operation {
    fn point(self) -> &'static str {
        match self {
            Operation::Create => "cinder.create",
            Operation::Attach => "nova.attach",
            Operation::Detach => "nova.detach",
            Operation::Delete => "cinder.delete",
        }
    }
}

impl<'a> Story<'a> {
    pub async fn new(lab: &'a Lab, driver: &'a Driver) -> Self {
        let server = lab.server("NODE_1");
        let eyes = Eyes::on(lab, &server).await;
        Self { lab, driver, honest: Honest::of(driver).await, eyes, server }
    }

    /// A volume is created, attached, detached and deleted; meanwhile the outage comes. The line of a table.
    pub async fn tell(&mut self, name: &str, outage: &Outage) -> String {
        let before = self.lab.inventory();
        let mut told = String::new();
        let mut volume = String::new();
        for operation in [Operation::Create, Operation::Attach, Operation::Detach, Operation::Delete] {
            if operation != outage.during {
                self.run(operation, name, &mut volume).await;
                assert!(
                    self.honest.failures().is_empty(),
                    "{operation:?} failed with the cloud as it should be"
                );
                continue;
            }
            println!("{} {:?} during {operation:?}", outage.service, outage.how);
            let began = Instant::now();
            let lab = self.lab;
            lab.inject(operation.point(), SLOWLY);
            let ((), away) = tokio::join!(self.run(operation, name, &mut volume), strike(lab, outage));
            println!("    back after {away:?}, done after {:?}", began.elapsed());
            lab.heal();
            let failures = self.honest.failures();
            failures.iter().for_each(names_its_cause);
            told = format!(
                "{:20}{:10}{:10}{:>6.1} s away{:>9.1} s  {}",
                outage.service,
                format!("{:?}", outage.how),
                format!("{operation:?}"),
                away.as_secs_f64(),
                began.elapsed().as_secs_f64(),
                counted(&failures)
            );
        }
        self.eyes.is_clean(self.driver.directory.path(), &before).await;
        told
    }

    async fn run(&mut self, operation: Operation, name: &str, volume: &mut String) {
        let Self { honest, eyes, server, .. } = self;
        let id = volume.clone();
        match operation {
            Operation::Create => {
                let create = async |calls: Calls| calls.create(name, 1, None).await;
                let forgotten = async || eyes.is_unheard_of("volumes", name).await;
                let made = honest.converge(Sidecar::Provisioner, create, forgotten).await;
                eyes.is_one_volume(name, &made.volume_id, 1).await;
                *volume = made.volume_id;
            }
            Operation::Attach => {
                let attach = async |calls: Calls| calls.attach(&id, server, &capability("")).await;
                honest.converge(Sidecar::Attacher, attach, async || eyes.is_attached(&id, &[]).await).await;
                eyes.is_attached(&id, &[server]).await;
            }
            Operation::Detach => {
                let detach = async |calls: Calls| calls.detach(&id, server).await;
                honest
                    .converge(Sidecar::Attacher, detach, async || eyes.is_attached(&id, &[server]).await)
                    .await;
                eyes.is_attached(&id, &[]).await;
            }
            Operation::Delete => {
                let delete = async |calls: Calls| calls.delete(&id).await;
                honest
                    .converge(Sidecar::Provisioner, delete, async || eyes.is_one_volume(name, &id, 1).await)
                    .await;
                eyes.is_gone("volumes", &id).await;
            }
        }
    }
}

/// Takes the service away a moment from now, and brings it back. How long it was away.
async fn strike(lab: &Lab, outage: &Outage) -> Duration {
    pace::sleep(MIDDLE).await;
    let began = Instant::now();
    let away = Away::take(lab, outage.service, outage.how);
    pace::sleep(OUTAGE).await;
    away.bring_back();
    began.elapsed()
}

/// Whoever reads it knows what to look at: a service, or the state that a volume is in.
fn names_its_cause(status: &Status) {
    let causes =
        ["Cinder", "Nova", "Keystone", "creating", "attaching", "reserved", "detaching", "deleting", "error"];
    assert!(causes.iter().any(|cause| status.message().contains(cause)), "{status}");
}
