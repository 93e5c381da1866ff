//! The keys of the metadata that say whose a volume, a snapshot or a backup is.

use std::collections::BTreeMap;

/// Which Kubernetes cluster asked for it: the existing driver's key, so both drivers' volumes carry it.
pub const CLUSTER: &str = "cinder.csi.openstack.org/cluster";
/// Which attempt of a call made it: Cinder has no client token, and names aren't unique.
pub const ATTEMPT: &str = "cinder.csi.openstack.org/attempt";
/// The call has answered with it, or is about to: somebody may rely on it.
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

pub fn is_settled(metadata: &BTreeMap<String, String>) -> bool {
    metadata.contains_key(SETTLED) || metadata.contains_key(SNAPSHOT_SETTLED)
}

/// An attempt of this driver made it and no caller was ever told of it.
pub fn is_unpromised(metadata: &BTreeMap<String, String>) -> bool {
    metadata.contains_key(ATTEMPT) && !is_settled(metadata)
}

/// The backup that a volume was made from, as far as its metadata tells.
pub fn restored_from(metadata: &BTreeMap<String, String>) -> Option<&str> {
    metadata.get(RESTORED_FROM).or_else(|| metadata.get(SOURCE_BACKUP)).map(String::as_str)
}
