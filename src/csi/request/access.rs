//! How a volume is used: access type and mode.

use tonic::Status;

use crate::csi::proto::VolumeCapability;
use crate::csi::proto::volume_capability::access_mode::Mode;
use crate::csi::proto::volume_capability::{AccessType, MountVolume};
use crate::csi::status::invalid;
use crate::node::{self, FsType};

/// The CSI specification's limit for all mount flags together.
const LONGEST_FLAGS: usize = 4096;

/// A checked capability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    pub mode: Mode,
    pub mount: Option<Mounted>,
}

/// A file system; absent for a raw block device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mounted {
    pub fs: FsType,
    pub flags: Vec<String>,
}

impl Access {
    /// More than one server may have it at a time.
    pub fn is_multi_node(&self) -> bool {
        matches!(
            self.mode,
            Mode::MultiNodeReaderOnly | Mode::MultiNodeSingleWriter | Mode::MultiNodeMultiWriter
        )
    }

    /// No second server may have it, whatever the volume's type allows: CSI forbids it for the modes of one node.
    pub fn needs_one_node(&self) -> bool {
        !self.is_multi_node() || self.shares_a_file_system()
    }

    /// Several nodes may write, and a file system of ours allows one.
    fn shares_a_file_system(&self) -> bool {
        let writers = matches!(self.mode, Mode::MultiNodeSingleWriter | Mode::MultiNodeMultiWriter);
        writers && self.mount.is_some()
    }

    pub fn is_read_only(&self) -> bool {
        matches!(self.mode, Mode::SingleNodeReaderOnly | Mode::MultiNodeReaderOnly)
    }
}

/// A required capability of a volume that is there. What no new volume would be made for, the existing driver made all the
/// same: such a volume is used by one node at a time.
pub fn access_in_use(capability: Option<&VolumeCapability>) -> Result<Access, Status> {
    shape(capability.ok_or_else(|| invalid("volume_capability", "is required"))?)
}

/// Required capabilities, each of which a new volume must serve.
pub fn accesses(capabilities: &[VolumeCapability]) -> Result<Vec<Access>, Status> {
    let accesses: Vec<_> = required(capabilities)?.iter().map(shape).collect::<Result<_, _>>()?;
    match accesses.iter().try_for_each(supported) {
        Ok(()) => Ok(accesses),
        Err(why) => Err(invalid("volume_capabilities", why)),
    }
}

/// Well-formed capabilities, and why one of them can't be served.
pub fn judged(capabilities: &[VolumeCapability]) -> Result<Result<Vec<Access>, String>, Status> {
    let shapes: Vec<_> = required(capabilities)?.iter().map(shape).collect::<Result<_, _>>()?;
    Ok(shapes.iter().try_for_each(supported).map(|()| shapes))
}

/// Whether a volume that is there can be had by several servers, where the accesses need it.
pub fn shared(accesses: &[Access], multiattach: bool) -> Result<(), String> {
    if !multiattach && accesses.iter().any(Access::is_multi_node) {
        return Err(
            "the volume's type isn't a multiattach one, so one server at a time can have it".to_owned()
        );
    }
    Ok(())
}

fn required(capabilities: &[VolumeCapability]) -> Result<&[VolumeCapability], Status> {
    if capabilities.is_empty() {
        return Err(invalid("volume_capabilities", "at least one is required"));
    }
    Ok(capabilities)
}

fn shape(capability: &VolumeCapability) -> Result<Access, Status> {
    let mode = capability.access_mode.as_ref().map_or(0, |mode| mode.mode);
    let mode = match Mode::try_from(mode) {
        Ok(Mode::Unknown) => return Err(invalid("volume_capability.access_mode", "is required")),
        Ok(mode) => mode,
        Err(_) => {
            return Err(invalid("volume_capability.access_mode", format!("{mode} is no mode of CSI 1.13")));
        }
    };
    let mount = match &capability.access_type {
        None => return Err(invalid("volume_capability.access_type", "block or mount is required")),
        Some(AccessType::Block(_)) => None,
        Some(AccessType::Mount(mount)) => Some(mounted(mount)?),
    };
    Ok(Access { mode, mount })
}

