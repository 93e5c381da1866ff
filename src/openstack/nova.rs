//! Nova's calls, one HTTP request each.
//!
//! <https://docs.openstack.org/api-ref/compute/>

use std::time::Duration;

use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::client::Client;
use super::page;
use super::request::{Microversion, Request, Version};
use super::{Kind, Result, ServerId, Service, VolumeId, zone};

/// A multiattach volume can be attached from here on.
const MULTIATTACH: Version = Version::Wanted(Microversion(2, 60));
/// Nova gives up on a nova-compute that is gone after a minute, and waits up to half an hour for one that is there
/// (`reserve_block_device_name` in nova/compute/rpcapi.py); a proxy that is silent for so long has forgotten the request.
const LONGEST_ATTACH: Duration = Duration::from_secs(600);
/// The owner of a server sees the details of an action's events from here on.
const EVENT_DETAILS: Version = Version::Wanted(Microversion(2, 84));

/// A client of one cloud's Nova.
#[derive(Clone, Debug)]
pub struct Nova {
    client: Client,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Server {
    pub id: ServerId,
    pub name: String,
    pub status: String,
    #[serde(rename = "OS-EXT-AZ:availability_zone")]
    pub availability_zone: Option<String>,
}

/// Why Nova gave up an action on a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedAction {
    pub request_id: String,
    /// Nova's own words: "Error", and the event's details where the cloud shows them (2.84+).
    pub message: String,
}

#[derive(Deserialize)]
struct Id {
    id: ServerId,
}

#[derive(Deserialize)]
struct One {
    server: Server,
}

#[derive(Deserialize)]
struct OneAction {
    #[serde(rename = "instanceAction")]
    action: Action,
}

#[derive(Deserialize)]
struct Action {
    request_id: String,
    message: Option<String>,
    /// Below 2.51 they are for administrators only.
    #[serde(default)]
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    result: Option<String>,
    details: Option<String>,
}

