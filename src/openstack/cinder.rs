//! Cinder's calls, one HTTP request each. Which answer means what is decided in `volume`.
//!
//! <https://docs.openstack.org/api-ref/block-storage/v3/>

mod backup;
mod clock;
mod group;
mod kind;
mod limits;
mod list;
mod new_volume;
mod service;
mod snapshot;
mod volume;
mod whereabouts;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use http::Method;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::answer::Answer;
use super::client::Client;
use super::flight::Flight;
use super::page;
use super::request::{Microversion, Request, Version};
use super::{Kind, Result, Service, VolumeId};
pub use backup::{Backup, BackupStatus, NewBackup};
use clock::Clock;
pub use group::{Group, GroupSnapshot, GroupState, GroupType, MEMBERS_AT_ONCE, NewGroup};
pub use kind::{Migration, VolumeType};
pub use limits::{Quota, Quotas, Supply};
pub use list::{Page, Placed, Row, Search};
pub use new_volume::{Hints, NewVolume, Origin};
pub use service::BackupService;
pub use snapshot::{NewSnapshot, Part, Portion, Snapshot, SnapshotStatus};
pub use volume::{Attachment, Changes, Status, Volume, VolumeName};
pub use whereabouts::Zones;

/// `updated_at=gte:` and `created_at=gte:` are understood from here on.
const TIME_COMPARISON: Version = Version::Needed(Microversion(3, 60));
/// An attached volume can be extended from here on.
const ONLINE_EXTEND: Version = Version::Needed(Microversion(3, 42));
/// User messages are there from 3.3 on, and below 3.5 `resource_uuid` is ignored: every volume's are answered.
const MESSAGES: Version = Version::Needed(Microversion(3, 5));
const ATTACHMENTS: Version = Version::Needed(Microversion(3, 27));

/// A client of one cloud's Cinder.
#[derive(Clone, Debug)]
pub struct Cinder {
    client: Client,
    clock: Clock,
    zones: Flight<Zones>,
    supply: Flight<Supply>,
}

#[derive(Deserialize)]
struct One {
    volume: Volume,
}

#[derive(Deserialize)]
struct Id<T> {
    id: T,
}

/// What Cinder tells a tenant of work that failed after its answer.
#[derive(Debug, Deserialize)]
pub struct Message {
    user_message: String,
    #[serde(default)]
    created_at: String,
    /// The request that asked for the work.
    request_id: Option<String>,
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.user_message.trim_end_matches('.'))?;
        match &self.request_id {
            Some(id) => write!(f, " (request {id})"),
            None => Ok(()),
        }
    }
}

