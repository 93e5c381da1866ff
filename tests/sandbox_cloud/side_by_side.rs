//! Two clouds beside each other, large ones, and states that only an administrator or a fault makes.

use cinder_csi::pace::sleep as wait;
use cinder_csi::sandbox::{Mishap, Quota, Settings};
use http::Method;
use serde_json::{Value, json};

use super::bed::{SECOND, attached, cloud_of, slow_cloud};
use super::client::Client;

#[tokio::test(start_paused = true)]
async fn two_clouds_know_nothing_of_each_other() {
    let servers = vec![("far-1".to_owned(), "north".to_owned())];
    let zones = vec!["north".to_owned()];
    let far =
        cloud_of(Settings { seed: 2, zones, servers, region: "North".to_owned(), ..Settings::default() });
    let near = cloud_of(Settings { seed: 1, ..Settings::default() });
    let (here, there) = (Client::of(&near).await, Client::of(&far).await);
    let volume = there.volume("one").await;
    assert_eq!(there.show(&volume).await["availability_zone"], "north");
    assert_eq!(here.status(&volume).await, "gone");
    assert_ne!(near.credentials().project_id, far.credentials().project_id);
    assert_eq!((near.inventory().len(), far.inventory().len()), (0, 1));
    assert_eq!(here.attach(&far.server_id("far-1"), &volume, "2.60").await.code, 404);
    let foreign = here.with_token("another cloud's");
    assert_eq!(foreign.cinder(Method::GET, "/volumes", "", None).await.code, 401);
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_volumes_and_a_thousand_snapshots_come_in_pages_of_a_thousand() {
    let quota = Quota { volumes: 20_000, gigabytes: Quota::UNLIMITED, snapshots: 20_000, ..Quota::default() };
    let cloud = cloud_of(Settings { quota, ..Settings::default() });
    let client = Client::of(&cloud).await;
    let mut last = String::new();
    for _ in 0..10_000 {
        last = client.volume("one").await;
    }
    for _ in 0..1000 {
        client.snapshot(&last, "3.66", true).await;
    }
    for (kind, whole) in [("volumes", 10_000), ("snapshots", 1000)] {
        cloud.reset_calls();
        let (mut seen, mut path) = (std::collections::BTreeSet::new(), Some(format!("/{kind}/detail")));
        while let Some(next) = path {
            let reply = client.cinder(Method::GET, &next, "3.66", None).await;
            let items = reply.body[kind].as_array().unwrap();
            seen.extend(items.iter().map(|one| one["id"].as_str().unwrap().to_owned()));
            let link = reply.body[format!("{kind}_links")][0]["href"].as_str();
            path = link.map(|link| link.strip_prefix(&client.volume_url).unwrap().to_owned());
        }
        assert_eq!((seen.len(), cloud.calls().len()), (whole, whole / 1000 + 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_status_can_be_set_and_stays() {
    let cloud = slow_cloud();
    let client = Client::of(&cloud).await;
    let (server, volume) = attached(&cloud, &client).await;
    for status in ["maintenance", "error", "error_extending", "migrating"] {
        assert!(cloud.set_status(&volume, status));
        assert_eq!(client.status(&volume).await, status);
        assert_eq!(client.detach(&server, &volume).await.code, 400, "{status}");
    }
    cloud.set_status(&volume, "maintenance");
    assert_eq!(client.snapshot(&volume, "3.66", true).await.code, 400);
    let metadata = Some(json!({ "metadata": { "a": "b" } }));
    let path = format!("/volumes/{volume}/metadata");
    assert_eq!(client.cinder(Method::POST, &path, "", metadata).await.code, 400);
    assert!(!cloud.set_status("11111111-2222-3333-4444-555555555555", "error"));
}

#[tokio::test(start_paused = true)]
async fn a_server_may_go_and_leave_its_entry_behind() {
    let cloud = slow_cloud();
    let client = Client::of(&cloud).await;
    let (server, volume) = attached(&cloud, &client).await;
    cloud.mishap(Mishap::LeavesEntries);
    client.nova(Method::DELETE, &format!("/servers/{server}"), "", None).await;
    wait(5 * SECOND).await;
    let shown = client.show(&volume).await;
    assert_eq!((&shown["status"], &shown["attachments"][0]["server_id"]), (&json!("in-use"), &json!(server)));
    assert_eq!(client.nova(Method::GET, &format!("/servers/{server}"), "", None).await.code, 404);
    assert_eq!((client.detach(&server, &volume).await.code, client.delete(&volume).await.code), (404, 400));
    let path = format!("/attachments/{}", shown["attachments"][0]["attachment_id"].as_str().unwrap());
    assert_eq!(client.cinder(Method::DELETE, &path, "3.27", None).await.code, 200);
    assert_eq!(client.status(&volume).await, "available");
}

#[tokio::test(start_paused = true)]
async fn scheduler_hints_are_taken_and_bad_ones_refused() {
    let cloud = cloud_of(Settings::default());
    let client = Client::of(&cloud).await;
    let other = client.volume("one").await;
    let create = async |hints: Value| {
        let body = json!({ "volume": { "size": 1 }, "OS-SCH-HNT:scheduler_hints": hints });
        client.cinder(Method::POST, "/volumes", "3.60", Some(body)).await
    };
    let hints = json!({ "different_host": [other], "query": "[\"=\", \"$backend_id\", \"x\"]" });
    let made = create(hints.clone()).await;
    assert_eq!(made.code, 202);
    assert_eq!(cloud.hints_of(made.body["volume"]["id"].as_str().unwrap()), hints);
    assert_eq!(cloud.hints_of(&other), Value::Null);
    for bad in [json!({ "same_host": "pvc-1" }), json!({ "local_to_instance": 5 }), json!("no object")] {
        assert_eq!(create(bad.clone()).await.code, 400, "{bad}");
    }
}

/// A clone's zone, and a volume's from a snapshot, is the source's; a clone of a volume in use is allowed.
#[tokio::test(start_paused = true)]
async fn copies_of_volumes_stay_in_the_zone_of_their_source() {
    let cloud = slow_cloud();
    let client = Client::of(&cloud).await;
    let source = client.volume_of(json!({ "size": 1, "availability_zone": "az2" })).await;
    assert_eq!(client.cinder(Method::POST, "/volumes", "3.60", clone_of(&source, None)).await.code, 400);
    wait(5 * SECOND).await;
    client.attach(&cloud.server_id("node-3"), &source, "2.60").await;
    wait(5 * SECOND).await;
    let elsewhere = client.cinder(Method::POST, "/volumes", "3.60", clone_of(&source, Some("az1"))).await;
    assert!(elsewhere.gist().contains("must be in the same availability zone as the source volume"));
    let clone = client.cinder(Method::POST, "/volumes", "3.60", clone_of(&source, None)).await;
    assert_eq!((clone.code, &clone.body["volume"]["availability_zone"]), (202, &json!("az2")));
    assert_eq!(clone.body["volume"]["source_volid"], json!(source));
}

fn clone_of(source: &str, zone: Option<&str>) -> Option<Value> {
    let zone = zone.map_or(Value::Null, |zone| json!(zone));
    Some(json!({ "volume": { "size": 1, "source_volid": source, "availability_zone": zone } }))
}
