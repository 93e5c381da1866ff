//! The Controller service: each RPC is in the file below that is named after what it is about.

mod attachment;
mod capacity;
mod group;
mod health;
mod listing;
mod modification;
mod snapshot;
mod volume;

use tonic::{Request, Response, Status};

use super::affinity::Annotations;
use super::capability;
use super::clouds::Clouds;
use super::locks::Locks;
use super::proto::controller_server;
use super::proto::*;
use super::rounds::Rounds;
use super::topology::Topology;
use crate::k8s::Events;

#[derive(Clone, Debug, Default)]
pub struct ControllerSettings {
    /// `--cluster`: a mark on every volume.
    pub cluster: String,
    pub topology: Topology,
    /// `--list-only-cluster`: ListVolumes shows the volumes with this cluster's mark only.
    pub list_only_cluster: bool,
    /// `--strict-parameters`: a parameter of a StorageClass that nobody knows is an error.
    pub strict_parameters: bool,
}

#[derive(Clone, Debug)]
pub struct Controller {
    clouds: Clouds,
    settings: ControllerSettings,
    locks: Locks,
    pub(super) annotations: Option<Annotations>,
}

impl Controller {
    pub fn new(clouds: Clouds, settings: ControllerSettings) -> Self {
        Self { clouds, settings, locks: Locks::default(), annotations: None }
    }

    /// Places volumes by the annotations of their PVCs.
    pub fn with_annotations(self, annotations: Annotations) -> Self {
        Self { annotations: Some(annotations), ..self }
    }

    /// The rounds through its cluster's volumes.
    pub fn rounds(&self, events: Option<Events>) -> Rounds {
        Rounds { clouds: self.clouds.clone(), cluster: self.settings.cluster.clone(), events }
    }
}

#[tonic::async_trait]
impl controller_server::Controller for Controller {
    async fn create_volume(
        &self,
        request: Request<CreateVolumeRequest>,
    ) -> Result<Response<CreateVolumeResponse>, Status> {
        self.create_volume(request.into_inner()).await.map(Response::new)
    }

    async fn delete_volume(
        &self,
        request: Request<DeleteVolumeRequest>,
    ) -> Result<Response<DeleteVolumeResponse>, Status> {
        self.delete_volume(request.into_inner()).await.map(Response::new)
    }

    async fn controller_publish_volume(
        &self,
        request: Request<ControllerPublishVolumeRequest>,
    ) -> Result<Response<ControllerPublishVolumeResponse>, Status> {
        self.controller_publish_volume(request.into_inner()).await.map(Response::new)
    }

    async fn controller_unpublish_volume(
        &self,
        request: Request<ControllerUnpublishVolumeRequest>,
    ) -> Result<Response<ControllerUnpublishVolumeResponse>, Status> {
        self.controller_unpublish_volume(request.into_inner()).await.map(Response::new)
    }

    async fn validate_volume_capabilities(
        &self,
        request: Request<ValidateVolumeCapabilitiesRequest>,
    ) -> Result<Response<ValidateVolumeCapabilitiesResponse>, Status> {
        self.validate_volume_capabilities(request.into_inner()).await.map(Response::new)
    }

    async fn list_volumes(
        &self,
        request: Request<ListVolumesRequest>,
    ) -> Result<Response<ListVolumesResponse>, Status> {
        self.list_volumes(request.into_inner()).await.map(Response::new)
    }

    async fn controller_get_volume(
        &self,
        request: Request<ControllerGetVolumeRequest>,
    ) -> Result<Response<ControllerGetVolumeResponse>, Status> {
        self.controller_get_volume(request.into_inner()).await.map(Response::new)
    }

    async fn controller_get_capabilities(
        &self,
        _: Request<ControllerGetCapabilitiesRequest>,
    ) -> Result<Response<ControllerGetCapabilitiesResponse>, Status> {
        Ok(Response::new(ControllerGetCapabilitiesResponse { capabilities: capability::controller() }))
    }

    async fn controller_expand_volume(
        &self,
        request: Request<ControllerExpandVolumeRequest>,
    ) -> Result<Response<ControllerExpandVolumeResponse>, Status> {
        self.controller_expand_volume(request.into_inner()).await.map(Response::new)
    }

    async fn get_capacity(
        &self,
        request: Request<GetCapacityRequest>,
    ) -> Result<Response<GetCapacityResponse>, Status> {
        self.get_capacity(request.into_inner()).await.map(Response::new)
    }

    async fn create_snapshot(
        &self,
        request: Request<CreateSnapshotRequest>,
    ) -> Result<Response<CreateSnapshotResponse>, Status> {
        self.create_snapshot(request.into_inner()).await.map(Response::new)
    }

    async fn delete_snapshot(
        &self,
        request: Request<DeleteSnapshotRequest>,
    ) -> Result<Response<DeleteSnapshotResponse>, Status> {
        self.delete_snapshot(request.into_inner()).await.map(Response::new)
    }

    async fn list_snapshots(
        &self,
        request: Request<ListSnapshotsRequest>,
    ) -> Result<Response<ListSnapshotsResponse>, Status> {
        self.list_snapshots(request.into_inner()).await.map(Response::new)
    }

    async fn get_snapshot(
        &self,
        request: Request<GetSnapshotRequest>,
    ) -> Result<Response<GetSnapshotResponse>, Status> {
        self.get_snapshot(request.into_inner()).await.map(Response::new)
    }

    async fn controller_modify_volume(
        &self,
        request: Request<ControllerModifyVolumeRequest>,
    ) -> Result<Response<ControllerModifyVolumeResponse>, Status> {
        self.controller_modify_volume(request.into_inner()).await.map(Response::new)
    }

    async fn controller_list_volume_health(
        &self,
        request: Request<ControllerListVolumeHealthRequest>,
    ) -> Result<Response<ControllerListVolumeHealthResponse>, Status> {
        self.controller_list_volume_health(request.into_inner()).await.map(Response::new)
    }

    async fn controller_get_volume_health(
        &self,
        request: Request<ControllerGetVolumeHealthRequest>,
    ) -> Result<Response<ControllerGetVolumeHealthResponse>, Status> {
        self.controller_get_volume_health(request.into_inner()).await.map(Response::new)
    }
}
