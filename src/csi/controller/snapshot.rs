//! Snapshots, and backups that are snapshots to the orchestrator.

use tonic::Status;

use super::Controller;
use crate::csi::proto::list_snapshots_response::Entry;
use crate::csi::proto::*;
use crate::csi::request::snapshot::{Search, Wanted, create, list};
use crate::csi::server::about;
use crate::csi::{reply, request, status};
use crate::volume::{Saved, SnapshotId};

impl Controller {
    pub(super) async fn create_snapshot(
        &self,
        request: CreateSnapshotRequest,
    ) -> Result<CreateSnapshotResponse, Status> {
        about(&request.name, "");
        let wanted = create(&request, &self.settings)?;
        let wanted = wanted.ok_or_else(|| status::unknown("volume", &request.source_volume_id))?;
        let cloud = self.clouds.of_volume(&request.secrets, wanted.source()).await?;
        let _claim = self.locks.claim(format!("snapshot name {}", request.name))?;
        let saved = match &wanted {
            Wanted::Snapshot(wanted) => cloud.ensure_snapshot(wanted).await?,
            Wanted::Backup(wanted) => cloud.ensure_backup(wanted).await?,
        };
        Ok(CreateSnapshotResponse { snapshot: Some(reply::snapshot(&saved)) })
    }

    pub(super) async fn delete_snapshot(
        &self,
        request: DeleteSnapshotRequest,
    ) -> Result<DeleteSnapshotResponse, Status> {
        about(&request.snapshot_id, "");
        if let Some(id) = request::id::<SnapshotId>("snapshot_id", &request.snapshot_id)? {
            let cloud = self.clouds.of_snapshot(&request.secrets, id).await?;
            let _claim = self.locks.claim(format!("snapshot {id}"))?;
            cloud.ensure_snapshot_deleted(id).await?;
        }
        Ok(DeleteSnapshotResponse {})
    }

    pub(super) async fn list_snapshots(
        &self,
        request: ListSnapshotsRequest,
    ) -> Result<ListSnapshotsResponse, Status> {
        match list(&request)? {
            Search::Nothing => Ok(ListSnapshotsResponse::default()),
            Search::One { id, source } => {
                let cloud = self.clouds.of_snapshot(&request.secrets, id).await?;
                let found = cloud.find_saved(id).await?;
                let found = found.filter(|saved| source.is_none_or(|source| saved.source() == source));
                Ok(ListSnapshotsResponse {
                    entries: found.iter().map(entry).collect(),
                    next_token: String::new(),
                })
            }
            Search::All { source, limit, place } => {
                let page = self.clouds.of_list(&request.secrets)?.page_saved(source, limit, place).await?;
                let next_token = page.next.map(|place| place.to_string()).unwrap_or_default();
                Ok(ListSnapshotsResponse { entries: page.items.iter().map(entry).collect(), next_token })
            }
        }
    }

    pub(super) async fn get_snapshot(
        &self,
        request: GetSnapshotRequest,
    ) -> Result<GetSnapshotResponse, Status> {
        about(&request.snapshot_id, "");
        let id = request::id::<SnapshotId>("snapshot_id", &request.snapshot_id)?;
        let id = id.ok_or_else(|| status::unknown("snapshot", &request.snapshot_id))?;
        let saved = self.clouds.of_snapshot(&request.secrets, id).await?.get_saved(id).await?;
        Ok(GetSnapshotResponse { snapshot: Some(reply::snapshot(&saved)) })
    }
}

fn entry(saved: &Saved) -> Entry {
    Entry { snapshot: Some(reply::snapshot(saved)) }
}
