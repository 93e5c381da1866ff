//! How long a user waits for a pod and its volume, on a real Kubernetes over a real OpenStack: `tests/run kubernetes` starts
//! them. It runs alone, and prints; the figures of the existing driver are from the same bed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by them")]

#[path = "bed/cluster.rs"]
mod cluster;

use std::time::{Duration, Instant};

use cluster::{Cluster, Space};
use serde_json::{Value, json};

const ROUNDS: usize = 3;

#[test]
fn a_drained_node_gives_its_volume_to_the_other() {
    let cluster = Cluster::up();
    for round in 0..ROUNDS {
        let space = cluster.space(&format!("drains-{round}"));
        let times =
            Times { bound: bound(&space), ready: ready(&space), moved: moved(&space), gone: gone(&space) };
        println!("{times}");
        space.end();
    }
}

struct Times {
    bound: Duration,
    ready: Duration,
    moved: Duration,
    gone: Duration,
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = |time: Duration| time.as_secs_f64();
        writeln!(f, "                                      here   the existing driver")?;
        writeln!(f, "PVC bound                          {:5.1} s   0.4 s", seconds(self.bound))?;
        writeln!(f, "pod ready                          {:5.1} s   2.6 to 4.5 s", seconds(self.ready))?;
        writeln!(f, "drain to ready on the other node   {:5.1} s   7.1 to 8.7 s", seconds(self.moved))?;
        write!(f, "PVC delete to PV gone              {:5.1} s   7 to 15 s", seconds(self.gone))
    }
}

fn bound(space: &Space) -> Duration {
    let began = Instant::now();
    space.claim("data", "csi-cinder-sc-delete", json!({}));
    space.is("pvc/data", ".status.phase", "Bound");
    began.elapsed()
}

fn ready(space: &Space) -> Duration {
    let container = json!({
        "name": "main", "image": "registry.local/busybox:lab", "imagePullPolicy": "Never",
        "command": ["sh", "-c", "date >> /data/starts; sync; sleep 1000000"],
        "volumeMounts": [{ "name": "data", "mountPath": "/data" }],
    });
    let began = Instant::now();
    space.apply(
        "Deployment",
        "apps/v1",
        "web",
        json!({ "spec": {
        "replicas": 1, "strategy": { "type": "Recreate" }, "selector": { "matchLabels": { "app": "web" } },
        "template": { "metadata": { "labels": { "app": "web" } }, "spec": {
            "terminationGracePeriodSeconds": 0, "containers": [container],
            "volumes": [{ "name": "data", "persistentVolumeClaim": { "claimName": "data" } }],
        } },
    } }),
    );
    space.kubectl(&["rollout", "status", "deployment/web", "--timeout=120s"]);
    began.elapsed()
}

fn moved(space: &Space) -> Duration {
    let node = pod(space)["spec"]["nodeName"].as_str().unwrap().to_owned();
    let began = Instant::now();
    space.cluster.kubectl(&["cordon", &node]);
    space.kubectl(&["delete", "pod", "-l", "app=web", "--wait=false"]);
    let moved = space.cluster.until("ready on the other node", Duration::from_secs(120), || {
        let pod = pod(space);
        let ready = pod["status"]["containerStatuses"][0]["ready"] == true;
        if ready && pod["spec"]["nodeName"] != node.as_str() {
            Ok(pod)
        } else {
            Err(pod["status"].to_string())
        }
    });
    let time = began.elapsed();
    space.cluster.kubectl(&["uncordon", &node]);
    let starts = space.shell(moved["metadata"]["name"].as_str().unwrap(), "wc -l < /data/starts");
    assert_eq!(starts, "2", "the file of the first node is here");
    time
}

fn gone(space: &Space) -> Duration {
    let (pv, _) = space.volume("data");
    space.kubectl(&["delete", "deployment", "web"]);
    space.kubectl(&["wait", "--for=delete", "--timeout=120s", "pod", "-l", "app=web"]);
    let began = Instant::now();
    space.kubectl(&["delete", "pvc", "data"]);
    space.cluster.kubectl(&["wait", "--for=delete", "--timeout=120s", &format!("pv/{pv}")]);
    began.elapsed()
}

fn pod(space: &Space) -> Value {
    let pods = space.get(&["pods", "-l", "app=web"])["items"].as_array().unwrap().clone();
    pods.into_iter().find(|pod| pod["metadata"]["deletionTimestamp"].is_null()).unwrap_or_default()
}
