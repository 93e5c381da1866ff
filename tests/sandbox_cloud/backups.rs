//! Backups, what they do to their source, and volumes made from them.

use cinder_csi::pace::sleep as wait;
use cinder_csi::sandbox::{Latency, LoopDevices, Mishap, Operation, Settings, SimulatedCloud};
use http::Method;
use serde_json::{Value, json};

use super::bed::{SECOND, attached, cloud_of, slow_cloud};
use super::client::{Client, Reply};

async fn post(client: &Client, fields: Value) -> Reply {
    client.cinder(Method::POST, "/backups", "3.51", Some(json!({ "backup": fields }))).await
}

async fn backup_of(client: &Client, fields: Value) -> String {
    let reply = post(client, fields).await;
    assert_eq!(reply.code, 202, "{}", reply.body);
    assert_eq!(reply.gist(), "backup: id links name");
    reply.body["backup"]["id"].as_str().unwrap().to_owned()
}

async fn show(client: &Client, id: &str) -> Value {
    client.cinder(Method::GET, &format!("/backups/{id}"), "3.51", None).await.body["backup"].clone()
}

async fn delete(client: &Client, id: &str) -> Reply {
    client.cinder(Method::DELETE, &format!("/backups/{id}"), "", None).await
}

async fn message(client: &Client, id: &str) -> Value {
    let path = format!("/messages?resource_uuid={id}");
    client.cinder(Method::GET, &path, "3.60", None).await.body["messages"][0]["user_message"].clone()
}

async fn snapshot_of(client: &Client, volume: &str) -> String {
    client.snapshot(volume, "3.66", true).await.body["snapshot"]["id"].as_str().unwrap().to_owned()
}

async fn snapshot_status(client: &Client, id: &str) -> Value {
    client.cinder(Method::GET, &format!("/snapshots/{id}"), "", None).await.body["snapshot"]["status"].clone()
}