fn mounted(mount: &MountVolume) -> Result<Mounted, Status> {
    // As the existing driver has it, for callers that name none.
    let fs = match mount.fs_type.as_str() {
        "" => FsType::Ext4,
        name => name.parse().map_err(|unknown| invalid("volume_capability.mount.fs_type", unknown))?,
    };
    if mount.mount_flags.iter().map(String::len).sum::<usize>() > LONGEST_FLAGS {
        return Err(invalid(
            "volume_capability.mount.mount_flags",
            format!("are longer than {LONGEST_FLAGS} bytes"),
        ));
    }
    for flag in &mount.mount_flags {
        // A flag may itself be a list with commas, as mount(8) has it.
        if flag.is_empty() || flag.starts_with('-') || flag.chars().any(char::is_control) {
            // Flags may hold secrets: the specification forbids to repeat them.
            let why = "a flag is empty, begins with a dash or has a control character";
            return Err(invalid("volume_capability.mount.mount_flags", why));
        }
    }
    if let Some(name) = node::forbidden_mount_flag(&mount.mount_flags) {
        return Err(invalid(
            "volume_capability.mount.mount_flags",
            format!("a volume can't be mounted with {name:?}"),
        ));
    }
    Ok(Mounted { fs, flags: mount.mount_flags.clone() })
}

/// Cinder gives a disk: shared between nodes it is one without a file system, because none of ours is a cluster's.
fn supported(access: &Access) -> Result<(), String> {
    if access.shares_a_file_system() {
        return Err(format!(
            "{} with a file system would corrupt it: ext4, xfs and btrfs are for one node at a time. Use volumeMode: Block with a \
             multiattach volume type, or ReadWriteOnce",
            access.mode.as_str_name()
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;
    use crate::csi::proto::volume_capability::{AccessMode, BlockVolume};

    fn capability(mode: i32, fs: Option<&str>, flags: &[&str]) -> VolumeCapability {
        let access_type = match fs {
            None => AccessType::Block(BlockVolume {}),
            Some(fs) => AccessType::Mount(MountVolume {
                fs_type: fs.to_owned(),
                mount_flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
                volume_mount_group: String::new(),
            }),
        };
        VolumeCapability { access_mode: Some(AccessMode { mode }), access_type: Some(access_type) }
    }

    #[test]
    fn a_capability_that_cannot_be_served_is_invalid() {
        let writer = Mode::SingleNodeWriter as i32;
        let shared = Mode::MultiNodeMultiWriter as i32;
        let table = [
            (capability(writer, Some("ext4"), &["noatime", "data=ordered"]), true),
            (capability(writer, Some(""), &[]), true),
            (capability(writer, None, &[]), true),
            (capability(shared, None, &[]), true),
            (capability(Mode::MultiNodeReaderOnly as i32, Some("xfs"), &[]), true),
            (capability(shared, Some("ext4"), &[]), false),
            (capability(Mode::MultiNodeSingleWriter as i32, Some(""), &[]), false),
            (capability(0, Some("ext4"), &[]), false),
            (capability(99, Some("ext4"), &[]), false),
            (capability(writer, Some("ntfs"), &[]), false),
            (capability(writer, Some("ext4"), &["noatime,nodiratime"]), true),
            (capability(writer, Some("ext4"), &["-o"]), false),
            (capability(writer, Some("ext4"), &[""]), false),
            (VolumeCapability { access_mode: Some(AccessMode { mode: writer }), access_type: None }, false),
            (
                VolumeCapability { access_mode: None, access_type: Some(AccessType::Block(BlockVolume {})) },
                false,
            ),
        ];
        for (capability, good) in table {
            let got = accesses(std::slice::from_ref(&capability));
            assert_eq!(got.is_ok(), good, "{capability:?}");
            if let Err(status) = got {
                assert_eq!(status.code(), Code::InvalidArgument);
            }
        }
        assert!(access_in_use(None).is_err());
        assert!(accesses(&[]).is_err());
    }

    #[test]
    fn one_server_has_a_volume_unless_several_nodes_can_use_it_safely() {
        let one = [Mode::SingleNodeWriter, Mode::SingleNodeReaderOnly, Mode::SingleNodeSingleWriter];
        let table = [
            (one.as_slice(), None, true),
            (&one, Some("ext4"), true),
            (&[Mode::SingleNodeMultiWriter], None, true),
            (&[Mode::MultiNodeSingleWriter, Mode::MultiNodeMultiWriter], Some("xfs"), true),
            (&[Mode::MultiNodeSingleWriter, Mode::MultiNodeMultiWriter], None, false),
            (&[Mode::MultiNodeReaderOnly], Some("ext4"), false),
        ];
        for (modes, fs, alone) in table {
            for mode in modes {
                let access = access_in_use(Some(&capability(*mode as i32, fs, &[]))).unwrap();
                assert_eq!(access.needs_one_node(), alone, "{mode:?} {fs:?}");
            }
        }
    }
}
