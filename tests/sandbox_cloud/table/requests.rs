//! The walk through what a request may have in it: metadata, and hints for the scheduler.

use http::Method;
use serde_json::{Value, json};

use super::{NOBODY, Walk};

impl Walk {
    pub(super) async fn requests(&mut self) {
        self.bad_fields().await;
        self.unknown_fields().await;
        self.hints().await;
        self.slashes().await;
    }

    async fn bad_fields(&mut self) {
        let long = "x".repeat(256);
        for (kind, fields) in [
            ("volume", json!({ "size": 1, "snapshot_id": "x" })),
            ("volume", json!({ "size": 1, "source_volid": 5 })),
            ("volume", json!({ "size": 1, "backup_id": "x" })),
            ("volume", json!({ "size": 1, "description": long })),
            ("volume", json!({ "size": 1, "name": 5 })),
            ("volume", json!({ "size": 1, "volume_type": 5 })),
            ("volume", json!({ "size": 1, "metadata": ["a"] })),
            ("volume", json!({ "size": 1, "metadata": { "a/b": "c", "d,e": "f" } })),
            ("volume", json!({ "size": 1, "metadata": { "a": 1 } })),
            ("volume", json!({ "size": 1, "foo": "bar" })),
            ("snapshot", json!({})),
            ("snapshot", json!({ "volume_id": "x" })),
            ("snapshot", json!({ "volume_id": null })),
            ("snapshot", json!({ "volume_id": NOBODY, "name": 5 })),
            ("snapshot", json!({ "volume_id": NOBODY, "description": long })),
            ("snapshot", json!({ "volume_id": NOBODY, "metadata": "a" })),
            ("snapshot", json!({ "volume_id": NOBODY, "force": 1 })),
            ("snapshot", json!({ "volume_id": NOBODY, "foo": "bar" })),
            ("backup", json!({})),
            ("backup", json!({ "volume_id": "x" })),
            ("backup", json!({ "volume_id": null })),
            ("backup", json!({ "volume_id": NOBODY, "snapshot_id": "x" })),
            ("backup", json!({ "volume_id": NOBODY, "name": long })),
            ("backup", json!({ "volume_id": NOBODY, "incremental": "maybe" })),
            ("backup", json!({ "volume_id": NOBODY, "metadata": { "a,b": "c" } })),
            ("backup", json!({ "volume_id": NOBODY, "foo": "bar" })),
            ("group", json!({ "group_type": "lab-consistent" })),
            ("group", json!({ "volume_types": ["lab"] })),
            ("group", json!({ "group_type": 5, "volume_types": ["lab"] })),
            ("group_snapshot", json!({})),
            ("group_snapshot", json!({ "group_id": "x" })),
        ] {
            let what =
                format!("{kind} of {}", fields.to_string().replace(NOBODY, "{id}").replace(&long, "{long}"));
            let body = Some(json!({ kind: fields }));
            let reply = self.client.cinder(Method::POST, &format!("/{kind}s"), "3.60", body).await;
            let gist = super::without_ids(&reply.gist()).replace(&long, "{long}");
            self.lines.push(format!("{what} | {} | {gist}", reply.code));
        }
    }

    /// Below 3.53 Cinder passes over what it doesn't know; backups it knows at any microversion.
    async fn unknown_fields(&mut self) {
        for (field, version) in [("backup_id", "3.46"), ("foo", "3.52")] {
            let body = json!({ "volume": { "size": 1, "name": "cloud-unknown", field: NOBODY } });
            let what = format!("volume with {field} at {version}");
            let reply = self.cinder(&what, Method::POST, "/volumes", version, Some(body)).await;
            self.forget("volumes", &reply.body["volume"]).await;
        }
    }

