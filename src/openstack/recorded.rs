//! A cloud for tests: a service at the place of HTTP that plays recorded answers and keeps what it was asked.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use secrecy::SecretString;
use serde_json::{Value, json};
use tower::service_fn;

use super::options::{Credential, Options, Scope, User, UserDomain};
use super::{Cloud, Http};
use crate::pace;

pub const TOKENS: &str = "POST /v3/auth/tokens";
pub const CINDER_VERSIONS: &str = "GET /volume/v3/";
pub const NOVA_VERSIONS: &str = "GET /compute/v2.1/";
pub const VOLUME_ID: &str = "6f1f0c66-4c3e-4b7e-9d51-0a1b2c3d4e5f";
pub const SERVER_ID: &str = "565a704c-1cc8-4653-af53-6e8bc1dc4022";
pub const VOLUME: &str = "GET /volume/v3/p/volumes/6f1f0c66-4c3e-4b7e-9d51-0a1b2c3d4e5f";
pub const CANARY: &str = "canary-password";

/// An answer to play.
#[derive(Clone)]
pub struct Reply {
    status: Result<u16, io::ErrorKind>,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
    after: Duration,
}

/// What was asked.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `GET /path`
    pub call: String,
    pub query: String,
    pub headers: http::HeaderMap,
    pub body: Bytes,
}

/// Cheap to clone: the clones are one cloud.
#[derive(Clone, Default)]
pub struct Recorded(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    replies: HashMap<String, VecDeque<Reply>>,
    seen: Vec<Seen>,
    tokens: u32,
    revoked: Option<&'static str>,
}

impl Reply {
    pub fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self { status: Ok(status), headers: Vec::new(), body: body.into(), after: Duration::ZERO }
    }

    pub fn json(status: u16, body: Value) -> Self {
        Self::new(status, body.to_string())
    }

    pub fn broken(kind: io::ErrorKind) -> Self {
        Self { status: Err(kind), ..Self::new(0, "") }
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub fn after(mut self, time: Duration) -> Self {
        self.after = time;
        self
    }

    pub fn status(&self) -> Result<u16, io::ErrorKind> {
        self.status
    }

    async fn play(self) -> io::Result<http::Response<Bytes>> {
        pace::sleep(self.after).await;
        let mut response = http::Response::builder().status(self.status?);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        response.body(self.body).map_err(io::Error::other)
    }
}

impl Recorded {
    /// Answers `call` ("GET /path") with these, one after the other; the last one stays.
    pub fn on(&self, call: &str, replies: impl IntoIterator<Item = Reply>) {
        self.0.lock().unwrap().replies.insert(call.to_owned(), replies.into_iter().collect());
    }

    /// No service takes this token any more.
    pub fn revoke(&self, token: &'static str) {
        self.0.lock().unwrap().revoked = Some(token);
    }

    pub fn seen(&self, call: &str) -> Vec<Seen> {
        self.0.lock().unwrap().seen.iter().filter(|seen| seen.call == call).cloned().collect()
    }

    pub fn count(&self, call: &str) -> usize {
        self.seen(call).len()
    }

    pub fn http(&self) -> Http {
        let cloud = self.clone();
        Http::new(service_fn(move |request| {
            let reply = cloud.answer(request);
            async move { reply.play().await }
        }))
    }

    pub fn cloud(&self) -> Cloud {
        Cloud::new(self.http(), options())
    }

    fn answer(&self, request: http::Request<Bytes>) -> Reply {
        let mut state = self.0.lock().unwrap();
        let call = format!("{} {}", request.method(), request.uri().path());
        let (query, headers) =
            (request.uri().query().unwrap_or_default().to_owned(), request.headers().clone());
        let sent = headers.get("x-auth-token").and_then(|token| token.to_str().ok());
        let refused = sent.is_some() && sent == state.revoked;
        state.seen.push(Seen { call: call.clone(), query, headers, body: request.into_body() });
        if refused {
            return unauthorized().after(Duration::from_millis(10));
        }
        if let Some(replies) = state.replies.get_mut(&call) {
            let last = replies.len() == 1;
            return if last { replies[0].clone() } else { replies.pop_front().unwrap() };
        }
        match call.as_str() {
            TOKENS => {
                state.tokens += 1;
                token(&format!("token-{}", state.tokens), "2026-01-01T01:00:00.000000Z")
            }
            CINDER_VERSIONS => Reply::json(
                200,
                json!({"versions": [{"id": "v3.0", "version": "3.71", "min_version": "3.0"}]}),
            ),
            NOVA_VERSIONS => {
                Reply::json(200, json!({"version": {"id": "v2.1", "version": "2.104", "min_version": "2.1"}}))
            }
            _ => {
                Reply::json(404, json!({"itemNotFound": {"code": 404, "message": "It could not be found."}}))
            }
        }
    }
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Keystone's answer, issued at the beginning of 2026 by the cloud's clock, whatever ours says.
pub fn token(token: &str, expires_at: &str) -> Reply {
    let endpoint = |url: &str| json!([{"interface": "public", "region_id": "RegionOne", "url": url}]);
    let body = json!({"token": {
        "expires_at": expires_at,
        "issued_at": "2026-01-01T00:00:00.000000Z",
        "project": {"id": "p", "name": "k8s"},
        "catalog": [
            {"type": "compute", "name": "nova", "endpoints": endpoint("http://cloud/compute/v2.1")},
            {"type": "block-storage", "name": "cinder", "endpoints": endpoint("http://cloud/volume/v3/p")},
        ]
    }});
    Reply::json(201, body).header("X-Subject-Token", token).header("Date", "Thu, 01 Jan 2026 00:00:00 GMT")
}

pub fn volume(status: &str) -> Reply {
    Reply::json(200, json!({"volume": {"id": VOLUME_ID, "status": status, "size": 1}}))
}

pub fn unauthorized() -> Reply {
    let fault = json!({"error": {
        "code": 401, "title": "Unauthorized", "message": "The request you have made requires authentication."
    }});
    Reply::json(401, fault).header("X-Openstack-Request-Id", "req-401")
}

pub fn options() -> Options {
    let domain = || UserDomain::Name("Default".into());
    let credential = Credential::Password {
        user: User::Name { name: "csi".into(), domain: domain() },
        password: SecretString::from(CANARY),
        scope: Scope::ProjectName { name: "k8s".into(), domain: domain() },
    };
    let user_agent = vec!["kubernetes".into()];
    Options { user_agent, ..Options::new("http://cloud/v3".parse().unwrap(), credential) }
}
