//! Metadata of volumes and snapshots, and how it changes.

use serde_json::{Map, Value};

use super::{Refusal, World};

pub(in crate::sandbox) enum Change {
    Extend(Map<String, Value>),
    Replace(Map<String, Value>),
    Remove(String),
}

impl Change {
    fn apply(self, metadata: &mut Map<String, Value>) {
        match self {
            Change::Extend(given) => metadata.extend(given),
            Change::Replace(given) => *metadata = given,
            Change::Remove(key) => _ = metadata.remove(&key),
        }
    }
}

impl World {
    /// Cinder moves `updated_at` with it.
    pub fn change_metadata(
        &mut self,
        project: &str,
        id: &str,
        change: Change,
    ) -> Result<Map<String, Value>, Refusal> {
        let now = self.now();
        let volume = self.volume_mut(project, id)?;
        if matches!(volume.status.as_str(), "maintenance" | "uploading") {
            let verb = if matches!(change, Change::Remove(_)) { "Deleting" } else { "Updating" };
            return Err(Refusal::invalid_volume(format!(
                "{verb} volume metadata is not allowed for volumes in {} status.",
                volume.status
            )));
        }
        change.apply(&mut volume.metadata);
        volume.updated = Some(now);
        Ok(volume.metadata.clone())
    }

    pub fn change_snapshot_metadata(
        &mut self,
        project: &str,
        id: &str,
        change: Change,
    ) -> Result<Map<String, Value>, Refusal> {
        let now = self.now();
        let snapshot = self.snapshot_mut(project, id)?;
        // A key that goes leaves `updated_at` as it is.
        if !matches!(change, Change::Remove(_)) {
            snapshot.updated = Some(now);
        }
        change.apply(&mut snapshot.metadata);
        Ok(snapshot.metadata.clone())
    }
}
