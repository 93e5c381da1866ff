//! The life of volumes as pods see it, on a real Kubernetes over a real OpenStack: `tests/run kubernetes` starts them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by them")]

#[path = "bed/cluster.rs"]
mod cluster;

use std::time::Duration;

use cluster::{CLASS, Cluster, DRIVER, Namespace, SYSTEM, on_node, sized, until};
use serde_json::{Value, json};

const SNAPSHOT: &str = "snapshot.storage.k8s.io/v1";
const STORAGE: &str = "storage.k8s.io/v1";

/// A class of one test: they belong to the cluster, not to a namespace.
fn class(cluster: &Cluster, name: &str, parameters: Value) {
    cluster.apply(&json!({
        "apiVersion": STORAGE, "kind": "StorageClass", "metadata": { "name": name }, "provisioner": DRIVER,
        "allowVolumeExpansion": true, "parameters": parameters,
    }));
}

fn snapshot(namespace: &Namespace, name: &str, claim: &str) {
    let spec =
        json!({ "volumeSnapshotClassName": "snapshots", "source": { "persistentVolumeClaimName": claim } });
    namespace.apply("VolumeSnapshot", SNAPSHOT, name, json!({ "spec": spec }));
    namespace.wait_for(&format!("volumesnapshot/{name}"), ".status.readyToUse", "true");
}

fn snapshot_class(cluster: &Cluster) {
    cluster.apply(&json!({
        "apiVersion": SNAPSHOT, "kind": "VolumeSnapshotClass", "metadata": { "name": "snapshots" },
        "driver": DRIVER, "deletionPolicy": "Delete",
    }));
}

#[test]
fn a_file_goes_with_its_volume_to_another_node() {
    let cluster = Cluster::up();
    let namespace = cluster.namespace("moves");
    namespace.claim("data", CLASS, json!({}));
    namespace.pod("writer", "data", on_node("node-1"));
    namespace.ready("writer");
    namespace.shell("writer", "echo kept > /data/file; sync");
    namespace.delete_pod("writer");
    namespace.pod("reader", "data", on_node("node-2"));
    namespace.ready("reader");
    assert_eq!(namespace.shell("reader", "cat /data/file"), "kept");
    namespace.end();
}

#[test]
fn a_mounted_xfs_grows_under_its_pod() {
    let cluster = Cluster::up();
    class(&cluster, "xfs", json!({ "csi.storage.k8s.io/fstype": "xfs" }));
    let namespace = cluster.namespace("grows-online");
    namespace.claim("data", "xfs", json!({}));
    namespace.pod("user", "data", json!({}));
    namespace.ready("user");
    namespace.shell("user", "echo kept > /data/file; sync");
    namespace.resize("data", "3Gi");
    namespace.wait_for("pvc/data", ".status.capacity.storage", "3Gi");
    assert!(namespace.mebibytes("user") > 2800);
    assert_eq!(namespace.shell("user", "cat /data/file"), "kept");
    namespace.end();
}

#[test]
fn an_ext4_that_nobody_uses_grows_when_it_is_next_mounted() {
    let cluster = Cluster::up();
    let namespace = cluster.namespace("grows-offline");
    namespace.claim("data", CLASS, json!({}));
    namespace.pod("before", "data", json!({}));
    namespace.ready("before");
    namespace.shell("before", "echo kept > /data/file; sync");
    namespace.delete_pod("before");
    namespace.detached("data");
    namespace.resize_unmounted("data", "2Gi");
    namespace.pod("after", "data", json!({}));
    namespace.ready("after");
    namespace.wait_for("pvc/data", ".status.capacity.storage", "2Gi");
    assert!(namespace.mebibytes("after") > 1800);
    assert_eq!(namespace.shell("after", "cat /data/file"), "kept");
    namespace.end();
}

