//! Bad news reaches the user, on a real Kubernetes over a real OpenStack: `tests/run kubernetes` starts them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by them")]

#[path = "bed/cluster.rs"]
mod cluster;
#[path = "bed/untrusted.rs"]
mod untrusted;

use std::net::IpAddr;
use std::time::Duration;

use cluster::{CLASS, Cluster, DRIVER, SYSTEM, Undo, alone, until};
use serde_json::{Value, json};

/// All tests have the one: each is alone.
const SECRET: &str = "cloud-config";

#[test]
fn a_type_that_no_backend_has_is_told_with_the_schedulers_reason() {
    let _alone = alone();
    let cluster = Cluster::up();
    cluster.apply(&json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": { "name": "nowhere" },
        "provisioner": DRIVER, "parameters": { "type": "lab-nowhere" },
    }));
    let namespace = cluster.namespace("nowhere");
    namespace.claim("data", "nowhere", json!({}));
    let told = namespace.wait_for_event(
        "PersistentVolumeClaim",
        "data",
        &["ResourceExhausted", "Could not find any available weighted backend"],
    );
    println!("{told}");
    namespace.end();
}

#[test]
fn more_than_the_quota_has_left_is_told() {
    let _alone = alone();
    let cluster = Cluster::up();
    let namespace = cluster.namespace("quota");
    namespace.claim("data", CLASS, json!({ "resources": { "requests": { "storage": "30000Gi" } } }));
    let told = namespace.wait_for_event("PersistentVolumeClaim", "data", &["quota", "30000"]);
    println!("{told}");
    namespace.end();
}

/// The cloud.conf that the controllers get.
fn configure(cluster: &Cluster, cloud_conf: &str) {
    let patch = json!({ "stringData": { "cloud.conf": cloud_conf } }).to_string();
    cluster.kubectl(&["-n", SYSTEM, "patch", "secret", SECRET, "-p", &patch]);
}

/// New Pods of the controllers: a mounted Secret changes within a minute or two only, and the kubelet makes a pause before it
/// starts a container again and again.
fn restart(cluster: &Cluster) {
    cluster.kubectl(&["-n", SYSTEM, "delete", "pods", "-l", CONTROLLER, "--grace-period=1"]);
}

/// The Secret as it is now, and controllers that have read it, once what this returns is dropped.
fn keep_secret(cluster: &Cluster) -> Undo<impl FnMut()> {
    let mut secret = cluster.get(&["secret", "-n", SYSTEM, SECRET]);
    for key in ["resourceVersion", "uid", "creationTimestamp"] {
        secret["metadata"].as_object_mut().unwrap().remove(key);
    }
    Undo(move || {
        cluster.apply(&secret);
        restart(cluster);
        cluster.rolled_out("deployment/cinder-csi-controller");
    })
}

const CONTROLLER: &str = "app.kubernetes.io/component=controller";

/// An event about any of the controller's Pods that are there now: those of earlier ones are kept for an hour.
fn told_of_a_controller(cluster: &Cluster, reason: &str, parts: &[&str]) -> String {
    until(&format!("{reason} of a controller says {parts:?}"), Duration::from_secs(90), || {
        let pods = cluster.items(&["pods", "-n", SYSTEM, "-l", CONTROLLER]);
        let uids: Vec<&Value> = pods.iter().map(|pod| &pod["metadata"]["uid"]).collect();
        let mut events = cluster.items(&["events", "-n", SYSTEM, "--field-selector=involvedObject.kind=Pod"]);
        events.retain(|event| uids.contains(&&event["involvedObject"]["uid"]));
        let said = |event: &Value| {
            let message = event["message"].as_str()?;
            (event["reason"] == reason && parts.iter().all(|part| message.contains(part)))
                .then(|| message.to_owned())
        };
        events.iter().find_map(said).ok_or_else(|| {
            let seen = events.iter().map(|event| format!("{}: {}", event["reason"], event["message"]));
            seen.collect::<Vec<_>>().join("\n")
        })
    })
}