impl Cinder {
    pub(super) fn new(client: Client) -> Self {
        Self { client, clock: Clock::default(), zones: Flight::default(), supply: Flight::default() }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Gets a token of Keystone, unless one is held, and looks for Cinder and Nova in its catalog.
    pub async fn log_in(&self) -> Result<()> {
        self.client.log_in().await
    }

    /// GET /volumes/ID
    pub async fn get_volume(&self, id: VolumeId) -> Result<Volume> {
        Ok(self.call(volume(id)).await?.json::<One>()?.volume)
    }

    /// As [`Self::get_volume`], before those that keep nobody else waiting.
    pub async fn get_volume_for_line(&self, id: VolumeId) -> Result<Volume> {
        Ok(self.call(volume(id).for_line()).await?.json::<One>()?.volume)
    }

    /// As [`Self::get_volume`], with a 404 as `None`.
    pub async fn find_volume(&self, id: VolumeId) -> Result<Option<Volume>> {
        match self.get_volume(id).await {
            Ok(volume) => Ok(Some(volume)),
            Err(error) if error.kind == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// GET /volumes/detail?name=NAME, all pages.
    pub async fn list_volumes_named(&self, name: &str) -> Result<Vec<Volume>> {
        let request = get("list the volumes of a name", &["volumes", "detail"]).query("name", name);
        let mut volumes: Vec<Volume> = self.all(request).await?;
        // An operator may let the filter match parts of names (`name~` of Cinder's resource filters).
        volumes.retain(|volume| volume.name == name);
        Ok(volumes)
    }

    /// GET /volumes/detail?updated_at=gte:TIME, all pages. Kind::Unsupported below 3.60.
    pub async fn list_volumes_changed_since(&self, since: SystemTime) -> Result<Changes> {
        let request = get("list the volumes that changed", &["volumes", "detail"])
            .query("updated_at", format!("gte:{}", seconds(timestamp(since))))
            .version(TIME_COMPARISON)
            .for_many();
        let part = page::all(&self.client, request).await?;
        self.clock.set(part.date);
        Ok(Changes { volumes: part.items, date: part.date })
    }

    /// GET /volumes?created_at=gte:TIME, all pages: names and ids. Kind::Unsupported below 3.60.
    pub async fn list_volumes_created_since(&self, since: SystemTime) -> Result<Vec<VolumeName>> {
        let request = get("list the volumes that are new", &["volumes"])
            .query("created_at", format!("gte:{}", seconds(timestamp(since))))
            .version(TIME_COMPARISON)
            .for_many();
        self.all(request).await
    }

    /// GET /volumes?status=deleting, all pages: ids only.
    pub async fn list_volumes_being_deleted(&self) -> Result<Vec<VolumeId>> {
        let request =
            get("list the volumes being deleted", &["volumes"]).query("status", "deleting").for_many();
        let volumes: Vec<Id<VolumeId>> = self.all(request).await?;
        Ok(volumes.into_iter().map(|volume| volume.id).collect())
    }

    /// DELETE /volumes/ID
    pub async fn delete_volume(&self, id: VolumeId) -> Result<()> {
        let path = ["volumes", &id.to_string()];
        self.call(Request::new(Service::Cinder, "delete the volume", Method::DELETE, &path)).await?;
        Ok(())
    }

    /// DELETE /attachments/ID. Kind::Refused where Nova has such an attachment: only Nova may end it. Kind::Unsupported
    /// below 3.27.
    pub async fn delete_attachment(&self, id: &str) -> Result<()> {
        let request =
            Request::new(Service::Cinder, "delete the attachment", Method::DELETE, &["attachments", id]);
        self.call(request.version(ATTACHMENTS)).await?;
        Ok(())
    }

    /// POST /volumes/ID/metadata: merges `metadata` into what is there. Safe to repeat.
    pub async fn update_volume_metadata(
        &self,
        id: VolumeId,
        metadata: &BTreeMap<String, String>,
    ) -> Result<()> {
        let request = post("write the volume's metadata", &["volumes", &id.to_string(), "metadata"])
            .json(&json!({ "metadata": metadata }))
            .repeatable();
        self.call(request).await?;
        Ok(())
    }

    /// POST /volumes/ID/action os-extend, with 3.42 where `attached`.
    pub async fn extend_volume(&self, id: VolumeId, size: u64, attached: bool) -> Result<()> {
        let request = post("extend the volume", &["volumes", &id.to_string(), "action"])
            .json(&json!({ "os-extend": { "new_size": size } }))
            .version(if attached { ONLINE_EXTEND } else { Version::Any });
        self.call(request).await?;
        Ok(())
    }

    /// GET /snapshots/detail?volume_id=ID, all pages.
    pub async fn list_snapshots_of(&self, id: VolumeId) -> Result<Vec<Snapshot>> {
        self.all(get("list the volume's snapshots", &["snapshots", "detail"]).query("volume_id", id)).await
    }

    /// GET /messages?resource_uuid=ID: the newest user message about this volume, snapshot or backup, if the cloud has
    /// (3.5+).
    pub async fn find_message(&self, id: impl fmt::Display) -> Result<Option<Message>> {
        let request =
            get("list the messages about it", &["messages"]).query("resource_uuid", id).version(MESSAGES);
        let messages: Vec<Message> = match self.all(request).await {
            Err(error) if error.kind == Kind::Unsupported => return Ok(None),
            messages => messages?,
        };
        Ok(messages.into_iter().max_by(|a, b| a.created_at.cmp(&b.created_at)))
    }

    /// The cloud's own clock: the `Date` of its last answer, aged; `pace::now()` before any.
    pub fn clock(&self) -> SystemTime {
        self.clock.now()
    }

    /// How many requests a second the cloud takes, as far as is known.
    pub fn rate(&self) -> f64 {
        self.client.rate()
    }

    /// The cloud's name, as `--cloud-name` has it.
    pub fn cloud_name(&self) -> Arc<str> {
        Arc::clone(self.client.name())
    }

    async fn call(&self, request: Request) -> Result<Answer> {
        let answer = self.client.call(request).await?;
        self.clock.set(answer.date());
        Ok(answer)
    }

    async fn all<T: serde::de::DeserializeOwned>(&self, request: Request) -> Result<Vec<T>> {
        let part = page::all(&self.client, request).await?;
        self.clock.set(part.date);
        Ok(part.items)
    }

    /// One part of a list, oldest first: what is made while somebody turns pages comes at their end.
    async fn part<T, I>(&self, request: Request, part: Part<I>) -> Result<Portion<T>>
    where
        T: serde::de::DeserializeOwned,
        I: fmt::Display,
    {
        let mut request = request.query("sort", "created_at:asc,id:asc");
        if let Some(volume) = part.volume {
            request = request.query("volume_id", volume);
        }
        if let Some(limit) = part.limit {
            request = request.query("limit", limit);
        }
        if let Some(after) = &part.after {
            request = request.query("marker", after);
        }
        let page = page::one(&self.client, request).await?;
        self.clock.set(page.date);
        Ok(Portion { items: page.items, more: page.next.is_some() })
    }
}

fn volume(id: VolumeId) -> Request {
    get("show the volume", &["volumes", &id.to_string()])
}

fn get(operation: &'static str, path: &[&str]) -> Request {
    Request::new(Service::Cinder, operation, Method::GET, path)
}

fn post(operation: &'static str, path: &[&str]) -> Request {
    Request::new(Service::Cinder, operation, Method::POST, path)
}

/// Cinder keeps whole seconds and reads no zone: <https://opendev.org/openstack/cinder/src/branch/master/cinder/api/v3/volumes.py>.
fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests;
