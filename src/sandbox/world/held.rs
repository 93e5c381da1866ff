//! What the project has, as the cloud itself knows it: no list lags, no fault blurs it.

use std::fmt;

use super::{Snapshot, Volume, World};

/// A volume or a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub id: String,
    pub name: String,
    pub status: String,
    pub gigabytes: u64,
    /// Key and value.
    pub metadata: Vec<(String, String)>,
    /// The servers that Cinder has an entry of, also where the attach is still under way.
    pub entries: Vec<String>,
    /// The servers that Nova has a row of it for.
    pub rows: Vec<String>,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Held { id, name, status, gigabytes, entries, rows, .. } = self;
        write!(
            f,
            "{name} ({id}): {status}, {gigabytes} GiB, Cinder's entries {entries:?}, Nova's rows {rows:?}"
        )
    }
}

impl World {
    pub fn held_volumes(&self) -> Vec<Held> {
        self.volumes.values().map(|volume| self.held_volume(volume)).collect()
    }

    pub fn held_snapshots(&self) -> Vec<Held> {
        self.snapshots.values().map(held_snapshot).collect()
    }

    fn held_volume(&self, volume: &Volume) -> Held {
        let has_row = |id: &&String| self.servers[*id].rows.iter().any(|row| row.volume == volume.id);
        Held {
            id: volume.id.clone(),
            name: volume.name.clone().unwrap_or_default(),
            status: volume.status.clone(),
            gigabytes: volume.size,
            metadata: words(&volume.metadata),
            entries: volume.attachments.iter().map(|held| held.server.clone()).collect(),
            rows: self.servers.keys().filter(has_row).cloned().collect(),
        }
    }
}

fn held_snapshot(snapshot: &Snapshot) -> Held {
    Held {
        id: snapshot.id.clone(),
        name: snapshot.name.clone().unwrap_or_default(),
        status: snapshot.status.clone(),
        gigabytes: snapshot.size,
        metadata: words(&snapshot.metadata),
        entries: Vec::new(),
        rows: Vec::new(),
    }
}

fn words(metadata: &serde_json::Map<String, serde_json::Value>) -> Vec<(String, String)> {
    metadata.iter().map(|(key, value)| (key.clone(), value.to_string())).collect()
}
