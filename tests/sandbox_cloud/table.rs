//! A walk through the states of volumes: what each call answers in each of them.
//!
//! Only states that last are here, or that are made to, so that a real cloud has the time to be asked.

pub mod brake;
mod catalogue;
mod copies;
mod in_use;
mod lists;
mod requests;

use http::Method;
use serde_json::{Value, json};

use super::client::{Client, Reply};
use brake::Brake;

const NOBODY: &str = "11111111-2222-3333-4444-555555555555";

/// What was asked, and what came, ids left out.
pub struct Walk {
    client: Client,
    small: Client,
    brake: Brake,
    pub lines: Vec<String>,
}

impl Walk {
    /// `small` is in a project with a quota of two volumes and four gigabytes, for one volume, too.
    pub fn new(client: Client, small: Client, brake: Brake) -> Self {
        Self { client, small, brake, lines: Vec::new() }
    }

    pub async fn whole(mut self) -> Vec<String> {
        self.requests_that_name_nothing().await;
        self.bad_creates().await;
        self.lists().await;
        self.life_of_a_volume().await;
        self.snapshot_of_a_volume().await;
        self.create_that_fails().await;
        self.shared_volume().await;
        self.quotas().await;
        self.copies().await;
        self.copies_in_use().await;
        self.catalogue().await;
        self.long_lists().await;
        self.requests().await;
        self.lines
    }

    fn note(&mut self, what: &str, reply: &Reply) {
        self.lines.push(format!("{what} | {} | {}", reply.code, without_ids(&reply.gist())));
    }

    async fn cinder(
        &mut self,
        what: &str,
        method: Method,
        path: &str,
        version: &str,
        body: Option<Value>,
    ) -> Reply {
        let reply = self.client.cinder(method, path, version, body).await;
        self.note(what, &reply);
        reply
    }

    async fn requests_that_name_nothing(&mut self) {
        let (client, server) = (self.client.clone(), self.client.server("node-1").await);
        let path = format!("/volumes/{NOBODY}");
        self.cinder("show no volume", Method::GET, &path, "", None).await;
        self.cinder("delete no volume", Method::DELETE, &path, "", None).await;
        self.cinder("show a volume of a bad id", Method::GET, "/volumes/not-an-id", "", None).await;
        let metadata = Some(json!({ "metadata": { "a": "b" } }));
        self.cinder("metadata of no volume", Method::POST, &format!("{path}/metadata"), "", metadata).await;
        self.note("extend no volume", &client.extend(NOBODY, 2, "3.42").await);
        self.note("an action that is none", &client.act(NOBODY, "3.60", json!({ "nope": {} })).await);
        self.note("attach no volume", &client.attach(&server, NOBODY, "2.60").await);
        self.note("attach a bad id", &client.attach(&server, "abc", "2.60").await);
        self.note("attach to no server", &client.attach(NOBODY, NOBODY, "2.60").await);
        self.note("detach no volume", &client.detach(&server, NOBODY).await);
        self.note("detach a bad id", &client.detach(&server, "abc").await);
        self.note("detach from no server", &client.detach(NOBODY, NOBODY).await);
        self.note("no server", &client.nova(Method::GET, &format!("/servers/{NOBODY}"), "", None).await);
        self.note("a server of a bad id", &client.nova(Method::GET, "/servers/xyz", "", None).await);
        let action = format!("/servers/{server}/os-instance-actions/req-{NOBODY}");
        self.note("no action", &client.nova(Method::GET, &action, "", None).await);
        self.note("unknown path of Cinder", &client.cinder(Method::GET, "/nope", "", None).await);
        self.note("unknown path of Nova", &client.nova(Method::GET, "/nope", "", None).await);
        self.note(
            "unknown microversion of Cinder",
            &client.cinder(Method::GET, "/volumes", "9.999", None).await,
        );
        self.note("unknown microversion of Nova", &client.nova(Method::GET, "/servers", "9.999", None).await);
        self.note("bad microversion of Cinder", &client.cinder(Method::GET, "/volumes", "abc", None).await);
        self.note("bad microversion of Nova", &client.nova(Method::GET, "/servers", "abc", None).await);
        let stranger = client.with_token("nonsense");
        self.note("bad token, Cinder", &stranger.cinder(Method::GET, "/volumes", "", None).await);
        self.note("bad token, Nova", &stranger.nova(Method::GET, "/servers", "", None).await);
        self.note("no token, Cinder", &client.with_token("").cinder(Method::GET, "/volumes", "", None).await);
        self.cinder("messages before there were any", Method::GET, "/messages", "", None).await;
    }

