//! The RPCs as a sidecar sends them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cinder_csi::csi::proto::controller_client::ControllerClient;
use cinder_csi::csi::proto::identity_client::IdentityClient;
use cinder_csi::csi::proto::node_client::NodeClient;
use cinder_csi::csi::proto::volume_capability::access_mode::Mode;
use cinder_csi::csi::proto::volume_capability::{AccessMode, AccessType, MountVolume};
use cinder_csi::csi::proto::*;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::Request;
use tonic::transport::{Channel, Endpoint};

use super::Outcome;

/// One connection to a driver, as a sidecar has it. Cheap to clone.
#[derive(Clone)]
pub struct Rpc {
    channel: Channel,
}

const PATIENCE: Duration = Duration::from_secs(300);
/// Another controller is started by hand.
const LONGEST_START: Duration = Duration::from_secs(60);
const MEGABYTES: usize = 64 << 20;

impl Rpc {
    async fn connect(socket: &Path) -> Outcome<Self> {
        let socket: PathBuf = socket.to_owned();
        let connector = tower::service_fn(move |_| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        let channel = Endpoint::from_static("http://driver.bench").connect_with_connector(connector).await?;
        Ok(Self { channel })
    }

    /// Connects as soon as somebody listens, or fails as `alive` does, or after a minute.
    pub async fn connect_soon(socket: &Path, mut alive: impl FnMut() -> Outcome<()>) -> Outcome<Self> {
        let mut look = tokio::time::interval(Duration::from_micros(200));
        let began = Instant::now();
        loop {
            match Self::connect(socket).await {
                Ok(rpc) => return Ok(rpc),
                Err(error) if began.elapsed() > LONGEST_START => return Err(error),
                Err(_) => alive()?,
            }
            look.tick().await;
        }
    }

    pub async fn probe(&self) -> Outcome<()> {
        IdentityClient::new(self.channel.clone()).probe(within(ProbeRequest {})).await?;
        Ok(())
    }

    pub async fn capabilities(&self) -> Outcome<()> {
        let request = within(ControllerGetCapabilitiesRequest {});
        self.controller().controller_get_capabilities(request).await?;
        Ok(())
    }

    pub async fn get(&self, volume: &str) -> Outcome<()> {
        let request = within(ControllerGetVolumeRequest { volume_id: volume.to_owned() });
        self.controller().controller_get_volume(request).await?;
        Ok(())
    }

    pub async fn list(&self, entries: i32) -> Outcome<()> {
        let request = within(ListVolumesRequest { max_entries: entries, ..ListVolumesRequest::default() });
        self.controller().list_volumes(request).await?;
        Ok(())
    }

    /// Page by page: how many volumes there are.
    pub async fn list_all(&self) -> Outcome<usize> {
        let (mut listed, mut starting_token) = (0, String::new());
        loop {
            let request = within(ListVolumesRequest { max_entries: 0, starting_token });
            let page = self.controller().list_volumes(request).await?.into_inner();
            listed += page.entries.len();
            if page.next_token.is_empty() {
                return Ok(listed);
            }
            starting_token = page.next_token;
        }
    }

    pub async fn create(&self, name: &str) -> Outcome<String> {
        let request = within(CreateVolumeRequest {
            name: name.to_owned(),
            volume_capabilities: vec![capability()],
            ..CreateVolumeRequest::default()
        });
        let reply = self.controller().create_volume(request).await?.into_inner();
        Ok(reply.volume.ok_or("no volume in the reply")?.volume_id)
    }

    pub async fn delete(&self, volume: &str) -> Outcome<()> {
        let request =
            within(DeleteVolumeRequest { volume_id: volume.to_owned(), ..DeleteVolumeRequest::default() });
        self.controller().delete_volume(request).await?;
        Ok(())
    }

    pub async fn publish(&self, volume: &str, server: &str) -> Outcome<()> {
        let request = within(ControllerPublishVolumeRequest {
            volume_id: volume.to_owned(),
            node_id: server.to_owned(),
            volume_capability: Some(capability()),
            ..ControllerPublishVolumeRequest::default()
        });
        self.controller().controller_publish_volume(request).await?;
        Ok(())
    }

    pub async fn unpublish(&self, volume: &str, server: &str) -> Outcome<()> {
        let request = within(ControllerUnpublishVolumeRequest {
            volume_id: volume.to_owned(),
            node_id: server.to_owned(),
            ..ControllerUnpublishVolumeRequest::default()
        });
        self.controller().controller_unpublish_volume(request).await?;
        Ok(())
    }

    pub async fn stage(&self, volume: &str, staging: &Path, size: u64) -> Outcome<()> {
        let request = within(NodeStageVolumeRequest {
            volume_id: volume.to_owned(),
            staging_target_path: staging.display().to_string(),
            publish_context: HashMap::from([("size".to_owned(), size.to_string())]),
            volume_capability: Some(capability()),
            ..NodeStageVolumeRequest::default()
        });
        NodeClient::new(self.channel.clone()).node_stage_volume(request).await?;
        Ok(())
    }

    pub async fn unstage(&self, volume: &str, staging: &Path) -> Outcome<()> {
        let request = within(NodeUnstageVolumeRequest {
            volume_id: volume.to_owned(),
            staging_target_path: staging.display().to_string(),
        });
        NodeClient::new(self.channel.clone()).node_unstage_volume(request).await?;
        Ok(())
    }

    fn controller(&self) -> ControllerClient<Channel> {
        ControllerClient::new(self.channel.clone()).max_decoding_message_size(MEGABYTES)
    }
}

fn within<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(PATIENCE);
    request
}

fn capability() -> VolumeCapability {
    VolumeCapability {
        access_mode: Some(AccessMode { mode: Mode::SingleNodeWriter as i32 }),
        access_type: Some(AccessType::Mount(MountVolume {
            fs_type: "ext4".to_owned(),
            ..MountVolume::default()
        })),
    }
}
