//! The Node service.

use std::sync::Arc;

use tokio::sync::OnceCell;
use tonic::{Request, Response, Status};

use super::proto::node_server;
use super::proto::volume_usage::Unit;
use super::proto::*;
use super::server::about;
use super::topology::Topology;
use super::{capability, request};
use crate::node::{self, Finding, Identity, Node, Severity, Usage, Whoami};

#[derive(Clone, Debug)]
pub struct NodeSettings {
    pub whoami: Whoami,
    pub topology: Topology,
    /// `node-volume-attach-limit`.
    pub attach_limit: u16,
}

#[derive(Clone)]
pub struct NodeService {
    node: Node,
    settings: NodeSettings,
    /// A server's id and zone don't change while it runs.
    identity: Arc<OnceCell<Identity>>,
}

impl NodeService {
    pub fn new(node: Node, settings: NodeSettings) -> Self {
        Self { node, settings, identity: Arc::default() }
    }

    /// Counts the disks, for the metrics.
    pub async fn measure(&self) {
        if let Some(disks) = self.node.attached().await {
            metrics::gauge!("cinder_csi_node_attached_volumes").set(disks as f64);
        }
    }

    async fn identity(&self) -> Result<Identity, node::Error> {
        if let Some(known) = self.identity.get() {
            return Ok(known.clone());
        }
        let found = self.node.identify(&self.settings.whoami).await?;
        if self.settings.topology.enabled && found.zone.is_none() {
            return Err(zoneless(&found.server));
        }
        if !found.is_remembered {
            let _ = self.identity.set(found.clone());
        }
        Ok(found)
    }
}

#[tonic::async_trait]
impl node_server::Node for NodeService {
    async fn node_stage_volume(
        &self,
        request: Request<NodeStageVolumeRequest>,
    ) -> Result<Response<NodeStageVolumeResponse>, Status> {
        let request = request.into_inner();
        about("volume", &request.volume_id);
        self.node.stage(request::node::stage(&request)?).await?;
        Ok(Response::new(NodeStageVolumeResponse {}))
    }

    async fn node_unstage_volume(
        &self,
        request: Request<NodeUnstageVolumeRequest>,
    ) -> Result<Response<NodeUnstageVolumeResponse>, Status> {
        let request = request.into_inner();
        about("volume", &request.volume_id);
        let volume = request::text("volume_id", &request.volume_id)?;
        let staging = request::path("staging_target_path", &request.staging_target_path)?;
        self.node.unstage(volume, &staging).await?;
        Ok(Response::new(NodeUnstageVolumeResponse {}))
    }

    async fn node_publish_volume(
        &self,
        request: Request<NodePublishVolumeRequest>,
    ) -> Result<Response<NodePublishVolumeResponse>, Status> {
        let request = request.into_inner();
        about("volume", &request.volume_id);
        self.node.publish(request::node::publish(&request)?).await?;
        Ok(Response::new(NodePublishVolumeResponse {}))
    }

    async fn node_unpublish_volume(
        &self,
        request: Request<NodeUnpublishVolumeRequest>,
    ) -> Result<Response<NodeUnpublishVolumeResponse>, Status> {
        let request = request.into_inner();
        about("volume", &request.volume_id);
        let volume = request::text("volume_id", &request.volume_id)?;
        let target = request::path("target_path", &request.target_path)?;
        self.node.unpublish(volume, &target).await?;
        Ok(Response::new(NodeUnpublishVolumeResponse {}))
    }

    async fn node_get_volume_stats(
        &self,
        request: Request<NodeGetVolumeStatsRequest>,
    ) -> Result<Response<NodeGetVolumeStatsResponse>, Status> {
        let request = request.into_inner();
        about("volume", &request.volume_id);
        let volume = request::text("volume_id", &request.volume_id)?;
        let path = request::place("volume_path", &request.volume_path)?;
        let stats = self.node.stats(volume, &path).await?;
        let bytes = stats.bytes.map(|bytes| usage(Unit::Bytes, bytes));
        let inodes = stats.inodes.map(|inodes| usage(Unit::Inodes, inodes));
        Ok(Response::new(NodeGetVolumeStatsResponse { usage: bytes.into_iter().chain(inodes).collect() }))
    }

    async fn node_expand_volume(
        &self,
        request: Request<NodeExpandVolumeRequest>,
    ) -> Result<Response<NodeExpandVolumeResponse>, Status> {
        let request = request.into_inner();
        about("volume", &request.volume_id);
        let expand = request::node::expand(&request)?;
        let size = self
            .node
            .expand(&expand.volume, &expand.path, expand.staging.as_deref(), expand.required)
            .await?;
        Ok(Response::new(NodeExpandVolumeResponse { capacity_bytes: signed(size) }))
    }

    async fn node_get_capabilities(
        &self,
        _: Request<NodeGetCapabilitiesRequest>,
    ) -> Result<Response<NodeGetCapabilitiesResponse>, Status> {
        Ok(Response::new(NodeGetCapabilitiesResponse { capabilities: capability::node() }))
    }

