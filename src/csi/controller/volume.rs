//! Volumes are made, shown, grown and deleted.

use std::collections::HashMap;

use tonic::Status;

use super::Controller;
use crate::csi::proto::validate_volume_capabilities_response::Confirmed;
use crate::csi::proto::*;
use crate::csi::request::create::create;
use crate::csi::request::{self, access, size};
use crate::csi::server::about;
use crate::csi::{reply, status};
use crate::volume::{Thing, VolumeId};

impl Controller {
    pub(super) async fn create_volume(
        &self,
        request: CreateVolumeRequest,
    ) -> Result<CreateVolumeResponse, Status> {
        about("request_name", &request.name);
        let mut create = create(&request, &self.settings)?;
        let wish = request::cloud::wish(&request)?;
        let cloud = self.clouds.of_new(&wish, &mut create.wanted).await?;
        let _claim = self.locks.claim(format!("volume name {}", create.wanted.name))?;
        self.place(&request, cloud, &mut create).await?;
        let volume =
            cloud.ensure_created(&create.wanted).await.map_err(|error| self.clouds.told(cloud, error))?;
        self.clouds.remember(Thing::Volume(volume.id), cloud);
        let mut volume = reply::created(&volume, create, &request);
        if let Some(label) = self.clouds.label(&wish, cloud) {
            reply::in_cloud(&mut volume, label);
        }
        Ok(CreateVolumeResponse { volume: Some(volume) })
    }

    pub(super) async fn delete_volume(
        &self,
        request: DeleteVolumeRequest,
    ) -> Result<DeleteVolumeResponse, Status> {
        about("volume", &request.volume_id);
        if let Some(volume) = request::id::<VolumeId>("volume_id", &request.volume_id)? {
            let cloud = self.clouds.of_volume(&request.secrets, volume).await?;
            let _claim = self.locks.claim(format!("volume {volume}"))?;
            cloud.ensure_deleted(volume).await.map_err(|error| self.clouds.told(cloud, error))?;
        }
        Ok(DeleteVolumeResponse {})
    }

    pub(super) async fn validate_volume_capabilities(
        &self,
        request: ValidateVolumeCapabilitiesRequest,
    ) -> Result<ValidateVolumeCapabilitiesResponse, Status> {
        about("volume", &request.volume_id);
        let id = request::id::<VolumeId>("volume_id", &request.volume_id)?;
        let judged = access::judged(&request.volume_capabilities)?;
        let id = id.ok_or_else(|| status::unknown("volume", &request.volume_id))?;
        let cloud = self.clouds.of_volume(&request.secrets, id).await?;
        let volume = cloud.get(id).await.map_err(|error| self.clouds.told(cloud, error))?;
        let served = judged.and_then(|accesses| access::shared(&accesses, volume.multiattach));
        Ok(match served {
            Err(message) => ValidateVolumeCapabilitiesResponse { confirmed: None, message },
            Ok(()) => ValidateVolumeCapabilitiesResponse {
                // Only what was looked at is confirmed: Cinder keeps neither the context nor the parameters.
                confirmed: Some(Confirmed {
                    volume_capabilities: request.volume_capabilities,
                    ..Confirmed::default()
                }),
                message: String::new(),
            },
        })
    }

    pub(super) async fn controller_get_volume(
        &self,
        request: ControllerGetVolumeRequest,
    ) -> Result<ControllerGetVolumeResponse, Status> {
        about("volume", &request.volume_id);
        let id = request::id::<VolumeId>("volume_id", &request.volume_id)?;
        let id = id.ok_or_else(|| status::unknown("volume", &request.volume_id))?;
        let cloud = self.clouds.of_volume(&HashMap::new(), id).await?;
        let listed = cloud.show(id).await.map_err(|error| self.clouds.told(cloud, error))?;
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
        about("volume", &request.volume_id);
        let id = request::id::<VolumeId>("volume_id", &request.volume_id)?;
        let size = size::size(Some(request::capacity(request.capacity_range)?))?;
        let id = id.ok_or_else(|| status::unknown("volume", &request.volume_id))?;
        let cloud = self.clouds.of_volume(&request.secrets, id).await?;
        let _claim = self.locks.claim(format!("volume {id}"))?;
        let volume =
            cloud.ensure_expanded(id, size.required).await.map_err(|error| self.clouds.told(cloud, error))?;
        size.admits(volume.size)?;
        // The guest's device grows after Cinder answers, so the node has to look in every case.
        Ok(ControllerExpandVolumeResponse {
            capacity_bytes: reply::bytes(volume.size),
            node_expansion_required: true,
        })
    }
}
