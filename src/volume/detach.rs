//! A disk leaves a server.
//!
//! The DELETE is Nova's own observation, too: 404 says that Nova names no such attachment. Cinder's entry goes before
//! Nova's record (`_detach_volume` in nova/compute/manager.py), so both are looked at.

use super::attach::heard;
use super::watch::Interest;
use super::{Condition, Error, Result, ServerId, Volume, VolumeId, Volumes};
use crate::openstack::{Effect, Error as CallError, Kind, Status};

/// How often one unchanged state may refuse the call before the refusal is the answer.
pub(super) const REFUSALS: u32 = 3;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Cinder names it no more; Nova has to be asked.
    AskNova,
    Detach,
    Wait,
    Failed,
    /// Only Cinder still names it.
    Orphan,
}

/// What Nova has said to this RPC's DELETE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Nova {
    /// 202, and its request id is in the cloud's log.
    Detaching,
    /// 404.
    NamesNone,
    /// 400 or 409: not in this state.
    Refused,
    /// No clear answer, or one from before an attach that Nova had still to answer.
    Unclear,
}

/// What becomes of Cinder's entry for a server that Nova doesn't know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orphan {
    Ended,
    /// The server may be another cloud's, and have the disk.
    Kept,
}

impl Volumes {
    /// Returns once neither Nova nor Cinder names an attachment of the volume to `server`.
    pub async fn ensure_detached(&self, id: VolumeId, server: ServerId, orphan: Orphan) -> Result<()> {
        self.detach(id, server, orphan)
            .await
            .map_err(|error| error.context(format!("detach volume {id} from server {server}")))
    }

    async fn detach(&self, id: VolumeId, server: ServerId, orphan: Orphan) -> Result<()> {
        let mut refusals = Vec::new();
        let mut nova = self.ask_to_detach(id, server, &mut refusals).await?;
        let mut looks = self.watch.follow(("detach", "volume"), Interest::Change(id));
        loop {
            let seen = looks.next().await?;
            match plan(seen.as_ref(), server, &nova) {
                Step::AskNova => {
                    let is_named = nova != Nova::NamesNone && self.still_named(server, id).await?;
                    if !is_named && matches!(nova, Nova::NamesNone | Nova::Detaching) {
                        self.none_may_come(id, server).await?;
                        looks.ended();
                        return Ok(());
                    }
                    if !is_named || nova == Nova::Refused {
                        nova = self.ask_to_detach(id, server, &mut refusals).await?;
                    }
                }
                Step::Detach => nova = self.ask_to_detach(id, server, &mut refusals).await?,
                Step::Wait => {}
                Step::Failed => return Err(self.detach_failed(id).await),
                Step::Orphan if self.none_may_come(id, server).await.is_err() => {
                    nova = self.ask_to_detach(id, server, &mut refusals).await?;
                }
                Step::Orphan if orphan == Orphan::Kept => return Err(orphaned(server, "")),
                Step::Orphan => self.end_entries(seen.as_ref(), server).await?,
            }
        }
    }

    async fn ask_to_detach(
        &self,
        id: VolumeId,
        server: ServerId,
        refusals: &mut Vec<CallError>,
    ) -> Result<Nova> {
        let waiting = self.unanswered.waiting((id, server));
        match self.nova.detach_volume(server, id).await {
            Ok(()) => {
                self.unanswered.is_over((id, server));
                Ok(Nova::Detaching)
            }
            Err(error) if error.kind == Kind::NotFound => match waiting {
                None => Ok(Nova::NamesNone),
                Some(attach) => {
                    if self.server_is_there(server).await? {
                        heard(attach).await?;
                    } else {
                        self.unanswered.is_over((id, server));
                    }
                    Ok(Nova::Unclear)
                }
            },
            Err(error) if error.effect == Effect::Unknown => Ok(Nova::Unclear),
            Err(error) if error.kind == Kind::Refused => {
                if refusals.len() as u32 >= REFUSALS {
                    return Err(Error::new(Condition::Precondition, error.to_string()));
                }
                refusals.push(error);
                Ok(Nova::Refused)
            }
            Err(error) => Err(Error::unsettled(&error)),
        }
    }

    /// An attach that was asked for may still come, but not to a server that is gone.
    async fn none_may_come(&self, id: VolumeId, server: ServerId) -> Result<()> {
        let Err(doubt) = self.unanswered.none_may_come((id, server)) else { return Ok(()) };
        if self.server_is_there(server).await? { Err(doubt) } else { Ok(()) }
    }

