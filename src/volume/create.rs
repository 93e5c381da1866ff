//! One volume for one name: see `namesakes.rs`.

mod origin;
mod post;
mod wanted;

pub use wanted::{Wanted, ZoneChoice};

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::metadata::may_be_another_volumes;
use super::namesakes::{Candidate, Glance, Order, Posted, Stage};
use super::remedy::ASK;
use super::watch::{Interest, Seen};
use super::{Condition, Error, Result, Volume, VolumeId, Volumes};
use crate::openstack::{self, Kind, Status};

impl Volumes {
    /// Returns the volume of this name once it can be used.
    ///
    /// CSI has the zones tried in their order. The next one gets its turn once nothing is left in the one before.
    pub async fn ensure_created(&self, wanted: &Wanted) -> Result<Volume> {
        let mut wanted = wanted.clone();
        let mut tried = Vec::new();
        let created = loop {
            match self.make_one(&wanted).await {
                Err(error) if error.condition == Condition::NotHere => {
                    tried.extend(wanted.zone.zones().first().cloned());
                    match self.elsewhere(&wanted, tried.len()).await {
                        Some(next) => wanted = next,
                        None => break Err(after(error, &tried)),
                    }
                }
                created => break created,
            }
        };
        created.map_err(|error| error.context(format!("create volume {}", wanted.name)))
    }

    /// As wanted, with the next of the zones first, if there is one.
    async fn elsewhere(&self, wanted: &Wanted, tried: usize) -> Option<Wanted> {
        if let ZoneChoice::Rather(wished) = &wanted.zone {
            let zone = self.next_wish(wished).await.filter(|_| wanted.origin.is_none())?;
            return Some(Wanted { zone, ..wanted.clone() });
        }
        let fitted = self.fit_to_origin(wanted).await.ok()?;
        let mut zones = fitted.wanted.zone.zones().to_vec();
        if fitted.zone_elsewhere.is_some() || tried >= zones.len() {
            return None;
        }
        zones.rotate_left(1);
        Some(Wanted { zone: ZoneChoice::OneOf(zones), ..wanted.clone() })
    }
}

impl Volumes {
    /// What is left to wish for, and at last anywhere; `None` where Cinder has chosen already.
    async fn next_wish(&self, wished: &[String]) -> Option<ZoneChoice> {
        let known = self.zones().await.ok()?;
        let mut known = wished.iter().filter(|zone| known.names().contains(zone));
        known.next()?;
        let rest: Vec<_> = known.cloned().collect();
        Some(if rest.is_empty() { ZoneChoice::Any } else { ZoneChoice::Rather(rest) })
    }
}

fn after(error: Error, tried: &[String]) -> Error {
    let error = Error::new(Condition::Exhausted, error.message);
    match tried {
        [] | [_] => error,
        several => error.context(format!("no zone of {} would do; the last one", several.join(", "))),
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

    fn may_be_unpromised(&self) -> bool {
        self.is_unpromised() || may_be_another_volumes(self)
    }

    fn stage(&self) -> Stage {
        match self.status {
            Status::Creating | Status::Downloading | Status::RestoringBackup => Stage::Making,
            // A restore that failed leaves a new volume in the latter (`restore_backup` in cinder/backup/manager.py).
            Status::Error | Status::ErrorRestoring => Stage::Broken,
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

    /// An operator may let Cinder take its default zone for one that it doesn't have (`allow_availability_zone_fallback`).
    fn mistaken(&self, volume: &Volume, difference: &str) -> Error {
        let elsewhere = self.zone_difference(volume).as_deref() == Some(difference);
        let (condition, advice) = match elsewhere {
            true => (Condition::NotHere, "; map the zones of servers to those of volumes (az-map)"),
            false => (Condition::Invalid, ""),
        };
        Error::new(condition, format!("Cinder made another volume than asked for: {difference}{advice}"))
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

    async fn get(volumes: &Volumes, id: VolumeId) -> openstack::Result<Option<Volume>> {
        volumes.cinder.find_volume(id).await
    }

    async fn post(&self, volumes: &Volumes, attempt: &str) -> Result<Posted<VolumeId>> {
        volumes.post_volume(self, attempt).await
    }

    fn refused(error: &openstack::Error) -> Error {
        match error.kind {
            // The source is there still.
            Kind::NotFound => {
                let advice = "correct the StorageClass's type (openstack volume type list)";
                Error::new(Condition::Invalid, format!("{error}: {advice}"))
            }
            Kind::Refused => Error::new(Condition::Invalid, error.to_string()),
            _ => Error::reading(error),
        }
    }

    async fn settle(&self, volumes: &Volumes, mut volume: Volume) -> Result<Volume> {
        let marks = self.settled(&volume);
        let written = volumes.cinder.update_volume_metadata(volume.id, &marks).await;
        written.map_err(Error::unsettled)?;
        volume.metadata.extend(marks);
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
        let (condition, next) = match exhausted {
            true => (
                Condition::NotHere,
                "choose a type and a zone of which a back end has room (openstack volume type list), or ask the cloud's operator",
            ),
            false => (Condition::Failed, ASK),
        };
        Error::new(condition, format!("Cinder couldn't make it; {reason}; {next}"))
    }
}
