//! Zones as CSI has them.

use std::collections::{BTreeMap, HashMap};

use super::proto;
use crate::volume::ZoneChoice;

/// The key of a zone: the existing driver's, because every PV's node affinity carries it.
pub const ZONE: &str = "topology.cinder.csi.openstack.org/zone";

/// What this process says and asks about zones.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    /// `--with-topology`.
    pub enabled: bool,
    /// `--additional-topology`: segments of every node.
    pub additional: BTreeMap<String, String>,
    /// `ignore-volume-az`: Cinder's zones have other names than Nova's.
    pub ignore_volume_zone: bool,
}

impl Topology {
    /// The zones that a new volume may be in: a StorageClass's own first, else those of the nodes.
    pub fn zones(
        &self,
        availability: Option<&str>,
        required: Option<&proto::TopologyRequirement>,
    ) -> ZoneChoice {
        if let Some(zone) = availability {
            return ZoneChoice::OneOf(vec![zone.to_owned()]);
        }
        let required = required.filter(|_| self.enabled && !self.ignore_volume_zone);
        let terms =
            required.into_iter().flat_map(|required| required.preferred.iter().chain(&required.requisite));
        let mut zones: Vec<String> = Vec::new();
        for zone in terms.filter_map(|term| term.segments.get(ZONE)) {
            if !zones.contains(zone) {
                zones.push(zone.clone());
            }
        }
        if zones.is_empty() { ZoneChoice::Any } else { ZoneChoice::OneOf(zones) }
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
        let segment = zone.map(|zone| HashMap::from([(ZONE.to_owned(), zone.to_owned())]));
        segment.map(|segments| proto::Topology { segments }).into_iter().collect()
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
mod tests {
    use super::*;

    fn terms(zones: &[&str]) -> Vec<proto::Topology> {
        let segments = |zone: &&str| HashMap::from([(ZONE.to_owned(), (*zone).to_owned())]);
        zones.iter().map(|zone| proto::Topology { segments: segments(zone) }).collect()
    }

    #[test]
    fn a_storage_classes_zone_wins_then_the_preferred_then_the_required() {
        let required =
            proto::TopologyRequirement { requisite: terms(&["a", "b"]), preferred: terms(&["b", "a"]) };
        let topology = Topology { enabled: true, ..Topology::default() };
        let one_of =
            |zones: &[&str]| ZoneChoice::OneOf(zones.iter().map(|zone| (*zone).to_owned()).collect());
        assert_eq!(topology.zones(Some("c"), Some(&required)), one_of(&["c"]));
        assert_eq!(topology.zones(None, Some(&required)), one_of(&["b", "a"]));
        assert_eq!(topology.zones(None, None), ZoneChoice::Any);
        let ignoring = Topology { ignore_volume_zone: true, ..topology.clone() };
        assert_eq!(ignoring.zones(None, Some(&required)), ZoneChoice::Any);
        assert_eq!(ignoring.of_volume(Some("x"), Some(&required)), terms(&["b", "a"]));
        assert_eq!(topology.of_volume(Some("x"), Some(&required)), terms(&["x"]));
        assert_eq!(Topology::default().of_volume(Some("x"), Some(&required)), Vec::new());
    }
}