    async fn server_is_there(&self, server: ServerId) -> Result<bool> {
        Ok(self.nova.find_server(server).await.map_err(Error::unsettled)?.is_some())
    }

    /// Nova lets a server go whose connections Cinder couldn't end, and nobody comes back to them. Cinder itself asks Nova
    /// before it lets a member take such an entry away (`attachment_deletion_allowed` in
    /// <https://opendev.org/openstack/cinder/src/branch/master/cinder/volume/api.py>).
    async fn end_entries(&self, volume: Option<&Volume>, server: ServerId) -> Result<()> {
        if self.server_is_there(server).await? {
            return Err(orphaned(server, ""));
        }
        let entries = volume.into_iter().flat_map(|volume| &volume.attachments);
        let entries = entries.filter(|entry| entry.server_id == Some(server));
        for entry in entries.filter_map(|entry| entry.attachment_id.as_deref()) {
            match self.cinder.delete_attachment(entry).await {
                Ok(()) => {}
                Err(error) if error.kind == Kind::NotFound => {}
                Err(error) if matches!(error.kind, Kind::Refused | Kind::Forbidden | Kind::Unsupported) => {
                    return Err(orphaned(server, &format!(". {error}")));
                }
                Err(error) => return Err(Error::unsettled(&error)),
            }
        }
        Ok(())
    }

    async fn still_named(&self, server: ServerId, id: VolumeId) -> Result<bool> {
        self.nova.has_attachment(server, id).await.map_err(Error::unsettled)
    }

    async fn detach_failed(&self, id: VolumeId) -> Error {
        let why = "Nova accepted the detach and gave it up: the volume is in use again. Is the disk busy in the guest, or \
                   the compute host in trouble?";
        Error::new(Condition::Failed, format!("{why} {}", self.reason("volume", id).await))
    }
}

fn orphaned(server: ServerId, why: &str) -> Error {
    Error::new(
        Condition::Failed,
        format!(
            "Nova names no such attachment, but Cinder still lists server {server} as using it: an administrator must delete \
             Cinder's attachment (openstack volume attachment delete){why}"
        ),
    )
}

pub(super) fn plan(volume: Option<&Volume>, server: ServerId, nova: &Nova) -> Step {
    let Some(volume) = volume else {
        return Step::AskNova;
    };
    let ours = volume.attachments.iter().any(|attachment| attachment.server_id == Some(server));
    match (&volume.status, ours) {
        // Entries can be empty while the status is still `detaching`; an attach under way has none yet.
        (Status::Detaching | Status::Attaching | Status::Reserved, _) if *nova != Nova::NamesNone => {
            Step::Wait
        }
        (_, false) => Step::AskNova,
        (Status::InUse, true) => match nova {
            Nova::Detaching => Step::Failed,
            Nova::NamesNone => Step::Orphan,
            Nova::Refused | Nova::Unclear => Step::Detach,
        },
        (_, true) => Step::Wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::sample::{server, volume};

    #[test]
    fn every_state_of_a_volume_leads_to_one_step() {
        use Nova::{Detaching, NamesNone, Refused, Unclear};
        let table = [
            (volume(Status::Available), Detaching, Step::AskNova),
            (volume(Status::Available), NamesNone, Step::AskNova),
            (volume(Status::Detaching).on(&[1]), Detaching, Step::Wait),
            (volume(Status::Detaching), Detaching, Step::Wait),
            (volume(Status::Attaching), Refused, Step::Wait),
            (volume(Status::Reserved), Refused, Step::Wait),
            (volume(Status::Attaching), NamesNone, Step::AskNova),
            (volume(Status::InUse).on(&[1]), Detaching, Step::Failed),
            (volume(Status::InUse).on(&[1]), Refused, Step::Detach),
            (volume(Status::InUse).on(&[1]), Unclear, Step::Detach),
            (volume(Status::InUse).on(&[1]), NamesNone, Step::Orphan),
            (volume(Status::InUse).on(&[2]), Detaching, Step::AskNova),
            (volume(Status::InUse).on(&[1, 2]).shared(), Detaching, Step::Failed),
            (volume(Status::InUse).on(&[2]).shared(), Detaching, Step::AskNova),
            (volume(Status::Extending).on(&[1]), Refused, Step::Wait),
        ];
        for (volume, nova, step) in table {
            assert_eq!(plan(Some(&volume), server(1), &nova), step, "{volume:?} after {nova:?}");
        }
        assert_eq!(plan(None, server(1), &Nova::NamesNone), Step::AskNova);
    }
}
