//! Snapshots, their states, and how they fail.

use cinder_csi::pace::sleep as wait;
use cinder_csi::sandbox::{Latency, Mishap, Operation, Settings};
use http::Method;
use serde_json::{Value, json};

use super::bed::{SECOND, attached, cloud_of, slow_cloud};
use super::client::Client;

async fn snapshot_of(client: &Client, fields: Value) -> String {
    let reply = client.cinder(Method::POST, "/snapshots", "3.66", Some(json!({ "snapshot": fields }))).await;
    assert_eq!(reply.code, 202, "{}", reply.body);
    reply.body["snapshot"]["id"].as_str().unwrap().to_owned()
}

async fn show(client: &Client, id: &str) -> Value {
    client.cinder(Method::GET, &format!("/snapshots/{id}"), "3.66", None).await.body["snapshot"].clone()
}

async fn delete(client: &Client, id: &str) -> u16 {
    client.cinder(Method::DELETE, &format!("/snapshots/{id}"), "", None).await.code
}

async fn message(client: &Client, id: &str) -> Value {
    let path = format!("/messages?resource_uuid={id}");
    client.cinder(Method::GET, &path, "3.60", None).await.body["messages"][0].clone()
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_of_a_volume_in_use_keeps_what_it_was_given() {
    let cloud = slow_cloud();
    let client = Client::of(&cloud).await;
    let (_, volume) = attached(&cloud, &client).await;
    let key = "csi.storage.k8s.io/volumesnapshot/name";
    let wanted = json!({ "volume_id": volume, "name": "s", "description": "d", "metadata": { key: "v" } });
    let id = snapshot_of(&client, wanted).await;
    let shown = show(&client, &id).await;
    assert_eq!((&shown["status"], &shown["metadata"][key]), (&json!("creating"), &json!("v")));
    assert_eq!((&shown["description"], &shown["group_snapshot_id"]), (&json!("d"), &Value::Null));
    assert_eq!(delete(&client, &id).await, 400);
    assert_eq!(client.status(&volume).await, "in-use");
    wait(5 * SECOND).await;
    assert_eq!(show(&client, &id).await["status"], "available");
    assert_eq!(delete(&client, &id).await, 202);
    assert_eq!(
        (show(&client, &id).await["status"].as_str(), delete(&client, &id).await),
        (Some("deleting"), 400)
    );
    wait(5 * SECOND).await;
    assert_eq!((show(&client, &id).await, delete(&client, &id).await), (Value::Null, 404));
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_fails_says_so_and_can_be_deleted_unless_that_failed() {
    let cloud = slow_cloud();
    let client = Client::of(&cloud).await;
    let volume = client.volume("one").await;
    wait(5 * SECOND).await;
    cloud.mishap(Mishap::Fails(Operation::Snapshot, "no room".to_owned()));
    let id = snapshot_of(&client, json!({ "volume_id": volume })).await;
    wait(5 * SECOND).await;
    assert_eq!(show(&client, &id).await["status"], "error");
    let found = message(&client, &id).await;
    assert_eq!(found["user_message"], "create snapshot:Snapshot failed to create.");
    assert_eq!(found["resource_type"], "VOLUME_SNAPSHOT");
    cloud.mishap(Mishap::Fails(Operation::DeleteSnapshot, "busy".to_owned()));
    assert_eq!(delete(&client, &id).await, 202);
    wait(5 * SECOND).await;
    assert_eq!(show(&client, &id).await["status"], "error_deleting");
    assert_eq!(message(&client, &id).await["user_message"], "delete snapshot:Snapshot failed to delete.");
    assert_eq!((delete(&client, &id).await, client.delete(&volume).await.code), (400, 400));
}

#[tokio::test(start_paused = true)]
async fn metadata_of_a_snapshot_is_added_replaced_and_removed() {
    let cloud = cloud_of(Settings::default());
    let client = Client::of(&cloud).await;
    let volume = client.volume("one").await;
    let id = snapshot_of(&client, json!({ "volume_id": volume, "metadata": { "a": "1" } })).await;
    let path = format!("/snapshots/{id}/metadata");
    let call = async |method, path: &str, body: Value| client.cinder(method, path, "", Some(body)).await;
    let reply = call(Method::POST, &path, json!({ "metadata": { "b": "2" } })).await;
    assert_eq!((reply.code, &reply.body["metadata"]), (200, &json!({ "a": "1", "b": "2" })));
    let slash = call(Method::POST, &path, json!({ "metadata": { "x/y": "2" } })).await;
    assert_eq!(slash.code, 400, "only a new snapshot may have slashes in its keys");
    let reply = call(Method::PUT, &path, json!({ "metadata": { "c": "3" } })).await;
    assert_eq!(reply.body["metadata"], json!({ "c": "3" }));
    let key = format!("{path}/c");
    assert_eq!(client.cinder(Method::DELETE, &key, "", None).await.code, 200);
    assert_eq!(client.cinder(Method::DELETE, &key, "", None).await.code, 404);
    assert_eq!(show(&client, &id).await["metadata"], json!({}));
}

#[tokio::test(start_paused = true)]
async fn snapshots_count_against_their_quota_and_the_gigabytes() {
    let cloud = cloud_of(Settings { latency: Latency::fixed(SECOND), ..Settings::default() });
    let small = Client::log_in(
        cloud.http(),
        "http://sandbox.test/identity/v3",
        "csi-small",
        "labsecret",
        "k8s-small",
    )
    .await;
    let volume = small.volume_of(json!({ "size": 2, "name": "one" })).await;
    wait(2 * SECOND).await;
    let id = snapshot_of(&small, json!({ "volume_id": volume })).await;
    let reply = small.snapshot(&volume, "3.66", true).await;
    assert_eq!(reply.code, 413);
    assert!(reply.gist().contains("Requested 2G, quota is 4G and 4G has been consumed"), "{}", reply.gist());
    let limits =
        async || small.cinder(Method::GET, "/limits", "", None).await.body["limits"]["absolute"].clone();
    assert_eq!(limits().await["totalSnapshotsUsed"], 1);
    wait(2 * SECOND).await;
    delete(&small, &id).await;
    wait(2 * SECOND).await;
    let absolute = limits().await;
    assert_eq!((&absolute["totalSnapshotsUsed"], &absolute["totalGigabytesUsed"]), (&json!(0), &json!(2)));
}
