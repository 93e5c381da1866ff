//! The RPCs, as the sidecars and the kubelet send them.

#![allow(dead_code, reason = "each test crate uses its part of the bed")]

#[path = "bug.rs"]
pub mod bug;

use std::collections::HashMap;
use std::time::Duration;

use cinder_csi::csi::proto::controller_client::ControllerClient;
use cinder_csi::csi::proto::node_client::NodeClient;
use cinder_csi::csi::proto::volume_capability::access_mode::Mode;
use cinder_csi::csi::proto::volume_capability::{AccessMode, AccessType, BlockVolume, MountVolume};
use cinder_csi::csi::proto::volume_content_source::{SnapshotSource, Type};
use cinder_csi::csi::proto::*;
use tonic::transport::Channel;
use tonic::{Request, Status};

/// Instead of the name of a file system: the disk as it is.
pub const RAW: &str = "raw";

/// Somebody who calls a driver.
#[derive(Clone)]
pub struct Calls {
    controller: ControllerClient<Channel>,
    node: NodeClient<Channel>,
    patience: Duration,
}

/// Where a volume is on its node.
#[derive(Clone, Debug)]
pub struct Place {
    pub volume: String,
    pub capability: VolumeCapability,
    pub publish_context: HashMap<String, String>,
    pub volume_context: HashMap<String, String>,
    pub staging: String,
    pub target: String,
}

impl Calls {
    /// By somebody who waits so long for an answer.
    pub fn new(channel: Channel, patience: Duration) -> Self {
        Self { controller: ControllerClient::new(channel.clone()), node: NodeClient::new(channel), patience }
    }

    fn controller(&self) -> ControllerClient<Channel> {
        self.controller.clone()
    }

    fn node(&self) -> NodeClient<Channel> {
        self.node.clone()
    }

