//! The manifests in the docs.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A manifest, and where it stands.
pub struct Manifest {
    pub place: String,
    pub object: Value,
}

impl Manifest {
    pub fn text(&self, field: &str) -> &str {
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

pub fn every_manifest() -> Vec<Manifest> {
    pages().iter().flat_map(|page| manifests(page)).collect()
}
