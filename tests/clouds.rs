//! Several clouds behind one driver: what is new goes where its zone is, what is there is found by its id.
//!
//! Time is tokio's, and paused.

#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

#[path = "bed/bed.rs"]
mod bed;
#[path = "bed/driver.rs"]
mod driver;
#[path = "clouds/groups.rs"]
mod groups;
#[path = "clouds/requests.rs"]
mod requests;
#[path = "bed/site.rs"]
mod site;
#[path = "clouds/snapshots.rs"]
mod snapshots;

use std::collections::HashMap;
use std::time::Duration;

use bed::printed;
use cinder_csi::csi::proto::controller_server::Controller as _;
use cinder_csi::csi::proto::*;
use cinder_csi::csi::{Clouds, Controller, ControllerSettings};
use cinder_csi::pace;
use cinder_csi::sandbox::{Call, Fault, Trouble};
use cinder_csi::volume::{Condition, Thing};
use driver::Driver;
use http::Method;
use requests::{block, create, delete, expand, naming, publish, unpublish, wanted};
use site::{Line, Site, driver_of};
use tokio::time::Instant;
use tonic::{Code, Request};

use requests::ZONE;
const NOBODY: &str = "11111111-2222-4333-8444-555555555555";

/// East has zone a, west has zone b.
fn two() -> (Driver, Site, Site) {
    let (east, west) = (Site::of_zone("east", 1, "a"), Site::of_zone("west", 2, "b"));
    (driver_of(&[&east, &west]), east, west)
}

fn mutations(calls: &[Call]) -> Vec<&Call> {
    calls.iter().filter(|call| call.method != Method::GET).collect()
}

