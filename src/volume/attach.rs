//! A volume becomes a disk of a server.

mod unanswered;

pub(super) use unanswered::{Unanswered, heard};

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::queue::Turn;
use super::watch::{Interest, Looks};
use super::{Condition, Error, Result, ServerId, Volume, VolumeId, Volumes, not_found, remedy};
use crate::openstack::{self, Effect, Kind, Status};
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

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Done,
    Attach,
    Wait,
    /// The attach that was sent has ended without an attachment.
    Failed,
    Refuse(Condition, String),
}

/// Whether other servers may have the volume, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sharing {
    AsItsType,
    /// Its access mode forbids it, or its file system would be corrupted.
    No,
}

/// What this RPC has sent, as far as it knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Sent {
    #[default]
    Nothing,
    /// Nova took it: its request id.
    Accepted(Option<String>),
    /// No clear answer came.
    Unclear(String),
}

impl Sent {
    /// Of a wait that has failed. Where nobody knows what became of the attach, that is the cause.
    fn told(&self, error: Error) -> Error {
        match self {
            Sent::Unclear(why) => Error {
                message: format!("{}; what became of the attach isn't known: {why}", error.message),
                ..error
            },
            Sent::Nothing | Sent::Accepted(_) => error,
        }
    }
}

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
        let mut line = self.queue.turn(server).boxed();
        let (mut turn, mut seen) = self.look_at_turn(id, &mut line).await?;
        let mut line = Some(line).filter(|_| turn.is_none());
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
                    return Err(self.over_limit(id, server, error).await);
                }
                Step::Attach if turn.is_none() && self.unanswered.waiting((id, server)).is_none() => {
                    turn = Some(line.take().unwrap_or_else(|| self.queue.turn(server).boxed()).await?);
                    // Nova would attach it, whoever has it by now.
                    if seen.multiattach {
                        seen = self.observe_known_for_line(id).await?;
                    }
                    continue;
                }
                // A place in the line keeps those behind it waiting.
                Step::Attach if line.take().is_some() => continue,
                Step::Attach => match self.ask_to_attach(id, server, turn.take()).await {
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
            (turn, line) = (None, None);
            let looks =
                looks.get_or_insert_with(|| self.watch.follow(("attach", "volume"), Interest::Change(id)));
            seen =
                looks.next().await.map_err(|error| sent.told(error))?.ok_or_else(|| not_found(id, None))?;
        }
    }

    /// At its turn; but what needs no attach isn't kept waiting by those that do.
    async fn look_at_turn(
        &self,
        id: VolumeId,
        line: &mut BoxFuture<'_, Result<Turn>>,
    ) -> Result<(Option<Turn>, Volume)> {
        let later = async {
            pace::sleep(SOON).await;
            self.observe_known(id).await
        };
        tokio::select! {
            biased;
            turn = line => Ok((Some(turn?), self.observe_known_for_line(id).await?)),
            seen = later => Ok((None, seen?)),
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
            // Nova's record of a detach, or of an earlier attach, outlives what Cinder shows of it: that goes on.
            Kind::Refused => {
                return match self.nova.has_attachment(server, id).await {
                    Ok(false) => Error::reading(error),
                    Ok(true) | Err(_) => Error::unsettled(error),
                };
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

    /// Nova refuses one disk too many with a 403, and it was so when it counted: by now the last one may be this very
    /// volume, which Nova has in its records before Cinder shows it
    /// (`attach_volume` in <https://opendev.org/openstack/nova/src/branch/master/nova/conductor/manager.py>).
    async fn over_limit(&self, id: VolumeId, server: ServerId, error: &openstack::Error) -> Error {
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

pub(super) fn plan(volume: &Volume, server: ServerId, sharing: Sharing, sent: &Sent) -> Step {
    let ours = volume.attachments.iter().any(|attachment| attachment.server_id == Some(server));
    let theirs =
        volume.attachments.iter().any(|attachment| attachment.server_id.is_some_and(|one| one != server));
    match &volume.status {
        // An extend that fails leaves the attachments as they are.
        Status::InUse | Status::ErrorExtending if theirs && sharing == Sharing::No => {
            one_at_a_time(volume, server)
        }
        Status::InUse | Status::ErrorExtending if ours => Step::Done,
        Status::InUse if !volume.multiattach => elsewhere(volume),
        Status::Available | Status::InUse => match sent {
            Sent::Nothing => Step::Attach,
            Sent::Accepted(_) => Step::Failed,
            // A request that Nova lost sight of may still be carried out: a second one could never be told from it.
            Sent::Unclear(_) => Step::Wait,
        },
        status if status.is_passing() => Step::Wait,
        Status::Deleting | Status::ErrorDeleting => Step::Refuse(
            Condition::NotFound,
            format!("the volume is being deleted (status {})", volume.status),
        ),
        _ => Step::Refuse(Condition::Precondition, remedy::told(volume, "Nova doesn't attach")),
    }
}

fn elsewhere(volume: &Volume) -> Step {
    let servers: Vec<_> = volume.attachments.iter().filter_map(|attachment| attachment.server_id).collect();
    if servers.is_empty() {
        // In use with no entry: Cinder is between two writes.
        return Step::Wait;
    }
    let servers: Vec<_> = servers.iter().map(ServerId::to_string).collect();
    Step::Refuse(
        Condition::Precondition,
        format!(
            "it is attached to server {} and its volume type doesn't allow more than one; detach it there first",
            servers.join(", ")
        ),
    )
}

/// A volume that one node may have, whatever its type allows.
fn one_at_a_time(volume: &Volume, server: ServerId) -> Step {
    let servers = volume.attachments.iter().filter_map(|attachment| attachment.server_id);
    let others: Vec<_> = servers.filter(|one| *one != server).map(|one| one.to_string()).collect();
    Step::Refuse(
        Condition::Precondition,
        format!(
            "it is attached to server {}, and its access mode or its file system is for one node at a time; detach it there first \
             (several nodes need ReadWriteMany with volumeMode: Block)",
            others.join(", ")
        ),
    )
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
    use crate::volume::sample::{server, volume};

    const ACCEPTED: Sent = Sent::Accepted(None);

    fn decided(volume: &Volume, sent: &Sent) -> Step {
        match plan(volume, server(1), Sharing::AsItsType, sent) {
            Step::Refuse(condition, _) => Step::Refuse(condition, String::new()),
            step => step,
        }
    }

    #[test]
    fn every_state_of_a_volume_leads_to_one_step() {
        let refuse = |condition| Step::Refuse(condition, String::new());
        let unclear = Sent::Unclear("lost".to_owned());
        let table = [
            (volume(Status::Available), Sent::Nothing, Step::Attach),
            (volume(Status::Available), ACCEPTED, Step::Failed),
            (volume(Status::Available), unclear.clone(), Step::Wait),
            (volume(Status::Reserved), ACCEPTED, Step::Wait),
            (volume(Status::Attaching), ACCEPTED, Step::Wait),
            (volume(Status::Attaching), Sent::Nothing, Step::Wait),
            (volume(Status::InUse).on(&[1]), Sent::Nothing, Step::Done),
            (volume(Status::InUse).on(&[1]), ACCEPTED, Step::Done),
            (volume(Status::InUse).on(&[2]), Sent::Nothing, refuse(Condition::Precondition)),
            (volume(Status::InUse).on(&[2]), ACCEPTED, refuse(Condition::Precondition)),
            (volume(Status::InUse), ACCEPTED, Step::Wait),
            (volume(Status::InUse).on(&[2]).shared(), Sent::Nothing, Step::Attach),
            (volume(Status::InUse).on(&[2]).shared(), ACCEPTED, Step::Failed),
            (volume(Status::InUse).on(&[2]).shared(), unclear, Step::Wait),
            (volume(Status::InUse).on(&[1, 2]).shared(), Sent::Nothing, Step::Done),
            (volume(Status::Detaching).on(&[1]), Sent::Nothing, Step::Wait),
            (volume(Status::Creating), Sent::Nothing, Step::Wait),
            (volume(Status::Extending).on(&[1]), Sent::Nothing, Step::Wait),
            (volume(Status::Retyping), Sent::Nothing, Step::Wait),
            (volume(Status::Deleting), Sent::Nothing, refuse(Condition::NotFound)),
            (volume(Status::ErrorDeleting), Sent::Nothing, refuse(Condition::NotFound)),
            (volume(Status::Error), Sent::Nothing, refuse(Condition::Precondition)),
            (volume(Status::ErrorExtending), Sent::Nothing, refuse(Condition::Precondition)),
            (volume(Status::ErrorExtending).on(&[1]), Sent::Nothing, Step::Done),
            (volume(Status::ErrorExtending).on(&[1]), ACCEPTED, Step::Done),
            (volume(Status::ErrorExtending).on(&[2]), Sent::Nothing, refuse(Condition::Precondition)),
            (volume(Status::Maintenance), Sent::Nothing, refuse(Condition::Precondition)),
            (volume(Status::Other("new-in-2030".to_owned())), Sent::Nothing, refuse(Condition::Precondition)),
        ];
        for (volume, sent, step) in table {
            assert_eq!(decided(&volume, &sent), step, "{volume:?} after {sent:?}");
        }
    }

    #[test]
    fn a_wait_for_a_lost_attach_that_fails_says_how_it_was_lost() {
        let late = || Error::new(Condition::TimedOut, "the deadline came first");
        let told = Sent::Unclear("Nova: HTTP 500".to_owned()).told(late());
        assert_eq!(
            (told.condition, told.message.as_str()),
            (
                Condition::TimedOut,
                "the deadline came first; what became of the attach isn't known: Nova: HTTP 500"
            )
        );
        assert_eq!(ACCEPTED.told(late()).message, late().message);
    }

    #[test]
    fn a_file_system_for_many_writers_goes_to_one_server_at_a_time() {
        let table = [
            (volume(Status::Available), false),
            (volume(Status::InUse).on(&[1]).shared(), false),
            (volume(Status::InUse).on(&[2]).shared(), true),
            (volume(Status::InUse).on(&[1, 2]).shared(), true),
            (volume(Status::ErrorExtending).on(&[1, 2]).shared(), true),
            (volume(Status::InUse).on(&[2]), true),
        ];
        for (volume, refused) in table {
            let step = plan(&volume, server(1), Sharing::No, &Sent::Nothing);
            let named = matches!(&step, Step::Refuse(Condition::Precondition, why) if why.contains(&server(2).to_string()));
            assert_eq!(named, refused, "{volume:?}: {step:?}");
        }
    }

    #[test]
    fn the_node_is_told_the_size_and_the_encryption() {
        let context = published(volume(Status::InUse).on(&[1]), server(1)).context();
        assert_eq!(context["DevicePath"], "/dev/vdb");
        assert_eq!(context["size"], "1073741824");
        assert_eq!(context["encrypted"], "false");
    }
}
