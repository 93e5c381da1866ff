//! Requests that are well, and what nobody may ask for in them.

use std::collections::HashMap;

use cinder_csi::csi::proto::volume_capability::access_mode::Mode;
use cinder_csi::csi::proto::volume_capability::{AccessMode, AccessType, BlockVolume, MountVolume};
use cinder_csi::csi::proto::*;
use tonic::Code;

use super::{GIB, SERVER, VOLUME};

/// Texts that no required id or name may be.
pub fn bad_texts() -> [(&'static str, String); 4] {
    [
        ("empty", String::new()),
        ("overlong", "x".repeat(129)),
        ("with a line feed", format!("{VOLUME}\n")),
        ("with a zero", "a\0b".to_owned()),
    ]
}

/// Paths that no required path may be.
pub fn bad_paths() -> [(&'static str, String); 6] {
    [
        ("empty", String::new()),
        ("relative", "relative/path".to_owned()),
        ("climbing", "/var/lib/../../etc".to_owned()),
        ("the root", "/".to_owned()),
        ("overlong", format!("/{}", "x".repeat(4096))),
        ("with a control character", "/var/\u{7}".to_owned()),
    ]
}

pub fn access(mode: Mode, access_type: Option<AccessType>) -> VolumeCapability {
    VolumeCapability { access_mode: Some(AccessMode { mode: mode as i32 }), access_type }
}

pub fn mounted(fs_type: &str, flags: &[&str]) -> VolumeCapability {
    let mount = MountVolume {
        fs_type: fs_type.to_owned(),
        mount_flags: flags.iter().map(|flag| flag.to_string()).collect(),
        volume_mount_group: String::new(),
    };
    access(Mode::SingleNodeWriter, Some(AccessType::Mount(mount)))
}

pub fn block() -> Option<AccessType> {
    Some(AccessType::Block(BlockVolume {}))
}

/// Capabilities that can't be asked for, and the field that says so.
pub fn bad_capabilities() -> Vec<(&'static str, Option<VolumeCapability>, &'static str)> {
    let long = "x".repeat(5000);
    vec![
        ("no capability", None, "volume_capabilit"),
        ("no access type", Some(access(Mode::SingleNodeWriter, None)), "access_type"),
        ("no mode", Some(VolumeCapability { access_mode: None, access_type: block() }), "access_mode"),
        ("an unknown mode", Some(access(Mode::Unknown, block())), "access_mode"),
        (
            "a mode of the future",
            Some(VolumeCapability { access_mode: Some(AccessMode { mode: 99 }), access_type: block() }),
            "access_mode",
        ),
        ("an unknown file system", Some(mounted("ntfs", &[])), "fs_type"),
        ("a path as file system", Some(mounted("../ext4", &[])), "fs_type"),
        ("an empty flag", Some(mounted("ext4", &[""])), "mount_flags"),
        ("an option of mount(8)", Some(mounted("ext4", &["--bind"])), "mount_flags"),
        ("a flag with a line feed", Some(mounted("ext4", &["noatime\nnodev"])), "mount_flags"),
        ("a bind mount", Some(mounted("ext4", &["noatime,rbind"])), "mount_flags"),
        ("a remount", Some(mounted("xfs", &["remount"])), "mount_flags"),
        ("a loop device", Some(mounted("ext4", &["loop=/dev/loop0"])), "mount_flags"),
        ("an overlong flag", Some(mounted("ext4", &[&long])), "mount_flags"),
    ]
}

pub fn bad_ranges() -> [(&'static str, CapacityRange, Code, &'static str); 6] {
    let range = |required_bytes, limit_bytes| CapacityRange { required_bytes, limit_bytes };
    [
        ("negative size", range(-1, 0), Code::InvalidArgument, "capacity_range.required_bytes"),
        ("negative limit", range(GIB, -GIB), Code::InvalidArgument, "capacity_range.limit_bytes"),
        ("limit below required", range(2 * GIB, GIB), Code::InvalidArgument, "capacity_range.limit_bytes"),
        ("no whole GiB in it", range(GIB + 1, 2 * GIB - 1), Code::OutOfRange, "capacity_range.limit_bytes"),
        ("limit below a GiB", range(0, 1024), Code::OutOfRange, "capacity_range.limit_bytes"),
        ("absurd size", range(i64::MAX, 0), Code::OutOfRange, "capacity_range.required_bytes"),
    ]
}

/// Parameters of a StorageClass with values that nobody may give them.
pub fn bad_parameters() -> [(&'static str, &'static str); 6] {
    [
        ("az-map", "nova1"),
        ("az-map", "nova1=a,nova1=b"),
        ("regenerate-uuid", "1"),
        ("scheduler-hint-same-host", "pvc-1"),
        ("scheduler-hint-different-host", "6F1F0C66-4C3E-4B7E-9D51-0A1B2C3D4E5F"),
        ("scheduler-hint-local-to-instance", "node-1"),
    ]
}

/// Sources that nothing can be copied from, whatever the cloud holds.
pub fn bad_sources() -> Vec<(&'static str, VolumeContentSource, Code, &'static str)> {
    use volume_content_source::{SnapshotSource, Type, VolumeSource};
    let of = |source| VolumeContentSource { r#type: source };
    let mut bad = vec![("no source", of(None), Code::InvalidArgument, "volume_content_source")];
    for (what, id) in bad_texts() {
        let snapshot = SnapshotSource { snapshot_id: id.clone() };
        bad.push((what, of(Some(Type::Snapshot(snapshot))), Code::InvalidArgument, "snapshot.snapshot_id"));
        let volume = VolumeSource { volume_id: id };
        bad.push((what, of(Some(Type::Volume(volume))), Code::InvalidArgument, "volume.volume_id"));
    }
    let snapshot = SnapshotSource { snapshot_id: "snap-1".to_owned() };
    bad.push(("no id of a snapshot", of(Some(Type::Snapshot(snapshot))), Code::NotFound, "snap-1"));
    let volume = VolumeSource { volume_id: "vol-1".to_owned() };
    bad.push(("no id of a volume", of(Some(Type::Volume(volume))), Code::NotFound, "vol-1"));
    bad
}

pub fn create() -> CreateVolumeRequest {
    CreateVolumeRequest {
        name: "pvc-1".to_owned(),
        volume_capabilities: vec![access(Mode::SingleNodeWriter, block())],
        ..Default::default()
    }
}

pub fn map(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

pub fn publish() -> ControllerPublishVolumeRequest {
    ControllerPublishVolumeRequest {
        volume_id: VOLUME.to_owned(),
        node_id: SERVER.to_owned(),
        volume_capability: Some(access(Mode::SingleNodeWriter, block())),
        ..Default::default()
    }
}

pub fn expand() -> ControllerExpandVolumeRequest {
    let capacity_range = Some(CapacityRange { required_bytes: GIB, limit_bytes: 0 });
    ControllerExpandVolumeRequest { volume_id: VOLUME.to_owned(), capacity_range, ..Default::default() }
}

pub fn validate() -> ValidateVolumeCapabilitiesRequest {
    let volume_capabilities = vec![access(Mode::SingleNodeWriter, block())];
    ValidateVolumeCapabilitiesRequest {
        volume_id: VOLUME.to_owned(),
        volume_capabilities,
        ..Default::default()
    }
}

pub fn stage() -> NodeStageVolumeRequest {
    NodeStageVolumeRequest {
        volume_id: VOLUME.to_owned(),
        staging_target_path: "/nowhere/staging".to_owned(),
        volume_capability: Some(mounted("ext4", &[])),
        ..Default::default()
    }
}

pub fn node_publish() -> NodePublishVolumeRequest {
    NodePublishVolumeRequest {
        volume_id: VOLUME.to_owned(),
        staging_target_path: "/nowhere/staging".to_owned(),
        target_path: "/nowhere/target".to_owned(),
        volume_capability: Some(mounted("ext4", &[])),
        ..Default::default()
    }
}
