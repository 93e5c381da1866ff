//! Volumes become disks of servers, and leave them.

use tonic::Status;

use super::Controller;
use crate::csi::proto::*;
use crate::csi::request::{self, access::access_in_use};
use crate::csi::server::about;
use crate::csi::status;
use crate::volume::{Orphan, ServerId, VolumeId};

impl Controller {
    pub(super) async fn controller_publish_volume(
        &self,
        request: ControllerPublishVolumeRequest,
    ) -> Result<ControllerPublishVolumeResponse, Status> {
        about("volume", &request.volume_id);
        about("node", &request.node_id);
        let volume = request::id::<VolumeId>("volume_id", &request.volume_id)?;
        let server = request::id::<ServerId>("node_id", &request.node_id)?;
        let access = access_in_use(request.volume_capability.as_ref())?;
        let volume = volume.ok_or_else(|| status::unknown("volume", &request.volume_id))?;
        let cloud = self.clouds.of_volume(&request.secrets, volume).await?;
        let Some(server) = server else {
            // Of the two that don't exist, the specification names the volume first.
            cloud.get(volume).await.map_err(|error| self.clouds.told(cloud, error))?;
            return Err(status::unknown("server", &request.node_id));
        };
        let _claim = self.locks.claim(format!("volume {volume} on server {server}"))?;
        let _alone = match access.needs_one_node() {
            true => Some(self.locks.claim(format!("volume {volume} on any server"))?),
            false => None,
        };
        let attached = match access.needs_one_node() {
            true => cloud.ensure_attached_alone(volume, server).await,
            false => cloud.ensure_attached(volume, server).await,
        };
        let published = match attached {
            Ok(published) => published,
            Err(error) => return Err(self.clouds.explained(cloud, volume, server, error).await),
        };
        let publish_context = published.context().into_iter().collect();
        Ok(ControllerPublishVolumeResponse { publish_context })
    }

    pub(super) async fn controller_unpublish_volume(
        &self,
        request: ControllerUnpublishVolumeRequest,
    ) -> Result<ControllerUnpublishVolumeResponse, Status> {
        about("volume", &request.volume_id);
        about("node", &request.node_id);
        let volume = request::id::<VolumeId>("volume_id", &request.volume_id)?;
        if request.node_id.is_empty() {
            return Err(status::invalid(
                "node_id",
                "is required: detaching from every node at once isn't served",
            ));
        }
        let server = request::id::<ServerId>("node_id", &request.node_id)?;
        if let (Some(volume), Some(server)) = (volume, server) {
            let cloud = self.clouds.of_volume(&request.secrets, volume).await?;
            let _claim = self.locks.claim(format!("volume {volume} on server {server}"))?;
            let orphan = if self.clouds.are_several() { Orphan::Kept } else { Orphan::Ended };
            let detached = cloud.ensure_detached(volume, server, orphan).await;
            detached.map_err(|error| self.clouds.told(cloud, error))?;
        }
        Ok(ControllerUnpublishVolumeResponse {})
    }
}
