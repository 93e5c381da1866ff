//! The node's requests become types.

use std::collections::HashMap;
use std::path::PathBuf;

use tonic::Status;

use super::access::{Access, access_in_use};
use super::parameters::{REGENERATE_UUID, mkfs_options};
use super::{MADE_FROM_DATA, MKFS_OPTIONS, path, place, text};
use crate::csi::proto::volume_capability::access_mode::Mode;
use crate::csi::proto::{
    NodeExpandVolumeRequest, NodeGetVolumeHealthRequest, NodePublishVolumeRequest, NodeStageVolumeRequest,
};
use crate::csi::status::{self, invalid};
use crate::node::{self, Expected, FormatPolicy, Publish, Stage};
use crate::volume::VolumeId;

/// The kubelet's mark on inline ephemeral volumes.
const EPHEMERAL: &str = "csi.storage.k8s.io/ephemeral";

pub fn stage(request: &NodeStageVolumeRequest) -> Result<Stage, Status> {
    text("volume_id", &request.volume_id)?;
    let staging = path("staging_target_path", &request.staging_target_path)?;
    let access = access_in_use(request.volume_capability.as_ref())?;
    let volume = volume_id(&request.volume_id)?;
    let context = &request.volume_context;
    let is_set = |key: &str| context.get(key).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let from_data = is_set(MADE_FROM_DATA);
    Ok(Stage {
        volume,
        staging,
        expected: expected(&request.publish_context)?,
        format: if from_data { FormatPolicy::Never } else { FormatPolicy::Allowed },
        mkfs_options: mkfs_options(MKFS_OPTIONS, context.get(MKFS_OPTIONS).map_or("", String::as_str))?,
        read_only: access.is_read_only(),
        untouched: access.mode == Mode::MultiNodeReaderOnly,
        own_uuid: from_data && is_set(REGENERATE_UUID),
        resize: from_data,
        access: for_node(access),
    })
}

pub fn publish(request: &NodePublishVolumeRequest) -> Result<Publish, Status> {
    text("volume_id", &request.volume_id)?;
    let target = path("target_path", &request.target_path)?;
    let access = access_in_use(request.volume_capability.as_ref())?;
    if request.volume_context.get(EPHEMERAL).is_some_and(|value| value == "true") {
        return Err(invalid(
            "volume_context",
            "inline ephemeral volumes aren't served: use a generic ephemeral volume",
        ));
    }
    if request.staging_target_path.is_empty() {
        return Err(status::unstaged());
    }
    Ok(Publish {
        volume: volume_id(&request.volume_id)?,
        staging: path("staging_target_path", &request.staging_target_path)?,
        target,
        expected: expected(&request.publish_context)?,
        read_only: request.readonly || access.is_read_only(),
        exclusive: access.mode == Mode::SingleNodeSingleWriter,
        access: for_node(access),
    })
}

/// What NodeExpandVolume names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expand {
    pub volume: String,
    pub path: PathBuf,
    pub staging: Option<PathBuf>,
    pub required: Option<u64>,
}

pub fn expand(request: &NodeExpandVolumeRequest) -> Result<Expand, Status> {
    text("volume_id", &request.volume_id)?;
    let path = place("volume_path", &request.volume_path)?;
    let staging = match request.staging_target_path.as_str() {
        "" => None,
        staging => Some(super::path("staging_target_path", staging)?),
    };
    let range = request.capacity_range.unwrap_or_default();
    if range.required_bytes < 0 || range.limit_bytes < 0 {
        return Err(invalid("capacity_range", "is negative"));
    }
    if range.limit_bytes > 0 && range.limit_bytes < range.required_bytes {
        return Err(invalid("capacity_range.limit_bytes", "is below required_bytes"));
    }
    let required = u64::try_from(range.required_bytes).ok().filter(|bytes| *bytes > 0);
    Ok(Expand { volume: volume_id(&request.volume_id)?, path, staging, required })
}

