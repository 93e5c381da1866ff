//! The walk through snapshots, retypes, backups, quotas and groups.

use http::Method;
use serde_json::{Value, json};

use super::{NOBODY, Walk};

impl Walk {
    pub(super) async fn copies(&mut self) {
        self.nothing_to_copy().await;
        let volume = self.client.volume_of(json!({ "size": 1, "name": "cloud-copies" })).await;
        self.client.until(&format!("/volumes/{volume}"), "available").await;
        self.retypes(&volume).await;
        let snapshot = self.snapshots(&volume).await;
        self.backups(&volume, &snapshot).await;
        let path = format!("/snapshots/{snapshot}");
        self.cinder("delete the copied", Method::DELETE, &path, "", None).await;
        self.client.until(&path, "gone").await;
        self.groups(&volume).await;
        self.client.delete(&volume).await;
        self.client.until(&format!("/volumes/{volume}"), "gone").await;
    }

    async fn get(&mut self, path: &str) {
        self.cinder(&format!("get {}", path.replace(NOBODY, "{id}")), Method::GET, path, "3.64", None).await;
    }

    async fn post(&mut self, what: &str, path: &str, body: Value) -> Value {
        let reply = self.cinder(what, Method::POST, path, "3.64", Some(body)).await;
        reply.body.as_object().and_then(|body| body.values().next()).cloned().unwrap_or_default()
    }

    /// How many objects of `kind` the query finds.
    async fn finds(&mut self, kind: &str, query: &str, version: &str) {
        let path = format!("/{kind}/detail?{query}");
        let reply = self.client.cinder(Method::GET, &path, version, None).await;
        let (count, link) =
            (reply.body[kind].as_array().map(Vec::len), reply.body[format!("{kind}_links")].is_array());
        let what = format!(
            "{kind} by {} at {version:?}, {count:?}, {link}",
            super::without_ids(&query.replace('=', " "))
        );
        self.note(&what, &reply);
    }

    async fn nothing_to_copy(&mut self) {
        for kind in ["snapshots", "backups", "groups", "group_snapshots"] {
            self.get(&format!("/{kind}/{NOBODY}")).await;
            self.get(&format!("/{kind}?limit=1&marker={NOBODY}")).await;
        }
        self.get(&format!("/snapshots/{NOBODY}/metadata")).await;
        self.get("/types/lab").await;
        self.get("/group_types/nope").await;
        self.get("/limits").await;
        self.get(&format!("/os-quota-sets/{}", "0".repeat(32))).await;
        self.get("/snapshots?sort=nope:asc").await;
        self.get("/snapshots?sort=name:up").await;
        self.get("/snapshots?sort=name&sort_key=name").await;
        self.get("/snapshots?created_at=gt:2000-01-01T00:00:00").await;
        let group = |kind: &str, volumes: &str, zone: &str| json!({ "group": { "group_type": kind, "volume_types": [volumes], "availability_zone": zone } });
        self.post("group of no type", "/groups", group("nope", "lab", "az1")).await;
        self.post("group of no volume type", "/groups", group("lab-consistent", "nope", "az1")).await;
        self.post("group in no zone", "/groups", group("lab-consistent", "lab", "nope")).await;
        self.post("backup of no volume", "/backups", json!({ "backup": { "volume_id": NOBODY } })).await;
        let whole = json!({ "group_snapshot": { "group_id": NOBODY } });
        self.post("group snapshot of no group", "/group_snapshots", whole).await;
        let backup = json!({ "volume": { "size": 1, "backup_id": NOBODY } });
        self.post("volume from no backup", "/volumes", backup).await;
        let both = json!({ "volume": { "size": 1, "backup_id": NOBODY, "source_volid": NOBODY } });
        self.post("volume from two sources", "/volumes", both).await;
    }

    async fn retypes(&mut self, volume: &str) {
        let path = format!("/volumes/{volume}");
        for (kind, policy) in
            [("nope", "never"), ("lab", "never"), ("lab-nowhere", "never"), ("lab-fast", "never")]
        {
            let action = json!({ "os-retype": { "new_type": kind, "migration_policy": policy } });
            let reply = self.client.act(volume, "3.60", action).await;
            self.note(&format!("retype to {kind}"), &reply);
            self.client.until(&path, "available").await;
            let shown = self.client.show(volume).await;
            let messages = self
                .client
                .cinder(Method::GET, &format!("/messages?resource_uuid={volume}"), "3.60", None)
                .await;
            self.lines
                .push(format!("type after it | {} | {}", shown["volume_type"], messages.body["messages"]));
        }
        let back = json!({ "os-retype": { "new_type": "lab" } });
        self.client.act(volume, "3.60", back).await;
        self.client.until(&path, "available").await;
    }

