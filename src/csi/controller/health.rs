//! How volumes are.

use tonic::Status;

use super::Controller;
use crate::csi::pages::Pages;
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
        about("volume", &request.volume_id);
        let id = request::id::<VolumeId>("volume_id", &request.volume_id)?;
        let id = id.ok_or_else(|| status::unknown("volume", &request.volume_id))?;
        let cloud = self.clouds.of_volume(&request.secrets, id).await?;
        let ailments = cloud.health(id).await.map_err(|error| self.clouds.told(cloud, error))?;
        Ok(ControllerGetVolumeHealthResponse { volume_health: Some(reply::health(id, ailments)) })
    }

    pub(super) async fn controller_list_volume_health(
        &self,
        request: ControllerListVolumeHealthRequest,
    ) -> Result<ControllerListVolumeHealthResponse, Status> {
        let limit = request::max_entries(request.max_entries)?;
        let cluster = self.settings.list_only_cluster.then_some(self.settings.cluster.as_str());
        let clouds = self.clouds.to_list(&request.secrets)?;
        let mut pages = Pages::start(clouds, "health", &request.starting_token, limit)?;
        let mut entries = Vec::new();
        while let Some(turn) = pages.turn() {
            let ill = turn.cloud.checkup().patients(cluster, Some(turn.limit), turn.after).await;
            let (patients, next) = ill.map_err(|error| self.clouds.told(turn.cloud, error))?;
            pages.took(patients.len(), next);
            entries.extend(patients.into_iter().map(|ill| reply::health(ill.volume.id, ill.ailments)));
        }
        Ok(ControllerListVolumeHealthResponse { entries, next_token: pages.next_token() })
    }
}
