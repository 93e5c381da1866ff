//! How volumes are.

use tonic::Status;

use super::Controller;
use crate::csi::proto::*;
use crate::csi::status;

impl Controller {
    pub(super) async fn controller_list_volume_health(
        &self,
        _: ControllerListVolumeHealthRequest,
    ) -> Result<ControllerListVolumeHealthResponse, Status> {
        Err(status::not_advertised("ControllerListVolumeHealth"))
    }

    pub(super) async fn controller_get_volume_health(
        &self,
        _: ControllerGetVolumeHealthRequest,
    ) -> Result<ControllerGetVolumeHealthResponse, Status> {
        Err(status::not_advertised("ControllerGetVolumeHealth"))
    }
}
