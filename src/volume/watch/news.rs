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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::sample::{id, volume};

    fn named(name: &str, number: u128, status: Status) -> Volume {
        Volume { name: name.to_owned(), ..volume(status).with_id(number) }
    }

    #[test]
    fn a_name_has_news_once_its_volume_is_made_or_another_one_has_it() {
        let creating = || named("pvc-1", 1, Status::Creating);
        let table = [
            (vec![], None),
            (vec![creating()], None),
            (vec![creating(), named("pvc-2", 2, Status::Available)], None),
            (vec![named("pvc-1", 1, Status::Available)], Some(vec![1])),
            (vec![named("pvc-1", 1, Status::Error)], Some(vec![1])),
            (vec![creating(), named("pvc-1", 2, Status::Creating)], Some(vec![1, 2])),
            (vec![named("pvc-1", 2, Status::Creating)], Some(vec![2])),
        ];
        for (listed, want) in table {
            let told = match News::new(listed.clone()).of_name("pvc-1", Some(id(1))) {
                Some(Seen::Created(volumes)) => Some(volumes.iter().map(|one| one.id).collect::<Vec<_>>()),
                _ => None,
            };
            assert_eq!(told, want.map(|ids| ids.into_iter().map(id).collect()), "{listed:?}");
        }
    }
}
