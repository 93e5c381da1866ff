//! The driver's process is killed, at each point of each operation and at any moment, on a real Keystone, Cinder and Nova;
//! it comes back, what was asked for is asked for again, and in the end there is that and nothing else.
//!
//! `tests/run openstack` starts the cloud; `tests/run kills [N [SEED]]` goes on until N processes were killed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by them")]
#![allow(dead_code, reason = "it uses its part of the bed")]

#[path = "openstack_driver/bed.rs"]
mod bed;
#[path = "bed/calls.rs"]
mod calls;
#[path = "openstack_kills/campaign.rs"]
mod campaign;
#[path = "sandbox_cloud/client.rs"]
mod client;
#[path = "openstack_kills/laws.rs"]
mod laws;
#[path = "openstack_kills/life.rs"]
mod life;
#[path = "openstack_kills/mortal.rs"]
mod mortal;
#[path = "bed/on_node.rs"]
mod on_node;
#[path = "bed/others.rs"]
mod others;
#[path = "openstack_kills/scene.rs"]
mod scene;
#[path = "bed/sidecar.rs"]
mod sidecar;

use bed::Lab;
use campaign::Manner;
use scene::Scene;

/// Where the driver changes something in the cloud or on its node.
const STEPS: [&str; 0] = [];

#[tokio::test]
async fn at_each_point_of_each_operation() {
    let lab = Lab::take().await;
    let mut scene = Scene::new(&lab, 1).await;
    let mut number = 0;
    for manner in [Manner::Learn, Manner::Each] {
        scene.campaign.manner = manner;
        for fs in ["ext4", "xfs"] {
            number += 1;
            scene.live(number, fs).await;
        }
        scene.live_raw(number).await;
    }
    report(&scene);
    assert!(scene.campaign.spared().is_empty(), "nobody died there: {:?}", scene.campaign.spared());
    assert_eq!(scene.campaign.steps(), STEPS);
}

fn report(scene: &Scene<'_>) {
    println!("\n{}", scene.campaign);
    for (name, figure) in [
        ("kills", scene.campaign.kills()),
        ("RPCs called again", scene.campaign.calls_again()),
        ("volumes made", scene.volumes),
        ("left behind", 0),
        ("bytes compared", scene.bytes),
    ] {
        println!("{name:24}{figure:9}");
    }
}
