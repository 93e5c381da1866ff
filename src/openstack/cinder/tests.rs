use std::time::Duration;

use serde_json::Value;

use super::super::recorded::{Recorded, Reply, VOLUME, VOLUME_ID, volume};
use super::super::{Effect, ledger};
use super::*;
use crate::pace;

const DETAIL: &str = "GET /volume/v3/p/volumes/detail";
const CREATE: &str = "POST /volume/v3/p/volumes";

fn id() -> VolumeId {
    VOLUME_ID.parse().unwrap()
}

/// Recorded from Cinder 29 at 3.60.
fn shown() -> Value {
    json!({
        "id": VOLUME_ID, "status": "in-use", "size": 1, "availability_zone": "az2",
        "created_at": "2026-11-23T13:19:58.000000", "updated_at": "2026-11-23T13:20:02.000000",
        "name": "node-3-root", "description": null, "volume_type": "lab", "snapshot_id": null,
        "source_volid": null, "metadata": {"k": "v"}, "links": [{"rel": "self", "href": "http://c/v3"}],
        "user_id": "e59dc82a65114b1cb1969b40431dffd0", "bootable": "true", "encrypted": false,
        "replication_status": null, "consistencygroup_id": null, "multiattach": false,
        "attachments": [{
            "id": VOLUME_ID, "attachment_id": "f069694a-e5b9-4eaf-a993-49fc56651f75", "volume_id": VOLUME_ID,
            "server_id": "ef6740af-f1f7-447c-a75c-fd4fc1da835b", "host_name": null, "device": "/dev/sda",
            "attached_at": "2026-11-23T13:20:02.000000"
        }],
        "group_id": null, "shared_targets": false, "service_uuid": "9cc6b851-2087-4bdb-89f0-a2c1a8bf59fc",
        "os-vol-tenant-attr:tenant_id": "afbf4c93deb446df9069f5d710feb53f"
    })
}

fn small(number: u32) -> Value {
    json!({"id": format!("00000000-0000-4000-8000-{number:012}"), "status": "available", "size": 1, "name": "n"})
}

async fn with_answer(volume: Value) -> Result<Volume> {
    let cloud = Recorded::default();
    cloud.on(VOLUME, [Reply::json(200, json!({ "volume": volume }))]);
    cloud.cloud().cinder.get_volume(id()).await
}

#[tokio::test(start_paused = true)]
async fn a_volume_is_read_as_cinder_shows_it() {
    let volume = with_answer(shown()).await.unwrap();
    assert_eq!((volume.id, volume.status, volume.size), (id(), Status::InUse, 1));
    assert_eq!(volume.updated_at, Some("2026-11-23T13:20:02Z".parse().unwrap()));
    assert!(volume.bootable && !volume.encrypted);
    assert_eq!(volume.metadata["k"], "v");
    let server = "ef6740af-f1f7-447c-a75c-fd4fc1da835b".parse().unwrap();
    assert_eq!(volume.attachments[0].server_id, Some(server));
    assert_eq!(volume.attachments[0].device.as_deref(), Some("/dev/sda"));
}

