//! From a volume's state to what is wrong with it.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use super::{Ailment, Reason};
use crate::openstack::{ServerId, Status, Volume};

/// An order that takes a cloud seconds.
const STUCK_AFTER: Duration = Duration::from_secs(600);
/// An order that copies the data.
const COPYING_AFTER: Duration = Duration::from_secs(3600);

/// `gone`: the servers among the volume's attachments that Nova doesn't know.
pub fn diagnose(volume: &Volume, now: SystemTime, gone: &BTreeSet<ServerId>) -> Vec<Ailment> {
    let mut ailments: Vec<_> = of_status(volume, unchanged_for(volume, now)).into_iter().collect();
    if let Some(migration) = volume.migration_status.as_deref().filter(|status| is_under_way(status)) {
        let message = format!("it is being moved to another backend (migration status {migration})");
        ailments.push(Ailment { reason: Reason::Migrating, message });
    }
    if !gone.is_empty() {
        let servers: Vec<_> = gone.iter().map(ServerId::to_string).collect();
        let message = format!(
            "Cinder lists server {} as using it, which Nova doesn't know: it ends when the volume is unpublished \
             there, or by deleting the attachment (openstack volume attachment delete)",
            servers.join(", ")
        );
        ailments.push(Ailment { reason: Reason::AttachedToMissingServer, message });
    }
    ailments
}

fn of_status(volume: &Volume, unchanged: Duration) -> Option<Ailment> {
    let status = &volume.status;
    let stuck = |reason, after| (unchanged > after).then(|| stuck(reason, status, after));
    let ill = |reason, message: &str| Some(Ailment { reason, message: message.to_owned() });
    match status {
        Status::Available | Status::InUse => None,
        Status::Error => ill(
            Reason::VolumeError,
            "its status is error: Cinder's messages about it tell why (openstack volume message list)",
        ),
        Status::ErrorDeleting => ill(
            Reason::DeletionFailed,
            "Cinder couldn't delete it: an administrator must (openstack volume delete --force)",
        ),
        Status::ErrorExtending => ill(
            Reason::ExtensionFailed,
            "Cinder couldn't extend it: an administrator must look at it and reset its status (openstack volume set --state)",
        ),
        Status::ErrorBackingUp => ill(
            Reason::BackupFailed,
            "a backup of it failed: an administrator can reset its status (openstack volume set --state)",
        ),
        Status::ErrorRestoring => ill(
            Reason::RestoreFailed,
            "restoring a backup into it failed: what it holds is not to be relied on",
        ),
        Status::Maintenance => ill(
            Reason::InMaintenance,
            "its status is maintenance: its cloud's operator works on it, and no order is taken",
        ),
        Status::AwaitingTransfer => ill(
            Reason::AwaitingTransfer,
            "it is offered to another project (openstack volume transfer request list)",
        ),
        Status::Creating => stuck(Reason::StuckCreating, COPYING_AFTER),
        Status::Attaching | Status::Reserved => stuck(Reason::StuckAttaching, STUCK_AFTER),
        Status::Detaching => stuck(Reason::StuckDetaching, STUCK_AFTER),
        Status::Deleting => stuck(Reason::StuckDeleting, COPYING_AFTER),
        Status::Extending => stuck(Reason::StuckExtending, STUCK_AFTER),
        Status::Retyping => stuck(Reason::StuckRetyping, COPYING_AFTER),
        Status::BackingUp => stuck(Reason::StuckBackingUp, COPYING_AFTER),
        Status::Downloading | Status::Uploading | Status::RestoringBackup => {
            stuck(Reason::StuckCopying, COPYING_AFTER)
        }
        Status::Other(other) => {
            ill(Reason::UnknownStatus, &format!("its status is {other:?}, which this driver doesn't know"))
        }
    }
}

/// Without how long exactly: an Event whose words change is another Event.
fn stuck(reason: Reason, status: &Status, after: Duration) -> Ailment {
    let minutes = after.as_secs() / 60;
    let message = format!(
        "its status has been {status} for over {minutes} minutes: the cloud's operator has to look, by its id"
    );
    Ailment { reason, message }
}

