//! The cluster that `tests/kubernetes/up` brings up, as its users have it: kubectl, helm, and the cloud's own lists.

#![allow(dead_code, reason = "each test crate uses its part of the bed")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by them")]
#![allow(clippy::disallowed_methods, reason = "users of a cluster run commands")]

mod namespace;

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

pub use namespace::Namespace;

pub const DRIVER: &str = "cinder.csi.openstack.org";
/// Where the driver is installed.
pub const SYSTEM: &str = "kube-system";
/// The class of the chart's values.yaml.
pub const CLASS: &str = "csi-cinder-sc-delete";
pub const BUSYBOX: &str = "registry.local/busybox:lab";

pub struct Cluster {
    place: PathBuf,
    kubeconfig: PathBuf,
    pub tools: PathBuf,
    pub lab: PathBuf,
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A path that the environment names.
fn set(name: &str) -> PathBuf {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} isn't set: tests/run kubernetes does it")).into()
}

impl Cluster {
    pub fn up() -> Self {
        let place = set("CINDER_CSI_CLUSTER");
        Self {
            kubeconfig: place.join("pki/admin.kubeconfig"),
            tools: set("CINDER_CSI_CLUSTER_TOOLS"),
            lab: place.join("openstack"),
            place,
        }
    }

    fn command(&self, program: &str, words: &[&str]) -> Command {
        let mut command = Command::new(self.tools.join("bin").join(program));
        command.env("KUBECONFIG", &self.kubeconfig).args(words).stdin(Stdio::null());
        command
    }

    /// What kubectl prints; a test ends where it fails.
    pub fn kubectl(&self, words: &[&str]) -> String {
        printed(self.command("kubectl", words).output().unwrap(), words)
    }

    /// Why kubectl fails, where it must.
    pub fn kubectl_refuses(&self, words: &[&str]) -> String {
        refused(self.command("kubectl", words).output().unwrap(), words)
    }

    pub fn helm(&self, words: &[&str]) -> String {
        printed(self.command("helm", words).output().unwrap(), words)
    }

    pub fn helm_refuses(&self, words: &[&str]) -> String {
        refused(self.command("helm", words).output().unwrap(), words)
    }

    pub fn apply(&self, object: &Value) {
        self.kubectl_with_input(&["apply", "-f", "-"], &object.to_string());
    }

    /// kubectl with something on its standard input.
    pub fn kubectl_with_input(&self, words: &[&str], input: &str) -> String {
        let mut command = self.command("kubectl", words);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        printed(child.wait_with_output().unwrap(), words)
    }

    pub fn get(&self, words: &[&str]) -> Value {
        let all = [&["get"], words, &["-o", "json"]].concat();
        serde_json::from_str(&self.kubectl(&all)).unwrap()
    }

    pub fn items(&self, words: &[&str]) -> Vec<Value> {
        self.get(words)["items"].as_array().unwrap().clone()
    }

    /// The cloud takes its time, as `tests/openstack/README.md` has it, until what this returns is dropped.
    pub fn slow(&self, point: &str, seconds: u32) -> Slow {
        let file = self.lab.join("state/inject").join(point);
        std::fs::write(&file, format!("delay {seconds}\n")).unwrap();
        Slow { file }
    }

    /// `tests/openstack/inventory`: a line for each thing that a driver can leave behind in the cloud.
    pub fn inventory(&self) -> Vec<String> {
        let mut command = Command::new(root().join("tests/openstack/inventory"));
        let output = command.env("CINDER_CSI_LAB", &self.lab).output().unwrap();
        printed(output, &["inventory"]).lines().map(str::to_owned).collect()
    }

    /// The cloud's own client, as the driver's project.
    pub fn openstack(&self, words: &[&str]) -> String {
        let mut command = Command::new(set("CINDER_CSI_LAB_VENV").join("bin/openstack"));
        command
            .args(["--os-cloud", "lab"])
            .args(words)
            .env("OS_CLIENT_CONFIG_FILE", self.lab.join("clouds.yaml"));
        printed(command.output().unwrap(), words).trim().to_owned()
    }

    /// `kubectl rollout status` of one of the driver's objects.
    pub fn rolled_out(&self, what: &str) {
        self.kubectl(&["-n", SYSTEM, "rollout", "status", what, "--timeout=120s"]);
    }

