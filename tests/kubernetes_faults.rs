//! Controllers are killed and nodes lose their power, on a real Kubernetes over a real OpenStack: `tests/run kubernetes`
//! starts them. Each is alone: there is one controller to kill, and there are two nodes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by them")]

#[path = "bed/cluster.rs"]
mod cluster;

use std::time::{Duration, Instant};

use cluster::{CLASS, Cluster, Namespace, SYSTEM, alone, on_node, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

/// The leases that say which replica's sidecar works.
const PROVISIONER: &str = "cinder-csi-openstack-org";
const ATTACHER: &str = "external-attacher-leader-cinder-csi-openstack-org";
const MANY: usize = 20;
const NODES: &str = "daemonset/cinder-csi-node";
const OTHER_TAINT: &str = "example.com/other";

/// The driver in every replica, as by the kernel's OOM killer.
fn kill_controllers(cluster: &Cluster) {
    let pids = until("a controller runs", Duration::from_secs(120), || {
        let pids = cluster.processes("--provide-node-service=false");
        if pids.is_empty() { Err("none does".to_owned()) } else { Ok(pids) }
    });
    for pid in pids {
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    }
}

/// The pod whose sidecar leads goes without a word: the other takes over once its lease is over.
fn move_leader(cluster: &Cluster, lease: &str) {
    let lease = cluster.get(&["lease", "-n", SYSTEM, lease]);
    let holder = lease["spec"]["holderIdentity"].as_str().unwrap();
    let pods = cluster.items(&["pods", "-n", SYSTEM]);
    let pod =
        pods.iter().map(|pod| pod["metadata"]["name"].as_str().unwrap()).find(|pod| holder.contains(*pod));
    let pod = pod.unwrap_or_else(|| panic!("{holder} is no pod"));
    cluster.kubectl(&["-n", SYSTEM, "delete", "pod", pod, "--grace-period=0", "--force"]);
}

fn names() -> Vec<String> {
    (0..MANY).map(|n| format!("many-{n}")).collect()
}

fn count(namespace: &Namespace, kind: &str, path: &str, value: &str) -> usize {
    namespace.items(&[kind]).iter().filter(|item| item.pointer(path).is_some_and(|v| v == value)).count()
}

/// Waits for the first: the others are under way then, which the cloud's slowness sees to.
fn some(namespace: &Namespace, kind: &str, value: &str) {
    let first =
        until(&format!("the first of {kind} are {value}"), Duration::from_secs(120), || {
            match count(namespace, kind, "/status/phase", value) {
                0 => Err("none is".to_owned()),
                some => Ok(some),
            }
        });
    assert!(first < MANY, "all of {kind} are {value} already: nothing is left to disturb");
}

fn all(namespace: &Namespace, kind: &str, value: &str) {
    until(&format!("{MANY} {kind} are {value}"), Duration::from_secs(300), || {
        match count(namespace, kind, "/status/phase", value) {
            MANY => Ok(()),
            some => Err(format!("{some} are")),
        }
    });
}

#[test]
fn twenty_claims_are_bound_and_twenty_pods_run_whoever_is_killed_meanwhile() {
    let _alone = alone();
    let cluster = Cluster::up();
    let namespace = cluster.namespace("killed");
    let slow = cluster.slow("cinder.create", 4);
    for name in names() {
        namespace.claim(&name, CLASS, json!({}));
    }
    kill_controllers(&cluster);
    some(&namespace, "pvc", "Bound");
    kill_controllers(&cluster);
    move_leader(&cluster, PROVISIONER);
    drop(slow);
    all(&namespace, "pvc", "Bound");
    let slow = cluster.slow("nova.attach", 4);
    for name in names() {
        namespace.pod(&name, &name, json!({}));
    }
    some(&namespace, "pods", "Running");
    kill_controllers(&cluster);
    move_leader(&cluster, ATTACHER);
    drop(slow);
    all(&namespace, "pods", "Running");
    assert_eq!(volumes_of(&namespace), MANY, "each claim has one volume in the cloud");
    kill_controllers(&cluster);
    namespace.end();
    cluster.rolled_out("deployment/cinder-csi-controller");
}

/// Volumes of the cloud that were made for claims of the namespace, by the name that the provisioner gave them.
fn volumes_of(namespace: &Namespace) -> usize {
    let claims = namespace.items(&["pvc"]);
    let uids: Vec<String> =
        claims.iter().map(|c| c["metadata"]["uid"].as_str().unwrap().to_owned()).collect();
    let lines = namespace.cluster.inventory();
    lines
        .iter()
        .filter(|line| line.starts_with("volume ") && uids.iter().any(|uid| line.contains(uid)))
        .count()
}

/// <https://kubernetes.io/docs/concepts/cluster-administration/node-shutdown/#non-graceful-node-shutdown>
#[test]
fn a_pod_of_a_node_that_lost_its_power_runs_elsewhere_within_a_minute() {
    let _alone = alone();
    let cluster = Cluster::up();
    let namespace = cluster.namespace("outage");
    namespace.claim("data", CLASS, json!({}));
    namespace.deploy_web("cat /data/file || { echo kept > /data/file; sync; }; sleep 1000000", json!({}));
    let node = running(&namespace).unwrap()["spec"]["nodeName"].as_str().unwrap().to_owned();
    let cut = cluster.cut(&node);
    cluster.kubectl(&["wait", "--for=condition=Ready=Unknown", "--timeout=180s", &format!("node/{node}")]);
    let tainted = Instant::now();
    let out_of_service =
        cluster.tainted(&node, "node.kubernetes.io/out-of-service", "nodeshutdown:NoExecute");
    let pod = until("the pod runs elsewhere", Duration::from_secs(60), || {
        let pod = running(&namespace).ok_or("no pod runs")?;
        if pod["spec"]["nodeName"] == node.as_str() { Err("it is still there".to_owned()) } else { Ok(pod) }
    });
    println!("out-of-service taint to running elsewhere {:?}", tainted.elapsed());
    let pod = pod["metadata"]["name"].as_str().unwrap();
    assert_eq!(namespace.kubectl(&["logs", pod]).trim(), "kept");
    drop(out_of_service);
    drop(cut);
    namespace.end();
    cluster.rolled_out(NODES);
}

/// New nodes are made with the taint, so that no pod waits on them for a driver that isn't there.
#[test]
fn a_node_is_freed_once_its_driver_is_registered() {
    let _alone = alone();
    let cluster = Cluster::up();
    let _not_ready = cluster.tainted("node-1", "cinder.csi.openstack.org/agent-not-ready", ":NoSchedule");
    let _other = cluster.tainted("node-1", OTHER_TAINT, "kept:PreferNoSchedule");
    let old = driver_of(&cluster, "node-1").unwrap();
    cluster.kubectl(&["-n", SYSTEM, "delete", "pod", &old]);
    until("the taint is gone", Duration::from_secs(90), || {
        let taints = cluster.taints("node-1");
        if taints == [OTHER_TAINT] { Ok(()) } else { Err(taints.join("\n")) }
    });
    cluster.rolled_out(NODES);
}

/// Without its driver a node can unmount nothing.
#[test]
fn the_driver_of_a_drained_node_stays_until_the_last_volume_is_detached() {
    let _alone = alone();
    let cluster = Cluster::up();
    let namespace = cluster.namespace("pre-stop");
    namespace.claim("data", CLASS, json!({}));
    namespace.pod("user", "data", on_node("node-1"));
    namespace.ready("user");
    let _cordoned = cluster.cordoned("node-1");
    let driver = driver_of(&cluster, "node-1").unwrap();
    cluster.kubectl(&["-n", SYSTEM, "delete", "pod", &driver, "--wait=false"]);
    let attached = || !cluster.items(&["volumeattachments"]).is_empty();
    let there = || {
        cluster.items(&["pods", "-n", SYSTEM]).iter().any(|pod| pod["metadata"]["name"] == driver.as_str())
    };
    let end = Instant::now() + Duration::from_secs(10);
    until("ten seconds are over", Duration::from_secs(60), || {
        assert!(there(), "it ended while a volume is attached");
        if Instant::now() > end { Ok(()) } else { Err("not yet".to_owned()) }
    });
    namespace.kubectl(&["delete", "pod", "user", "--wait=false"]);
    until("the driver ends", Duration::from_secs(120), || {
        let before = attached();
        match (there(), before) {
            (false, true) => panic!("it ended while a volume was attached"),
            (false, false) => Ok(()),
            (true, _) => Err("it is still there".to_owned()),
        }
    });
    namespace.end();
    cluster.rolled_out(NODES);
}

/// The name of the driver's pod on a node.
fn driver_of(cluster: &Cluster, node: &str) -> Option<String> {
    let on = format!("--field-selector=spec.nodeName={node}");
    let pods = cluster.items(&["pods", "-n", SYSTEM, &on, "-l", "app.kubernetes.io/component=node"]);
    pods.first().map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned())
}

fn running(namespace: &Namespace) -> Option<Value> {
    namespace.web_pods().into_iter().find(cluster::is_ready)
}
