//! What says whose a volume, a snapshot or a backup is.

use std::collections::BTreeMap;
use std::fmt::Display;

use crate::openstack::Volume;

/// What else the existing driver writes on what it makes.
pub const DESCRIPTION: &str = "Created by OpenStack Cinder CSI driver";
/// Which Kubernetes cluster asked for it: the existing driver's key, so both drivers' volumes carry it.
pub const CLUSTER: &str = "cinder.csi.openstack.org/cluster";
/// Which attempt of a call made it: Cinder has no client token, and names aren't unique.
pub const ATTEMPT: &str = "cinder.csi.openstack.org/attempt";
/// The call has answered with it, or is about to: somebody may rely on it. The value is the object's own id, since
/// Cinder's backup drivers write the metadata of a backup's volume over those of the volume that is restored
/// (`put_metadata` in <https://opendev.org/openstack/cinder/src/branch/master/cinder/backup/driver.py>).
pub const SETTLED: &str = "cinder.csi.openstack.org/settled";
/// The same of a snapshot: the call that changes its metadata takes no key with a slash, as the one that makes it does
/// (<https://opendev.org/openstack/cinder/src/branch/master/cinder/api/schemas/snapshot_metadata.py>).
pub const SNAPSHOT_SETTLED: &str = "cinder.csi.openstack.org:settled";
/// A snapshot that is there only for a backup of this name to be made from.
pub const BACKUP: &str = "cinder.csi.openstack.org/backup";
/// Which backup the volume was made from: Cinder shows the sources of other copies, and of these it keeps none.
pub const RESTORED_FROM: &str = "cinder.csi.openstack.org/restored-from";
/// What Cinder's backup service writes once the data is there (`restore_backup` in cinder/backup/manager.py), so that the
/// existing driver's volumes have it, too.
const SOURCE_BACKUP: &str = "src_backup_id";

/// `own`, and the marks of what an attempt is about to make.
pub fn marked(own: &BTreeMap<String, String>, cluster: &str, attempt: &str) -> BTreeMap<String, String> {
    let marks = [(CLUSTER, cluster), (ATTEMPT, attempt)].map(|(key, mark)| (key.to_owned(), mark.to_owned()));
    own.clone().into_iter().chain(marks).collect()
}

pub fn is_settled(id: impl Display, metadata: &BTreeMap<String, String>) -> bool {
    settled_as(metadata).is_some_and(|settled| *settled == id.to_string())
}

/// An attempt of this driver made it and no caller was ever told of it.
pub fn is_unpromised(metadata: &BTreeMap<String, String>) -> bool {
    metadata.contains_key(ATTEMPT) && settled_as(metadata).is_none()
}

fn settled_as(metadata: &BTreeMap<String, String>) -> Option<&String> {
    metadata.get(SETTLED).or_else(|| metadata.get(SNAPSHOT_SETTLED))
}

/// The backup that a volume was made from, as far as its metadata tells. A backup may be restored to a settled volume
/// later on; before that, what Cinder wrote is of the volume itself for certain.
pub fn restored_from(volume: &Volume) -> Option<&str> {
    let (ours, cinders) = (volume.metadata.get(RESTORED_FROM), volume.metadata.get(SOURCE_BACKUP));
    let from = if is_settled(volume.id, &volume.metadata) { ours.or(cinders) } else { cinders.or(ours) };
    from.map(String::as_str)
}

/// Whether the metadata may be those of the volume that the backup is of.
pub fn may_be_another_volumes(volume: &Volume) -> bool {
    let (ours, cinders) = (volume.metadata.get(RESTORED_FROM), volume.metadata.get(SOURCE_BACKUP));
    !is_settled(volume.id, &volume.metadata) && cinders.is_some() && ours != cinders
}
