//! What the orchestrator does with a volume: the sidecars' and the kubelet's RPCs, in their order.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use super::super::rig::{NODES, Rig};
use super::proof;
use crate::csi::proto::controller_client::ControllerClient;
use crate::csi::proto::identity_client::IdentityClient;
use crate::csi::proto::node_client::NodeClient;
use crate::csi::proto::volume_capability::access_mode::Mode;
use crate::csi::proto::volume_capability::{AccessMode, AccessType, MountVolume};
use crate::csi::proto::volume_usage::Unit;
use crate::csi::proto::*;

/// How the file system grew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Growth {
    Online,
    /// Linux lets a process without `CAP_SYS_RESOURCE` not grow a mounted ext4.
    Offline,
}

/// What a step says of itself, or why it failed.
type Told = Result<String, String>;

/// One volume on one node.
pub(super) struct Life {
    identities: [IdentityClient<Channel>; 2],
    controller: ControllerClient<Channel>,
    node: NodeClient<Channel>,
    seed: u64,
    devices: PathBuf,
    staging: PathBuf,
    target: PathBuf,
    growth: Growth,
    server: String,
    topology: Option<Topology>,
    volume: String,
    volume_context: HashMap<String, String>,
    publish_context: HashMap<String, String>,
    disk: PathBuf,
}

const GIB: i64 = 1 << 30;
/// As long as the external-attacher would wait, and more.
const PATIENCE: Duration = Duration::from_secs(120);
const FILE: &str = "proof";

impl Life {
    /// Inside a tokio runtime.
    pub fn new(
        controller: &Path,
        node: &Path,
        rig: &Rig,
        seed: u64,
    ) -> Result<Self, tonic::transport::Error> {
        let (controller, node) = (channel(controller)?, channel(node)?);
        Ok(Self {
            identities: [&controller, &node].map(|channel| IdentityClient::new(channel.clone())),
            controller: ControllerClient::new(controller),
            node: NodeClient::new(node),
            seed,
            devices: rig.devices(NODES[0]),
            staging: rig.place.join("staging"),
            target: rig.place.join("pod").join("volume"),
            growth: Growth::Online,
            server: String::new(),
            topology: None,
            volume: String::new(),
            volume_context: HashMap::new(),
            publish_context: HashMap::new(),
            disk: PathBuf::new(),
        })
    }

    pub fn growth(&self) -> Growth {
        self.growth
    }

    pub fn disk(&self) -> &Path {
        &self.disk
    }

    pub fn target(&self) -> &Path {
        &self.target
    }

    pub async fn start(&mut self) -> Told {
        for identity in &mut self.identities {
            identity.probe(rpc(ProbeRequest {})).await.map_err(refused)?;
        }
        let plugin = self.identities[0]
            .get_plugin_info(rpc(GetPluginInfoRequest {}))
            .await
            .map_err(refused)?
            .into_inner();
        let node = self.node.node_get_info(rpc(NodeGetInfoRequest {})).await.map_err(refused)?.into_inner();
        self.server = node.node_id;
        self.topology = node.accessible_topology;
        Ok(format!(
            "{} {} answers; {} is server {}{}",
            plugin.name,
            plugin.vendor_version,
            NODES[0],
            self.server,
            in_zone(self.topology.as_ref())
        ))
    }

    pub async fn create(&mut self) -> Told {
        let id = uuid::Builder::from_random_bytes(fastrand::Rng::with_seed(self.seed).u128(..).to_be_bytes());
        let zones: Vec<_> = self.topology.clone().into_iter().collect();
        let request = CreateVolumeRequest {
            name: format!("pvc-{}", id.into_uuid()),
            capacity_range: Some(size(GIB)),
            volume_capabilities: vec![capability()],
            accessibility_requirements: Some(TopologyRequirement {
                requisite: zones.clone(),
                preferred: zones,
            }),
            ..Default::default()
        };
        let reply = self.controller.create_volume(rpc(request)).await.map_err(refused)?.into_inner();
        let volume = reply.volume.ok_or("the answer has no volume")?;
        let zone = in_zone(volume.accessible_topology.first());
        let gibibytes = volume.capacity_bytes / GIB;
        (self.volume, self.volume_context) = (volume.volume_id, volume.volume_context);
        Ok(format!("volume {} of {gibibytes} GiB{zone}", self.volume))
    }

