//! A volume becomes a disk of a server.

mod plan;
mod unanswered;

pub(super) use plan::{Sent, Sharing, Step, plan};
pub(super) use unanswered::{Unanswered, heard};

use std::collections::BTreeMap;
use std::time::Duration;

use super::queue::{Place, Turn};
use super::watch::{Interest, Looks};
use super::{Condition, Error, Result, ServerId, Volume, VolumeId, Volumes, not_found};
use crate::openstack::{self, Effect, Kind};
use crate::pace;

/// What the node needs to know of an attachment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    pub volume: Volume,
    /// The name that Nova gave the device: a hint, the guest's kernel may choose another.
    pub device: Option<String>,
}

/// Who has no turn after so long looks without one.
const SOON: Duration = Duration::from_secs(1);

/// How often one unchanged state may refuse one call before the refusal is the answer.
pub(super) const REFUSALS: u32 = 2;

impl Volumes {
    /// Returns once Cinder lists the volume's attachment to `server`.
    pub async fn ensure_attached(&self, id: VolumeId, server: ServerId) -> Result<Published> {
        self.attached(id, server, Sharing::AsItsType).await
    }

    /// As [`Self::ensure_attached`], and to no other server, whatever the volume's type allows.
    pub async fn ensure_attached_alone(&self, id: VolumeId, server: ServerId) -> Result<Published> {
        self.attached(id, server, Sharing::No).await
    }

    async fn attached(&self, id: VolumeId, server: ServerId, sharing: Sharing) -> Result<Published> {
        self.attach(id, server, sharing)
            .await
            .map_err(|error| error.context(format!("attach volume {id} to server {server}")))
    }

    async fn attach(&self, id: VolumeId, server: ServerId, sharing: Sharing) -> Result<Published> {
        let mut place = self.queue.place(server);
        let mut seen = self.look_at_turn(id, &mut place).await?;
        let mut sent = Sent::Nothing;
        let mut refusals = 0;
        let mut looks = None;
        let mut full = None;
        loop {
            match plan(&seen, server, sharing, &sent) {
                Step::Done => {
                    self.unanswered.is_over((id, server));
                    looks.iter().for_each(Looks::ended);
                    return Ok(published(seen, server));
                }
                Step::Attach if let Some(error) = &full => {
                    return Err(self.final_unless_recorded(id, server, error).await);
                }
                Step::Attach if !place.has_turn() && self.unanswered.waiting((id, server)).is_none() => {
                    place.turn().await?;
                    // Nova would attach it, whoever has it by now.
                    if seen.multiattach {
                        seen = self.observe_known_for_line(id).await?;
                    }
                    continue;
                }
                Step::Attach => match self.ask_to_attach(id, server, place.leave()).await {
                    None => sent = Sent::Unclear("Nova hasn't answered it yet".to_owned()),
                    Some(Ok(request)) => sent = Sent::Accepted(request),
                    Some(Err(error)) if error.effect == Effect::Unknown => {
                        sent = Sent::Unclear(error.to_string())
                    }
                    Some(Err(error)) if error.kind == Kind::Refused && refusals < REFUSALS => refusals += 1,
                    Some(Err(error)) if error.kind == Kind::OverLimit => full = Some(error),
                    Some(Err(error)) => return Err(self.refused(id, server, &error).await),
                },
                Step::Wait => {}
                Step::Failed => {
                    if !self.nova_names(server, id, &sent).await? {
                        return Err(self.attach_failed(id, server, &sent).await);
                    }
                }
                Step::Refuse(condition, why) => return Err(Error::new(condition, why)),
            }
            drop(place.leave());
            let looks =
                looks.get_or_insert_with(|| self.watch.follow(("attach", "volume"), Interest::Change(id)));
            seen =
                looks.next().await.map_err(|error| sent.told(error))?.ok_or_else(|| not_found(id, None))?;
        }
    }

    /// At its turn; but what needs no attach isn't kept waiting by those that do.
    async fn look_at_turn(&self, id: VolumeId, place: &mut Place<'_>) -> Result<Volume> {
        let later = async {
            pace::sleep(SOON).await;
            self.observe_known(id).await
        };
        tokio::select! {
            biased;
            turn = place.turn() => {
                turn?;
                self.observe_known_for_line(id).await
            }
            seen = later => seen,
        }
    }