    async fn bad_creates(&mut self) {
        let cases = [
            ("create in no zone", json!({ "size": 1, "availability_zone": "nope" })),
            ("create of no type", json!({ "size": 1, "volume_type": "nope" })),
            ("create of size 0", json!({ "size": 0 })),
            ("create of size -1", json!({ "size": -1 })),
            ("create without size", json!({ "name": "cloud-x" })),
            ("create from no snapshot", json!({ "size": 1, "snapshot_id": NOBODY })),
            ("create from no volume", json!({ "size": 1, "source_volid": NOBODY })),
            ("create over the quota", json!({ "size": 500_000 })),
            ("create with a long name", json!({ "size": 1, "name": "x".repeat(256) })),
            ("create with long metadata", json!({ "size": 1, "metadata": { "k": "v".repeat(256) } })),
        ];
        for (what, volume) in cases {
            self.cinder(what, Method::POST, "/volumes", "3.60", Some(json!({ "volume": volume }))).await;
        }
        self.cinder("create of nothing", Method::POST, "/volumes", "3.60", Some(json!({ "x": {} }))).await;
    }

    async fn lists(&mut self) {
        for (query, version) in [
            ("limit=-1", ""),
            ("limit=x", ""),
            ("limit=0", ""),
            ("limit=1&marker=11111111-2222-3333-4444-555555555555", ""),
            ("updated_at=gte:2099-01-01T00:00:00", "3.60"),
            ("updated_at=gte:abc", "3.60"),
            ("updated_at=2026-01-01T00:00:00", "3.60"),
            ("foo=bar", "3.60"),
            ("foo=bar&name=cloud-none", "3.0"),
            ("metadata=%7B%22a%22:%22none%22%7D", "3.60"),
            ("metadata=%7B%27a%27:%27none%27%7D", "3.60"),
            ("metadata=abc", "3.60"),
            ("name=cloud-none&with_count=true", "3.60"),
        ] {
            let path = format!("/volumes/detail?{query}");
            let reply = self.client.cinder(Method::GET, &path, version, None).await;
            let count = reply.body["volumes"].as_array().map(Vec::len);
            self.note(&format!("list {query} at {version:?}, {count:?}"), &reply);
        }
    }

    async fn life_of_a_volume(&mut self) {
        let client = self.client.clone();
        let (first, second) = (client.server("node-1").await, client.server("node-2").await);
        let wanted = json!({ "volume": { "size": 1, "name": "cloud-walk", "metadata": { "a": "b" } } });
        let reply = self.cinder("create", Method::POST, "/volumes", "3.60", Some(wanted)).await;
        let volume = reply.body["volume"]["id"].as_str().unwrap().to_owned();
        let path = format!("/volumes/{volume}");
        client.until(&path, "available").await;
        self.cinder("show at 3.0", Method::GET, &path, "", None).await;
        self.cinder("show at 3.60", Method::GET, &path, "3.60", None).await;
        let metadata = format!("{path}/metadata");
        let added = json!({ "metadata": { "settled": "1" } });
        self.cinder("add metadata", Method::POST, &metadata, "", Some(added)).await;
        self.cinder("add bad metadata", Method::POST, &metadata, "", Some(json!({ "x": {} }))).await;
        self.found("cloud-walk").await;
        self.note("row before", &client.row(&first, &volume, "").await);
        self.note("detach before", &client.detach(&first, &volume).await);
        self.extends(&volume, "available").await;
        self.note("attach", &client.attach(&first, &volume, "2.60").await);
        self.note("row at 2.60", &client.row(&first, &volume, "2.60").await);
        self.note("row at 2.89", &client.row(&first, &volume, "2.89").await);
        self.note("attach again", &client.attach(&first, &volume, "2.60").await);
        self.note("attach elsewhere", &client.attach(&second, &volume, "2.60").await);
        client.until(&path, "in-use").await;
        self.in_use(&volume, &first, &second).await;
        self.note("detach", &client.detach(&first, &volume).await);
        client.until(&path, "available").await;
        while client.row(&first, &volume, "").await.code != 404 {
            cinder_csi::pace::sleep(std::time::Duration::from_millis(50)).await;
        }
        self.note("row after", &client.row(&first, &volume, "").await);
        self.note("delete", &client.delete(&volume).await);
        client.until(&path, "gone").await;
        self.note("delete again", &client.delete(&volume).await);
        self.note("attach of a deleted one", &client.attach(&first, &volume, "2.60").await);
    }

