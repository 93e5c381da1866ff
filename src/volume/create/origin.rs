//! What a copy is made from: which kind of thing that is, whether it can be copied now, and what it demands of the copy.

use super::{Wanted, ZoneChoice};
use crate::openstack::{
    Backup, BackupId, BackupStatus, Origin, Snapshot, SnapshotId, SnapshotStatus, Status, Volume,
};
use crate::volume::{Condition, Error, Result, Saved, Volumes, metadata, remedy, snapshot};

/// A source as the cloud shows it.
#[derive(Clone, Debug)]
enum Found {
    /// With the volume that it is of: that has the zone.
    Snapshot(Snapshot, Option<Volume>),
    Backup(Backup),
    Volume(Volume),
}

/// As wanted, with what the source demands of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fitted {
    pub wanted: Wanted,
    /// The source's zone, where it is none of those that are asked for: Cinder may refuse.
    pub zone_elsewhere: Option<String>,
}

/// A source that can be copied now.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Source {
    origin: Origin,
    /// GiB.
    size: u64,
    /// Where Cinder makes the copy, unless its operator unset `cloned_volume_same_az`; a backup can go anywhere.
    zone: Option<String>,
    /// The copy has the source's type where none is asked for.
    multiattach: Option<bool>,
}

impl Volumes {
    /// As wanted, with the kind, the size and the zone of its source.
    pub(super) async fn fit_to_origin(&self, wanted: &Wanted) -> Result<Fitted> {
        let Some(origin) = wanted.origin else {
            return Ok(Fitted { wanted: wanted.clone(), zone_elsewhere: None });
        };
        let found = match origin {
            Origin::Volume(id) => self.get(id).await.map(Found::Volume),
            Origin::Snapshot(id) => self.snapshot_or_backup(id).await,
            Origin::Backup(id) => self.backup(id).await.map(Found::Backup),
        };
        let found = found.map_err(|error| error.context("its source"))?;
        fitted(wanted, judge(found)?)
    }

    /// Only an answer of both that it isn't there means that.
    async fn snapshot_or_backup(&self, id: SnapshotId) -> Result<Found> {
        let reading = Error::reading;
        match self.look_up(id).await.map_err(reading)? {
            Some(Saved::Snapshot(snapshot)) => {
                let volume = self.cinder.find_volume(snapshot.volume_id).await.map_err(reading)?;
                Ok(Found::Snapshot(snapshot, volume))
            }
            Some(Saved::Backup(backup)) => Ok(Found::Backup(backup)),
            None => Err(snapshot::not_found(id)),
        }
    }

    async fn backup(&self, id: BackupId) -> Result<Backup> {
        let found = self.cinder.find_backup(id).await.map_err(Error::reading)?;
        found.ok_or_else(|| {
            remedy::unknown(format_args!("backup {id}"), format_args!("volume backup show {id}"), None)
        })
    }
}

/// Cinder copies what is `available`, and volumes that are `in-use` (`cinder/volume/flows/api/create_volume.py`).
fn judge(found: Found) -> Result<Source> {
    let (origin, size, ready) = match &found {
        Found::Snapshot(snapshot, _) => {
            (Origin::Snapshot(snapshot.id), snapshot.size, of_snapshot(&snapshot.status))
        }
        Found::Backup(backup) => (Origin::Backup(backup.id), backup.size, of_backup(&backup.status)),
        Found::Volume(volume) => (Origin::Volume(volume.id), volume.size, of_volume(&volume.status)),
    };
    if let Some((condition, advice)) = ready {
        let why = format!("its source, {origin}, is in status {}: {advice}", found.status());
        return Err(Error::new(condition, why));
    }
    let volume = match found {
        Found::Snapshot(_, volume) => volume,
        Found::Volume(volume) => Some(volume),
        Found::Backup(_) => None,
    };
    let multiattach = volume.as_ref().map(|volume| volume.multiattach);
    Ok(Source { origin, size, zone: volume.and_then(|volume| volume.availability_zone), multiattach })
}

