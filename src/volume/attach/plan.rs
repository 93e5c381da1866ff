//! What to do next about an attach. Pure.

use crate::openstack::Status;
use crate::volume::{Condition, Error, ServerId, Volume, remedy};

#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    Done,
    Attach,
    Wait,
    /// The attach that was sent has ended without an attachment.
    Failed,
    Refuse(Condition, String),
}

/// Whether other servers may have the volume, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    AsItsType,
    /// Its access mode forbids it, or its file system would be corrupted.
    No,
}

/// What this RPC has sent, as far as it knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sent {
    #[default]
    Nothing,
    /// Nova took it: its request id.
    Accepted(Option<String>),
    /// No clear answer came.
    Unclear(String),
}

impl Sent {
    /// Of a wait that has failed. Where nobody knows what became of the attach, that is the cause.
    pub fn told(&self, error: Error) -> Error {
        match self {
            Sent::Unclear(why) => Error {
                message: format!("{}; what became of the attach isn't known: {why}", error.message),
                ..error
            },
            Sent::Nothing | Sent::Accepted(_) => error,
        }
    }
}

pub fn plan(volume: &Volume, server: ServerId, sharing: Sharing, sent: &Sent) -> Step {
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
}
