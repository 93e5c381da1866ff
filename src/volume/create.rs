//! One volume for one name: see `namesakes.rs`.

mod wanted;

pub use wanted::{Wanted, ZoneChoice};

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::metadata::SETTLED;
use super::namesakes::{Candidate, Glance, Order, Posted, Stage};
use super::watch::{Interest, Seen};
use super::{Condition, Error, Result, Volume, VolumeId, Volumes};
use crate::openstack::{self, Kind, Status};

impl Volumes {
    /// Returns the volume of this name once it can be used.
    pub async fn ensure_created(&self, wanted: &Wanted) -> Result<Volume> {
        let created = self.make_one(wanted).await;
        created.map_err(|error| error.context(format!("create volume {}", wanted.name)))
    }
}

impl Candidate for Volume {
    type Id = VolumeId;
    const WHAT: &'static str = "volume";
    const REMOVED_BY: &'static str = "openstack volume delete --force";

    fn id(&self) -> VolumeId {
        self.id
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn created_at(&self) -> Option<Timestamp> {
        self.created_at
    }

    fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    fn stage(&self) -> Stage {
        match self.status {
            Status::Creating | Status::Downloading => Stage::Making,
            Status::Error => Stage::Broken,
            Status::Deleting => Stage::Going,
            Status::ErrorDeleting => Stage::Stuck,
            _ => Stage::Made,
        }
    }

    fn is_free(&self) -> bool {
        self.attachments.is_empty() && self.stage() != Stage::Making
    }
}

impl Order for Wanted {
    type Made = Volume;

    fn name(&self) -> &str {
        &self.name
    }

    fn difference(&self, volume: &Volume) -> Option<String> {
        Wanted::difference(self, volume)
    }

    fn interest(&self, followed: Option<VolumeId>) -> Interest {
        Interest::Named(self.name.clone(), followed)
    }

    fn glance(&self, seen: Seen) -> Glance<Volume> {
        match seen {
            Seen::Named(volumes) => Glance::All(volumes),
            Seen::Volume(volume) => Glance::One(*volume),
            _ => Glance::Gone,
        }
    }

    async fn find(&self, volumes: &Volumes) -> openstack::Result<Vec<Volume>> {
        volumes.cinder.list_volumes_named(&self.name).await
    }

    async fn post(&self, volumes: &Volumes, attempt: &str) -> Result<Posted<VolumeId>> {
        let made = volumes.cinder.create_volume(&self.order(attempt)).await;
        volumes.posted(self, made.map(|volume| volume.id))
    }

    fn refused(error: &openstack::Error) -> Error {
        match error.kind {
            // 404: the type; 400: the zone, the type or the size.
            Kind::NotFound | Kind::Refused => Error::new(Condition::Invalid, error.to_string()),
            _ => Error::reading(error),
        }
    }

    async fn settle(&self, volumes: &Volumes, mut volume: Volume) -> Result<Volume> {
        let mark = BTreeMap::from([(SETTLED.to_owned(), "true".to_owned())]);
        let written = volumes.cinder.update_volume_metadata(volume.id, &mark).await;
        written.map_err(|error| Error::unsettled(&error))?;
        volume.metadata.extend(mark);
        Ok(volume)
    }

    async fn remove(volumes: &Volumes, id: VolumeId) -> Result<()> {
        volumes.delete(id).await
    }

    async fn reason(volumes: &Volumes, id: VolumeId) -> String {
        volumes.reason("volume", id).await
    }

    /// "schedule allocate volume" is the action of cinder/message/message_field.py that finds a place: another zone may
    /// have one, and RESOURCE_EXHAUSTED lets the scheduler look there.
    fn not_made(reason: &str) -> Error {
        let exhausted = reason.contains("schedule allocate");
        let condition = if exhausted { Condition::Exhausted } else { Condition::Failed };
        Error::new(condition, format!("Cinder couldn't make it; {reason}"))
    }
}
