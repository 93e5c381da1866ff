//! The simulated cloud behaves as the real one: what it claims is asked of a real OpenStack by the same tests.
#![cfg(feature = "sandbox")]

mod sandbox_cloud {
    pub mod client;
    pub mod table;
}

use std::time::Duration;

use cinder_csi::sandbox::{Fault, Latency, Mishap, Operation, Settings, SimulatedCloud, Trouble};
use http::Method;
use sandbox_cloud::client::Client;
use sandbox_cloud::table;
use serde_json::json;
use tokio::time::{Instant, sleep as wait};

const SECOND: Duration = Duration::from_secs(1);

fn cloud_of(settings: Settings) -> SimulatedCloud {
    SimulatedCloud::new(settings)
}

/// Every operation takes four seconds, so that the states between can be looked at.
fn slow_cloud() -> SimulatedCloud {
    cloud_of(Settings { latency: Latency::fixed(4 * SECOND), ..Settings::default() })
}

async fn attached(cloud: &SimulatedCloud, client: &Client) -> (String, String) {
    let (server, volume) = (cloud.server_id("node-1"), client.volume("one").await);
    assert_eq!(client.attach(&server, &volume, "2.60").await.code, 200);
    wait(5 * SECOND).await;
    assert_eq!(client.status(&volume).await, "in-use");
    (server, volume)
}
