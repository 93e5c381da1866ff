//! Users who take one volume after the other through its life, and call again as a sidecar does.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use cinder_csi::pace;
use cinder_csi::sandbox::SimulatedCloud;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::calls::{Calls, bug, capability};

/// Of an RPC.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(300);

pub struct Load {
    driver: Calls,
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
    pub fn new(driver: Channel, cloud: &SimulatedCloud) -> Self {
        let servers = ["node-1", "node-2", "node-3"].map(|name| cloud.server_id(name)).to_vec();
        Self {
            driver: Calls::new(driver, PATIENCE),
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
    pub async fn go_on(&self, user: usize) {
        let mut lives = 0;
        while !self.is_over.load(Ordering::Relaxed) {
            lives += 1;
            self.live(user, lives).await;
        }
    }

    async fn live(&self, user: usize, life: usize) {
        let (name, server) = (format!("pvc-{user}-{life}"), &self.servers[user % self.servers.len()]);
        let volume = self.insist(async |calls| calls.create(&name, 1, None).await).await.volume_id;
        self.insist(async |calls| calls.attach(&volume, server, &capability("")).await).await;
        self.insist(async |calls| calls.expand(&volume, 2).await).await;
        let of = format!("snapshot-of-{name}");
        let snapshot =
            self.insist(async |calls| calls.snapshot(&of, &volume, "snapshot").await).await.snapshot_id;
        self.insist(async |calls| calls.delete_snapshot(&snapshot).await).await;
        self.insist(async |calls| calls.detach(&volume, server).await).await;
        self.insist(async |calls| calls.delete(&volume).await).await;
    }

    /// Calls until it is done.
    async fn insist<A>(&self, call: impl AsyncFn(&Calls) -> Result<A, Status>) -> A {
        loop {
            self.under_way.fetch_add(1, Ordering::Relaxed);
            let answer = call(&self.driver).await;
            self.under_way.fetch_sub(1, Ordering::Relaxed);
            self.calls.fetch_add(1, Ordering::Relaxed);
            match answer {
                Ok(answer) => return answer,
                Err(status) => self.fail(&status),
            }
            pace::sleep(PAUSE).await;
        }
    }

    fn fail(&self, status: &Status) {
        assert!(!bug::is_told(status.message()), "{status}");
        let code: Code = status.code();
        eprintln!("{code:?}: {}", status.message());
        *self.failures.lock().unwrap().entry(format!("{code:?}")).or_default() += 1;
    }
}