/// What NodeGetVolumeHealth names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    pub volume: String,
    pub target: Option<PathBuf>,
    pub staging: Option<PathBuf>,
}

pub fn health(request: &NodeGetVolumeHealthRequest) -> Result<Health, Status> {
    text("volume_id", &request.volume_id)?;
    let named = |field, text: &str| (!text.is_empty()).then(|| path(field, text)).transpose();
    Ok(Health {
        target: named("volume_publish_path", &request.volume_publish_path)?,
        staging: named("staging_target_path", &request.staging_target_path)?,
        volume: volume_id(&request.volume_id)?,
    })
}

/// No disk has another id's serial, so that nothing has to be looked for.
fn volume_id(id: &str) -> Result<String, Status> {
    id.parse::<VolumeId>().map(|id| id.to_string()).map_err(|_| status::unknown("volume", id))
}

fn for_node(access: Access) -> node::Access {
    match access.mount {
        None => node::Access::Block,
        Some(mount) => node::Access::Mount { fs: mount.fs, flags: mount.flags },
    }
}

/// What ControllerPublishVolume said of the disk; the existing driver says `DevicePath` only.
fn expected(context: &HashMap<String, String>) -> Result<Expected, Status> {
    let size = context.get("size").map(|text| text.parse());
    let encrypted = context.get("encrypted").map(|text| text.parse());
    Ok(Expected {
        size_bytes: size.transpose().map_err(|error| invalid("publish_context.size", error))?,
        encrypted: encrypted.transpose().map_err(|error| invalid("publish_context.encrypted", error))?,
        device_path: context.get("DevicePath").cloned(),
    })
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;
    use crate::csi::proto::volume_capability::{AccessMode, AccessType, MountVolume};
    use crate::csi::proto::{CapacityRange, VolumeCapability};

    const ID: &str = "6f1f0c66-4c3e-4b7e-9d51-0a1b2c3d4e5f";

    fn capability(mode: Mode) -> Option<VolumeCapability> {
        Some(VolumeCapability {
            access_mode: Some(AccessMode { mode: mode as i32 }),
            access_type: Some(AccessType::Mount(MountVolume::default())),
        })
    }

    fn staged() -> NodeStageVolumeRequest {
        NodeStageVolumeRequest {
            volume_id: ID.to_owned(),
            staging_target_path: "/staging".to_owned(),
            volume_capability: capability(Mode::SingleNodeWriter),
            ..NodeStageVolumeRequest::default()
        }
    }

    fn one(key: &str, value: &str) -> HashMap<String, String> {
        HashMap::from([(key.to_owned(), value.to_owned())])
    }

    #[test]
    fn a_volume_made_from_data_is_never_formatted() {
        assert_eq!(stage(&staged()).unwrap().format, FormatPolicy::Allowed);
        let restored = NodeStageVolumeRequest { volume_context: one(MADE_FROM_DATA, "true"), ..staged() };
        let stage = stage(&restored).unwrap();
        assert_eq!((stage.format, stage.resize), (FormatPolicy::Never, true));
    }

    /// What the attacher and the kubelet hand on for PVs that were there before: the attributes of the PV, and what
    /// ControllerPublishVolume of the existing driver answered.
    #[test]
    fn pvs_that_came_before_are_staged() {
        let provisioned = one(
            "storage.kubernetes.io/csiProvisionerIdentity",
            "1700000000000-8081-cinder.csi.openstack.org",
        );
        let mut restored = provisioned.clone();
        restored.insert(MADE_FROM_DATA.to_owned(), "true".to_owned());
        let mut placed = provisioned.clone();
        placed.insert("affinity".to_owned(), ID.to_owned());
        placed.insert("anti-affinity".to_owned(), ID.to_owned());
        // csi-translation-lib turns an in-tree PV into one with no attributes.
        let in_tree = HashMap::new();
        for (volume_context, format) in [
            (provisioned, FormatPolicy::Allowed),
            (restored, FormatPolicy::Never),
            (placed, FormatPolicy::Allowed),
            (in_tree, FormatPolicy::Allowed),
        ] {
            for mode in [Mode::SingleNodeWriter, Mode::MultiNodeMultiWriter, Mode::MultiNodeReaderOnly] {
                let request = NodeStageVolumeRequest {
                    volume_context: volume_context.clone(),
                    publish_context: one("DevicePath", "/dev/vdb"),
                    volume_capability: capability(mode),
                    ..staged()
                };
                let stage = stage(&request).unwrap();
                assert_eq!(stage.format, format, "{volume_context:?}");
                assert_eq!((stage.expected.size_bytes, stage.expected.encrypted), (None, None));
            }
        }
    }

    #[test]
    fn a_copy_gets_a_uuid_of_its_own_where_that_is_asked_for() {
        let mut context = one(REGENERATE_UUID, "true");
        let request = |context: &HashMap<String, String>| NodeStageVolumeRequest {
            volume_context: context.clone(),
            ..staged()
        };
        assert!(!stage(&request(&context)).unwrap().own_uuid, "it wasn't made from data");
        context.insert(MADE_FROM_DATA.to_owned(), "true".to_owned());
        assert!(stage(&request(&context)).unwrap().own_uuid);
        context.insert(REGENERATE_UUID.to_owned(), "false".to_owned());
        assert!(!stage(&request(&context)).unwrap().own_uuid);
    }

    #[test]
    fn every_mode_is_served_in_use_and_only_readers_on_many_nodes_leave_the_disk_untouched() {
        let table = [
            (Mode::SingleNodeWriter, false, false, false),
            (Mode::SingleNodeSingleWriter, false, false, true),
            (Mode::SingleNodeMultiWriter, false, false, false),
            (Mode::SingleNodeReaderOnly, true, false, false),
            (Mode::MultiNodeReaderOnly, true, true, false),
            // A claim of the existing driver's; the controller keeps it to one node at a time.
            (Mode::MultiNodeSingleWriter, false, false, false),
            (Mode::MultiNodeMultiWriter, false, false, false),
        ];
        for (mode, read_only, untouched, exclusive) in table {
            let staging = NodeStageVolumeRequest { volume_capability: capability(mode), ..staged() };
            let stage = stage(&staging).unwrap();
            assert_eq!((stage.read_only, stage.untouched), (read_only, untouched), "{mode:?}");
            let publishing = NodePublishVolumeRequest {
                volume_id: ID.to_owned(),
                target_path: "/target".to_owned(),
                staging_target_path: "/staging".to_owned(),
                volume_capability: capability(mode),
                ..NodePublishVolumeRequest::default()
            };
            let publish = publish(&publishing).unwrap();
            assert_eq!((publish.read_only, publish.exclusive), (read_only, exclusive), "{mode:?}");
        }
    }

    /// What the kubelet sends for volumes that the existing driver and in-tree migration made.
    #[test]
    fn the_contexts_of_volumes_that_came_before_are_understood() {
        const PROVISIONER: (&str, &str) =
            ("storage.kubernetes.io/csiProvisionerIdentity", "1700000000000-8081-cinder.csi.openstack.org");
        type Row = (&'static str, &'static [(&'static str, &'static str)], bool);
        let table: [Row; 6] = [
            ("its provisioner's", &[PROVISIONER], false),
            ("a restored one", &[PROVISIONER, (MADE_FROM_DATA, "true")], true),
            ("a restored one, as it compares", &[PROVISIONER, (MADE_FROM_DATA, "True")], true),
            ("with affinity", &[PROVISIONER, ("affinity", "a"), ("anti-affinity", "b")], false),
            ("with mkfs-options", &[PROVISIONER, (MKFS_OPTIONS, "-O ^metadata_csum")], false),
            // In-tree: only the annotations of the PV say more, and they don't come to the node.
            ("migrated", &[], false),
        ];
        for (name, context, from_data) in table {
            let pairs = context.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            let request = NodeStageVolumeRequest {
                volume_context: pairs.collect(),
                publish_context: one("DevicePath", "/dev/vdb"),
                ..staged()
            };
            let stage = stage(&request).unwrap();
            let want = if from_data { FormatPolicy::Never } else { FormatPolicy::Allowed };
            assert_eq!((stage.format, stage.resize, stage.own_uuid), (want, from_data, false), "{name}");
            assert_eq!((stage.expected.size_bytes, stage.expected.encrypted), (None, None), "{name}");
        }
    }

    #[test]
    fn health_is_asked_of_paths_that_are_ones() {
        let asked =
            NodeGetVolumeHealthRequest { volume_id: ID.to_owned(), ..NodeGetVolumeHealthRequest::default() };
        let got = health(&asked).unwrap();
        assert_eq!((got.target, got.staging), (None, None));
        let named = NodeGetVolumeHealthRequest { staging_target_path: "/s".to_owned(), ..asked.clone() };
        assert_eq!(health(&named).unwrap().staging, Some("/s".into()));
        let relative = NodeGetVolumeHealthRequest { volume_publish_path: "a/b".to_owned(), ..asked };
        assert_eq!(health(&relative).unwrap_err().code(), Code::InvalidArgument);
        let nameless = NodeGetVolumeHealthRequest::default();
        assert_eq!(health(&nameless).unwrap_err().code(), Code::InvalidArgument);
    }

    #[test]
    fn the_publish_context_of_either_driver_is_understood() {
        let theirs = expected(&one("DevicePath", "/dev/vdb")).unwrap();
        assert_eq!(theirs, Expected { device_path: Some("/dev/vdb".to_owned()), ..Expected::default() });
        let mut ours = one("size", "1073741824");
        ours.insert("encrypted".to_owned(), "true".to_owned());
        let ours = expected(&ours).unwrap();
        assert_eq!((ours.size_bytes, ours.encrypted), (Some(1 << 30), Some(true)));
        assert_eq!(expected(&one("size", "large")).unwrap_err().code(), Code::InvalidArgument);
    }

    #[test]
    fn what_is_missing_or_bad_is_refused() {
        let table = [
            (NodeStageVolumeRequest { volume_id: String::new(), ..staged() }, Code::InvalidArgument),
            (NodeStageVolumeRequest { volume_id: "short".to_owned(), ..staged() }, Code::NotFound),
            (
                NodeStageVolumeRequest { staging_target_path: "a/b".to_owned(), ..staged() },
                Code::InvalidArgument,
            ),
            (
                NodeStageVolumeRequest { staging_target_path: "/a/../b".to_owned(), ..staged() },
                Code::InvalidArgument,
            ),
            (NodeStageVolumeRequest { volume_capability: None, ..staged() }, Code::InvalidArgument),
        ];
        for (request, code) in table {
            assert_eq!(stage(&request).unwrap_err().code(), code, "{request:?}");
        }
        let publishing = NodePublishVolumeRequest {
            volume_id: ID.to_owned(),
            target_path: "/target".to_owned(),
            staging_target_path: "/staging".to_owned(),
            volume_capability: capability(Mode::SingleNodeSingleWriter),
            ..NodePublishVolumeRequest::default()
        };
        assert!(publish(&publishing).unwrap().exclusive);
        let unstaged = NodePublishVolumeRequest { staging_target_path: String::new(), ..publishing.clone() };
        assert_eq!(publish(&unstaged).unwrap_err().code(), Code::FailedPrecondition);
        let inline = NodePublishVolumeRequest { volume_context: one(EPHEMERAL, "true"), ..publishing };
        assert_eq!(publish(&inline).unwrap_err().code(), Code::InvalidArgument);
        let growing = NodeExpandVolumeRequest {
            volume_id: ID.to_owned(),
            volume_path: "/target".to_owned(),
            capacity_range: Some(CapacityRange { required_bytes: 2, limit_bytes: 1 }),
            ..NodeExpandVolumeRequest::default()
        };
        assert_eq!(expand(&growing).unwrap_err().code(), Code::InvalidArgument);
    }
}
