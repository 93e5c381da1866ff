//! The volumes room on a simulated cloud, in process: HTTP is the only thing that isn't there.

#![allow(dead_code, reason = "each test crate uses its part of the bed")]
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::BTreeMap;
use std::time::Duration;

use cinder_csi::openstack::{Cinder, Cloud, Credential, Nova, Options, Scope, ServerId, User, UserDomain};
use cinder_csi::pace::{self, Deadline};
use cinder_csi::sandbox::{Call, Settings, SimulatedCloud};
use cinder_csi::volume::{
    Hints, Orphan, Place, Saved, VolumeId, Volumes, Wanted, WantedBackup, WantedSnapshot, ZoneChoice,
};

pub struct Bed {
    pub cloud: SimulatedCloud,
    pub volumes: Volumes,
}

pub fn options(user: &str, project: &str) -> Options {
    let domain = || UserDomain::Name("Default".to_owned());
    let credential = Credential::Password {
        user: User::Name { name: user.to_owned(), domain: domain() },
        password: "labsecret".to_owned().into(),
        scope: Scope::ProjectName { name: project.to_owned(), domain: domain() },
    };
    Options::new("http://cloud.test/identity/v3".parse().unwrap(), credential)
}

impl Bed {
    pub fn new(settings: Settings) -> Self {
        let cloud = SimulatedCloud::new(settings);
        let volumes = controller(&cloud);
        Self { cloud, volumes }
    }

    /// As [`Self::new`], with the token and the versions there already.
    pub async fn warm(settings: Settings) -> Self {
        let bed = Self::new(settings);
        let volume = bed.volumes.ensure_created(&wanted("warm")).await.unwrap().id;
        bed.volumes.ensure_attached(volume, bed.server("node-3")).await.unwrap();
        bed.volumes.ensure_detached(volume, bed.server("node-3"), Orphan::Ended).await.unwrap();
        bed.volumes.ensure_deleted(volume).await.unwrap();
        bed.cloud.reset_calls();
        bed
    }

    pub fn server(&self, name: &str) -> ServerId {
        self.cloud.server_id(name).parse().unwrap()
    }

    /// The requests since the last call of this function.
    pub fn calls(&self) -> Vec<Call> {
        let calls = self.cloud.calls();
        self.cloud.reset_calls();
        calls
    }

    /// Every volume that the project has, as the cloud knows it.
    pub async fn all(&self) -> Vec<cinder_csi::volume::Volume> {
        let view = controller(&self.cloud);
        let page = view.page(None, None, None).await.unwrap();
        assert!(page.next.is_none(), "more than one page");
        let volumes = page.volumes.iter().map(|listed| view.get(listed.id));
        futures_util::future::try_join_all(volumes).await.unwrap()
    }
}

/// One more controller of the same cloud.
pub fn controller(cloud: &SimulatedCloud) -> Volumes {
    Volumes::new(Cloud::new(cloud.http(), options("csi", "k8s")))
}

/// The cloud's own answers.
pub fn cinder(cloud: &SimulatedCloud) -> Cinder {
    Cloud::new(cloud.http(), options("csi", "k8s")).cinder
}

pub fn nova(cloud: &SimulatedCloud) -> Nova {
    Cloud::new(cloud.http(), options("csi", "k8s")).nova
}

pub fn wanted(name: &str) -> Wanted {
    Wanted {
        name: name.to_owned(),
        size: 1,
        size_is_free: false,
        size_limit: None,
        volume_type: None,
        zone: ZoneChoice::Any,
        origin: None,
        hints: Hints::default(),
        multiattach: false,
        cluster: "kubernetes".to_owned(),
        metadata: BTreeMap::new(),
    }
}

pub fn snapshot(name: &str, source: VolumeId) -> WantedSnapshot {
    WantedSnapshot {
        name: name.to_owned(),
        source,
        cluster: "kubernetes".to_owned(),
        metadata: BTreeMap::new(),
    }
}

pub fn backup(name: &str, source: VolumeId) -> WantedBackup {
    let WantedSnapshot { name, source, cluster, metadata } = snapshot(name, source);
    WantedBackup { name, source, zone: None, cluster, metadata }
}

/// Every snapshot and backup that the project has, as it is listed.
pub async fn listed(volumes: &Volumes, limit: Option<u32>) -> Vec<Saved> {
    let (mut all, mut place) = (Vec::new(), None::<Place>);
    loop {
        let page = volumes.page_saved(None, limit, place).await.unwrap();
        assert!(page.items.len() <= limit.unwrap_or(1000) as usize);
        all.extend(page.items);
        place = page.next;
        if place.is_none() {
            return all;
        }
    }
}

/// Runs a call as an RPC whose caller waits so long.
pub async fn rpc<T>(timeout: Duration, call: impl Future<Output = T>) -> T {
    pace::within(Deadline::of_rpc(timeout), call).await
}

pub fn printed(calls: &[Call]) -> String {
    calls.iter().map(|call| format!("{call}?{}\n", call.query)).collect()
}

impl Bed {
    /// Asks the cloud as its owner would with another client: a path below `/volume/v3/PROJECT` and a body.
    pub async fn post_to_cinder(&self, path: &str, body: serde_json::Value) -> serde_json::Value {
        let (project, token) = self.log_in().await;
        let path = format!("/volume/v3/{project}{path}");
        self.exchange(http::Method::POST, &path, &body, Some(&token)).await.1
    }

    /// As [`Self::post_to_cinder`], a GET.
    pub async fn get_from_cinder(&self, path: &str) -> serde_json::Value {
        let (project, token) = self.log_in().await;
        let path = format!("/volume/v3/{project}{path}");
        self.exchange(http::Method::GET, &path, &serde_json::Value::Null, Some(&token)).await.1
    }

    /// As the server's owner does, behind our back.
    pub async fn delete_server(&self, server: &str) {
        let (_, token) = self.log_in().await;
        let path = format!("/compute/v2.1/servers/{server}");
        self.exchange(http::Method::DELETE, &path, &serde_json::Value::Null, Some(&token)).await;
    }

    /// The project's id, and a token.
    async fn log_in(&self) -> (String, String) {
        let login = serde_json::json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": "csi", "domain": {"name": "Default"}, "password": "labsecret"}}},
            "scope": {"project": {"name": "k8s", "domain": {"name": "Default"}}}}});
        let (head, token) = self.exchange(http::Method::POST, "/identity/v3/auth/tokens", &login, None).await;
        let project = token["token"]["project"]["id"].as_str().unwrap().to_owned();
        (project, head.headers["x-subject-token"].to_str().unwrap().to_owned())
    }

    async fn exchange(
        &self,
        method: http::Method,
        path: &str,
        body: &serde_json::Value,
        token: Option<&str>,
    ) -> (http::response::Parts, serde_json::Value) {
        use tower::ServiceExt;
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("http://cloud.test{path}"))
            .header("content-type", "application/json")
            .header("openstack-api-version", "volume 3.66");
        if let Some(token) = token {
            request = request.header("x-auth-token", token);
        }
        let request = request.body(body.to_string().into()).unwrap();
        let (head, body) = self.cloud.http().oneshot(request).await.unwrap().into_parts();
        assert!(head.status.is_success(), "{path}: {body:?}");
        (head, serde_json::from_slice(&body).unwrap_or_default())
    }
}
