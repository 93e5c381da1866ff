//! The driver in a cluster: Events on its own Pod, the startup taint, and the wait before it ends.

use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use cinder_csi::csi::kubelet::RegistrationStatus;
use cinder_csi::pace;
use serde_json::{Value, json};

use super::server::{Api, Mishap, TOKEN};
use super::{Bed, Driver, PASSWORD, PATIENCE, access, conf, registration};

const NODE: &str = "/api/v1/nodes/node-1";
const CSI_NODE: &str = "/apis/storage.k8s.io/v1/csinodes/node-1";
const ATTACHMENTS: &str = "/apis/storage.k8s.io/v1/volumeattachments";
const KEY: &str = "cinder.csi.openstack.org/agent-not-ready";
const DRIVER: &str = "cinder.csi.openstack.org";

/// A cluster with a node of that spec.
async fn cluster(spec: Value) -> (Bed, Api) {
    let (bed, api) = (Bed::new(), Api::start().await);
    std::fs::write(bed.path("kubeconfig"), api.kubeconfig()).unwrap();
    api.put(NODE, json!({"kind": "Node", "apiVersion": "v1", "metadata": {"name": "node-1"}, "spec": spec}));
    (bed, api)
}

fn kubeconfig(bed: &Bed) -> String {
    format!("--kubeconfig={}", bed.path("kubeconfig").display())
}

fn taint(key: &str) -> Value {
    json!({"key": key, "effect": "NoSchedule", "timeAdded": "2026-01-01T00:00:00Z"})
}

/// As the kubelet writes it for this driver and another one.
fn csi_node(ours: Value) -> Value {
    let mut drivers =
        vec![json!({"name": "other", "nodeID": "n", "topologyKeys": null, "allocatable": {"count": 1}})];
    drivers.extend(Some(ours).filter(|ours| !ours.is_null()));
    json!({"kind": "CSINode", "apiVersion": "storage.k8s.io/v1", "metadata": {"name": "node-1"}, "spec": {"drivers": drivers}})
}

fn attachment(api: &Api, name: &str, attacher: &str, node: &str) {
    let spec = json!({"attacher": attacher, "nodeName": node, "source": {"persistentVolumeName": format!("pv-of-{name}")}});
    api.put(
        &format!("{ATTACHMENTS}/{name}"),
        json!({"metadata": {"name": name}, "spec": spec, "status": {"attached": true}}),
    );
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = tokio::time::Instant::now() + PATIENCE;
    while !holds() {
        assert!(tokio::time::Instant::now() < end, "{what}");
        pace::sleep(Duration::from_millis(20)).await;
    }
}

async fn start_tainted(bed: &Bed) -> Driver {
    let (kubeconfig, taint) = (kubeconfig(bed), format!("--startup-taint={KEY}"));
    let flags = ["--provide-controller-service=false", &kubeconfig, &taint];
    bed.start_with(&flags, &[("NODE_NAME", "node-1")]).await
}

