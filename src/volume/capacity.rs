//! How much room is left for volumes of one kind.
//!
//! A tenant isn't told what Cinder's backends have: its quota is what it can rely on.

use super::{Error, Result, Volumes};
use crate::openstack::Supply;

/// Cinder keeps a size in a signed 32-bit integer of GiB (`MAX_INT` in cinder/db/constants.py).
const LARGEST: u64 = i32::MAX as u64;
/// What an orchestrator's 64 bits of bytes can hold, in GiB.
const UNLIMITED: u64 = (i64::MAX as u64) / super::GIB;

/// For what kind of volumes there should be room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// By name or id; the cloud's default where none is named.
    pub volume_type: Option<String>,
    /// In one of these zones; anywhere where there are none.
    pub zones: Vec<String>,
    /// Whether more than one server must be able to use it.
    pub multiattach: bool,
}

/// GiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    pub available: u64,
    /// Of one volume.
    pub largest: u64,
}

impl Volumes {
    /// The room that the project has left, some seconds old at most.
    pub async fn room(&self, demand: &Demand) -> Result<Room> {
        if !self.has_zone(&demand.zones).await? {
            return Ok(Room::default());
        }
        let supply = self.cinder.supply().await.map_err(Error::reading)?;
        Ok(room(&supply, demand))
    }

    async fn has_zone(&self, zones: &[String]) -> Result<bool> {
        if zones.is_empty() {
            return Ok(true);
        }
        let any = |names: &[String]| zones.iter().any(|zone| names.contains(zone));
        Ok(any(self.zones().await?.names()) || any(self.zones_anew().await?.names()))
    }
}

fn room(supply: &Supply, demand: &Demand) -> Room {
    let kind = supply.volume_type(demand.volume_type.as_deref());
    if kind.is_none() && demand.volume_type.is_some() {
        return Room::default();
    }
    let shares = !demand.multiattach || kind.is_some_and(|kind| kind.is_multiattach());
    let zones = kind.and_then(|kind| kind.zones());
    let in_zone = demand.zones.is_empty()
        || zones.is_none_or(|allowed| demand.zones.iter().any(|zone| allowed.contains(&zone.as_str())));
    if !shares || !in_zone {
        return Room::default();
    }
    let quotas = supply.quotas();
    let (volumes, gigabytes) = kind.map(|kind| quotas.of_type(&kind.name)).unwrap_or_default();
    if quotas.volumes.left() == Some(0) || volumes.left() == Some(0) {
        return Room::default();
    }
    let left = [quotas.gigabytes.left(), gigabytes.left()].into_iter().flatten().min();
    let available = left.unwrap_or(UNLIMITED).min(UNLIMITED);
    Room { available, largest: available.min(quotas.largest_volume.unwrap_or(LARGEST)).min(LARGEST) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openstack::{Quota, Quotas, VolumeType};

    fn kind(name: &str, extra_specs: &[(&str, &str)]) -> VolumeType {
        let owned = extra_specs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        VolumeType { id: format!("{name}-id"), name: name.to_owned(), extra_specs: owned.collect() }
    }

    fn quota(limit: u64, used: u64) -> Quota {
        Quota { limit: Some(limit), used }
    }

    fn quotas() -> Quotas {
        let of_types = [("gigabytes_fast", quota(30, 25)), ("volumes_full", quota(2, 2))];
        let of_types = of_types.map(|(name, quota)| (name.to_owned(), quota)).into();
        Quotas { volumes: quota(10, 3), gigabytes: quota(100, 40), largest_volume: None, of_types }
    }

    fn supply(quotas: Quotas) -> Supply {
        let types = vec![
            kind("slow", &[]),
            kind("fast", &[]),
            kind("full", &[]),
            kind("shared", &[("multiattach", "<is> True")]),
            kind("local", &[("RESKEY:availability_zones", "az2,az3")]),
        ];
        let default = types.first().cloned();
        Supply::of(quotas, types, default)
    }

    fn of_type(name: &str) -> Demand {
        Demand { volume_type: Some(name.to_owned()), ..Demand::default() }
    }

    fn in_zone(zone: &str, demand: Demand) -> Demand {
        Demand { zones: vec![zone.to_owned()], ..demand }
    }

    #[tokio::test]
    async fn the_narrowest_limit_is_the_room() {
        let shared = |demand| Demand { multiattach: true, ..demand };
        for (demand, available) in [
            (Demand::default(), 60),
            (of_type("slow"), 60),
            (of_type("fast"), 5),
            (of_type("fast-id"), 5),
            (of_type("full"), 0),
            (of_type("nobody's"), 0),
            (shared(of_type("shared")), 60),
            (shared(of_type("slow")), 0),
            (shared(Demand::default()), 0),
            (in_zone("az1", of_type("slow")), 60),
            (in_zone("az1", of_type("local")), 0),
            (in_zone("az3", of_type("local")), 60),
        ] {
            let found = room(&supply(quotas()), &demand);
            assert_eq!(found, Room { available, largest: available }, "{demand:?}");
        }
    }

    #[tokio::test]
    async fn a_project_over_its_quota_has_none_left_and_one_without_has_all() {
        let with = |change: fn(&mut Quotas)| {
            let mut quotas = quotas();
            change(&mut quotas);
            let found = room(&supply(quotas), &Demand::default());
            (found.available, found.largest)
        };
        assert_eq!(with(|quotas| quotas.volumes = quota(3, 3)), (0, 0));
        assert_eq!(with(|quotas| quotas.gigabytes = quota(10, 40)), (0, 0));
        assert_eq!(with(|quotas| quotas.largest_volume = Some(7)), (60, 7));
        assert_eq!(with(|quotas| quotas.largest_volume = Some(70)), (60, 60));
        assert_eq!(with(|quotas| quotas.gigabytes = Quota::default()), (UNLIMITED, LARGEST));
        let unlimited = i64::try_from(UNLIMITED * super::super::GIB);
        assert!(unlimited.is_ok(), "{unlimited:?}");
    }
}
