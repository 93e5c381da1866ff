//! Volumes are made, shown, grown and deleted.

use std::collections::HashMap;

use tonic::Status;

use super::Controller;
use crate::csi::proto::validate_volume_capabilities_response::Confirmed;
use crate::csi::proto::*;
use crate::csi::request::create::create;
use crate::csi::request::{self, access, size};
use crate::csi::server::about;
use crate::csi::{affinity, reply, status};
use crate::volume::VolumeId;

impl Controller {
    pub(super) async fn create_volume(
        &self,
        request: CreateVolumeRequest,
    ) -> Result<CreateVolumeResponse, Status> {
        about(&request.name, "");
        let topology = &self.settings.topology;
        let mut create = create(&request, topology, &self.settings.cluster)?;
        let cloud = self.clouds.of_new(&request.secrets)?;
        let _claim = self.locks.claim(format!("volume name {}", create.wanted.name))?;
        if let Some(annotations) = &self.annotations {
            let near = annotations.affinity(&request.parameters, cloud, &create.wanted.name).await?;
            create.context.extend(affinity::context(&near));
        }
        let volume = cloud.ensure_created(&create.wanted).await?;
        let required = request.accessibility_requirements.as_ref();
        let volume = reply::created(&volume, create.context, topology, required);
        Ok(CreateVolumeResponse { volume: Some(volume) })
    }

    pub(super) async fn delete_volume(
        &self,
        request: DeleteVolumeRequest,
    ) -> Result<DeleteVolumeResponse, Status> {
        about(&request.volume_id, "");
        if let Some(volume) = request::id::<VolumeId>("volume_id", &request.volume_id)? {
            let cloud = self.clouds.of_volume(&request.secrets, volume).await?;
            let _claim = self.locks.claim(format!("volume {volume}"))?;
            cloud.ensure_deleted(volume).await?;
        }
        Ok(DeleteVolumeResponse {})
    }

    pub(super) async fn validate_volume_capabilities(
        &self,
        request: ValidateVolumeCapabilitiesRequest,
    ) -> Result<ValidateVolumeCapabilitiesResponse, Status> {
        about(&request.volume_id, "");
        let id = request::id::<VolumeId>("volume_id", &request.volume_id)?;
        let judged = access::judged(&request.volume_capabilities)?;
        let id = id.ok_or_else(|| status::unknown("volume", &request.volume_id))?;
        let cloud = self.clouds.of_volume(&request.secrets, id).await?;
        let volume = cloud.get(id).await?;
        let served = judged.and_then(|accesses| access::shared(&accesses, volume.multiattach));
        Ok(match served {
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
        })
    }

    pub(super) async fn list_volumes(
        &self,
        request: ListVolumesRequest,
    ) -> Result<ListVolumesResponse, Status> {
        let limit = request::max_entries(request.max_entries)?;
        let after = match request.starting_token.as_str() {
            "" => None,
            token => Some(token.parse().map_err(|_| {
                Status::aborted(format!("starting_token {token:?} is none of ours: start over"))
            })?),
        };
        let page = self.clouds.of_new(&HashMap::new())?.page(limit, after).await?;
        let next_token = page.next.map(|id| id.to_string()).unwrap_or_default();
        Ok(ListVolumesResponse { entries: page.volumes.iter().map(reply::entry).collect(), next_token })
    }

    pub(super) async fn controller_get_volume(
        &self,
        request: ControllerGetVolumeRequest,
    ) -> Result<ControllerGetVolumeResponse, Status> {
        about(&request.volume_id, "");
        let id = request::id::<VolumeId>("volume_id", &request.volume_id)?;
        let id = id.ok_or_else(|| status::unknown("volume", &request.volume_id))?;
        let cloud = self.clouds.of_volume(&HashMap::new(), id).await?;
        let listed = cloud.show(id).await?;
        let entry = reply::entry(&listed);
        let status = controller_get_volume_response::VolumeStatus {
            published_node_ids: entry.status.map(|status| status.published_node_ids).unwrap_or_default(),
        };
        Ok(ControllerGetVolumeResponse { volume: entry.volume, status: Some(status) })
    }

    pub(super) async fn controller_expand_volume(
        &self,
        request: ControllerExpandVolumeRequest,
    ) -> Result<ControllerExpandVolumeResponse, Status> {
        about(&request.volume_id, "");
        let id = request::id::<VolumeId>("volume_id", &request.volume_id)?;
        let size = size::size(Some(request::capacity(request.capacity_range)?))?;
        let id = id.ok_or_else(|| status::unknown("volume", &request.volume_id))?;
        let cloud = self.clouds.of_volume(&request.secrets, id).await?;
        let _claim = self.locks.claim(format!("volume {id}"))?;
        let volume = cloud.ensure_expanded(id, size.required).await?;
        size.admits(volume.size)?;
        // The guest's device grows after Cinder answers, so the node has to look in every case.
        Ok(ControllerExpandVolumeResponse {
            capacity_bytes: reply::bytes(volume.size),
            node_expansion_required: true,
        })
    }
}
