//! Tokens: <https://docs.openstack.org/api-ref/identity/v3/#authentication-and-token-management>.

mod admission;
mod catalog;
mod federation;
mod identity;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use http::Method;
use jiff::Timestamp;
use secrecy::SecretString;
use serde::Deserialize;
use tokio::time::Instant;
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;
use url::Url;

use super::answer::Answer;
use super::exchange::Addressed;
use super::flight::{Age, Flight};
use super::http::NoTls;
use super::layer::Exchanges;
use super::request::{Path, Request};
use super::{Credential, Effect, Error, Kind, Options, Result, Service};
use crate::pace;
use admission::About;
pub use admission::Admission;
use catalog::{Catalog, Endpoint};

/// How long a catalog is kept that lacks a service: an operator may be about to add it.
const INCOMPLETE: Duration = Duration::from_secs(300);

/// A service that refuses every token (its own account in Keystone is broken) would have us ask for two with every call.
const REST: Duration = Duration::from_secs(10);

/// A catalog so young is trusted, whatever doesn't answer.
const TRUST_CATALOG_FOR: Duration = Duration::from_secs(60);

/// Cheap to clone: the clones share the token.
#[derive(Clone)]
pub(super) struct Keystone {
    options: Arc<Options>,
    exchange: BoxCloneSyncService<Addressed, Answer, Error>,
    flight: Flight<Arc<Session>>,
    forgotten: Arc<Mutex<Option<Instant>>>,
}

/// A token, and what it opens.
#[derive(Debug)]
pub(super) struct Session {
    pub token: SecretString,
    asked: Instant,
    life: Duration,
    is_suspect: AtomicBool,
    cinder: Result<Endpoint>,
    nova: Result<Endpoint>,
    project: Option<String>,
    about: About,
}

#[derive(Deserialize)]
struct Document {
    token: Token,
}

#[derive(Deserialize)]
struct Token {
    expires_at: Timestamp,
    issued_at: Option<Timestamp>,
    project: Option<Project>,
    user: Option<Named>,
    roles: Option<Vec<Named>>,
    #[serde(default)]
    catalog: Catalog,
}

#[derive(Deserialize)]
struct Project {
    id: String,
    name: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    name: Option<String>,
}

impl Keystone {
    pub fn new(options: Options, exchange: &impl Exchanges) -> Self {
        let exchange = BoxCloneSyncService::new(exchange.clone());
        Self { options: Arc::new(options), exchange, flight: Flight::default(), forgotten: Arc::default() }
    }

    /// The token in use, or a new one.
    pub async fn session(&self) -> Result<Arc<Session>> {
        self.flight.get(|session| session.age(), || self.clone().authenticate()).await
    }

    /// The cloud refused this token. Whoever met the same one finds it gone, or already replaced. `false`: one was
    /// forgotten just now, and another won't help.
    pub fn forget(&self, session: &Arc<Session>) -> bool {
        let mut last = self.forgotten.lock().unwrap_or_else(PoisonError::into_inner);
        let mut resting = false;
        self.flight.forget(|held| {
            let same = Arc::ptr_eq(held, session);
            resting = same && last.is_some_and(|when| when.elapsed() < REST);
            if same && !resting {
                *last = Some(Instant::now());
            }
            same && !resting
        });
        !resting
    }

    fn is_federated(&self) -> bool {
        matches!(self.options.credential, Credential::Federated { .. })
    }

    async fn authenticate(self) -> Result<Arc<Session>> {
        let (asked, before) = (Instant::now(), pace::now());
        let answer = self.prove().await.map_err(|e| self.explained(e))?;
        let token = subject(&answer)?;
        let document: Document = answer.json()?;
        let about = About::new(&document.token, answer.date(), before);
        let session = Session::new(token, asked, document.token, about, &self.options);
        let cloud = Some(self.options.name.as_str()).filter(|name| !name.is_empty());
        tracing::info!(cloud, life_s = session.life.as_secs(), "authenticated");
        session.tell_expiry(&self.options.name);
        Ok(Arc::new(session))
    }

    async fn prove(&self) -> Result<Answer> {
        let Options { auth_url, credential, .. } = &*self.options;
        let call = match credential {
            Credential::Federated { who, scope } => {
                let token = federation::unscoped(auth_url, who, &self.exchange).await?;
                identity::call(auth_url, &Credential::Token { token, scope: scope.clone() })?
            }
            credential => identity::call(auth_url, credential)?,
        };
        self.exchange.clone().oneshot(call).await
    }

    /// What Keystone says of a wrong password is "The request you have made requires authentication".
    fn explained(&self, mut error: Error) -> Error {
        // A token that nobody received does nothing.
        error.effect = Effect::None;
        let Some(next) = self.next_step(&error) else { return error };
        let words = error.message.trim_end_matches('.');
        error.message = format!("{words}; {next}");
        if error.status.is_some() {
            error.kind = Kind::Unauthenticated;
        }
        error
    }

    fn next_step(&self, error: &Error) -> Option<String> {
        let Options { places, credential, auth_url, .. } = &*self.options;
        let look = || {
            format!("{}: see {} (Keystone is {auth_url})", identity::next_step(credential), places.credential)
        };
        match error.status.map(|status| status.as_u16()) {
            Some(400 | 401 | 403) => Some(look()),
            Some(404) if self.is_federated() => Some(look()),
            Some(404) => {
                let at = &places.auth_url;
                Some(format!(
                    "{at} ({auth_url}) may not be Keystone's, or the trust or project doesn't exist"
                ))
            }
            Some(_) => None,
            // Its answer came, and is what's wrong.
            None if error.kind == Kind::Malformed => None,
            None => Some(self.unanswered(&error.message)),
        }
    }