/// How long ago, by the cloud's clock, its state was written.
fn unchanged_for(volume: &Volume, now: SystemTime) -> Duration {
    let written = volume.updated_at.or(volume.created_at).and_then(|time| SystemTime::try_from(time).ok());
    written.and_then(|time| now.duration_since(time).ok()).unwrap_or_default()
}

/// A migration that has ended stays as `success` or `error` (`migrate_volume` in
/// <https://opendev.org/openstack/cinder/src/branch/master/cinder/volume/manager.py>).
fn is_under_way(status: &str) -> bool {
    matches!(status, "starting" | "migrating" | "completing")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::sample::{server, volume};

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(minutes: u32) -> SystemTime {
        let created: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        SystemTime::try_from(created).unwrap() + MINUTE * minutes
    }

    fn reasons(volume: &Volume, minutes: u32) -> Vec<Reason> {
        diagnose(volume, at(minutes), &BTreeSet::new()).into_iter().map(|ailment| ailment.reason).collect()
    }

    #[test]
    fn every_state_of_a_volume_is_well_or_has_its_reason() {
        let table = [
            (Status::Available, 900, None),
            (Status::InUse, 900, None),
            (Status::Error, 0, Some(Reason::VolumeError)),
            (Status::ErrorDeleting, 0, Some(Reason::DeletionFailed)),
            (Status::ErrorExtending, 0, Some(Reason::ExtensionFailed)),
            (Status::ErrorBackingUp, 0, Some(Reason::BackupFailed)),
            (Status::ErrorRestoring, 0, Some(Reason::RestoreFailed)),
            (Status::Maintenance, 0, Some(Reason::InMaintenance)),
            (Status::AwaitingTransfer, 0, Some(Reason::AwaitingTransfer)),
            (Status::Attaching, 10, None),
            (Status::Attaching, 11, Some(Reason::StuckAttaching)),
            (Status::Reserved, 11, Some(Reason::StuckAttaching)),
            (Status::Detaching, 11, Some(Reason::StuckDetaching)),
            (Status::Extending, 11, Some(Reason::StuckExtending)),
            (Status::Creating, 60, None),
            (Status::Creating, 61, Some(Reason::StuckCreating)),
            (Status::Deleting, 61, Some(Reason::StuckDeleting)),
            (Status::Retyping, 61, Some(Reason::StuckRetyping)),
            (Status::BackingUp, 61, Some(Reason::StuckBackingUp)),
            (Status::Downloading, 61, Some(Reason::StuckCopying)),
            (Status::Uploading, 61, Some(Reason::StuckCopying)),
            (Status::RestoringBackup, 61, Some(Reason::StuckCopying)),
            (Status::Other("new-in-2030".to_owned()), 0, Some(Reason::UnknownStatus)),
        ];
        for (status, minutes, reason) in table {
            assert_eq!(
                reasons(&volume(status.clone()), minutes),
                Vec::from_iter(reason),
                "{status} {minutes}"
            );
        }
    }

    #[test]
    fn a_state_that_was_written_lately_is_not_stuck() {
        let touched =
            Volume { updated_at: Some("2026-01-01T00:20:00Z".parse().unwrap()), ..volume(Status::Detaching) };
        assert_eq!(reasons(&touched, 21), []);
        assert_eq!(reasons(&touched, 31), [Reason::StuckDetaching]);
    }

    #[test]
    fn several_things_can_be_wrong_at_once() {
        let moving =
            Volume { migration_status: Some("migrating".to_owned()), ..volume(Status::InUse).on(&[1]) };
        let ailments = diagnose(&moving, at(0), &[server(1)].into());
        let reasons: Vec<_> = ailments.iter().map(|ailment| ailment.reason).collect();
        assert_eq!(reasons, [Reason::Migrating, Reason::AttachedToMissingServer]);
        assert!(ailments[1].message.contains(&server(1).to_string()), "{}", ailments[1].message);
        let moved = Volume { migration_status: Some("success".to_owned()), ..volume(Status::InUse) };
        assert_eq!(diagnose(&moved, at(0), &BTreeSet::new()), []);
    }
}
