//! How much room is left.

use tonic::Status;

use super::Controller;
use crate::csi::proto::*;
use crate::csi::status;

impl Controller {
    pub(super) async fn get_capacity(&self, _: GetCapacityRequest) -> Result<GetCapacityResponse, Status> {
        Err(status::not_advertised("GetCapacity"))
    }
}
