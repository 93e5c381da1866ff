//! A Kubernetes API as far as the driver asks it, with JSON of its own.
//!
//! What it checks is what the real one checks: <https://github.com/kubernetes/kubernetes/blob/master/pkg/apis/core/validation/events.go>.

#![allow(dead_code, reason = "each test crate uses its part of the API")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub const TOKEN: &str = "canary-kube-token";

/// Cheap to clone: the clones are one server.
#[derive(Clone)]
pub struct Api {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    claims: BTreeMap<String, Value>,
    persistent: BTreeMap<String, Value>,
    events: BTreeMap<String, Value>,
    /// Objects of other kinds, by their paths.
    objects: BTreeMap<String, Value>,
    requests: Vec<String>,
    mishap: Mishap,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum Mishap {
    #[default]
    None,
    /// No answer ever comes.
    Silent,
    Status(u16),
}

impl Api {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = Self { address: listener.local_addr().unwrap(), state: Arc::default() };
        let server = api.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let api = server.clone();
                let service = service_fn(move |request| api.clone().answer(request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        api
    }

    /// A file as `kubectl` has it.
    pub fn kubeconfig(&self) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts:\n- name: c\n  context: {{cluster: k, user: u}}\n\
             clusters:\n- name: k\n  cluster: {{server: \"http://{}\"}}\nusers:\n- name: u\n  user: {{token: {TOKEN}}}\n",
            self.address
        )
    }

    /// A PVC of the namespace `shop`, bound where it has a volume.
    pub fn claim(&self, name: &str, volume: Option<&str>, annotations: Value) {
        let claim = json!({
            "kind": "PersistentVolumeClaim", "apiVersion": "v1",
            "metadata": {
                "name": name, "namespace": "shop", "uid": format!("uid-of-{name}"), "annotations": annotations,
                "creationTimestamp": "2026-01-01T00:00:00Z", "resourceVersion": "7",
            },
            "spec": {
                "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } },
                "storageClassName": "csi-cinder-sc-delete", "volumeMode": "Filesystem",
            },
            "status": { "phase": if volume.is_some() { "Bound" } else { "Pending" } },
        });
        let mut claim = claim;
        if let Some(volume) = volume {
            claim["spec"]["volumeName"] = json!(volume);
        }
        self.state.lock().unwrap().claims.insert(name.to_owned(), claim);
    }

    pub fn persistent(&self, name: &str, source: Value) {
        let mut spec = json!({ "capacity": { "storage": "1Gi" }, "accessModes": ["ReadWriteOnce"] });
        spec.as_object_mut().unwrap().extend(source.as_object().unwrap().clone());
        let volume = json!({
            "kind": "PersistentVolume", "apiVersion": "v1", "metadata": { "name": name, "uid": name }, "spec": spec,
        });
        self.state.lock().unwrap().persistent.insert(name.to_owned(), volume);
    }

    /// An object at its path, such as `/api/v1/nodes/node-1`.
    pub fn put(&self, path: &str, object: Value) {
        self.state.lock().unwrap().objects.insert(path.to_owned(), object);
    }

    pub fn object(&self, path: &str) -> Value {
        self.state.lock().unwrap().objects[path].clone()
    }

    pub fn remove(&self, path: &str) {
        self.state.lock().unwrap().objects.remove(path);
    }

    pub fn remove_claim(&self, name: &str) {
        self.state.lock().unwrap().claims.remove(name);
    }

    /// As after an hour.
    pub fn forget_events(&self) {
        self.state.lock().unwrap().events.clear();
    }

    pub fn events(&self) -> Vec<Value> {
        self.state.lock().unwrap().events.values().cloned().collect()
    }

    pub fn meet(&self, mishap: Mishap) {
        self.state.lock().unwrap().mishap = mishap;
    }

    /// "GET /path" of each request.
    pub fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let mishap = {
            let mut state = self.state.lock().unwrap();
            state.requests.push(format!("{} {}", head.method, head.uri.path()));
            state.mishap
        };
        let (status, body) = match mishap {
            Mishap::Silent => std::future::pending().await,
            Mishap::Status(code) => failure(code, "the server met a mishap"),
            Mishap::None => self.serve(&head, &body),
        };
        let response = Response::builder().status(status).header("content-type", "application/json");
        Ok(response.body(Full::new(body.to_string().into())).unwrap())
    }

