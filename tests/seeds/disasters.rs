//! What goes wrong.

use std::rc::Rc;
use std::time::Duration;

use cinder_csi::pace;
use cinder_csi::sandbox::{Fault, Mishap, Operation, Trouble};
use fastrand::Rng;
use http::Method;

use crate::scene::{DISASTERS_END, LEASES, Scene, count};

const DISASTERS: u64 = 12;

const REQUESTS: [(&str, &str); 32] = [
    ("POST", "/auth/tokens"),
    ("POST", "/volumes"),
    ("GET", "/volumes/detail"),
    ("GET", "/volumes/{id}"),
    ("DELETE", "/volumes/{id}"),
    ("POST", "/volumes/{id}/action"),
    ("POST", "/volumes/{id}/metadata"),
    ("POST", "/snapshots"),
    ("GET", "/snapshots/detail"),
    ("GET", "/snapshots/{id}"),
    ("DELETE", "/snapshots/{id}"),
    ("PUT", "/snapshots/{id}"),
    ("POST", "/snapshots/{id}/metadata"),
    ("POST", "/backups"),
    ("GET", "/backups/detail"),
    ("GET", "/backups/{id}"),
    ("DELETE", "/backups/{id}"),
    ("POST", "/groups"),
    ("GET", "/groups/detail"),
    ("PUT", "/groups/{id}"),
    ("POST", "/groups/{id}/action"),
    ("GET", "/group_types"),
    ("POST", "/group_snapshots"),
    ("GET", "/group_snapshots/detail"),
    ("DELETE", "/group_snapshots/{id}"),
    ("GET", "/types"),
    ("GET", "/messages"),
    ("GET", "/servers/{id}"),
    ("GET", "/servers/{id}/os-volume_attachments/{id}"),
    ("POST", "/servers/{id}/os-volume_attachments"),
    ("DELETE", "/servers/{id}/os-volume_attachments/{id}"),
    ("DELETE", "/attachments/{id}"),
];

/// So many of [`OPERATIONS`] an operator can mend that never end.
const MENDABLE: usize = 11;

const OPERATIONS: [Operation; 16] = [
    Operation::Create,
    Operation::Delete,
    Operation::Attach,
    Operation::Detach,
    Operation::Extend,
    Operation::Snapshot,
    Operation::DeleteSnapshot,
    Operation::Retype,
    Operation::Backup,
    Operation::DeleteBackup,
    Operation::Restore,
    Operation::Group,
    Operation::UpdateGroup,
    Operation::DeleteGroup,
    Operation::GroupSnapshot,
    Operation::DeleteGroupSnapshot,
];

pub struct Disasters {
    pub scene: Rc<Scene>,
    pub random: Rng,
}

impl Disasters {
    pub async fn strike(&mut self) {
        for _ in 0..DISASTERS {
            let spread = DISASTERS_END.as_millis() as u64 / DISASTERS;
            pace::sleep(Duration::from_millis(self.random.u64(..spread))).await;
            self.strike_once();
        }
    }

    fn strike_once(&mut self) {
        let scene = self.scene.clone();
        count(&scene.figures.disasters_ordered);
        let has_done_something = match self.random.u8(..19) {
            // One that dies while another answers for it isn't called again (docs/reliability.md).
            0 | 1 if !scene.lists_lag && scene.ledger.borrow().doubled.is_empty() => self.kill(),
            2 if !scene.lists_lag => {
                let lease = self.random.usize(..LEASES.len());
                scene.history.note(format_args!("the other one has the lease of {}", LEASES[lease]));
                scene.move_lease(lease);
                true
            }
            3 => self.stop_a_host(),
            4 => self.delete_a_server(),
            5 => self.delete_a_volume(),
            6 => {
                scene.history.note("Cinder and Nova move to another address");
                scene.cloud.move_services();
                true
            }
            7 => {
                self.take_a_name();
                false
            }
            8 => self.move_a_server(),
            9..=12 => {
                let mishap = self.mishap();
                scene.history.note(format_args!("{mishap:?}"));
                scene.cloud.mishap(mishap);
                false
            }
            _ => {
                let fault = self.fault();
                scene.history.note(format_args!("{fault:?}"));
                scene.cloud.fault(fault);
                false
            }
        };
        if has_done_something {
            count(&scene.figures.disasters_done);
        }
    }

    /// Does something to a process that has a call under way.
    fn kill(&mut self) -> bool {
        let (scene, lease) = (&self.scene, self.random.usize(..LEASES.len()));
        scene.history.note(format_args!("the driver beside the leading {} is killed", LEASES[lease]));
        let is_during_a_call = scene.replicas(lease).0.traffic.is_serving();
        if is_during_a_call {
            count(&scene.figures.kills);
        }
        scene.kill_holder(lease);
        is_during_a_call
    }