    /// A form may be wrong, or what is hinted at may be nowhere.
    async fn hints(&mut self) {
        for hints in [
            json!({ "same_host": NOBODY }),
            json!({ "same_host": [NOBODY] }),
            json!({ "different_host": NOBODY, "same_host": [] }),
            json!({ "different_host": [NOBODY], "nope": 1 }),
            json!({ "query": "[\"=\", \"$free_capacity_gb\", 5]" }),
            json!({ "local_to_instance": null }),
            json!(null),
            json!({ "same_host": "pvc-1" }),
            json!({ "same_host": ["pvc-1"] }),
            json!({ "different_host": [NOBODY, NOBODY] }),
            json!({ "different_host": null }),
            json!({ "different_host": 5 }),
            json!({ "local_to_instance": 5 }),
            json!({ "query": 5 }),
            json!("same_host"),
        ] {
            let body = json!({ "volume": { "size": 1 }, "OS-SCH-HNT:scheduler_hints": hints });
            let what = format!("hints {}", hints.to_string().replace(NOBODY, "{id}"));
            let reply = self.client.cinder(Method::POST, "/volumes", "3.60", Some(body)).await;
            let Some(id) = reply.body["volume"]["id"].as_str() else {
                self.note(&what, &reply);
                continue;
            };
            let path = format!("/volumes/{id}");
            let status = self.client.until_not(&path, "creating").await;
            self.lines.push(format!("{what} | {} | {status}", reply.code));
            self.client.delete(id).await;
            self.client.until(&path, "gone").await;
        }
    }

    async fn slashes(&mut self) {
        let metadata = json!({ "a/b": "c", "d e": "f", "g.h:i_j-k": "l" });
        let wanted = json!({ "size": 1, "name": "cloud-slash", "metadata": metadata });
        let volume = self.client.volume_of(wanted).await;
        let path = format!("/volumes/{volume}");
        self.client.until(&path, "available").await;
        let wanted =
            json!({ "snapshot": { "volume_id": volume, "name": "cloud-slash", "metadata": metadata } });
        let reply = self.client.cinder(Method::POST, "/snapshots", "3.60", Some(wanted)).await;
        let snapshot = format!("/snapshots/{}", reply.body["snapshot"]["id"].as_str().unwrap());
        self.client.until(&snapshot, "available").await;
        for (what, path) in [("volume", &path), ("snapshot", &snapshot)] {
            self.metadata_of(what, &format!("{path}/metadata")).await;
        }
        self.client.cinder(Method::DELETE, &snapshot, "", None).await;
        self.client.until(&snapshot, "gone").await;
        self.client.delete(&volume).await;
        self.client.until(&path, "gone").await;
    }

    async fn metadata_of(&mut self, what: &str, path: &str) {
        self.change(what, Method::POST, path, json!({ "metadata": { "m/n": "o" } })).await;
        self.change(what, Method::POST, path, json!({ "metadata": { "m,n": "o" } })).await;
        self.change(what, Method::POST, path, json!({ "metadata": { "m": null } })).await;
        self.change(what, Method::POST, path, json!({ "metadata": {} })).await;
        self.change(what, Method::PUT, path, json!({ "metadata": { "m": "n", "p/q": "r" } })).await;
        self.change(what, Method::PUT, path, json!({ "metadata": { "m": "n" } })).await;
        self.change(what, Method::PUT, &format!("{path}/m"), json!({ "meta": { "m": "o" } })).await;
        self.change(what, Method::PUT, &format!("{path}/m"), json!({ "meta": { "o": "m" } })).await;
        self.change(what, Method::PUT, &format!("{path}/m"), json!({ "meta": { "m": "n", "o": "p" } })).await;
        self.change(what, Method::PUT, &format!("{path}/s%2Ft"), json!({ "meta": { "s/t": "u" } })).await;
        self.cinder(&format!("{what}: GET s%2Ft"), Method::GET, &format!("{path}/s%2Ft"), "", None).await;
        self.cinder(&format!("{what}: DELETE s%2Ft"), Method::DELETE, &format!("{path}/s%2Ft"), "", None)
            .await;
        let left = self.client.cinder(Method::GET, path, "", None).await;
        self.lines.push(format!("{what}: metadata | {}", left.body["metadata"]));
    }

    async fn change(&mut self, of: &str, method: Method, path: &str, body: Value) {
        let to = path.rsplit('/').next().unwrap().to_owned();
        let what = format!("{of}: {method} {to} {body}");
        self.cinder(&what, method, path, "3.60", Some(body)).await;
    }
}
