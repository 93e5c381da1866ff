//! The schemas of a real API server: Kubernetes' own OpenAPI documents, and the CRDs of the snapshotter.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// The schemas by `apiVersion` and `kind`.
#[derive(Default)]
pub struct Schemas {
    documents: Vec<Value>,
    kinds: BTreeMap<(String, String), Place>,
}

/// A document, and the schema's place in it: a JSON pointer.
struct Place {
    document: usize,
    pointer: String,
}

impl Schemas {
    pub fn load() -> Self {
        #[allow(clippy::disallowed_methods, reason = "tests/run says where the schemas are")]
        let directory = std::env::var("KUBERNETES_SCHEMAS")
            .expect("KUBERNETES_SCHEMAS must name the directory of the schemas: use `tests/run docs`");
        let mut schemas = Self::default();
        for file in files(Path::new(&directory)) {
            let text = fs::read_to_string(&file).unwrap();
            match file.extension().and_then(|end| end.to_str()) {
                Some("json") => schemas.add_group(serde_json::from_str(&text).unwrap()),
                Some("yaml") => schemas.add_definition(serde_saphyr::from_str(&text).unwrap()),
                _ => {}
            }
        }
        schemas
    }

    /// What is wrong with an object, in words.
    pub fn errors(&self, version: &str, kind: &str, object: &Value) -> Vec<String> {
        let Some(place) = self.kinds.get(&(version.to_owned(), kind.to_owned())) else {
            return vec![format!("{version} {kind} is no kind that is known here")];
        };
        let mut schema = self.documents[place.document].clone();
        schema["$ref"] = json!(format!("#{}", place.pointer));
        let validator = jsonschema::options().with_draft(jsonschema::Draft::Draft202012).build(&schema);
        let validator = validator.unwrap_or_else(|error| panic!("the schema of {kind}: {error}"));
        validator.iter_errors(object).map(|error| format!("{}: {error}", error.instance_path())).collect()
    }

    /// One group's OpenAPI document: <https://github.com/kubernetes/kubernetes/tree/master/api/openapi-spec>.
    fn add_group(&mut self, mut document: Value) {
        let parts = json!({"components": document["components"].take()});
        for (name, part) in parts["components"]["schemas"].as_object().unwrap() {
            for kind in part["x-kubernetes-group-version-kind"].as_array().into_iter().flatten() {
                self.add(key(kind), format!("/components/schemas/{name}"));
            }
        }
        self.keep(parts);
    }

    /// A CustomResourceDefinition.
    fn add_definition(&mut self, definition: Value) {
        let (group, kind) = (text(&definition["spec"], "group"), text(&definition["spec"]["names"], "kind"));
        for (number, version) in definition["spec"]["versions"].as_array().into_iter().flatten().enumerate() {
            let api = format!("{group}/{}", text(version, "name"));
            let pointer = format!("/spec/versions/{number}/schema/openAPIV3Schema");
            self.add((api, kind.to_owned()), pointer);
        }
        self.keep(json!({"spec": &definition["spec"]}));
    }

    /// A kind of the document that is kept next.
    fn add(&mut self, kind: (String, String), pointer: String) {
        self.kinds.insert(kind, Place { document: self.documents.len(), pointer });
    }

    fn keep(&mut self, mut document: Value) {
        close(&mut document);
        self.documents.push(document);
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_default()
}

fn key(kind: &Value) -> (String, String) {
    let api = match text(kind, "group") {
        "" => text(kind, "version").to_owned(),
        group => format!("{group}/{}", text(kind, "version")),
    };
    (api, text(kind, "kind").to_owned())
}

/// An API server's strict validation refuses a field that it doesn't know; its schemas leave that unsaid.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation>
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            let open = fields.get("x-kubernetes-preserve-unknown-fields").is_some();
            if fields.get("properties").is_some_and(Value::is_object)
                && !open
                && !fields.contains_key("additionalProperties")
            {
                fields.insert("additionalProperties".to_owned(), json!(false));
            }
            fields.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}
