//! Volumes change their type and metadata.

use tonic::Status;

use super::Controller;
use crate::csi::proto::*;
use crate::csi::request::{self, mutable::mutable};
use crate::csi::server::about;
use crate::csi::status;
use crate::volume::VolumeId;

impl Controller {
    pub(super) async fn controller_modify_volume(
        &self,
        request: ControllerModifyVolumeRequest,
    ) -> Result<ControllerModifyVolumeResponse, Status> {
        about("volume", &request.volume_id);
        let id = request::id::<VolumeId>("volume_id", &request.volume_id)?;
        let change = mutable(&request.mutable_parameters)?;
        let id = id.ok_or_else(|| status::unknown("volume", &request.volume_id))?;
        let cloud = self.clouds.of_volume(&request.secrets, id).await?;
        let _claim = self.locks.claim(format!("volume {id}"))?;
        cloud.ensure_modified(id, &change).await.map_err(|error| self.clouds.told(cloud, error))?;
        Ok(ControllerModifyVolumeResponse {})
    }
}
