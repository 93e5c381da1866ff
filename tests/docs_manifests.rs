//! Every manifest in the docs is what a real API server takes: its own schema for each kind, and the snapshotter's CRDs.
//!
//! `tests/run docs` gets the schemas, and says where they are in `KUBERNETES_SCHEMAS`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by them")]

#[path = "docs_manifests/pages.rs"]
mod pages;
#[path = "docs_manifests/schema.rs"]
mod schema;

use std::collections::BTreeSet;

use pages::every_manifest;
use schema::Schemas;

#[test]
fn every_manifest_of_the_docs_is_what_an_api_server_takes() {
    let schemas = Schemas::load();
    let mut wrong = Vec::new();
    let mut kinds = BTreeSet::new();
    for manifest in every_manifest() {
        let (version, kind) = (manifest.text("apiVersion"), manifest.text("kind"));
        kinds.insert(kind.to_owned());
        let errors = schemas.errors(version, kind, &manifest.object);
        wrong.extend(errors.into_iter().map(|error| format!("{}: {kind}: {error}", manifest.place)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for kind in ["StorageClass", "PersistentVolumeClaim", "VolumeSnapshot", "VolumeSnapshotClass"] {
        assert!(kinds.contains(kind), "the docs show no {kind}");
    }
}

#[test]
fn a_manifest_with_a_field_that_no_api_server_knows_is_found() {
    let schemas = Schemas::load();
    let class = |field: &str| {
        serde_json::json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
            "metadata": {"name": "fast"}, "provisioner": "cinder.csi.openstack.org", field: "Immediate"})
    };
    assert_eq!(schemas.errors("storage.k8s.io/v1", "StorageClass", &class("volumeBindingMode")), [""; 0]);
    let errors = schemas.errors("storage.k8s.io/v1", "StorageClass", &class("volumeBindingMood"));
    assert!(errors.iter().any(|error| error.contains("volumeBindingMood")), "{errors:?}");
    let snapshot = |field: &str| {
        serde_json::json!({"apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshot",
            "metadata": {"name": "s"}, "spec": {"source": {field: "data"}}})
    };
    let errors = schemas.errors("snapshot.storage.k8s.io/v1", "VolumeSnapshot", &snapshot("claim"));
    assert!(!errors.is_empty());
    let name = "persistentVolumeClaimName";
    assert_eq!(schemas.errors("snapshot.storage.k8s.io/v1", "VolumeSnapshot", &snapshot(name)), [""; 0]);
}
