//! Which of the configured clouds a call is for.

use std::collections::{BTreeMap, HashMap};

use tonic::Status;

use super::{request, status};
use crate::volume::{SnapshotId, VolumeId, Volumes};

/// The clouds by name; the unnamed one is `""`.
#[derive(Clone, Debug)]
pub struct Clouds {
    by_name: BTreeMap<String, Volumes>,
}

impl Clouds {
    pub fn new(by_name: BTreeMap<String, Volumes>) -> Self {
        Self { by_name }
    }

    /// For what is to be made: the one that the caller's secrets name.
    pub fn of_new(&self, secrets: &HashMap<String, String>) -> Result<&Volumes, Status> {
        let name = request::cloud(secrets);
        self.by_name.get(name).ok_or_else(|| {
            let known: Vec<_> = self.by_name.keys().map(|name| format!("{name:?}")).collect();
            status::invalid(
                "secrets.cloud",
                format!("cloud {name:?} isn't configured; configured: {}", known.join(", ")),
            )
        })
    }

    /// The one that has this volume.
    pub async fn of_volume(
        &self,
        secrets: &HashMap<String, String>,
        _: VolumeId,
    ) -> Result<&Volumes, Status> {
        self.of_new(secrets)
    }

    /// The one that has this snapshot or backup.
    pub async fn of_snapshot(
        &self,
        secrets: &HashMap<String, String>,
        _: SnapshotId,
    ) -> Result<&Volumes, Status> {
        self.of_new(secrets)
    }
}
