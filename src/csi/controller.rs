//! The Controller service.

use std::collections::{BTreeMap, HashMap};

use tonic::{Request, Response, Status};

use super::locks::Locks;
use super::proto::controller_server;
use super::proto::validate_volume_capabilities_response::Confirmed;
use super::proto::*;
use super::request::access::{self, access};
use super::request::create::create;
use super::request::{self, size};
use super::server::about;
use super::topology::Topology;
use super::{capability, reply, status};
use crate::volume::{ServerId, VolumeId, Volumes};

/// The clouds by name; the unnamed one is `""`.
pub type Clouds = BTreeMap<String, Volumes>;

#[derive(Clone, Debug)]
pub struct ControllerSettings {
    /// `--cluster`: a mark on every volume.
    pub cluster: String,
    pub topology: Topology,
}

#[derive(Clone, Debug)]
pub struct Controller {
    clouds: Clouds,
    settings: ControllerSettings,
    locks: Locks,
}

impl Controller {
    pub fn new(clouds: Clouds, settings: ControllerSettings) -> Self {
        Self { clouds, settings, locks: Locks::default() }
    }

    fn cloud(&self, secrets: &HashMap<String, String>) -> Result<&Volumes, Status> {
        let name = request::cloud(secrets);
        self.clouds.get(name).ok_or_else(|| {
            let known: Vec<_> = self.clouds.keys().map(|name| format!("{name:?}")).collect();
            status::invalid(
                "secrets.cloud",
                format!("cloud {name:?} isn't configured; configured: {}", known.join(", ")),
            )
        })
    }
}

#[tonic::async_trait]
impl controller_server::Controller for Controller {
    async fn create_volume(
        &self,
        request: Request<CreateVolumeRequest>,
    ) -> Result<Response<CreateVolumeResponse>, Status> {
        let request = request.into_inner();
        about(&request.name, "");
        let topology = &self.settings.topology;
        let create = create(&request, topology, &self.settings.cluster)?;
        let cloud = self.cloud(&request.secrets)?;
        let _claim = self.locks.claim(format!("volume name {}", create.wanted.name))?;
        let volume = cloud.ensure_created(&create.wanted).await?;
        let required = request.accessibility_requirements.as_ref();
        let volume = reply::created(&volume, create.context, topology, required);
        Ok(Response::new(CreateVolumeResponse { volume: Some(volume) }))
    }

    async fn delete_volume(
        &self,
        request: Request<DeleteVolumeRequest>,
    ) -> Result<Response<DeleteVolumeResponse>, Status> {
        let request = request.into_inner();
        about(&request.volume_id, "");
        if let Some(volume) = request::id::<VolumeId>("volume_id", &request.volume_id)? {
            let cloud = self.cloud(&request.secrets)?;
            let _claim = self.locks.claim(format!("volume {volume}"))?;
            cloud.ensure_deleted(volume).await?;
        }
        Ok(Response::new(DeleteVolumeResponse {}))
    }

    async fn controller_publish_volume(
        &self,
        request: Request<ControllerPublishVolumeRequest>,
    ) -> Result<Response<ControllerPublishVolumeResponse>, Status> {
        let request = request.into_inner();
        about(&request.volume_id, &request.node_id);
        let volume = request::id::<VolumeId>("volume_id", &request.volume_id)?;
        let server = request::id::<ServerId>("node_id", &request.node_id)?;
        access(request.volume_capability.as_ref())?;
        let cloud = self.cloud(&request.secrets)?;
        let volume = volume.ok_or_else(|| status::unknown("volume", &request.volume_id))?;
        let Some(server) = server else {
            // Of the two that don't exist, the specification names the volume first.
            cloud.get(volume).await?;
            return Err(status::unknown("server", &request.node_id));
        };
        let _claim = self.locks.claim(format!("volume {volume} on server {server}"))?;
        let published = cloud.ensure_attached(volume, server).await?;
        let publish_context = published.context().into_iter().collect();
        Ok(Response::new(ControllerPublishVolumeResponse { publish_context }))
    }

    async fn controller_unpublish_volume(
        &self,
        request: Request<ControllerUnpublishVolumeRequest>,
    ) -> Result<Response<ControllerUnpublishVolumeResponse>, Status> {
        let request = request.into_inner();
        about(&request.volume_id, &request.node_id);
        let volume = request::id::<VolumeId>("volume_id", &request.volume_id)?;
        if request.node_id.is_empty() {
            return Err(status::invalid(
                "node_id",
                "is required: detaching from every node at once isn't served",
            ));
        }
        let server = request::id::<ServerId>("node_id", &request.node_id)?;
        let cloud = self.cloud(&request.secrets)?;
        if let (Some(volume), Some(server)) = (volume, server) {
            let _claim = self.locks.claim(format!("volume {volume} on server {server}"))?;
            cloud.ensure_detached(volume, server).await?;
        }
        Ok(Response::new(ControllerUnpublishVolumeResponse {}))
    }

