//! What the cloud tells a tenant of work that failed after its answer.

use std::time::SystemTime;

use super::World;

#[derive(Clone, Debug)]
pub(in crate::sandbox) struct Message {
    pub id: String,
    pub resource: Resource,
    pub object: String,
    pub project: String,
    pub created: SystemTime,
    pub request: String,
    failure: Failure,
    detail: String,
}

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Resource {
    Volume,
    Snapshot,
    Backup,
}

/// Numbers and words of Cinder's `message_field.py`: what was done, and what went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    code: &'static str,
    action: &'static str,
    detail: &'static str,
}

impl Failure {
    const fn new(code: &'static str, action: &'static str, detail: &'static str) -> Self {
        Self { code, action, detail }
    }

    pub const NO_BACKEND: Self = Self::new("001_003", "schedule allocate volume", NO_BACKEND);
    pub const CREATE: Self = Self::new("001_001", "schedule allocate volume", "An unknown error occurred.");
    pub const EXTEND: Self = Self::new("007_010", "extend volume", "Volume Driver failed to extend volume.");
    pub const SNAPSHOT: Self = Self::new("009_013", "create snapshot", "Snapshot failed to create.");
    pub const SNAPSHOT_DELETE: Self = Self::new("010_016", "delete snapshot", "Snapshot failed to delete.");
    pub const BACKUP: Self = Self::new("013_020", "create backup", "Backup driver failed to create backup.");
    pub const BACKUP_SERVICE: Self = Self::new(
        "013_024",
        "create backup",
        "Backup failed to schedule. Service not found for creating backup.",
    );
    pub const BACKUP_DELETE: Self =
        Self::new("014_025", "delete backup", "Backup driver failed to delete backup.");
    pub const RESTORE: Self =
        Self::new("015_026", "restore backup", "Backup driver failed to restore backup.");
}

/// Also what the scheduler says where no backend has the room or the type.
pub(super) const NO_BACKEND: &str = "Could not find any available weighted backend.";

impl Resource {
    pub fn name(self) -> &'static str {
        match self {
            Resource::Volume => "VOLUME",
            Resource::Snapshot => "VOLUME_SNAPSHOT",
            Resource::Backup => "VOLUME_BACKUP",
        }
    }
}

impl Message {
    pub fn event_id(&self) -> String {
        format!("VOLUME_{}_{}", self.resource.name(), self.failure.code)
    }

    pub fn text(&self) -> String {
        format!("{}:{}", self.failure.action, self.detail)
    }
}

impl World {
    /// Leaves a message with Cinder's own words.
    pub(super) fn report(&mut self, resource: Resource, object: &str, project: &str, failure: Failure) {
        self.report_with(resource, object, project, failure, failure.detail);
    }

    pub(super) fn report_with(
        &mut self,
        resource: Resource,
        object: &str,
        project: &str,
        failure: Failure,
        detail: &str,
    ) {
        let message = Message {
            id: self.new_id(),
            resource,
            object: object.to_owned(),
            project: project.to_owned(),
            created: self.now(),
            request: self.new_request_id(),
            failure,
            detail: detail.to_owned(),
        };
        self.messages.push(message);
    }
}
