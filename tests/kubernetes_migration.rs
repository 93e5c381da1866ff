//! From the existing driver's chart to ours and back, on a real Kubernetes over a real OpenStack: `tests/run kubernetes`
//! starts them. The existing chart is the one of tests/chart/old, which makes the same objects. Both run our image: no registry
//! is here to bring theirs. So their volume, their PersistentVolume and its claim are written by hand.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by them")]

#[path = "bed/cluster.rs"]
mod cluster;

use cluster::{CLASS, Cluster, DRIVER, Namespace, SYSTEM, on_node, root};
use serde_json::{Value, json};

const RELEASE: &str = "cinder-csi";

/// `helm VERB`, with what both charts need to know of the lab.
fn helm(cluster: &Cluster, verb: &[&str], chart: &str, more: &[&str]) {
    let chart = root().join(chart);
    let values = root().join("tests/kubernetes/values.yaml");
    let cloud_conf = format!(r"secret.data.cloud\.conf={}", cluster.lab.join("cloud.conf").display());
    let (chart, values) = (chart.to_str().unwrap(), values.to_str().unwrap());
    let all = [
        verb,
        &[RELEASE, chart, "-n", SYSTEM, "-f", values, "--set-file", &cloud_conf, "--wait", "--timeout=3m"],
        more,
    ];
    cluster.helm(&all.concat());
}

/// What can't be changed in place: what it names, and what selects what.
fn immutable(cluster: &Cluster) -> Value {
    let selectors = |kind: &str| -> Vec<Value> {
        let found = cluster.items(&[kind, "-n", SYSTEM]);
        found
            .iter()
            .map(|item| json!([item["metadata"]["name"], item["metadata"]["uid"], item["spec"]["selector"]]))
            .collect()
    };
    let driver = cluster.get(&["csidriver", DRIVER]);
    json!([
        selectors("deployment"),
        selectors("daemonset"),
        driver["metadata"]["uid"],
        driver["spec"]["volumeLifecycleModes"]
    ])
}

fn write(namespace: &Namespace, pod: &str, text: &str) {
    namespace.shell(pod, &format!("echo {text} >> /data/file; sync"));
}

fn moved(namespace: &Namespace, claim: &str, from: &str, to: &str, node: &str) {
    namespace.delete_pod(from);
    namespace.pod(to, claim, on_node(node));
    namespace.ready(to);
}

/// A PersistentVolume and its claim as the existing driver and its provisioner leave them: a volume made in Cinder by
/// someone else, with the metadata, the annotations and the attributes that they have.
fn of_the_existing_driver(namespace: &Namespace, name: &str) -> String {
    let cluster = namespace.cluster;
    let volume = cluster.openstack(&[
        "volume",
        "create",
        "--size",
        "1",
        "--type",
        "lab",
        "--availability-zone",
        "az1",
        "-f",
        "value",
        "-c",
        "id",
        "--property",
        "cinder.csi.openstack.org/cluster=kubernetes",
        name,
    ]);
    cluster.apply(&json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {
            "name": name, "annotations": { "pv.kubernetes.io/provisioned-by": DRIVER },
            "finalizers": ["external-provisioner.volume.kubernetes.io/finalizer", "kubernetes.io/pv-protection"],
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"], "capacity": { "storage": "1Gi" }, "storageClassName": CLASS,
            "persistentVolumeReclaimPolicy": "Delete", "volumeMode": "Filesystem",
            "claimRef": { "apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": name, "namespace": namespace.name },
            "csi": {
                "driver": DRIVER, "fsType": "ext4", "volumeHandle": volume,
                "volumeAttributes": { "storage.kubernetes.io/csiProvisionerIdentity": format!("1700000000000-8081-{DRIVER}") },
            },
            "nodeAffinity": { "required": { "nodeSelectorTerms": [{ "matchExpressions": [
                { "key": format!("topology.{DRIVER}/zone"), "operator": "In", "values": ["az1"] },
            ] }] } },
        },
    }));
    namespace.claim(name, CLASS, json!({ "volumeName": name }));
    volume
}

#[test]
fn a_cluster_moves_from_the_existing_chart_and_back_and_keeps_its_volumes() {
    let cluster = Cluster::up();
    if cluster.helm(&["list", "-n", SYSTEM, "-q"]).lines().any(|release| release == RELEASE) {
        cluster.helm(&["uninstall", RELEASE, "-n", SYSTEM, "--wait"]);
    }
    let without_sidecars_of_no_image =
        ["--set", "csi.livenessprobe.enabled=false,csi.nodeDriverRegistrar.enabled=false"];
    helm(&cluster, &["install"], "tests/chart/old", &without_sidecars_of_no_image);
    let before = immutable(&cluster);
    let namespace = cluster.namespace("migrates");
    for claim in ["stays", "moves"] {
        namespace.claim(claim, CLASS, json!({}));
        namespace.pod(claim, claim, on_node("node-1"));
        namespace.ready(claim);
        write(&namespace, claim, "old");
    }
    let theirs = of_the_existing_driver(&namespace, "theirs");
    namespace.pod("theirs", "theirs", json!({}));
    namespace.ready("theirs");
    write(&namespace, "theirs", "old");

    helm(&cluster, &["upgrade"], "charts/cinder-csi", &["--reuse-values", "--set", "legacyNames=true"]);
    assert_eq!(immutable(&cluster), before);
    for pod in ["stays", "moves", "theirs"] {
        write(&namespace, pod, "new");
    }
    moved(&namespace, "moves", "moves", "moved", "node-2");
    assert_eq!(namespace.shell("moved", "cat /data/file"), "old\nnew");
    namespace.delete_pod("theirs");
    namespace.detached("theirs");
    namespace.resize_unmounted("theirs", "2Gi");
    namespace.pod("theirs", "theirs", json!({}));
    namespace.ready("theirs");
    namespace.wait_for("pvc/theirs", ".status.capacity.storage", "2Gi");
    assert_eq!(namespace.shell("theirs", "cat /data/file"), "old\nnew");
    namespace.claim("made-by-ours", CLASS, json!({}));
    namespace.volume("made-by-ours");

    cluster.helm(&["rollback", RELEASE, "1", "-n", SYSTEM, "--wait", "--timeout=3m"]);
    assert_eq!(immutable(&cluster), before);
    moved(&namespace, "moves", "moved", "moved-back", "node-1");
    assert_eq!(namespace.shell("moved-back", "cat /data/file"), "old\nnew");
    namespace.pod("made-by-ours", "made-by-ours", json!({}));
    namespace.ready("made-by-ours");
    write(&namespace, "stays", "again");
    let restarts = namespace.get(&["pod", "stays"])["status"]["containerStatuses"][0]["restartCount"].clone();
    assert_eq!(restarts, 0, "a pod that nobody moved was left alone");

    helm(&cluster, &["upgrade"], "charts/cinder-csi", &["--reuse-values", "--set", "legacyNames=true"]);
    namespace.end();
    assert!(!cluster.inventory().iter().any(|line| line.contains(&theirs)), "their volume is deleted");
    cluster.helm(&["uninstall", RELEASE, "-n", SYSTEM, "--wait"]);
}