    async fn snapshots(&mut self, volume: &str) -> String {
        let wanted = json!({ "snapshot": {
            "volume_id": volume, "name": "cloud-copy", "description": "d", "metadata": { "a/b": "c" }
        } });
        let made = self.post("snapshot with metadata", "/snapshots", wanted).await;
        let id = made["id"].as_str().unwrap().to_owned();
        let path = format!("/snapshots/{id}");
        self.client.until(&path, "available").await;
        self.cinder("snapshot", Method::GET, &path, "3.66", None).await;
        for (query, version) in [
            ("name=CLOUD-COPY", "3.64"),
            ("name=cloud-copy&limit=1", "3.64"),
            ("name=cloud-copy&limit=1&with_count=true", "3.64"),
            ("name=cloud-copy&with_count=true", "3.44"),
            ("name=cloud-copy&availability_zone=az2", "3.64"),
            ("name=cloud-copy&metadata={'a/b':'c'}", "3.64"),
            ("name=cloud-copy&metadata={'a/b':'d'}", "3.64"),
            ("name=cloud-copy&foo=bar", "3.30"),
            ("name=cloud-copy&sort=name:asc", "3.64"),
        ] {
            self.finds("snapshots", query, version).await;
        }
        let metadata = format!("{path}/metadata");
        self.post("add to its metadata", &metadata, json!({ "metadata": { "d": "e" } })).await;
        self.cinder("a key of it", Method::GET, &format!("{metadata}/d"), "", None).await;
        self.cinder("remove it", Method::DELETE, &format!("{metadata}/d"), "", None).await;
        self.cinder("remove it again", Method::DELETE, &format!("{metadata}/d"), "", None).await;
        let action = format!("{path}/action");
        self.post("reset it", &action, json!({ "os-reset_status": { "status": "error" } })).await;
        let clone = |zone: &str| json!({ "volume": { "size": 1, "source_volid": volume, "availability_zone": zone } });
        self.post("clone elsewhere", "/volumes", clone("az2")).await;
        id
    }

    async fn backups(&mut self, volume: &str, snapshot: &str) {
        let kept = json!({ "metadata": { "kept": "1" } });
        self.post("metadata to be backed up", &format!("/volumes/{volume}/metadata"), kept).await;
        let delta = json!({ "backup": { "volume_id": volume, "incremental": true } });
        self.post("incremental backup of nothing", "/backups", delta).await;
        let old = json!({ "backup": { "volume_id": volume, "metadata": { "a/b": "c" } } });
        let reply = self.client.cinder(Method::POST, "/backups", "3.42", Some(old)).await;
        self.lines.push(format!("backup with metadata at 3.42 | {}", reply.code));
        let wanted = json!({ "backup": {
            "volume_id": volume, "snapshot_id": snapshot, "name": "cloud-backup", "metadata": { "a/b": "c" }
        } });
        let braked = self.brake.backup();
        let made = self.post("backup of a snapshot", "/backups", wanted).await;
        let path = format!("/backups/{}", made["id"].as_str().unwrap());
        self.cinder("creating: delete the backup", Method::DELETE, &path, "", None).await;
        self.cinder(
            "backing-up: delete its snapshot",
            Method::DELETE,
            &format!("/snapshots/{snapshot}"),
            "",
            None,
        )
        .await;
        for (what, field, id) in [
            ("creating: volume from the backup", "backup_id", made["id"].as_str().unwrap()),
            ("backing-up: volume from its snapshot", "snapshot_id", snapshot),
        ] {
            self.post(what, "/volumes", json!({ "volume": { "size": 1, field: id } })).await;
        }
        self.client.until(&path, "available").await;
        drop(braked);
        self.client.until(&format!("/snapshots/{snapshot}"), "available").await;
        for version in ["3.42", "3.43", "3.71"] {
            self.cinder(&format!("backup at {version}"), Method::GET, &path, version, None).await;
        }
        self.finds("backups", "name=CLOUD-backup", "3.64").await;
        self.finds("backups", "name=cloud-backup&snapshot_id=x", "3.64").await;
        let update = Some(json!({ "backup": { "metadata": { "d": "e" } } }));
        self.cinder("new metadata", Method::PUT, &path, "3.43", update).await;
        let shown = self.client.cinder(Method::GET, &path, "3.64", None).await.body["backup"].clone();
        self.lines.push(format!("metadata after | {} | {}", shown["metadata"], shown["is_incremental"]));
        let backup = made["id"].clone();
        let elsewhere = json!({ "volume": { "backup_id": backup, "availability_zone": "nope" } });
        self.post("volume from the backup in no zone", "/volumes", elsewhere).await;
        let both = json!({ "volume": { "size": 1, "backup_id": backup, "snapshot_id": snapshot } });
        self.post("volume from the backup and the snapshot", "/volumes", both).await;
        let from = json!({
            "size": 2, "name": "cloud-restored", "backup_id": made["id"], "availability_zone": "az2", "metadata": { "own": "1" }
        });
        let restored = self.client.volume_of(from).await;
        self.client.until(&format!("/volumes/{restored}"), "available").await;
        let shown = self.client.show(&restored).await;
        self.lines.push(format!(
            "restored | {} | {} | {} | {} | {} | {}",
            shown["size"],
            shown["availability_zone"],
            shown["metadata"]["src_backup_id"] == made["id"],
            shown["source_volid"],
            shown["metadata"]["kept"],
            shown["metadata"]["own"]
        ));
        self.client.until(&path, "available").await;
        self.cinder("delete the backup", Method::DELETE, &path, "", None).await;
        self.client.until(&path, "gone").await;
        self.client.delete(&restored).await;
        self.client.until(&format!("/volumes/{restored}"), "gone").await;
    }

