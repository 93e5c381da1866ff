//! Real disks. Needs root.

#![allow(clippy::disallowed_methods, reason = "the test plays a driver that protects a disk")]

use cinder_csi::pace::sleep as wait;
use cinder_csi::sandbox::{Latency, LoopDevices, Mishap, Settings};
use serde_json::json;

use super::bed::{SECOND, cloud_of};
use super::client::Client;

/// Needs root.
#[tokio::test]
async fn loop_disks_come_grow_and_go_with_their_volumes() {
    assert!(LoopDevices::are_possible(), "this test needs root and /dev/loop-control");
    let root = tempfile::tempdir().unwrap();
    let cloud = cloud_of(Settings { latency: Latency::fixed(SECOND / 10), ..Settings::default() });
    cloud.plug_into(Box::new(LoopDevices::new(root.path()).unwrap()));
    let client = Client::of(&cloud).await;
    let wanted = json!({ "size": 1, "name": "one", "volume_type": "lab-multiattach" });
    let volume = client.volume_of(wanted).await;
    let path = format!("/volumes/{volume}");
    client.until(&path, "available").await;
    let mut disks = Vec::new();
    for name in ["node-1", "node-2"] {
        let server = cloud.server_id(name);
        assert_eq!(client.attach(&server, &volume, "2.60").await.code, 200);
        client.until(&path, "in-use").await;
        let link = LoopDevices::device_dir(root.path(), &server).join(format!("virtio-{}", &volume[..20]));
        assert_eq!(size_of(&link), 1 << 30);
        disks.push((server, link));
    }
    assert_ne!(disks[0].1.canonicalize().unwrap(), disks[1].1.canonicalize().unwrap());
    cloud.mishap(Mishap::GrowsLate(Some(SECOND / 2)));
    client.extend(&volume, 2, "3.42").await;
    client.until(&path, "in-use").await;
    assert_eq!(size_of(&disks[0].1), 1 << 30, "Cinder is done before the disk has grown");
    wait(SECOND).await;
    for (server, link) in disks {
        assert_eq!(size_of(&link), 2 << 30);
        client.detach(&server, &volume).await;
        while client.row(&server, &volume, "").await.code != 404 {
            wait(SECOND / 20).await;
        }
        assert!(!link.is_symlink());
    }
    client.delete(&volume).await;
    client.until(&path, "gone").await;
    assert!(!root.path().join("volumes").join(&volume).exists());
}

/// Needs root. A driver that stages for reading only leaves its flag on the loop device.
#[tokio::test]
async fn loop_disks_are_writable_though_their_loop_devices_were_not() {
    assert!(LoopDevices::are_possible(), "this test needs root and /dev/loop-control");
    let root = tempfile::tempdir().unwrap();
    let cloud = cloud_of(Settings::default());
    cloud.plug_into(Box::new(LoopDevices::new(root.path()).unwrap()));
    let client = Client::of(&cloud).await;
    let server = cloud.server_id("node-1");
    let volume = client.volume("one").await;
    let link = LoopDevices::device_dir(root.path(), &server).join(format!("virtio-{}", &volume[..20]));
    for _ in 0..2 {
        client.attach(&server, &volume, "2.60").await;
        client.until(&format!("/volumes/{volume}"), "in-use").await;
        std::fs::write(&link, b"kept").unwrap();
        let protected = std::process::Command::new("blockdev").arg("--setro").arg(&link).status().unwrap();
        assert!(protected.success() && std::fs::write(&link, b"lost").is_err());
        client.detach(&server, &volume).await;
        client.until(&format!("/volumes/{volume}"), "available").await;
    }
}

/// The size of a block device in bytes.
fn size_of(device: &std::path::Path) -> u64 {
    use std::io::Seek;
    std::fs::File::open(device).unwrap().seek(std::io::SeekFrom::End(0)).unwrap()
}