    /// Which filters find the one volume of this name.
    async fn found(&mut self, name: &str) {
        for (query, version) in [
            ("updated_at=gte:2000-01-01T00:00:00", "3.60"),
            ("updated_at=gte:2000-01-01T00:00:00", "3.59"),
            ("updated_at=gte:2099-01-01T00:00:00", "3.59"),
            ("updated_at=gte:2099-01-01T00:00:00", "3.30"),
            ("updated_at=lt:2000-01-01T00:00:00", "3.60"),
            ("updated_at=gte:2000-01-01T00:00:00,lt:2001-01-01T00:00:00", "3.60"),
            ("status=available", ""),
            ("status=in-use", ""),
            ("metadata=%7B%22a%22:%22b%22%7D", ""),
            ("metadata=%7B%27a%27:%27b%27,%27settled%27:%271%27%7D", ""),
            ("metadata=%7B%22a%22:%22c%22%7D", ""),
            ("limit=1", ""),
            ("limit=2", ""),
        ] {
            let path = format!("/volumes/detail?name={name}&{query}");
            let reply = self.client.cinder(Method::GET, &path, version, None).await;
            let count = reply.body["volumes"].as_array().map_or(0, Vec::len);
            let link = if reply.body["volumes_links"].is_null() { "last page" } else { "more pages" };
            self.lines.push(format!("found by {query} at {version:?} | {} | {count} | {link}", reply.code));
        }
    }

    async fn extends(&mut self, volume: &str, status: &str) {
        let client = self.client.clone();
        self.note(&format!("{status}: extend to less"), &client.extend(volume, 1, "3.42").await);
        self.note(&format!("{status}: extend to -1"), &client.extend(volume, -1, "3.42").await);
        self.note(&format!("{status}: extend over the quota"), &client.extend(volume, 500_000, "3.42").await);
    }

    async fn in_use(&mut self, volume: &str, first: &str, second: &str) {
        let client = self.client.clone();
        let shown = client.show(volume).await;
        let mut keys: Vec<_> = shown["attachments"][0].as_object().unwrap().keys().cloned().collect();
        keys.sort();
        self.lines.push(format!("entry of an attachment | {}", keys.join(" ")));
        self.note("in-use: attach again", &client.attach(first, volume, "2.60").await);
        self.note("in-use: attach elsewhere", &client.attach(second, volume, "2.60").await);
        self.note("in-use: detach elsewhere", &client.detach(second, volume).await);
        self.note("in-use: delete", &client.delete(volume).await);
        self.note("in-use: snapshot without force, 3.60", &client.snapshot(volume, "3.60", false).await);
        self.note("in-use: snapshot with force false, 3.66", &client.snapshot(volume, "3.66", false).await);
        self.note("in-use: extend at 3.41", &client.extend(volume, 2, "3.41").await);
        self.extends(volume, "in-use").await;
        self.note(
            "in-use: reset",
            &client.act(volume, "3.60", json!({ "os-reset_status": { "status": "error" } })).await,
        );
        self.note(
            "in-use: force detach",
            &client.act(volume, "3.60", json!({ "os-force_detach": {} })).await,
        );
        let held = shown["attachments"][0]["attachment_id"].as_str().unwrap().to_owned();
        let action = json!({ "os-detach": { "attachment_id": held } });
        self.note("in-use: detach with Cinder", &client.act(volume, "3.60", action).await);
        let path = format!("/attachments/{held}");
        self.cinder("in-use: delete the attachment with Cinder", Method::DELETE, &path, "3.44", None).await;
        self.note("in-use: extend", &client.extend(volume, 2, "3.42").await);
        client.until(&format!("/volumes/{volume}"), "in-use").await;
        self.lines.push(format!("size after | {}", client.show(volume).await["size"]));
    }

    async fn snapshot_of_a_volume(&mut self) {
        let client = self.client.clone();
        let volume =
            client.volume_of(json!({ "size": 2, "name": "cloud-walk", "availability_zone": "az1" })).await;
        let path = format!("/volumes/{volume}");
        client.until(&path, "available").await;
        let reply = client.snapshot(&volume, "3.60", false).await;
        self.note("snapshot", &reply);
        let snapshot = reply.body["snapshot"]["id"].as_str().unwrap().to_owned();
        let snapshot_path = format!("/snapshots/{snapshot}");
        client.until(&snapshot_path, "available").await;
        self.cinder("show the snapshot", Method::GET, &snapshot_path, "", None).await;
        self.note("delete with a snapshot", &client.delete(&volume).await);
        let smaller = json!({ "volume": { "size": 1, "snapshot_id": snapshot } });
        self.cinder("smaller than its snapshot", Method::POST, "/volumes", "3.60", Some(smaller)).await;
        let elsewhere =
            json!({ "volume": { "size": 2, "snapshot_id": snapshot, "availability_zone": "az2" } });
        self.cinder("in another zone", Method::POST, "/volumes", "3.60", Some(elsewhere)).await;
        let smaller = json!({ "volume": { "size": 1, "source_volid": volume } });
        self.cinder("smaller than its source", Method::POST, "/volumes", "3.60", Some(smaller)).await;
        self.cinder("delete the snapshot", Method::DELETE, &snapshot_path, "", None).await;
        client.until(&snapshot_path, "gone").await;
        self.cinder("show it again", Method::GET, &snapshot_path, "", None).await;
        self.note("delete without snapshots", &client.delete(&volume).await);
        client.until(&path, "gone").await;
    }