#[test]
fn a_snapshot_of_a_volume_in_use_has_what_was_synced() {
    let cluster = Cluster::up();
    snapshot_class(&cluster);
    let namespace = cluster.namespace("snapshots");
    namespace.claim("data", CLASS, json!({}));
    namespace.pod("writer", "data", json!({}));
    namespace.ready("writer");
    namespace.shell("writer", "echo then > /data/file; sync");
    snapshot(&namespace, "then", "data");
    namespace.shell("writer", "echo now > /data/file; sync");
    let source = json!({ "dataSource": { "apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "then" } });
    namespace.claim("restored", CLASS, source);
    namespace.pod("reader", "restored", json!({}));
    namespace.ready("reader");
    assert_eq!(namespace.shell("reader", "cat /data/file"), "then");
    let handle = cluster.items(&["volumesnapshotcontent"]).iter().find_map(|content| {
        (content["spec"]["volumeSnapshotRef"]["namespace"] == "snapshots")
            .then(|| content["status"]["snapshotHandle"].clone())
    });
    namespace.kubectl(&["delete", "volumesnapshot", "then", "--timeout=60s"]);
    let handle = handle.unwrap().as_str().unwrap().to_owned();
    until("the snapshot is gone from Cinder", Duration::from_secs(60), || {
        let left: Vec<String> =
            cluster.inventory().into_iter().filter(|line| line.contains(&handle)).collect();
        if left.is_empty() { Ok(()) } else { Err(left.join("\n")) }
    });
    namespace.end();
}

#[test]
fn a_clone_is_a_larger_volume_of_its_own() {
    let cluster = Cluster::up();
    let namespace = cluster.namespace("clones");
    namespace.claim("data", CLASS, json!({}));
    namespace.pod("writer", "data", json!({}));
    namespace.ready("writer");
    namespace.shell("writer", "echo kept > /data/file; sync");
    let mut wanted = sized("2Gi");
    cluster::merge(&mut wanted, json!({ "dataSource": { "kind": "PersistentVolumeClaim", "name": "data" } }));
    namespace.claim("copy", CLASS, wanted);
    namespace.pod("reader", "copy", json!({}));
    namespace.ready("reader");
    assert_eq!(namespace.shell("reader", "cat /data/file"), "kept");
    assert!(namespace.mebibytes("reader") > 1800);
    namespace.end();
}

#[test]
fn a_raw_disk_is_the_same_on_the_other_node() {
    let cluster = Cluster::up();
    let namespace = cluster.namespace("raw");
    namespace.claim("data", CLASS, json!({ "volumeMode": "Block" }));
    namespace.pod("writer", "data", on_node("node-1"));
    namespace.ready("writer");
    namespace.shell("writer", "echo raw | dd of=/dev/data bs=512 seek=100 conv=sync,fsync 2>/dev/null");
    namespace.delete_pod("writer");
    namespace.pod("reader", "data", on_node("node-2"));
    namespace.ready("reader");
    assert_eq!(
        namespace.shell("reader", "dd if=/dev/data bs=512 skip=100 count=1 2>/dev/null | head -n 1"),
        "raw"
    );
    assert_eq!(namespace.shell("reader", "blockdev --getsize64 /dev/data"), (1u64 << 30).to_string());
    namespace.end();
}

#[test]
fn attributes_change_the_type_of_a_volume_in_use() {
    let cluster = Cluster::up();
    cluster.apply(&json!({
        "apiVersion": STORAGE, "kind": "VolumeAttributesClass", "metadata": { "name": "fast" },
        "driverName": DRIVER, "parameters": { "type": "lab-fast" },
    }));
    let namespace = cluster.namespace("changes");
    namespace.claim("data", CLASS, json!({}));
    namespace.pod("user", "data", json!({}));
    namespace.ready("user");
    namespace.shell("user", "echo kept > /data/file; sync");
    namespace.kubectl(&["patch", "pvc", "data", "-p", r#"{"spec":{"volumeAttributesClassName":"fast"}}"#]);
    namespace.wait_for("pvc/data", ".status.currentVolumeAttributesClassName", "fast");
    let (_, volume) = namespace.volume("data");
    assert_eq!(cluster.openstack(&["volume", "show", &volume, "-f", "value", "-c", "type"]), "lab-fast");
    assert_eq!(namespace.shell("user", "cat /data/file"), "kept");
    namespace.end();
}

/// What the chart's notes tell to do next.
#[test]
fn helm_test_passes() {
    let cluster = Cluster::up();
    let told = cluster.helm(&["test", "cinder-csi", "-n", SYSTEM, "--timeout=2m"]);
    assert!(told.contains("Phase:          Succeeded"), "{told}");
}

/// fsGroup: the volume is the group's, at once and whatever wrote to it.
#[test]
fn a_pod_that_is_not_root_writes_by_its_group() {
    let cluster = Cluster::up();
    let namespace = cluster.namespace("groups");
    namespace.claim("data", CLASS, json!({}));
    namespace.pod("user", "data", json!({ "securityContext": { "runAsUser": 1000, "fsGroup": 2000 } }));
    namespace.ready("user");
    assert_eq!(namespace.shell("user", "echo x > /data/file; stat -c %g /data/file"), "2000");
    namespace.end();
}
