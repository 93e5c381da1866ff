//! What the chart renders, before a real API server that has none of it yet: `tests/run kubernetes` starts it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by them")]

#[path = "bed/cluster.rs"]
mod cluster;

use cluster::{Cluster, SYSTEM, root};
use serde_json::{Value, json};

/// Kinds that a monitoring operator brings: an API server without it refuses them.
const MONITORING: [(&str, &str); 3] = [
    ("podmonitors", "PodMonitor"),
    ("servicemonitors", "ServiceMonitor"),
    ("prometheusrules", "PrometheusRule"),
];

fn define(cluster: &Cluster, plural: &str, kind: &str) {
    let name = format!("{plural}.monitoring.coreos.com");
    let schema =
        json!({ "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } });
    cluster.apply(&json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": { "name": name },
        "spec": {
            "group": "monitoring.coreos.com", "scope": "Namespaced",
            "names": { "plural": plural, "kind": kind, "singular": kind.to_lowercase() },
            "versions": [{ "name": "v1", "served": true, "storage": true, "schema": schema }],
        },
    }));
    cluster.kubectl(&["wait", "--for=condition=Established", "--timeout=60s", &format!("crd/{name}")]);
}

#[test]
fn the_api_server_takes_every_variant() {
    let cluster = Cluster::up();
    for (plural, kind) in MONITORING {
        define(&cluster, plural, kind);
    }
    let chart = root().join("charts/cinder-csi");
    let old = root().join("tests/chart/old/values.yaml");
    let version: Value = serde_json::from_str(&cluster.kubectl(&["version", "-o", "json"])).unwrap();
    let version = format!("--kube-version={}", version["serverVersion"]["gitVersion"].as_str().unwrap());
    let variants: Vec<_> = std::fs::read_dir(root().join("tests/chart/variants")).unwrap().collect();
    assert!(!variants.is_empty());
    for variant in variants {
        let values = variant.unwrap().path();
        let mut template = vec!["template", "cinder-csi", chart.to_str().unwrap(), "-n", SYSTEM];
        // `--reuse-values`: the old chart's defaults go before ours.
        if values.ends_with("legacy-reuse.yaml") {
            template.extend(["-f", old.to_str().unwrap()]);
        }
        template.extend([
            "-f",
            values.to_str().unwrap(),
            &version,
            "--api-versions=monitoring.coreos.com/v1",
        ]);
        let rendered = cluster.helm(&template);
        let taken = cluster
            .kubectl_with_input(&["apply", "--dry-run=server", "--validate=strict", "-f", "-"], &rendered);
        let name = values.file_stem().unwrap().display();
        let all = rendered.lines().filter(|line| line.starts_with("kind: ")).count();
        assert_eq!(taken.lines().count(), all, "{name}: {taken}");
        println!("{name}: {all} objects");
    }
    for (plural, _) in MONITORING {
        cluster.kubectl(&["delete", "crd", &format!("{plural}.monitoring.coreos.com")]);
    }
}
