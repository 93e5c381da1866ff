//! Random messages to the running server, on a cloud and a machine that are well.

use cinder_csi::sandbox::{Settings, SimulatedCloud};
use tonic::Code;

use super::driver::Driver;
use super::machine::Machine;
use super::run;

/// Every RPC, by the first byte of a message.
pub const RPCS: [&str; 35] = [
    "Identity/GetPluginInfo",
    "Identity/GetPluginCapabilities",
    "Identity/Probe",
    "Controller/CreateVolume",
    "Controller/DeleteVolume",
    "Controller/ControllerPublishVolume",
    "Controller/ControllerUnpublishVolume",
    "Controller/ValidateVolumeCapabilities",
    "Controller/ListVolumes",
    "Controller/GetCapacity",
    "Controller/ControllerGetCapabilities",
    "Controller/CreateSnapshot",
    "Controller/DeleteSnapshot",
    "Controller/ListSnapshots",
    "Controller/GetSnapshot",
    "Controller/ControllerExpandVolume",
    "Controller/ControllerGetVolume",
    "Controller/ControllerModifyVolume",
    "Controller/ControllerGetVolumeHealth",
    "Controller/ControllerListVolumeHealth",
    "GroupController/GroupControllerGetCapabilities",
    "GroupController/CreateVolumeGroupSnapshot",
    "GroupController/DeleteVolumeGroupSnapshot",
    "GroupController/GetVolumeGroupSnapshot",
    "SnapshotMetadata/GetMetadataAllocated",
    "Node/NodeStageVolume",
    "Node/NodeUnstageVolume",
    "Node/NodePublishVolume",
    "Node/NodeUnpublishVolume",
    "Node/NodeGetVolumeStats",
    "Node/NodeGetVolumeHealth",
    "Node/NodeGetStorageHealth",
    "Node/NodeExpandVolume",
    "Node/NodeGetCapabilities",
    "Node/NodeGetInfo",
];

/// So many messages are one history.
const MOST: usize = 8;

/// The RPC, the length of the message (two bytes, the little end first), the message; and so on.
pub fn requests(data: &[u8]) {
    run(async {
        let cloud = SimulatedCloud::new(Settings::default());
        let driver = Driver::new(cloud.http(), Machine::default());
        let mut rest = data;
        for _ in 0..MOST {
            let [rpc, low, high, tail @ ..] = rest else { break };
            let length = usize::from(u16::from_le_bytes([*low, *high])).min(tail.len());
            let (message, tail) = tail.split_at(length);
            rest = tail;
            let rpc = RPCS[usize::from(*rpc) % RPCS.len()];
            cloud.reset_calls();
            let answer = driver.call(rpc, message).await;
            let nobody_asked = cloud.calls().is_empty();
            if let Err(status) = answer
                && status.code() == Code::InvalidArgument
                && nobody_asked
            {
                assert!(names_a_field(status.message()), "{rpc} names no field: {:?}", status.message());
            }
        }
    });
}

/// `parameters.az-map: …`
fn names_a_field(message: &str) -> bool {
    let field = message.split(": ").next().unwrap_or_default();
    let root: String = field.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
    message.len() > field.len() && FIELDS.contains(&root.as_str())
}

/// The fields of all requests.
const FIELDS: [&str; 25] = [
    "name",
    "capacity_range",
    "volume_capabilities",
    "volume_capability",
    "parameters",
    "mutable_parameters",
    "secrets",
    "volume_content_source",
    "accessibility_requirements",
    "volume_id",
    "node_id",
    "readonly",
    "volume_context",
    "publish_context",
    "max_entries",
    "starting_token",
    "source_volume_id",
    "source_volume_ids",
    "snapshot_id",
    "snapshot_ids",
    "group_snapshot_id",
    "staging_target_path",
    "target_path",
    "volume_path",
    "volume_publish_path",
];
