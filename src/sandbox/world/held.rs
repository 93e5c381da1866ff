//! What the project has, as the cloud itself knows it: no list lags, no fault blurs it.

use std::fmt;

use serde_json::{Map, Value};

use super::{Backup, Group, GroupSnapshot, Snapshot, Volume, World};

/// A volume, a snapshot, a backup, a group or a group snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub id: String,
    pub name: String,
    pub status: String,
    pub gigabytes: u64,
    /// The volume type's name; backups have none.
    pub kind: String,
    /// Key and value.
    pub metadata: Vec<(String, String)>,
    /// The servers that Cinder has an entry of, also where the attach is still under way.
    pub entries: Vec<String>,
    /// The servers that Nova has a row of it for.
    pub rows: Vec<String>,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Held { id, name, status, gigabytes, kind, entries, rows, .. } = self;
        write!(
            f,
            "{name} ({id}): {status}, {gigabytes} GiB, {kind}, Cinder's entries {entries:?}, Nova's rows {rows:?}"
        )
    }
}

impl World {
    pub fn held_volumes(&self) -> Vec<Held> {
        self.volumes.values().map(|volume| self.shown(volume)).collect()
    }

    pub fn held_volume(&self, id: &str) -> Option<Held> {
        self.volumes.get(id).map(|volume| self.shown(volume))
    }

    pub fn held_snapshots(&self) -> Vec<Held> {
        let held = |Snapshot { id, name, status, size, kind, metadata, .. }: &Snapshot| Held {
            kind: kind.clone(),
            ..held(id, name.as_deref(), status, *size, metadata)
        };
        self.snapshots.values().map(held).collect()
    }

    pub fn held_backups(&self) -> Vec<Held> {
        let held = |Backup { id, name, status, size, metadata, .. }: &Backup| {
            held(id, name.as_deref(), status, *size, metadata)
        };
        self.backups.values().map(held).collect()
    }

    /// The groups, then the group snapshots.
    pub fn held_groups(&self) -> Vec<Held> {
        let nothing = Map::new();
        let group = |Group { id, name, status, .. }: &Group| held(id, name.as_deref(), status, 0, &nothing);
        let cut = |GroupSnapshot { id, name, status, .. }: &GroupSnapshot| {
            held(id, name.as_deref(), status, 0, &nothing)
        };
        self.groups.values().map(group).chain(self.group_snapshots.values().map(cut)).collect()
    }

    fn shown(&self, volume: &Volume) -> Held {
        let Volume { id, name, status, size, kind, metadata, .. } = volume;
        let has_row = |server: &&String| self.servers[*server].rows.iter().any(|row| row.volume == *id);
        Held {
            kind: kind.clone(),
            entries: volume.attachments.iter().map(|held| held.server.clone()).collect(),
            rows: self.servers.keys().filter(has_row).cloned().collect(),
            ..held(id, name.as_deref(), status, *size, metadata)
        }
    }
}

/// On no server, and of no type.
fn held(id: &str, name: Option<&str>, status: &str, gigabytes: u64, metadata: &Map<String, Value>) -> Held {
    Held {
        id: id.to_owned(),
        name: name.unwrap_or_default().to_owned(),
        status: status.to_owned(),
        gigabytes,
        kind: String::new(),
        metadata: metadata.iter().map(|(key, value)| (key.clone(), value.to_string())).collect(),
        entries: Vec::new(),
        rows: Vec::new(),
    }
}