    /// No new pod comes to the node, until what this returns is dropped.
    pub fn cordoned(&self, node: &str) -> Undo<impl FnMut()> {
        self.kubectl(&["cordon", node]);
        Undo(move || drop(self.kubectl(&["uncordon", node])))
    }

    /// The node has the taint `key` until what this returns is dropped, or until somebody else removes it.
    pub fn tainted(&self, node: &str, key: &str, value_and_effect: &str) -> Undo<impl FnMut()> {
        self.kubectl(&["taint", "node", node, &format!("{key}={value_and_effect}")]);
        let removed = format!("{key}-");
        Undo(move || {
            if self.taints(node).iter().any(|left| left == key) {
                self.kubectl(&["taint", "node", node, &removed]);
            }
        })
    }

    /// The keys of a node's taints.
    pub fn taints(&self, node: &str) -> Vec<String> {
        let node = self.get(&["node", node]);
        let taints = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
        taints.iter().map(|taint| taint["key"].as_str().unwrap().to_owned()).collect()
    }

    /// The node has no power until what this returns is dropped; then it is ready again.
    pub fn cut(&self, node: &str) -> Undo<impl FnMut()> {
        let number = node.strip_prefix("node-").unwrap();
        self.script(&["cut", number]);
        let ready = format!("node/{node}");
        Undo(move || {
            self.script(&["restore", number]);
            self.kubectl(&["wait", "--for=condition=Ready", "--timeout=120s", &ready]);
        })
    }

    /// `tests/kubernetes/SCRIPT`.
    pub fn script(&self, words: &[&str]) -> String {
        let mut command = Command::new(root().join("tests/kubernetes").join(words[0]));
        printed(command.args(&words[1..]).output().unwrap(), words)
    }

    /// What runs in the cluster's pods with this word on its command line, as this machine numbers it.
    pub fn processes(&self, word: &str) -> Vec<i32> {
        let settled = std::fs::read_to_string(self.place.join("settled.json")).unwrap();
        let number = serde_json::from_str::<Value>(&settled).unwrap()["number"].clone();
        let cgroup = format!("/ccsi{number}/");
        let read =
            |pid: i32, file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let pids = std::fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
        let ours = |pid: &i32| {
            read(*pid, "cgroup").contains(&cgroup)
                && read(*pid, "cmdline").split('\0').any(|part| part == word)
        };
        pids.filter(ours).collect()
    }

    /// A namespace for one test.
    pub fn namespace(&self, name: &str) -> Namespace<'_> {
        self.kubectl(&["create", "namespace", name]);
        Namespace { cluster: self, name: name.to_owned() }
    }
}

/// Asks until the answer is there. What takes longer fails the test, with what was seen last.
pub fn until<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + patience;
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) if Instant::now() > end => panic!("{what}: not within {patience:?}: {seen}"),
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// For tests of one file that must not run side by side.
pub fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// What puts a pod on a node.
pub fn on_node(node: &str) -> Value {
    json!({ "nodeSelector": { "kubernetes.io/hostname": node } })
}

/// What a claim asks for.
pub fn sized(size: &str) -> Value {
    json!({ "resources": { "requests": { "storage": size } } })
}

pub fn is_ready(pod: &Value) -> bool {
    pod["status"]["containerStatuses"][0]["ready"] == true
}

fn printed(output: Output, words: &[&str]) -> String {
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {told}");
    String::from_utf8(output.stdout).unwrap()
}

fn refused(output: Output, words: &[&str]) -> String {
    assert!(!output.status.success(), "{words:?} was not refused");
    String::from_utf8(output.stderr).unwrap()
}

/// `more` over `into`, object by object.
pub fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more,
    }
}

/// Puts back what a test changed, however the test ends.
pub struct Undo<F: FnMut()>(pub F);

impl<F: FnMut()> Drop for Undo<F> {
    fn drop(&mut self) {
        // A panic that leaves a drop while another one is under way ends the process, and the other tests with it.
        let undone = catch_unwind(AssertUnwindSafe(&mut self.0));
        if let Err(why) = undone
            && !std::thread::panicking()
        {
            resume_unwind(why);
        }
    }
}

pub struct Slow {
    file: PathBuf,
}

impl Drop for Slow {
    fn drop(&mut self) {
        std::fs::remove_file(&self.file).unwrap();
    }
}
