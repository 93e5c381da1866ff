//! Helm, as a user runs it, without a cluster.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;

use crate::documents;

/// What the tests say they are; a chart may ask.
fn kubernetes() -> &'static str {
    let pins = include_str!("../kubernetes/modules/cluster/go.mod");
    pins.lines().find_map(|line| line.trim().strip_prefix("k8s.io/kubernetes v")).unwrap()
}

/// A line of a variant whose values come over the existing chart's defaults.
const OLD_DEFAULTS: &str = "# defaults: tests/chart/old/values.yaml\n";

/// A chart's directory.
#[derive(Clone, Copy, Debug)]
pub struct Chart(&'static str);

impl Chart {
    pub const OURS: Self = Self("charts/cinder-csi");
    /// The existing driver's objects.
    pub const OLD: Self = Self("tests/chart/old");

    pub fn name(self) -> &'static str {
        self.0.rsplit('/').next().unwrap()
    }

    pub fn path(self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(self.0)
    }
}

/// Values of a user's: a file of tests/chart/variants.
#[derive(Clone, Debug)]
pub struct Variant {
    pub name: String,
    chart: PathBuf,
    values: PathBuf,
}

impl Variant {
    pub fn all() -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chart/variants");
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        names.sort();
        names.iter().map(|name| Self::named(name)).collect()
    }

    pub fn named(name: &str) -> Self {
        let values = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/chart/variants/{name}.yaml"));
        let reused = fs::read_to_string(&values).unwrap().contains(OLD_DEFAULTS);
        let chart = if reused { with_old_defaults() } else { Chart::OURS.path() };
        Self { name: name.to_owned(), chart, values }
    }

    fn values(&self) -> [String; 2] {
        ["--values".to_owned(), self.values.display().to_string()]
    }

    pub fn lint(&self) {
        let output =
            helm(["lint", "--strict", &self.chart.display().to_string()].map(str::to_owned), self.values());
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && !said.contains("[WARNING]"), "{}: {said}", self.name);
        let refused = String::from_utf8_lossy(&output.stderr);
        assert!(!refused.contains("Fail:"), "{}: {refused}", self.name);
    }

    pub fn manifest(&self) -> String {
        rendered(template(&self.chart, self.values()))
    }

    pub fn objects(&self) -> Vec<Value> {
        objects(&self.manifest())
    }

    /// What an install says in the end.
    pub fn notes(&self) -> String {
        notes(&self.chart, &self.name, self.values())
    }

    /// The only object of its kind.
    pub fn find(&self, kind: &str) -> Value {
        let mut found: Vec<_> = self.objects().into_iter().filter(|object| object["kind"] == kind).collect();
        assert_eq!(found.len(), 1, "{}: {kind}", self.name);
        found.remove(0)
    }

    pub fn args(&self, kind: &str, container: &str) -> Vec<String> {
        let spec = &self.find(kind)["spec"]["template"]["spec"];
        let containers = spec["containers"].as_array().unwrap();
        let found = containers.iter().find(|one| one["name"] == container).unwrap();
        found["args"].as_array().unwrap().iter().map(|arg| text(arg).to_owned()).collect()
    }
}

/// `helm template` of a chart with `--set`.
pub fn template_set(chart: Chart, set: &[&str]) -> Output {
    template_on(kubernetes(), chart, set)
}

pub fn template_on(kubernetes: &str, chart: Chart, set: &[&str]) -> Output {
    let version = ["--kube-version", kubernetes].map(str::to_owned);
    template(&chart.path(), version.into_iter().chain(each("--set", set)))
}

/// What `helm template --show-only` of our chart shows, as a release of that name.
pub fn show_only(release: &str, file: &str, set: &[&str]) -> Vec<Value> {
    let chart = Chart::OURS.path().display().to_string();
    let command = ["template", release, &chart, "-n", "kube-system", "--show-only", file];
    objects(&rendered(helm(command.map(str::to_owned), each("--set", set))))
}

/// What an install with `--set` says in the end; `name` is the test's.
pub fn notes_set(name: &str, set: &[&str]) -> String {
    notes(&Chart::OURS.path(), name, each("--set", set))
}

/// The same where the chart sees a cluster that has these APIs beside Kubernetes' own.
pub fn notes_in_cluster(name: &str, apis: &[&str], set: &[&str]) -> String {
    let copy = copy(&Chart::OURS.path(), &format!("cluster-{name}"));
    let file = copy.join("templates/_cluster.tpl");
    let asking = r#"lookup "v1" "Namespace" "" .Release.Namespace"#;
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text.matches(asking).count(), 1);
    fs::write(file, text.replace(asking, "true")).unwrap();
    notes(&copy, name, each("--api-versions", apis).chain(each("--set", set)))
}

/// Helm shows the notes to those who have a cluster, so a template of ours shows them here.
fn notes(chart: &Path, name: &str, values: impl IntoIterator<Item = String>) -> String {
    let copy = copy(chart, &format!("notes-{name}"));
    fs::copy(copy.join("templates/NOTES.txt"), copy.join("notes")).unwrap();
    let show = r#"notes: {{ tpl (.Files.Get "notes") . | toJson }}"#;
    fs::write(copy.join("templates/notes.yaml"), show).unwrap();
    let all = objects(&rendered(template(&copy, values)));
    text(all.iter().find_map(|object| object.get("notes")).unwrap()).to_owned()
}

pub fn rendered(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub fn objects(manifest: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(manifest).unwrap();
    all.into_iter().filter(|object| !object.is_null()).collect()
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A flag before each of them.
fn each(flag: &str, values: &[&str]) -> impl Iterator<Item = String> {
    values.iter().flat_map(move |value| [flag.to_owned(), (*value).to_owned()])
}

fn template(chart: &Path, values: impl IntoIterator<Item = String>) -> Output {
    let chart = chart.display().to_string();
    helm(["template", "cinder-csi", &chart, "--namespace", "kube-system"].map(str::to_owned), values)
}

/// `--reuse-values`: Helm puts the defaults of the release that is there in place of the chart's own
/// (<https://github.com/helm/helm/blob/v3.21.3/pkg/action/upgrade.go>, `reuseValues`).
fn with_old_defaults() -> PathBuf {
    static COPY: OnceLock<PathBuf> = OnceLock::new();
    let make = || {
        let copy = copy(&Chart::OURS.path(), "old-defaults");
        fs::copy(Chart::OLD.path().join("values.yaml"), copy.join("values.yaml")).unwrap();
        // The file may be out of date, which is for another test to say.
        fs::write(copy.join("defaults.yaml"), documents::defaults()).unwrap();
        copy
    };
    COPY.get_or_init(make).clone()
}

fn copy(chart: &Path, name: &str) -> PathBuf {
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("chart-{name}"));
    let _ = fs::remove_dir_all(&copy);
    #[allow(clippy::disallowed_methods, reason = "a test may run it")]
    let status = Command::new("cp").arg("-r").arg(chart).arg(&copy).status().unwrap();
    assert!(status.success());
    copy
}

#[allow(clippy::disallowed_methods, reason = "tests/run says where Helm is, and a test may run it")]
fn helm(command: impl IntoIterator<Item = String>, values: impl IntoIterator<Item = String>) -> Output {
    let helm = std::env::var("HELM").expect("HELM must name the program: use `tests/run chart`");
    let mut run = Command::new(helm);
    run.args(command).args(["--kube-version", kubernetes()]).args(values);
    run.output().unwrap()
}
