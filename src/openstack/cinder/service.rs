//! Cinder's own processes, of which only an administrator is told.
//!
//! <https://docs.openstack.org/api-ref/block-storage/v3/#services-os-services>

use serde::Deserialize;

use super::super::{Kind, Result};
use super::{BackupStatus, Cinder, Id, get};

/// A process that makes backups.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct BackupService {
    pub host: String,
    pub zone: String,
    /// `enabled` or `disabled`: what the operator wants.
    pub status: String,
    /// `up` or `down`: whether it has been heard of lately.
    pub state: String,
}

#[derive(Deserialize)]
struct Services {
    services: Vec<BackupService>,
}

#[derive(Deserialize)]
struct Backups {
    backups: Vec<Id<String>>,
}

impl BackupService {
    pub fn is_working(&self) -> bool {
        self.status == "enabled" && self.state == "up"
    }
}

impl Cinder {
    /// GET /os-services?binary=cinder-backup. `None`: by Cinder's default policy only an administrator is told.
    pub async fn find_backup_services(&self) -> Result<Option<Vec<BackupService>>> {
        let request = get("list the backup services", &["os-services"]).query("binary", "cinder-backup");
        match self.call(request).await {
            Ok(answer) => Ok(Some(answer.json::<Services>()?.services)),
            Err(error) if matches!(error.kind, Kind::Forbidden | Kind::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// GET /backups?status=available&limit=1: whether the project has a backup that was made to its end.
    pub async fn has_backups(&self) -> Result<bool> {
        let request = get("look for backups", &["backups"]);
        let request = request.query("status", BackupStatus::Available).query("limit", 1);
        Ok(!self.call(request).await?.json::<Backups>()?.backups.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::openstack::recorded::{Recorded, Reply};

    const SERVICES: &str = "GET /volume/v3/p/os-services";
    const BACKUPS: &str = "GET /volume/v3/p/backups";

    #[tokio::test(start_paused = true)]
    async fn an_administrator_is_told_of_services_and_a_tenant_only_of_backups() {
        let cloud = Recorded::default();
        let service = |state: &str| {
            json!({"binary": "cinder-backup", "host": "lab", "zone": "az1", "status": "enabled", "state": state,
                "updated_at": "2026-01-01T00:00:00.000000", "disabled_reason": null})
        };
        let all = json!({"services": [service("up"), service("down")]});
        cloud
            .on(SERVICES, [Reply::json(200, all), Reply::json(403, json!({"forbidden": {"message": "no"}}))]);
        cloud.on(BACKUPS, [Reply::json(200, json!({"backups": [{"id": "b", "name": null}]}))]);
        let cinder = cloud.cloud().cinder;
        let told = cinder.find_backup_services().await.unwrap().unwrap();
        assert_eq!(told.iter().map(BackupService::is_working).collect::<Vec<_>>(), [true, false]);
        assert_eq!(cloud.seen(SERVICES)[0].query, "binary=cinder-backup");
        assert_eq!(cinder.find_backup_services().await.unwrap(), None);
        assert!(cinder.has_backups().await.unwrap());
        assert_eq!(cloud.seen(BACKUPS)[0].query, "status=available&limit=1");
    }
}
