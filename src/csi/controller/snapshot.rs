//! Snapshots, and backups that are snapshots to the orchestrator.

use tonic::Status;

use super::Controller;
use crate::csi::pages::Pages;
use crate::csi::proto::list_snapshots_response::Entry;
use crate::csi::proto::*;
use crate::csi::request::snapshot::{Search, Wanted, create, list};
use crate::csi::server::about;
use crate::csi::{reply, request, status};
use crate::volume::{self, Condition, Error, Saved, SnapshotId, Thing, VolumeId, Volumes};

impl Controller {
    pub(super) async fn create_snapshot(
        &self,
        request: CreateSnapshotRequest,
    ) -> Result<CreateSnapshotResponse, Status> {
        about("request_name", &request.name);
        about("volume", &request.source_volume_id);
        let wanted = create(&request, &self.settings)?;
        let wanted = wanted.ok_or_else(|| status::unknown("volume", &request.source_volume_id))?;
        let named = request::cloud::named(&request.secrets, &request.parameters)?;
        let cloud = self.clouds.of_thing(named, Thing::Volume(wanted.source())).await?;
        let _claim = self.locks.claim(format!("snapshot name {}", request.name))?;
        if let Wanted::Snapshot(wanted) = &wanted {
            self.check_usable(cloud, wanted.source, request.accessibility_requirements.as_ref()).await?;
        }
        let saved = match &wanted {
            Wanted::Snapshot(wanted) => cloud.ensure_snapshot(wanted).await,
            Wanted::Backup(wanted) => cloud.ensure_backup(wanted).await,
        };
        let saved = saved.map_err(|error| self.clouds.told(cloud, error))?;
        self.clouds.remember(Thing::Snapshot(saved.id()), cloud);
        let shown = self.usable(cloud, &[saved]).await.map_err(|error| self.unseen(cloud, error))?;
        Ok(CreateSnapshotResponse { snapshot: shown.into_iter().next() })
    }

    /// A snapshot is where its volume is, and nowhere else.
    async fn check_usable(
        &self,
        cloud: &Volumes,
        source: VolumeId,
        required: Option<&TopologyRequirement>,
    ) -> Result<(), Status> {
        let topology = &self.settings.topology;
        let Some(required) = required.filter(|_| topology.constrains_snapshots()) else { return Ok(()) };
        let zone = cloud.zone_of(source).await.map_err(|error| self.unseen(cloud, error))?;
        match zone.filter(|zone| !topology.is_met(required, zone)) {
            None => Ok(()),
            Some(zone) => Err(status::unusable(&zone)),
        }
    }

    /// A snapshot may be there, or on its way: whatever the look at its zone meets isn't the end of it.
    pub(super) fn unseen(&self, cloud: &Volumes, error: Error) -> Status {
        self.clouds.told(cloud, Error::new(Condition::Unsettled, error.message))
    }

    /// The snapshots as CSI shows them, with the places from where they can be used.
    pub(super) async fn usable(&self, cloud: &Volumes, saved: &[Saved]) -> volume::Result<Vec<Snapshot>> {
        let topology = &self.settings.topology;
        let zones = match topology.constrains_snapshots() {
            true => cloud.zones_of(saved).await?,
            false => vec![None; saved.len()],
        };
        let shown = saved.iter().zip(zones);
        Ok(shown.map(|(saved, zone)| reply::snapshot(saved, topology.of_snapshot(zone.as_deref()))).collect())
    }

    pub(super) async fn delete_snapshot(
        &self,
        request: DeleteSnapshotRequest,
    ) -> Result<DeleteSnapshotResponse, Status> {
        about("snapshot", &request.snapshot_id);
        if let Some(id) = request::id::<SnapshotId>("snapshot_id", &request.snapshot_id)? {
            let cloud = self.clouds.of_snapshot(&request.secrets, id).await?;
            let _claim = self.locks.claim(format!("snapshot {id}"))?;
            cloud.ensure_snapshot_deleted(id).await.map_err(|error| self.clouds.told(cloud, error))?;
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
                let found = cloud.find_saved(id).await.map_err(|error| self.clouds.told(cloud, error))?;
                let found = found.filter(|saved| source.is_none_or(|source| saved.source() == source));
                let shown = self.usable(cloud, found.as_slice()).await;
                let entries = shown.map_err(|error| self.clouds.told(cloud, error))?.into_iter().map(entry);
                let entries = entries.collect();
                Ok(ListSnapshotsResponse { entries, next_token: String::new() })
            }
            Search::All { source, limit } => self.list_all_snapshots(&request, source, limit).await,
        }
    }

    async fn list_all_snapshots(
        &self,
        request: &ListSnapshotsRequest,
        source: Option<VolumeId>,
        limit: Option<u32>,
    ) -> Result<ListSnapshotsResponse, Status> {
        let clouds = self.clouds.to_list(&request.secrets)?;
        let mut pages = Pages::start(clouds, "snapshots", &request.starting_token, limit)?;
        let mut entries = Vec::new();
        while let Some(turn) = pages.turn() {
            let page = turn.cloud.page_saved(source, Some(turn.limit), turn.after).await;
            let page = page.map_err(|error| self.clouds.told(turn.cloud, error))?;
            let shown = self.usable(turn.cloud, &page.items).await;
            let shown = shown.map_err(|error| self.clouds.told(turn.cloud, error))?;
            entries.extend(shown.into_iter().map(entry));
            pages.took(page.items.len(), page.next);
        }
        Ok(ListSnapshotsResponse { entries, next_token: pages.next_token() })
    }

    pub(super) async fn get_snapshot(
        &self,
        request: GetSnapshotRequest,
    ) -> Result<GetSnapshotResponse, Status> {
        about("snapshot", &request.snapshot_id);
        let id = request::id::<SnapshotId>("snapshot_id", &request.snapshot_id)?;
        let id = id.ok_or_else(|| status::unknown("snapshot", &request.snapshot_id))?;
        let cloud = self.clouds.of_snapshot(&request.secrets, id).await?;
        let saved = cloud.get_saved(id).await.map_err(|error| self.clouds.told(cloud, error))?;
        let shown = self.usable(cloud, &[saved]).await.map_err(|error| self.clouds.told(cloud, error))?;
        Ok(GetSnapshotResponse { snapshot: shown.into_iter().next() })
    }
}

fn entry(snapshot: Snapshot) -> Entry {
    Entry { snapshot: Some(snapshot) }
}
