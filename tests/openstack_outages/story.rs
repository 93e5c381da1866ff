//! One operation during which a service goes away.

use std::cell::Cell;
use std::time::{Duration, Instant};

use cinder_csi::pace;
use tonic::Status;

use crate::bed::{Driver, Lab, capability};
use crate::calls::Calls;
use crate::operator::Operator;
use crate::outage::{Operation, Outage};
use crate::service::How;
use crate::sidecar::Sidecar;
use crate::sidecars::{Sidecars, counted};
use crate::strike::{Progress, Strike};
use crate::witness::Witness;

pub struct Story<'a> {
    lab: &'a Lab,
    server: String,
    driver: &'a Driver,
    sidecars: Sidecars,
    witness: Witness<'a>,
}

impl<'a> Story<'a> {
    pub async fn new(lab: &'a Lab, driver: &'a Driver) -> Self {
        let server = lab.server("NODE_1");
        let witness = Witness::on(lab, &server).await;
        Self { lab, driver, sidecars: Sidecars::of(driver).await, witness, server }
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
                    self.sidecars.failures().is_empty(),
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
        self.ask(operation, name, volume, &Cell::new(true)).await;
        self.look(operation, name, volume).await;
    }

    async fn through(&mut self, outage: &Outage, name: &str, volume: &mut String) -> String {
        let (lab, progress) = (self.lab, Progress::default());
        let operator = Operator::new(lab, name).await;
        let strike = Strike::prepare(lab, outage);
        let began = Instant::now();
        let (took, (away, resets)) = tokio::join!(
            async {
                self.ask(outage.during, name, volume, &progress.is_whole).await;
                progress.is_done.set(true);
                began.elapsed()
            },
            async {
                let away = strike.carry_out(lab, outage, &progress).await;
                (away, operator.watch(&progress.is_done).await)
            }
        );
        self.look(outage.during, name, volume).await;
        let failures = self.sidecars.failures();
        let told = format!(
            "{:20}{:8}{:8}{:5.1} s away, done after {:5.1} s: {}{}",
            outage.service,
            format!("{:?}", outage.how),
            format!("{:?}", outage.during),
            away.as_secs_f64(),
            took.as_secs_f64(),
            counted(&failures),
            ended(&resets)
        );
        println!("{told}");
        judge(outage, &failures, &resets);
        told
    }

    /// Until it is done. After a final answer nothing of it may be left, which can be seen once the cloud is whole again.
    async fn ask(&mut self, operation: Operation, name: &str, volume: &mut String, is_whole: &Cell<bool>) {
        let Self { sidecars, witness, server, .. } = self;
        let id = volume.clone();
        let whole = async || {
            while !is_whole.get() {
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
                *volume = sidecars.converge(Sidecar::Provisioner, create, ended).await.volume_id;
            }
            Operation::Attach => {
                let attach = async |calls: Calls| calls.attach(&id, server, &capability("")).await;
                let ended = async || {
                    whole().await;
                    witness.assert_attached_to(&id, &[]).await;
                };
                sidecars.converge(Sidecar::Attacher, attach, ended).await;
            }
            Operation::Detach => {
                let detach = async |calls: Calls| calls.detach(&id, server).await;
                sidecars.converge(Sidecar::Attacher, detach, whole).await;
            }
            Operation::Delete => {
                let delete = async |calls: Calls| calls.delete(&id).await;
                sidecars.converge(Sidecar::Provisioner, delete, whole).await;
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

/// What may come of an outage.
fn judge(outage: &Outage, failures: &[Status], resets: &[String]) {
    for failure in failures {
        assert!(names_its_cause(failure), "{outage}: who or what is it? {failure}");
    }
    let failed = counted(failures);
    assert!(outage.is_of_what_is_needed() || failures.is_empty(), "{outage}, and all the same: {failed}");
    // Neither Cinder nor Nova takes up work again whose end it couldn't write down.
    let may_need_help = outage.how == How::Killed;
    assert!(resets.is_empty() || may_need_help, "{outage}: without an operator it doesn't end: {resets:?}");
}

fn ended(resets: &[String]) -> String {
    if resets.is_empty() { String::new() } else { format!("; an operator ended {}", resets.join(", ")) }
}

/// Whoever reads an error that an outage brings knows what to look at: the service that did not do what was asked, or the
/// status that the volume is in.
fn names_its_cause(status: &Status) -> bool {
    let services = [
        "Cinder could not ",
        "Cinder couldn't ",
        "Cinder has given no answer ",
        "Nova could not ",
        "Nova accepted ",
        "Keystone could not ",
    ];
    // In use is one whose detach was sent again.
    let statuses = ["creating", "attaching", "reserved", "in-use", "detaching", "deleting", "error"];
    let message = status.message();
    services.iter().any(|service| message.contains(service))
        || statuses.iter().any(|status| message.contains(&format!("status {status}")))
}

#[test]
fn an_error_names_a_service_or_a_status() {
    for named in [
        "create volume a: Cinder could not show the volume: HTTP 503: Service Unavailable",
        "detach volume a from server b: the RPC's deadline came first (volume a: status detaching)",
    ] {
        assert!(names_its_cause(&Status::unavailable(named)), "{named}");
    }
    for vague in ["an error", "create volume a: internal error", "openstack volume list", "is it attaching?"]
    {
        assert!(!names_its_cause(&Status::unavailable(vague)), "{vague}");
    }
}
