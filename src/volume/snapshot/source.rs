//! When a volume lets itself be snapshotted.

use super::super::watch::Interest;
use super::super::{Condition, Error, Result, Volume, VolumeId, Volumes, not_found, remedy};
use crate::openstack::Status;

#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Now; `force` where it is in use.
    Cut {
        force: bool,
    },
    Wait,
    Refuse(Error),
}

impl Volumes {
    /// Waits until the volume is in a status that Cinder snapshots; whether that needs `force`.
    pub(super) async fn snapshottable(&self, id: VolumeId) -> Result<bool> {
        let mut seen = self.observe(id).await?;
        let mut looks = None;
        loop {
            match plan(id, seen.as_ref()) {
                Step::Cut { force } => return Ok(force),
                Step::Wait => {}
                Step::Refuse(error) => return Err(error),
            }
            let looks =
                looks.get_or_insert_with(|| self.watch.follow(("settle", "volume"), Interest::Change(id)));
            seen = looks.next().await?;
        }
    }
}

fn plan(id: VolumeId, volume: Option<&Volume>) -> Step {
    let Some(volume) = volume else { return Step::Refuse(not_found(id, None)) };
    match &volume.status {
        Status::Available => Step::Cut { force: false },
        Status::InUse => Step::Cut { force: true },
        status if status.is_passing() => Step::Wait,
        _ => {
            let why = remedy::told(volume, "Cinder doesn't snapshot");
            Step::Refuse(Error::new(Condition::Precondition, why))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::sample::{id, volume};

    #[test]
    fn every_state_of_the_volume_leads_to_one_step() {
        use Status::*;
        let decided = |status| plan(id(1), Some(&volume(status)));
        assert_eq!(decided(Available), Step::Cut { force: false });
        assert_eq!(decided(InUse), Step::Cut { force: true });
        for status in [
            Creating,
            Downloading,
            Uploading,
            Reserved,
            Attaching,
            Detaching,
            BackingUp,
            RestoringBackup,
            Retyping,
            Extending,
        ] {
            assert_eq!(decided(status), Step::Wait);
        }
        for status in [
            Deleting,
            ErrorDeleting,
            Error,
            ErrorBackingUp,
            ErrorRestoring,
            ErrorExtending,
            Maintenance,
            AwaitingTransfer,
            Other("managing".to_owned()),
        ] {
            let Step::Refuse(error) = decided(status.clone()) else { panic!("{status} is taken") };
            assert_eq!(error.condition, Condition::Precondition);
            assert!(error.message.contains(&status.to_string()), "{error}");
        }
        let Step::Refuse(error) = plan(id(1), None) else { panic!("nothing is taken") };
        assert_eq!(error.condition, Condition::NotFound);
    }
}
