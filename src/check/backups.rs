//! Whether somebody makes backups.

use super::Row;
use crate::openstack::BackupService;

const CHECK: &str = "backups";

/// `services`: `None` where only an administrator is told. `made`: the project has a backup.
pub fn row(services: Option<&[BackupService]>, made: bool) -> Row {
    match services {
        Some([]) => Row::warning(
            CHECK,
            "the cloud has no backup service",
            "don't use a VolumeSnapshotClass with type: backup: its snapshots would fail",
        ),
        Some(services) => {
            let told = |service: &BackupService| {
                format!("{} in {} ({}, {})", service.host, service.zone, service.status, service.state)
            };
            let found = services.iter().map(told).collect::<Vec<_>>().join(", ");
            match services.iter().any(BackupService::is_working) {
                true => Row::ok(CHECK, found),
                false => Row::warning(CHECK, found, "start cinder-backup, or don't use type: backup"),
            }
        }
        None if made => Row::ok(CHECK, "the project has a backup, so the cloud makes them"),
        None => Row::unknown(
            CHECK,
            "only an administrator is told whether the cloud has a backup service, and the project has no backup yet",
            "before you use a VolumeSnapshotClass with type: backup, ask, or make one (openstack volume backup create)",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;

    #[test]
    fn only_an_administrator_or_a_backup_tells() {
        let service = |status: &str, state: &str| BackupService {
            host: "lab".into(),
            zone: "az1".into(),
            status: status.into(),
            state: state.into(),
        };
        let (up, down) = (service("enabled", "up"), service("enabled", "down"));
        for (services, made, verdict) in [
            (Some(vec![up.clone(), down.clone()]), false, Verdict::Ok),
            (Some(vec![down]), true, Verdict::Warning),
            (Some(vec![service("disabled", "up")]), false, Verdict::Warning),
            (Some(vec![]), false, Verdict::Warning),
            (None, true, Verdict::Ok),
            (None, false, Verdict::Unknown),
        ] {
            assert_eq!(row(services.as_deref(), made).verdict, verdict, "{services:?}");
        }
    }
}