#[tokio::test(start_paused = true)]
async fn a_backup_of_a_volume_holds_the_volume_and_needs_force_in_use() {
    let cloud = slow_cloud();
    let client = Client::of(&cloud).await;
    let (server, volume) = attached(&cloud, &client).await;
    let refused = post(&client, json!({ "volume_id": volume })).await;
    assert!(refused.gist().contains("must use the force flag"), "{}", refused.gist());
    let id = backup_of(&client, json!({ "volume_id": volume, "force": true })).await;
    assert_eq!(client.status(&volume).await, "backing-up");
    assert_eq!((client.detach(&server, &volume).await.code, delete(&client, &id).await.code), (400, 400));
    wait(5 * SECOND).await;
    assert_eq!(
        (client.status(&volume).await.as_str(), &show(&client, &id).await["status"]),
        ("in-use", &json!("available"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_backup_of_a_snapshot_holds_the_snapshot_and_outlives_it_and_the_volume() {
    let cloud = slow_cloud();
    let client = Client::of(&cloud).await;
    let (server, volume) = attached(&cloud, &client).await;
    let snapshot = snapshot_of(&client, &volume).await;
    assert_eq!(post(&client, json!({ "volume_id": volume, "snapshot_id": snapshot })).await.code, 400);
    wait(5 * SECOND).await;
    let wanted =
        json!({ "volume_id": volume, "snapshot_id": snapshot, "name": "b", "metadata": { "a/b": "c" } });
    let id = backup_of(&client, wanted).await;
    let shown = show(&client, &id).await;
    assert_eq!(
        (&shown["status"], &shown["metadata"], &shown["size"]),
        (&json!("creating"), &json!({ "a/b": "c" }), &json!(1))
    );
    assert_eq!((&shown["snapshot_id"], &shown["availability_zone"]), (&json!(snapshot), &Value::Null));
    assert_eq!(
        (snapshot_status(&client, &snapshot).await, client.status(&volume).await.as_str()),
        (json!("backing-up"), "in-use")
    );
    let path = format!("/snapshots/{snapshot}");
    assert_eq!(client.cinder(Method::DELETE, &path, "", None).await.code, 400);
    wait(5 * SECOND).await;
    assert_eq!(
        (snapshot_status(&client, &snapshot).await, &show(&client, &id).await["availability_zone"]),
        (json!("available"), &json!("az1"))
    );
    client.cinder(Method::DELETE, &path, "", None).await;
    client.detach(&server, &volume).await;
    wait(5 * SECOND).await;
    client.delete(&volume).await;
    wait(5 * SECOND).await;
    let listed = client
        .cinder(
            Method::GET,
            &format!("/backups/detail?volume_id={volume}&name=B&status=available"),
            "3.51",
            None,
        )
        .await;
    assert_eq!(listed.body["backups"][0]["id"], json!(id));
    assert!(cloud.inventory().contains(&format!("backup {id} (available)")));
    let path = format!("/backups/{id}");
    let update = Some(json!({ "backup": { "metadata": { "d": "e" } } }));
    assert_eq!(client.cinder(Method::PUT, &path, "3.43", update.clone()).await.code, 200);
    assert_eq!(show(&client, &id).await["metadata"], json!({ "d": "e" }), "what was there is gone");
    assert_eq!(client.cinder(Method::PUT, &path, "3.42", update).await.code, 400);
    assert_eq!(delete(&client, &id).await.code, 202);
    wait(5 * SECOND).await;
    assert_eq!(delete(&client, &id).await.gist(), format!("itemNotFound: Backup {id} could not be found."));
}

#[tokio::test(start_paused = true)]
async fn a_volume_from_a_backup_stays_creating_until_it_has_the_data() {
    let cloud = slow_cloud();
    let client = Client::of(&cloud).await;
    let volume = client.volume_of(json!({ "size": 2 })).await;
    wait(5 * SECOND).await;
    let id = backup_of(&client, json!({ "volume_id": volume })).await;
    wait(5 * SECOND).await;
    let smaller = json!({ "volume": { "size": 1, "backup_id": id } });
    let reply = client.cinder(Method::POST, "/volumes", "3.60", Some(smaller)).await;
    assert!(reply.gist().contains("cannot be smaller than the backup size 2GB"), "{}", reply.gist());
    let elsewhere = json!({ "size": 3, "backup_id": id, "availability_zone": "az2" });
    let restored = client.volume_of(elsewhere).await;
    wait(5 * SECOND).await;
    assert_eq!(
        (client.status(&restored).await.as_str(), &show(&client, &id).await["status"]),
        ("creating", &json!("restoring"))
    );
    assert_eq!(delete(&client, &id).await.code, 400);
    wait(9 * SECOND).await;
    let shown = client.show(&restored).await;
    assert_eq!((&shown["status"], &shown["availability_zone"]), (&json!("available"), &json!("az2")));
    assert_eq!(shown["metadata"]["src_backup_id"], json!(id), "Cinder writes where the data came from");
    assert_eq!(show(&client, &id).await["status"], "available");
    cloud.mishap(Mishap::Fails(Operation::Restore, "no".to_owned()));
    let broken = client.volume_of(json!({ "backup_id": id })).await;
    wait(9 * SECOND).await;
    assert_eq!(client.status(&broken).await, "error_restoring");
    assert_eq!(client.delete(&broken).await.code, 202);
    let restore = Some(json!({ "restore": { "volume_id": restored } }));
    let path = format!("/backups/{id}/restore");
    assert_eq!(client.cinder(Method::POST, &path, "", restore).await.code, 202);
    assert_eq!(client.status(&restored).await, "restoring-backup");
}

#[tokio::test(start_paused = true)]
async fn a_backup_that_fails_says_why_and_a_delete_that_fails_ends_in_error() {
    let cloud = slow_cloud();
    let client = Client::of(&cloud).await;
    let volume = client.volume("one").await;
    wait(5 * SECOND).await;
    cloud.mishap(Mishap::Fails(Operation::Backup, "the store is full".to_owned()));
    let id = backup_of(&client, json!({ "volume_id": volume })).await;
    wait(5 * SECOND).await;
    let shown = show(&client, &id).await;
    assert_eq!((&shown["status"], &shown["fail_reason"]), (&json!("error"), &json!("the store is full")));
    assert_eq!(message(&client, &id).await, "create backup:Backup driver failed to create backup.");
    assert_eq!(client.status(&volume).await, "available");
    cloud.mishap(Mishap::Fails(Operation::DeleteBackup, "the store is gone".to_owned()));
    assert_eq!(delete(&client, &id).await.code, 202);
    wait(5 * SECOND).await;
    assert_eq!(show(&client, &id).await["status"], "error");
    assert_eq!(message(&client, &id).await, "delete backup:Backup driver failed to delete backup.");
}

#[tokio::test(start_paused = true)]
async fn an_incremental_backup_needs_a_full_one_and_holds_it() {
    let cloud = cloud_of(Settings::default());
    let client = Client::of(&cloud).await;
    let volume = client.volume("one").await;
    let refused = post(&client, json!({ "volume_id": volume, "incremental": true })).await;
    assert_eq!(
        refused.gist(),
        "badRequest: Invalid backup: No backups available to do an incremental backup."
    );
    let full = backup_of(&client, json!({ "volume_id": volume })).await;
    wait(SECOND).await;
    let added = backup_of(&client, json!({ "volume_id": volume, "incremental": true })).await;
    assert_eq!(show(&client, &added).await["is_incremental"], true);
    assert_eq!(show(&client, &full).await["has_dependent_backups"], true);
    assert_eq!(
        delete(&client, &full).await.gist(),
        "badRequest: Invalid backup: Incremental backups exist for this backup."
    );
    assert_eq!((delete(&client, &added).await.code, show(&client, &added).await), (202, Value::Null));
    assert_eq!(delete(&client, &full).await.code, 202);
}

#[tokio::test(start_paused = true)]
async fn without_a_backup_service_nothing_is_as_it_was() {
    let cloud = cloud_of(Settings {
        backup_zones: Some(Vec::new()),
        latency: Latency::fixed(SECOND),
        ..Settings::default()
    });
    let client = Client::of(&cloud).await;
    let volume = client.volume("one").await;
    wait(2 * SECOND).await;
    let snapshot = snapshot_of(&client, &volume).await;
    wait(2 * SECOND).await;
    let id = backup_of(&client, json!({ "volume_id": volume, "snapshot_id": snapshot })).await;
    wait(2 * SECOND).await;
    assert_eq!(show(&client, &id).await["fail_reason"], "Service not found for creating backup.");
    assert_eq!(
        client.show(&volume).await["status"],
        Value::Null,
        "Cinder gives it the status before its last pause"
    );
    assert_eq!(snapshot_status(&client, &snapshot).await, "backing-up");
    assert_eq!(delete(&client, &id).await.gist(), "itemNotFound: Service cinder-backup could not be found.");
    assert_eq!(show(&client, &id).await["status"], "error", "that 404 was not about the backup");
}

#[tokio::test(start_paused = true)]
async fn backups_count_against_quotas_of_their_own() {
    let quota = cinder_csi::sandbox::Quota { backups: 2, backup_gigabytes: 3, ..Default::default() };
    let cloud = cloud_of(Settings { quota, ..Settings::default() });
    let client = Client::of(&cloud).await;
    let (small, large) = (client.volume("one").await, client.volume_of(json!({ "size": 3 })).await);
    backup_of(&client, json!({ "volume_id": small })).await;
    let refused = post(&client, json!({ "volume_id": large })).await;
    assert_eq!(refused.code, 413);
    assert!(
        refused.gist().contains("Requested 3G, quota is 3G and 1G has been consumed"),
        "{}",
        refused.gist()
    );
    let second = backup_of(&client, json!({ "volume_id": small })).await;
    let refused = post(&client, json!({ "volume_id": small })).await.gist();
    assert_eq!(refused, "overLimit: BackupLimitExceeded: Maximum number of backups allowed (2) exceeded");
    let used = async || {
        client.cinder(Method::GET, "/limits", "", None).await.body["limits"]["absolute"]["totalBackupsUsed"]
            .clone()
    };
    assert_eq!(used().await, 2);
    delete(&client, &second).await;
    assert_eq!(used().await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_new_backup_or_snapshot_may_be_missing_from_lists_for_a_while() {
    let cloud = cloud_of(Settings::default());
    let client = Client::of(&cloud).await;
    let volume = client.volume("one").await;
    cloud.mishap(Mishap::Unlisted(Operation::Backup, 10 * SECOND));
    cloud.mishap(Mishap::Unlisted(Operation::Snapshot, 10 * SECOND));
    let id = backup_of(&client, json!({ "volume_id": volume })).await;
    snapshot_of(&client, &volume).await;
    let listed = async |kind: &str| {
        let reply = client.cinder(Method::GET, &format!("/{kind}/detail"), "", None).await;
        reply.body[kind].as_array().unwrap().len()
    };
    assert_eq!((listed("backups").await, listed("snapshots").await), (0, 0));
    assert_eq!(show(&client, &id).await["id"], json!(id));
    wait(11 * SECOND).await;
    assert_eq!((listed("backups").await, listed("snapshots").await), (1, 1));
}

/// Needs root.
#[tokio::test]
async fn loop_data_of_a_backup_outlives_its_volume() {
    assert!(LoopDevices::are_possible(), "this test needs root and /dev/loop-control");
    let root = tempfile::tempdir().unwrap();
    let cloud = SimulatedCloud::new(Settings::default());
    cloud.plug_into(Box::new(LoopDevices::new(root.path()).unwrap()));
    let client = Client::of(&cloud).await;
    let server = cloud.server_id("node-1");
    let volume = client.volume("one").await;
    let link = |volume: &str| {
        LoopDevices::device_dir(root.path(), &server).join(format!("virtio-{}", &volume[..20]))
    };
    client.attach(&server, &volume, "2.60").await;
    client.until(&format!("/volumes/{volume}"), "in-use").await;
    std::fs::write(link(&volume), b"kept").unwrap();
    std::fs::File::open(link(&volume)).unwrap().sync_all().unwrap();
    client.detach(&server, &volume).await;
    client.until(&format!("/volumes/{volume}"), "available").await;
    let id = backup_of(&client, json!({ "volume_id": volume })).await;
    client.until(&format!("/backups/{id}"), "available").await;
    client.delete(&volume).await;
    client.until(&format!("/volumes/{volume}"), "gone").await;
    let restored = client.volume_of(json!({ "backup_id": id })).await;
    client.until(&format!("/volumes/{restored}"), "available").await;
    client.attach(&server, &restored, "2.60").await;
    client.until(&format!("/volumes/{restored}"), "in-use").await;
    assert_eq!(&std::fs::read(link(&restored)).unwrap()[..4], b"kept");
    cloud.unplug_all();
}
