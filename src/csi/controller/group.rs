//! The GroupController service: snapshots of several volumes at one moment.

use tonic::{Request, Response, Status};

use super::Controller;
use crate::csi::proto::group_controller_server::GroupController;
use crate::csi::proto::*;
use crate::csi::request::{self, group};
use crate::csi::server::about;
use crate::csi::{capability, reply, status};
use crate::volume::GroupSnapshotId;

#[tonic::async_trait]
impl GroupController for Controller {
    async fn group_controller_get_capabilities(
        &self,
        _: Request<GroupControllerGetCapabilitiesRequest>,
    ) -> Result<Response<GroupControllerGetCapabilitiesResponse>, Status> {
        Ok(Response::new(GroupControllerGetCapabilitiesResponse { capabilities: capability::group() }))
    }

    async fn create_volume_group_snapshot(
        &self,
        request: Request<CreateVolumeGroupSnapshotRequest>,
    ) -> Result<Response<CreateVolumeGroupSnapshotResponse>, Status> {
        let request = request.into_inner();
        about("request_name", &request.name);
        let wanted = group::wanted(&request, self.settings.strict_parameters)?;
        let named = request::cloud::named(&request.secrets, &request.parameters)?;
        let cloud = self.clouds.of_volumes(named, &wanted.volumes).await?;
        let _claim = self.locks.claim(format!("group snapshot name {}", wanted.name))?;
        let group = cloud.ensure_group_cut(&wanted).await.map_err(|error| self.clouds.told(cloud, error))?;
        let members = self.usable(cloud, &group.members).await.map_err(|error| self.unseen(cloud, error))?;
        let group_snapshot = Some(reply::group(&group, members));
        Ok(Response::new(CreateVolumeGroupSnapshotResponse { group_snapshot }))
    }

    async fn delete_volume_group_snapshot(
        &self,
        request: Request<DeleteVolumeGroupSnapshotRequest>,
    ) -> Result<Response<DeleteVolumeGroupSnapshotResponse>, Status> {
        let request = request.into_inner();
        about("group_snapshot", &request.group_snapshot_id);
        if let Some(id) = request::id::<GroupSnapshotId>("group_snapshot_id", &request.group_snapshot_id)? {
            let members = group::members(&request.snapshot_ids)?;
            let cloud = self.clouds.of_group_snapshot(&request.secrets, id).await?;
            let _claim = self.locks.claim(format!("group snapshot {id}"))?;
            let deleted = cloud.ensure_group_snapshot_deleted(id, &members).await;
            deleted.map_err(|error| self.clouds.told(cloud, error))?;
        }
        Ok(Response::new(DeleteVolumeGroupSnapshotResponse {}))
    }

    async fn get_volume_group_snapshot(
        &self,
        request: Request<GetVolumeGroupSnapshotRequest>,
    ) -> Result<Response<GetVolumeGroupSnapshotResponse>, Status> {
        let request = request.into_inner();
        about("group_snapshot", &request.group_snapshot_id);
        let id = request::id::<GroupSnapshotId>("group_snapshot_id", &request.group_snapshot_id)?;
        let members = group::members(&request.snapshot_ids)?;
        let id = id.ok_or_else(|| status::unknown("group snapshot", &request.group_snapshot_id))?;
        let cloud = self.clouds.of_group_snapshot(&request.secrets, id).await?;
        let group = cloud.group_snapshot(id).await.map_err(|error| self.clouds.told(cloud, error))?;
        group.has(&members).map_err(|error| self.clouds.told(cloud, error))?;
        let members = self.usable(cloud, &group.members).await;
        let members = members.map_err(|error| self.clouds.told(cloud, error))?;
        let group_snapshot = Some(reply::group(&group, members));
        Ok(Response::new(GetVolumeGroupSnapshotResponse { group_snapshot }))
    }
}