#[tokio::test(start_paused = true)]
async fn a_volumes_whole_life_is_in_the_cloud_of_its_zone() {
    let (driver, east, west) = two();
    for (zone, here, there) in [("a", &east, &west), ("b", &west, &east)] {
        let volume = create(&driver, wanted("pvc-1", &[zone])).await.unwrap();
        assert_eq!(volume.accessible_topology[0].segments[ZONE], zone);
        let id = volume.volume_id.as_str();
        let server = here.server(zone);
        publish(&driver, id, server).await.unwrap();
        assert_eq!(here.all().await[0].id.to_string(), id);
        assert_eq!(expand(&driver, id).await.unwrap(), 2 << 30);
        let request = ControllerGetVolumeRequest { volume_id: id.to_owned() };
        let shown = driver.controller().controller_get_volume(request).await.unwrap().into_inner();
        assert_eq!(shown.status.unwrap().published_node_ids, [server.to_string()]);
        unpublish(&driver, id, server).await.unwrap();
        delete(&driver, id, HashMap::new()).await.unwrap();
        assert!(here.all().await.is_empty());
        let calls = there.calls();
        assert!(mutations(&calls).is_empty(), "{}", printed(&calls));
        here.calls();
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_driver_finds_what_an_old_one_made_by_its_id() {
    let (driver, east, west) = two();
    let id = create(&driver, wanted("pvc-1", &["b"])).await.unwrap().volume_id;
    drop(driver);
    east.calls();
    let driver = driver_of(&[&east, &west]);
    publish(&driver, &id, west.server("b")).await.unwrap();
    let calls = east.calls();
    assert_eq!(calls.len(), 1, "one look:\n{}", printed(&calls));
    // From then on it is known.
    unpublish(&driver, &id, west.server("b")).await.unwrap();
    delete(&driver, &id, HashMap::new()).await.unwrap();
    assert!(east.calls().is_empty());
    assert!(west.all().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_cloud_is_asked_nothing_more_whatever_its_name() {
    for name in ["", "east"] {
        let site = Site::of_zone(name, 1, "a");
        let driver = driver_of(&[&site]);
        let id = create(&driver, wanted("warm", &["a"])).await.unwrap().volume_id;
        delete(&driver, &id, HashMap::new()).await.unwrap();
        site.calls();
        let id = create(&driver, wanted("pvc-1", &["a"])).await.unwrap().volume_id;
        delete(&driver, &id, HashMap::new()).await.unwrap();
        let calls = site.calls();
        // List, POST, look, settle; look, DELETE, look.
        assert!(calls.len() <= 7, "{}", printed(&calls));
        assert!(calls.iter().all(|call| call.path != "/os-availability-zone"), "{}", printed(&calls));
    }
}

#[tokio::test(start_paused = true)]
async fn secrets_or_a_storage_class_name_the_cloud() {
    let (driver, east, west) = two();
    let by_class = CreateVolumeRequest { parameters: naming("west"), ..wanted("pvc-1", &[]) };
    create(&driver, by_class).await.unwrap();
    let by_secret = CreateVolumeRequest { secrets: naming("west"), ..wanted("pvc-2", &[]) };
    create(&driver, by_secret).await.unwrap();
    assert_eq!((east.all().await.len(), west.all().await.len()), (0, 2));
    let calls = east.calls();
    assert!(mutations(&calls).is_empty(), "{}", printed(&calls));

    let contradicting =
        CreateVolumeRequest { parameters: naming("west"), secrets: naming("east"), ..wanted("pvc-3", &[]) };
    let unknown = CreateVolumeRequest { parameters: naming("north"), ..wanted("pvc-3", &[]) };
    for (request, words) in
        [(contradicting, "\"east\""), (unknown, "configured: cloud \"east\", cloud \"west\"")]
    {
        let status = create(&driver, request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        assert!(status.message().starts_with("parameters.cloud: "), "{status}");
        assert!(status.message().contains(words), "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_nothing_decides_the_unnamed_cloud_is_used_or_the_caller_is_told() {
    let (unnamed, east) = (Site::of_zone("", 1, "n"), Site::of_zone("east", 2, "n"));
    let driver = driver_of(&[&unnamed, &east]);
    create(&driver, wanted("pvc-1", &[])).await.unwrap();
    create(&driver, wanted("pvc-2", &["n"])).await.unwrap();
    assert_eq!((unnamed.all().await.len(), east.all().await.len()), (2, 0));

    let (driver, ..) = two();
    let status = create(&driver, wanted("pvc-1", &[])).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    assert!(status.message().contains("cloud \"east\", cloud \"west\""), "{status}");

    let (east, west) = (Site::of_zone("east", 1, "n"), Site::of_zone("west", 2, "n"));
    let status = create(&driver_of(&[&east, &west]), wanted("pvc-1", &["n"])).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    assert!(status.message().contains("zone n is in cloud \"east\", cloud \"west\""), "{status}");
}

/// Nodes of each cloud have a label with its name (`--additional-topology`), as the existing driver's manual has it.
#[tokio::test(start_paused = true)]
async fn a_label_of_the_nodes_names_the_cloud_where_the_zones_are_called_alike() {
    const LABEL: &str = "topology.kubernetes.io/zone";
    let (east, west) = (Site::of_zone("east", 1, "nova"), Site::of_zone("west", 2, "nova"));
    let driver = driver_of(&[&east, &west]);
    let labelled = |name: &str, labels: &[&str]| {
        let mut request = wanted(name, &vec!["nova"; labels.len()]);
        let required = request.accessibility_requirements.as_mut().unwrap();
        for (n, label) in labels.iter().enumerate() {
            for terms in [&mut required.requisite, &mut required.preferred] {
                terms[n].segments.insert(LABEL.to_owned(), (*label).to_owned());
                terms[n].segments.insert("example.com/rack".to_owned(), "7".to_owned());
            }
        }
        request
    };
    for (label, site) in [("west", &west), ("east", &east)] {
        let volume = create(&driver, labelled(label, &[label])).await.unwrap();
        let [term] = volume.accessible_topology.as_slice() else {
            panic!("{:?}", volume.accessible_topology)
        };
        let place = [(ZONE.to_owned(), "nova".to_owned()), (LABEL.to_owned(), label.to_owned())];
        assert_eq!(term.segments, place.into());
        assert_eq!(site.all().await[0].id.to_string(), volume.volume_id);
    }
    let first = create(&driver, labelled("both", &["west", "east"])).await.unwrap();
    let second = create(&driver, labelled("both", &["east", "west"])).await.unwrap();
    assert_eq!(
        (&first.volume_id, &first.accessible_topology),
        (&second.volume_id, &second.accessible_topology)
    );
    assert_eq!(first.accessible_topology[0].segments[LABEL], "west");
    let status = create(&driver, labelled("none", &["north"])).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    let calls = east.calls();
    assert!(
        calls.iter().filter(|call| call.path == "/os-availability-zone").count() <= 1,
        "{}",
        printed(&calls)
    );
}

#[tokio::test(start_paused = true)]
async fn a_zone_that_no_cloud_has_lets_the_scheduler_look_elsewhere() {
    let (driver, east, west) = two();
    let status = create(&driver, wanted("pvc-1", &["c"])).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert!(status.message().contains("cloud \"east\" has a; cloud \"west\" has b"), "{status}");
    // Of the zones asked for, one that is nowhere and one that is there.
    let volume = create(&driver, wanted("pvc-1", &["c", "b"])).await.unwrap();
    assert_eq!(volume.accessible_topology[0].segments[ZONE], "b");
    assert_eq!((east.all().await.len(), west.all().await.len()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_second_call_with_another_order_of_zones_finds_the_first_ones_volume() {
    let (driver, east, west) = two();
    let first = create(&driver, wanted("pvc-1", &["a", "b"])).await.unwrap();
    for driver in [driver, driver_of(&[&east, &west])] {
        let second = create(&driver, wanted("pvc-1", &["b", "a"])).await.unwrap();
        assert_eq!(
            (&second.volume_id, &second.accessible_topology),
            (&first.volume_id, &first.accessible_topology)
        );
    }
    assert!(west.all().await.is_empty());
    // East may have it, and can't be asked: no second one is made.
    east.set(Line::Cut);
    let driver = driver_of(&[&east, &west]);
    let status = create(&driver, wanted("pvc-1", &["b", "a"])).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert!(status.message().contains("\"east\""), "{status}");
    assert!(west.all().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_is_down_stops_only_its_own() {
    let (driver, east, west) = two();
    let theirs = create(&driver, wanted("pvc-west", &["b"])).await.unwrap().volume_id;
    west.set(Line::Cut);
    // Of this driver, which knows the zones, and of one that has just started.
    for (driver, name) in [(driver, "pvc-1"), (driver_of(&[&east, &west]), "pvc-2")] {
        let id = create(&driver, wanted(name, &["a"])).await.unwrap().volume_id;
        publish(&driver, &id, east.server("a")).await.unwrap();
        expand(&driver, &id).await.unwrap();
        unpublish(&driver, &id, east.server("a")).await.unwrap();
        delete(&driver, &id, HashMap::new()).await.unwrap();

        let status = create(&driver, wanted("pvc-3", &["b"])).await.unwrap_err();
        assert!([Code::Unavailable, Code::Aborted].contains(&status.code()), "{status}");
        assert!(status.message().contains("\"west\""), "{status}");
    }
    let driver = driver_of(&[&east, &west]);
    // What isn't in east may be in west: a delete that took silence for an end would leave it behind.
    for answer in [
        delete(&driver, &theirs, HashMap::new()).await,
        delete(&driver, NOBODY, HashMap::new()).await,
        publish(&driver, &theirs, east.server("a")).await,
        unpublish(&driver, &theirs, east.server("a")).await,
        expand(&driver, &theirs).await.map(drop),
    ] {
        let status = answer.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        assert!(status.message().contains("\"west\""), "{status}");
    }
    west.set(Line::Up);
    delete(&driver, &theirs, HashMap::new()).await.unwrap();
    delete(&driver, NOBODY, HashMap::new()).await.unwrap();
    assert!(west.all().await.is_empty());
    let status = publish(&driver, NOBODY, east.server("a")).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "{status}");
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_never_answers_delays_what_is_in_another_by_seconds_at_most() {
    let (driver, east, west) = two();
    let id = create(&driver, wanted("pvc-1", &["a"])).await.unwrap().volume_id;
    west.set(Line::Silent);
    let began = Instant::now();
    create(&driver, wanted("pvc-2", &["a"])).await.unwrap();
    expand(&driver, &id).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "its zones are known: {:?}", began.elapsed());
    let driver = driver_of(&[&east, &west]);
    let began = Instant::now();
    publish(&driver, &id, east.server("a")).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "east says that it has it: {:?}", began.elapsed());
    create(&driver, wanted("pvc-3", &["a"])).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(7), "{:?}", began.elapsed());
    let mut request =
        Request::new(DeleteVolumeRequest { volume_id: NOBODY.to_owned(), ..Default::default() });
    request.set_timeout(Duration::from_secs(10));
    let status = driver.controller().delete_volume(request).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    assert!(status.message().contains("\"west\""), "{status}");
}

#[tokio::test(start_paused = true)]
async fn a_zone_that_was_added_is_found_without_a_restart() {
    let (driver, east, west) = two();
    create(&driver, wanted("pvc-1", &["a"])).await.unwrap();
    west.cloud.add_zone("c");
    pace::sleep(Duration::from_secs(10)).await;
    east.calls();
    let volume = create(&driver, wanted("pvc-2", &["c"])).await.unwrap();
    assert_eq!(volume.accessible_topology[0].segments[ZONE], "c");
    assert_eq!(east.calls().len(), 1, "its zones are asked for again");
    create(&driver, wanted("pvc-3", &["b"])).await.unwrap();
    assert_eq!(east.calls().len(), 0, "and kept");
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_refuses_to_tell_may_have_it() {
    let (driver, _east, west) = two();
    for code in [401, 403, 500] {
        west.cloud.fault(Fault::on(Method::GET, "/volumes/{id}", Trouble::Refused(code)).times(2));
        let status = delete(&driver, NOBODY, HashMap::new()).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{code}: {status}");
        assert!(status.message().contains("\"west\""), "{status}");
        west.cloud.clear_faults();
    }
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_is_found_in_its_cloud_by_its_id() {
    let (east, west) = (Site::of_zone("east", 1, "a"), Site::of_zone("west", 2, "b"));
    let named = |site: &Site| (site.name.to_owned(), site.volumes());
    let clouds = Clouds::new([named(&east), named(&west)].into());
    let volume = west.bed().volumes.ensure_created(&bed::wanted("pvc-1")).await.unwrap().id;
    let order = serde_json::json!({"snapshot": {"volume_id": volume.to_string(), "name": "s"}});
    let made = west.bed().post_to_cinder("/snapshots", order).await;
    let id = made["snapshot"]["id"].as_str().unwrap().parse().unwrap();
    let holder = clouds.of_snapshot(&HashMap::new(), id).await.unwrap();
    assert_eq!(holder.get(volume).await.unwrap().id, volume);
    let other = clouds.of_snapshot(&naming("east"), id).await.unwrap();
    let error = other.get(volume).await.unwrap_err();
    assert_eq!(error.condition, Condition::NotFound);
    let told = format!("belongs to another project (openstack volume show {volume}) (request req-");
    assert!(error.message.contains(&told), "{error}");
    west.set(Line::Cut);
    let elsewhere = NOBODY.parse().unwrap();
    let status = clouds.of_snapshot(&HashMap::new(), elsewhere).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    // Found once, it is known.
    clouds.of_snapshot(&HashMap::new(), id).await.unwrap();
    clouds.forget();
    assert_eq!(clouds.of_snapshot(&HashMap::new(), id).await.unwrap_err().code(), Code::Unavailable);
}

/// East and west may be two projects of one cloud, and a transfer takes a volume from one to the other.
#[tokio::test(start_paused = true)]
async fn a_volume_that_left_the_cloud_where_it_was_is_found_in_the_other() {
    let (east, west) = (Site::of_zone("east", 1, "a"), Site::of_zone("west", 2, "b"));
    let clouds = Clouds::new([&east, &west].map(|site| (site.name.to_owned(), site.volumes())).into());
    let id = west.bed().volumes.ensure_created(&bed::wanted("pvc-1")).await.unwrap().id;
    let was_in_east = || clouds.remember(Thing::Volume(id), clouds.all().next().unwrap().1);
    let controller = Controller::new(clouds.clone(), ControllerSettings::default());
    let delete = || {
        let volume_id = id.to_string();
        controller.delete_volume(Request::new(DeleteVolumeRequest { volume_id, ..Default::default() }))
    };
    was_in_east();
    west.set(Line::Cut);
    let status = delete().await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "west may have it: {status}");
    west.set(Line::Up);
    delete().await.unwrap();
    assert!(west.all().await.is_empty());
    // Where nobody has it, it is gone.
    was_in_east();
    delete().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn secrets_are_trusted_over_what_could_be_found() {
    let (driver, east, west) = two();
    let id = create(&driver, wanted("pvc-1", &["b"])).await.unwrap().volume_id;
    let request = ControllerPublishVolumeRequest {
        volume_id: id.clone(),
        node_id: east.server("a").to_string(),
        volume_capability: Some(block()),
        secrets: naming("east"),
        ..Default::default()
    };
    let status = driver.controller().controller_publish_volume(request).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "{status}");
    assert!(status.message().contains("cloud \"east\"") && status.message().contains(&id), "{status}");
    // To the cloud that the secret names, it is gone.
    delete(&driver, &id, naming("east")).await.unwrap();
    assert_eq!(west.all().await.len(), 1);
    delete(&driver, &id, naming("west")).await.unwrap();
    assert!(west.all().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_server_of_another_cloud_is_not_found_and_both_clouds_are_named() {
    let (driver, east, west) = two();
    let id = create(&driver, wanted("pvc-1", &["a"])).await.unwrap().volume_id;
    let status = publish(&driver, &id, west.server("b")).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "{status}");
    let words = status.message();
    assert!(words.contains("is in cloud \"west\"") && words.contains("in cloud \"east\""), "{status}");
    // A server of nobody's.
    let status = publish(&driver, &id, NOBODY).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "{status}");
    assert!(!status.message().contains("west"), "{status}");
    assert!(east.all().await[0].attachments.is_empty());
}
