//! Pages, filters and order.

use cinder_csi::pace::sleep as wait;
use cinder_csi::sandbox::{Mishap, Operation, Settings};
use http::Method;
use serde_json::json;

use super::bed::{SECOND, cloud_of};
use super::client::Client;

#[tokio::test(start_paused = true)]
async fn pages_end_and_show_every_volume_once() {
    let cloud = cloud_of(Settings::default());
    let client = Client::of(&cloud).await;
    for index in 0..7 {
        client.volume(&format!("volume-{index}")).await;
    }
    let (mut seen, mut path) = (Vec::new(), Some("/volumes/detail?limit=3".to_owned()));
    while let Some(next) = path {
        let reply = client.cinder(Method::GET, &next, "", None).await;
        seen.extend(reply.body["volumes"].as_array().unwrap().iter().map(|one| one["id"].to_string()));
        let link = reply.body["volumes_links"][0]["href"].as_str();
        path = link.map(|link| link.strip_prefix(&client.volume_url).unwrap().to_owned());
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_new_volume_may_be_missing_from_lists_for_a_while() {
    let cloud = cloud_of(Settings::default());
    let client = Client::of(&cloud).await;
    cloud.mishap(Mishap::Unlisted(Operation::Create, 10 * SECOND));
    let volume = client.volume("one").await;
    let listed = async || {
        client.cinder(Method::GET, "/volumes/detail?name=one", "", None).await.body["volumes"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!((client.status(&volume).await.as_str(), listed().await), ("available", 0));
    wait(11 * SECOND).await;
    assert_eq!(listed().await, 1);
}

#[tokio::test(start_paused = true)]
async fn pages_of_snapshots_miss_none_and_show_none_twice_while_others_come_and_go() {
    let cloud = cloud_of(Settings::default());
    let client = Client::of(&cloud).await;
    let volume = client.volume("one").await;
    let (mut kept, mut doomed) = (Vec::new(), Vec::new());
    for index in 0..9 {
        let reply = client.snapshot(&volume, "3.66", true).await;
        let id = reply.body["snapshot"]["id"].as_str().unwrap().to_owned();
        if index % 3 == 0 {
            doomed.push(id)
        } else {
            kept.push(id)
        }
        wait(SECOND).await;
    }
    let (mut seen, mut path) = (Vec::new(), Some("/snapshots/detail?limit=2".to_owned()));
    while let Some(next) = path {
        let reply = client.cinder(Method::GET, &next, "3.66", None).await;
        let items = reply.body["snapshots"].as_array().unwrap();
        seen.extend(items.iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        let link = reply.body["snapshots_links"][0]["href"].as_str();
        path = link.map(|link| link.strip_prefix(&client.volume_url).unwrap().to_owned());
        // The marker of the next page stays: a marker that has gone is a 404.
        if let Some(id) = doomed.pop_if(|id| seen.last() != Some(id)) {
            client.cinder(Method::DELETE, &format!("/snapshots/{id}"), "", None).await;
        }
        client.snapshot(&volume, "3.66", true).await;
    }
    let mut shown: Vec<_> = seen.iter().filter(|id| kept.contains(id)).cloned().collect();
    kept.reverse();
    assert_eq!(shown, kept, "newest first");
    shown.dedup();
    assert_eq!(shown.len(), 6);
    let gone =
        client.cinder(Method::GET, "/snapshots?marker=11111111-2222-3333-4444-555555555555", "", None).await;
    assert_eq!(
        gone.gist(),
        "itemNotFound: Snapshot 11111111-2222-3333-4444-555555555555 could not be found."
    );
}

#[tokio::test(start_paused = true)]
async fn lists_of_snapshots_are_filtered_sorted_and_counted() {
    let cloud = cloud_of(Settings::default());
    let client = Client::of(&cloud).await;
    let volumes = [client.volume("one").await, client.volume("two").await];
    for (index, volume) in volumes.iter().cycle().take(5).enumerate() {
        let body = json!({ "volume_id": volume, "name": format!("s-{index}"), "metadata": { "n": format!("{index}") } });
        client.cinder(Method::POST, "/snapshots", "3.66", Some(json!({ "snapshot": body }))).await;
        wait(SECOND).await;
    }
    let names = async |query: &str, version: &str| {
        let reply = client.cinder(Method::GET, &format!("/snapshots/detail?{query}"), version, None).await;
        let items = reply.body["snapshots"].as_array().cloned().unwrap_or_default();
        let names: Vec<_> = items.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect();
        (reply.code, names.join(" "), reply.body["count"].as_u64())
    };
    let found = |names: &str| (200, names.to_owned(), None);
    assert_eq!(names("", "").await, found("s-4 s-3 s-2 s-1 s-0"));
    assert_eq!(names("sort=created_at:asc&limit=2", "").await, found("s-0 s-1"));
    assert_eq!(names("sort_key=name&sort_dir=desc&limit=1&offset=1", "3.66").await, found("s-3"));
    assert_eq!(names(&format!("volume_id={}", volumes[1]), "").await, found("s-3 s-1"));
    assert_eq!(names("name=S-3", "3.66").await, found("s-3"), "MariaDB compares without case");
    assert_eq!(names("metadata={'n':'2'}", "3.66").await, found("s-2"));
    assert_eq!(names("status=available&availability_zone=az2", "3.66").await, found(""));
    assert_eq!(names("created_at=gte:2000-01-01T00:00:00", "3.66").await.0, 400);
    assert_eq!(names("limit=2&with_count=true", "3.45").await, (200, "s-4 s-3".to_owned(), Some(5)));
    assert_eq!(names("with_count=true", "3.44").await.0, 400);
}
