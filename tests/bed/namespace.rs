//! What one test has in the cluster: its PVCs and pods, and what is left of them in the cloud.

use std::time::Duration;

use serde_json::{Value, json};

use super::{BUSYBOX, Cluster, merge, sized, until};

/// A namespace that the test has for itself.
pub struct Namespace<'a> {
    pub cluster: &'a Cluster,
    pub name: String,
}

impl Namespace<'_> {
    pub fn kubectl(&self, words: &[&str]) -> String {
        self.cluster.kubectl(&[&["-n", &self.name], words].concat())
    }

    pub fn get(&self, words: &[&str]) -> Value {
        self.cluster.get(&[&["-n", &self.name], words].concat())
    }

    pub fn items(&self, words: &[&str]) -> Vec<Value> {
        self.cluster.items(&[&["-n", &self.name], words].concat())
    }

    pub fn apply(&self, kind: &str, version: &str, name: &str, mut body: Value) {
        body["kind"] = kind.into();
        body["apiVersion"] = version.into();
        body["metadata"]["name"] = name.into();
        body["metadata"]["namespace"] = self.name.clone().into();
        self.cluster.apply(&body);
    }

    pub fn claim(&self, name: &str, class: &str, more: Value) {
        let mut spec = json!({
            "accessModes": ["ReadWriteOnce"], "storageClassName": class,
            "resources": { "requests": { "storage": "1Gi" } },
        });
        merge(&mut spec, more);
        self.apply("PersistentVolumeClaim", "v1", name, json!({ "spec": spec }));
    }

    /// A pod that has the claim at /data, or as /dev/data.
    pub fn pod(&self, name: &str, claim: &str, more: Value) {
        let block = self.get(&["pvc", claim])["spec"]["volumeMode"] == "Block";
        let mut container = json!({
            "name": "main", "image": BUSYBOX, "imagePullPolicy": "Never", "command": ["sleep", "1000000"],
        });
        if block {
            container["volumeDevices"] = json!([{ "name": "data", "devicePath": "/dev/data" }]);
        } else {
            container["volumeMounts"] = json!([{ "name": "data", "mountPath": "/data" }]);
        }
        let mut spec = json!({
            "terminationGracePeriodSeconds": 0, "containers": [container],
            "volumes": [{ "name": "data", "persistentVolumeClaim": { "claimName": claim } }],
        });
        merge(&mut spec, more);
        self.apply("Pod", "v1", name, json!({ "spec": spec }));
    }

    /// A Deployment of one pod, with the claim `data` at /data, that runs.
    pub fn deploy_web(&self, script: &str, more: Value) {
        let mut pod = json!({
            "containers": [{
                "name": "main", "image": BUSYBOX, "imagePullPolicy": "Never", "command": ["sh", "-c", script],
                "volumeMounts": [{ "name": "data", "mountPath": "/data" }],
            }],
            "volumes": [{ "name": "data", "persistentVolumeClaim": { "claimName": "data" } }],
        });
        merge(&mut pod, more);
        let labels = json!({ "app": "web" });
        let spec = json!({
            "replicas": 1, "strategy": { "type": "Recreate" }, "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": pod },
        });
        self.apply("Deployment", "apps/v1", "web", json!({ "spec": spec }));
        self.kubectl(&["rollout", "status", "deployment/web", "--timeout=120s"]);
    }

    /// The pods of `deploy_web` that nobody has deleted.
    pub fn web_pods(&self) -> Vec<Value> {
        let mut pods = self.items(&["pods", "-l", "app=web"]);
        pods.retain(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        pods
    }

    pub fn delete_pod(&self, pod: &str) {
        self.kubectl(&["delete", "pod", pod, "--wait=false"]);
        self.wait_deleted(&format!("pod/{pod}"));
    }

    pub fn resize(&self, claim: &str, size: &str) {
        let wanted = json!({ "spec": sized(size) }).to_string();
        self.kubectl(&["patch", "pvc", claim, "-p", &wanted]);
    }

    /// The disk has grown, and the file system waits for its next mount.
    pub fn resize_unmounted(&self, claim: &str, size: &str) {
        self.resize(claim, size);
        let claim = format!("pvc/{claim}");
        self.kubectl(&["wait", "--for=condition=FileSystemResizePending", "--timeout=120s", &claim]);
    }

    /// The size of the file system at a pod's /data.
    pub fn mebibytes(&self, pod: &str) -> u32 {
        self.shell(pod, "df -m /data | tail -1 | awk '{ print $2 }'").parse().unwrap()
    }

    pub fn ready(&self, pod: &str) {
        self.kubectl(&["wait", "--for=condition=Ready", "--timeout=120s", &format!("pod/{pod}")]);
    }

    pub fn wait_deleted(&self, object: &str) {
        self.kubectl(&["wait", "--for=delete", "--timeout=120s", object]);
    }

    pub fn wait_for(&self, object: &str, path: &str, value: &str) {
        let condition = format!("--for=jsonpath={{{path}}}={value}");
        self.kubectl(&["wait", &condition, "--timeout=120s", object]);
    }

    /// What a shell in the pod prints.
    pub fn shell(&self, pod: &str, script: &str) -> String {
        self.kubectl(&["exec", pod, "--", "sh", "-ec", script]).trim().to_owned()
    }

    /// The PersistentVolume of a bound claim, and its Cinder volume.
    pub fn volume(&self, claim: &str) -> (String, String) {
        self.wait_for(&format!("pvc/{claim}"), ".status.phase", "Bound");
        let pv = self.get(&["pvc", claim])["spec"]["volumeName"].as_str().unwrap().to_owned();
        let volume =
            self.cluster.get(&["pv", &pv])["spec"]["csi"]["volumeHandle"].as_str().unwrap().to_owned();
        (pv, volume)
    }

    /// No node has the claim's volume any more.
    pub fn detached(&self, claim: &str) {
        let (pv, _) = self.volume(claim);
        until(&format!("{claim} is detached"), Duration::from_secs(120), || {
            let attachments = self.cluster.items(&["volumeattachments"]);
            let left =
                attachments.iter().find(|a| a["spec"]["source"]["persistentVolumeName"] == pv.as_str());
            left.map_or(Ok(()), |a| Err(a["status"].to_string()))
        });
    }

    /// The messages of the events about an object.
    pub fn events(&self, kind: &str, name: &str) -> Vec<String> {
        let about = format!("--field-selector=involvedObject.kind={kind},involvedObject.name={name}");
        let found = self.items(&["events", &about]);
        found.iter().map(|event| event["message"].as_str().unwrap().to_owned()).collect()
    }

    /// An event about the object that says all of these.
    pub fn wait_for_event(&self, kind: &str, name: &str, parts: &[&str]) -> String {
        until(&format!("an event about {name} says {parts:?}"), Duration::from_secs(60), || {
            let events = self.events(kind, name);
            let found = events.iter().find(|message| parts.iter().all(|part| message.contains(part)));
            found.cloned().ok_or_else(|| events.join("\n"))
        })
    }

    /// Everything in it is deleted, and the volumes with it: the cloud must not name one of them.
    pub fn end(self) {
        let pvs: Vec<Value> = self.cluster.items(&["pv"]);
        let ours: Vec<&Value> =
            pvs.iter().filter(|pv| pv["spec"]["claimRef"]["namespace"] == self.name.as_str()).collect();
        self.cluster.kubectl(&["delete", "namespace", &self.name, "--timeout=180s"]);
        for pv in &ours {
            let name = pv["metadata"]["name"].as_str().unwrap();
            self.cluster.kubectl(&["wait", "--for=delete", "--timeout=120s", &format!("pv/{name}")]);
        }
        let left = self.cluster.inventory();
        for pv in &ours {
            let volume = pv["spec"]["csi"]["volumeHandle"].as_str().unwrap();
            let of_it: Vec<&String> = left.iter().filter(|line| line.contains(volume)).collect();
            assert!(of_it.is_empty(), "left in the cloud: {of_it:?}");
        }
    }
}
