//! Every manifest in the docs is what a real API server takes: its own schema for each kind, and the snapshotter's CRDs.
//!
//! `tests/run docs` gets the schemas, and says where they are in `KUBERNETES_SCHEMAS`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by them")]

#[path = "docs_manifests/schema.rs"]
mod schema;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use schema::Schemas;
use serde_json::Value;

/// A manifest, and where it stands.
struct Manifest {
    place: String,
    object: Value,
}

impl Manifest {
    fn text(&self, field: &str) -> &str {
        self.object[field].as_str().unwrap_or_default()
    }
}

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<_> = docs.filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
    pages.push(root.join("README.md"));
    pages.sort();
    pages
}

/// The objects in a page's blocks of YAML. A block without `apiVersion` is no manifest.
fn manifests(page: &Path) -> Vec<Manifest> {
    let text = fs::read_to_string(page).unwrap();
    let name = page.file_name().unwrap().to_str().unwrap();
    let mut found = Vec::new();
    let mut block: Option<(usize, String)> = None;
    for (number, line) in text.lines().enumerate() {
        match &mut block {
            None if line.trim_start().starts_with("```yaml") => block = Some((number + 1, String::new())),
            None => {}
            Some((began, yaml)) if line.trim_start().starts_with("```") => {
                let place = format!("{name}:{began}");
                if yaml.contains("apiVersion:") {
                    let objects: Vec<Value> =
                        serde_saphyr::from_multiple(yaml).unwrap_or_else(|error| panic!("{place}: {error}"));
                    let manifest = |object| Manifest { place: place.clone(), object };
                    found.extend(objects.into_iter().map(manifest));
                }
                block = None;
            }
            Some((_, yaml)) => {
                yaml.push_str(line);
                yaml.push('\n');
            }
        }
    }
    assert!(block.is_none(), "{name}: a block of YAML has no end");
    found
}

fn every_manifest() -> Vec<Manifest> {
    pages().iter().flat_map(|page| manifests(page)).collect()
}

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
