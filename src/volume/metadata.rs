//! The keys of a volume's metadata that say whose it is.

use crate::openstack::Volume;

/// Which Kubernetes cluster asked for the volume: the existing driver's key, so both drivers' volumes carry it.
pub const CLUSTER: &str = "cinder.csi.openstack.org/cluster";
/// Which attempt of CreateVolume made the volume: Cinder has no client token, and names aren't unique.
pub const ATTEMPT: &str = "cinder.csi.openstack.org/attempt";
/// CreateVolume has answered with this volume, or is about to: somebody may rely on it.
pub const SETTLED: &str = "cinder.csi.openstack.org/settled";

pub fn is_settled(volume: &Volume) -> bool {
    volume.metadata.contains_key(SETTLED)
}

/// An attempt of this driver made it and no caller was ever told of it.
pub fn is_unpromised(volume: &Volume) -> bool {
    volume.metadata.contains_key(ATTEMPT) && !is_settled(volume)
}
