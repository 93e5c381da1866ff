//! A volume grows.

use super::removal::COME_BACK;
use super::watch::{Interest, Looks};
use super::{Condition, Error, Result, Volume, VolumeId, Volumes, not_found, remedy};
use crate::openstack::{Effect, Kind, Status};

pub(super) const REFUSALS: u32 = 2;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Done,
    Extend { attached: bool },
    Wait,
    Failed,
    Refuse(String),
}

impl Volumes {
    /// Returns the volume once Cinder shows at least `size` GiB. An attached disk may grow a little later.
    pub async fn ensure_expanded(&self, id: VolumeId, size: u64) -> Result<Volume> {
        self.expand(id, size)
            .await
            .map_err(|error| error.context(format!("expand volume {id} to {size} GiB")))
    }

    async fn expand(&self, id: VolumeId, size: u64) -> Result<Volume> {
        let mut seen = self.observe_known(id).await?;
        let mut accepted = None;
        let mut unclear = false;
        let (mut refusals, mut failures) = (0, 0);
        let mut looks = None;
        loop {
            match plan(&seen, size, accepted.as_ref()) {
                Step::Done => {
                    looks.iter().for_each(Looks::ended);
                    return Ok(seen);
                }
                Step::Extend { attached } if !unclear => {
                    match self.cinder.extend_volume(id, size, attached).await {
                        Ok(()) => accepted = Some(seen.status.clone()),
                        Err(error) if error.effect == Effect::Unknown => unclear = true,
                        Err(error) if error.kind == Kind::Refused && refusals < REFUSALS => refusals += 1,
                        Err(error) => return Err(Error::reading(&error)),
                    }
                }
                Step::Extend { .. } | Step::Wait => {}
                // One look may be at a replica of the database that lags.
                Step::Failed if failures + 1 < COME_BACK => failures += 1,
                Step::Failed => {
                    let why = "Cinder accepted the extend and gave it up";
                    let reason = self.reason("volume", id).await;
                    return Err(Error::new(
                        Condition::Failed,
                        format!("{why} (status {}, {} GiB); {reason}", seen.status, seen.size),
                    ));
                }
                Step::Refuse(why) => return Err(Error::new(Condition::Precondition, why)),
            }
            let looks =
                looks.get_or_insert_with(|| self.watch.follow(("extend", "volume"), Interest::Change(id)));
            seen = looks.next().await?.ok_or_else(|| not_found(id, None))?;
        }
    }
}

/// `accepted`: the status of the volume whose extend Cinder has accepted.
pub(super) fn plan(volume: &Volume, size: u64, accepted: Option<&Status>) -> Step {
    match &volume.status {
        Status::Available | Status::InUse if volume.size >= size => Step::Done,
        status if accepted == Some(status) => Step::Failed,
        // A detach ended meanwhile: Cinder writes `available` over `extending` (`volume_detached` in
        // https://opendev.org/openstack/cinder/src/branch/master/cinder/db/sqlalchemy/api.py), and goes on extending.
        Status::Available | Status::InUse if accepted.is_some() => Step::Wait,
        Status::Available | Status::InUse => Step::Extend { attached: volume.status == Status::InUse },
        Status::ErrorExtending if accepted.is_some() => Step::Failed,
        status if status.is_passing() => Step::Wait,
        _ => Step::Refuse(remedy::told(volume, "Cinder doesn't extend")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::sample::volume;

    fn decided(volume: &Volume, accepted: Option<Status>) -> Step {
        match plan(volume, 2, accepted.as_ref()) {
            Step::Refuse(_) => Step::Refuse(String::new()),
            step => step,
        }
    }

    #[test]
    fn every_state_of_a_volume_leads_to_one_step() {
        let large = |status| Volume { size: 2, ..volume(status) };
        let refuse = || Step::Refuse(String::new());
        let table = [
            (volume(Status::Available), None, Step::Extend { attached: false }),
            (volume(Status::InUse).on(&[1]), None, Step::Extend { attached: true }),
            (volume(Status::InUse).on(&[1]), Some(Status::InUse), Step::Failed),
            (volume(Status::Available), Some(Status::Available), Step::Failed),
            (volume(Status::Available), Some(Status::InUse), Step::Wait),
            (large(Status::Available), None, Step::Done),
            (large(Status::InUse).on(&[1]), Some(Status::InUse), Step::Done),
            (large(Status::Extending), Some(Status::InUse), Step::Wait),
            (volume(Status::Extending), Some(Status::InUse), Step::Wait),
            (volume(Status::Attaching), None, Step::Wait),
            (volume(Status::ErrorExtending), Some(Status::InUse), Step::Failed),
            (volume(Status::ErrorExtending), None, refuse()),
            (large(Status::ErrorExtending), None, refuse()),
            (volume(Status::Error), None, refuse()),
            (volume(Status::Deleting), None, refuse()),
        ];
        for (volume, accepted, step) in table {
            assert_eq!(decided(&volume, accepted.clone()), step, "{volume:?} accepted: {accepted:?}");
        }
    }
}