    async fn node_get_info(
        &self,
        _: Request<NodeGetInfoRequest>,
    ) -> Result<Response<NodeGetInfoResponse>, Status> {
        let identity = self.identity().await?;
        let limit = node::attach_limit(self.settings.attach_limit, self.node.room().await);
        metrics::gauge!("cinder_csi_node_attach_limit").set(limit as f64);
        Ok(Response::new(NodeGetInfoResponse {
            node_id: identity.server,
            max_volumes_per_node: limit,
            accessible_topology: self.settings.topology.of_node(identity.zone.as_deref()),
        }))
    }

    async fn node_get_volume_health(
        &self,
        request: Request<NodeGetVolumeHealthRequest>,
    ) -> Result<Response<NodeGetVolumeHealthResponse>, Status> {
        let request = request.into_inner();
        about("volume", &request.volume_id);
        let ask = request::node::health(&request)?;
        let found = self.node.health(&ask.volume, ask.target.as_deref(), ask.staging.as_deref()).await?;
        let volume_health = VolumeHealth {
            volume_id: request.volume_id,
            health_statuses: found.into_iter().map(health_entry).collect(),
        };
        Ok(Response::new(NodeGetVolumeHealthResponse { volume_health: Some(volume_health) }))
    }

    async fn node_get_storage_health(
        &self,
        _: Request<NodeGetStorageHealthRequest>,
    ) -> Result<Response<NodeGetStorageHealthResponse>, Status> {
        let found = self.node.storage_health().await?;
        let backend_health = found.into_iter().map(backend_health).collect();
        Ok(Response::new(NodeGetStorageHealthResponse { backend_health }))
    }
}

/// The kubelet would register the node without a zone, and ask no more until the driver restarts: no Pod that needs a
/// volume of a zone would come to this node.
fn zoneless(server: &str) -> node::Error {
    let cause = "neither a config drive nor the metadata service tells its zone";
    let next = format!(
        "{}; see what [Metadata]search-order and --metadata-url name; only where zones don't matter set --with-topology=false",
        node::IDENTITY_REMEDY
    );
    node::Error::new(node::Condition::Unavailable, format!("server {server}"), cause).next(next)
}

fn health_entry(found: Finding) -> volume_health::VolumeHealthEntry {
    let status = match found.reason.severity() {
        Severity::Degraded => VolumeHealthErrorType::Degraded,
        Severity::Inaccessible => VolumeHealthErrorType::Inaccessible,
    };
    volume_health::VolumeHealthEntry {
        status: status as i32,
        reason: found.reason.to_string(),
        message: found.message,
    }
}

fn backend_health(found: Finding) -> node_get_storage_health_response::StorageBackendHealth {
    let status = match found.reason.severity() {
        Severity::Degraded => StorageHealthErrorType::StorageDegraded,
        Severity::Inaccessible => StorageHealthErrorType::StorageUnreachable,
    };
    node_get_storage_health_response::StorageBackendHealth {
        status: status as i32,
        reason: found.reason.to_string(),
        message: found.message,
        volume_capability: None,
    }
}

fn usage(unit: Unit, usage: Usage) -> VolumeUsage {
    VolumeUsage {
        unit: unit as i32,
        total: signed(usage.total),
        used: usage.used.map(signed).unwrap_or_default(),
        available: usage.available.map(signed).unwrap_or_default(),
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tonic::Code;

    use super::super::proto::node_server::Node as _;
    use super::super::topology::ZONE;
    use super::*;
    use crate::node::{Linux, Settings, ZoneMemory};

    /// A server that neither config drive nor metadata service tells its zone.
    fn silent(memory: &Path, enabled: bool) -> NodeService {
        let zone = ZoneMemory { file: Some(memory.to_owned()), pinned: false };
        let whoami =
            Whoami { server: Some("server".to_owned()), order: Vec::new(), zone, ..Whoami::default() };
        let topology = Topology { enabled, ..Topology::default() };
        let node = Node::new(Arc::new(Linux::default()), Settings::default());
        NodeService::new(node, NodeSettings { whoami, topology, attach_limit: 26 })
    }

    async fn info(service: &NodeService) -> Result<NodeGetInfoResponse, Status> {
        service.node_get_info(Request::new(NodeGetInfoRequest {})).await.map(Response::into_inner)
    }

    #[tokio::test]
    async fn a_node_without_a_zone_is_not_registered_where_zones_matter() {
        let directory = tempfile::tempdir().unwrap();
        let memory = directory.path().join("zone.json");
        let status = info(&silent(&memory, true)).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        let told = status.message();
        let advice = ["node.hostNetwork=true", "search-order", "only where zones don't matter"];
        assert!(advice.map(|words| told.find(words).unwrap()).is_sorted(), "{told}");
        assert!(told.ends_with("--with-topology=false"), "{told}");
        assert_eq!(info(&silent(&memory, false)).await.unwrap().accessible_topology, None);
    }

    #[tokio::test]
    async fn a_remembered_zone_is_told_until_the_machine_answers() {
        let directory = tempfile::tempdir().unwrap();
        let memory = directory.path().join("zone.json");
        let service = silent(&memory, true);
        for zone in ["az1", "az2"] {
            std::fs::write(&memory, format!(r#"{{"server": "server", "zone": "{zone}"}}"#)).unwrap();
            let told = info(&service).await.unwrap().accessible_topology.unwrap();
            assert_eq!(told.segments[ZONE], zone);
        }
    }
}
