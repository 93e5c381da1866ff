//! Who ends what only an operator can: statuses that have outlived the service that was to end them.

use std::cell::Cell;
use std::time::{Duration, Instant};

use cinder_csi::pace;
use http::Method;
use serde_json::{Value, json};

use crate::bed::Lab;
use crate::client::Client;
use crate::others::{administrator, reset};

/// What still ends by itself has ended: a service waits for the answer of another one for 60 s (`rpc_response_timeout`,
/// <https://docs.openstack.org/oslo.messaging/latest/configuration/opts.html>).
const PATIENCE: Duration = Duration::from_secs(75);

pub struct Operator {
    client: Client,
    /// Of the volume that he looks after.
    name: String,
}

impl Operator {
    pub async fn new(lab: &Lab, name: &str) -> Self {
        Self { client: administrator(lab).await, name: name.to_owned() }
    }

    /// Looks after the volume until all is done. The statuses that he ended.
    pub async fn watch(&self, is_done: &Cell<bool>) -> Vec<String> {
        let (mut ended, mut since) = (Vec::new(), Instant::now());
        while !is_done.get() {
            pace::sleep(Duration::from_millis(200)).await;
            if since.elapsed() > PATIENCE {
                ended.extend(self.help().await);
                since = Instant::now();
            }
        }
        ended
    }

    async fn help(&self) -> Option<String> {
        let path = format!("/volumes/detail?all_tenants=1&name={}", self.name);
        let reply = self.client.cinder(Method::GET, &path, "3.60", None).await;
        let volume = &reply.body["volumes"][0];
        let (id, status) = (volume["id"].as_str()?, volume["status"].as_str()?);
        match status {
            "attaching" => self.delete_attachments(id).await,
            _ => reset(&self.client, id, instead_of(status)?).await,
        }
        Some(status.to_owned())
    }

    /// Those that Nova has given up, and couldn't delete. Cinder refuses it for one that Nova still has
    /// (`attachment_deletion_allowed` in <https://opendev.org/openstack/cinder/src/branch/master/cinder/volume/api.py>).
    async fn delete_attachments(&self, volume: &str) {
        let path = format!("/attachments?all_tenants=1&volume_id={volume}");
        let reply = self.client.cinder(Method::GET, &path, "3.27", None).await;
        for attachment in reply.body["attachments"].as_array().unwrap() {
            let path = format!("/attachments/{}", attachment["id"].as_str().unwrap());
            let reply = self.client.cinder(Method::DELETE, &path, "3.27", None).await;
            assert_eq!(reply.code, 200, "{}", reply.body);
        }
    }
}

fn instead_of(status: &str) -> Option<Value> {
    match status {
        "detaching" => Some(json!({ "status": "in-use", "attach_status": "attached" })),
        "creating" | "deleting" => Some(json!({ "status": "error" })),
        _ => None,
    }
}
