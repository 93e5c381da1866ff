//! A volume grows.

use super::watch::Interest;
use super::{Condition, Error, Result, Volume, VolumeId, Volumes, not_found, remedy};
use crate::openstack::{Effect, Kind, Status};

const REFUSALS: u32 = 2;

#[derive(Debug, PartialEq, Eq)]
enum Step {
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
        let mut accepted = false;
        let mut unclear = false;
        let mut refusals = 0;
        let mut looks = None;
        loop {
            match plan(&seen, size, accepted) {
                Step::Done => return Ok(seen),
                Step::Extend { attached } if !unclear => {
                    match self.cinder.extend_volume(id, size, attached).await {
                        Ok(()) => accepted = true,
                        Err(error) if error.effect == Effect::Unknown => unclear = true,
                        Err(error) if error.kind == Kind::Refused && refusals < REFUSALS => refusals += 1,
                        Err(error) => return Err(Error::reading(&error)),
                    }
                }
                Step::Extend { .. } | Step::Wait => {}
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
            let looks = looks.get_or_insert_with(|| self.watch.follow(Interest::Change(id)));
            seen = looks.next().await?.ok_or_else(|| not_found(id, None))?;
        }
    }
}

fn plan(volume: &Volume, size: u64, accepted: bool) -> Step {
    match &volume.status {
        Status::Available | Status::InUse if volume.size >= size => Step::Done,
        Status::Available | Status::InUse if accepted => Step::Failed,
        Status::Available | Status::InUse => Step::Extend { attached: volume.status == Status::InUse },
        Status::ErrorExtending if accepted => Step::Failed,
        status if status.is_passing() => Step::Wait,
        _ => Step::Refuse(remedy::told(volume, "Cinder doesn't extend")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::sample::volume;

    fn decided(volume: &Volume, accepted: bool) -> Step {
        match plan(volume, 2, accepted) {
            Step::Refuse(_) => Step::Refuse(String::new()),
            step => step,
        }
    }

    #[test]
    fn every_state_of_a_volume_leads_to_one_step() {
        let large = |status| Volume { size: 2, ..volume(status) };
        let refuse = || Step::Refuse(String::new());
        let table = [
            (volume(Status::Available), false, Step::Extend { attached: false }),
            (volume(Status::InUse).on(&[1]), false, Step::Extend { attached: true }),
            (volume(Status::InUse).on(&[1]), true, Step::Failed),
            (volume(Status::Available), true, Step::Failed),
            (large(Status::Available), false, Step::Done),
            (large(Status::InUse).on(&[1]), true, Step::Done),
            (large(Status::Extending), true, Step::Wait),
            (volume(Status::Extending), true, Step::Wait),
            (volume(Status::Attaching), false, Step::Wait),
            (volume(Status::ErrorExtending), true, Step::Failed),
            (volume(Status::ErrorExtending), false, refuse()),
            (large(Status::ErrorExtending), false, refuse()),
            (volume(Status::Error), false, refuse()),
            (volume(Status::Deleting), false, refuse()),
        ];
        for (volume, accepted, step) in table {
            assert_eq!(decided(&volume, accepted), step, "{volume:?} accepted: {accepted}");
        }
    }
}
