//! What tells one cloud from another: its zones, and what it has.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::super::flight::Age;
use super::super::{BackupId, Kind, Result, SnapshotId, zone};
use super::{Cinder, get};
use crate::pace::{self, Deadline};

/// Operators add zones rarely.
const KEPT: Duration = Duration::from_secs(600);
/// A zone that isn't known may be a new one.
const LOOKED_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// Another cloud can go on without this one.
const PATIENCE: Duration = Duration::from_secs(5);

/// The names of Cinder's zones. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Zones {
    names: Arc<[String]>,
    when: Instant,
}

impl Zones {
    pub fn names(&self) -> &[String] {
        &self.names
    }

    fn age(&self) -> Age {
        if self.when.elapsed() < KEPT { Age::Fresh } else { Age::Aging }
    }
}

impl Cinder {
    /// GET /os-availability-zone, kept: what is old is shown while it is asked for anew.
    pub async fn zones(&self) -> Result<Zones> {
        self.zones.get(Zones::age, || self.clone().asked()).await
    }

    /// As [`Self::zones`], asked for again unless that was done just now.
    pub async fn zones_anew(&self) -> Result<Zones> {
        let age =
            |zones: &Zones| if zones.when.elapsed() < LOOKED_AGAIN_AFTER { Age::Fresh } else { Age::Stale };
        self.zones.get(age, || self.clone().asked()).await
    }

    pub(in crate::openstack) fn forget_zones(&self) {
        self.zones.forget(|_| true);
    }

    async fn asked(self) -> Result<Zones> {
        pace::within(Deadline::after(PATIENCE), self.list_zones()).await
    }

    async fn list_zones(&self) -> Result<Zones> {
        let answer = self.call(get("list the zones", &["os-availability-zone"])).await?;
        Ok(Zones { names: zone::names(&answer)?, when: Instant::now() })
    }

    /// GET /snapshots/ID: is it there?
    pub async fn has_snapshot(&self, id: SnapshotId) -> Result<bool> {
        self.has("look for the snapshot", &["snapshots", &id.to_string()]).await
    }

    /// GET /backups/ID: is it there?
    pub async fn has_backup(&self, id: BackupId) -> Result<bool> {
        self.has("look for the backup", &["backups", &id.to_string()]).await
    }

    async fn has(&self, operation: &'static str, path: &[&str]) -> Result<bool> {
        match self.call(get(operation, path)).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind == Kind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}
