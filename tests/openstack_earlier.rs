//! Volumes that were there before this driver, made as the existing driver and the in-tree plugin made them, on a real
//! Cinder and Nova: `tests/run openstack` starts them.

#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by them")]
#![allow(dead_code, reason = "it uses its part of the bed")]

#[path = "openstack_driver/bed.rs"]
mod bed;
#[path = "sandbox_cloud/client.rs"]
mod client;
#[path = "bed/on_node.rs"]
mod on_node;
#[path = "bed/others.rs"]
mod others;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bed::{Driver, Lab, capability, create_request, snapshot_request};
use client::Client;
use on_node::OnNode;
use others::{path, tenant};
use serde_json::{Value, json};
use tonic::Code;

const CONTENT: &str = "what was there before";

/// `CreateVolume` of pkg/csi/cinder/controllerserver.go and `createVolume` of pkg/csi/cinder/openstack.
fn existing_drivers(name: &str) -> Value {
    json!({
        "name": name, "size": 1, "description": "Created by OpenStack Cinder CSI driver", "availability_zone": "az1",
        "metadata": {
            "cinder.csi.openstack.org/cluster": "kubernetes",
            "csi.storage.k8s.io/pvc/name": "data", "csi.storage.k8s.io/pvc/namespace": "shop",
            "csi.storage.k8s.io/pv/name": name,
        },
    })
}

/// `CreateVolume` of pkg/volume/cinder in Kubernetes up to 1.25.
fn in_tree(name: &str) -> Value {
    json!({
        "name": name, "size": 1, "availability_zone": "az1",
        "metadata": {
            "kubernetes.io/created-for/pvc/name": "data", "kubernetes.io/created-for/pvc/namespace": "shop",
            "kubernetes.io/created-for/pv/name": name,
        },
    })
}

async fn made(tenant: &Client, volume: Value) -> String {
    let volume = tenant.volume_of(volume).await;
    tenant.until(&path(&volume), "available").await;
    volume
}

fn run(command: &str, arguments: &[&str], paths: &[&Path]) {
    #[allow(clippy::disallowed_methods, reason = "what another driver did to the disk")]
    let done = Command::new(command).args(arguments).args(paths).output().unwrap();
    assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&done.stderr));
}

fn device(lab: &Lab, server: &str, volume: &str) -> PathBuf {
    lab.path("state/dev").join(server).join(format!("virtio-{}", &volume[..20]))
}

/// Gives the disk a file system with a file in it, and takes it away from the server again.
async fn fill(lab: &Lab, tenant: &Client, server: &str, volume: &str, fs: &str) {
    assert_eq!(tenant.attach(server, volume, "2.60").await.code, 200);
    tenant.until(&path(volume), "in-use").await;
    let (disk, directory) = (device(lab, server, volume), tempfile::tempdir().unwrap());
    run(&format!("mkfs.{fs}"), &["-q"], &[&disk]);
    run("mount", &[], &[&disk, directory.path()]);
    fs::write(directory.path().join("before"), CONTENT).unwrap();
    run("umount", &[], &[directory.path()]);
    assert_eq!(tenant.detach(server, volume).await.code, 202);
    tenant.until(&path(volume), "available").await;
}

fn read(on_node: &OnNode<'_>) -> String {
    fs::read_to_string(on_node.staging().join("before")).unwrap()
}

async fn assert_whole_life(driver: &Driver, server: &str, volume: &str, fs: &str, context: &[(&str, &str)]) {
    let mut on_node = OnNode::attach(driver, server, volume, capability(fs)).await;
    let owned = context.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    on_node.place.volume_context = owned.collect::<HashMap<_, _>>();
    on_node.stage().await.unwrap();
    on_node.publish().await;
    assert_eq!(read(&on_node), CONTENT);
    assert_eq!(driver.published(volume).await, [server]);
    let snapshot = driver.snapshot(snapshot_request(&format!("of-{volume}"), volume, "snapshot"), 60).await;
    let snapshot = snapshot.unwrap();
    assert!(snapshot.ready_to_use);
    assert_eq!(driver.expand(volume, 2).await.unwrap().capacity_bytes, 2 << 30);
    // What is mounted of ext3 and ext4 can't be grown where the test has no CAP_SYS_RESOURCE.
    if fs == "xfs" {
        assert_eq!(on_node.expand(2).await, 2 << 30);
    }
    driver.delete_snapshot(&snapshot.snapshot_id).await;
    on_node.unpublish().await;
    on_node.unstage().await;
    driver.detach(volume, server).await;
    driver.delete(volume).await;
    assert!(!driver.volumes().await.contains(&volume.to_owned()));
}

#[tokio::test]
async fn volumes_of_the_existing_driver_and_of_the_in_tree_plugin_go_on_with_their_content() {
    let lab = Lab::take().await;
    let (driver, server, tenant) = (lab.driver("NODE_1").await, lab.server("NODE_1"), tenant(&lab).await);
    let resize = [("cinder.csi.openstack.org/resizeRequired", "true")];
    let provisioner =
        [("storage.kubernetes.io/csiProvisionerIdentity", "1690000000000-8081-cinder.csi.openstack.org")];
    for (volume, fs, context) in [
        (existing_drivers("pvc-0e1b6a4c-xfs"), "xfs", &provisioner[..]),
        (existing_drivers("pvc-0e1b6a4c-ext4"), "ext4", &resize),
        (in_tree("kubernetes-dynamic-pvc-0e1b6a4c-ext3"), "ext3", &[]),
        (in_tree("kubernetes-dynamic-pvc-0e1b6a4c-xfs"), "xfs", &[]),
        // By hand, for a PV that somebody wrote.
        (json!({ "name": "earlier-static", "size": 1 }), "ext4", &[]),
    ] {
        let volume = made(&tenant, volume).await;
        fill(&lab, &tenant, &server, &volume, fs).await;
        assert_whole_life(&driver, &server, &volume, fs, context).await;
    }
}

