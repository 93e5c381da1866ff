//! The lab's cloud as its other users have it: its administrator, and the driver's own project with another client.

#![allow(dead_code, reason = "each test crate uses its part of the bed")]

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use crate::bed::Lab;
use crate::client::{Client, Reply};

pub async fn administrator(lab: &Lab) -> Client {
    log_in(lab, "admin", "admin").await
}

pub async fn tenant(lab: &Lab) -> Client {
    log_in(lab, "csi", "k8s").await
}

async fn log_in(lab: &Lab, user: &str, project: &str) -> Client {
    Client::log_in(Client::sockets(), &auth_url(lab), user, "labsecret", project).await
}

pub fn auth_url(lab: &Lab) -> String {
    let openrc = std::fs::read_to_string(lab.path("openrc")).unwrap();
    openrc.lines().find_map(|line| line.strip_prefix("export OS_AUTH_URL=")).unwrap().to_owned()
}

pub fn path(volume: &str) -> String {
    format!("/volumes/{volume}")
}

/// Sets what a volume says of itself: `{"status": "maintenance"}`.
pub async fn reset(administrator: &Client, volume: &str, to: Value) {
    let reply = administrator.act(volume, "", json!({ "os-reset_status": to })).await;
    assert_eq!(reply.code, 202, "{}", reply.body);
}

/// A server of the driver's project that nothing else uses, and its root disk.
pub struct Server {
    pub id: String,
    root: String,
}

impl Server {
    pub async fn start(tenant: &Client, name: &str) -> Self {
        let root = tenant.volume(&format!("{name}-root")).await;
        tenant.until(&path(&root), "available").await;
        assert_eq!(tenant.act(&root, "", json!({ "os-set_bootable": { "bootable": true } })).await.code, 200);
        let flavors = tenant.nova(Method::GET, "/flavors", "", None).await;
        let disk =
            json!({ "boot_index": 0, "uuid": root, "source_type": "volume", "destination_type": "volume" });
        let server = json!({ "server": {
            "name": name, "networks": "none", "availability_zone": "az1",
            "flavorRef": flavors.body["flavors"][0]["id"], "block_device_mapping_v2": [disk],
        } });
        let reply = tenant.nova(Method::POST, "/servers", "2.74", Some(server)).await;
        assert_eq!(reply.code, 202, "{}", reply.body);
        let id = reply.body["server"]["id"].as_str().unwrap().to_owned();
        nova_until(tenant, &format!("/servers/{id}"), |reply| reply.body["server"]["status"] == "ACTIVE")
            .await;
        Self { id, root }
    }

    /// Its root disk stays.
    pub async fn delete(&self, tenant: &Client) {
        let path = format!("/servers/{}", self.id);
        tenant.nova(Method::DELETE, &path, "", None).await;
        nova_until(tenant, &path, |reply| reply.code == 404).await;
    }

    pub async fn clear(self, tenant: &Client) {
        tenant.until(&path(&self.root), "available").await;
        assert_eq!(tenant.delete(&self.root).await.code, 202);
        tenant.until(&path(&self.root), "gone").await;
    }

    pub fn root(&self) -> &str {
        &self.root
    }
}

async fn nova_until(client: &Client, path: &str, done: impl Fn(&Reply) -> bool) {
    let end = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let reply = client.nova(Method::GET, path, "", None).await;
        if done(&reply) {
            return;
        }
        assert!(tokio::time::Instant::now() < end, "{path}: {}", reply.body);
        cinder_csi::pace::sleep(Duration::from_millis(100)).await;
    }
}