    fn mishap(&mut self) -> Mishap {
        let operation = OPERATIONS[self.random.usize(..OPERATIONS.len())];
        let listed = [Operation::Create, Operation::Snapshot, Operation::Backup][self.random.usize(..3)];
        match self.random.u8(..7) {
            0 | 1 => Mishap::Fails(operation, "no room".to_owned()),
            2 => Mishap::Stuck(OPERATIONS[self.random.usize(..MENDABLE)]),
            3 => Mishap::LeavesEntries,
            4 | 5 if self.scene.lists_lag => Mishap::Unlisted(listed, self.seconds(1..30)),
            _ => Mishap::Takes(operation, self.seconds(5..120)),
        }
    }

    fn fault(&mut self) -> Fault {
        let (method, path) = REQUESTS[self.random.usize(..REQUESTS.len())];
        let method: Method = method.parse().unwrap();
        let mut trouble = self.trouble();
        let makes = method == Method::POST
            && ["/volumes", "/snapshots", "/backups", "/groups", "/group_snapshots"].contains(&path);
        // A cloud that says of what is there that it isn't can't be told from one that tells the truth.
        let lies = trouble == Trouble::Refused(404) && path.contains("{id}");
        let has_no_token = trouble == Trouble::TokenRevoked && path == "/auth/tokens";
        if lies || has_no_token || (self.scene.lists_lag && makes && hides_its_effect(&trouble)) {
            trouble = Trouble::ResetBefore;
        }
        Fault::on(method, path, trouble).from_nth(self.random.usize(1..4)).times(self.random.usize(1..6))
    }

    fn trouble(&mut self) -> Trouble {
        let failure = [500, 502, 503, 504][self.random.usize(..4)];
        let refusal = [400, 401, 403, 404, 409, 413][self.random.usize(..6)];
        match self.random.u8(..11) {
            0 | 1 => Trouble::Refused(failure),
            2 => Trouble::Refused(refusal),
            3 => Trouble::FailedAfter(failure),
            4 => Trouble::ResetBefore,
            5 => Trouble::ResetAfter,
            6 => Trouble::ReplyLost,
            7 => Trouble::Throttled(self.seconds(1..10)),
            8 => Trouble::Slow(self.seconds(5..90)),
            9 => Trouble::GatewayTimeout(self.seconds(1..60)),
            _ => Trouble::TokenRevoked,
        }
    }

    fn stop_a_host(&mut self) -> bool {
        let (scene, time) = (self.scene.clone(), self.seconds(5..90));
        let server = scene.servers[self.random.usize(..scene.servers.len())].clone();
        scene.history.note(format_args!("the host of {server} is down for {time:?}"));
        let was_up = scene.cloud.set_host_up(&server, false);
        tokio::task::spawn_local(async move {
            pace::sleep(time).await;
            scene.history.note(format_args!("the host of {server} is up"));
            scene.cloud.set_host_up(&server, true);
        });
        was_up
    }

    fn move_a_server(&mut self) -> bool {
        let (scene, time) = (self.scene.clone(), self.seconds(1..60));
        let server = &scene.servers[self.random.usize(..scene.servers.len())];
        let has_begun = scene.cloud.migrate(server, time);
        if has_begun {
            scene.history.note(format_args!("server {server} moves to another host in {time:?}"));
        }
        has_begun
    }

    /// One at most.
    fn delete_a_server(&mut self) -> bool {
        let scene = &self.scene;
        let server = &scene.servers[self.random.usize(..scene.servers.len())];
        let mut ledger = scene.ledger.borrow_mut();
        if !ledger.gone_servers.is_empty() || !scene.cloud.delete_server(server) {
            return false;
        }
        scene.history.note(format_args!("server {server} is deleted"));
        ledger.gone_servers.insert(server.clone());
        for promise in ledger.volumes.values_mut() {
            promise.servers.remove(server);
        }
        true
    }

    fn delete_a_volume(&mut self) -> bool {
        let scene = &self.scene;
        let mut ledger = scene.ledger.borrow_mut();
        let ids = ledger.deletable();
        if ids.is_empty() {
            return false;
        }
        let id = ids[self.random.usize(..ids.len())].clone();
        if !scene.cloud.delete_volume(&id) {
            return false;
        }
        scene.history.note(format_args!("volume {id} is deleted by its owner"));
        ledger.volumes.remove(&id);
        ledger.taken.insert(id);
        true
    }

    /// Somebody else's volume has the name that a claim has or will have.
    fn take_a_name(&mut self) {
        let name = format!("pvc-{}-{}", self.random.u8(1..6), self.random.u8(1..4));
        let gigabytes = self.random.u64(1..3);
        let Some(made) = self.scene.cloud.make_volume(&name, gigabytes) else { return };
        self.scene.history.note(format_args!("a stranger makes {made}"));
        self.scene.ledger.borrow_mut().strangers.insert(made.id.clone(), made);
    }

    fn seconds(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_secs(self.random.u64(range))
    }
}

/// It may be done, and the answer doesn't say so.
fn hides_its_effect(trouble: &Trouble) -> bool {
    matches!(
        trouble,
        Trouble::FailedAfter(_)
            | Trouble::ResetAfter
            | Trouble::ReplyLost
            | Trouble::Slow(_)
            | Trouble::GatewayTimeout(_)
    )
}
