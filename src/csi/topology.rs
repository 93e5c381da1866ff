//! Zones as CSI has them.

mod zone_map;

use std::collections::BTreeMap;

use super::proto;
use crate::volume::ZoneChoice;
pub use zone_map::ZoneMap;

/// The key of a zone: the existing driver's, because every PV's node affinity carries it.
pub const ZONE: &str = "topology.cinder.csi.openstack.org/zone";

/// What this process says and asks about zones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// `--with-topology`.
    pub enabled: bool,
    /// `--additional-topology`: segments of every node.
    pub additional: BTreeMap<String, String>,
    /// `ignore-volume-az`: servers reach the volumes of every zone, or Cinder's zones have other names than Nova's.
    pub ignore_volume_zone: bool,
    /// `az-map`: which of Cinder's zones is for which of Nova's.
    pub zone_map: ZoneMap,
}

impl Topology {
    /// As this, with the map of a StorageClass over that of the settings.
    pub fn mapped(&self, over: &ZoneMap) -> Self {
        Self { zone_map: self.zone_map.under(over), ..self.clone() }
    }

    /// The zones that a new volume may be in: a StorageClass's own, else those for the nodes, the preferred ones first.
    pub fn zones(
        &self,
        availability: Option<&str>,
        required: Option<&proto::TopologyRequirement>,
    ) -> ZoneChoice {
        if let Some(zone) = availability {
            return ZoneChoice::OneOf(vec![zone.to_owned()]);
        }
        let required = required.filter(|_| self.enabled);
        let terms =
            required.into_iter().flat_map(|required| required.preferred.iter().chain(&required.requisite));
        let mut zones: Vec<String> = Vec::new();
        for zone in terms.filter_map(|term| term.segments.get(ZONE)) {
            let zone = self.zone_map.of_server(zone);
            if !zones.iter().any(|known| known == zone) {
                zones.push(zone.to_owned());
            }
        }
        match zones.is_empty() {
            true => ZoneChoice::Any,
            false if self.ignore_volume_zone => ZoneChoice::Rather(zones),
            false => ZoneChoice::OneOf(zones),
        }
    }

    /// From where a volume can be reached.
    pub fn of_volume(
        &self,
        zone: Option<&str>,
        required: Option<&proto::TopologyRequirement>,
    ) -> Vec<proto::Topology> {
        if !self.enabled {
            return Vec::new();
        }
        if self.ignore_volume_zone {
            return required.map(|required| required.preferred.clone()).unwrap_or_default();
        }
        let zones = zone.map(|zone| self.zone_map.of_volume(zone)).unwrap_or_default();
        let term = |zone| proto::Topology { segments: [(ZONE.to_owned(), zone)].into() };
        zones.into_iter().map(term).collect()
    }

    /// From where the volumes that are made of a snapshot in this zone can be reached. A backup has no zone: from
    /// everywhere, which CSI says by saying nothing.
    pub fn of_snapshot(&self, zone: Option<&str>) -> Vec<proto::Topology> {
        if self.ignore_volume_zone { Vec::new() } else { self.of_volume(zone, None) }
    }

    /// Whether one of the required places reaches the volumes of this zone.
    pub fn is_met(&self, required: &proto::TopologyRequirement, zone: &str) -> bool {
        let reached = |term: &proto::Topology| {
            term.segments.get(ZONE).is_none_or(|place| self.zone_map.of_server(place) == zone)
        };
        let mut terms = required.requisite.iter().peekable();
        terms.peek().is_none() || terms.any(reached)
    }

    /// Whether snapshots say from where they can be used.
    pub fn constrains_snapshots(&self) -> bool {
        self.enabled && !self.ignore_volume_zone
    }

    /// Where a node is.
    pub fn of_node(&self, zone: Option<&str>) -> Option<proto::Topology> {
        if !self.enabled {
            return None;
        }
        let zone = zone.map(|zone| (ZONE.to_owned(), zone.to_owned()));
        Some(proto::Topology { segments: self.additional.clone().into_iter().chain(zone).collect() })
    }
}

#[cfg(test)]
mod tests;
