//! What one list of volumes tells those who wait.

use std::collections::{BTreeMap, HashMap};

use super::Seen;
use crate::openstack::{Status, Volume, VolumeId};

pub struct News {
    volumes: BTreeMap<VolumeId, Volume>,
    names: HashMap<String, Vec<VolumeId>>,
}

impl News {
    pub fn new(volumes: Vec<Volume>) -> Self {
        let mut names: HashMap<String, Vec<VolumeId>> = HashMap::new();
        for volume in &volumes {
            names.entry(volume.name.clone()).or_default().push(volume.id);
        }
        Self { volumes: volumes.into_iter().map(|volume| (volume.id, volume)).collect(), names }
    }

    pub fn of(&self, id: VolumeId) -> Option<Seen> {
        Some(Seen::Volume(Box::new(self.volumes.get(&id)?.clone())))
    }

    /// All of the name that are on the list; nothing while the only one of them is the followed one and is being made.
    pub fn of_name(&self, name: &str, followed: Option<VolumeId>) -> Option<Seen> {
        let ids = self.names.get(name)?;
        let volumes: Vec<_> = ids.iter().filter_map(|id| self.volumes.get(id)).cloned().collect();
        let is_being_made = |volume: &Volume| {
            Some(volume.id) == followed && matches!(volume.status, Status::Creating | Status::Downloading)
        };
        let is_news = !volumes.iter().all(is_being_made);
        is_news.then_some(Seen::Created(volumes))
    }
}
