//! New volumes that have come to rest, and whether another one has come under the name of each: one list tells it of all.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, SystemTime};

use super::{Ask, Interest};
use crate::openstack::{Volume, VolumeId, VolumeName};
use crate::volume::namesakes::plan::is_being_made;

/// The list of what was created in a longer time would be long.
const LONGEST_SPAN: Duration = Duration::from_secs(600);

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Newcomer {
    name: String,
    from: SystemTime,
}

#[derive(Debug, Default)]
pub struct Newcomers(BTreeMap<VolumeId, Newcomer>);

impl Newcomers {
    /// Those of the asks that this list of changes shows at rest.
    pub fn of<'a>(
        asks: impl IntoIterator<Item = &'a Ask>,
        shown: &BTreeMap<VolumeId, Volume>,
        now: SystemTime,
    ) -> Self {
        let earliest = now - LONGEST_SPAN;
        let newcomer = |ask: &Ask| match &ask.interest {
            Interest::New { name, id, from } if *from >= earliest => {
                shown.get(id).filter(|one| !is_being_made(*one))?;
                Some((*id, Newcomer { name: name.clone(), from: *from }))
            }
            _ => None,
        };
        Self(asks.into_iter().filter_map(newcomer).collect())
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// From when on another one of their names may have been created.
    pub fn from(&self) -> Option<SystemTime> {
        self.0.values().map(|newcomer| newcomer.from).min()
    }

    pub fn has(&self, ask: &Ask) -> bool {
        matches!(&ask.interest, Interest::New { id, .. } if self.0.contains_key(id))
    }

    /// Those that are on the list, with no other one of their name.
    pub fn alone(&self, listed: &[VolumeName]) -> BTreeSet<VolumeId> {
        let mut by_name: HashMap<&str, Vec<VolumeId>> = HashMap::new();
        for one in listed {
            by_name.entry(&one.name).or_default().push(one.id);
        }
        let is_alone = |id: VolumeId, name: &str| by_name.get(name).is_some_and(|ids| *ids == [id]);
        let newcomers = self.0.iter().filter(|(id, newcomer)| is_alone(**id, &newcomer.name));
        newcomers.map(|(id, _)| *id).collect()
    }
}

#[cfg(test)]
mod tests;