    /// `of`: a snapshot or a backup.
    pub async fn create(&self, name: &str, gib: i64, of: Option<&str>) -> Result<Volume, Status> {
        let of = of.map(|id| Type::Snapshot(SnapshotSource { snapshot_id: id.to_owned() }));
        let request = CreateVolumeRequest {
            capacity_range: gibibytes(gib),
            volume_content_source: of.map(|r#type| VolumeContentSource { r#type: Some(r#type) }),
            ..create_request(name)
        };
        let made = self.controller().create_volume(within(self.patience, request)).await?;
        Ok(made.into_inner().volume.unwrap())
    }

    pub async fn delete(&self, volume: &str) -> Result<(), Status> {
        let request = DeleteVolumeRequest { volume_id: volume.to_owned(), ..Default::default() };
        self.controller().delete_volume(within(self.patience, request)).await.map(drop)
    }

    /// `kind`: snapshot or backup.
    pub async fn snapshot(&self, name: &str, volume: &str, kind: &str) -> Result<Snapshot, Status> {
        let request = snapshot_request(name, volume, kind);
        let made = self.controller().create_snapshot(within(self.patience, request)).await?;
        Ok(made.into_inner().snapshot.unwrap())
    }

    pub async fn delete_snapshot(&self, snapshot: &str) -> Result<(), Status> {
        let request = DeleteSnapshotRequest { snapshot_id: snapshot.to_owned(), ..Default::default() };
        self.controller().delete_snapshot(within(self.patience, request)).await.map(drop)
    }

    pub async fn attach(
        &self,
        volume: &str,
        server: &str,
        capability: &VolumeCapability,
    ) -> Result<HashMap<String, String>, Status> {
        let request = ControllerPublishVolumeRequest {
            volume_id: volume.to_owned(),
            node_id: server.to_owned(),
            volume_capability: Some(capability.clone()),
            ..Default::default()
        };
        let done = self.controller().controller_publish_volume(within(self.patience, request)).await?;
        Ok(done.into_inner().publish_context)
    }

    pub async fn detach(&self, volume: &str, server: &str) -> Result<(), Status> {
        let request = ControllerUnpublishVolumeRequest {
            volume_id: volume.to_owned(),
            node_id: server.to_owned(),
            ..Default::default()
        };
        self.controller().controller_unpublish_volume(within(self.patience, request)).await.map(drop)
    }

    pub async fn expand(&self, volume: &str, gib: i64) -> Result<ControllerExpandVolumeResponse, Status> {
        let request = ControllerExpandVolumeRequest {
            volume_id: volume.to_owned(),
            capacity_range: gibibytes(gib),
            ..Default::default()
        };
        let grown = self.controller().controller_expand_volume(within(self.patience, request)).await?;
        Ok(grown.into_inner())
    }

    pub async fn stage(&self, place: &Place) -> Result<(), Status> {
        let request = NodeStageVolumeRequest {
            volume_id: place.volume.clone(),
            publish_context: place.publish_context.clone(),
            staging_target_path: place.staging.clone(),
            volume_capability: Some(place.capability.clone()),
            volume_context: place.volume_context.clone(),
            ..Default::default()
        };
        self.node().node_stage_volume(within(self.patience, request)).await.map(drop)
    }

    pub async fn unstage(&self, place: &Place) -> Result<(), Status> {
        let request = NodeUnstageVolumeRequest {
            volume_id: place.volume.clone(),
            staging_target_path: place.staging.clone(),
        };
        self.node().node_unstage_volume(within(self.patience, request)).await.map(drop)
    }

    pub async fn publish(&self, place: &Place) -> Result<(), Status> {
        let request = NodePublishVolumeRequest {
            volume_id: place.volume.clone(),
            publish_context: place.publish_context.clone(),
            staging_target_path: place.staging.clone(),
            target_path: place.target.clone(),
            volume_capability: Some(place.capability.clone()),
            volume_context: place.volume_context.clone(),
            ..Default::default()
        };
        self.node().node_publish_volume(within(self.patience, request)).await.map(drop)
    }

    pub async fn unpublish(&self, place: &Place) -> Result<(), Status> {
        let request =
            NodeUnpublishVolumeRequest { volume_id: place.volume.clone(), target_path: place.target.clone() };
        self.node().node_unpublish_volume(within(self.patience, request)).await.map(drop)
    }

    /// The bytes that it has then.
    pub async fn node_expand(&self, place: &Place, bytes: i64) -> Result<i64, Status> {
        let request = NodeExpandVolumeRequest {
            volume_id: place.volume.clone(),
            volume_path: place.target.clone(),
            staging_target_path: place.staging.clone(),
            capacity_range: Some(CapacityRange { required_bytes: bytes, limit_bytes: 0 }),
            volume_capability: Some(place.capability.clone()),
            ..Default::default()
        };
        let grown = self.node().node_expand_volume(within(self.patience, request)).await?;
        Ok(grown.into_inner().capacity_bytes)
    }
}

/// A call that ends then, also on its way.
pub fn within<T>(patience: Duration, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(patience);
    request
}

/// One Pod writes. `fs`: the name of a file system, nothing where the driver chooses, or [`RAW`].
pub fn capability(fs: &str) -> VolumeCapability {
    let access = match fs {
        RAW => AccessType::Block(BlockVolume {}),
        fs => AccessType::Mount(MountVolume { fs_type: fs.to_owned(), ..Default::default() }),
    };
    VolumeCapability {
        access_mode: Some(AccessMode { mode: Mode::SingleNodeWriter as i32 }),
        access_type: Some(access),
    }
}

pub fn create_request(name: &str) -> CreateVolumeRequest {
    CreateVolumeRequest {
        name: name.to_owned(),
        volume_capabilities: vec![capability("")],
        ..Default::default()
    }
}

/// `kind`: snapshot or backup.
pub fn snapshot_request(name: &str, volume: &str, kind: &str) -> CreateSnapshotRequest {
    CreateSnapshotRequest {
        name: name.to_owned(),
        source_volume_id: volume.to_owned(),
        parameters: [("type".to_owned(), kind.to_owned())].into(),
        ..Default::default()
    }
}

fn gibibytes(gib: i64) -> Option<CapacityRange> {
    Some(CapacityRange { required_bytes: gib << 30, limit_bytes: 0 })
}
