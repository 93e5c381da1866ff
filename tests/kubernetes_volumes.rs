//! The life of volumes as pods see it, on a real Kubernetes over a real OpenStack: `tests/run kubernetes` starts them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by them")]

#[path = "bed/cluster.rs"]
mod cluster;

use std::time::Duration;

use cluster::{Cluster, DRIVER, SYSTEM, Space};
use serde_json::{Value, json};

const EXT4: &str = "csi-cinder-sc-delete";
const SNAPSHOT: &str = "snapshot.storage.k8s.io/v1";
const STORAGE: &str = "storage.k8s.io/v1";

fn on(node: &str) -> Value {
    json!({ "nodeSelector": { "kubernetes.io/hostname": node } })
}

fn sized(size: &str) -> Value {
    json!({ "resources": { "requests": { "storage": size } } })
}

/// A class of one test: they belong to the cluster, not to a namespace.
fn class(cluster: &Cluster, name: &str, parameters: Value) {
    cluster.apply(&json!({
        "apiVersion": STORAGE, "kind": "StorageClass", "metadata": { "name": name }, "provisioner": DRIVER,
        "allowVolumeExpansion": true, "parameters": parameters,
    }));
}

fn grow(space: &Space, claim: &str, size: &str) {
    let wanted = json!({ "spec": sized(size) }).to_string();
    space.kubectl(&["patch", "pvc", claim, "-p", &wanted]);
    space.is(&format!("pvc/{claim}"), ".status.capacity.storage", size);
}

fn snapshot(space: &Space, name: &str, claim: &str) {
    let spec =
        json!({ "volumeSnapshotClassName": "snapshots", "source": { "persistentVolumeClaimName": claim } });
    space.apply("VolumeSnapshot", SNAPSHOT, name, json!({ "spec": spec }));
    space.is(&format!("volumesnapshot/{name}"), ".status.readyToUse", "true");
}

fn snapshot_class(cluster: &Cluster) {
    cluster.apply(&json!({
        "apiVersion": SNAPSHOT, "kind": "VolumeSnapshotClass", "metadata": { "name": "snapshots" },
        "driver": DRIVER, "deletionPolicy": "Delete",
    }));
}

fn ended(space: &Space, pod: &str) {
    space.kubectl(&["delete", "pod", pod, "--wait=false"]);
    space.gone(&format!("pod/{pod}"));
}

#[test]
fn a_file_goes_with_its_volume_to_another_node() {
    let cluster = Cluster::up();
    let space = cluster.space("moves");
    space.claim("data", EXT4, json!({}));
    space.pod("writer", "data", on("node-1"));
    space.ready("writer");
    space.shell("writer", "echo kept > /data/file; sync");
    ended(&space, "writer");
    space.pod("reader", "data", on("node-2"));
    space.ready("reader");
    assert_eq!(space.shell("reader", "cat /data/file"), "kept");
    space.end();
}

#[test]
fn a_mounted_xfs_grows_under_its_pod() {
    let cluster = Cluster::up();
    class(&cluster, "xfs", json!({ "csi.storage.k8s.io/fstype": "xfs" }));
    let space = cluster.space("grows-online");
    space.claim("data", "xfs", json!({}));
    space.pod("user", "data", json!({}));
    space.ready("user");
    space.shell("user", "echo kept > /data/file; sync");
    grow(&space, "data", "3Gi");
    assert!(space.shell("user", "df -m /data | tail -1 | awk '{ print $2 }'").parse::<u32>().unwrap() > 2800);
    assert_eq!(space.shell("user", "cat /data/file"), "kept");
    space.end();
}

#[test]
fn an_ext4_that_nobody_uses_grows_when_it_is_next_mounted() {
    let cluster = Cluster::up();
    let space = cluster.space("grows-offline");
    space.claim("data", EXT4, json!({}));
    space.pod("before", "data", json!({}));
    space.ready("before");
    space.shell("before", "echo kept > /data/file; sync");
    ended(&space, "before");
    space.detached("data");
    let wanted = json!({ "spec": sized("2Gi") }).to_string();
    space.kubectl(&["patch", "pvc", "data", "-p", &wanted]);
    space.kubectl(&["wait", "--for=condition=FileSystemResizePending", "--timeout=120s", "pvc/data"]);
    space.pod("after", "data", json!({}));
    space.ready("after");
    space.is("pvc/data", ".status.capacity.storage", "2Gi");
    assert!(
        space.shell("after", "df -m /data | tail -1 | awk '{ print $2 }'").parse::<u32>().unwrap() > 1800
    );
    assert_eq!(space.shell("after", "cat /data/file"), "kept");
    space.end();
}

