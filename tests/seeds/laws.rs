//! What must hold, after each answer and in the end.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::time::Duration;

use cinder_csi::sandbox::Held;
use tonic::{Code, Status};

use crate::bug;
use crate::ledger::{Ledger, Promise};
use crate::replica::Replica;
use crate::rpc::{Answer, Group, Rpc, SHARED};
use crate::scene::{Scene, count};

impl Scene {
    /// An OK is a promise: the cloud must have it already.
    pub fn check_answer(&self, rpc: &Rpc, answer: &Answer) {
        if let Some(law) = self.unkept(rpc, answer) {
            self.broke(format_args!("{rpc} was OK, and {law}"));
        }
        let mut ledger = self.ledger.borrow_mut();
        match rpc {
            Rpc::Create { name, kind, .. } => {
                self.check_name(&mut ledger, name, &answer.id);
                let servers = BTreeSet::new();
                let promise = Promise { gib: answer.gib, kind, servers };
                ledger.volumes.entry(answer.id.clone()).or_insert(promise);
            }
            Rpc::Delete { volume } => drop(ledger.volumes.remove(volume)),
            Rpc::Publish { volume, server, .. } => {
                let is_there = !ledger.gone_servers.contains(server);
                if let Some(promise) = ledger.volumes.get_mut(volume).filter(|_| is_there) {
                    promise.servers.insert(server.clone());
                }
            }
            Rpc::Unpublish { .. } => {}
            Rpc::Expand { volume, .. } => {
                if let Some(promise) = ledger.volumes.get_mut(volume) {
                    promise.gib = answer.gib;
                }
            }
            Rpc::Modify { volume, kind } => {
                if let Some(promise) = ledger.volumes.get_mut(volume) {
                    promise.kind = kind;
                }
            }
            Rpc::Snapshot { name, .. } => {
                self.check_name(&mut ledger, name, &answer.id);
                ledger.snapshots.insert(answer.id.clone());
            }
            Rpc::DeleteSnapshot { snapshot } => drop(ledger.snapshots.remove(snapshot)),
            Rpc::CutGroup { name, .. } => {
                self.check_name(&mut ledger, name, &answer.id);
                let group = Group { id: answer.id.clone(), members: answer.members.clone() };
                ledger.snapshots.extend(group.members.iter().cloned());
                ledger.groups.insert(name.clone(), group);
            }
            Rpc::DeleteGroup { group } => {
                ledger.snapshots.retain(|id| !group.members.contains(id));
                ledger.groups.retain(|_, known| known.id != group.id);
            }
        }
    }

    /// Whether Nova has an attach that this detach is to wait for. Nothing comes to a server that is gone.
    pub fn is_kept(&self, rpc: &Rpc) -> bool {
        let Rpc::Unpublish { volume, server } = rpc else { return false };
        let is_gone = self.ledger.borrow().gone_servers.contains(server);
        !is_gone && self.cloud.keeps_attach(volume, server)
    }

    /// A detach is over once no attach that its process asked for may still come.
    pub fn check_nothing_comes(&self, rpc: &Rpc, replica: &Replica, was_kept: bool) {
        let is_kept = self.is_kept(rpc);
        let is_its_own = |volume, server| replica.traffic.may_bring(volume, server);
        match rpc {
            Rpc::Publish { volume, server, .. } => {
                self.ledger.borrow_mut().forgotten.remove(&(volume.clone(), server.clone()));
            }
            Rpc::Unpublish { volume, server } if is_kept && is_its_own(volume, server) => {
                self.broke(format_args!("{rpc} was OK, and Nova has yet to attach it"));
            }
            Rpc::Unpublish { volume, server } if (is_kept || was_kept) && !is_its_own(volume, server) => {
                self.ledger.borrow_mut().forgotten.insert((volume.clone(), server.clone()));
            }
            _ => {}
        }
    }

    /// A name has one id, unless its owner took that one away.
    fn check_name(&self, ledger: &mut Ledger, name: &str, id: &str) {
        let earlier = ledger.ids.insert(name.to_owned(), id.to_owned());
        if let Some(earlier) = earlier.filter(|earlier| earlier != id && !ledger.taken.contains(earlier)) {
            self.broke(format_args!("{name} was {earlier}, and is {id} now"));
        }
    }

