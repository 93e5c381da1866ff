//! The walk through copies and retypes of a volume in use.

use http::Method;
use serde_json::{Value, json};

use super::Walk;

impl Walk {
    pub(super) async fn copies_in_use(&mut self) {
        let (client, server) = (self.client.clone(), self.client.server("node-1").await);
        let volume = client.volume_of(json!({ "size": 1, "name": "cloud-used" })).await;
        let path = format!("/volumes/{volume}");
        client.until(&path, "available").await;
        client.attach(&server, &volume, "2.60").await;
        client.until(&path, "in-use").await;
        self.snapshots_in_use(&volume).await;
        self.clone_in_use(&volume).await;
        self.backup_in_use(&volume).await;
        self.retypes_in_use(&volume).await;
        client.detach(&server, &volume).await;
        client.until(&path, "available").await;
        self.retype(&volume, json!({ "new_type": "lab-multiattach", "migration_policy": "never" })).await;
        client.until(&path, "available").await;
        client.attach(&server, &volume, "2.60").await;
        client.until(&path, "in-use").await;
        self.retype(&volume, json!({ "new_type": "lab", "migration_policy": "never" })).await;
        client.detach(&server, &volume).await;
        client.until(&path, "available").await;
        client.delete(&volume).await;
        client.until(&path, "gone").await;
    }

    async fn snapshots_in_use(&mut self, volume: &str) {
        for (version, force) in [
            ("3.50", Value::Null),
            ("3.50", json!(false)),
            ("3.50", json!(true)),
            ("3.65", json!("no")),
            ("3.65", json!("yes")),
            ("3.65", json!("maybe")),
            ("3.66", Value::Null),
            ("3.66", json!(true)),
            ("3.66", json!("false")),
        ] {
            let mut snapshot = json!({ "volume_id": volume, "name": "cloud-used" });
            if !force.is_null() {
                snapshot["force"] = force.clone();
            }
            let what = format!("in-use: snapshot with force {force} at {version}");
            let body = Some(json!({ "snapshot": snapshot }));
            let reply = self.cinder(&what, Method::POST, "/snapshots", version, body).await;
            self.forget("snapshots", &reply.body["snapshot"]).await;
        }
    }

    async fn clone_in_use(&mut self, volume: &str) {
        let body = json!({ "volume": { "size": 1, "name": "cloud-clone", "source_volid": volume } });
        let reply = self.cinder("in-use: clone", Method::POST, "/volumes", "3.60", Some(body)).await;
        let clone = &reply.body["volume"];
        self.lines.push(format!("clone of | {}", clone["source_volid"] == volume));
        self.forget("volumes", clone).await;
        self.lines.push(format!("in-use: after it | {}", self.client.status(volume).await));
    }

    async fn backup_in_use(&mut self, volume: &str) {
        let wanted = json!({ "volume_id": volume, "name": "cloud-used" });
        self.backup("in-use: backup", wanted.clone()).await;
        let mut forced = wanted;
        forced["force"] = json!(false);
        self.backup("in-use: backup with force false", forced.clone()).await;
        forced["force"] = json!(true);
        let braked = self.brake.backup();
        let made = self.backup("in-use: backup with force true", forced).await;
        self.backing_up(volume).await;
        self.forget("backups", &made).await;
        drop(braked);
        self.lines.push(format!("in-use: after it | {}", self.client.status(volume).await));
    }

    async fn backup(&mut self, what: &str, wanted: Value) -> Value {
        let body = Some(json!({ "backup": wanted }));
        self.cinder(what, Method::POST, "/backups", "3.60", body).await.body["backup"].clone()
    }

    async fn backing_up(&mut self, volume: &str) {
        let (client, server) = (self.client.clone(), self.client.server("node-1").await);
        self.lines.push(format!("backup of it | {}", client.status(volume).await));
        self.note("backing-up: detach", &client.detach(&server, volume).await);
        self.note("backing-up: extend", &client.extend(volume, 2, "3.42").await);
        self.note("backing-up: snapshot", &client.snapshot(volume, "3.66", true).await);
        let clone = json!({ "volume": { "size": 1, "source_volid": volume } });
        self.cinder("backing-up: clone", Method::POST, "/volumes", "3.60", Some(clone)).await;
        let backup = json!({ "backup": { "volume_id": volume, "force": true } });
        self.cinder("backing-up: backup", Method::POST, "/backups", "3.60", Some(backup)).await;
        self.retype(volume, json!({ "new_type": "lab-fast" })).await;
    }

    async fn retypes_in_use(&mut self, volume: &str) {
        for arguments in [
            json!({ "new_type": "lab", "migration_policy": "never" }),
            json!({ "new_type": "lab-multiattach", "migration_policy": "never" }),
            json!({ "new_type": "nope", "migration_policy": "never" }),
            json!({ "new_type": "lab-fast", "migration_policy": "maybe" }),
            json!({ "new_type": "lab-fast", "migration_policy": null }),
            json!({ "new_type": "lab-fast", "migration_policy": 5 }),
            json!({ "new_type": 5 }),
            json!({ "migration_policy": "never" }),
            json!({ "new_type": "lab-fast", "x": 1 }),
            json!({ "new_type": "lab-nowhere", "migration_policy": "never" }),
            json!({ "new_type": "lab-fast", "migration_policy": "never" }),
        ] {
            self.retype(volume, arguments).await;
            self.client.until(&format!("/volumes/{volume}"), "in-use").await;
            let kind = self.client.show(volume).await["volume_type"].clone();
            self.lines.push(format!("type after it | {kind}"));
        }
    }

    async fn retype(&mut self, volume: &str, arguments: Value) {
        let status = self.client.status(volume).await;
        let what = format!("{status}: retype {arguments}");
        let reply = self.client.act(volume, "3.60", json!({ "os-retype": arguments })).await;
        self.note(&what, &reply);
    }

    /// Deletes what was made, where it was.
    pub(super) async fn forget(&mut self, kind: &str, made: &Value) {
        let Some(id) = made["id"].as_str() else { return };
        let path = format!("/{kind}/{id}");
        self.client.until(&path, "available").await;
        self.client.cinder(Method::DELETE, &path, "", None).await;
        self.client.until(&path, "gone").await;
    }
}
