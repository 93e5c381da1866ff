//! A volume ends.

use super::backup::{is_intermediate, unremoved};
use super::namesakes::{Candidate, Stage};
use super::watch::{Interest, Looks};
use super::{Condition, Error, Result, ServerId, Volume, VolumeId, Volumes, remedy};
use crate::openstack::{Effect, Kind, Status};

/// How often one unchanged state may refuse the call before the refusal is the answer.
pub(super) const REFUSALS: u32 = 1;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Done,
    Delete,
    Wait,
    Failed,
    Refuse(Condition, String),
}

impl Volumes {
    /// Returns once Cinder knows the volume no more.
    pub async fn ensure_deleted(&self, id: VolumeId) -> Result<()> {
        self.delete(id).await.map_err(|error| error.context(format!("delete volume {id}")))
    }

    pub(super) async fn delete(&self, id: VolumeId) -> Result<()> {
        let mut sent = self.delete_if_free(id).await;
        let follow = || self.watch.follow(("delete", "volume"), Interest::Deletion(id));
        let mut looks = sent.then(follow);
        let mut seen = match &mut looks {
            Some(looks) => looks.next().await?,
            None => self.observe(id).await?,
        };
        let mut refusals = 0;
        loop {
            match plan(seen.as_ref(), sent) {
                Step::Done => {
                    looks.iter().for_each(Looks::ended);
                    return Ok(());
                }
                Step::Delete => match self.cinder.delete_volume(id).await {
                    Ok(()) => sent = true,
                    // A proxy without a way to Cinder answers 404, too: the next look tells whether it is gone.
                    Err(error) if error.kind == Kind::NotFound || error.effect == Effect::Unknown => {}
                    Err(error) if error.kind == Kind::Refused => {
                        self.remove_intermediates_or_refuse(id).await?;
                        refusals += 1;
                        if refusals > REFUSALS && !self.leave_group(id).await? {
                            return Err(Error::reading(&error));
                        }
                    }
                    Err(error) => return Err(Error::reading(&error)),
                },
                Step::Wait => {}
                Step::Failed => return Err(self.deletion_failed(id).await),
                Step::Refuse(condition, why) => return Err(Error::new(condition, why)),
            }
            seen = looks.get_or_insert_with(follow).next().await?;
        }
    }

    /// Whether Cinder has taken the order without a look before (`watch/free.rs`). Where it hasn't, a look tells why.
    async fn delete_if_free(&self, id: VolumeId) -> bool {
        self.watch.saw_free(id) && self.cinder.delete_volume(id).await.is_ok()
    }

    async fn deletion_failed(&self, id: VolumeId) -> Error {
        let why = "Cinder couldn't delete it (status error_deleting), and no tenant can try again: an administrator must \
                   (openstack volume delete --force, or volume set --state available)";
        Error::new(Condition::Failed, format!("{why}; {}", self.reason("volume", id).await))
    }

    /// Cinder's 400 for a volume with snapshots is the same as for one in a wrong state. Those that were cut for a backup
    /// alone end with the volume: a process that died has left them, and no caller knows of them.
    async fn remove_intermediates_or_refuse(&self, id: VolumeId) -> Result<()> {
        let snapshots = self.cinder.list_snapshots_of(id).await.map_err(Error::unsettled)?;
        let (intermediate, asked_for): (Vec<_>, Vec<_>) = snapshots.into_iter().partition(is_intermediate);
        if !asked_for.is_empty() {
            let ids: Vec<_> = asked_for.iter().map(|snapshot| snapshot.id.to_string()).collect();
            let why = format!("it has snapshots, delete them first: {}", ids.join(", "));
            return Err(Error::new(Condition::Precondition, why));
        }
        for snapshot in intermediate {
            let (id, status) = (snapshot.id, &snapshot.status);
            let is_busy = matches!(snapshot.stage(), Stage::Making | Stage::Made) && !snapshot.is_free();
            if is_busy {
                let why = format!("a backup is being made of its snapshot {id} ({status})");
                return Err(Error::new(Condition::Unsettled, why));
            }
            self.end(id, Some(snapshot)).await.map_err(|error| unremoved(id, error))?;
        }
        Ok(())
    }
}

pub(super) fn plan(volume: Option<&Volume>, sent: bool) -> Step {
    let Some(volume) = volume else {
        return Step::Done;
    };
    match &volume.status {
        Status::ErrorDeleting => Step::Failed,
        Status::Deleting => Step::Wait,
        Status::Available
        | Status::Error
        | Status::ErrorExtending
        | Status::ErrorRestoring
        | Status::ErrorBackingUp
            if volume.attachments.is_empty() =>
        {
            // Cinder moves to `deleting` before it answers 202, so an old status after it is a stale read.
            if sent { Step::Wait } else { Step::Delete }
        }
        status if status.is_passing() => Step::Wait,
        Status::InUse
        | Status::Available
        | Status::Error
        | Status::ErrorExtending
        | Status::ErrorRestoring
        | Status::ErrorBackingUp => in_use(volume),
        _ => Step::Refuse(Condition::Precondition, remedy::told(volume, "Cinder doesn't delete")),
    }
}

fn in_use(volume: &Volume) -> Step {
    let servers = volume.attachments.iter().filter_map(|attachment| attachment.server_id);
    let servers: Vec<_> = servers.map(|server: ServerId| server.to_string()).collect();
    Step::Refuse(
        Condition::Precondition,
        format!(
            "it is in use by server {} (status {}); detach it first",
            if servers.is_empty() { "(not listed yet)".to_owned() } else { servers.join(", ") },
            volume.status
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::sample::volume;

    fn decided(volume: Option<&Volume>, sent: bool) -> Step {
        match plan(volume, sent) {
            Step::Refuse(condition, _) => Step::Refuse(condition, String::new()),
            step => step,
        }
    }

    #[test]
    fn every_state_of_a_volume_leads_to_one_step() {
        let refuse = || Step::Refuse(Condition::Precondition, String::new());
        let table = [
            (volume(Status::Available), false, Step::Delete),
            (volume(Status::Available), true, Step::Wait),
            (volume(Status::Error), false, Step::Delete),
            (volume(Status::ErrorExtending), false, Step::Delete),
            (volume(Status::ErrorRestoring), false, Step::Delete),
            (volume(Status::ErrorBackingUp), false, Step::Delete),
            (volume(Status::Deleting), true, Step::Wait),
            (volume(Status::Deleting), false, Step::Wait),
            (volume(Status::ErrorDeleting), true, Step::Failed),
            (volume(Status::ErrorDeleting), false, Step::Failed),
            (volume(Status::InUse).on(&[1]), false, refuse()),
            (volume(Status::Error).on(&[1]), false, refuse()),
            (volume(Status::Creating), false, Step::Wait),
            (volume(Status::Attaching), false, Step::Wait),
            (volume(Status::Detaching), false, Step::Wait),
            (volume(Status::Extending), false, Step::Wait),
            (volume(Status::Maintenance), false, refuse()),
            (volume(Status::Other("x".to_owned())), false, refuse()),
        ];
        for (volume, sent, step) in table {
            assert_eq!(decided(Some(&volume), sent), step, "{volume:?} sent: {sent}");
        }
        assert_eq!(decided(None, false), Step::Done);
    }
}
