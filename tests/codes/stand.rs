//! One mutation in front of one cloud, and what the cloud then holds.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use cinder_csi::csi::proto::volume_capability::access_mode::Mode;
use cinder_csi::csi::proto::volume_capability::{AccessMode, AccessType, BlockVolume};
use cinder_csi::csi::proto::*;
use cinder_csi::openstack::{Cinder, Cloud, Http};
use cinder_csi::sandbox::{Latency, Settings, SimulatedCloud};
use cinder_csi::volume::{GroupSnapshotId, ServerId, SnapshotId, Volume, VolumeId, Volumes};
use futures_util::future::try_join_all;
use http_body_util::BodyExt;
use tonic::{Code, Request};
use tower::ServiceExt;

use crate::bed::{backup, controller, options, snapshot, wanted};
use crate::driver::Driver;
use crate::groups;
use crate::sidecar::Sidecar;

pub const NAME: &str = "pvc-1";
const GIB: i64 = 1 << 30;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rpc {
    Create,
    /// As Create, from a snapshot.
    Restore,
    /// As Create, from a backup.
    RestoreBackup,
    /// As Create, from a volume.
    Clone,
    Delete,
    Publish,
    Unpublish,
    Expand,
    Snapshot,
    DeleteSnapshot,
    Backup,
    DeleteBackup,
    Modify,
    Group,
    DeleteGroup,
}

/// What an RPC answered: its code and its words.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub code: Code,
    pub message: String,
    /// Of an OK: nothing is left to be called for.
    pub ready: bool,
}

impl Outcome {
    pub(super) fn of(status: &tonic::Status) -> Self {
        Self { code: status.code(), message: status.message().to_owned(), ready: false }
    }
}

/// A cloud with what the RPC needs, a driver of it, and a view of it that no fault blurs.
pub struct Stand {
    pub rpc: Rpc,
    pub cloud: SimulatedCloud,
    pub(super) driver: Driver,
    pub(super) view: Volumes,
    volume: Option<VolumeId>,
    /// What is to be copied.
    source: Option<(VolumeId, VolumeContentSource)>,
    saved: Option<SnapshotId>,
    /// What is to be cut together, or was.
    pub(super) members: Vec<VolumeId>,
    pub(super) cut: Option<GroupSnapshotId>,
    server: ServerId,
    pub(super) cinder: Cinder,
    /// A CreateSnapshot has answered: the caller knows the id, and can ask for its end.
    pub(super) promised: AtomicBool,
}

impl Rpc {
    pub fn makes_a_volume(self) -> bool {
        matches!(self, Rpc::Create | Rpc::Restore | Rpc::RestoreBackup | Rpc::Clone)
    }

    pub fn sidecar(self) -> Sidecar {
        match self {
            Rpc::Create | Rpc::Restore | Rpc::RestoreBackup | Rpc::Clone | Rpc::Delete => {
                Sidecar::Provisioner
            }
            Rpc::Publish | Rpc::Unpublish => Sidecar::Attacher,
            Rpc::Expand => Sidecar::Resizer,
            Rpc::Snapshot | Rpc::DeleteSnapshot | Rpc::Backup | Rpc::DeleteBackup => Sidecar::Snapshotter,
            Rpc::Modify => Sidecar::Modifier,
            Rpc::Group | Rpc::DeleteGroup => Sidecar::GroupSnapshotter,
        }
    }
}

impl Stand {
    pub async fn new(rpc: Rpc) -> Self {
        let latency = Latency::fixed(Duration::from_millis(300));
        let cloud = SimulatedCloud::new(Settings { latency, ..Settings::default() });
        let around = Cloud::new(around_the_faults(&cloud), options("csi", "k8s"));
        let (cinder, view) = (around.cinder.clone(), Volumes::new(around));
        let server = cloud.server_id("node-1").parse().unwrap();
        let mut volume = None;
        if !rpc.makes_a_volume() && !rpc.is_of_groups() {
            volume = Some(view.ensure_created(&wanted(NAME)).await.unwrap().id);
        }
        if rpc == Rpc::Unpublish {
            view.ensure_attached(volume.unwrap(), server).await.unwrap();
        }
        let saved = match rpc {
            Rpc::DeleteSnapshot => {
                Some(view.ensure_snapshot(&snapshot(NAME, volume.unwrap())).await.unwrap().id())
            }
            Rpc::DeleteBackup => Some(made_backup(&view, volume.unwrap()).await),
            _ => None,
        };
        let source = source(rpc, &view).await;
        let members = if rpc.is_of_groups() { groups::members(&view).await } else { Vec::new() };
        let cut = match rpc {
            Rpc::DeleteGroup => Some(groups::cut_and_left(&view, &cinder, &members).await),
            _ => None,
        };
        let driver = Driver::in_memory(controller(&cloud));
        Self {
            rpc,
            cloud,
            driver,
            view,
            volume,
            source,
            saved,
            members,
            cut,
            server,
            cinder,
            promised: AtomicBool::new(false),
        }
    }

