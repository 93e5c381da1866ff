//! What the orchestrator was promised, what it asks for, and what others did meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use cinder_csi::sandbox::Held;

use crate::rpc::{Group, Rpc};

/// What the orchestrator was promised, and asks for.
#[derive(Default)]
pub struct Ledger {
    /// By id.
    pub volumes: BTreeMap<String, Promise>,
    /// By id.
    pub snapshots: BTreeSet<String>,
    /// By name.
    pub groups: BTreeMap<String, Group>,
    /// The ids that were answered for a name.
    pub ids: BTreeMap<String, String>,
    /// Volumes that their owner deleted behind the driver's back.
    pub taken: BTreeSet<String>,
    pub gone_servers: BTreeSet<String>,
    /// Attaches, by volume and server, that Nova may still have kept when a process that doesn't know of them said that the
    /// volume isn't there: that is known (docs/reliability.md).
    pub forgotten: BTreeSet<(String, String)>,
    /// Names of what two leaders are making.
    pub doubled: BTreeSet<String>,
    /// What others made under names of claims, by id.
    pub strangers: BTreeMap<String, Held>,
    /// Their names that a claim asked for.
    met: BTreeSet<String>,
    /// What is called for until it is done.
    pub under_way: Vec<Rpc>,
    /// Calls without an answer yet.
    pub unanswered: Vec<Rpc>,
}

pub struct Promise {
    pub gib: i64,
    /// Its type.
    pub kind: &'static str,
    /// Where it is asked for, and was promised to be.
    pub servers: BTreeSet<String>,
}

impl Ledger {
    /// Which promised volumes their owner may delete. While two leaders make one, the late one would make it anew, and
    /// nobody calls it again once it has died.
    pub fn deletable(&self) -> Vec<String> {
        let doubled: Vec<_> = self.doubled.iter().filter_map(|name| self.ids.get(name)).collect();
        self.volumes.keys().filter(|id| !doubled.contains(id)).cloned().collect()
    }

    /// Whether somebody else has a volume of this name.
    pub fn is_strangers(&self, name: &str) -> bool {
        self.strangers.values().any(|held| held.name == name)
    }

    /// Whether the volume is being detached from another server: its status doesn't say from which.
    pub fn is_leaving_another(&self, id: &str, from: &str) -> bool {
        let is_another =
            |rpc: &Rpc| matches!(rpc, Rpc::Unpublish { volume, server } if volume == id && server != from);
        self.under_way.iter().any(is_another)
    }

    /// The servers that a volume is being attached to.
    pub fn coming<'h>(&self, held: &'h Held) -> Vec<&'h String> {
        let is_called_for = |server: &&String| {
            let is_it = |rpc: &Rpc| matches!(rpc, Rpc::Publish { volume, server: to, .. } if *volume == held.id && to == *server);
            self.under_way.iter().any(is_it)
        };
        held.rows.iter().filter(is_called_for).collect()
    }

    /// What a volume may be beside `in-use` where it is attached to this server: somebody else is at it.
    pub fn passing(&self, id: &str, here: &str) -> Vec<&'static str> {
        let passing = |rpc: &Rpc| match rpc {
            Rpc::Expand { volume, .. } if volume == id => vec!["extending", "error_extending"],
            Rpc::Modify { volume, .. } if volume == id => vec!["retyping"],
            Rpc::Publish { volume, server, .. } if volume == id && server != here => {
                vec!["reserved", "attaching"]
            }
            Rpc::Unpublish { volume, server } if volume == id && server != here => vec!["detaching"],
            Rpc::Snapshot { volume, is_backup: true, .. } if volume == id => vec!["backing-up"],
            _ => Vec::new(),
        };
        self.under_way.iter().flat_map(passing).collect()
    }

    /// Whether this is the first call for a name that somebody else has.
    pub fn meets_a_stranger(&mut self, rpc: &Rpc) -> bool {
        let Rpc::Create { name, .. } = rpc else { return false };
        self.is_strangers(name) && self.met.insert(name.clone())
    }

    /// The promised snapshot of this name.
    pub fn snapshot(&self, name: &str) -> Option<&String> {
        self.ids.get(name).filter(|id| self.snapshots.contains(*id))
    }

    /// What is to be undone isn't asked for any more from the first call on.
    pub fn begin(&mut self, rpc: &Rpc) {
        self.under_way.push(rpc.clone());
        if let Rpc::Unpublish { volume, server } = rpc
            && let Some(promise) = self.volumes.get_mut(volume)
        {
            promise.servers.remove(server);
        }
    }

    pub fn end(&mut self, rpc: &Rpc) {
        take_one(&mut self.under_way, rpc);
    }

    /// Whether another call, for something else, is under way on the same volume.
    pub fn send(&mut self, rpc: &Rpc) -> bool {
        let volume = rpc.volume();
        let is_beside = |one: &Rpc| one != rpc && one.volume() == volume;
        let is_crowded = volume.is_some() && self.unanswered.iter().any(is_beside);
        self.unanswered.push(rpc.clone());
        is_crowded
    }

    pub fn receive(&mut self, rpc: &Rpc) {
        take_one(&mut self.unanswered, rpc);
    }
}

fn take_one(rpcs: &mut Vec<Rpc>, rpc: &Rpc) {
    if let Some(place) = rpcs.iter().position(|one| one == rpc) {
        rpcs.remove(place);
    }
}