fn taints(api: &Api) -> Value {
    api.object(NODE)["spec"]["taints"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_taint_goes_once_the_driver_is_listed_with_its_count_and_no_other() {
    let all = [taint("before"), taint(KEY), taint("between"), taint(KEY), taint("after")];
    let (bed, api) = cluster(json!({"taints": all})).await;
    let driver = start_tainted(&bed).await;
    driver.logged("CSINode node-1 doesn't list cinder.csi.openstack.org yet").await;
    api.put(CSI_NODE, csi_node(Value::Null));
    let ours = json!({"name": DRIVER, "nodeID": "n", "topologyKeys": []});
    api.put(CSI_NODE, csi_node(ours.clone()));
    driver.logged("has no count of volumes").await;
    assert_eq!(taints(&api), json!(all), "nothing is removed before");
    let mut counted = ours;
    counted["allocatable"] = json!({"count": 25});
    api.put(CSI_NODE, csi_node(counted));
    driver.logged("the node free of the taint").await;
    assert_eq!(taints(&api), json!([taint("before"), taint("between"), taint("after")]));
    let asked = api.requests();
    // It looks no more, whoever puts the taint there again.
    api.put(NODE, json!({"metadata": {"name": "node-1"}, "spec": {"taints": [taint(KEY)]}}));
    pace::sleep(Duration::from_secs(2)).await;
    assert_eq!(api.requests(), asked);
    let rights: Vec<_> = asked.iter().map(|request| request.split_once(' ').unwrap()).collect();
    let needed = [("GET", CSI_NODE), ("GET", NODE), ("PATCH", NODE)];
    assert!(rights.iter().all(|right| needed.contains(right)), "{rights:?}");
    let log = driver.end().1;
    assert!(!log.contains(TOKEN), "{log}");
}

/// As after a start of the whole node: its CSINode is the old one.
#[tokio::test(flavor = "multi_thread")]
async fn a_driver_that_registers_itself_waits_for_the_kubelets_word() {
    let (bed, api) = cluster(json!({"taints": [taint(KEY)]})).await;
    api.put(CSI_NODE, csi_node(json!({"name": DRIVER, "nodeID": "n", "allocatable": {"count": 1}})));
    let registry = bed.path("plugins_registry");
    std::fs::create_dir(&registry).unwrap();
    let (kubeconfig, taint) = (kubeconfig(&bed), format!("--startup-taint={KEY}"));
    let folder = format!("--plugin-registration-path={}", registry.display());
    let flags = [
        "--provide-controller-service=false",
        "--kubelet-registration-path=/csi.sock",
        &folder,
        &kubeconfig,
        &taint,
    ];
    let driver = bed.start_with(&flags, &[("NODE_NAME", "node-1")]).await;
    let mut kubelet = registration::kubelet(&registry).await;
    driver.logged("the taint stays until the kubelet has registered the driver").await;
    let status = |plugin_registered| RegistrationStatus { plugin_registered, error: String::new() };
    kubelet.notify_registration_status(status(false)).await.unwrap();
    pace::sleep(Duration::from_secs(2)).await;
    assert!(api.requests().is_empty(), "{:?}", api.requests());
    kubelet.notify_registration_status(status(true)).await.unwrap();
    driver.logged("the node free of the taint").await;
    assert_eq!(taints(&api), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_refuses_or_fails_is_asked_again_and_its_words_are_logged() {
    let (bed, api) = cluster(json!({"taints": [taint(KEY)]})).await;
    api.put(CSI_NODE, csi_node(json!({"name": DRIVER, "nodeID": "n", "allocatable": {"count": 1}})));
    api.meet(Mishap::Status(403));
    let driver = start_tainted(&bed).await;
    driver.logged("needs a rule for get on csinodes.storage.k8s.io").await;
    api.meet(Mishap::Status(500));
    driver.logged("the server met a mishap (500)").await;
    api.meet(Mishap::None);
    driver.logged("the node free of the taint").await;
    assert_eq!(taints(&api), json!([]));
}

#[test]
fn a_startup_taint_without_its_surroundings_ends_the_process_with_64() {
    let bed = Bed::new();
    let flag = format!("--startup-taint={KEY}");
    let flags = ["--provide-controller-service=false", flag.as_str()];
    let mut placed = bed.command(&flags);
    placed.env("NODE_NAME", "node-1");
    for (mut command, words) in [
        (bed.command(&flags), "needs the environment variable NODE_NAME"),
        (placed, "--startup-taint needs the Kubernetes API, but"),
    ] {
        let output = command.stderr(Stdio::piped()).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(64) && error.contains(words), "{error}");
        assert!(!bed.path("csi.sock").exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_that_cannot_be_used_is_an_event_on_the_drivers_own_pod() {
    let (bed, api) = cluster(json!({})).await;
    let (_cloud, _served, address) = access::cloud().await;
    api.put(
        "/api/v1/namespaces/kube-system/pods/csi-0",
        json!({"metadata": {"name": "csi-0", "uid": "asked-for"}}),
    );
    for (uid, shown) in [(None, "asked-for"), (Some("told"), "told")] {
        api.forget_events();
        bed.write_conf(&conf(address, "canary-wrong"));
        let file = format!("--cloud-config={}", bed.path("cloud.conf").display());
        let flags = [file.as_str(), &kubeconfig(&bed), "--provide-node-service=false"];
        let pod = [("POD_NAME", "csi-0"), ("POD_NAMESPACE", "kube-system")];
        let env: Vec<_> = pod.into_iter().chain(uid.map(|uid| ("POD_UID", uid))).collect();
        let driver = bed.start_with(&flags, &env).await;
        until("no warning", || api.events().len() == 1).await;
        let warning = &api.events()[0];
        let object = json!({"apiVersion": "v1", "kind": "Pod", "name": "csi-0", "namespace": "kube-system", "uid": shown});
        assert_eq!(warning["involvedObject"], object);
        assert_eq!((&warning["type"], &warning["reason"]), (&json!("Warning"), &json!("CloudNotUsable")));
        let message = warning["message"].as_str().unwrap();
        for words in
            ["the unnamed cloud can't be used: Keystone", "HTTP 401", "\"password\" in ", "cloud.conf:4"]
        {
            assert!(message.contains(words) && !message.contains("canary"), "{message}");
        }
        // What can't even be read is told, too.
        bed.write_conf("[Global\n");
        until("no second warning", || api.events().len() == 2).await;
        // And what can be read, but names a certificate that is none.
        std::fs::write(bed.path("ca.pem"), "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n")
            .unwrap();
        bed.write_conf(&(conf(address, PASSWORD) + &format!("ca-file = {}\n", bed.path("ca.pem").display())));
        until("no third warning", || api.events().len() == 3).await;
        let told = |event: &Value| {
            event["message"].as_str().unwrap().starts_with("the changed settings can't be used: ")
                && event["message"].as_str().unwrap().contains("ca-file holds no certificate")
        };
        assert!(api.events().iter().any(told), "{:?}", api.events());
        bed.write_conf(&conf(address, PASSWORD));
        until("no good news", || api.events().len() == 4).await;
        let normal = api.events().into_iter().find(|event| event["type"] == "Normal").unwrap();
        assert_eq!(
            (&normal["reason"], &normal["message"]),
            (&json!("CloudUsable"), &json!("the unnamed cloud is usable now"))
        );
        let _ = driver.end();
    }
}

/// What the hook printed and how it ended.
fn pre_stop(bed: &Bed, timeout: &str) -> std::process::Child {
    let mut command = bed.bare_command();
    command.env("NODE_NAME", "node-1").args(["pre-stop", &kubeconfig(bed), "--timeout", timeout]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

async fn ended(hook: std::process::Child) -> Output {
    tokio::task::spawn_blocking(|| hook.wait_with_output().unwrap()).await.unwrap()
}

fn printed(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The kubelet makes an Event of a hook that fails.
fn failed(output: &Output) -> String {
    let error = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_not_drained_is_left_at_once() {
    let (bed, api) = cluster(json!({"taints": [taint("node.kubernetes.io/out-of-service")]})).await;
    attachment(&api, "a", DRIVER, "node-1");
    let began = Instant::now();
    let told = printed(&ended(pre_stop(&bed, "5m")).await);
    assert!(
        told.contains("Node node-1 isn't being drained") && began.elapsed() < Duration::from_secs(30),
        "{told}"
    );
    assert_eq!(api.requests(), [format!("GET {NODE}")], "attachments aren't listed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_node_waits_for_its_own_volumes_of_this_driver() {
    for spec in [json!({"unschedulable": true}), json!({"taints": [taint("ToBeDeletedByClusterAutoscaler")]})]
    {
        let (bed, api) = cluster(spec).await;
        for (name, driver, node) in [
            ("a", "other", "node-1"),
            ("b", DRIVER, "node-2"),
            ("c", "other", "node-1"),
            ("d", DRIVER, "node-1"),
            ("e", DRIVER, "node-1"),
        ] {
            attachment(&api, name, driver, node);
        }
        let hook = pre_stop(&bed, "5m");
        let listed = |api: &Api| {
            api.requests().iter().filter(|request| request.ends_with("volumeattachments")).count()
        };
        // Three pages each time: it has looked twice, and goes on.
        until("the attachments aren't listed again", || listed(&api) >= 4).await;
        api.remove(&format!("{ATTACHMENTS}/d"));
        let before = listed(&api);
        until("the attachments aren't listed again", || listed(&api) >= before + 4).await;
        api.remove(&format!("{ATTACHMENTS}/e"));
        let told = printed(&ended(hook).await);
        for words in [
            ": 2 volumes are still attached: pv-of-d, pv-of-e\n",
            ": 1 volume is still attached: pv-of-e\n",
            "no volume is attached",
        ] {
            assert!(told.contains(words), "no {words:?} in {told}");
        }
        assert_eq!(told.lines().count(), 3, "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_gone_is_being_drained_and_what_is_attached_at_the_timeout_is_an_error() {
    let (bed, api) = cluster(json!({})).await;
    api.remove(NODE);
    attachment(&api, "a", DRIVER, "node-1");
    let told = failed(&ended(pre_stop(&bed, "2s")).await);
    assert_eq!(
        told,
        "cinder-csi: pre-stop: the time is over: Node node-1 is being drained (it is gone): 1 volume is still attached: pv-of-a\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_refuses_ends_the_hook_and_one_that_is_silent_does_not_outlast_it() {
    let (bed, api) = cluster(json!({"unschedulable": true})).await;
    api.meet(Mishap::Status(403));
    let told = failed(&ended(pre_stop(&bed, "5m")).await);
    assert!(told.contains("needs a rule for get on nodes"), "{told}");
    api.meet(Mishap::Silent);
    let began = Instant::now();
    let told = failed(&ended(pre_stop(&bed, "2s")).await);
    assert!(told.contains("the time is over") && began.elapsed() < Duration::from_secs(20), "{told}");
}

#[tokio::test]
async fn a_hook_that_is_misused_says_so() {
    let bed = Bed::new();
    let output = bed.bare_command().arg("pre-stop").stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("NODE_NAME"));
    let mut nowhere = bed.bare_command();
    let output = nowhere.env("NODE_NAME", "n").arg("pre-stop").stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("pre-stop needs the Kubernetes API"));
}