#[tokio::test(start_paused = true)]
async fn what_may_be_absent_may_be_null_too() {
    let optional = [
        "name",
        "metadata",
        "attachments",
        "bootable",
        "encrypted",
        "multiattach",
        "created_at",
        "updated_at",
        "availability_zone",
        "volume_type",
        "snapshot_id",
    ];
    for field in optional {
        let (mut absent, mut null) = (shown(), shown());
        absent.as_object_mut().unwrap().remove(field);
        null[field] = Value::Null;
        assert_eq!(with_answer(absent).await.unwrap(), with_answer(null).await.unwrap(), "{field}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_lost_its_status_makes_no_list_unreadable() {
    let mut statusless = shown();
    statusless["status"] = Value::Null;
    let cloud = Recorded::default();
    cloud.on(DETAIL, [Reply::json(200, json!({"volumes": [statusless, shown()]}))]);
    let volumes = cloud.cloud().cinder.list_volumes_named("node-3-root").await.unwrap();
    assert_eq!(volumes[0].status, Status::Other("none".to_owned()));
    assert_eq!(volumes[1].status, Status::InUse);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_type_is_malformed_and_names_the_request() {
    for (field, wrong) in [
        ("id", json!("not-a-uuid")),
        ("id", Value::Null),
        ("size", json!("1")),
        ("size", json!(-1)),
        ("size", Value::Null),
        ("status", json!(7)),
        ("metadata", json!([])),
        ("attachments", json!("none")),
        ("attachments", json!([{"server_id": 7}])),
        ("created_at", json!("yesterday")),
        ("encrypted", json!("maybe")),
    ] {
        let mut volume = shown();
        volume[field] = wrong.clone();
        let error = with_answer(volume).await.unwrap_err();
        assert_eq!((error.kind, error.effect), (Kind::Malformed, Effect::None), "{field} {wrong}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_creation_whose_answer_cannot_be_read_is_in_doubt() {
    for body in ["", "<html><title>Login</title></html>", "{}", "[]", "{\"volume\": {}}", "{\"volume\": "] {
        let cloud = Recorded::default();
        cloud.on(CREATE, [Reply::new(202, body).header("x-openstack-request-id", "req-9")]);
        let error = cloud.cloud().cinder.create_volume(&new()).await.unwrap_err();
        assert_eq!((error.kind, error.effect), (Kind::Malformed, Effect::Unknown), "{body}");
        assert_eq!(error.request_id.as_deref(), Some("req-9"));
    }
}

fn new() -> NewVolume {
    NewVolume {
        name: "pvc-1".into(),
        description: "d".into(),
        size: 3,
        volume_type: Some("fast".into()),
        availability_zone: None,
        origin: None,
        hints: Hints::default(),
        metadata: BTreeMap::from([("a".into(), "b".into())]),
    }
}

#[tokio::test(start_paused = true)]
async fn a_creation_sends_what_was_given_and_nothing_else() {
    let cloud = Recorded::default();
    cloud.on(CREATE, [Reply::json(202, json!({ "volume": shown() }))]);
    cloud.cloud().cinder.create_volume(&new()).await.unwrap();
    let body: Value = serde_json::from_slice(&cloud.seen(CREATE)[0].body).unwrap();
    let expected = json!({"name": "pvc-1", "description": "d", "size": 3, "volume_type": "fast", "metadata": {"a": "b"}});
    assert_eq!(body, json!({ "volume": expected }));
}

#[tokio::test(start_paused = true)]
async fn an_extension_wants_a_microversion_only_where_the_volume_is_attached() {
    let call = format!("POST /volume/v3/p/volumes/{VOLUME_ID}/action");
    let cloud = Recorded::default();
    cloud.on(&call, [Reply::new(202, "")]);
    let cinder = cloud.cloud().cinder;
    cinder.extend_volume(id(), 2, false).await.unwrap();
    cinder.extend_volume(id(), 2, true).await.unwrap();
    let versions: Vec<_> = cloud
        .seen(&call)
        .iter()
        .map(|seen| seen.header("openstack-api-version").map(str::to_owned))
        .collect();
    assert_eq!(versions, [None, Some("volume 3.42".to_owned())]);
    assert_eq!(cloud.seen(&call)[0].body, r#"{"os-extend":{"new_size":2}}"#);
}

#[tokio::test(start_paused = true)]
async fn pages_are_followed_by_marker_on_our_own_host() {
    let next = |volume: &Value| json!([{"rel": "next", "href": format!("http://inner/x?marker={}", volume["id"].as_str().unwrap())}]);
    let cloud = Recorded::default();
    cloud.on(
        DETAIL,
        [
            Reply::json(200, json!({"volumes": [small(1)], "volumes_links": next(&small(1))})),
            Reply::json(200, json!({"volumes": [small(2)], "volumes_links": next(&small(2))})),
            Reply::json(200, json!({"volumes": []})),
        ],
    );
    let volumes = cloud.cloud().cinder.list_volumes_named("n").await.unwrap();
    assert_eq!(volumes.len(), 2);
    let queries: Vec<_> = cloud.seen(DETAIL).into_iter().map(|seen| seen.query).collect();
    assert_eq!(
        queries,
        [
            "name=n",
            "name=n&marker=00000000-0000-4000-8000-000000000001",
            "name=n&marker=00000000-0000-4000-8000-000000000002"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_list_that_never_ends_is_malformed() {
    let page = |marker: &str| {
        let links = json!([{"rel": "next", "href": format!("?marker={marker}")}]);
        Reply::json(200, json!({"volumes": [small(1)], "volumes_links": links}))
    };
    let around = (0..9).map(|n| page(["1", "2"][n % 2])).collect();
    let ever_on = (0..1100).map(|n| page(&n.to_string())).collect();
    for (pages, asked) in [(vec![page("1")], 2), (around, 3), (ever_on, 1001)] {
        let cloud = Recorded::default();
        cloud.on(DETAIL, pages);
        let ended = cloud.cloud().cinder.list_volumes_named("n").await.unwrap_err();
        assert_eq!((ended.kind, cloud.count(DETAIL)), (Kind::Malformed, asked));
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_is_asked_for_oldest_first_with_its_limit_and_its_filters() {
    let href = format!("http://c/v3/p/volumes/detail?limit=1&marker={VOLUME_ID}");
    let page = json!({"volumes": [shown()], "volumes_links": [{"rel": "next", "href": href}]});
    let cloud = Recorded::default();
    cloud.on(DETAIL, [Reply::json(200, page)]);
    let cinder = cloud.cloud().cinder;
    let search = Search {
        limit: Some(1),
        metadata: Some(("k", "it's \"é\"".to_owned())),
        created_from: Some("2026-11-23T13:19:58.9Z".parse().unwrap()),
        ..Search::default()
    };
    let page = cinder.list_volumes::<Row>(&search).await.unwrap();
    assert_eq!(page.next, Some(id()));
    let row = &page.volumes[0];
    assert_eq!((row.id, row.size, row.attachments.len()), (id(), 1, 1));
    let asked = &cloud.seen(DETAIL)[0];
    assert_eq!(asked.header("openstack-api-version"), Some("volume 3.60"));
    let query = url::form_urlencoded::parse(asked.query.as_bytes()).into_owned().collect::<BTreeMap<_, _>>();
    assert_eq!(query["sort"], "created_at:asc,id:asc");
    assert_eq!(query["metadata"], r#"{"k":"it's \"é\""}"#);
    assert_eq!((query["limit"].as_str(), query["created_at"].as_str()), ("1", "gte:2026-11-23T13:19:58"));
    let search = Search { after: Some(id()), ..Search::default() };
    let again = cinder.list_volumes::<Row>(&search).await.unwrap_err();
    assert_eq!(again.kind, Kind::Malformed, "the same page for ever");
    let asked = &cloud.seen(DETAIL)[1];
    assert!(asked.query.ends_with(&format!("&marker={VOLUME_ID}")), "{}", asked.query);
    assert_eq!(asked.header("openstack-api-version"), None);
}

#[tokio::test(start_paused = true)]
async fn changes_are_asked_for_in_whole_seconds_and_carry_the_clouds_clock() {
    let cloud = Recorded::default();
    let reply =
        Reply::json(200, json!({"volumes": [shown()]})).header("Date", "Mon, 23 Nov 2020 13:36:28 GMT");
    cloud.on(DETAIL, [reply]);
    let cinder = cloud.cloud().cinder;
    assert_eq!(cinder.clock(), pace::now());
    let since = httpdate::parse_http_date("Mon, 23 Nov 2020 13:36:25 GMT").unwrap();
    let changes = cinder.list_volumes_changed_since(since + Duration::from_millis(900)).await.unwrap();
    assert_eq!(cloud.seen(DETAIL)[0].query, "updated_at=gte%3A2020-11-23T13%3A36%3A25");
    assert_eq!(changes.date, Some(since + Duration::from_secs(3)));
    pace::sleep(Duration::from_secs(2)).await;
    assert_eq!(cinder.clock(), since + Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn the_newest_message_is_found() {
    let messages = json!({"messages": [
        {"user_message": "old", "created_at": "2026-01-01T00:00:00.000000"},
        {"user_message": "schedule allocate volume:Could not find any available weighted backend.",
         "created_at": "2026-01-02T00:00:00.000000", "request_id": "req-1"},
        {"user_message": "without an id.", "created_at": "2026-01-01T12:00:00.000000", "request_id": null}
    ]});
    let cloud = Recorded::default();
    cloud.on("GET /volume/v3/p/messages", [Reply::json(200, messages)]);
    let message = cloud.cloud().cinder.find_message(id()).await.unwrap().unwrap().to_string();
    assert!(message.ends_with("weighted backend (request req-1)"), "{message}");
    let asked = &cloud.seen("GET /volume/v3/p/messages")[0];
    assert_eq!(asked.query, format!("resource_uuid={VOLUME_ID}"));
    assert_eq!(asked.header("openstack-api-version"), Some("volume 3.5"), "older ones answer every volume's");
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_is_not_there_is_none() {
    let cloud = Recorded::default();
    assert_eq!(cloud.cloud().cinder.find_volume(id()).await.unwrap(), None);
    cloud.on(VOLUME, [Reply::new(400, "no")]);
    assert_eq!(cloud.cloud().cinder.find_volume(id()).await.unwrap_err().kind, Kind::Refused);
}

#[tokio::test(start_paused = true)]
async fn an_rpc_knows_its_calls_without_the_shared_token() {
    let cloud = Recorded::default();
    cloud.on(VOLUME, [Reply::new(503, "").header("x-openstack-request-id", "req-1"), volume("available")]);
    let cinder = cloud.cloud().cinder;
    let (result, record) = ledger::recorded(cinder.get_volume(id())).await;
    result.unwrap();
    assert_eq!(record.to_string(), "2 calls, requests req-1");
}
