use serde_json::Value;

use super::super::super::BackupId;
use super::super::super::recorded::{Recorded, Reply, VOLUME_ID};
use super::*;

const BACKUP_ID: &str = "b1b2c3d4-0000-4000-8000-000000000001";
const SNAPSHOT_ID: &str = "d1b2c3d4-0000-4000-8000-000000000001";
const SHOW: &str = "GET /volume/v3/p/backups/b1b2c3d4-0000-4000-8000-000000000001";
const UPDATE: &str = "PUT /volume/v3/p/backups/b1b2c3d4-0000-4000-8000-000000000001";
const CREATE: &str = "POST /volume/v3/p/backups";

fn id() -> BackupId {
    BACKUP_ID.parse().unwrap()
}

fn shown() -> Value {
    json!({
        "id": BACKUP_ID, "status": "creating", "size": 1, "object_count": 0, "availability_zone": "az1",
        "container": null, "created_at": "2026-11-23T13:20:02.000000", "updated_at": null, "name": "snap-1",
        "description": "d", "fail_reason": null, "volume_id": VOLUME_ID, "links": [], "is_incremental": false,
        "has_dependent_backups": false, "snapshot_id": SNAPSHOT_ID,
        "data_timestamp": "2026-11-23T13:19:58.000000", "metadata": {"k": "v"}
    })
}

fn new(availability_zone: Option<&str>) -> NewBackup {
    NewBackup {
        name: "snap-1".to_owned(),
        description: "d".to_owned(),
        volume_id: VOLUME_ID.parse().unwrap(),
        snapshot_id: SNAPSHOT_ID.parse().unwrap(),
        availability_zone: availability_zone.map(str::to_owned),
        metadata: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
    }
}

#[tokio::test(start_paused = true)]
async fn a_backup_is_read_as_cinder_shows_it() {
    let cloud = Recorded::default();
    let mut imported = shown();
    imported["size"] = Value::Null;
    let replies = [shown(), imported].map(|backup| Reply::json(200, json!({ "backup": backup })));
    cloud.on(SHOW, replies);
    let cinder = cloud.cloud().cinder;
    let backup = cinder.find_backup(id()).await.unwrap().unwrap();
    assert_eq!((backup.id, backup.status, backup.size), (id(), BackupStatus::Creating, 1));
    assert_eq!(backup.snapshot_id, Some(SNAPSHOT_ID.parse().unwrap()));
    assert_eq!(backup.data_timestamp, Some("2026-11-23T13:19:58Z".parse().unwrap()));
    assert_eq!(backup.metadata["k"], "v");
    assert_eq!(cloud.seen(SHOW)[0].header("openstack-api-version"), Some("volume 3.43"));
    assert_eq!(cinder.find_backup(id()).await.unwrap().unwrap().size, 0);
}

#[tokio::test(start_paused = true)]
async fn a_backup_is_asked_for_with_the_microversion_that_it_needs() {
    let cloud = Recorded::default();
    let made = json!({"backup": {"id": BACKUP_ID, "name": "snap-1", "links": []}});
    cloud.on(CREATE, [Reply::json(202, made)]);
    let cinder = cloud.cloud().cinder;
    for (zone, version) in [(None, "volume 3.43"), (Some("az2"), "volume 3.51")] {
        assert_eq!(cinder.create_backup(&new(zone)).await.unwrap(), id());
        let seen = cloud.seen(CREATE);
        let asked = seen.last().unwrap();
        let body: Value = serde_json::from_slice(&asked.body).unwrap();
        assert_eq!(body["backup"]["availability_zone"].as_str(), zone);
        assert_eq!(body["backup"]["snapshot_id"], SNAPSHOT_ID);
        assert_eq!(asked.header("openstack-api-version"), Some(version));
    }
}

#[tokio::test(start_paused = true)]
async fn a_backups_metadata_is_written_as_a_whole() {
    let cloud = Recorded::default();
    cloud.on(UPDATE, [Reply::new(503, ""), Reply::json(200, json!({"backup": {}}))]);
    cloud.cloud().cinder.replace_backup_metadata(id(), &new(None).metadata).await.unwrap();
    let seen = cloud.seen(UPDATE);
    assert_eq!(seen.len(), 2, "it is safe to repeat");
    let body: Value = serde_json::from_slice(&seen[1].body).unwrap();
    assert_eq!(body, json!({"backup": {"metadata": {"k": "v"}}}));
}

#[test]
fn a_status_is_shown_as_it_was_read() {
    for text in ["creating", "available", "restoring", "deleting", "error", "error_deleting", "odd"] {
        assert_eq!(BackupStatus::from(text.to_owned()).to_string(), text);
    }
}
