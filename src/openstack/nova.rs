//! Nova's calls, one HTTP request each.

use super::{Result, ServerId, VolumeId};

/// A client of one cloud's Nova.
#[derive(Clone, Debug)]
pub struct Nova {}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub id: ServerId,
    pub name: String,
    pub status: String,
    pub availability_zone: Option<String>,
}

/// Why Nova gave up an action on a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedAction {
    pub request_id: String,
    /// Nova's own words: "Error", and the event's details where the cloud shows them (2.84+).
    pub message: String,
}

#[allow(unused_variables, clippy::unimplemented, reason = "the signatures that `volume` builds on")]
impl Nova {
    /// GET /servers/ID with a 404 as `None`.
    pub async fn find_server(&self, id: ServerId) -> Result<Option<Server>> {
        unimplemented!()
    }

    /// POST /servers/ID/os-volume_attachments at 2.60 (2.1 where the cloud is older). Returns the request id.
    pub async fn attach_volume(&self, server: ServerId, volume: VolumeId) -> Result<Option<String>> {
        unimplemented!()
    }

    /// DELETE /servers/ID/os-volume_attachments/VOLUME
    pub async fn detach_volume(&self, server: ServerId, volume: VolumeId) -> Result<()> {
        unimplemented!()
    }

    /// GET /servers/ID/os-volume_attachments/VOLUME: does Nova name it? (True from the first moment of an attach.)
    /// `false` for an unknown server, too.
    pub async fn has_attachment(&self, server: ServerId, volume: VolumeId) -> Result<bool> {
        unimplemented!()
    }

    /// GET /servers/ID/os-instance-actions/REQUEST: why the request with this id failed on the compute host.
    pub async fn find_failed_action(&self, server: ServerId, request: &str) -> Result<Option<FailedAction>> {
        unimplemented!()
    }
}
