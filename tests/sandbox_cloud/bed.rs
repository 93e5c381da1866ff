//! Simulated clouds for the tests.

use std::time::Duration;

use cinder_csi::pace::sleep as wait;
use cinder_csi::sandbox::{Latency, Settings, SimulatedCloud};

use super::client::Client;

pub const SECOND: Duration = Duration::from_secs(1);

pub fn cloud_of(settings: Settings) -> SimulatedCloud {
    SimulatedCloud::new(settings)
}

/// Every operation takes four seconds, so that the states between can be looked at.
pub fn slow_cloud() -> SimulatedCloud {
    cloud_of(Settings { latency: Latency::fixed(4 * SECOND), ..Settings::default() })
}

pub async fn attached(cloud: &SimulatedCloud, client: &Client) -> (String, String) {
    let (server, volume) = (cloud.server_id("node-1"), client.volume("one").await);
    wait(5 * SECOND).await;
    assert_eq!(client.attach(&server, &volume, "2.60").await.code, 200);
    wait(5 * SECOND).await;
    assert_eq!(client.status(&volume).await, "in-use");
    (server, volume)
}