    async fn create_that_fails(&mut self) {
        let (client, server) = (self.client.clone(), self.client.server("node-1").await);
        let wanted = json!({ "size": 1, "name": "cloud-walk", "volume_type": "lab-nowhere" });
        let volume = client.volume_of(wanted).await;
        let path = format!("/volumes/{volume}");
        client.until(&path, "error").await;
        let messages = format!("/messages?resource_uuid={volume}");
        let reply = self.cinder("its messages at 3.60", Method::GET, &messages, "3.60", None).await;
        let mut of_all = Vec::new();
        for message in reply.body["messages"].as_array().unwrap() {
            of_all.push(format!("{} {}", message["event_id"], message["user_message"]));
        }
        self.lines.push(format!("messages | {}", of_all.join(", ")));
        self.note("error: attach", &client.attach(&server, &volume, "2.60").await);
        self.note("error: extend", &client.extend(&volume, 2, "3.42").await);
        self.note("error: snapshot", &client.snapshot(&volume, "3.60", true).await);
        self.note("error: delete", &client.delete(&volume).await);
        client.until(&path, "gone").await;
    }

    async fn shared_volume(&mut self) {
        let client = self.client.clone();
        let (first, second) = (client.server("node-1").await, client.server("node-2").await);
        let wanted = json!({ "size": 1, "name": "cloud-walk", "volume_type": "lab-multiattach" });
        let volume = client.volume_of(wanted).await;
        let path = format!("/volumes/{volume}");
        client.until(&path, "available").await;
        self.note("share at 2.59", &client.attach(&first, &volume, "2.59").await);
        self.note("share", &client.attach(&first, &volume, "2.60").await);
        client.until(&path, "in-use").await;
        self.note("share again", &client.attach(&first, &volume, "2.60").await);
        self.note("share elsewhere", &client.attach(&second, &volume, "2.60").await);
        client.until(&path, "in-use").await;
        self.lines.push(format!(
            "shared by | {}",
            client.show(&volume).await["attachments"].as_array().unwrap().len()
        ));
        self.note("leave one", &client.detach(&first, &volume).await);
        client.until(&path, "in-use").await;
        self.lines.push(format!(
            "left with | {}",
            client.show(&volume).await["attachments"].as_array().unwrap().len()
        ));
        self.note("leave the other", &client.detach(&second, &volume).await);
        client.until(&path, "available").await;
        client.delete(&volume).await;
        client.until(&path, "gone").await;
    }

    async fn quotas(&mut self) {
        let small = self.small.clone();
        let wanted = json!({ "volume": { "size": 1, "name": "cloud-walk" } });
        let volumes = [small.volume("cloud-walk").await, small.volume("cloud-walk").await];
        let reply = small.cinder(Method::POST, "/volumes", "3.60", Some(wanted)).await;
        self.note("one volume too many", &reply);
        for (what, size) in [("gigabytes too many", 3), ("a volume too large", 100)] {
            let wanted = json!({ "volume": { "size": size, "name": "cloud-walk" } });
            self.note(what, &small.cinder(Method::POST, "/volumes", "3.60", Some(wanted)).await);
        }
        small.until(&format!("/volumes/{}", volumes[0]), "available").await;
        self.note("extend beyond the quota", &small.extend(&volumes[0], 4, "3.42").await);
        self.note("extend beyond the limit of a volume", &small.extend(&volumes[0], 100, "3.42").await);
        for volume in volumes {
            let path = format!("/volumes/{volume}");
            small.until(&path, "available").await;
            self.note(
                "the volume of another project",
                &self.client.clone().cinder(Method::GET, &path, "", None).await,
            );
            small.delete(&volume).await;
            small.until(&path, "gone").await;
        }
    }
}

/// Ids as `{id}`, and `{n}` for numbers that depend on who else uses the cloud, or on its version.
fn without_ids(text: &str) -> String {
    let mut words = Vec::new();
    for word in text.split(' ') {
        let core = word.trim_matches(|letter: char| !letter.is_ascii_alphanumeric());
        let id = core.strip_prefix("req-").unwrap_or(core);
        words.push(if uuid::Uuid::try_parse(id).is_ok() {
            word.replace(id, "{id}")
        } else {
            word.to_owned()
        });
    }
    for index in 0..words.len() {
        if words[index..].starts_with(&["has".to_owned(), "been".to_owned()]) && index > 0 {
            "{n}".clone_into(&mut words[index - 1]);
        }
        if words[index..].starts_with(&["maximum".to_owned(), "is".to_owned()]) {
            "{n}".clone_into(&mut words[index + 2]);
        }
    }
    words.join(" ")
}
