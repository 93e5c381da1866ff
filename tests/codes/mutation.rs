//! What an RPC changes in the cloud: its requests, and the work that the cloud does after them.

use std::fmt;

use cinder_csi::sandbox::{Fault, Operation, Trouble};
use http::Method;

use crate::groups;
use crate::stand::Rpc;

/// A request that changes something: the nth of its kind.
#[derive(Clone, Debug)]
pub struct Mutation {
    method: Method,
    path: &'static str,
    nth: usize,
}

impl Mutation {
    pub(super) fn new(method: Method, path: &'static str) -> Self {
        Self { method, path, nth: 1 }
    }

    pub(super) fn nth(self, nth: usize) -> Self {
        Self { nth, ..self }
    }

    pub fn meets(&self, trouble: Trouble) -> Fault {
        Fault::on(self.method.clone(), self.path, trouble).from_nth(self.nth)
    }
}

impl fmt::Display for Mutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {}. {} {}", self.nth, self.method, self.path)
    }
}

impl Rpc {
    /// The requests that change something, in their order.
    pub fn mutations(self) -> Vec<Mutation> {
        let (method, path) = match self {
            Rpc::Create | Rpc::Restore | Rpc::RestoreBackup | Rpc::Clone => (Method::POST, "/volumes"),
            Rpc::Delete => (Method::DELETE, "/volumes/{id}"),
            Rpc::Publish => (Method::POST, "/servers/{id}/os-volume_attachments"),
            Rpc::Unpublish => (Method::DELETE, "/servers/{id}/os-volume_attachments/{id}"),
            Rpc::Expand | Rpc::Modify => (Method::POST, "/volumes/{id}/action"),
            Rpc::Snapshot => (Method::POST, "/snapshots"),
            Rpc::DeleteSnapshot => (Method::DELETE, "/snapshots/{id}"),
            Rpc::Backup => (Method::POST, "/backups"),
            Rpc::DeleteBackup => (Method::DELETE, "/backups/{id}"),
            Rpc::Group => return groups::of_a_cut(),
            Rpc::DeleteGroup => return groups::of_a_deletion(),
        };
        vec![Mutation::new(method, path)]
    }

    /// What the cloud does after it has answered them.
    pub fn operations(self) -> Vec<Operation> {
        let operation = match self {
            Rpc::Create | Rpc::Restore | Rpc::Clone => Operation::Create,
            Rpc::RestoreBackup => Operation::Restore,
            Rpc::Delete => Operation::Delete,
            Rpc::Publish => Operation::Attach,
            Rpc::Unpublish => Operation::Detach,
            Rpc::Expand => Operation::Extend,
            Rpc::Snapshot => Operation::Snapshot,
            Rpc::DeleteSnapshot => Operation::DeleteSnapshot,
            Rpc::Backup => Operation::Backup,
            Rpc::DeleteBackup => Operation::DeleteBackup,
            Rpc::Modify => Operation::Retype,
            Rpc::Group => return vec![Operation::Group, Operation::UpdateGroup, Operation::GroupSnapshot],
            Rpc::DeleteGroup => {
                return vec![Operation::UpdateGroup, Operation::DeleteGroupSnapshot, Operation::DeleteGroup];
            }
        };
        vec![operation]
    }
}
