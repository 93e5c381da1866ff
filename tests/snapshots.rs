//! Snapshots become as asked, whatever the cloud does meanwhile. Time is tokio's, and paused.

#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by them")]

#[path = "bed/bed.rs"]
mod bed;
#[path = "snapshots/listing.rs"]
mod listing;
#[path = "snapshots/making.rs"]
mod making;

use std::time::Duration;

use bed::{Bed, snapshot, wanted};
use cinder_csi::sandbox::{Latency, Settings};
use cinder_csi::volume::{SnapshotId, VolumeId};

pub const MINUTE: Duration = Duration::from_secs(60);

pub fn taking(millis: u64) -> Settings {
    Settings { latency: Latency::fixed(Duration::from_millis(millis)), ..Settings::default() }
}

/// A cloud with one volume.
pub async fn with_volume(settings: Settings) -> (Bed, VolumeId) {
    let bed = Bed::warm(settings).await;
    let volume = bed.volumes.ensure_created(&wanted("pvc-1")).await.unwrap().id;
    bed.calls();
    (bed, volume)
}

/// Makes a snapshot of that name.
pub async fn made(bed: &Bed, name: &str, volume: VolumeId) -> SnapshotId {
    bed.volumes.ensure_snapshot(&snapshot(name, volume)).await.unwrap().id()
}
