//! What the chart renders, before a real API server that has none of it yet: `tests/run kubernetes` starts it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by them")]

#[path = "bed/cluster.rs"]
mod cluster;

use cluster::{Cluster, SYSTEM, Undo, root};
use serde_json::Value;

/// The kinds that a monitoring operator brings, by its own schemas: an API server without it refuses them.
fn monitoring(cluster: &Cluster) -> Undo<impl FnMut()> {
    let crds = cluster.tools.join("monitoring");
    cluster.kubectl(&["apply", "--server-side", "-f", crds.to_str().unwrap()]);
    let undo = Undo(move || drop(cluster.kubectl(&["delete", "-f", crds.to_str().unwrap()])));
    cluster.kubectl(&["wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"]);
    undo
}

#[test]
fn the_api_server_takes_every_variant() {
    let cluster = Cluster::up();
    let _monitoring = monitoring(&cluster);
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
}
