//! The walk through what a cloud offers a project: types, group types, zones and quotas.

use http::Method;
use serde_json::Value;

use super::Walk;

impl Walk {
    pub(super) async fn catalogue(&mut self) {
        self.types().await;
        self.group_types().await;
        self.zones().await;
        self.limits().await;
    }

    async fn types(&mut self) {
        let types = self.show("types", "/types", "").await["volume_types"].clone();
        let mut shown: Vec<_> = types.as_array().unwrap().iter().collect();
        shown.sort_by_key(|kind| kind["name"].as_str());
        for kind in &shown {
            let told = format!("{} | {} | {}", kind["name"], kind["extra_specs"], keys(kind));
            self.lines.push(format!("type {told}"));
        }
        let shared = shown.iter().find(|kind| kind["name"] == "lab-multiattach").unwrap();
        let id = shared["id"].as_str().unwrap();
        let one = self.show("a type", &format!("/types/{id}"), "").await["volume_type"].clone();
        self.lines.push(format!("its extra specs | {}", one["extra_specs"]));
        self.show("extra specs", &format!("/types/{id}/extra_specs"), "").await;
        for spec in ["multiattach", "volume_backend_name"] {
            self.show(&format!("extra spec {spec}"), &format!("/types/{id}/extra_specs/{spec}"), "").await;
        }
        self.show("the default type", "/types/default", "").await;
        self.show("no type", &format!("/types/{}", super::NOBODY), "").await;
    }

    async fn group_types(&mut self) {
        let types = self.show("group types", "/group_types", "3.64").await["group_types"].clone();
        let mut shown: Vec<_> = types.as_array().unwrap().iter().collect();
        shown.sort_by_key(|kind| kind["name"].as_str());
        for kind in &shown {
            self.lines.push(format!(
                "group type {} | {} | {} | {}",
                kind["name"],
                kind["description"],
                kind["group_specs"],
                keys(kind)
            ));
        }
        let id = shown.last().unwrap()["id"].as_str().unwrap();
        self.show("a group type", &format!("/group_types/{id}"), "3.64").await;
        self.show("its group specs", &format!("/group_types/{id}/group_specs"), "3.64").await;
        self.show("the default group type", "/group_types/default", "3.64").await;
        self.show("group types before there were any", "/group_types", "3.10").await;
    }

    async fn zones(&mut self) {
        let cinder = self.show("zones of Cinder", "/os-availability-zone", "").await;
        self.zones_of("Cinder", &cinder);
        let nova = self.client.nova(Method::GET, "/os-availability-zone", "", None).await;
        self.note("zones of Nova", &nova);
        self.zones_of("Nova", &nova.body);
        let detail = self.client.nova(Method::GET, "/os-availability-zone/detail", "", None).await;
        self.note("zones of Nova in detail", &detail);
    }

    fn zones_of(&mut self, service: &str, body: &Value) {
        let mut zones: Vec<_> = body["availabilityZoneInfo"].as_array().unwrap().iter().collect();
        zones.sort_by_key(|zone| zone["zoneName"].as_str());
        for zone in zones {
            self.lines.push(format!("zone of {service} | {zone}"));
        }
    }

    async fn limits(&mut self) {
        let limits = self.show("limits", "/limits", "").await["limits"].clone();
        self.lines.push(format!("absolute limits | {}", keys(&limits["absolute"])));
        self.lines.push(format!("rate limits | {}", limits["rate"]));
        let project = self.client.volume_url.rsplit('/').next().unwrap().to_owned();
        let path = format!("/os-quota-sets/{project}");
        let plain = self.show("quotas", &path, "").await["quota_set"].clone();
        self.lines.push(format!("quotas without usage | {} {}", plain["volumes"], plain["volumes_lab-fast"]));
        let used =
            self.show("quotas with usage", &format!("{path}?usage=true"), "").await["quota_set"].clone();
        self.lines.push(format!("quota with usage | {}", keys(&used["gigabytes"])));
        self.lines.push(format!("per_volume_gigabytes | {}", used["per_volume_gigabytes"]));
        self.lines.push(format!("id | {}", used["id"] == project.as_str()));
    }

    async fn show(&mut self, what: &str, path: &str, version: &str) -> Value {
        self.cinder(what, Method::GET, path, version, None).await.body
    }
}

fn keys(object: &Value) -> String {
    let mut keys: Vec<_> = object.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys.join(" ")
}
