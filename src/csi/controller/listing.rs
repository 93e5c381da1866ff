//! The volumes of all clouds.

use tonic::Status;

use super::Controller;
use crate::csi::pages::Pages;
use crate::csi::proto::*;
use crate::csi::{reply, request};

impl Controller {
    pub(super) async fn list_volumes(
        &self,
        request: ListVolumesRequest,
    ) -> Result<ListVolumesResponse, Status> {
        let limit = request::max_entries(request.max_entries)?;
        let cluster = self.settings.list_only_cluster.then_some(self.settings.cluster.as_str());
        let clouds = self.clouds.all().collect();
        let mut pages = Pages::start(clouds, "volumes", &request.starting_token, limit)?;
        let mut entries = Vec::new();
        while let Some(turn) = pages.turn() {
            let page = turn.cloud.page(cluster, Some(turn.limit), turn.after).await;
            let page = page.map_err(|error| self.clouds.told(turn.cloud, error))?;
            entries.extend(page.volumes.iter().map(reply::entry));
            pages.took(page.volumes.len(), page.next);
        }
        Ok(ListVolumesResponse { entries, next_token: pages.next_token() })
    }
}
