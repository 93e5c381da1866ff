//! The keys of a volume's metadata that say whose it is.

use crate::openstack::Volume;

/// Which Kubernetes cluster asked for the volume: the existing driver's key, so both drivers' volumes carry it.
pub const CLUSTER: &str = "cinder.csi.openstack.org/cluster";
/// Which attempt of CreateVolume made the volume: Cinder has no client token, and names aren't unique.
pub const ATTEMPT: &str = "cinder.csi.openstack.org/attempt";
/// CreateVolume has answered with this volume, or is about to: somebody may rely on it.
pub const SETTLED: &str = "cinder.csi.openstack.org/settled";
/// Which backup the volume was made from: Cinder shows the sources of other copies, and of these it keeps none.
pub const BACKUP: &str = "cinder.csi.openstack.org/backup";
/// What Cinder's backup service writes once the data is there (`restore_backup` in cinder/backup/manager.py), so that the
/// existing driver's volumes have it, too.
const RESTORED_FROM: &str = "src_backup_id";

pub fn is_settled(volume: &Volume) -> bool {
    volume.metadata.contains_key(SETTLED)
}

/// An attempt of this driver made it and no caller was ever told of it.
pub fn is_unpromised(volume: &Volume) -> bool {
    volume.metadata.contains_key(ATTEMPT) && !is_settled(volume)
}

/// The backup that the volume was made from, as far as its metadata tells.
pub fn backup(volume: &Volume) -> Option<&str> {
    let told = volume.metadata.get(BACKUP).or_else(|| volume.metadata.get(RESTORED_FROM))?;
    Some(told.as_str())
}
