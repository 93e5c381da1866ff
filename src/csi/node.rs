//! The Node service.

use std::sync::Arc;

use tokio::sync::OnceCell;
use tonic::{Request, Response, Status};

use super::proto::node_server;
use super::proto::volume_usage::Unit;
use super::proto::*;
use super::server::about;
use super::topology::Topology;
use super::{capability, request, status};
use crate::node::{Identity, Node, Usage, Whoami};

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
}

#[tonic::async_trait]
impl node_server::Node for NodeService {
    async fn node_stage_volume(
        &self,
        request: Request<NodeStageVolumeRequest>,
    ) -> Result<Response<NodeStageVolumeResponse>, Status> {
        let request = request.into_inner();
        about(&request.volume_id, "");
        self.node.stage(request::node::stage(&request)?).await?;
        Ok(Response::new(NodeStageVolumeResponse {}))
    }

    async fn node_unstage_volume(
        &self,
        request: Request<NodeUnstageVolumeRequest>,
    ) -> Result<Response<NodeUnstageVolumeResponse>, Status> {
        let request = request.into_inner();
        about(&request.volume_id, "");
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
        about(&request.volume_id, "");
        self.node.publish(request::node::publish(&request)?).await?;
        Ok(Response::new(NodePublishVolumeResponse {}))
    }

    async fn node_unpublish_volume(
        &self,
        request: Request<NodeUnpublishVolumeRequest>,
    ) -> Result<Response<NodeUnpublishVolumeResponse>, Status> {
        let request = request.into_inner();
        about(&request.volume_id, "");
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
        about(&request.volume_id, "");
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
        about(&request.volume_id, "");
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
        let identity = self.identity.get_or_try_init(|| self.node.identify(&self.settings.whoami)).await?;
        Ok(Response::new(NodeGetInfoResponse {
            node_id: identity.server.clone(),
            max_volumes_per_node: self.settings.attach_limit.into(),
            accessible_topology: self.settings.topology.of_node(identity.zone.as_deref()),
        }))
    }

    async fn node_get_volume_health(
        &self,
        _: Request<NodeGetVolumeHealthRequest>,
    ) -> Result<Response<NodeGetVolumeHealthResponse>, Status> {
        Err(status::not_advertised("NodeGetVolumeHealth"))
    }

    async fn node_get_storage_health(
        &self,
        _: Request<NodeGetStorageHealthRequest>,
    ) -> Result<Response<NodeGetStorageHealthResponse>, Status> {
        Err(status::not_advertised("NodeGetStorageHealth"))
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