    /// What an OK promised and the cloud hasn't, as a clause.
    fn unkept(&self, rpc: &Rpc, answer: &Answer) -> Option<String> {
        let ledger = self.ledger.borrow();
        let is_taken = |id: &str| ledger.taken.contains(id);
        let volume = |id: &str| self.volume(id).filter(|_| !is_taken(id));
        match rpc {
            Rpc::Create { .. } if is_taken(&answer.id) => None,
            Rpc::Create { gib, .. } => match volume(&answer.id) {
                None => Some("there is no such volume".to_owned()),
                Some(held) if !["available", "in-use"].contains(&&*held.status) => {
                    Some(format!("the volume is {}", held.status))
                }
                Some(held) if answer.gib < *gib || held.gigabytes != answer.gib as u64 => {
                    Some(format!("{} GiB were answered, and it has {}", answer.gib, held.gigabytes))
                }
                Some(_) => None,
            },
            Rpc::Delete { volume: id } => {
                self.volume(id).map(|held| format!("the volume is {}", held.status))
            }
            Rpc::Publish { volume: id, server, shared } => {
                let held = volume(id).filter(|_| !ledger.gone_servers.contains(server))?;
                let is_alone = *shared || held.entries.len() == 1;
                let is_usable =
                    held.status == "in-use" || ledger.passing(id, server).contains(&&*held.status);
                let is_there = is_usable && held.entries.contains(server);
                (!is_there || !is_alone).then(|| format!("it is {} on {:?}", held.status, held.entries))
            }
            Rpc::Unpublish { volume: id, server } => {
                let is_forgotten = ledger.forgotten.contains(&(id.clone(), server.clone()));
                let held = volume(id).filter(|held| held.entries.contains(server) && !is_forgotten);
                held.map(|held| format!("it is {} on {:?}", held.status, held.entries))
            }
            Rpc::Expand { volume: id, gib } => {
                let held = volume(id)?;
                let is_large = held.gigabytes as i64 >= *gib && answer.gib == held.gigabytes as i64;
                (!is_large).then(|| format!("it has {} GiB, {} were answered", held.gigabytes, answer.gib))
            }
            Rpc::Modify { volume: id, kind } => {
                let held = volume(id).filter(|held| held.kind != *kind || held.status == "retyping");
                held.map(|held| format!("it is {} of type {}", held.status, held.kind))
            }
            Rpc::Snapshot { .. } => match self.snapshot(&answer.id) {
                None => Some("there is no such snapshot".to_owned()),
                Some(held) if answer.is_whole && held.status != "available" => {
                    Some(format!("the snapshot is {}", held.status))
                }
                Some(_) => None,
            },
            Rpc::DeleteSnapshot { snapshot } => {
                self.snapshot(snapshot).map(|held| format!("the snapshot is {}", held.status))
            }
            Rpc::CutGroup { volumes, .. } => {
                let there: Vec<_> = answer.members.iter().filter_map(|id| self.snapshot(id)).collect();
                let is_there = |held: &Held| !answer.is_whole || held.status == "available";
                let is_kept = there.len() == volumes.len() && there.iter().all(is_there);
                (!is_kept).then(|| format!("its snapshots are {there:?}"))
            }
            Rpc::DeleteGroup { group } => {
                let mut left = group.members.iter().filter_map(|id| self.snapshot(id));
                left.next().map(|held| format!("there is {held}"))
            }
        }
    }

    /// A final code says that nothing is left of the call: its sidecar forgets it.
    pub fn check_final(&self, rpc: &Rpc, status: &Status) {
        let is_going = |held: &Held| held.status.contains("deleting");
        let is_taken = |held: &Held| self.ledger.borrow().taken.contains(&held.id);
        let left = match rpc {
            Rpc::Create { name, .. } => {
                let mut all = self.cloud.volumes().into_iter();
                let is_strangers = |held: &Held| self.ledger.borrow().strangers.contains_key(&held.id);
                all.find(|held| held.name == *name && !is_going(held) && !is_strangers(held))
            }
            Rpc::Snapshot { name, .. } => {
                let mut all = self.saved().into_iter();
                // Its id is known once it is cut, and it is deleted by that.
                let is_known = |held: &Held| self.ledger.borrow().snapshots.contains(&held.id);
                let is_over = |held: &Held| is_going(held) || is_known(held) || has_failed_marked(held);
                all.find(|held| held.name == *name && !is_over(held))
            }
            Rpc::Publish { volume, server, .. } => {
                let held = self.volume(volume);
                held.filter(|held| held.entries.contains(server) && held.status != "detaching")
            }
            Rpc::Expand { volume, gib } => {
                let held = self.volume(volume);
                held.filter(|held| held.status == "extending" || held.gigabytes as i64 >= *gib)
            }
            Rpc::Modify { volume, kind } => {
                let held = self.volume(volume);
                held.filter(|held| held.status == "retyping" || held.kind == *kind)
            }
            Rpc::CutGroup { name, .. } => {
                let is_known = |id: &str| self.ledger.borrow().groups.values().any(|known| known.id == id);
                let mut all = self.cloud.groups().into_iter();
                all.find(|held| held.name == *name && !is_going(held)).filter(|held| !is_known(&held.id))
            }
            Rpc::Delete { volume } => self.volume(volume).filter(|held| held.status == "deleting"),
            Rpc::Unpublish { volume, server } => {
                let is_ours = !self.ledger.borrow().is_leaving_another(volume, server);
                let held = self.volume(volume).filter(|held| held.status == "detaching" && is_ours);
                held.filter(|held| held.entries.contains(server) || held.rows.contains(server))
            }
            Rpc::DeleteSnapshot { snapshot } => {
                self.snapshot(snapshot).filter(|held| held.status == "deleting")
            }
            Rpc::DeleteGroup { group } => {
                let members = group.members.iter().filter_map(|id| self.snapshot(id));
                let cut = self.cloud.groups().into_iter().filter(|held| held.id == group.id);
                members.chain(cut).find(|held| held.status == "deleting")
            }
        };
        if let Some(held) = left.filter(|held| !is_taken(held)) {
            let (code, said) = (status.code(), status.message());
            self.broke(format_args!("{rpc} was {code:?}, which is final, and the cloud has {held}: {said}"));
        }
    }