    async fn validate_volume_capabilities(
        &self,
        request: Request<ValidateVolumeCapabilitiesRequest>,
    ) -> Result<Response<ValidateVolumeCapabilitiesResponse>, Status> {
        let request = request.into_inner();
        about(&request.volume_id, "");
        let id = request::id::<VolumeId>("volume_id", &request.volume_id)?;
        let judged = access::judged(&request.volume_capabilities)?;
        let cloud = self.cloud(&request.secrets)?;
        let id = id.ok_or_else(|| status::unknown("volume", &request.volume_id))?;
        let volume = cloud.get(id).await?;
        let served = judged.and_then(|accesses| access::shared(&accesses, volume.multiattach));
        Ok(Response::new(match served {
            Err(message) => ValidateVolumeCapabilitiesResponse { confirmed: None, message },
            Ok(()) => ValidateVolumeCapabilitiesResponse {
                confirmed: Some(Confirmed {
                    volume_context: request.volume_context,
                    volume_capabilities: request.volume_capabilities,
                    parameters: request.parameters,
                    mutable_parameters: HashMap::new(),
                }),
                message: String::new(),
            },
        }))
    }

    async fn list_volumes(
        &self,
        request: Request<ListVolumesRequest>,
    ) -> Result<Response<ListVolumesResponse>, Status> {
        let request = request.into_inner();
        let limit = request::max_entries(request.max_entries)?;
        let after = match request.starting_token.as_str() {
            "" => None,
            token => Some(token.parse().map_err(|_| {
                Status::aborted(format!("starting_token {token:?} is none of ours: start over"))
            })?),
        };
        let page = self.cloud(&HashMap::new())?.page(limit, after).await?;
        let next_token = page.next.map(|id| id.to_string()).unwrap_or_default();
        Ok(Response::new(ListVolumesResponse {
            entries: page.volumes.iter().map(reply::entry).collect(),
            next_token,
        }))
    }

    async fn controller_get_volume(
        &self,
        request: Request<ControllerGetVolumeRequest>,
    ) -> Result<Response<ControllerGetVolumeResponse>, Status> {
        let request = request.into_inner();
        about(&request.volume_id, "");
        let id = request::id::<VolumeId>("volume_id", &request.volume_id)?;
        let cloud = self.cloud(&HashMap::new())?;
        let id = id.ok_or_else(|| status::unknown("volume", &request.volume_id))?;
        let listed = cloud.show(id).await?;
        let entry = reply::entry(&listed);
        let status = controller_get_volume_response::VolumeStatus {
            published_node_ids: entry.status.map(|status| status.published_node_ids).unwrap_or_default(),
        };
        Ok(Response::new(ControllerGetVolumeResponse { volume: entry.volume, status: Some(status) }))
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
        let request = request.into_inner();
        about(&request.volume_id, "");
        let id = request::id::<VolumeId>("volume_id", &request.volume_id)?;
        let size = size::size(Some(request::capacity(request.capacity_range)?))?;
        let cloud = self.cloud(&request.secrets)?;
        let id = id.ok_or_else(|| status::unknown("volume", &request.volume_id))?;
        let _claim = self.locks.claim(format!("volume {id}"))?;
        let volume = cloud.ensure_expanded(id, size.required).await?;
        size.admits(volume.size)?;
        // The guest's device grows after Cinder answers, so the node has to look in every case.
        Ok(Response::new(ControllerExpandVolumeResponse {
            capacity_bytes: reply::bytes(volume.size),
            node_expansion_required: true,
        }))
    }

    async fn get_capacity(
        &self,
        _: Request<GetCapacityRequest>,
    ) -> Result<Response<GetCapacityResponse>, Status> {
        Err(status::not_advertised("GetCapacity"))
    }

    async fn create_snapshot(
        &self,
        _: Request<CreateSnapshotRequest>,
    ) -> Result<Response<CreateSnapshotResponse>, Status> {
        Err(status::not_advertised("CreateSnapshot"))
    }

    async fn delete_snapshot(
        &self,
        _: Request<DeleteSnapshotRequest>,
    ) -> Result<Response<DeleteSnapshotResponse>, Status> {
        Err(status::not_advertised("DeleteSnapshot"))
    }

    async fn list_snapshots(
        &self,
        _: Request<ListSnapshotsRequest>,
    ) -> Result<Response<ListSnapshotsResponse>, Status> {
        Err(status::not_advertised("ListSnapshots"))
    }

    async fn get_snapshot(
        &self,
        _: Request<GetSnapshotRequest>,
    ) -> Result<Response<GetSnapshotResponse>, Status> {
        Err(status::not_advertised("GetSnapshot"))
    }

    async fn controller_modify_volume(
        &self,
        _: Request<ControllerModifyVolumeRequest>,
    ) -> Result<Response<ControllerModifyVolumeResponse>, Status> {
        Err(status::not_advertised("ControllerModifyVolume"))
    }

    async fn controller_list_volume_health(
        &self,
        _: Request<ControllerListVolumeHealthRequest>,
    ) -> Result<Response<ControllerListVolumeHealthResponse>, Status> {
        Err(status::not_advertised("ControllerListVolumeHealth"))
    }

    async fn controller_get_volume_health(
        &self,
        _: Request<ControllerGetVolumeHealthRequest>,
    ) -> Result<Response<ControllerGetVolumeHealthResponse>, Status> {
        Err(status::not_advertised("ControllerGetVolumeHealth"))
    }
}
