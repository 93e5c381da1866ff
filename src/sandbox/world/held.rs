//! What the project has, as the cloud itself knows it: no list lags, no fault blurs it.

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
    /// The servers that Cinder or Nova says have it or are about to, each once.
    pub servers: Vec<String>,
}

impl World {
    pub fn held_volumes(&self) -> Vec<Held> {
        self.volumes.values().map(|volume| self.held_volume(volume)).collect()
    }

    pub fn held_snapshots(&self) -> Vec<Held> {
        self.snapshots.values().map(held_snapshot).collect()
    }

    fn held_volume(&self, volume: &Volume) -> Held {
        let entries = volume.attachments.iter().map(|held| held.server.clone());
        let has_row = |id: &str| self.servers[id].rows.iter().any(|row| row.volume == volume.id);
        let mut servers: Vec<_> =
            entries.chain(self.servers.keys().filter(|id| has_row(id)).cloned()).collect();
        servers.sort();
        servers.dedup();
        Held {
            id: volume.id.clone(),
            name: volume.name.clone().unwrap_or_default(),
            status: volume.status.clone(),
            gigabytes: volume.size,
            metadata: words(&volume.metadata),
            servers,
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
        servers: Vec::new(),
    }
}

fn words(metadata: &serde_json::Map<String, serde_json::Value>) -> Vec<(String, String)> {
    metadata.iter().map(|(key, value)| (key.clone(), value.to_string())).collect()
}
