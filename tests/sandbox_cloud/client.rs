//! The smallest client of OpenStack that can ask anything: JSON in, JSON out.

use bytes::Bytes;
use cinder_csi::sandbox::SimulatedCloud;
use http::Method;
use serde_json::{Value, json};
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;

pub type Http = BoxCloneSyncService<http::Request<Bytes>, http::Response<Bytes>, std::io::Error>;

#[derive(Clone)]
pub struct Client {
    http: Http,
    auth_url: String,
    token: String,
    pub volume_url: String,
    pub compute_url: String,
}

#[derive(Debug)]
pub struct Reply {
    pub code: u16,
    pub headers: http::HeaderMap,
    pub body: Value,
}

impl Reply {
    /// The words of an error, or the sorted keys of an object.
    pub fn gist(&self) -> String {
        let Some((name, inner)) = self.body.as_object().and_then(|body| body.iter().next()) else {
            return String::new();
        };
        match (&inner["message"], inner) {
            (Value::String(message), _) if self.code >= 300 => format!("{name}: {message}"),
            (_, Value::Object(fields)) => {
                let mut keys: Vec<_> = fields.keys().map(String::as_str).collect();
                keys.sort_unstable();
                format!("{name}: {}", keys.join(" "))
            }
            _ => name.clone(),
        }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Client {
    pub async fn of(cloud: &SimulatedCloud) -> Self {
        Self::log_in(cloud.http(), "http://sandbox.test/identity/v3", "csi", "labsecret", "k8s").await
    }

    pub async fn log_in(http: Http, auth_url: &str, user: &str, password: &str, project: &str) -> Self {
        let mut client = Self {
            http,
            auth_url: auth_url.to_owned(),
            token: String::new(),
            volume_url: String::new(),
            compute_url: String::new(),
        };
        let domain = json!({ "name": "Default" });
        let user = json!({ "name": user, "domain": domain, "password": password });
        let reply = client
            .authenticate(json!({
                "identity": { "methods": ["password"], "password": { "user": user } },
                "scope": { "project": { "name": project, "domain": domain } },
            }))
            .await;
        assert_eq!(reply.code, 201, "{}", reply.body);
        client.take_token(&reply);
        client
    }

    /// A client over sockets.
    pub fn sockets() -> Http {
        rustls::crypto::ring::default_provider().install_default().ok();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        BoxCloneSyncService::new(tower::service_fn(move |request: http::Request<Bytes>| {
            let client = client.clone();
            async move {
                let request = reqwest::Request::try_from(request).map_err(std::io::Error::other)?;
                let reply = client.execute(request).await.map_err(std::io::Error::other)?;
                let mut response = http::Response::builder().status(reply.status());
                response.headers_mut().unwrap().extend(reply.headers().clone());
                let body = reply.bytes().await.map_err(std::io::Error::other)?;
                Ok(response.body(body).unwrap())
            }
        }))
    }

    pub async fn authenticate(&self, auth: Value) -> Reply {
        let url = format!("{}/auth/tokens", self.auth_url);
        self.send(Method::POST, &url, "", Some(json!({ "auth": auth }))).await.unwrap()
    }

    pub fn take_token(&mut self, reply: &Reply) {
        let url = |kind: &str| {
            let catalog = reply.body["token"]["catalog"].as_array().unwrap();
            let service = catalog.iter().find(|service| service["type"] == kind).unwrap();
            let public =
                service["endpoints"].as_array().unwrap().iter().find(|one| one["interface"] == "public");
            public.unwrap()["url"].as_str().unwrap().to_owned()
        };
        (self.volume_url, self.compute_url) = (url("block-storage"), url("compute"));
        self.token = reply.header("x-subject-token").to_owned();
    }

    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    pub async fn cinder(&self, method: Method, path: &str, version: &str, body: Option<Value>) -> Reply {
        self.try_cinder(method, path, version, body).await.unwrap()
    }

    pub async fn try_cinder(
        &self,
        method: Method,
        path: &str,
        version: &str,
        body: Option<Value>,
    ) -> std::io::Result<Reply> {
        let version = if version.is_empty() { String::new() } else { format!("volume {version}") };
        self.send(method, &format!("{}{path}", self.volume_url), &version, body).await
    }

    pub async fn nova(&self, method: Method, path: &str, version: &str, body: Option<Value>) -> Reply {
        let version = if version.is_empty() { String::new() } else { format!("compute {version}") };
        self.send(method, &format!("{}{path}", self.compute_url), &version, body).await.unwrap()
    }

    pub async fn send(
        &self,
        method: Method,
        url: &str,
        version: &str,
        body: Option<Value>,
    ) -> std::io::Result<Reply> {
        let mut request = http::Request::builder()
            .method(method)
            .uri(url)
            .header("Content-Type", "application/json")
            .header("Accept", "application/json");
        if !self.token.is_empty() {
            request = request.header("X-Auth-Token", &self.token);
        }
        if !version.is_empty() {
            request = request.header("OpenStack-API-Version", version);
        }
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let response = self.http.clone().oneshot(request.body(body).unwrap()).await?;
        let (head, body) = response.into_parts();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        Ok(Reply { code: head.status.as_u16(), headers: head.headers, body })
    }

    /// The id of a new volume of 1 GiB, whatever its state.
    pub async fn volume(&self, name: &str) -> String {
        self.volume_of(json!({ "size": 1, "name": name })).await
    }

    pub async fn volume_of(&self, volume: Value) -> String {
        let reply = self.cinder(Method::POST, "/volumes", "3.60", Some(json!({ "volume": volume }))).await;
        assert_eq!(reply.code, 202, "{}", reply.body);
        reply.body["volume"]["id"].as_str().unwrap().to_owned()
    }

    pub async fn show(&self, volume: &str) -> Value {
        let reply = self.cinder(Method::GET, &format!("/volumes/{volume}"), "3.60", None).await;
        reply.body["volume"].clone()
    }

    pub async fn status(&self, volume: &str) -> String {
        let shown = self.show(volume).await;
        shown["status"].as_str().unwrap_or("gone").to_owned()
    }

    pub async fn act(&self, volume: &str, version: &str, action: Value) -> Reply {
        self.cinder(Method::POST, &format!("/volumes/{volume}/action"), version, Some(action)).await
    }

    pub async fn extend(&self, volume: &str, size: i64, version: &str) -> Reply {
        self.act(volume, version, json!({ "os-extend": { "new_size": size } })).await
    }

    pub async fn delete(&self, volume: &str) -> Reply {
        self.cinder(Method::DELETE, &format!("/volumes/{volume}"), "", None).await
    }

    pub async fn attach(&self, server: &str, volume: &str, version: &str) -> Reply {
        let body = json!({ "volumeAttachment": { "volumeId": volume } });
        self.nova(Method::POST, &format!("/servers/{server}/os-volume_attachments"), version, Some(body))
            .await
    }

    pub async fn detach(&self, server: &str, volume: &str) -> Reply {
        self.nova(Method::DELETE, &format!("/servers/{server}/os-volume_attachments/{volume}"), "", None)
            .await
    }

    pub async fn row(&self, server: &str, volume: &str, version: &str) -> Reply {
        self.nova(Method::GET, &format!("/servers/{server}/os-volume_attachments/{volume}"), version, None)
            .await
    }

    pub async fn snapshot(&self, volume: &str, version: &str, force: bool) -> Reply {
        let body = json!({ "snapshot": { "volume_id": volume, "name": "cloud-snapshot", "force": force } });
        self.cinder(Method::POST, "/snapshots", version, Some(body)).await
    }

    pub async fn server(&self, name: &str) -> String {
        let reply = self.nova(Method::GET, "/servers", "", None).await;
        let servers = reply.body["servers"].as_array().unwrap().clone();
        let server = servers.iter().find(|server| server["name"] == name).unwrap();
        server["id"].as_str().unwrap().to_owned()
    }

    /// Looks until the volume or snapshot (`/volumes/ID`) has the status; `gone` is a 404.
    pub async fn until(&self, path: &str, wanted: &str) {
        self.until_it(path, wanted, |status| status == wanted).await;
    }

    /// The status that comes after that one.
    pub async fn until_not(&self, path: &str, passing: &str) -> String {
        self.until_it(path, "another", |status| status != passing).await
    }

    async fn until_it(&self, path: &str, wanted: &str, is_wanted: impl Fn(&str) -> bool) -> String {
        let end = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
        loop {
            let reply = self.cinder(Method::GET, path, "", None).await;
            let object =
                reply.body.as_object().and_then(|body| body.values().next()).cloned().unwrap_or_default();
            let status =
                if reply.code == 404 { "gone" } else { object["status"].as_str().unwrap_or_default() };
            if is_wanted(status) {
                return status.to_owned();
            }
            assert!(tokio::time::Instant::now() < end, "{path} is {status}, never {wanted}");
            cinder_csi::pace::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}