    /// The RPC, from a caller that waits so long.
    pub async fn call(&self, patience: Duration) -> Outcome {
        let mut controller = self.driver.controller();
        let volume_id = self.volume.map(|id| id.to_string()).unwrap_or_default();
        let node_id = self.server.to_string();
        let secrets = Default::default();
        let answer = match self.rpc {
            Rpc::Create | Rpc::Restore | Rpc::RestoreBackup | Rpc::Clone => {
                let volume_content_source = self.source.as_ref().map(|(_, source)| source.clone());
                let request = CreateVolumeRequest { volume_content_source, ..create() };
                controller.create_volume(within(patience, request)).await.map(drop)
            }
            Rpc::Delete => {
                let request = DeleteVolumeRequest { volume_id, secrets };
                controller.delete_volume(within(patience, request)).await.map(drop)
            }
            Rpc::Publish => {
                let volume_capability = Some(block());
                let request = ControllerPublishVolumeRequest {
                    volume_id,
                    node_id,
                    volume_capability,
                    ..Default::default()
                };
                controller.controller_publish_volume(within(patience, request)).await.map(drop)
            }
            Rpc::Unpublish => {
                let request = ControllerUnpublishVolumeRequest { volume_id, node_id, secrets };
                controller.controller_unpublish_volume(within(patience, request)).await.map(drop)
            }
            Rpc::Expand => {
                let capacity_range = Some(CapacityRange { required_bytes: 2 * GIB, limit_bytes: 0 });
                let request =
                    ControllerExpandVolumeRequest { volume_id, capacity_range, ..Default::default() };
                controller.controller_expand_volume(within(patience, request)).await.map(drop)
            }
            Rpc::Snapshot | Rpc::Backup => return self.create_snapshot(patience).await,
            Rpc::DeleteSnapshot | Rpc::DeleteBackup => {
                let snapshot_id = self.saved.map(|id| id.to_string()).unwrap_or_default();
                let request = DeleteSnapshotRequest { snapshot_id, secrets };
                controller.delete_snapshot(within(patience, request)).await.map(drop)
            }
            Rpc::Modify => {
                let mutable_parameters = [("type".to_owned(), "lab-fast".to_owned())].into();
                let request = ControllerModifyVolumeRequest { volume_id, secrets, mutable_parameters };
                controller.controller_modify_volume(within(patience, request)).await.map(drop)
            }
            Rpc::Group => return self.create_group_snapshot(patience).await,
            Rpc::DeleteGroup => self.delete_group_snapshot(patience).await,
        };
        match answer {
            Ok(()) => Outcome { code: Code::Ok, message: String::new(), ready: true },
            Err(status) => Outcome::of(&status),
        }
    }

    /// As the external-snapshotter calls it: again, until it is ready to use.
    async fn create_snapshot(&self, patience: Duration) -> Outcome {
        let kind = if self.rpc == Rpc::Backup { "backup" } else { "snapshot" };
        let request = CreateSnapshotRequest {
            name: NAME.to_owned(),
            source_volume_id: self.volume.map(|id| id.to_string()).unwrap_or_default(),
            parameters: [("type".to_owned(), kind.to_owned())].into(),
            ..Default::default()
        };
        match self.driver.controller().create_snapshot(within(patience, request)).await {
            Ok(answer) => {
                let ready = answer.into_inner().snapshot.unwrap().ready_to_use;
                self.promised.store(true, Ordering::Relaxed);
                Outcome { code: Code::Ok, message: String::new(), ready }
            }
            Err(status) => Outcome::of(&status),
        }
    }

    /// What the cloud holds, in words where the RPC has begun something there that hasn't come to its end.
    pub async fn unfinished(&self) -> Option<String> {
        if self.rpc.is_of_snapshots() {
            return self.unfinished_snapshot().await;
        }
        if self.rpc.is_of_groups() {
            return self.unfinished_group().await;
        }
        let all = self.all().await;
        let status = |volume: &Volume| volume.status.to_string();
        let found = all.iter().find(|listed| match self.rpc {
            // Nobody but the caller that gets an error knows of them.
            Rpc::Create | Rpc::Restore | Rpc::RestoreBackup | Rpc::Clone => {
                !["deleting", "error_deleting"].contains(&status(listed).as_str())
            }
            Rpc::Delete => status(listed) == "deleting",
            Rpc::Publish => status(listed) != "available",
            Rpc::Unpublish => status(listed) == "detaching",
            Rpc::Expand => status(listed) == "extending" || listed.size >= 2,
            Rpc::Modify => status(listed) == "retyping" || is_fast(listed),
            _ => false,
        });
        found.map(words)
    }

