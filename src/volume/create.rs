//! One volume for one name.
//!
//! Cinder takes no client token and its names aren't unique, so that a reply that got lost, a second controller and a
//! crash between two calls can each leave a second volume of one name. Every volume carries the attempt that made it;
//! the one that is answered is marked settled first. An attempt removes its own volume once another one has won.

mod doubts;
mod origin;
mod plan;
mod post;
mod wanted;

pub use doubts::Doubts;
pub use wanted::{Wanted, ZoneChoice};

use std::collections::BTreeMap;

use super::metadata::SETTLED;
use super::watch::{Interest, Looks, Seen};
use super::{Condition, Error, Result, Volume, VolumeId, Volumes};
use plan::{Attempt, Step, plan};

impl Volumes {
    /// Returns the volume of this name once it can be used.
    pub async fn ensure_created(&self, wanted: &Wanted) -> Result<Volume> {
        let created = self.create(wanted).await;
        if created.is_ok() {
            self.doubts.settle(&wanted.name);
        }
        created.map_err(|error| error.context(format!("create volume {}", wanted.name)))
    }

    async fn create(&self, wanted: &Wanted) -> Result<Volume> {
        let mut attempt = Attempt::default();
        // An earlier call of this name may have left a volume: until that is known, nothing is final.
        let mut seen = self.named(wanted).await?;
        let mut looks = None;
        loop {
            match plan(wanted, &attempt, &seen, self.cinder.clock()) {
                Step::Create => self.post(wanted, &mut attempt).await?,
                Step::Wait => {}
                Step::Answer(volume) => return Ok(volume),
                Step::Settle(volume) => return self.settle(volume).await,
                Step::Discard(id) => {
                    self.discard(id).await?;
                    seen = self.named(wanted).await?;
                    continue;
                }
                Step::Remove(id, why) => {
                    let error = self.remove(id, why).await;
                    let zone = seen.iter().find(|volume| volume.id == id);
                    let zone = zone.and_then(|volume| volume.availability_zone.as_deref());
                    attempt.turn_elsewhere(&wanted.zone, zone, error)?;
                    seen = self.named(wanted).await?;
                    continue;
                }
                Step::Refuse(error) => return Err(error),
            }
            let interest = Interest::Named(wanted.name.clone(), attempt.followed(&seen));
            let looks = looks.get_or_insert_with(|| self.watch.follow(interest.clone()));
            looks.turn_to(interest);
            seen = self.look(looks, wanted).await?;
        }
    }

    async fn named(&self, wanted: &Wanted) -> Result<Vec<Volume>> {
        let all = self.cinder.list_volumes_named(&wanted.name).await;
        all.map_err(|error| Error::unsettled(&error))
    }

    /// All volumes of the name, once the followed one may have come to rest.
    async fn look(&self, looks: &mut Looks, wanted: &Wanted) -> Result<Vec<Volume>> {
        match looks.next_seen().await? {
            Seen::Named(volumes) => Ok(volumes),
            Seen::Volume(volume) if plan::is_being_made(&volume) => Ok(vec![*volume]),
            Seen::Volume(_) | Seen::Gone => self.named(wanted).await,
        }
    }

    async fn settle(&self, mut volume: Volume) -> Result<Volume> {
        let mark = BTreeMap::from([(SETTLED.to_owned(), "true".to_owned())]);
        self.cinder
            .update_volume_metadata(volume.id, &mark)
            .await
            .map_err(|error| Error::unsettled(&error))?;
        volume.metadata.extend(mark);
        Ok(volume)
    }

    /// Removes a volume that nobody was promised.
    async fn discard(&self, id: VolumeId) -> Result<()> {
        self.delete(id).await.map_err(|error| Error::new(unfinished(error.condition), error.message))
    }

    /// Removes a volume of ours that can't be answered, and says why: the reason is read before it goes.
    async fn remove(&self, id: VolumeId, why: Option<Error>) -> Error {
        let why = match why {
            Some(why) => why,
            None => not_made(&self.reason(id).await),
        };
        match self.discard(id).await {
            Ok(()) => Error::new(why.condition, format!("{why}. Volume {id} was removed")),
            Err(error) => error.context(format!("{why}, and volume {id} couldn't be removed yet")),
        }
    }
}

/// "schedule allocate volume" is the action of cinder/message/message_field.py that finds a place: another zone may have
/// one, and RESOURCE_EXHAUSTED lets the scheduler look there.
fn not_made(reason: &str) -> Error {
    let condition =
        if reason.contains("schedule allocate") { Condition::Exhausted } else { Condition::Failed };
    Error::new(condition, format!("Cinder couldn't make it; {reason}"))
}

/// While a volume is left to be removed, the orchestrator must call again.
fn unfinished(condition: Condition) -> Condition {
    match condition {
        Condition::TimedOut => Condition::TimedOut,
        _ => Condition::Unsettled,
    }
}
