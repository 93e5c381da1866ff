//! What a project may have, and what it has: counted as Cinder counts, by the name of the resource.

use std::collections::BTreeMap;

use super::{Refusal, World};

/// What a project may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    pub volumes: usize,
    /// Volumes and snapshots together.
    pub gigabytes: u64,
    /// The size limit of one volume.
    pub per_volume_gigabytes: Option<u64>,
    pub snapshots: usize,
    pub backups: usize,
    pub backup_gigabytes: u64,
    pub groups: usize,
    /// Limits for one volume type, by Cinder's name: `volumes_lab`, `gigabytes_lab`, `snapshots_lab`. Without one
    /// there is no limit.
    pub of_types: BTreeMap<String, u64>,
}

impl Default for Quota {
    fn default() -> Self {
        Self {
            volumes: 1000,
            gigabytes: 20_000,
            per_volume_gigabytes: None,
            snapshots: 1000,
            backups: 10,
            backup_gigabytes: 1000,
            groups: 10,
            of_types: BTreeMap::new(),
        }
    }
}

impl Quota {
    /// As a limit, this is none: Cinder shows -1.
    pub const UNLIMITED: u64 = u64::MAX;

    /// The limit of a resource, by Cinder's name for it.
    pub(in crate::sandbox) fn limit(&self, resource: &str) -> Option<u64> {
        let limit = match resource {
            "volumes" => self.volumes as u64,
            "gigabytes" => self.gigabytes,
            "per_volume_gigabytes" => self.per_volume_gigabytes?,
            "snapshots" => self.snapshots as u64,
            "backups" => self.backups as u64,
            "backup_gigabytes" => self.backup_gigabytes,
            "groups" => self.groups as u64,
            of_type => *self.of_types.get(of_type)?,
        };
        Some(limit).filter(|limit| *limit != Self::UNLIMITED)
    }
}

/// What a project has, by Cinder's name of the resource.
pub(in crate::sandbox) type Usage = BTreeMap<String, u64>;

/// Something that counts: `volumes` and 1, or `gigabytes_lab` and 10.
pub(super) type Charge = Vec<(String, u64)>;

/// What a volume of this type and size counts for.
pub(super) fn of_volume(kind: &str, gigabytes: u64) -> Charge {
    of_kind("volumes", kind, 1).into_iter().chain(of_kind("gigabytes", kind, gigabytes)).collect()
}

pub(super) fn of_growth(kind: &str, gigabytes: u64) -> Charge {
    of_kind("gigabytes", kind, gigabytes).into()
}

pub(super) fn of_snapshot(kind: &str, gigabytes: u64) -> Charge {
    of_kind("snapshots", kind, 1).into_iter().chain(of_kind("gigabytes", kind, gigabytes)).collect()
}

/// One entry for each resource.
pub(super) fn summed(charge: Charge) -> Charge {
    let mut whole = Usage::new();
    for (resource, amount) in charge {
        *whole.entry(resource).or_default() += amount;
    }
    whole.into_iter().collect()
}

fn of_kind(resource: &str, kind: &str, amount: u64) -> [(String, u64); 2] {
    [(resource.to_owned(), amount), (format!("{resource}_{kind}"), amount)]
}

impl World {
    pub fn usage(&self, project: &str, resource: &str) -> u64 {
        self.usages.get(project).and_then(|usage| usage.get(resource)).copied().unwrap_or_default()
    }

    pub fn quota(&self, project: &str) -> &Quota {
        self.identity.project(project).map_or(&self.settings.quota, |project| &project.quota)
    }

    /// Counts the charge against the project, or refuses it whole. `asked`: what the refusal says was asked for.
    pub(super) fn charge(
        &mut self,
        project: &str,
        object: &str,
        asked: u64,
        charge: &Charge,
    ) -> Result<(), Refusal> {
        // A project over several limits hears of the first by name: of the gigabytes before the volumes.
        let mut sorted: Vec<_> = charge.iter().collect();
        sorted.sort();
        for (resource, amount) in sorted {
            let (limit, used) = (self.quota(project).limit(resource), self.usage(project, resource));
            if let Some(limit) = limit.filter(|limit| used + amount > *limit) {
                return Err(over(object, resource, asked, limit, used));
            }
        }
        let usage = self.usages.entry(project.to_owned()).or_default();
        for (resource, amount) in charge {
            *usage.entry(resource.clone()).or_default() += amount;
        }
        Ok(())
    }

    pub(super) fn refund(&mut self, project: &str, charge: &Charge) {
        let usage = self.usages.entry(project.to_owned()).or_default();
        for (resource, amount) in charge {
            let used = usage.entry(resource.clone()).or_default();
            *used = used.saturating_sub(*amount);
        }
    }

    pub(super) fn check_size(&self, project: &str, size: u64) -> Result<(), Refusal> {
        match self.quota(project).limit("per_volume_gigabytes") {
            Some(limit) if size > limit => Err(Refusal::new(
                413,
                format!(
                    "VolumeSizeExceedsLimit: Requested volume size {size}G is larger than maximum allowed limit \
                     {limit}G."
                ),
            )),
            _ => Ok(()),
        }
    }
}

fn over(object: &str, resource: &str, asked: u64, limit: u64, used: u64) -> Refusal {
    let message = match (resource.contains("gigabytes"), object) {
        (true, "backups") => format!(
            "VolumeBackupSizeExceedsAvailableQuota: Requested backup exceeds allowed Backup gigabytes quota. \
             Requested {asked}G, quota is {limit}G and {used}G has been consumed."
        ),
        (true, _) => format!(
            "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed {resource} quota. \
             Requested {asked}G, quota is {limit}G and {used}G has been consumed."
        ),
        (false, "volumes") => format!(
            "VolumeLimitExceeded: Maximum number of volumes allowed ({limit}) exceeded for quota '{resource}'."
        ),
        (false, "snapshots") => {
            format!("SnapshotLimitExceeded: Maximum number of snapshots allowed ({limit}) exceeded")
        }
        (false, "backups") => {
            format!("BackupLimitExceeded: Maximum number of backups allowed ({limit}) exceeded")
        }
        (false, _) => format!("GroupLimitExceeded: Maximum number of groups allowed ({limit}) exceeded"),
    };
    Refusal::new(413, message)
}