    pub async fn attach(&mut self) -> Told {
        let request = ControllerPublishVolumeRequest {
            volume_id: self.volume.clone(),
            node_id: self.server.clone(),
            volume_capability: Some(capability()),
            volume_context: self.volume_context.clone(),
            ..Default::default()
        };
        let reply = self.controller.controller_publish_volume(rpc(request)).await.map_err(refused)?;
        self.publish_context = reply.into_inner().publish_context;
        Ok(match self.linked() {
            Some((link, disk)) => {
                self.disk = disk;
                format!("{} is {} of {}", link, self.disk.display(), NODES[0])
            }
            None => format!("to {}", NODES[0]),
        })
    }

    pub async fn stage(&mut self) -> Told {
        fs::create_dir_all(&self.staging).map_err(|error| error.to_string())?;
        let request = NodeStageVolumeRequest {
            volume_id: self.volume.clone(),
            publish_context: self.publish_context.clone(),
            staging_target_path: text(&self.staging),
            volume_capability: Some(capability()),
            volume_context: self.volume_context.clone(),
            ..Default::default()
        };
        self.node.node_stage_volume(rpc(request)).await.map_err(refused)?;
        Ok(format!("ext4 on {}, mounted on {}", self.disk.display(), self.staging.display()))
    }

    pub async fn publish(&mut self) -> Told {
        fs::create_dir_all(self.target.parent().unwrap_or(&self.target))
            .map_err(|error| error.to_string())?;
        let request = NodePublishVolumeRequest {
            volume_id: self.volume.clone(),
            publish_context: self.publish_context.clone(),
            staging_target_path: text(&self.staging),
            target_path: text(&self.target),
            volume_capability: Some(capability()),
            volume_context: self.volume_context.clone(),
            ..Default::default()
        };
        self.node.node_publish_volume(rpc(request)).await.map_err(refused)?;
        Ok(format!("bound to {}", self.target.display()))
    }

    pub async fn write(&mut self) -> Told {
        let (file, seed) = (self.target.join(FILE), self.seed);
        let written = tokio::task::spawn_blocking(move || proof::write(&file, seed)).await;
        written.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        Ok(format!("{} of random bytes", proof::SIZE_SHOWN))
    }

    pub async fn expand_in_cloud(&mut self) -> Told {
        let request = ControllerExpandVolumeRequest {
            volume_id: self.volume.clone(),
            capacity_range: Some(size(2 * GIB)),
            volume_capability: Some(capability()),
            ..Default::default()
        };
        self.controller.controller_expand_volume(rpc(request)).await.map_err(refused)?;
        Ok("to 2 GiB in the cloud".to_owned())
    }

    pub async fn expand(&mut self) -> Told {
        self.expand_in_cloud().await?;
        let request = NodeExpandVolumeRequest {
            volume_id: self.volume.clone(),
            volume_path: text(&self.target),
            staging_target_path: text(&self.staging),
            capacity_range: Some(size(2 * GIB)),
            volume_capability: Some(capability()),
            ..Default::default()
        };
        match self.node.node_expand_volume(rpc(request)).await {
            Ok(_) => {
                self.spans_two_gibibytes().await?;
                Ok("to 2 GiB: volume, disk and mounted file system".to_owned())
            }
            Err(status)
                if status.code() == Code::FailedPrecondition
                    && status.message().contains("CAP_SYS_RESOURCE") =>
            {
                self.growth = Growth::Offline;
                Ok("to 2 GiB: volume and disk; the mounted ext4 can't grow here without CAP_SYS_RESOURCE"
                    .to_owned())
            }
            Err(status) => Err(refused(status)),
        }
    }

    pub async fn restage(&mut self) -> Told {
        self.unpublish().await?;
        self.unstage().await?;
        self.stage().await?;
        self.publish().await?;
        self.spans_two_gibibytes().await?;
        Ok("so offline: unpublished, unstaged, staged, published; the file system has 2 GiB".to_owned())
    }