    /// The next of the server's line has its turn once Nova has answered.
    async fn ask_to_attach(
        &self,
        id: VolumeId,
        server: ServerId,
        turn: Option<Turn>,
    ) -> Option<openstack::Result<Option<String>>> {
        let nova = self.nova.clone();
        let call = async move {
            let _turn = turn;
            nova.attach_volume(server, id).await
        };
        self.unanswered.ask((id, server), call).await
    }

    /// Nova drops its own record last: while it has one, the attach hasn't ended.
    async fn nova_names(&self, server: ServerId, id: VolumeId, sent: &Sent) -> Result<bool> {
        if let Sent::Unclear(_) = sent {
            return Ok(true);
        }
        self.nova.has_attachment(server, id).await.map_err(Error::unsettled)
    }

    /// By Nova's default policy a tenant sees that the action failed, and not why
    /// (`os_compute_api:os-instance-actions:events:details`).
    async fn attach_failed(&self, id: VolumeId, server: ServerId, sent: &Sent) -> Error {
        let mut why = "Nova accepted the attach and then gave it up".to_owned();
        if let Sent::Accepted(Some(request)) = sent {
            let action = self.nova.find_failed_action(server, request).await;
            let said = action
                .ok()
                .flatten()
                .map_or(String::new(), |action| format!("Nova says {:?}, ", action.message));
            why = format!("{why}: {said}and nova-compute's log has the reason under request {request}");
        }
        let reason = self.reason("volume", id).await;
        Error::new(Condition::Failed, format!("{why}; {reason}. The volume is available again"))
    }

    async fn refused(&self, id: VolumeId, server: ServerId, error: &openstack::Error) -> Error {
        match error.kind {
            Kind::NotFound => {}
            Kind::Refused | Kind::Unauthenticated | Kind::Forbidden => {
                return self.final_unless_recorded(id, server, error).await;
            }
            _ => return Error::reading(error),
        }
        match self.nova.find_server(server).await {
            Ok(None) => Error::new(
                Condition::NotFound,
                format!(
                    "server {server} is unknown to Nova in this project: the node id must be its Nova server's id"
                ),
            ),
            Ok(Some(_)) => self.contradicted(id, error).await,
            Err(error) => Error::reading(&error),
        }
    }

    /// Final only where Nova has no record of this attachment. Where it has one, something goes on whatever Nova answered now:
    /// a detach, an earlier attach, or one that another process ordered; where it can't be asked, that isn't known. With one
    /// disk too many (403) it may be this very volume that filled the server: Nova records it before Cinder shows it
    /// (`attach_volume` in <https://opendev.org/openstack/nova/src/branch/master/nova/conductor/manager.py>).
    async fn final_unless_recorded(&self, id: VolumeId, server: ServerId, error: &openstack::Error) -> Error {
        match self.nova.has_attachment(server, id).await {
            Ok(false) => Error::reading(error),
            Ok(true) | Err(_) => Error::unsettled(error),
        }
    }

    /// Nova didn't find something, and the server is there.
    async fn contradicted(&self, id: VolumeId, error: &openstack::Error) -> Error {
        match self.observe(id).await {
            Ok(None) => not_found(id, None),
            Ok(Some(_)) => Error::new(
                Condition::Unsettled,
                format!("{error}; the server and the volume both exist, so that the next call may succeed"),
            ),
            Err(error) => error,
        }
    }
}

fn published(volume: Volume, server: ServerId) -> Published {
    let entry = volume.attachments.iter().find(|attachment| attachment.server_id == Some(server));
    let device = entry.and_then(|attachment| attachment.device.clone());
    Published { volume, device }
}

impl Published {
    /// `publish_context`: `DevicePath` is the existing driver's key; with size and encryption the node can prove the disk.
    pub fn context(&self) -> BTreeMap<String, String> {
        let mut context = BTreeMap::from([
            ("size".to_owned(), (self.volume.size * super::GIB).to_string()),
            ("encrypted".to_owned(), self.volume.encrypted.to_string()),
        ]);
        if let Some(device) = &self.device {
            context.insert("DevicePath".to_owned(), device.clone());
        }
        context
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openstack::Status;
    use crate::volume::sample::{server, volume};

    #[test]
    fn the_node_is_told_the_size_and_the_encryption() {
        let context = published(volume(Status::InUse).on(&[1]), server(1)).context();
        assert_eq!(context["DevicePath"], "/dev/vdb");
        assert_eq!(context["size"], "1073741824");
        assert_eq!(context["encrypted"], "false");
    }
}
