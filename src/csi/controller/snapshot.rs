//! Snapshots, and backups that are snapshots to the orchestrator.

use tonic::Status;

use super::Controller;
use crate::csi::proto::*;
use crate::csi::status;

impl Controller {
    pub(super) async fn create_snapshot(
        &self,
        _: CreateSnapshotRequest,
    ) -> Result<CreateSnapshotResponse, Status> {
        Err(status::not_advertised("CreateSnapshot"))
    }

    pub(super) async fn delete_snapshot(
        &self,
        _: DeleteSnapshotRequest,
    ) -> Result<DeleteSnapshotResponse, Status> {
        Err(status::not_advertised("DeleteSnapshot"))
    }

    pub(super) async fn list_snapshots(
        &self,
        _: ListSnapshotsRequest,
    ) -> Result<ListSnapshotsResponse, Status> {
        Err(status::not_advertised("ListSnapshots"))
    }

    pub(super) async fn get_snapshot(&self, _: GetSnapshotRequest) -> Result<GetSnapshotResponse, Status> {
        Err(status::not_advertised("GetSnapshot"))
    }
}
