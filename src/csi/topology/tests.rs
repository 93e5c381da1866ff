use super::*;

fn terms(zones: &[&str]) -> Vec<proto::Topology> {
    zones.iter().map(|zone| term(&[(ZONE, zone)])).collect()
}

fn term(segments: &[(&str, &str)]) -> proto::Topology {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    proto::Topology { segments: segments.iter().map(owned).collect() }
}

fn one_of(zones: &[&str]) -> ZoneChoice {
    ZoneChoice::OneOf(zones.iter().map(|zone| (*zone).to_owned()).collect())
}

fn topology() -> Topology {
    Topology { enabled: true, ..Topology::default() }
}

fn mapping(pairs: &[(&str, &str)]) -> Topology {
    let owned = |(from, to): &(&str, &str)| ((*from).to_owned(), (*to).to_owned());
    topology().mapped(&ZoneMap::new(pairs.iter().map(owned)))
}

#[test]
fn a_storage_classes_zone_wins_then_the_preferred_then_the_required() {
    let required =
        proto::TopologyRequirement { requisite: terms(&["a", "b", "c"]), preferred: terms(&["b", "a"]) };
    let topology = topology();
    assert_eq!(topology.zones(Some("d"), Some(&required)), one_of(&["d"]));
    assert_eq!(topology.zones(None, Some(&required)), one_of(&["b", "a", "c"]));
    assert_eq!(topology.zones(None, None), ZoneChoice::Any);
    let ignoring = Topology { ignore_volume_zone: true, ..topology.clone() };
    let wished = ["b", "a", "c"].map(str::to_owned).to_vec();
    assert_eq!(ignoring.zones(None, Some(&required)), ZoneChoice::Rather(wished));
    assert_eq!(ignoring.of_volume(Some("x"), Some(&required)), terms(&["b", "a"]));
    assert_eq!(topology.of_volume(Some("x"), Some(&required)), terms(&["x"]));
    assert_eq!(Topology::default().zones(None, Some(&required)), ZoneChoice::Any);
    assert_eq!(Topology::default().of_volume(Some("x"), Some(&required)), Vec::new());
}

#[test]
fn zones_of_servers_lead_to_zones_of_volumes_and_back() {
    let topology = mapping(&[("nova1", "ssd"), ("nova2", "ssd"), ("nova3", "hdd")]);
    let required = proto::TopologyRequirement {
        requisite: terms(&["nova1", "nova2", "nova3", "nova4"]),
        preferred: terms(&["nova3", "nova2"]),
    };
    assert_eq!(topology.zones(None, Some(&required)), one_of(&["hdd", "ssd", "nova4"]));
    assert_eq!(topology.of_volume(Some("ssd"), Some(&required)), terms(&["nova1", "nova2", "ssd"]));
    assert_eq!(topology.of_volume(Some("nova4"), Some(&required)), terms(&["nova4"]));
}

#[test]
fn a_snapshot_can_be_used_where_its_volume_can_and_a_backup_everywhere() {
    let topology = mapping(&[("nova1", "az1"), ("nova2", "az1")]);
    assert_eq!(topology.of_snapshot(Some("az1")), terms(&["az1", "nova1", "nova2"]));
    assert!(topology.of_snapshot(None).is_empty());
    assert!(Topology { ignore_volume_zone: true, ..topology }.of_snapshot(Some("az1")).is_empty());
}

#[test]
fn of_what_the_required_places_say_only_the_zone_comes_back() {
    let place = || term(&[(ZONE, "nova"), ("rack", "a")]);
    let required = proto::TopologyRequirement { requisite: vec![place()], preferred: vec![place()] };
    assert_eq!(topology().of_volume(Some("nova"), Some(&required)), terms(&["nova"]));
}

#[test]
fn a_snapshot_meets_what_one_of_the_required_places_reaches() {
    let topology = mapping(&[("nova1", "az1")]);
    let required =
        |zones: &[&str]| proto::TopologyRequirement { requisite: terms(zones), preferred: Vec::new() };
    for (zones, zone, met) in [
        (&["nova1", "az2"][..], "az1", true),
        (&["az2"], "az1", false),
        (&["az2"], "az2", true),
        (&[], "az1", true),
    ] {
        assert_eq!(topology.is_met(&required(zones), zone), met, "{zones:?} {zone}");
    }
}
