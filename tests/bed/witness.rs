//! What must be so after an OK, asked of the cloud and of this machine, never of the driver.

#![allow(dead_code, reason = "each test crate uses its part of the bed")]

use std::path::Path;
use std::time::{Duration, Instant};

use cinder_csi::pace;
use http::Method;
use serde_json::Value;

use crate::bed::Lab;
use crate::client::Client;
use crate::others::tenant;

pub struct Witness<'a> {
    pub lab: &'a Lab,
    tenant: Client,
    server: String,
}

impl<'a> Witness<'a> {
    /// On what is attached to this server.
    pub async fn on(lab: &'a Lab, server: &str) -> Self {
        Self { lab, tenant: tenant(lab).await, server: server.to_owned() }
    }

    pub async fn assert_size(&self, volume: &str, gib: i64) {
        assert_eq!(self.tenant.show(volume).await["size"], gib, "{volume}");
    }

    pub async fn assert_none_named(&self, kind: &str, name: &str) {
        let named = self.named(kind, name).await;
        assert!(named.is_empty(), "{named:?}");
    }

    pub async fn assert_one_volume(&self, name: &str, id: &str, gib: i64) {
        let named = self.named("volumes", name).await;
        assert_eq!(named.len(), 1, "{name}: {named:?}");
        let found = &named[0];
        assert_eq!((found["id"].as_str(), found["status"].as_str()), (Some(id), Some("available")), "{name}");
        assert_eq!(found["size"], gib, "{name}");
    }

    /// A snapshot or a backup, and nothing else that was made of the volume under way.
    pub async fn assert_one_copy(&self, kind: &str, name: &str, volume: &str, id: &str) {
        let named = self.named(&format!("{kind}s"), name).await;
        assert_eq!(named.len(), 1, "{name}: {named:?}");
        let found = &named[0];
        assert_eq!((found["id"].as_str(), found["status"].as_str()), (Some(id), Some("available")), "{name}");
        assert_eq!(found["volume_id"], volume);
        let snapshots = self.all("snapshots").await;
        let of_volume: Vec<_> = snapshots.iter().filter(|one| one["volume_id"] == volume).collect();
        assert_eq!(of_volume.len(), 1, "the snapshot that was asked for, and no other: {of_volume:?}");
    }

    pub async fn assert_gone(&self, kind: &str, id: &str) {
        let reply = self.tenant.cinder(Method::GET, &format!("/{kind}/{id}"), "", None).await;
        assert_eq!(reply.code, 404, "{}", reply.body);
    }

    pub async fn assert_attached_to(&self, volume: &str, servers: &[&str]) {
        let shown = self.tenant.show(volume).await;
        let entries = shown["attachments"].as_array().unwrap();
        let attached: Vec<_> = entries.iter().map(|entry| entry["server_id"].as_str().unwrap()).collect();
        assert_eq!(attached, servers, "{volume}");
        assert_eq!(shown["status"], if servers.is_empty() { "available" } else { "in-use" }, "{volume}");
        let row = self.tenant.row(&self.server, volume, "").await.code;
        assert_eq!(row, if servers.is_empty() { 404 } else { 200 }, "{volume}");
    }

    pub fn assert_mounts(&self, point: &str, times: usize) {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let found = mounts.lines().filter(|line| line.split(' ').nth(4) == Some(point)).count();
        assert_eq!(found, times, "mounts at {point}");
    }

    /// Nothing is left of a life, in the cloud or here. A disk that was taken away still has its loop device for a moment.
    pub async fn assert_nothing_left(&self, directory: &Path, before: &[String]) {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let directory = directory.display().to_string();
        let left: Vec<_> = mounts.lines().filter(|line| line.contains(&directory)).collect();
        assert!(left.is_empty(), "{left:?}");
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            let now = self.lab.inventory();
            if now == before {
                return;
            }
            assert!(Instant::now() < end, "left behind or gone: {:?}", difference(before, &now));
            pace::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn named(&self, kind: &str, name: &str) -> Vec<Value> {
        self.all(kind).await.into_iter().filter(|one| one["name"] == name).collect()
    }

    async fn all(&self, kind: &str) -> Vec<Value> {
        let reply = self.tenant.cinder(Method::GET, &format!("/{kind}/detail"), "3.60", None).await;
        assert_eq!(reply.code, 200, "{}", reply.body);
        reply.body[kind].as_array().unwrap().clone()
    }
}

fn difference<'a>(before: &'a [String], now: &'a [String]) -> Vec<&'a String> {
    let gone = before.iter().filter(|line| !now.contains(line));
    gone.chain(now.iter().filter(|line| !before.contains(line))).collect()
}
