//! One operation during which a service goes away.

use std::cell::Cell;
use std::time::{Duration, Instant};

use cinder_csi::pace;
use tonic::Status;

use crate::bed::{Driver, Lab, capability};
use crate::calls::Calls;
use crate::honest::{Honest, counted};
use crate::operator::Operator;
use crate::service::{Away, How, forget_tokens};
use crate::sidecar::Sidecar;
use crate::witness::Witness;

/// The cloud takes so long for the operation, and a service is killed in the middle of it. What freezes is frozen when it
/// begins.
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
    witness: Witness<'a>,
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
        let witness = Witness::on(lab, &server).await;
        Self { lab, driver, honest: Honest::of(driver).await, witness, server }
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
            told = self.through(outage, name, &mut volume).await;
        }
        self.witness.assert_nothing_left(self.driver.directory.path(), &before).await;
        told
    }

    async fn run(&mut self, operation: Operation, name: &str, volume: &mut String) {
        self.ask(operation, name, volume, &Cell::new(false)).await;
        self.look(operation, name, volume).await;
    }

    async fn through(&mut self, outage: &Outage, name: &str, volume: &mut String) -> String {
        let (lab, began) = (self.lab, Instant::now());
        let (is_away, is_done) = (Cell::new(true), Cell::new(false));
        let operator = Operator::new(lab, name).await;
        lab.inject(outage.during.point(), SLOWLY);
        let (took, (away, resets)) = tokio::join!(
            async {
                self.ask(outage.during, name, volume, &is_away).await;
                is_done.set(true);
                began.elapsed()
            },
            async {
                let away = strike(lab, outage).await;
                is_away.set(false);
                lab.heal();
                (away, operator.watch(&is_done).await)
            }
        );
        self.look(outage.during, name, volume).await;
        let failures = self.honest.failures();
        failures.iter().for_each(names_its_cause);
        // Neither Cinder nor Nova takes up work again whose end it couldn't write down.
        assert!(
            resets.is_empty() || outage.how == How::Killed,
            "without an operator it doesn't end: {resets:?}"
        );
        let resets = if resets.is_empty() {
            String::new()
        } else {
            format!("; an operator ended {}", resets.join(", "))
        };
        let told = format!(
            "{:20}{:8}{:8}{:5.1} s away, done after {:5.1} s: {}{resets}",
            outage.service,
            format!("{:?}", outage.how),
            format!("{:?}", outage.during),
            away.as_secs_f64(),
            took.as_secs_f64(),
            counted(&failures)
        );
        println!("{told}");
        told
    }

    /// Until it is done. After a final answer nothing of it may be left, which can be seen once the cloud is whole again.
    async fn ask(&mut self, operation: Operation, name: &str, volume: &mut String, is_away: &Cell<bool>) {
        let Self { honest, witness, server, .. } = self;
        let id = volume.clone();
        let whole = async || {
            while is_away.get() {
                pace::sleep(Duration::from_millis(100)).await;
            }
        };
        match operation {
            Operation::Create => {
                let create = async |calls: Calls| calls.create(name, 1, None).await;
                let ended = async || {
                    whole().await;
                    witness.assert_none_named("volumes", name).await;
                };
                *volume = honest.converge(Sidecar::Provisioner, create, ended).await.volume_id;
            }
            Operation::Attach => {
                let attach = async |calls: Calls| calls.attach(&id, server, &capability("")).await;
                let ended = async || {
                    whole().await;
                    witness.assert_attached_to(&id, &[]).await;
                };
                honest.converge(Sidecar::Attacher, attach, ended).await;
            }
            Operation::Detach => {
                let detach = async |calls: Calls| calls.detach(&id, server).await;
                honest.converge(Sidecar::Attacher, detach, whole).await;
            }
            Operation::Delete => {
                let delete = async |calls: Calls| calls.delete(&id).await;
                honest.converge(Sidecar::Provisioner, delete, whole).await;
            }
        }
    }

    /// It is as asked.
    async fn look(&self, operation: Operation, name: &str, volume: &str) {
        match operation {
            Operation::Create => self.witness.assert_one_volume(name, volume, 1).await,
            Operation::Attach => self.witness.assert_attached_to(volume, &[&self.server]).await,
            Operation::Detach => self.witness.assert_attached_to(volume, &[]).await,
            Operation::Delete => self.witness.assert_gone("volumes", volume).await,
        }
    }
}

/// Takes the service away, and brings it back. How long it was away.
async fn strike(lab: &Lab, outage: &Outage) -> Duration {
    if outage.how == How::Killed {
        pace::sleep(MIDDLE).await;
    }
    let began = Instant::now();
    let away = Away::take(lab, outage.service, outage.how);
    if outage.service.starts_with("keystone") {
        forget_tokens(lab);
    }
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
