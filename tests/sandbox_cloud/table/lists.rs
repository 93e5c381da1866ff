//! The walk through lists: filters, order and pages.

use http::Method;
use serde_json::{Value, json};

use super::Walk;

/// What volumes of this walk have, and no others.
const MARK: &str = "metadata={'cloud':'list'}";

impl Walk {
    pub(super) async fn long_lists(&mut self) {
        let mut volumes = Vec::new();
        for index in 1..=3 {
            let wanted = json!({
                "size": 1, "name": format!("cloud-list-{index}"),
                "metadata": { "cloud": "list", "number": index.to_string() },
            });
            let id = self.client.volume_of(wanted).await;
            self.client.until(&format!("/volumes/{id}"), "available").await;
            volumes.push(id);
        }
        self.filters_of_volumes().await;
        self.pages("volumes", MARK, &volumes).await;
        self.lists_of_copies("snapshots", "snapshot", &volumes).await;
        self.lists_of_copies("backups", "backup", &volumes).await;
        for id in volumes {
            self.client.delete(&id).await;
            self.client.until(&format!("/volumes/{id}"), "gone").await;
        }
    }

    async fn filters_of_volumes(&mut self) {
        for (query, version) in [
            ("sort=name:asc", ""),
            ("sort=name:asc&name=cloud-list-2", "3.60"),
            ("sort=name:asc&name=Cloud-List-2", ""),
            ("sort=name:asc&name~=list", "3.60"),
            ("sort=name:asc&name~=list", "3.30"),
            ("sort=name:asc&status=available", "3.60"),
            ("sort=name:asc&status=deleting", "3.60"),
            ("sort=name:asc&status=nope", "3.60"),
            ("sort=name:asc&migration_status=migrating", ""),
            ("sort=name:asc&migration_status=migrating", "3.60"),
            ("sort=name:asc&migration_status=none", "3.60"),
            ("sort=name:asc&size=1", "3.60"),
            ("sort=name:asc&size=2", "3.0"),
            ("sort=name:asc&bootable=false", "3.60"),
            ("sort=name:asc&bootable=true", ""),
            ("sort=name:asc&availability_zone=az2", "3.60"),
            ("sort=name:asc&created_at=gte:2000-01-01T00:00:00", "3.60"),
            ("sort=name:asc&created_at=lt:2000-01-01T00:00:00", "3.60"),
            ("sort=size:desc,name:desc", "3.60"),
            ("sort=metadata", "3.60"),
            ("sort_key=name&sort_dir=asc", "3.60"),
            ("sort_key=name&sort_dir=asc&limit=2", "3.60"),
        ] {
            let path = format!("/volumes/detail?{MARK}&{query}");
            self.listed(&format!("volumes by {query} at {version:?}"), &path, version).await;
        }
        for metadata in
            [r#"{"cloud":"list","number":"2"}"#, "{'cloud':'list','number':'3'}", "{'cloud':'lists'}", "list"]
        {
            let path = format!("/volumes/detail?metadata={}&sort=name:asc", metadata.replace('"', "%22"));
            self.listed(&format!("volumes by metadata={metadata}"), &path, "3.60").await;
        }
        self.listed("volumes in short", &format!("/volumes?{MARK}&sort=name:asc&limit=2"), "3.60").await;
        for (query, version) in [
            ("created_at=gte:2000-01-01T00:00:00", "3.60"),
            ("created_at=gte:2000-01-01T00:00:00&limit=1", "3.60"),
            ("created_at=gte:2099-01-01T00:00:00", "3.60"),
            ("created_at=gte:abc", "3.60"),
        ] {
            let path = format!("/volumes?{MARK}&sort=name:asc&{query}");
            self.listed(&format!("volumes in short by {query} at {version:?}"), &path, version).await;
        }
        self.new_ones().await;
    }

    /// As the driver asks for what is new: what of it has a name of this walk, and what it is shown with.
    async fn new_ones(&mut self) {
        let path = "/volumes?created_at=gte:2000-01-01T00:00:00";
        let reply = self.client.cinder(Method::GET, path, "3.60", None).await;
        let all = reply.body["volumes"].as_array().unwrap();
        let ours =
            all.iter().filter(|one| one["name"].as_str().is_some_and(|name| name.starts_with("cloud-list-")));
        let shown = |one: &Value| {
            let mut keys: Vec<_> = one.as_object().unwrap().keys().cloned().collect();
            keys.sort();
            keys.join(" ")
        };
        let mut ours: Vec<_> =
            ours.map(|one| format!("{} ({})", one["name"].as_str().unwrap(), shown(one))).collect();
        ours.sort();
        self.lines.push(format!("volumes that are new | {} | {}", reply.code, ours.join(", ")));
    }

    /// Snapshots or backups: one of the first volume, two of the second.
    async fn lists_of_copies(&mut self, kind: &str, one: &str, volumes: &[String]) {
        let mut copies = Vec::new();
        for (index, volume) in [(1, 0), (2, 1), (3, 1)] {
            let wanted =
                json!({ one: { "volume_id": volumes[volume], "name": format!("cloud-copy-{index}") } });
            let reply = self.client.cinder(Method::POST, &format!("/{kind}"), "3.60", Some(wanted)).await;
            let id = reply.body[one]["id"].as_str().unwrap().to_owned();
            self.client.until(&format!("/{kind}/{id}"), "available").await;
            copies.push(id);
        }
        let of_second = format!("volume_id={}", volumes[1]);
        self.pages(kind, &of_second, &copies[1..]).await;
        for (query, version) in [
            ("name=cloud-copy-3", ""),
            ("name=cloud-copy-3", "3.60"),
            ("name=cloud-copy-1", "3.60"),
            ("status=available", ""),
            ("status=available", "3.60"),
            ("status=deleting", "3.60"),
            ("size=1", "3.60"),
            ("snapshot_id=x", "3.30"),
            ("sort=name:asc", "3.60"),
            ("sort=name:asc", ""),
            ("sort=volume_id", "3.60"),
        ] {
            let path = format!("/{kind}/detail?{of_second}&{query}");
            self.listed(&format!("{kind} of the second by {query} at {version:?}"), &path, version).await;
        }
        let nobodys = format!("/{kind}/detail?volume_id={}", super::NOBODY);
        self.listed(&format!("{kind} of no volume"), &nobodys, "3.60").await;
        self.listed(&format!("{kind} of a bad id"), &format!("/{kind}/detail?volume_id=x"), "3.60").await;
        self.listed(&format!("{kind} in short"), &format!("/{kind}?{of_second}&status=available"), "3.60")
            .await;
        for id in copies {
            let path = format!("/{kind}/{id}");
            self.client.cinder(Method::DELETE, &path, "", None).await;
            self.client.until(&path, "gone").await;
        }
    }

    /// All of `ids`, in the order in which the driver asks for them, from page to page.
    async fn pages(&mut self, kind: &str, query: &str, ids: &[String]) {
        let path = format!("/{kind}/detail?{query}&sort=created_at:asc,id:asc");
        let whole = self.client.cinder(Method::GET, &path, "3.60", None).await;
        let all = whole.body[kind].as_array().unwrap().clone();
        let in_order =
            all.is_sorted_by_key(|one| (one["created_at"].as_str().unwrap(), one["id"].as_str().unwrap()));
        let found = all.iter().filter(|one| ids.iter().any(|id| one["id"] == id.as_str())).count();
        self.lines.push(format!("{kind} from the oldest | {found} of {} | {in_order}", all.len()));
        let (first, last) = (all[0]["id"].as_str().unwrap(), all[all.len() - 1]["id"].as_str().unwrap());
        let follow = |reply: &Value, skip: usize| reply[kind].as_array().unwrap() == &all[skip..][..1];
        let page = self.client.cinder(Method::GET, &format!("{path}&limit=1"), "3.60", None).await;
        self.lines.push(format!("{kind}: the first page | {}", follow(&page.body, 0)));
        let page = format!("{path}&limit=1&marker={first}");
        let page = self.client.cinder(Method::GET, &page, "3.60", None).await;
        self.lines.push(format!("{kind}: the second page | {}", follow(&page.body, 1)));
        let href = page.body[format!("{kind}_links")][0]["href"].as_str().unwrap_or_default();
        let mut query: Vec<_> = href.split_once('?').unwrap().1.split('&').map(without_id).collect();
        query.sort();
        self.lines.push(format!("{kind}: the link to the third page | {}", query.join(" ")));
        self.listed(
            &format!("{kind}: the page after the last"),
            &format!("{path}&limit=1&marker={last}"),
            "3.60",
        )
        .await;
        self.listed(&format!("{kind}: a bad marker"), &format!("{path}&marker=x"), "3.60").await;
    }

    /// The names of what a list answers, and under which name it has a link to its next page. What was made in the
    /// same second may come in any order.
    pub(super) async fn listed(&mut self, what: &str, path: &str, version: &str) {
        let reply = self.client.cinder(Method::GET, path, version, None).await;
        let kind = path.trim_start_matches('/').split(['/', '?']).next().unwrap();
        let Some(items) = reply.body[kind].as_array() else { return self.note(what, &reply) };
        let mut names: Vec<_> = items.iter().map(|one| one["name"].as_str().unwrap_or("-")).collect();
        if !path.contains("name:") && !path.contains("=name") {
            names.sort_unstable();
        }
        let link = reply.body.as_object().unwrap().keys().find(|key| key.ends_with("_links"));
        let link = link.map_or("last page", String::as_str);
        self.lines.push(format!("{what} | {} | {} | {link}", reply.code, names.join(" ")));
    }
}

fn without_id(pair: &str) -> String {
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    let value = if uuid::Uuid::try_parse(value).is_ok() { "{id}" } else { value };
    format!("{key}={value}")
}
