//! Snapshots and backups end.

use std::future::Future;

use super::namesakes::{Candidate, Stage};
use super::watch::{Interest, Seen};
use super::{Condition, Error, Result, Volumes};
use crate::openstack::{self, Cinder, Effect, Kind};

/// How often one unchanged state may refuse the call before the refusal is the answer.
const REFUSALS: u32 = 1;
/// Looks at one that is as before its deletion. Cinder moves to `deleting` before it answers 202, so that it has come
/// back from there; one such look may be a replica of the database that lags.
pub(super) const COME_BACK: u32 = 2;

/// What can be asked to end.
pub trait Ending: Candidate {
    fn interest(id: Self::Id) -> Interest;

    /// The one that a look of that interest showed; `None` where it is gone.
    fn seen(seen: Seen) -> Option<Self>;

    fn delete(cinder: &Cinder, id: Self::Id) -> impl Future<Output = openstack::Result<()>> + Send;

    /// Why it can't be deleted by itself, whatever its status.
    fn bound(&self) -> Option<Error>;

    /// Cinder accepted the deletion and gave it up, for this reason.
    fn given_up(reason: &str) -> Error;

    fn reason(&self, volumes: &Volumes) -> impl Future<Output = String> + Send;
}

#[derive(Debug, PartialEq)]
pub(super) enum Step {
    Done,
    Delete,
    Wait,
    Stuck,
    GivenUp,
    Refuse(Error),
}

impl Volumes {
    /// Returns once Cinder knows it no more.
    pub(super) async fn end<C: Ending>(&self, id: C::Id, first: Option<C>) -> Result<()> {
        let mut seen = first;
        let (mut sent, mut refusals, mut unchanged) = (false, 0, 0);
        let mut looks = None;
        loop {
            match (plan(seen.as_ref(), sent, unchanged), &seen) {
                (Step::Done, _) | (Step::Stuck | Step::GivenUp, None) => return Ok(()),
                (Step::Delete, _) => match C::delete(&self.cinder, id).await {
                    Ok(()) => sent = true,
                    // The next look tells whether it is gone.
                    Err(error) if error.effect == Effect::Unknown => {}
                    Err(error) if is_of_its_state(&error) && refusals < REFUSALS => refusals += 1,
                    // It was there a moment ago: what is missing is a part of the cloud.
                    Err(error) if error.kind == Kind::NotFound => {
                        return Err(Error::new(Condition::Unavailable, error.to_string()));
                    }
                    Err(error) => return Err(Error::reading(&error)),
                },
                (Step::Wait, _) => {}
                (Step::Stuck, Some(one)) => return Err(stuck::<C>(&one.reason(self).await)),
                (Step::GivenUp, Some(one)) => return Err(C::given_up(&one.reason(self).await)),
                (Step::Refuse(error), _) => return Err(error),
            }
            let looks = looks.get_or_insert_with(|| self.watch.follow(("delete", C::WHAT), C::interest(id)));
            seen = C::seen(looks.next_seen().await?);
            unchanged += u32::from(sent && seen.as_ref().is_some_and(Candidate::is_free));
        }
    }
}

/// A refusal that another look may explain. A 404 may be of the backup service, where it isn't up
/// (`ServiceNotFound` in <https://opendev.org/openstack/cinder/src/branch/master/cinder/backup/api.py>).
fn is_of_its_state(error: &openstack::Error) -> bool {
    matches!(error.kind, Kind::Refused | Kind::NotFound)
}

pub(super) fn plan<C: Ending>(one: Option<&C>, sent: bool, unchanged: u32) -> Step {
    let Some(one) = one else { return Step::Done };
    if let Some(error) = one.bound() {
        return Step::Refuse(error);
    }
    match one.stage() {
        Stage::Stuck => Step::Stuck,
        _ if !one.is_free() => Step::Wait,
        _ if !sent => Step::Delete,
        _ if unchanged < COME_BACK => Step::Wait,
        _ => Step::GivenUp,
    }
}

fn stuck<C: Ending>(reason: &str) -> Error {
    let why = format!(
        "Cinder couldn't delete it (status error_deleting), and no tenant can try again: an administrator must ({})",
        C::REMOVED_BY
    );
    Error::new(Condition::Failed, format!("{why}; {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openstack::{Backup, BackupStatus, Snapshot, SnapshotStatus};
    use crate::volume::sample::{backup, snapshot};

    fn of_snapshot(status: SnapshotStatus, sent: bool, unchanged: u32) -> Step {
        plan(Some(&snapshot(status)), sent, unchanged)
    }

    #[test]
    fn every_state_of_a_snapshot_leads_to_one_step() {
        use SnapshotStatus::*;
        assert_eq!(plan::<Snapshot>(None, false, 0), Step::Done);
        for status in [Available, Error] {
            assert_eq!(of_snapshot(status.clone(), false, 0), Step::Delete);
            assert_eq!(of_snapshot(status.clone(), true, 1), Step::Wait, "one look may lag");
            assert_eq!(of_snapshot(status, true, 2), Step::GivenUp);
        }
        for status in [Creating, BackingUp, Restoring, Deleting, Unmanaging, Other("odd".to_owned())] {
            assert_eq!(of_snapshot(status.clone(), false, 0), Step::Wait, "{status}");
            assert_eq!(of_snapshot(status.clone(), true, 0), Step::Wait, "{status}");
        }
        assert_eq!(of_snapshot(ErrorDeleting, false, 0), Step::Stuck);
    }

    #[test]
    fn every_state_of_a_backup_leads_to_one_step() {
        use BackupStatus::*;
        let decided = |status, sent, unchanged| plan(Some(&backup(status)), sent, unchanged);
        assert_eq!(plan::<Backup>(None, true, 0), Step::Done);
        for status in [Available, Error] {
            assert_eq!(decided(status.clone(), false, 0), Step::Delete);
            assert_eq!(decided(status, true, 2), Step::GivenUp);
        }
        for status in [Creating, Restoring, Deleting] {
            assert_eq!(decided(status, false, 0), Step::Wait);
        }
        assert_eq!(decided(ErrorDeleting, true, 0), Step::Stuck);
    }

    #[test]
    fn a_member_of_a_group_snapshot_does_not_end_by_itself() {
        let group_snapshot_id = Some(uuid::Uuid::from_u128(9).into());
        let member = Snapshot { group_snapshot_id, ..snapshot(SnapshotStatus::Available) };
        let Step::Refuse(error) = plan(Some(&member), false, 0) else { panic!("it is deleted") };
        assert_eq!(error.condition, Condition::Invalid);
        assert!(error.message.contains("00000000-0000-0000-0000-000000000009"), "{error}");
    }
}