#[test]
fn a_snapshot_of_a_volume_in_use_has_what_was_synced() {
    let cluster = Cluster::up();
    snapshot_class(&cluster);
    let space = cluster.space("snapshots");
    space.claim("data", EXT4, json!({}));
    space.pod("writer", "data", json!({}));
    space.ready("writer");
    space.shell("writer", "echo then > /data/file; sync");
    snapshot(&space, "then", "data");
    space.shell("writer", "echo now > /data/file; sync");
    let source = json!({ "dataSource": { "apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "then" } });
    space.claim("restored", EXT4, source);
    space.pod("reader", "restored", json!({}));
    space.ready("reader");
    assert_eq!(space.shell("reader", "cat /data/file"), "then");
    let handle =
        cluster.get(&["volumesnapshotcontent"])["items"].as_array().unwrap().iter().find_map(|content| {
            (content["spec"]["volumeSnapshotRef"]["namespace"] == "snapshots")
                .then(|| content["status"]["snapshotHandle"].clone())
        });
    space.kubectl(&["delete", "volumesnapshot", "then", "--timeout=60s"]);
    let handle = handle.unwrap().as_str().unwrap().to_owned();
    cluster.until("the snapshot is gone from Cinder", Duration::from_secs(60), || {
        let left: Vec<String> =
            cluster.inventory().into_iter().filter(|line| line.contains(&handle)).collect();
        if left.is_empty() { Ok(()) } else { Err(left.join("\n")) }
    });
    space.end();
}

#[test]
fn a_clone_is_a_larger_volume_of_its_own() {
    let cluster = Cluster::up();
    let space = cluster.space("clones");
    space.claim("data", EXT4, json!({}));
    space.pod("writer", "data", json!({}));
    space.ready("writer");
    space.shell("writer", "echo kept > /data/file; sync");
    let mut wanted = sized("2Gi");
    cluster::merge(&mut wanted, json!({ "dataSource": { "kind": "PersistentVolumeClaim", "name": "data" } }));
    space.claim("copy", EXT4, wanted);
    space.pod("reader", "copy", json!({}));
    space.ready("reader");
    assert_eq!(space.shell("reader", "cat /data/file"), "kept");
    assert!(
        space.shell("reader", "df -m /data | tail -1 | awk '{ print $2 }'").parse::<u32>().unwrap() > 1800
    );
    space.end();
}

#[test]
fn a_raw_disk_is_the_same_on_the_other_node() {
    let cluster = Cluster::up();
    let space = cluster.space("raw");
    space.claim("data", EXT4, json!({ "volumeMode": "Block" }));
    space.pod("writer", "data", on("node-1"));
    space.ready("writer");
    space.shell("writer", "echo raw | dd of=/dev/data bs=512 seek=100 conv=sync,fsync 2>/dev/null");
    ended(&space, "writer");
    space.pod("reader", "data", on("node-2"));
    space.ready("reader");
    assert_eq!(
        space.shell("reader", "dd if=/dev/data bs=512 skip=100 count=1 2>/dev/null | head -n 1"),
        "raw"
    );
    assert_eq!(space.shell("reader", "blockdev --getsize64 /dev/data"), (1u64 << 30).to_string());
    space.end();
}

#[test]
fn attributes_change_the_type_of_a_volume_in_use() {
    let cluster = Cluster::up();
    cluster.apply(&json!({
        "apiVersion": STORAGE, "kind": "VolumeAttributesClass", "metadata": { "name": "fast" },
        "driverName": DRIVER, "parameters": { "type": "lab-fast" },
    }));
    let space = cluster.space("changes");
    space.claim("data", EXT4, json!({}));
    space.pod("user", "data", json!({}));
    space.ready("user");
    space.kubectl(&["patch", "pvc", "data", "-p", r#"{"spec":{"volumeAttributesClassName":"fast"}}"#]);
    space.is("pvc/data", ".status.currentVolumeAttributesClassName", "fast");
    space.shell("user", "echo kept > /data/file; sync; cat /data/file");
    space.end();
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
    let space = cluster.space("groups");
    space.claim("data", EXT4, json!({}));
    space.pod("user", "data", json!({ "securityContext": { "runAsUser": 1000, "fsGroup": 2000 } }));
    space.ready("user");
    assert_eq!(space.shell("user", "echo x > /data/file; stat -c %g /data/file"), "2000");
    space.end();
}