    /// Where to look when nobody answers who can be understood. A federated user's way leads over the identity provider.
    fn unanswered(&self, words: &str) -> String {
        let Options { places, auth_url, .. } = &*self.options;
        let at = &places.auth_url;
        match (NoTls::in_words(words), self.is_federated()) {
            (Some(NoTls::Untrusted), _) => format!("see {}", places.ca),
            (Some(NoTls::Unspoken), false) => format!("should {at} begin with http:// ?"),
            (Some(NoTls::Unspoken), true) => {
                format!("should {at}, or the identity provider's address, begin with http:// ?")
            }
            (None, false) => format!("is {at} right, and Keystone up?"),
            (None, true) => format!("is that where Keystone ({auth_url}) or the identity provider is?"),
        }
    }
}

/// The token that an answer of Keystone gives.
fn subject(answer: &Answer) -> Result<SecretString> {
    match answer.headers.get("x-subject-token").map(|value| value.to_str()) {
        Some(Ok(token)) => Ok(SecretString::from(token)),
        _ => Err(answer.malformed("the answer has no X-Subject-Token".into())),
    }
}

impl Session {
    fn new(token: SecretString, asked: Instant, document: Token, about: About, options: &Options) -> Self {
        let mut life = about.life;
        let project = document.project.as_ref().map(|project| project.id.as_str());
        let find = |service| document.catalog.find(service, project, options);
        let (cinder, nova) = (find(Service::Cinder), find(Service::Nova));
        if cinder.is_err() || nova.is_err() {
            life = life.min(INCOMPLETE);
        }
        let project = document.project.map(|project| project.id);
        Self { token, asked, life, is_suspect: AtomicBool::new(false), cinder, nova, project, about }
    }

    /// A token is replaced when a tenth of its life, but at least a minute, is left: longer than any call takes, so
    /// that what one service asks of another with it is still answered. One that lives for two minutes or less is
    /// replaced at its half.
    fn age(&self) -> Age {
        let margin = (self.life / 10).max(Duration::from_secs(60)).min(self.life / 2);
        match self.life.saturating_sub(self.asked.elapsed()) {
            Duration::ZERO => Age::Stale,
            left if left <= margin || self.is_suspect.load(Ordering::Relaxed) => Age::Aging,
            _ => Age::Fresh,
        }
    }

    /// By this machine's clock, as who reads the metric has it.
    fn tell_expiry(&self, cloud: &str) {
        let left = self.life.saturating_sub(self.asked.elapsed());
        let expiry = (pace::now() + left).duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        metrics::gauge!("openstack_token_expiry_timestamp_seconds", "cloud" => cloud.to_owned())
            .set(expiry.as_secs_f64());
    }

    /// A service didn't answer where the catalog says: it may have moved, and a new catalog is asked for beside the calls.
    pub fn suspect_catalog(&self) {
        if self.asked.elapsed() >= TRUST_CATALOG_FOR {
            self.is_suspect.store(true, Ordering::Relaxed);
        }
    }

    /// Whether both services are where the settings say.
    pub fn is_complete(&self) -> Result<()> {
        let missing = [&self.cinder, &self.nova].into_iter().find_map(|found| found.as_ref().err());
        missing.map_or(Ok(()), |error| Err(error.clone()))
    }

    pub fn admission(&self) -> Admission {
        let url =
            |endpoint: &Result<Endpoint>| endpoint.as_ref().map(Endpoint::version_root).map_err(Clone::clone);
        self.about.clone().with_endpoints(url(&self.cinder), url(&self.nova))
    }

    /// The address of a call.
    pub fn url(&self, request: &Request) -> Result<Url> {
        let endpoint = match request.service {
            Service::Nova => &self.nova,
            Service::Cinder | Service::Keystone => &self.cinder,
        };
        let endpoint = endpoint.as_ref().map_err(|error| {
            let effect = request.effect();
            Error { operation: request.operation, effect, ..error.clone() }
        })?;
        match &request.path {
            Path::Below(segments) => Ok(endpoint.below(segments, &request.query)),
            Path::OfProject(segments) => match &self.project {
                Some(project) => {
                    let segments: Vec<_> = segments.iter().chain([project]).cloned().collect();
                    Ok(endpoint.below(&segments, &request.query))
                }
                None => Err(request.error(Kind::NotFound, "the credentials are for no project")),
            },
            Path::VersionDocument => Ok(endpoint.version_root()),
        }
    }
}

/// How long the token lives: by the cloud's clock alone, as ours may be minutes off.
fn life(token: &Token, date: Option<SystemTime>) -> Duration {
    let date = date.and_then(|date| Timestamp::try_from(date).ok());
    let born = date.or(token.issued_at).or_else(|| Timestamp::try_from(pace::now()).ok());
    let life = token.expires_at.duration_since(born.unwrap_or(token.expires_at));
    Duration::try_from(life).unwrap_or_default()
}

/// Keystone's own calls have no catalog: they go below `auth-url`, which is written with and without `/v3`.
fn below_auth_url(auth_url: &Url, segments: &[&str]) -> Url {
    let path = auth_url.path().trim_end_matches('/');
    let root = ["/v3", "/v2.0"].iter().find_map(|version| path.strip_suffix(version)).unwrap_or(path);
    let mut url = auth_url.clone();
    url.set_path(&format!("{root}/v3/{}", segments.join("/")));
    url.set_query(None);
    url.set_fragment(None);
    url
}

fn request(method: Method) -> Request {
    Request::new(Service::Keystone, "give a token", method, &["auth", "tokens"])
}
