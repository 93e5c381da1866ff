//! Several clouds behind one driver, without secrets.

use std::net::SocketAddr;

use cinder_csi::csi::proto::*;
use cinder_csi::sandbox::{Served, Settings, SimulatedCloud};

use super::{Bed, PASSWORD, conf};

/// A cloud of one zone with a server, on a port.
async fn region(seed: u64, region: &str, zone: &str) -> (SimulatedCloud, Served) {
    let servers = vec![(format!("node-{zone}"), zone.to_owned())];
    let zones = vec![zone.to_owned()];
    let cloud = SimulatedCloud::new(Settings {
        seed,
        zones,
        servers,
        region: region.to_owned(),
        ..Settings::default()
    });
    let served = cloud.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
    (cloud, served)
}

/// Two sections of cloud.conf, `[Global "east"]` and `[Global "west"]`, each with its address and region.
fn two_sections(east: (&Served, &str), west: (&Served, &str)) -> String {
    let section = |name: &str, (served, region): (&Served, &str)| {
        let address = SocketAddr::from(([127, 0, 0, 1], served.port()));
        conf(address, PASSWORD).replace("[Global]", &format!("[Global \"{name}\"]"))
            + &format!("region = {region}\n")
    };
    section("east", east) + &section("west", west)
}

/// One StorageClass, no secrets: a volume in each of the zones, through its whole life.
async fn lives_in_both(bed: &Bed, clouds: [(&SimulatedCloud, &str); 2]) {
    let conf = format!("--cloud-config={}", bed.path("cloud.conf").display());
    let flags =
        [conf.as_str(), "--provide-node-service=false", "--cloud-name=east,west", "--list-only-cluster"];
    let driver = bed.start(&flags).await;
    let mut made = Vec::new();
    for (cloud, zone) in clouds {
        let volume = driver.create_in(zone).await.unwrap();
        assert!(cloud.inventory()[0].contains(&volume), "{:?}", cloud.inventory());
        driver.publish(&volume, &cloud.server_id(&format!("node-{zone}"))).await.unwrap();
        made.push(volume);
    }
    assert_eq!(driver.listed_one_by_one().await, made);
    for (volume_id, (cloud, zone)) in made.into_iter().zip(clouds) {
        let node_id = cloud.server_id(&format!("node-{zone}"));
        let volume = volume_id.clone();
        let request = ControllerUnpublishVolumeRequest { volume_id, node_id, ..Default::default() };
        driver.controller().controller_unpublish_volume(request).await.unwrap();
        let request = DeleteVolumeRequest { volume_id: volume, ..Default::default() };
        driver.controller().delete_volume(request).await.unwrap();
        assert_eq!(cloud.inventory(), [""; 0]);
    }
    let (status, log) = driver.end();
    assert!(status.success() && !log.contains(PASSWORD), "{status}\n{log}");
    assert!(log.contains("--list-only-cluster: ListVolumes omits"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sections_are_two_clouds_behind_one_driver() {
    let bed = Bed::new();
    let (east, east_served) = region(1, "RegionOne", "a").await;
    let (west, west_served) = region(2, "RegionOne", "b").await;
    bed.write_conf(&two_sections((&east_served, "RegionOne"), (&west_served, "RegionOne")));
    lives_in_both(&bed, [(&east, "a"), (&west, "b")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_regions_of_one_keystone_are_two_clouds() {
    let bed = Bed::new();
    let (one, one_served) = region(1, "RegionOne", "a").await;
    let (two, two_served) = region(2, "RegionTwo", "b").await;
    one.add_region(&two, &two_served.url());
    // Both ask the first one's Keystone.
    bed.write_conf(&two_sections((&one_served, "RegionOne"), (&one_served, "RegionTwo")));
    lives_in_both(&bed, [(&one, "a"), (&two, "b")]).await;
    assert!(two.calls().iter().all(|call| !call.path.contains("auth")), "its Keystone isn't asked");
}