    fn serve(&self, head: &http::request::Parts, body: &[u8]) -> (u16, Value) {
        let bearer = head.headers.get("authorization").and_then(|value| value.to_str().ok());
        if bearer != Some(&format!("Bearer {TOKEN}")) {
            return failure(401, "Unauthorized");
        }
        let path: Vec<_> = head.uri.path().trim_start_matches('/').split('/').collect();
        let mut state = self.state.lock().unwrap();
        match (&head.method, path.as_slice()) {
            (&Method::GET, ["api", "v1", "namespaces", "shop", "persistentvolumeclaims", name]) => {
                found(state.claims.get(*name), "persistentvolumeclaims", name)
            }
            (&Method::GET, ["api", "v1", "persistentvolumes", name]) => {
                found(state.persistent.get(*name), "persistentvolumes", name)
            }
            (&Method::POST, ["api", "v1", "namespaces", namespace, "events"]) => {
                create(&mut state.events, namespace, serde_json::from_slice(body).unwrap())
            }
            (&Method::PATCH, ["api", "v1", "namespaces", _, "events", name]) => {
                assert_eq!(head.headers["content-type"], "application/merge-patch+json");
                let Some(event) = state.events.get_mut(*name) else {
                    return failure(404, "events not found");
                };
                let patch: Value = serde_json::from_slice(body).unwrap();
                for (key, value) in patch.as_object().unwrap() {
                    event[key] = value.clone();
                }
                (200, event.clone())
            }
            (&Method::GET, [.., kind, _]) if state.objects.contains_key(head.uri.path()) => {
                found(state.objects.get(head.uri.path()), kind, "")
            }
            (&Method::PATCH, ["api", "v1", "nodes", _]) => {
                assert_eq!(head.headers["content-type"], "application/json-patch+json");
                match state.objects.get_mut(head.uri.path()) {
                    Some(object) => json_patch(object, &serde_json::from_slice(body).unwrap()),
                    None => failure(404, "nodes not found"),
                }
            }
            (&Method::GET, [.., "volumeattachments"]) => list(&state.objects, &head.uri),
            _ => failure(404, "the server could not find the requested resource"),
        }
    }
}

fn found(object: Option<&Value>, kind: &str, name: &str) -> (u16, Value) {
    match object {
        Some(object) => (200, object.clone()),
        None => failure(404, &format!("{kind} \"{name}\" not found")),
    }
}

/// `test` and `remove`, all or nothing: <https://www.rfc-editor.org/rfc/rfc6902>.
fn json_patch(object: &mut Value, patch: &Value) -> (u16, Value) {
    let mut patched = object.clone();
    for step in patch.as_array().unwrap() {
        let path = step["path"].as_str().unwrap();
        let done = match step["op"].as_str().unwrap() {
            "test" => patched.pointer(path) == Some(&step["value"]),
            "remove" => remove(&mut patched, path),
            other => panic!("{other}"),
        };
        if !done {
            return failure(422, "the server rejected our request due to an error in our request");
        }
    }
    *object = patched;
    (200, object.clone())
}

fn remove(object: &mut Value, path: &str) -> bool {
    let (list, place) = path.rsplit_once('/').unwrap();
    let place: usize = place.parse().unwrap();
    match object.pointer_mut(list).and_then(Value::as_array_mut) {
        Some(list) if place < list.len() => {
            list.remove(place);
            true
        }
        _ => false,
    }
}

/// Two in a page, whatever the client asks for: a server may give fewer.
fn list(objects: &BTreeMap<String, Value>, uri: &http::Uri) -> (u16, Value) {
    let query = uri.query().unwrap_or_default();
    let after = query.split('&').find_map(|pair| pair.strip_prefix("continue=")).unwrap_or_default();
    let below = format!("{}/", uri.path());
    let rest: Vec<_> = objects.iter().filter(|(path, _)| path.starts_with(&below)).collect();
    let rest: Vec<_> = rest.into_iter().filter(|(path, _)| path[below.len()..] > *after).collect();
    let page: Vec<_> = rest.iter().take(2).collect();
    let next = if rest.len() > 2 { &page[1].0[below.len()..] } else { "" };
    let items: Vec<_> = page.iter().map(|(_, object)| (*object).clone()).collect();
    (200, json!({"kind": "List", "apiVersion": "v1", "metadata": {"continue": next}, "items": items}))
}

fn create(events: &mut BTreeMap<String, Value>, namespace: &str, event: Value) -> (u16, Value) {
    let object = &event["involvedObject"];
    let kind = (event["kind"].as_str(), event["apiVersion"].as_str());
    if !matches!(kind, (Some("Event"), Some("v1"))) {
        return failure(400, "the object is no Event of v1");
    }
    if object["namespace"] != event["metadata"]["namespace"] || object["namespace"] != namespace {
        return failure(422, "involvedObject.namespace: does not match event.namespace");
    }
    let is_time =
        |key: &str| event[key].as_str().is_some_and(|time| time.ends_with('Z') && time.contains('T'));
    let is_known = event["type"] == "Warning" || event["type"] == "Normal";
    if !is_known || !is_time("firstTimestamp") || !is_time("lastTimestamp") {
        return failure(422, "the Event has no type or no times");
    }
    let name = event["metadata"]["name"].as_str().unwrap().to_owned();
    if events.insert(name, event.clone()).is_some() {
        return failure(409, "events already exists");
    }
    (201, event)
}

fn failure(code: u16, message: &str) -> (u16, Value) {
    let reason = match code {
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        _ => "InternalError",
    };
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
        "reason": reason, "code": code,
    });
    (code, status)
}
