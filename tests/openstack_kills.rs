//! The driver's process is killed, at each point of each operation and at any moment, on a real Keystone, Cinder and Nova;
//! it comes back, what was asked for is asked for again, and in the end there is that and nothing else.
//!
//! `tests/run openstack` starts the cloud; `tests/run kills [N [SEED]]` kills it at each point, then N times more.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by them")]
#![allow(dead_code, reason = "it uses its part of the bed")]

#[path = "openstack_driver/bed.rs"]
mod bed;
#[path = "openstack_kills/campaign.rs"]
mod campaign;
#[path = "sandbox_cloud/client.rs"]
mod client;
#[path = "bed/figures.rs"]
mod figures;
#[path = "openstack_kills/life.rs"]
mod life;
#[path = "openstack_kills/mortal.rs"]
mod mortal;
#[path = "bed/others.rs"]
mod others;
#[path = "openstack_kills/scene.rs"]
mod scene;
#[path = "bed/sidecar.rs"]
mod sidecar;
#[path = "bed/witness.rs"]
mod witness;

use std::path::Path;

use bed::{Lab, calls};
use campaign::Manner;
use scene::Scene;

/// Where the driver changes something in the cloud or on its node, and each program that it runs there.
const STEPS: [&str; 28] = [
    "attach the volume",
    "back up the volume",
    "bind",
    "blkid",
    "btrfs",
    "create a volume",
    "delete the backup",
    "delete the snapshot",
    "delete the volume",
    "detach the volume",
    "e2fsck",
    "extend the volume",
    "flock",
    "give a token",
    "make a directory",
    "make a file",
    "mkfs.ext4",
    "mkfs.xfs",
    "mount",
    "remove",
    "resize2fs",
    "snapshot the volume",
    "unmount",
    "write the backup's metadata",
    "write the snapshot's metadata",
    "write the volume's metadata",
    "write to the disk",
    "xfs_growfs",
];

/// Changes of the cloud that no life here asks for: groups, other volume types, and what a deleted server left.
const ELSEWHERE: [&str; 7] = [
    "change the group",
    "create a group",
    "create a group snapshot",
    "delete the attachment",
    "delete the group",
    "delete the group snapshot",
    "retype the volume",
];

/// How many die at moments and points of the seed's choice, once somebody has died at each point.
const USUAL: usize = 20;

#[tokio::test]
async fn whenever_the_driver_is_killed_the_cloud_and_the_node_end_as_asked() {
    let lab = Lab::take().await;
    let (kills, seed) = (number("KILLS", USUAL), number("SEED", 1));
    println!("KILLS={kills} SEED={seed}");
    let mut scene = Scene::new(&lab, seed as u64).await;
    for manner in [Manner::Learn, Manner::Each] {
        scene.live_in(manner).await;
    }
    assert!(scene.campaign.spared().is_empty(), "nobody died there: {:?}", scene.campaign.spared());
    assert_eq!(scene.campaign.steps(), STEPS);
    let wanted = scene.campaign.kills() + kills;
    scene.campaign.manner = Manner::Random(wanted);
    while scene.campaign.kills() < wanted {
        scene.live_next().await;
    }
    report(&scene);
}

#[test]
fn every_change_of_the_cloud_is_a_step_here_or_is_named() {
    let mut changes = Vec::new();
    for client in ["src/openstack/cinder", "src/openstack"] {
        for file in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(client)).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap_or_default();
            let code = text.split("#[cfg(test)]").next().unwrap();
            changes.extend(code.lines().filter_map(change_in).map(str::to_owned));
        }
    }
    for known in ["create a volume", "attach the volume", "delete the attachment"] {
        assert!(changes.iter().any(|change| change == known), "{changes:?}");
    }
    changes.retain(|change| !STEPS.contains(&change.as_str()) && !ELSEWHERE.contains(&change.as_str()));
    assert!(changes.is_empty(), "nobody is killed there: {changes:?}");
}

/// `post("create a group", …` or `Request::new(Service::Cinder, "delete the volume", Method::DELETE, …`
fn change_in(line: &str) -> Option<&str> {
    let methods = ["Method::POST", "Method::PUT", "Method::DELETE"];
    let is_request = line.contains("Request::new(") && methods.iter().any(|method| line.contains(method));
    (is_request || line.contains("post(\"")).then(|| line.split('"').nth(1))?
}

fn number(variable: &str, otherwise: usize) -> usize {
    #[allow(clippy::disallowed_methods, reason = "tests/run kills says it so")]
    let set = std::env::var(variable).ok();
    set.map_or(otherwise, |text| {
        text.parse().unwrap_or_else(|_| panic!("{variable}={text}: that is no number"))
    })
}

fn report(scene: &Scene<'_>) {
    println!("\n{}", scene.campaign);
    for (name, figure) in [
        ("kills", scene.campaign.kills()),
        ("of these at their points", scene.campaign.at_points()),
        ("points not come to", scene.campaign.misses()),
        ("processes", scene.driver.starts()),
        ("RPCs called again", scene.campaign.calls_again()),
        ("lives", scene.lives),
        ("volumes made", scene.volumes),
        ("bytes compared", scene.bytes),
    ] {
        println!("{name:26}{figure:9}");
        figures::count(&format!("kills: {name}"), figure);
    }
}
