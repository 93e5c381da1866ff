//! In which zones snapshots are: Cinder shows no zone of theirs, and copies them where their volume is.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::time::Instant;

use super::Saved;
use crate::openstack::{self, Placed, Search};
use crate::volume::{Error, Result, VolumeId, Volumes};

/// Only an administrator moves a volume to another zone.
const KEPT: Duration = Duration::from_secs(600);
/// Up to so many volumes, a GET each costs the cloud less than lists of all.
const FEW: usize = 8;
/// As many as a large project has; what is known of more isn't worth its memory.
const MOST: usize = 20_000;

/// The zones of volumes, as far as they were asked for. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Known(Arc<Mutex<Zones>>);

type Zones = HashMap<VolumeId, Learnt>;

#[derive(Clone, Debug)]
struct Learnt {
    when: Instant,
    zone: Option<String>,
}

impl Volumes {
    /// The zone of each, in their order. A backup has none: it can be restored anywhere.
    pub async fn zones_of(&self, saved: &[Saved]) -> Result<Vec<Option<String>>> {
        let volume = |saved: &Saved| match saved {
            Saved::Snapshot(snapshot) => Some(snapshot.volume_id),
            Saved::Backup(_) => None,
        };
        let volumes: BTreeSet<_> = saved.iter().filter_map(volume).collect();
        self.learn_zones(volumes).await.map_err(Error::reading)?;
        let known = self.known_zones.lock();
        let zone = |id| known.get(&id).and_then(|learnt| learnt.zone.clone());
        Ok(saved.iter().map(|saved| volume(saved).and_then(zone)).collect())
    }

    /// The zone of one volume; `None` where there is no such volume, too.
    pub async fn zone_of(&self, id: VolumeId) -> Result<Option<String>> {
        self.learn_zones([id].into()).await.map_err(Error::reading)?;
        Ok(self.known_zones.lock().get(&id).and_then(|learnt| learnt.zone.clone()))
    }

    async fn learn_zones(&self, volumes: BTreeSet<VolumeId>) -> openstack::Result<()> {
        let unknown = self.known_zones.unknown(volumes);
        if unknown.len() <= FEW {
            let asked = unknown.into_iter().map(|id| async move {
                let zone = self.cinder.find_volume(id).await?.and_then(|volume| volume.availability_zone);
                Ok(Placed { id, availability_zone: zone })
            });
            self.known_zones.learn(try_join_all(asked).await?);
            return Ok(());
        }
        let mut search = Search::default();
        loop {
            let page = self.cinder.list_volumes::<Placed>(&search).await?;
            self.known_zones.learn(page.volumes);
            search.after = page.next;
            if page.next.is_none() {
                return Ok(());
            }
        }
    }
}

impl Known {
    fn lock(&self) -> MutexGuard<'_, Zones> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unknown(&self, volumes: BTreeSet<VolumeId>) -> Vec<VolumeId> {
        let mut known = self.lock();
        if known.len() > MOST {
            known.clear();
        }
        let is_known = |id: &VolumeId| known.get(id).is_some_and(|learnt| learnt.when.elapsed() < KEPT);
        volumes.into_iter().filter(|id| !is_known(id)).collect()
    }

    fn learn(&self, placed: impl IntoIterator<Item = Placed>) {
        let when = Instant::now();
        let learnt = |one: Placed| (one.id, Learnt { when, zone: one.availability_zone });
        self.lock().extend(placed.into_iter().map(learnt));
    }
}
