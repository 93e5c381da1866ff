//! How volumes are.

use tonic::Status;

use super::Controller;
use crate::csi::proto::*;
use crate::csi::request;
use crate::csi::server::about;
use crate::csi::{reply, status};
use crate::volume::VolumeId;

impl Controller {
    pub(super) async fn controller_get_volume_health(
        &self,
        request: ControllerGetVolumeHealthRequest,
    ) -> Result<ControllerGetVolumeHealthResponse, Status> {
        about(&request.volume_id, "");
        let id = request::id::<VolumeId>("volume_id", &request.volume_id)?;
        let id = id.ok_or_else(|| status::unknown("volume", &request.volume_id))?;
        let cloud = self.clouds.of_volume(&request.secrets, id).await?;
        let volume_health = Some(reply::health(id, cloud.health(id).await?));
        Ok(ControllerGetVolumeHealthResponse { volume_health })
    }

    pub(super) async fn controller_list_volume_health(
        &self,
        _: ControllerListVolumeHealthRequest,
    ) -> Result<ControllerListVolumeHealthResponse, Status> {
        Err(status::not_advertised("ControllerListVolumeHealth"))
    }
}