/// Why something can't be copied now, if so. What passes by itself is no final error.
type Hindrance = Option<(Condition, &'static str)>;

const SOON: Hindrance = Some((Condition::Unavailable, "it can be copied once that has ended"));
const GOING: Hindrance = Some((Condition::NotFound, "it is being deleted"));
const BROKEN: Hindrance = Some((Condition::Precondition, "Cinder doesn't copy it in this state"));

fn of_snapshot(status: &SnapshotStatus) -> Hindrance {
    match status {
        SnapshotStatus::Available => None,
        SnapshotStatus::Creating | SnapshotStatus::BackingUp | SnapshotStatus::Restoring => SOON,
        SnapshotStatus::Deleting => GOING,
        SnapshotStatus::Error
        | SnapshotStatus::ErrorDeleting
        | SnapshotStatus::Unmanaging
        | SnapshotStatus::Other(_) => BROKEN,
    }
}

fn of_backup(status: &BackupStatus) -> Hindrance {
    match status {
        BackupStatus::Available => None,
        // Cinder restores a backup to one volume at a time.
        BackupStatus::Creating | BackupStatus::Restoring => SOON,
        BackupStatus::Deleting => GOING,
        BackupStatus::Error | BackupStatus::ErrorDeleting | BackupStatus::Other(_) => BROKEN,
    }
}

fn of_volume(status: &Status) -> Hindrance {
    match status {
        Status::Available | Status::InUse => None,
        status if status.is_passing() => SOON,
        Status::Deleting => GOING,
        _ => BROKEN,
    }
}

impl Found {
    fn status(&self) -> String {
        match self {
            Found::Snapshot(snapshot, _) => snapshot.status.to_string(),
            Found::Backup(backup) => backup.status.to_string(),
            Found::Volume(volume) => volume.status.to_string(),
        }
    }
}

fn fitted(wanted: &Wanted, source: Source) -> Result<Fitted> {
    let Source { origin, size, zone, multiattach } = source;
    if wanted.size < size && !wanted.size_is_free {
        let why = format!("{} GiB are asked for and its source, {origin}, has {size} GiB", wanted.size);
        return Err(Error::new(Condition::OutOfRange, why));
    }
    if let Some(limit) = wanted.size_limit.filter(|limit| *limit < size) {
        let why =
            format!("its source, {origin}, has {size} GiB and the limit of the request allows {limit} GiB");
        return Err(Error::new(Condition::OutOfRange, why));
    }
    if wanted.multiattach && wanted.volume_type.is_none() && multiattach == Some(false) {
        let why = format!(
            "the access mode needs a volume type that is a multiattach one, and the copy would have that of its source, {origin}"
        );
        return Err(Error::new(Condition::Invalid, why));
    }
    let mut fitted = Wanted { origin: Some(origin), size: wanted.size.max(size), ..wanted.clone() };
    let asked = wanted.zone.zones();
    let zone_elsewhere = match zone {
        Some(zone) if asked.contains(&zone) => {
            fitted.zone = ZoneChoice::OneOf(vec![zone]);
            None
        }
        zone => zone.filter(|_| !asked.is_empty()),
    };
    Ok(Fitted { wanted: fitted, zone_elsewhere })
}

/// Whether a backup may be being restored to it: Cinder says so at the end.
pub(super) fn may_be_a_restore(wanted: Option<Origin>, volume: &Volume) -> bool {
    let of_saved = matches!(wanted, Some(Origin::Snapshot(_) | Origin::Backup(_)));
    of_saved && volume.snapshot_id.is_none() && volume.source_volid.is_none()
}

/// In what a volume's source differs from the one that is asked for, as a clause.
pub(super) fn difference(wanted: Option<Origin>, volume: &Volume) -> Option<String> {
    let made_from = made_from(volume);
    let is_wanted = match (&made_from, wanted) {
        (None, None) => true,
        (Some((MadeFrom::Snapshot, id)), Some(Origin::Snapshot(wanted))) => *id == wanted.to_string(),
        // The orchestrator's snapshot may be a backup.
        (Some((MadeFrom::Backup, id)), Some(Origin::Snapshot(wanted))) => *id == wanted.to_string(),
        (Some((MadeFrom::Backup, id)), Some(Origin::Backup(wanted))) => *id == wanted.to_string(),
        (Some((MadeFrom::Volume, id)), Some(Origin::Volume(wanted))) => *id == wanted.to_string(),
        _ => false,
    };
    if is_wanted {
        return None;
    }
    let is = match made_from {
        None => "it isn't a copy of anything".to_owned(),
        Some((MadeFrom::Snapshot, id)) => format!("it was made from snapshot {id}"),
        Some((MadeFrom::Backup, id)) => format!("it was made from backup {id}"),
        Some((MadeFrom::Volume, id)) => format!("it is a clone of volume {id}"),
    };
    let asked = wanted.map_or("an empty one".to_owned(), |origin| format!("a copy of {origin}"));
    Some(format!("{is} and {asked} is asked for"))
}

enum MadeFrom {
    Snapshot,
    Backup,
    Volume,
}

fn made_from(volume: &Volume) -> Option<(MadeFrom, &str)> {
    let snapshot = volume.snapshot_id.as_deref().map(|id| (MadeFrom::Snapshot, id));
    let clone = volume.source_volid.as_deref().map(|id| (MadeFrom::Volume, id));
    // A volume may be restored into later, so that what Cinder itself says of its making goes first.
    snapshot.or(clone).or_else(|| Some((MadeFrom::Backup, metadata::restored_from(volume)?)))
}
