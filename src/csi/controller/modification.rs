//! Volumes change their type and metadata.

use tonic::Status;

use super::Controller;
use crate::csi::proto::*;
use crate::csi::status;

impl Controller {
    pub(super) async fn controller_modify_volume(
        &self,
        _: ControllerModifyVolumeRequest,
    ) -> Result<ControllerModifyVolumeResponse, Status> {
        Err(status::not_advertised("ControllerModifyVolume"))
    }
}
