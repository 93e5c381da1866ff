//! What each metric of the program means, for the `# HELP` lines of `/metrics`. docs/metrics.md says more.

use metrics::{describe_counter, describe_gauge, describe_histogram};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

const ALL: [(&str, Kind, &str); 19] = [
    ("cinder_csi_rpc_duration_seconds", Kind::Histogram, "How long RPCs took, by method and gRPC code."),
    (
        "openstack_api_request_duration_seconds",
        Kind::Histogram,
        "How long calls to OpenStack took, with their retries and waits.",
    ),
    ("openstack_api_requests_total", Kind::Counter, "Requests to OpenStack over HTTP, by status."),
    (
        "openstack_api_request_errors_total",
        Kind::Counter,
        "Those of them that got another answer than 2xx, or none.",
    ),
    (
        "openstack_token_expiry_timestamp_seconds",
        Kind::Gauge,
        "When the token in use expires, in seconds since 1970.",
    ),
    ("openstack_api_retries_total", Kind::Counter, "Calls to OpenStack that were tried again."),
    (
        "cinder_csi_cloud_usable",
        Kind::Gauge,
        "Whether the cloud was usable at the last look: at the start, after changed settings, and until it is.",
    ),
    (
        "cinder_csi_unhealthy_volumes",
        Kind::Gauge,
        "Volumes of this cluster with something wrong, at the last look.",
    ),
    (
        "cinder_csi_health_looks_total",
        Kind::Counter,
        "Looks at the health of all volumes, by how they ended.",
    ),
    ("cinder_csi_events_dropped_total", Kind::Counter, "Kubernetes Events that were not written, and why."),
    (
        "cinder_csi_unknown_parameters_total",
        Kind::Counter,
        "Parameters of requests that nobody knows, and that were ignored.",
    ),
    (
        "cinder_csi_stage_phase_duration_seconds",
        Kind::Histogram,
        "How long the phases of staging a volume took.",
    ),
    (
        "cinder_csi_node_attach_limit",
        Kind::Gauge,
        "How many volumes this node takes, as the kubelet was told.",
    ),
    ("cinder_csi_node_attached_volumes", Kind::Gauge, "Disks of this node that are volumes."),
    ("cinder_csi_waiting_operations", Kind::Gauge, "Operations that wait for the cloud to be done."),
    ("cinder_csi_longest_wait_seconds", Kind::Gauge, "How long the oldest of them has waited."),
    ("cinder_csi_looks_total", Kind::Counter, "Looks at the cloud for all who wait."),
    (
        "openstack_api_budget_per_second",
        Kind::Gauge,
        "Requests a second that the driver allows itself; none before the cloud's first 429.",
    ),
    ("cinder_csi_tasks", Kind::Gauge, "Asynchronous tasks that are alive."),
];

/// Tells them to the recorder that is installed.
pub(super) fn describe() {
    for (name, kind, meaning) in ALL {
        match kind {
            Kind::Counter => describe_counter!(name, meaning),
            Kind::Gauge => describe_gauge!(name, meaning),
            Kind::Histogram => describe_histogram!(name, meaning),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// A call of one of the facade's macros: the name, the kind, and those labels that stand in the call.
    struct Use {
        name: String,
        kind: Kind,
        labels: Vec<String>,
    }

    fn uses(directory: &Path) -> Vec<Use> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("telemetry") {
                found.extend(uses(&path));
            } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("telemetry.rs") {
                found.extend(uses_in(&std::fs::read_to_string(&path).unwrap()));
            }
        }
        found
    }

    fn uses_in(source: &str) -> Vec<Use> {
        let macros = [("counter", Kind::Counter), ("gauge", Kind::Gauge), ("histogram", Kind::Histogram)];
        let mut found = Vec::new();
        for (word, kind) in macros {
            let opening = format!("metrics::{word}!(");
            found.extend(source.split(&opening).skip(1).map(|call| read(call, kind)));
        }
        found
    }

    fn read(rest: &str, kind: Kind) -> Use {
        let call = rest.split(';').next().unwrap();
        let mut texts = call.split('"').skip(1).step_by(2);
        let name = texts.next().unwrap().to_owned();
        let labels = texts.filter(|text| call.contains(&format!("\"{text}\" =>"))).map(str::to_owned);
        Use { name, kind, labels: labels.collect() }
    }

    #[test]
    fn every_metric_in_the_source_is_described_and_documented() {
        let manual = include_str!("../../docs/metrics.md").split("\n## ").next().unwrap();
        let row = |name: &str| manual.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let used = uses(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
        for Use { name, kind, labels } in &used {
            let described = ALL.iter().any(|(known, of, _)| known == name && of == kind);
            assert!(described, "{name} is missing in ALL, or is of another kind there");
            let row = row(name).unwrap_or_else(|| panic!("docs/metrics.md has no row of {name}"));
            let kind = format!("{kind:?}").to_lowercase();
            assert!(row.contains(&format!("| {kind} |")), "{name} is a {kind}: {row}");
            for label in labels {
                assert!(row.contains(&format!("`{label}`")), "{name} has a label {label}: {row}");
            }
        }
        for (name, ..) in ALL {
            assert!(used.iter().any(|metric| metric.name == name), "{name} is exported by nobody");
        }
        let rows = manual.lines().filter(|line| line.starts_with("| `")).count();
        assert_eq!(rows, ALL.len(), "docs/metrics.md has a row of a metric that isn't there");
    }
}