    pub async fn read_back(&mut self) -> Told {
        let (file, seed) = (self.target.join(FILE), self.seed);
        let read = tokio::task::spawn_blocking(move || proof::holds(&file, seed)).await;
        match read.map_err(|error| error.to_string())?.map_err(|error| error.to_string())? {
            true => Ok(format!("{} from the disk, equal", proof::SIZE_SHOWN)),
            false => Err("the bytes are not those that were written".to_owned()),
        }
    }

    pub async fn unpublish(&mut self) -> Told {
        let request =
            NodeUnpublishVolumeRequest { volume_id: self.volume.clone(), target_path: text(&self.target) };
        self.node.node_unpublish_volume(rpc(request)).await.map_err(refused)?;
        Ok(format!("{} is gone", self.target.display()))
    }

    pub async fn unstage(&mut self) -> Told {
        let request = NodeUnstageVolumeRequest {
            volume_id: self.volume.clone(),
            staging_target_path: text(&self.staging),
        };
        self.node.node_unstage_volume(rpc(request)).await.map_err(refused)?;
        Ok(format!("{} is no longer mounted", self.disk.display()))
    }

    pub async fn detach(&mut self) -> Told {
        let request = ControllerUnpublishVolumeRequest {
            volume_id: self.volume.clone(),
            node_id: self.server.clone(),
            ..Default::default()
        };
        self.controller.controller_unpublish_volume(rpc(request)).await.map_err(refused)?;
        match self.linked() {
            None => Ok(format!("from {}", NODES[0])),
            Some((link, _)) => Err(format!("the server still has its disk {link}")),
        }
    }

    pub async fn delete(&mut self) -> Told {
        let request = DeleteVolumeRequest { volume_id: self.volume.clone(), ..Default::default() };
        self.controller.delete_volume(rpc(request)).await.map_err(refused)?;
        Ok("Cinder no longer knows it".to_owned())
    }

    /// ext4 keeps a few percent for itself.
    async fn spans_two_gibibytes(&mut self) -> Result<(), String> {
        let request = NodeGetVolumeStatsRequest {
            volume_id: self.volume.clone(),
            volume_path: text(&self.target),
            staging_target_path: text(&self.staging),
        };
        let stats = self.node.node_get_volume_stats(rpc(request)).await.map_err(refused)?.into_inner();
        let bytes = stats.usage.iter().find(|usage| usage.unit == Unit::Bytes as i32);
        match bytes.map_or(0, |usage| usage.total) {
            total if total > 2 * GIB / 10 * 9 => Ok(()),
            total => Err(format!("the file system has {total} bytes of {}", 2 * GIB)),
        }
    }

    /// The server's disk by its link, and what the link leads to.
    fn linked(&self) -> Option<(String, PathBuf)> {
        let link = fs::read_dir(&self.devices).ok()?.flatten().next()?;
        Some((link.file_name().to_string_lossy().into_owned(), fs::read_link(link.path()).ok()?))
    }
}

fn channel(socket: &Path) -> Result<Channel, tonic::transport::Error> {
    Ok(Endpoint::from_shared(format!("unix://{}", socket.display()))?.connect_lazy())
}

/// With the deadline that every sidecar sets.
fn rpc<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(PATIENCE);
    request
}

fn refused(status: Status) -> String {
    format!("{:?}: {}", status.code(), status.message())
}

/// What a pod asks for that mounts a volume alone.
fn capability() -> VolumeCapability {
    VolumeCapability {
        access_mode: Some(AccessMode { mode: Mode::SingleNodeWriter as i32 }),
        access_type: Some(AccessType::Mount(MountVolume {
            fs_type: "ext4".to_owned(),
            ..Default::default()
        })),
    }
}

fn size(bytes: i64) -> CapacityRange {
    CapacityRange { required_bytes: bytes, limit_bytes: 0 }
}

fn in_zone(topology: Option<&Topology>) -> String {
    let zone = topology.and_then(|topology| topology.segments.values().next());
    zone.map(|zone| format!(" in zone {zone}")).unwrap_or_default()
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
