//! Nova's calls, one HTTP request each.
//!
//! <https://docs.openstack.org/api-ref/compute/>

use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::client::Client;
use super::request::{Microversion, Request, Version};
use super::{Kind, Result, ServerId, Service, VolumeId};

/// A multiattach volume can be attached from here on.
const MULTIATTACH: Version = Version::Wanted(Microversion(2, 60));
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
    /// Left out below 2.51 for all but administrators.
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

    /// POST /servers/ID/os-volume_attachments at 2.60 (2.1 where the cloud is older). Returns the request id.
    pub async fn attach_volume(&self, server: ServerId, volume: VolumeId) -> Result<Option<String>> {
        let path = ["servers", &server.to_string(), "os-volume_attachments"];
        let body = json!({ "volumeAttachment": { "volumeId": volume.to_string() } });
        let request = Request::new(Service::Nova, "attach the volume", Method::POST, &path)
            .json(&body)
            .version(MULTIATTACH);
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
            (message, Some(event)) => {
                let words = [message, event.details].into_iter().flatten().collect::<Vec<_>>().join(": ");
                if words.is_empty() { "Error".to_owned() } else { words }
            }
        };
        Some(FailedAction { request_id: self.request_id, message })
    }
}

fn get(operation: &'static str, path: &[&str]) -> Request {
    Request::new(Service::Nova, operation, Method::GET, path)
}
