//! How long a user waits for a pod and its volume, on a real Kubernetes over a real OpenStack: `tests/run kubernetes` starts
//! them. It runs alone, and prints; the figures of the existing driver are from the same bed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by them")]

#[path = "bed/cluster.rs"]
mod cluster;

use std::time::{Duration, Instant};

use cluster::{CLASS, Cluster, Namespace, until};
use serde_json::{Value, json};

const ROUNDS: usize = 3;

#[test]
fn a_drained_node_gives_its_volume_to_the_other() {
    let cluster = Cluster::up();
    for round in 0..ROUNDS {
        let namespace = cluster.namespace(&format!("drains-{round}"));
        let times = Times {
            bound: bound(&namespace),
            ready: ready(&namespace),
            moved: moved(&namespace),
            gone: gone(&namespace),
        };
        println!("{times}");
        namespace.end();
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

fn bound(namespace: &Namespace) -> Duration {
    let began = Instant::now();
    namespace.claim("data", CLASS, json!({}));
    namespace.wait_for("pvc/data", ".status.phase", "Bound");
    began.elapsed()
}

fn ready(namespace: &Namespace) -> Duration {
    let began = Instant::now();
    let at_once = json!({ "terminationGracePeriodSeconds": 0 });
    namespace.deploy_web("date >> /data/starts; sync; sleep 1000000", at_once);
    began.elapsed()
}

fn moved(namespace: &Namespace) -> Duration {
    let node = pod(namespace)["spec"]["nodeName"].as_str().unwrap().to_owned();
    let began = Instant::now();
    let cordoned = namespace.cluster.cordoned(&node);
    namespace.kubectl(&["delete", "pod", "-l", "app=web", "--wait=false"]);
    let moved = until("ready on the other node", Duration::from_secs(120), || {
        let pod = pod(namespace);
        if cluster::is_ready(&pod) && pod["spec"]["nodeName"] != node.as_str() {
            Ok(pod)
        } else {
            Err(pod["status"].to_string())
        }
    });
    let time = began.elapsed();
    drop(cordoned);
    let starts = namespace.shell(moved["metadata"]["name"].as_str().unwrap(), "wc -l < /data/starts");
    assert_eq!(starts, "2", "the file of the first node is here");
    time
}

fn gone(namespace: &Namespace) -> Duration {
    let (pv, _) = namespace.volume("data");
    namespace.kubectl(&["delete", "deployment", "web"]);
    namespace.kubectl(&["wait", "--for=delete", "--timeout=120s", "pod", "-l", "app=web"]);
    let began = Instant::now();
    namespace.kubectl(&["delete", "pvc", "data"]);
    namespace.cluster.kubectl(&["wait", "--for=delete", "--timeout=120s", &format!("pv/{pv}")]);
    began.elapsed()
}

fn pod(namespace: &Namespace) -> Value {
    namespace.web_pods().into_iter().next().unwrap_or_default()
}
