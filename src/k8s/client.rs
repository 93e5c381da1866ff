//! The API through crate `kube`: GET of claims and volumes, Events, and what a node is concerned with.
//!
//! Objects are large: only the fields that are needed are read.

mod nodes;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use http::header::CONTENT_TYPE;
use http::{Method, Request};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

use super::error::{chain, explained};
use super::{Absent, Claim, Error, Persistent, Result, Settings};
use crate::pace::{self, Bucket};

/// An API server that is there answers within milliseconds; one that isn't must not take the RPC's whole time.
const PATIENCE: Duration = Duration::from_secs(10);

/// The in-tree plugin's name, and so the `driver` of its volumes.
const IN_TREE: &str = "kubernetes.io/cinder";

/// Any object.
#[derive(Deserialize)]
struct Identified {
    metadata: Identity,
}

#[derive(Deserialize)]
struct Identity {
    uid: String,
}

#[derive(Deserialize)]
struct ClaimObject {
    metadata: ClaimMetadata,
    spec: ClaimSpec,
}

#[derive(Deserialize)]
struct ClaimMetadata {
    uid: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClaimSpec {
    #[serde(default)]
    volume_name: String,
}

#[derive(Deserialize)]
struct VolumeObject {
    spec: VolumeSpec,
}

/// Of what the volume is: one of them is set, or another.
#[derive(Deserialize)]
struct VolumeSpec {
    csi: Option<CsiSource>,
    cinder: Option<CinderSource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CsiSource {
    driver: String,
    volume_handle: String,
}

#[derive(Deserialize)]
struct CinderSource {
    #[serde(rename = "volumeID")]
    volume_id: String,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Kubernetes {
    client: Client,
    rate: Arc<Bucket>,
    url: String,
}

impl Kubernetes {
    /// Reads the configuration and calls nobody. Inside a tokio runtime.
    pub fn connect(settings: &Settings) -> std::result::Result<Self, Absent> {
        let mut config = config(settings)?;
        config.connect_timeout = Some(PATIENCE);
        let url = config.cluster_url.to_string();
        let client = Client::try_from(config).map_err(|error| Absent::Unusable(chain(&error)))?;
        Ok(Self { client, rate: Arc::new(bucket(settings)), url })
    }

    pub async fn find_claim(&self, namespace: &str, name: &str) -> Result<Option<Claim>> {
        if !is_name(namespace) || !is_name(name) {
            return Ok(None);
        }
        let path = format!("/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}");
        let doing = format!("get PVC {namespace}/{name}");
        let found: Option<ClaimObject> = self.read(&path, &doing, "get on persistentvolumeclaims").await?;
        Ok(found.map(|claim| Claim {
            uid: claim.metadata.uid,
            annotations: claim.metadata.annotations,
            volume: Some(claim.spec.volume_name).filter(|name| !name.is_empty()),
        }))
    }

    /// `Some` only where it is a volume of a CSI driver or of the in-tree plugin for Cinder.
    pub async fn find_persistent(&self, name: &str) -> Result<Option<Persistent>> {
        if !is_name(name) {
            return Ok(None);
        }
        let path = format!("/api/v1/persistentvolumes/{name}");
        let found: Option<VolumeObject> =
            self.read(&path, &format!("get PV {name}"), "get on persistentvolumes").await?;
        Ok(found.and_then(|volume| match (volume.spec.csi, volume.spec.cinder) {
            (Some(csi), _) => Some(Persistent { driver: csi.driver, handle: csi.volume_handle }),
            (None, Some(cinder)) => Some(Persistent { driver: IN_TREE.to_owned(), handle: cinder.volume_id }),
            (None, None) => None,
        }))
    }

    /// The uid of a Pod.
    pub(super) async fn find_pod(&self, namespace: &str, name: &str) -> Result<Option<String>> {
        if !is_name(namespace) || !is_name(name) {
            return Ok(None);
        }
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}");
        let doing = format!("get Pod {namespace}/{name}");
        let found: Option<Identified> = self.read(&path, &doing, "get on pods").await?;
        Ok(found.map(|pod| pod.metadata.uid))
    }

    pub(super) async fn create_event(&self, namespace: &str, event: &Value) -> Result<()> {
        let path = format!("/api/v1/namespaces/{namespace}/events");
        let work = self.send(Method::POST, &path, "application/json", event);
        self.ask("create an Event", "create on events", work).await
    }

    /// `false`: it is gone, as Events are after an hour
    /// (<https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/>, `--event-ttl`).
    pub(super) async fn patch_event(&self, namespace: &str, name: &str, patch: &Value) -> Result<bool> {
        let path = format!("/api/v1/namespaces/{namespace}/events/{name}");
        let work = self.send(Method::PATCH, &path, "application/merge-patch+json", patch).map(present);
        Ok(self.ask("count an Event", "patch on events", work).await?.is_some())
    }

    /// `None`: it isn't there.
    async fn read<T: DeserializeOwned>(&self, path: &str, doing: &str, rule: &str) -> Result<Option<T>> {
        let work = async {
            let request = Request::get(path).body(Vec::new()).map_err(kube::Error::HttpError)?;
            self.client.request(request).await
        };
        self.ask(doing, rule, work.map(present)).await
    }