    /// Every answer, whatever it says.
    pub fn check_manners(
        &self,
        rpc: &Rpc,
        answer: &Result<Answer, Status>,
        patience: Duration,
        took: Duration,
    ) {
        if took > patience {
            self.broke(format_args!("{rpc} took {took:?} of {patience:?}: {answer:?}"));
        }
        let Err(status) = answer else { return };
        if bug::is_told(status.message()) {
            self.broke(format_args!("{rpc} met a bug: {status:?}"));
        }
        if status.message().contains("Timeout expired") {
            self.broke(format_args!("{rpc} ended without words of its own: {status:?}"));
        }
        if status.message().is_empty() || status.code() == Code::Unknown {
            self.broke(format_args!("{rpc} was {:?}: {:?}", status.code(), status.message()));
        }
    }

    /// In the end the cloud has what was promised, and nothing else.
    pub fn check_all(&self) {
        let ledger = self.ledger.borrow();
        let volumes = self.cloud.volumes();
        for held in &volumes {
            match ledger.volumes.get(&held.id) {
                Some(promise) => self.check_volume(held, promise),
                None if self.foreign.iter().any(|other| other.id == held.id) => {}
                None if ledger.taken.contains(&held.id) || ledger.strangers.contains_key(&held.id) => {}
                None => self.is_left(format_args!("nobody was promised {held}")),
            }
        }
        for other in self.foreign.iter().filter(|other| !volumes.contains(other)) {
            self.broke(format_args!("somebody else's volume was touched: {other}"));
        }
        for id in ledger.volumes.keys().filter(|id| !volumes.iter().any(|held| held.id == **id)) {
            self.broke(format_args!("volume {id} was promised, and is lost"));
        }
        for held in self.cloud.groups().iter().filter(|held| !ledger.groups.contains_key(&held.name)) {
            self.is_left(format_args!("nobody was promised the group {held}"));
        }
        let snapshots = self.saved();
        let is_accounted_for = |held: &Held| ledger.snapshots.contains(&held.id) || has_failed_marked(held);
        for held in snapshots.iter().filter(|held| !is_accounted_for(held)) {
            self.is_left(format_args!("nobody was promised the snapshot or backup {held}"));
        }
        let is_there =
            |id: &String| snapshots.iter().any(|held| held.id == *id && held.status == "available");
        for id in ledger.snapshots.iter().filter(|id| !is_there(id)) {
            self.broke(format_args!("snapshot {id} was promised, and is lost"));
        }
    }

    fn is_left(&self, law: impl Display) {
        count(&self.figures.left_behind);
        self.broke(law);
    }

    /// Others' volumes are as they made them. Their owners then delete them, as the driver's errors ask.
    pub fn check_strangers(&self) {
        let volumes = self.cloud.volumes();
        for made in self.ledger.borrow().strangers.values() {
            // Its own create goes on.
            let is_there = |held: &&Held| **held == Held { status: held.status.clone(), ..made.clone() };
            match volumes.iter().find(is_there) {
                Some(held) => {
                    self.history.note(format_args!("its owner deletes {held}"));
                    self.cloud.set_status(&held.id, "available");
                    self.cloud.delete_volume(&held.id);
                }
                None => self.broke(format_args!("a stranger's volume was touched: {made}")),
            }
        }
    }

    fn check_volume(&self, held: &Held, promise: &Promise) {
        let status = if promise.servers.is_empty() { "available" } else { "in-use" };
        let is_on = |servers: &[String]| promise.servers.iter().eq(servers.iter());
        let mut entries = held.entries.clone();
        entries.sort();
        if held.status != status || !is_on(&entries) || !is_on(&held.rows) {
            self.broke(format_args!("it should be {status} on {:?}: {held}", promise.servers));
        }
        if held.gigabytes as i64 != promise.gib {
            self.broke(format_args!("{} GiB were promised: {held}", promise.gib));
        }
        if held.kind != promise.kind {
            self.broke(format_args!("type {} was promised: {held}", promise.kind));
        }
        if promise.servers.len() > 1 && promise.kind != SHARED {
            self.broke(format_args!("it was promised to several servers: {held}"));
        }
    }
}

/// A backup that failed after it was marked and whose answer nobody heard stays: that is known (docs/reliability.md).
pub fn has_failed_marked(held: &Held) -> bool {
    held.status == "error" && held.metadata.iter().any(|(key, _)| key == "cinder.csi.openstack.org/settled")
}