    /// What isn't as asked, in words. `ready`: nothing is left to be called for.
    pub async fn missing(&self, ready: bool) -> Option<String> {
        if self.rpc.is_of_snapshots() {
            return self.missing_snapshot(ready).await;
        }
        if self.rpc.is_of_groups() {
            return self.missing_group().await;
        }
        let all = self.all().await;
        let shown: Vec<_> = all.iter().map(words).collect();
        let shown = if shown.is_empty() { "no volume".to_owned() } else { shown.join("; ") };
        let as_asked = match (self.rpc, all.as_slice()) {
            (Rpc::Delete, all) => all.is_empty(),
            (Rpc::Create | Rpc::Restore | Rpc::RestoreBackup | Rpc::Clone, [only]) => {
                only.status.to_string() == "available"
            }
            (Rpc::Publish, [only]) => only.status.to_string() == "in-use" && published(only) == [self.server],
            (Rpc::Unpublish, [only]) => only.status.to_string() == "available" && published(only).is_empty(),
            (Rpc::Modify, [only]) => is_fast(only) && only.status.to_string() == "available",
            (Rpc::Expand, [only]) => only.size == 2 && only.status.to_string() == "available",
            _ => false,
        };
        (!as_asked).then_some(shown)
    }

    async fn all(&self) -> Vec<Volume> {
        let page = self.view.page(None, None, None).await.unwrap();
        let source = self.source.as_ref().map(|(id, _)| *id);
        let others = page.volumes.iter().filter(|listed| Some(listed.id) != source);
        try_join_all(others.map(|listed| self.view.get(listed.id))).await.unwrap()
    }
}

/// What a copy is made from, and the volume that it keeps there.
async fn source(rpc: Rpc, view: &Volumes) -> Option<(VolumeId, VolumeContentSource)> {
    use volume_content_source::{SnapshotSource, Type, VolumeSource};
    if !matches!(rpc, Rpc::Restore | Rpc::RestoreBackup | Rpc::Clone) {
        return None;
    }
    let id = view.ensure_created(&wanted("source")).await.unwrap().id;
    let source = match rpc {
        Rpc::Clone => Type::Volume(VolumeSource { volume_id: id.to_string() }),
        Rpc::RestoreBackup => {
            let snapshot_id = made_backup(view, id).await.to_string();
            Type::Snapshot(SnapshotSource { snapshot_id })
        }
        _ => {
            let snapshot = view.ensure_snapshot(&snapshot("source", id)).await.unwrap();
            Type::Snapshot(SnapshotSource { snapshot_id: snapshot.id().to_string() })
        }
    };
    Some((id, VolumeContentSource { r#type: Some(source) }))
}

/// Backs the volume up, and leaves the intermediate snapshot as a crash would.
async fn made_backup(view: &Volumes, volume: VolumeId) -> SnapshotId {
    let saved = view.ensure_backup(&backup(NAME, volume)).await.unwrap();
    cinder_csi::pace::sleep(Duration::from_secs(5)).await;
    saved.id()
}

fn published(volume: &Volume) -> Vec<ServerId> {
    volume.attachments.iter().filter_map(|attachment| attachment.server_id).collect()
}

fn is_fast(volume: &Volume) -> bool {
    volume.volume_type.as_deref() == Some("lab-fast")
}

fn words(volume: &Volume) -> String {
    format!("a volume {}, {} GiB, on {:?}", volume.status, volume.size, published(volume))
}

fn create() -> CreateVolumeRequest {
    CreateVolumeRequest {
        name: NAME.to_owned(),
        capacity_range: Some(CapacityRange { required_bytes: GIB, limit_bytes: 0 }),
        volume_capabilities: vec![block()],
        ..Default::default()
    }
}

fn block() -> VolumeCapability {
    VolumeCapability {
        access_mode: Some(AccessMode { mode: Mode::SingleNodeWriter as i32 }),
        access_type: Some(AccessType::Block(BlockVolume {})),
    }
}

pub fn within<T>(patience: Duration, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(patience);
    request
}

/// The same cloud for one who watches: no fault is met, no call is counted.
fn around_the_faults(cloud: &SimulatedCloud) -> Http {
    let cloud = cloud.clone();
    Http::new(tower::service_fn(move |request: http::Request<Bytes>| {
        let router = cloud.router();
        async move {
            let answer = router.oneshot(request.map(Body::from)).await.unwrap_or_else(|never| match never {});
            let (head, body) = answer.into_parts();
            let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
            Ok(http::Response::from_parts(head, body))
        }
    }))
}
