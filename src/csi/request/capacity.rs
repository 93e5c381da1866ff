//! GetCapacity becomes a demand.

use tonic::Status;

use super::access::{self, Access};
use super::parameters::zone_map;
use crate::csi::proto::{GetCapacityRequest, TopologyRequirement};
use crate::csi::topology::Topology;
use crate::volume::{Demand, ZoneChoice};

/// StorageClass parameters, as CreateVolume has them.
const TYPE: &str = "type";
const AVAILABILITY: &str = "availability";

/// The demand; `None` where nothing could be made for it, however much room there is.
pub fn capacity(request: &GetCapacityRequest, topology: &Topology) -> Result<Option<Demand>, Status> {
    let parameter =
        |key: &str| request.parameters.get(key).map(String::as_str).filter(|value| !value.is_empty());
    let accesses = match request.volume_capabilities.as_slice() {
        [] => Vec::new(),
        capabilities => match access::judged(capabilities)? {
            Ok(accesses) => accesses,
            Err(_) => return Ok(None),
        },
    };
    let segment = request.accessible_topology.clone();
    let segment =
        segment.map(|segment| TopologyRequirement { requisite: vec![segment], preferred: Vec::new() });
    let topology = topology.mapped(&zone_map(&request.parameters)?);
    let zones = match (parameter(AVAILABILITY), topology.zones(None, segment.as_ref())) {
        (Some(zone), ZoneChoice::OneOf(reached)) if !reached.iter().any(|reached| reached == zone) => {
            return Ok(None);
        }
        (Some(zone), _) => vec![zone.to_owned()],
        (None, ZoneChoice::OneOf(reached)) => reached,
        (None, ZoneChoice::Any | ZoneChoice::Rather(_)) => Vec::new(),
    };
    let volume_type = parameter(TYPE).map(str::to_owned);
    Ok(Some(Demand { volume_type, zones, multiattach: accesses.iter().any(Access::is_multi_node) }))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::csi::proto;
    use crate::csi::proto::VolumeCapability;
    use crate::csi::proto::volume_capability::access_mode::Mode;
    use crate::csi::proto::volume_capability::{AccessMode, AccessType, BlockVolume, MountVolume};
    use crate::csi::topology::ZONE;

    fn request(parameters: &[(&str, &str)], zone: Option<&str>) -> GetCapacityRequest {
        let owned = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect::<HashMap<_, _>>()
        };
        GetCapacityRequest {
            parameters: owned(parameters),
            accessible_topology: zone.map(|zone| proto::Topology { segments: owned(&[(ZONE, zone)]) }),
            ..GetCapacityRequest::default()
        }
    }

    fn asked(request: &GetCapacityRequest) -> Option<Demand> {
        capacity(request, &Topology { enabled: true, ..Topology::default() }).unwrap()
    }

    #[test]
    fn a_segment_and_a_class_make_a_demand() {
        let demand = |zones: &[&str]| {
            Some(Demand { zones: zones.iter().map(|zone| (*zone).to_owned()).collect(), ..Demand::default() })
        };
        assert_eq!(asked(&request(&[], None)), demand(&[]));
        assert_eq!(asked(&request(&[], Some("az1"))), demand(&["az1"]));
        assert_eq!(asked(&request(&[("availability", "az1")], Some("az1"))), demand(&["az1"]));
        assert_eq!(asked(&request(&[("availability", "az1")], None)), demand(&["az1"]));
        assert_eq!(asked(&request(&[("type", "")], None)), demand(&[]));
        let typed = Demand { volume_type: Some("fast".to_owned()), ..Demand::default() };
        assert_eq!(asked(&request(&[("type", "fast")], None)), Some(typed));
        // A volume in the class's zone can't be reached from another one.
        assert_eq!(asked(&request(&[("availability", "az2")], Some("az1"))), None);
        let ignoring = Topology { enabled: true, ignore_volume_zone: true, ..Topology::default() };
        let request = request(&[("availability", "az2")], Some("az1"));
        assert_eq!(capacity(&request, &ignoring).unwrap(), demand(&["az2"]));
    }

    #[test]
    fn there_is_no_room_for_what_is_not_served() {
        let with = |access_type| {
            let access_mode = Some(AccessMode { mode: Mode::MultiNodeMultiWriter as i32 });
            let capability = VolumeCapability { access_mode, access_type: Some(access_type) };
            GetCapacityRequest { volume_capabilities: vec![capability], ..GetCapacityRequest::default() }
        };
        assert!(asked(&with(AccessType::Block(BlockVolume {}))).unwrap().multiattach);
        assert_eq!(asked(&with(AccessType::Mount(MountVolume::default()))), None);
    }
}
