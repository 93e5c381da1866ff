//! The kubelet's calls.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use cinder_csi::csi::proto::node_client::NodeClient;
use cinder_csi::csi::proto::*;
use cinder_csi::pace;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::calls::{Calls, Place, capability, within};
use crate::disk::Disk;
use crate::driver::Guest;
use crate::figures::count;

/// The kubelet's, for each call.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// A guest without acceleration, on a machine that is busy, answers late.
const LATE: Duration = Duration::from_secs(5);

impl Guest {
    fn calls(&self, patience: Duration) -> Calls {
        Calls::new(self.channel.clone(), patience)
    }

    fn node(&self) -> NodeClient<Channel> {
        NodeClient::new(self.channel.clone())
    }

    pub async fn stage(&self, disk: &Disk, fs: &str) -> Result<(), Status> {
        self.stage_within(PATIENCE, disk, fs).await
    }

    pub async fn stage_within(&self, time: Duration, disk: &Disk, fs: &str) -> Result<(), Status> {
        // The kubelet makes the directory.
        self.machine.shell(&format!("mkdir -p {}", staging(disk))).await;
        let began = Instant::now();
        let answer = self.calls(time).stage(&place(disk, fs)).await;
        assert!(began.elapsed() < time + LATE, "it ended {:?} after it began", began.elapsed());
        count("stages tried", 1);
        count("stages refused", usize::from(answer.is_err()));
        answer
    }

    /// A stage that must go well: or all is told that the guest knows.
    pub async fn staged(&self, disk: &Disk, fs: &str) {
        if let Err(error) = self.stage(disk, fs).await {
            let (_, seen) =
                self.machine.run("ps -o pid,stat,args; dmesg | tail -n 30; cat /proc/diskstats").await;
            panic!("{fs}: {error}\n{}\n{seen}", self.log().await);
        }
    }

    /// Asks again, as the kubelet does, while an earlier call is still at work.
    pub async fn staged_at_last(&self, disk: &Disk, fs: &str) {
        let end = Instant::now() + PATIENCE;
        while let Err(error) = self.stage(disk, fs).await {
            assert!(error.code() == Code::Aborted && Instant::now() < end, "{error}");
            pace::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Shows a staged volume to a Pod.
    pub async fn publish(&self, disk: &Disk, fs: &str) {
        self.machine.shell(&format!("mkdir -p $(dirname {})", target(disk))).await;
        self.calls(PATIENCE).publish(&place(disk, fs)).await.unwrap();
    }

    pub async fn unpublish(&self, disk: &Disk) {
        self.calls(PATIENCE).unpublish(&place(disk, "")).await.unwrap();
    }

    /// Grows what is mounted: the bytes that the driver says it has now.
    pub async fn expand(&self, disk: &Disk, size: u64) -> i64 {
        let place = Place { target: staging(disk), ..place(disk, "") };
        self.calls(PATIENCE).node_expand(&place, size.try_into().unwrap()).await.unwrap()
    }

    /// What is wrong with a volume that is staged and published: reason and status.
    pub async fn health(&self, disk: &Disk) -> Vec<(String, VolumeHealthErrorType)> {
        let request = NodeGetVolumeHealthRequest {
            volume_id: disk.volume.clone(),
            volume_publish_path: target(disk),
            staging_target_path: staging(disk),
        };
        let began = Instant::now();
        let answer = self.node().node_get_volume_health(within(PATIENCE, request)).await.unwrap();
        assert!(began.elapsed() < PATIENCE);
        let found = answer.into_inner().volume_health.unwrap().health_statuses;
        found.into_iter().map(|entry| (entry.reason.clone(), entry.status())).collect()
    }

    /// Ends in time, whatever it answers.
    pub async fn stats(&self, time: Duration, disk: &Disk) -> Result<NodeGetVolumeStatsResponse, Status> {
        let request = NodeGetVolumeStatsRequest {
            volume_id: disk.volume.clone(),
            volume_path: target(disk),
            staging_target_path: staging(disk),
        };
        let began = Instant::now();
        let answer = self.node().node_get_volume_stats(within(time, request)).await;
        assert!(began.elapsed() < time + LATE, "it ended {:?} after it began", began.elapsed());
        answer.map(tonic::Response::into_inner)
    }

    pub async fn unstage(&self, disk: &Disk) -> Result<(), Status> {
        self.calls(PATIENCE).unstage(&place(disk, "")).await
    }
}

/// Where a volume is mounted once on a node.
pub fn staging(disk: &Disk) -> String {
    format!("/var/lib/kubelet/plugins/kubernetes.io/csi/cinder.csi.openstack.org/{}/globalmount", disk.volume)
}

/// Where a Pod sees it.
pub fn target(disk: &Disk) -> String {
    format!("/var/lib/kubelet/pods/pod/volumes/kubernetes.io~csi/{}/mount", disk.volume)
}

/// As ControllerPublishVolume answers.
fn context(disk: &Disk) -> HashMap<String, String> {
    let entries = [
        ("DevicePath", "/dev/vdb".to_owned()),
        ("size", disk.size.to_string()),
        ("encrypted", "false".into()),
    ];
    entries.map(|(key, value)| (key.to_owned(), value)).into()
}

fn place(disk: &Disk, fs: &str) -> Place {
    Place {
        volume: disk.volume.clone(),
        capability: capability(fs),
        publish_context: context(disk),
        volume_context: HashMap::new(),
        staging: staging(disk),
        target: target(disk),
    }
}
