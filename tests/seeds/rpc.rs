//! The RPCs, as the sidecars send them.

use std::fmt;
use std::time::Duration;

use cinder_csi::csi::proto::volume_capability::access_mode::Mode;
use cinder_csi::csi::proto::volume_capability::{AccessMode, AccessType, BlockVolume};
use cinder_csi::csi::proto::volume_content_source::{SnapshotSource, Type, VolumeSource};
use cinder_csi::csi::proto::*;
use tonic::{Request, Status};

use crate::driver::Driver;
use crate::sidecar::Sidecar;

const GIB: i64 = 1 << 30;

/// The types of the simulated cloud.
pub const USUAL: &str = "lab";
pub const FAST: &str = "lab-fast";
pub const SHARED: &str = "lab-multiattach";

/// Where the data of a new volume comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Nothing,
    Snapshot(String),
    Volume(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rpc {
    Create { name: String, gib: i64, kind: &'static str, source: Source },
    Delete { volume: String },
    Publish { volume: String, server: String, shared: bool },
    Unpublish { volume: String, server: String },
    Expand { volume: String, gib: i64 },
    Modify { volume: String, kind: &'static str },
    Snapshot { name: String, volume: String, is_backup: bool },
    DeleteSnapshot { snapshot: String },
    CutGroup { name: String, volumes: Vec<String> },
    DeleteGroup { group: Group },
}

/// Snapshots of several volumes, cut together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub id: String,
    /// The ids of its snapshots.
    pub members: Vec<String>,
}

/// What an OK said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Of the new volume, snapshot or group of snapshots.
    pub id: String,
    pub members: Vec<String>,
    pub gib: i64,
    /// Nothing is left to be called for.
    pub is_whole: bool,
}

impl fmt::Display for Rpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rpc::Create { name, gib, kind, source } => {
                write!(f, "CreateVolume({name}, {gib} GiB, {kind}, {source:?})")
            }
            Rpc::Delete { volume } => write!(f, "DeleteVolume({volume})"),
            Rpc::Publish { volume, server, .. } => write!(f, "ControllerPublishVolume({volume}, {server})"),
            Rpc::Unpublish { volume, server } => write!(f, "ControllerUnpublishVolume({volume}, {server})"),
            Rpc::Expand { volume, gib } => write!(f, "ControllerExpandVolume({volume}, {gib} GiB)"),
            Rpc::Modify { volume, kind } => write!(f, "ControllerModifyVolume({volume}, {kind})"),
            Rpc::Snapshot { name, volume, is_backup } => {
                let what = if *is_backup { "backup" } else { "snapshot" };
                write!(f, "CreateSnapshot({what} {name} of {volume})")
            }
            Rpc::DeleteSnapshot { snapshot } => write!(f, "DeleteSnapshot({snapshot})"),
            Rpc::CutGroup { name, volumes } => {
                write!(f, "CreateVolumeGroupSnapshot({name} of {})", volumes.join(", "))
            }
            Rpc::DeleteGroup { group } => write!(f, "DeleteVolumeGroupSnapshot({})", group.id),
        }
    }
}

impl Rpc {
    pub fn sidecar(&self) -> Sidecar {
        match self {
            Rpc::Create { .. } | Rpc::Delete { .. } => Sidecar::Provisioner,
            Rpc::Publish { .. } | Rpc::Unpublish { .. } => Sidecar::Attacher,
            Rpc::Expand { .. } => Sidecar::Resizer,
            Rpc::Modify { .. } => Sidecar::Modifier,
            Rpc::Snapshot { .. } | Rpc::DeleteSnapshot { .. } => Sidecar::Snapshotter,
            Rpc::CutGroup { .. } | Rpc::DeleteGroup { .. } => Sidecar::GroupSnapshotter,
        }
    }

    /// The volume that it acts on.
    pub fn volume(&self) -> Option<&String> {
        match self {
            Rpc::Delete { volume }
            | Rpc::Publish { volume, .. }
            | Rpc::Unpublish { volume, .. }
            | Rpc::Expand { volume, .. }
            | Rpc::Modify { volume, .. }
            | Rpc::Snapshot { volume, .. } => Some(volume),
            Rpc::Create { .. }
            | Rpc::DeleteSnapshot { .. }
            | Rpc::CutGroup { .. }
            | Rpc::DeleteGroup { .. } => None,
        }
    }

    /// The name of what it makes.
    pub fn new_name(&self) -> Option<&String> {
        match self {
            Rpc::Create { name, .. } | Rpc::Snapshot { name, .. } | Rpc::CutGroup { name, .. } => Some(name),
            _ => None,
        }
    }