#[test]
fn wrong_credentials_are_told_by_file_and_key_and_right_ones_are_taken_up_without_a_restart() {
    let _alone = alone();
    let cluster = Cluster::up();
    let right = std::fs::read_to_string(cluster.lab.join("cloud.conf")).unwrap();
    let _kept = keep_secret(&cluster);
    let namespace = cluster.namespace("credentials");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let untrusted = runtime.block_on(untrusted::untrusted(keystones_address(&right)));
    let untrusted = format!("https://{untrusted}/v3");
    // The key that is wrong, its value, and the key that is told.
    let wrong = [
        ("password", "not-this-one", "password"),
        ("auth-url", "http://127.0.0.1:9/v3", "auth-url"),
        ("auth-url", &untrusted, "ca-file"),
        ("region", "elsewhere", "region"),
    ];
    for (key, value, told) in wrong {
        configure(&cluster, &with(&right, key, value));
        restart(&cluster);
        let parts = ["/etc/config/cloud.conf", told];
        println!("{}", told_of_a_controller(&cluster, "CloudNotUsable", &parts));
        let claim = format!("data-{told}");
        namespace.claim(&claim, CLASS, json!({}));
        println!("{}", namespace.wait_for_event("PersistentVolumeClaim", &claim, &parts));
    }
    configure(&cluster, &right);
    for (_, _, told) in wrong {
        let bound = format!("pvc/data-{told}");
        namespace.kubectl(&["wait", "--for=jsonpath={.status.phase}=Bound", "--timeout=240s", &bound]);
    }
    let pods = cluster.items(&["pods", "-n", SYSTEM, "-l", CONTROLLER]);
    let restarts: Vec<&Value> = pods
        .iter()
        .flat_map(|pod| pod["status"]["containerStatuses"].as_array().unwrap())
        .map(|c| &c["restartCount"])
        .collect();
    assert!(restarts.iter().all(|count| **count == 0), "{restarts:?}");
    namespace.end();
}

/// Where the controllers' Pods reach the cloud.
fn keystones_address(cloud_conf: &str) -> IpAddr {
    let url = cloud_conf.lines().find_map(|line| line.strip_prefix("auth-url = http://")).unwrap();
    url.split(':').next().unwrap().parse().unwrap()
}

fn with(cloud_conf: &str, key: &str, value: &str) -> String {
    let changed = |line: &str| match line.split_once(" = ") {
        Some((found, _)) if found == key => format!("{key} = {value}"),
        _ => line.to_owned(),
    };
    let all: Vec<String> = cloud_conf.lines().map(changed).collect();
    assert!(all.iter().any(|line| line.contains(value)), "{key} isn't in cloud.conf");
    all.join("\n")
}

/// The mount is optional, so that the driver itself can say what it misses.
#[test]
fn a_secret_that_is_missing_is_told_by_the_driver() {
    let _alone = alone();
    let cluster = Cluster::up();
    let _kept = keep_secret(&cluster);
    cluster.kubectl(&["-n", SYSTEM, "delete", "secret", SECRET]);
    restart(&cluster);
    let told = until("a controller says why it ended", Duration::from_secs(90), || {
        let pods = cluster.items(&["pods", "-n", SYSTEM, "-l", CONTROLLER]);
        let described = serde_json::to_string(&pods).unwrap();
        let found = pods
            .iter()
            .flat_map(|pod| pod["status"]["containerStatuses"].as_array().cloned().unwrap_or_default());
        let mut messages =
            found.filter_map(|c| c["lastState"]["terminated"]["message"].as_str().map(str::to_owned));
        messages.find(|message| message.contains("/etc/config/cloud.conf")).ok_or(described)
    });
    let told: Vec<&str> = told.lines().filter(|line| line.contains("/etc/config/cloud.conf")).collect();
    println!("{}", told.join("\n"));
    assert_eq!(told.len(), 1, "one line names the file");
    let remedy = "where it comes from a Secret: is that there, with an entry of this name?";
    assert!(told[0].contains(remedy), "{}", told[0]);
}
