//! Users who take one volume after the other through its life, and call again as a sidecar does.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cinder_csi::csi::proto::controller_client::ControllerClient;
use cinder_csi::csi::proto::volume_capability::access_mode::Mode;
use cinder_csi::csi::proto::volume_capability::{AccessMode, AccessType, BlockVolume};
use cinder_csi::csi::proto::*;
use cinder_csi::pace;
use cinder_csi::sandbox::SimulatedCloud;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};

/// Of an RPC.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(300);
const GIB: i64 = 1 << 30;

pub struct Load {
    controller: ControllerClient<Channel>,
    servers: Vec<String>,
    is_over: AtomicBool,
    calls: AtomicUsize,
    under_way: AtomicUsize,
    injected: AtomicUsize,
    failures: Mutex<BTreeMap<String, usize>>,
}

/// Since the last look.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    pub calls: usize,
    pub under_way: usize,
}

impl Load {
    pub fn new(controller: ControllerClient<Channel>, cloud: &SimulatedCloud) -> Self {
        let servers = ["node-1", "node-2", "node-3"].map(|name| cloud.server_id(name)).to_vec();
        Self {
            controller,
            servers,
            is_over: AtomicBool::new(false),
            calls: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
            injected: AtomicUsize::new(0),
            failures: Mutex::default(),
        }
    }

    pub fn inject(&self) {
        self.injected.fetch_add(1, Ordering::Relaxed);
    }

    pub fn injected(&self) -> usize {
        self.injected.load(Ordering::Relaxed)
    }

    pub fn stop(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// How often an RPC ended with each code that isn't OK.
    pub fn failures(&self) -> BTreeMap<String, usize> {
        self.failures.lock().unwrap().clone()
    }

    pub fn take(&self) -> Taken {
        let calls = self.calls.swap(0, Ordering::Relaxed);
        Taken { calls, under_way: self.under_way.load(Ordering::Relaxed) }
    }

    /// One life after the other, each to its end.
    pub async fn go_on(self: Arc<Self>, user: usize) {
        let mut lives = 0;
        while !self.is_over.load(Ordering::Relaxed) {
            lives += 1;
            self.live(user, lives).await;
        }
    }

    async fn live(&self, user: usize, life: usize) {
        let name = format!("pvc-{user}-{life}");
        let create = CreateVolumeRequest {
            name: name.clone(),
            volume_capabilities: vec![capability()],
            ..Default::default()
        };
        let volume_id = self
            .insist(create, async |mut to, request| to.create_volume(request).await)
            .await
            .volume
            .unwrap()
            .volume_id;
        let node_id = self.servers[user % self.servers.len()].clone();
        let attach = ControllerPublishVolumeRequest {
            volume_id: volume_id.clone(),
            node_id: node_id.clone(),
            volume_capability: Some(capability()),
            ..Default::default()
        };
        self.insist(attach, async |mut to, request| to.controller_publish_volume(request).await).await;
        let expand = ControllerExpandVolumeRequest {
            volume_id: volume_id.clone(),
            capacity_range: Some(CapacityRange { required_bytes: 2 * GIB, limit_bytes: 0 }),
            ..Default::default()
        };
        self.insist(expand, async |mut to, request| to.controller_expand_volume(request).await).await;
        let cut = CreateSnapshotRequest {
            source_volume_id: volume_id.clone(),
            name: format!("snapshot-of-{name}"),
            ..Default::default()
        };
        let snapshot = self
            .insist(cut, async |mut to, request| to.create_snapshot(request).await)
            .await
            .snapshot
            .unwrap();
        let uncut = DeleteSnapshotRequest { snapshot_id: snapshot.snapshot_id, ..Default::default() };
        self.insist(uncut, async |mut to, request| to.delete_snapshot(request).await).await;
        let detach =
            ControllerUnpublishVolumeRequest { volume_id: volume_id.clone(), node_id, ..Default::default() };
        self.insist(detach, async |mut to, request| to.controller_unpublish_volume(request).await).await;
        let delete = DeleteVolumeRequest { volume_id, ..Default::default() };
        self.insist(delete, async |mut to, request| to.delete_volume(request).await).await;
    }

    /// Calls until it is done.
    async fn insist<Q: Clone, A>(
        &self,
        request: Q,
        call: impl AsyncFn(ControllerClient<Channel>, Request<Q>) -> Result<Response<A>, Status>,
    ) -> A {
        loop {
            let mut request = Request::new(request.clone());
            request.set_timeout(PATIENCE);
            self.under_way.fetch_add(1, Ordering::Relaxed);
            let answer = call(self.controller.clone(), request).await;
            self.under_way.fetch_sub(1, Ordering::Relaxed);
            self.calls.fetch_add(1, Ordering::Relaxed);
            match answer {
                Ok(answer) => return answer.into_inner(),
                Err(status) => self.fail(&status),
            }
            pace::sleep(PAUSE).await;
        }
    }

    fn fail(&self, status: &Status) {
        let code: Code = status.code();
        eprintln!("{code:?}: {}", status.message());
        *self.failures.lock().unwrap().entry(format!("{code:?}")).or_default() += 1;
    }
}

fn capability() -> VolumeCapability {
    VolumeCapability {
        access_mode: Some(AccessMode { mode: Mode::SingleNodeWriter as i32 }),
        access_type: Some(AccessType::Block(BlockVolume {})),
    }
}
