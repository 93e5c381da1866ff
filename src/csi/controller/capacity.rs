//! How much room is left.

use tonic::{Code, Status};

use super::Controller;
use crate::csi::proto::*;
use crate::csi::reply;
use crate::csi::request::{capacity::capacity, cloud};
use crate::volume::Room;

impl Controller {
    pub(super) async fn get_capacity(
        &self,
        request: GetCapacityRequest,
    ) -> Result<GetCapacityResponse, Status> {
        let Some(demand) = capacity(&request, &self.settings.topology)? else {
            return Ok(reply::capacity(Room::default()));
        };
        let cloud = match self.clouds.of_zones(&cloud::of_room(&request), &demand.zones).await {
            // No cloud has the zone.
            Err(status) if status.code() == Code::ResourceExhausted => {
                return Ok(reply::capacity(Room::default()));
            }
            cloud => cloud?,
        };
        let room = cloud.room(&demand).await.map_err(|error| self.clouds.told(cloud, error))?;
        Ok(reply::capacity(room))
    }
}