    /// Sends it from a sidecar that waits so long.
    pub async fn send(&self, driver: &Driver, patience: Duration) -> Result<Answer, Status> {
        let mut controller = driver.controller();
        let done = |()| Answer { is_whole: true, ..Answer::default() };
        let secrets = Default::default();
        match self.clone() {
            Rpc::Create { name, gib, kind, source } => {
                let request = create(name, gib, kind, source);
                let made = controller.create_volume(within(patience, request)).await?.into_inner().volume;
                let made = made.unwrap();
                Ok(Answer { id: made.volume_id, gib: made.capacity_bytes / GIB, ..done(()) })
            }
            Rpc::Delete { volume } => {
                let request = DeleteVolumeRequest { volume_id: volume, secrets };
                controller.delete_volume(within(patience, request)).await.map(|_| done(()))
            }
            Rpc::Publish { volume, server, shared } => {
                let request = ControllerPublishVolumeRequest {
                    volume_id: volume,
                    node_id: server,
                    volume_capability: Some(block(shared)),
                    ..Default::default()
                };
                controller.controller_publish_volume(within(patience, request)).await.map(|_| done(()))
            }
            Rpc::Unpublish { volume, server } => {
                let request =
                    ControllerUnpublishVolumeRequest { volume_id: volume, node_id: server, secrets };
                controller.controller_unpublish_volume(within(patience, request)).await.map(|_| done(()))
            }
            Rpc::Expand { volume, gib } => {
                let request = ControllerExpandVolumeRequest {
                    volume_id: volume,
                    capacity_range: Some(at_least(gib)),
                    ..Default::default()
                };
                let grown = controller.controller_expand_volume(within(patience, request)).await?;
                Ok(Answer { gib: grown.into_inner().capacity_bytes / GIB, ..done(()) })
            }
            Rpc::Modify { volume, kind } => {
                let mutable_parameters = [("type".to_owned(), kind.to_owned())].into();
                let request =
                    ControllerModifyVolumeRequest { volume_id: volume, mutable_parameters, secrets };
                controller.controller_modify_volume(within(patience, request)).await.map(|_| done(()))
            }
            Rpc::Snapshot { name, volume, is_backup } => {
                let request = cut(name, volume, is_backup);
                let cut = controller.create_snapshot(within(patience, request)).await?.into_inner().snapshot;
                let cut = cut.unwrap();
                let (id, gib) = (cut.snapshot_id, cut.size_bytes / GIB);
                Ok(Answer { id, gib, is_whole: cut.ready_to_use, ..Answer::default() })
            }
            Rpc::DeleteSnapshot { snapshot } => {
                let request = DeleteSnapshotRequest { snapshot_id: snapshot, secrets };
                controller.delete_snapshot(within(patience, request)).await.map(|_| done(()))
            }
            Rpc::CutGroup { name, volumes } => {
                let request = CreateVolumeGroupSnapshotRequest {
                    name,
                    source_volume_ids: volumes,
                    ..Default::default()
                };
                let cut = driver.groups().create_volume_group_snapshot(within(patience, request)).await?;
                let cut = cut.into_inner().group_snapshot.unwrap();
                let members = cut.snapshots.into_iter().map(|one| one.snapshot_id).collect();
                Ok(Answer { id: cut.group_snapshot_id, members, gib: 0, is_whole: cut.ready_to_use })
            }
            Rpc::DeleteGroup { group: Group { id, members } } => {
                let request = DeleteVolumeGroupSnapshotRequest {
                    group_snapshot_id: id,
                    snapshot_ids: members,
                    secrets,
                };
                driver
                    .groups()
                    .delete_volume_group_snapshot(within(patience, request))
                    .await
                    .map(|_| done(()))
            }
        }
    }
}

fn create(name: String, gib: i64, kind: &str, source: Source) -> CreateVolumeRequest {
    let source = match source {
        Source::Nothing => None,
        Source::Snapshot(snapshot_id) => Some(Type::Snapshot(SnapshotSource { snapshot_id })),
        Source::Volume(volume_id) => Some(Type::Volume(VolumeSource { volume_id })),
    };
    CreateVolumeRequest {
        name,
        capacity_range: Some(at_least(gib)),
        volume_capabilities: vec![block(kind == SHARED)],
        parameters: [("type".to_owned(), kind.to_owned())].into(),
        volume_content_source: source.map(|r#type| VolumeContentSource { r#type: Some(r#type) }),
        ..Default::default()
    }
}

fn cut(name: String, volume: String, is_backup: bool) -> CreateSnapshotRequest {
    let parameters = is_backup.then(|| ("type".to_owned(), "backup".to_owned())).into_iter().collect();
    CreateSnapshotRequest { name, source_volume_id: volume, parameters, ..Default::default() }
}

fn at_least(gib: i64) -> CapacityRange {
    CapacityRange { required_bytes: gib * GIB, limit_bytes: 0 }
}

fn block(shared: bool) -> VolumeCapability {
    let mode = if shared { Mode::MultiNodeMultiWriter } else { Mode::SingleNodeWriter };
    VolumeCapability {
        access_mode: Some(AccessMode { mode: mode as i32 }),
        access_type: Some(AccessType::Block(BlockVolume {})),
    }
}

fn within<T>(patience: Duration, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(patience);
    request
}
