//! Volumes for the tables of the plans.

use crate::openstack::{
    Attachment, Backup, BackupStatus, Hints, ServerId, Snapshot, SnapshotStatus, Status, Volume, VolumeId,
};
use crate::volume::metadata::{ATTEMPT, CLUSTER, SETTLED};
use crate::volume::{Wanted, ZoneChoice};

pub fn id(n: u128) -> VolumeId {
    VolumeId::from(uuid::Uuid::from_u128(n))
}

pub fn server(n: u128) -> ServerId {
    ServerId::from(uuid::Uuid::from_u128(n))
}

/// A volume of 1 GiB of cluster `kubernetes`, made by nobody's attempt.
pub fn volume(status: Status) -> Volume {
    Volume {
        id: id(1),
        name: "pvc-1".to_owned(),
        status,
        size: 1,
        availability_zone: Some("az1".to_owned()),
        volume_type: Some("fast".to_owned()),
        multiattach: false,
        encrypted: false,
        bootable: false,
        snapshot_id: None,
        source_volid: None,
        migration_status: None,
        metadata: [(CLUSTER.to_owned(), "kubernetes".to_owned())].into(),
        attachments: Vec::new(),
        created_at: Some("2026-01-01T00:00:00Z".parse().unwrap()),
        updated_at: None,
    }
}

/// A volume as [`volume`] is, anywhere and of any type.
pub fn wanted() -> Wanted {
    Wanted {
        name: "pvc-1".to_owned(),
        size: 1,
        size_is_free: false,
        size_limit: None,
        volume_type: None,
        zone: ZoneChoice::Any,
        origin: None,
        hints: Hints::default(),
        multiattach: false,
        cluster: "kubernetes".to_owned(),
        metadata: [].into(),
    }
}

/// A snapshot of [`volume`], made by nobody's attempt.
pub fn snapshot(status: SnapshotStatus) -> Snapshot {
    Snapshot {
        id: uuid::Uuid::from_u128(1).into(),
        name: "snapshot-1".to_owned(),
        status,
        size: 1,
        volume_id: id(1),
        group_snapshot_id: None,
        metadata: [(CLUSTER.to_owned(), "kubernetes".to_owned())].into(),
        created_at: Some("2026-01-01T00:00:00Z".parse().unwrap()),
    }
}

/// A backup of [`volume`], made by nobody's attempt.
pub fn backup(status: BackupStatus) -> Backup {
    Backup {
        id: uuid::Uuid::from_u128(1).into(),
        name: "snapshot-1".to_owned(),
        status,
        size: 1,
        volume_id: id(1),
        snapshot_id: None,
        availability_zone: None,
        fail_reason: None,
        metadata: [(CLUSTER.to_owned(), "kubernetes".to_owned())].into(),
        created_at: Some("2026-01-01T00:00:10Z".parse().unwrap()),
        data_timestamp: Some("2026-01-01T00:00:00Z".parse().unwrap()),
    }
}

impl Volume {
    pub fn with_id(self, n: u128) -> Self {
        Self { id: id(n), ..self }
    }

    pub fn on(mut self, servers: &[u128]) -> Self {
        self.attachments = servers
            .iter()
            .map(|n| Attachment {
                server_id: Some(server(*n)),
                attachment_id: None,
                device: Some("/dev/vdb".to_owned()),
            })
            .collect();
        self
    }

    pub fn shared(self) -> Self {
        Self { multiattach: true, ..self }
    }

    pub fn made_by(mut self, attempt: &str) -> Self {
        self.metadata.insert(ATTEMPT.to_owned(), attempt.to_owned());
        self
    }

    pub fn settled(mut self) -> Self {
        self.metadata.insert(SETTLED.to_owned(), self.id.to_string());
        self
    }

    pub fn created(self, at: &str) -> Self {
        Self { created_at: Some(at.parse().unwrap()), ..self }
    }
}
