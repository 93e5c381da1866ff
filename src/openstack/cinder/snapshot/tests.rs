use serde_json::Value;

use super::super::super::recorded::{Recorded, Reply, VOLUME_ID};
use super::super::super::{Effect, SnapshotId};
use super::*;

const SNAPSHOT_ID: &str = "d1b2c3d4-0000-4000-8000-000000000001";
const SHOW: &str = "GET /volume/v3/p/snapshots/d1b2c3d4-0000-4000-8000-000000000001";
const DETAIL: &str = "GET /volume/v3/p/snapshots/detail";
const CREATE: &str = "POST /volume/v3/p/snapshots";

fn id() -> SnapshotId {
    SNAPSHOT_ID.parse().unwrap()
}

fn shown() -> Value {
    json!({
        "id": SNAPSHOT_ID, "created_at": "2026-11-23T13:19:58.000000", "updated_at": null, "name": "snap-1",
        "description": null, "volume_id": VOLUME_ID, "status": "backing-up", "size": 1, "metadata": {"k": "v"},
        "group_snapshot_id": null, "os-extended-snapshot-attributes:progress": "100%"
    })
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_is_read_as_cinder_shows_it() {
    let cloud = Recorded::default();
    cloud.on(SHOW, [Reply::json(200, json!({ "snapshot": shown() }))]);
    let snapshot = cloud.cloud().cinder.find_snapshot(id()).await.unwrap().unwrap();
    assert_eq!((snapshot.id, snapshot.status, snapshot.size), (id(), SnapshotStatus::BackingUp, 1));
    assert_eq!(snapshot.volume_id.to_string(), VOLUME_ID);
    assert_eq!(snapshot.metadata["k"], "v");
    assert_eq!(snapshot.created_at, Some("2026-11-23T13:19:58Z".parse().unwrap()));
}

#[tokio::test(start_paused = true)]
async fn only_cinders_404_is_a_snapshot_that_is_not_there() {
    let cloud = Recorded::default();
    assert_eq!(cloud.cloud().cinder.find_snapshot(id()).await.unwrap(), None);
    cloud.on(SHOW, [Reply::new(503, "")]);
    let error = cloud.cloud().cinder.find_snapshot(id()).await.unwrap_err();
    assert_eq!((error.kind, error.effect), (Kind::Unavailable, Effect::None));
    cloud.on(SHOW, [Reply::json(200, json!({"snapshot": {"id": SNAPSHOT_ID}}))]);
    let error = cloud.cloud().cinder.find_snapshot(id()).await.unwrap_err();
    assert_eq!(error.kind, Kind::Malformed);
}

#[tokio::test(start_paused = true)]
async fn force_is_asked_for_where_the_volume_is_in_use() {
    let cloud = Recorded::default();
    cloud.on(CREATE, [Reply::json(202, json!({ "snapshot": shown() }))]);
    let cinder = cloud.cloud().cinder;
    let new = |force| NewSnapshot {
        name: "snap-1".to_owned(),
        description: "d".to_owned(),
        volume_id: VOLUME_ID.parse().unwrap(),
        force,
        metadata: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
    };
    for (force, shown) in [(false, Value::Null), (true, json!(true))] {
        assert_eq!(cinder.create_snapshot(&new(force)).await.unwrap().id, id());
        let seen = cloud.seen(CREATE);
        let asked = seen.last().unwrap();
        let body: Value = serde_json::from_slice(&asked.body).unwrap();
        assert_eq!(body["snapshot"]["force"], shown);
        assert_eq!(body["snapshot"]["metadata"], json!({"k": "v"}));
        assert_eq!(asked.header("openstack-api-version"), Some("volume 3.66"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_of_the_list_is_asked_for_oldest_first() {
    let href = format!("http://c/v3/p/snapshots/detail?limit=1&marker={SNAPSHOT_ID}");
    let page = json!({"snapshots": [shown()], "snapshots_links": [{"rel": "next", "href": href}]});
    let cloud = Recorded::default();
    cloud.on(DETAIL, [Reply::json(200, page), Reply::json(200, json!({"snapshots": []}))]);
    let cinder = cloud.cloud().cinder;
    let part = Part { volume: Some(VOLUME_ID.parse().unwrap()), limit: Some(1), after: None };
    let first = cinder.list_snapshots(part).await.unwrap();
    assert_eq!((first.items.len(), first.more), (1, true));
    let last = cinder.list_snapshots(Part { volume: None, limit: None, after: Some(id()) }).await.unwrap();
    assert_eq!((last.items.len(), last.more), (0, false));
    let seen = cloud.seen(DETAIL);
    let sort = "sort=created_at%3Aasc%2Cid%3Aasc";
    assert_eq!(seen[0].query, format!("{sort}&volume_id={VOLUME_ID}&limit=1"));
    assert_eq!(seen[1].query, format!("{sort}&marker={SNAPSHOT_ID}"));
}

#[test]
fn a_status_is_shown_as_it_was_read() {
    for text in
        ["creating", "available", "backing-up", "restoring", "deleting", "error", "error_deleting", "odd"]
    {
        assert_eq!(SnapshotStatus::from(text.to_owned()).to_string(), text);
    }
}