/// Its publish context has no size, and this disk no serial.
#[tokio::test]
async fn a_volume_that_the_existing_driver_attached_is_staged_once_it_is_published_again() {
    let lab = Lab::take().await;
    let (driver, server, tenant) = (lab.driver("NODE_1").await, lab.server("NODE_1"), tenant(&lab).await);
    let volume = made(&tenant, existing_drivers("pvc-0e1b6a4c-attached")).await;
    fill(&lab, &tenant, &server, &volume, "ext4").await;
    assert_eq!(tenant.attach(&server, &volume, "2.60").await.code, 200);
    tenant.until(&path(&volume), "in-use").await;
    let context = HashMap::from([("DevicePath".to_owned(), "/dev/vdb".to_owned())]);
    let theirs = OnNode::new(&driver, &volume, capability("ext4"), context);
    let status = theirs.stage().await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
    let ours = OnNode::attach(&driver, &server, &volume, capability("ext4")).await;
    ours.stage().await.unwrap();
    assert_eq!(read(&ours), CONTENT);
    ours.unstage().await;
    driver.detach(&volume, &server).await;
    driver.delete(&volume).await;
}

/// The drivers were swapped while a claim was being served.
#[tokio::test]
async fn a_volume_that_the_existing_driver_made_for_a_claim_is_the_claims() {
    let lab = Lab::take().await;
    let (foreign, tenant) = (lab.driver("NODE_1").await, tenant(&lab).await);
    let driver = lab.driver_with(&lab.path("cloud.conf"), "NODE_1", &["--cluster=kubernetes"]).await;
    let volume = made(&tenant, existing_drivers("pvc-0e1b6a4c-claim")).await;
    let request = || create_request("pvc-0e1b6a4c-claim");
    assert_eq!(driver.create(request()).await.unwrap(), volume);
    assert_eq!(driver.create(request()).await.unwrap(), volume);
    let status = foreign.create(request()).await.unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists, "{status}");
    driver.delete(&volume).await;
}

#[tokio::test]
async fn a_snapshot_and_a_backup_of_the_existing_driver_are_listed_restored_and_deleted() {
    let lab = Lab::take().await;
    let (driver, server, tenant) = (lab.driver("NODE_1").await, lab.server("NODE_1"), tenant(&lab).await);
    let volume = made(&tenant, existing_drivers("pvc-0e1b6a4c-cut")).await;
    fill(&lab, &tenant, &server, &volume, "ext4").await;
    let metadata = json!({ "cinder.csi.openstack.org/cluster": "kubernetes" });
    let snapshot =
        json!({ "snapshot": { "name": "snapshot-0e1b6a4c", "volume_id": volume, "metadata": metadata } });
    let backup =
        json!({ "backup": { "name": "snapshot-0e1b6a4c", "volume_id": volume, "metadata": metadata } });
    for (kind, body) in [("snapshot", snapshot), ("backup", backup)] {
        let reply = tenant.cinder(http::Method::POST, &format!("/{kind}s"), "3.66", Some(body)).await;
        assert_eq!(reply.code, 202, "{}", reply.body);
        let id = reply.body[kind]["id"].as_str().unwrap().to_owned();
        tenant.until(&format!("/{kind}s/{id}"), "available").await;
        assert_restored(&driver, &server, kind, &id).await;
        driver.delete_snapshot(&id).await;
        assert_eq!(tenant.cinder(http::Method::GET, &format!("/{kind}s/{id}"), "", None).await.code, 404);
    }
    driver.delete(&volume).await;
}

async fn assert_restored(driver: &Driver, server: &str, kind: &str, id: &str) {
    use cinder_csi::csi::proto::volume_content_source::{SnapshotSource, Type};
    use cinder_csi::csi::proto::*;
    let listed =
        driver.snapshots(ListSnapshotsRequest { snapshot_id: id.to_owned(), ..Default::default() }).await.0;
    assert_eq!(listed.len(), 1, "{kind}");
    assert!(listed[0].ready_to_use, "{kind}");
    let source = SnapshotSource { snapshot_id: id.to_owned() };
    let request = CreateVolumeRequest {
        volume_content_source: Some(VolumeContentSource { r#type: Some(Type::Snapshot(source)) }),
        ..create_request(&format!("earlier-of-{kind}"))
    };
    let copy = driver.create(request).await.unwrap();
    let on_node = OnNode::attach(driver, server, &copy, capability("ext4")).await;
    on_node.stage().await.unwrap();
    assert_eq!(read(&on_node), CONTENT, "{kind}");
    on_node.unstage().await;
    driver.detach(&copy, server).await;
    driver.delete(&copy).await;
}