    async fn send(&self, method: Method, path: &str, content: &str, body: &Value) -> kube::Result<()> {
        let request = Request::builder().method(method).uri(path).header(CONTENT_TYPE, content);
        let request = request.body(body.to_string().into_bytes()).map_err(kube::Error::HttpError)?;
        self.client.request::<IgnoredAny>(request).await.map(drop)
    }

    async fn ask<T>(
        &self,
        doing: &str,
        rule: &str,
        work: impl Future<Output = kube::Result<T>>,
    ) -> Result<T> {
        let time = pace::deadline().remaining().min(PATIENCE);
        let late = || Error::Unavailable(format!("the Kubernetes API didn't {doing} within {time:?}"));
        let turn = self.rate.take_within(time).ok_or_else(|| {
            let why = format!(
                "too many requests to the Kubernetes API wait for their turn (--kube-api-qps) to {doing}"
            );
            Error::Unavailable(why)
        })?;
        let answered = tokio::time::timeout(time, async {
            if !turn.is_zero() {
                pace::sleep(turn).await;
            }
            work.await
        });
        answered.await.map_err(|_| late())?.map_err(|error| explained(doing, rule, &error))
    }
}

impl fmt::Debug for Kubernetes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

/// `None`: there is no such object.
fn present<T>(answer: kube::Result<T>) -> kube::Result<Option<T>> {
    match answer {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        answer => answer.map(Some),
    }
}

/// A DNS subdomain, as every object's name is: anything else would be another path of the API.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names>
fn is_name(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.len() <= 253 && text.chars().all(inner) && text.starts_with(ends) && text.ends_with(ends)
}

/// As client-go has it: a rate of zero is its default, a negative one no limit.
fn bucket(settings: &Settings) -> Bucket {
    let default = Settings::default();
    let qps = if settings.qps == 0.0 { default.qps } else { settings.qps };
    let burst = if settings.burst == 0 { default.burst } else { settings.burst };
    if qps < 0.0 { Bucket::unlimited(burst) } else { Bucket::new(qps.into(), burst) }
}

fn unreadable(what: &str, error: &std::io::Error) -> Absent {
    let next = "mount it there, or, in a Pod of the cluster, set neither --kubeconfig nor KUBECONFIG";
    Absent::Unusable(format!("{what} can't be read: {error}; {next}"))
}

fn config(settings: &Settings) -> std::result::Result<Config, Absent> {
    let unusable =
        |what: &str, error: &dyn std::error::Error| Absent::Unusable(format!("{what}: {}", chain(error)));
    let mut config = match (&settings.kubeconfig, &settings.master) {
        (Some(path), _) => {
            let what = format!("kubeconfig {}", path.display());
            let file = Kubeconfig::read_from(path).map_err(|error| match error {
                KubeconfigError::ReadConfig(error, _) => unreadable(&what, &error),
                other => unusable(&what, &other),
            })?;
            let options = KubeConfigOptions::default();
            let read = Config::from_custom_kubeconfig(file, &options);
            // It waits for nothing but files.
            let read = read
                .now_or_never()
                .ok_or_else(|| Absent::Unusable(format!("{what} can't be read at once")))?;
            read.map_err(|error| unusable(&what, &error))?
        }
        // As client-go: the URL alone, without credentials.
        (None, Some(_)) => Config::new(http::Uri::default()),
        (None, None) => {
            return Config::incluster().map_err(|error| {
                Absent::NotConfigured(format!(
                    "this isn't a pod with a ServiceAccount ({}) and there is no --kubeconfig",
                    chain(&error)
                ))
            });
        }
    };
    if let Some(master) = &settings.master {
        let wrong = || Absent::Unusable(format!("--master {master} is no http or https URL"));
        let url: http::Uri = master.parse().map_err(|_| wrong())?;
        if !matches!(url.scheme_str(), Some("http" | "https")) {
            return Err(wrong());
        }
        config.cluster_url = url;
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use kube::client::Body;
    use tokio::time::Instant;

    use super::*;

    /// Of an API that has nothing.
    fn connected(settings: &Settings) -> Kubernetes {
        let empty = tower::service_fn(async |_: http::Request<Body>| {
            let status =
                r#"{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}"#;
            let answer = http::Response::builder().status(404).body(Body::from(status.as_bytes().to_vec()));
            answer.map_err(std::io::Error::other)
        });
        let client = Client::new(empty, "default");
        Kubernetes { client, rate: Arc::new(bucket(settings)), url: String::new() }
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_refused_a_turn_takes_none_from_those_after() {
        let kubernetes = connected(&Settings::default());
        let all = join_all((0..500).map(|_| kubernetes.find_claim("shop", "data"))).await;
        assert!((50..=60).contains(&all.iter().filter(|found| found.is_ok()).count()));
        let began = Instant::now();
        assert_eq!(kubernetes.find_claim("shop", "data").await, Ok(None));
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn zero_is_client_gos_default_and_a_negative_rate_no_limit() {
        let default = bucket(&Settings { qps: 0.0, burst: 0, ..Settings::default() });
        assert_eq!((0..11).map(|_| default.take().as_millis()).max(), Some(200));
        let unlimited = bucket(&Settings { qps: -1.0, burst: 1, ..Settings::default() });
        assert!((0..1000).all(|_| unlimited.take().is_zero()));
    }
}
