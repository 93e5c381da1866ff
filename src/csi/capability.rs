//! What the services advertise: only what works.

use super::proto::controller_service_capability::{self, Rpc, rpc};
use super::proto::group_controller_service_capability::{self, Rpc as GroupRpc, rpc as group_rpc};
use super::proto::node_service_capability::{self, Rpc as NodeRpc, rpc as node_rpc};
use super::proto::plugin_capability::{self, Service, VolumeExpansion, service, volume_expansion};
use super::proto::{
    ControllerServiceCapability, GroupControllerServiceCapability, NodeServiceCapability, PluginCapability,
};

const CONTROLLER: [rpc::Type; 15] = [
    rpc::Type::CreateDeleteVolume,
    rpc::Type::PublishUnpublishVolume,
    rpc::Type::ListVolumes,
    rpc::Type::ListVolumesPublishedNodes,
    rpc::Type::ExpandVolume,
    rpc::Type::GetVolume,
    rpc::Type::CreateDeleteSnapshot,
    rpc::Type::ListSnapshots,
    rpc::Type::GetSnapshot,
    rpc::Type::ModifyVolume,
    rpc::Type::GetCapacity,
    rpc::Type::CloneVolume,
    rpc::Type::GetVolumeHealth,
    rpc::Type::ListVolumeHealth,
    rpc::Type::SingleNodeMultiWriter,
];

const NODE: [node_rpc::Type; 6] = [
    node_rpc::Type::StageUnstageVolume,
    node_rpc::Type::ExpandVolume,
    node_rpc::Type::GetVolumeStats,
    node_rpc::Type::SingleNodeMultiWriter,
    node_rpc::Type::GetVolumeHealth,
    node_rpc::Type::GetStorageHealth,
];

pub fn controller() -> Vec<ControllerServiceCapability> {
    let capability = |kind: rpc::Type| ControllerServiceCapability {
        r#type: Some(controller_service_capability::Type::Rpc(Rpc { r#type: kind as i32 })),
    };
    CONTROLLER.map(capability).into()
}

pub fn node() -> Vec<NodeServiceCapability> {
    let capability = |kind: node_rpc::Type| NodeServiceCapability {
        r#type: Some(node_service_capability::Type::Rpc(NodeRpc { r#type: kind as i32 })),
    };
    NODE.map(capability).into()
}

pub fn group() -> Vec<GroupControllerServiceCapability> {
    let kind = group_rpc::Type::CreateDeleteGetVolumeGroupSnapshot;
    let rpc = GroupRpc { r#type: kind as i32 };
    vec![GroupControllerServiceCapability {
        r#type: Some(group_controller_service_capability::Type::Rpc(rpc)),
    }]
}

/// Of the plugin as a whole: every instance says the same, whichever services it serves.
/// <https://github.com/container-storage-interface/spec/blob/v1.13.0/spec.md#getplugincapabilities>
pub fn plugin(topology: bool, snapshots_have_zones: bool) -> Vec<PluginCapability> {
    let service = |kind: service::Type| PluginCapability {
        r#type: Some(plugin_capability::Type::Service(Service { r#type: kind as i32 })),
    };
    let online = PluginCapability {
        r#type: Some(plugin_capability::Type::VolumeExpansion(VolumeExpansion {
            r#type: volume_expansion::Type::Online as i32,
        })),
    };
    let controller = service(service::Type::ControllerService);
    let groups = service(service::Type::GroupControllerService);
    let topology = topology.then(|| service(service::Type::VolumeAccessibilityConstraints));
    // Snapshots are where their volumes are.
    let snapshots = service(service::Type::SnapshotAccessibilityConstraints);
    let snapshots = snapshots_have_zones.then_some(snapshots);
    [controller, groups, online].into_iter().chain(topology).chain(snapshots).collect()
}
