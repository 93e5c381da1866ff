//! GetCapacity through the real gRPC server: what a project has left. Time is tokio's, and paused.

#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

#[path = "bed/bed.rs"]
mod bed;
#[path = "bed/driver.rs"]
mod driver;
#[path = "bed/site.rs"]
mod site;

use std::time::Duration;

use bed::{Bed, controller, printed, wanted};
use cinder_csi::csi::proto::*;
use cinder_csi::pace;
use cinder_csi::sandbox::{Fault, Quota, Settings, Trouble};
use cinder_csi::volume::Wanted;
use driver::Driver;
use futures_util::future::join_all;
use http::Method;
use site::{Site, driver_of};
use tonic::{Code, Status};

const GIB: i64 = 1 << 30;
const ZONE: &str = "topology.cinder.csi.openstack.org/zone";
/// Longer than an answer is kept.
const LATER: Duration = Duration::from_secs(11);

fn with(quota: Quota) -> Settings {
    Settings { quota, ..Settings::default() }
}

async fn ask(
    driver: &Driver,
    parameters: &[(&str, &str)],
    zone: Option<&str>,
) -> Result<GetCapacityResponse, Status> {
    let owned = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let request = GetCapacityRequest {
        parameters: owned(parameters),
        accessible_topology: zone.map(|zone| Topology { segments: owned(&[(ZONE, zone)]) }),
        ..Default::default()
    };
    Ok(driver.controller().get_capacity(request).await?.into_inner())
}

/// Available and the largest volume, in GiB.
async fn room(driver: &Driver, parameters: &[(&str, &str)], zone: Option<&str>) -> (i64, i64) {
    let answer = ask(driver, parameters, zone).await.unwrap();
    assert_eq!(answer.minimum_volume_size, Some(GIB));
    (answer.available_capacity / GIB, answer.maximum_volume_size.unwrap() / GIB)
}

#[tokio::test(start_paused = true)]
async fn what_the_project_has_left_shrinks_with_each_volume() {
    let bed = Bed::new(with(Quota { volumes: 3, gigabytes: 10, ..Quota::default() }));
    let driver = Driver::in_memory(controller(&bed.cloud));
    assert_eq!(room(&driver, &[], None).await, (10, 10));
    bed.volumes.ensure_created(&Wanted { size: 4, ..wanted("a") }).await.unwrap();
    pace::sleep(LATER).await;
    assert_eq!(room(&driver, &[], None).await, (6, 6));
    bed.volumes.ensure_created(&wanted("b")).await.unwrap();
    bed.volumes.ensure_created(&wanted("c")).await.unwrap();
    pace::sleep(LATER).await;
    assert_eq!(room(&driver, &[], None).await, (0, 0), "no volume is left, though gigabytes are");
}

#[tokio::test(start_paused = true)]
async fn a_type_and_a_zone_have_their_own_room() {
    let of_types = [("gigabytes_lab-fast".to_owned(), 7)].into();
    let quota = Quota { gigabytes: 100, per_volume_gigabytes: Some(50), of_types, ..Quota::default() };
    let bed = Bed::new(with(quota));
    let driver = Driver::in_memory(controller(&bed.cloud));
    for (parameters, zone, expected) in [
        (&[][..], None, (100, 50)),
        (&[], Some("az1"), (100, 50)),
        (&[], Some("az9"), (0, 0)),
        (&[("type", "lab-fast")], Some("az2"), (7, 7)),
        (&[("type", "lab")], Some("az2"), (100, 50)),
        (&[("type", "nobody's")], Some("az2"), (0, 0)),
        (&[("availability", "az1")], Some("az1"), (100, 50)),
        (&[("availability", "az1")], Some("az2"), (0, 0)),
        (&[("availability", "az9")], None, (0, 0)),
        (&[("csi.storage.k8s.io/fstype", "xfs"), ("unknown", "x")], None, (100, 50)),
    ] {
        assert_eq!(room(&driver, parameters, zone).await, expected, "{parameters:?} in {zone:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_project_without_limits_has_room_for_cinders_largest_volume() {
    let quota = Quota { gigabytes: Quota::UNLIMITED, ..Quota::default() };
    let bed = Bed::new(with(quota));
    let driver = Driver::in_memory(controller(&bed.cloud));
    let (available, largest) = room(&driver, &[], None).await;
    assert_eq!((available, largest), (i64::MAX / GIB, i64::from(i32::MAX)));
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_may_not_read_quotas_is_answered_from_its_limits() {
    let bed = Bed::new(with(Quota { gigabytes: 10, per_volume_gigabytes: Some(2), ..Quota::default() }));
    bed.cloud.fault(Fault::on(Method::GET, "/os-quota-sets/{id}", Trouble::Refused(403)).always());
    let driver = Driver::in_memory(controller(&bed.cloud));
    assert_eq!(room(&driver, &[], None).await, (10, 10));
}

/// As the external-provisioner asks: for each StorageClass and segment, every minute.
#[tokio::test(start_paused = true)]
async fn twenty_questions_cost_the_cloud_four_calls() {
    let bed = Bed::warm(Settings::default()).await;
    let driver = Driver::in_memory(controller(&bed.cloud));
    ask(&driver, &[], Some("az1")).await.unwrap();
    pace::sleep(LATER).await;
    bed.calls();
    let questions = (0..20).map(|n| {
        let (kind, zone) = (["lab", "lab-fast"][n % 2], ["az1", "az2"][n / 2 % 2]);
        let driver = &driver;
        async move { ask(driver, &[("type", kind)], Some(zone)).await.unwrap() }
    });
    join_all(questions).await;
    let calls = bed.calls();
    // The quotas, the types and the default one; the zones are kept for longer.
    assert!(calls.len() <= 4, "{}", printed(&calls));
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_cannot_be_asked_is_an_error_and_never_no_room() {
    let bed = Bed::new(Settings::default());
    bed.cloud.fault(Fault::on(Method::GET, "/os-quota-sets/{id}", Trouble::Refused(500)).always());
    let driver = Driver::in_memory(controller(&bed.cloud));
    let status = ask(&driver, &[], None).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert!(status.message().contains("quotas"), "{status}");
}

#[tokio::test(start_paused = true)]
async fn of_several_clouds_the_one_with_the_zone_is_asked() {
    let quota = |gigabytes| Quota { gigabytes, ..Quota::default() };
    let of_zone = |name, seed, zone: &str, gigabytes| {
        let servers = vec![(format!("node-{zone}"), zone.to_owned())];
        let zones = vec![zone.to_owned()];
        Site::new(name, Settings { seed, zones, servers, ..with(quota(gigabytes)) })
    };
    let (east, west) = (of_zone("east", 1, "a", 5), of_zone("west", 2, "b", 7));
    let driver = driver_of(&[&east, &west]);
    assert_eq!(room(&driver, &[], Some("a")).await, (5, 5));
    assert_eq!(room(&driver, &[], Some("b")).await, (7, 7));
    assert_eq!(room(&driver, &[], Some("c")).await, (0, 0));
    assert_eq!(room(&driver, &[("cloud", "west")], None).await, (7, 7));
    // A label of the nodes that names their cloud, as at creation.
    let segments = [("topology.kubernetes.io/region".to_owned(), "west".to_owned())].into();
    let request =
        GetCapacityRequest { accessible_topology: Some(Topology { segments }), ..Default::default() };
    let answer = driver.controller().get_capacity(request).await.unwrap().into_inner();
    assert_eq!(answer.available_capacity, 7 * GIB);
    assert_eq!(ask(&driver, &[("cloud", "north")], None).await.unwrap_err().code(), Code::InvalidArgument);
}