impl Nova {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }

    /// GET /servers/ID with a 404 as `None`.
    pub async fn find_server(&self, id: ServerId) -> Result<Option<Server>> {
        let request = get("show the server", &["servers", &id.to_string()]);
        match self.client.call(request).await {
            Err(error) if error.kind == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
            Ok(answer) => {
                let mut server = answer.json::<One>()?.server;
                // A server that is not on a host yet has "".
                server.availability_zone = server.availability_zone.filter(|zone| !zone.is_empty());
                Ok(Some(server))
            }
        }
    }

    /// GET /servers, all pages: the ids of the project's servers.
    pub async fn list_server_ids(&self) -> Result<Vec<ServerId>> {
        let servers: Vec<Id> = page::all(&self.client, get("list the servers", &["servers"])).await?.items;
        Ok(servers.into_iter().map(|server| server.id).collect())
    }

    /// GET /os-availability-zone: the names of the zones that have a compute host.
    pub async fn list_zones(&self) -> Result<Vec<String>> {
        zone::names(&self.client.call(get("list the zones", &["os-availability-zone"])).await?)
    }

    /// POST /servers/ID/os-volume_attachments at 2.60, or the newest that an older cloud has. Returns the request id.
    ///
    /// Below 2.101 Nova answers only once nova-compute has named the device, and goes on whether or not anybody listens: the
    /// answer is awaited beyond the deadline.
    pub async fn attach_volume(&self, server: ServerId, volume: VolumeId) -> Result<Option<String>> {
        let path = ["servers", &server.to_string(), "os-volume_attachments"];
        let body = json!({ "volumeAttachment": { "volumeId": volume.to_string() } });
        let request = Request::new(Service::Nova, "attach the volume", Method::POST, &path)
            .json(&body)
            .version(MULTIATTACH)
            .outliving(LONGEST_ATTACH);
        Ok(self.client.call(request).await?.request_id())
    }

    /// DELETE /servers/ID/os-volume_attachments/VOLUME
    pub async fn detach_volume(&self, server: ServerId, volume: VolumeId) -> Result<()> {
        let path = ["servers", &server.to_string(), "os-volume_attachments", &volume.to_string()];
        self.client.call(Request::new(Service::Nova, "detach the volume", Method::DELETE, &path)).await?;
        Ok(())
    }

    /// GET /servers/ID/os-volume_attachments/VOLUME: does Nova name it? (True from the first moment of an attach.)
    /// `false` for an unknown server, too.
    pub async fn has_attachment(&self, server: ServerId, volume: VolumeId) -> Result<bool> {
        let path = ["servers", &server.to_string(), "os-volume_attachments", &volume.to_string()];
        match self.client.call(get("show the attachment", &path)).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind == Kind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// GET /servers/ID/os-instance-actions/REQUEST: why the request with this id failed on the compute host.
    pub async fn find_failed_action(&self, server: ServerId, request: &str) -> Result<Option<FailedAction>> {
        let path = ["servers", &server.to_string(), "os-instance-actions", request];
        match self.client.call(get("show the server's action", &path).version(EVENT_DETAILS)).await {
            Ok(answer) => Ok(answer.json::<OneAction>()?.action.failed()),
            Err(error) if error.kind == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Action {
    /// `None`: nothing in it has failed, or not yet.
    fn failed(self) -> Option<FailedAction> {
        let failed = self.events.into_iter().find(|event| event.result.as_deref() == Some("Error"));
        let message = match (self.message, failed) {
            (None, None) => return None,
            (Some(message), None) => message,
            (message, Some(event)) => event.details.or(message).unwrap_or_else(|| "Error".to_owned()),
        };
        Some(FailedAction { request_id: self.request_id, message })
    }
}

fn get(operation: &'static str, path: &[&str]) -> Request {
    Request::new(Service::Nova, operation, Method::GET, path)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::recorded::{Recorded, Reply, SERVER_ID, VOLUME_ID};
    use super::*;

    const SERVER: &str = "GET /compute/v2.1/servers/565a704c-1cc8-4653-af53-6e8bc1dc4022";

    fn server() -> ServerId {
        SERVER_ID.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_is_read_and_its_zone_may_be_absent() {
        for (zone, expected) in [(json!("az1"), Some("az1")), (json!(""), None), (Value::Null, None)] {
            let cloud = Recorded::default();
            let shown = json!({"id": SERVER_ID, "name": "node-1", "status": "ACTIVE", "progress": 0,
                "OS-EXT-AZ:availability_zone": zone});
            cloud.on(SERVER, [Reply::json(200, json!({ "server": shown }))]);
            let server = cloud.cloud().nova.find_server(server()).await.unwrap().unwrap();
            assert_eq!(server.availability_zone.as_deref(), expected);
        }
        assert_eq!(Recorded::default().cloud().nova.find_server(server()).await.unwrap(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_attach_sends_the_volume_and_returns_the_request() {
        let call = format!("POST /compute/v2.1/servers/{SERVER_ID}/os-volume_attachments");
        let cloud = Recorded::default();
        cloud.on(&call, [Reply::new(200, "{}").header("x-openstack-request-id", "req-1")]);
        let request = cloud.cloud().nova.attach_volume(server(), VOLUME_ID.parse().unwrap()).await.unwrap();
        assert_eq!(request.as_deref(), Some("req-1"));
        let body: Value = serde_json::from_slice(&cloud.seen(&call)[0].body).unwrap();
        assert_eq!(body, json!({"volumeAttachment": {"volumeId": VOLUME_ID}}));
    }

    #[tokio::test(start_paused = true)]
    async fn an_attachment_that_nova_does_not_know_is_no_error() {
        let cloud = Recorded::default();
        let volume = VOLUME_ID.parse().unwrap();
        assert!(!cloud.cloud().nova.has_attachment(server(), volume).await.unwrap());
        let call = format!("GET /compute/v2.1/servers/{SERVER_ID}/os-volume_attachments/{VOLUME_ID}");
        cloud.on(&call, [Reply::json(200, json!({"volumeAttachment": {}}))]);
        assert!(cloud.cloud().nova.has_attachment(server(), volume).await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn the_reason_of_a_failed_action_is_in_its_failed_event() {
        let event = |result: Value, details: Value| json!({"event": "compute_attach_volume", "result": result, "details": details});
        for (message, events, expected) in [
            (json!(null), json!([event(json!("Success"), json!(null))]), None),
            (json!(null), json!([event(json!(null), json!(null))]), None),
            (json!(null), json!([]), None),
            (json!("Error"), json!([]), Some("Error")),
            (
                json!("Error"),
                json!([event(json!("Success"), json!(null)), event(json!("Error"), json!("no such target"))]),
                Some("no such target"),
            ),
            (json!(null), json!([event(json!("Error"), json!(null))]), Some("Error")),
        ] {
            let cloud = Recorded::default();
            let call = format!("{SERVER}/os-instance-actions/req-1");
            let action = json!({"action": "attach_volume", "request_id": "req-1", "message": message, "events": events});
            cloud.on(&call, [Reply::json(200, json!({ "instanceAction": action }))]);
            let failed = cloud.cloud().nova.find_failed_action(server(), "req-1").await.unwrap();
            assert_eq!(failed.map(|failed| failed.message).as_deref(), expected, "{action}");
            assert_eq!(cloud.seen(&call)[0].header("openstack-api-version"), Some("compute 2.84"));
        }
        let none = Recorded::default().cloud().nova.find_failed_action(server(), "req-2").await.unwrap();
        assert_eq!(none, None);
    }
}