    async fn until_grouped(&mut self, path: &str, wanted: &str) {
        let end = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
        loop {
            let reply = self.client.cinder(Method::GET, path, "3.64", None).await;
            let object =
                reply.body.as_object().and_then(|body| body.values().next()).cloned().unwrap_or_default();
            let status =
                if reply.code == 404 { "gone" } else { object["status"].as_str().unwrap_or_default() };
            if status == wanted {
                return;
            }
            assert!(tokio::time::Instant::now() < end, "{path} is {status}, never {wanted}");
            cinder_csi::pace::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    async fn lists_of_groups(&mut self, kind: &str, name: &str) {
        for (query, version) in [
            ("", "3.64"),
            ("&limit=1", "3.64"),
            ("&limit=1&sort=created_at:asc", "3.64"),
            ("&sort=nope", "3.64"),
            ("&list_volume=true", "3.64"),
            ("&status=available", "3.64"),
            ("&status=deleting", "3.64"),
            ("&status=deleting", "3.30"),
            ("&status=deleting", "3.28"),
            ("&foo=bar", "3.64"),
            ("&foo=bar", "3.30"),
            ("&with_count=true", "3.64"),
        ] {
            let path = format!("/{kind}/detail?name={name}{query}");
            self.listed(&format!("{kind} by name{query} at {version}"), &path, version).await;
        }
        let other = format!("/{kind}/detail?name={}", name.to_uppercase());
        self.listed(&format!("{kind} by NAME"), &other, "3.64").await;
        self.listed(&format!("{kind} by another name"), &format!("/{kind}/detail?name=nope"), "3.64").await;
        self.listed(&format!("{kind} by another name at 3.20"), &format!("/{kind}/detail?name=nope"), "3.20")
            .await;
        self.listed(&format!("{kind} in short"), &format!("/{kind}?name={name}&limit=1"), "3.64").await;
    }

    async fn groups(&mut self, volume: &str) {
        let wanted = json!({ "group": {
            "name": "cloud-group", "group_type": "lab-consistent", "volume_types": ["lab"], "availability_zone": "az1"
        } });
        let made = self.post("group", "/groups", wanted).await;
        let path = format!("/groups/{}", made["id"].as_str().unwrap());
        self.until_grouped(&path, "available").await;
        let cut = json!({ "group_snapshot": { "group_id": made["id"], "name": "cloud-cut" } });
        self.post("snapshot of an empty group", "/group_snapshots", cut.clone()).await;
        self.lists_of_groups("groups", "cloud-group").await;
        let add = Some(json!({ "group": { "add_volumes": volume } }));
        self.cinder("add to the group", Method::PUT, &path, "3.64", add).await;
        self.until_grouped(&path, "available").await;
        self.cinder("the group", Method::GET, &format!("{path}?list_volume=true"), "3.64", None).await;
        let reply = self.client.delete(volume).await;
        self.note("delete the grouped", &reply);
        let nothing = Some(json!({ "group": { "remove_volumes": NOBODY } }));
        self.cinder("remove another", Method::PUT, &path, "3.64", nothing).await;
        let action = format!("{path}/action");
        self.post("delete the filled group", &action, json!({ "delete": {} })).await;
        let cut = self.post("group snapshot", "/group_snapshots", cut).await;
        let whole = format!("/group_snapshots/{}", cut["id"].as_str().unwrap());
        self.until_grouped(&whole, "available").await;
        self.cinder("the group snapshot", Method::GET, &whole, "3.64", None).await;
        self.lists_of_groups("group_snapshots", "cloud-cut").await;
        let listed = self
            .client
            .cinder(Method::GET, &format!("/snapshots/detail?volume_id={volume}"), "3.64", None)
            .await;
        let member = &listed.body["snapshots"][0];
        self.lines.push(format!(
            "its member | {} | {}",
            member["name"],
            member["group_snapshot_id"] == cut["id"]
        ));
        let member = format!("/snapshots/{}", member["id"].as_str().unwrap());
        self.cinder("delete a member", Method::DELETE, &member, "3.64", None).await;
        self.post("delete the group with all", &action, json!({ "delete": { "delete-volumes": true } }))
            .await;
        let remove = Some(json!({ "group": { "remove_volumes": volume } }));
        self.cinder("leave the group", Method::PUT, &path, "3.64", remove).await;
        self.until_grouped(&path, "available").await;
        self.cinder("delete the group snapshot", Method::DELETE, &whole, "3.64", None).await;
        self.until_grouped(&whole, "gone").await;
        self.post("delete the empty group", &action, json!({ "delete": {} })).await;
        self.until_grouped(&path, "gone").await;
    }
}
