//! The innermost typed service: one call, with its address and token, becomes one HTTP exchange.

use std::borrow::Cow;
use std::io::{self, ErrorKind};
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use tower::{Service as _, ServiceExt, service_fn};
use url::Url;

use super::answer::Answer;
use super::layer::Exchanges;
use super::request::{Operation, Path, Request};
use super::{Effect, Error, Http, Kind, Result, Service};

const TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
const SUBJECT: HeaderName = HeaderName::from_static("x-subject-token");
const MICROVERSION: HeaderName = HeaderName::from_static("openstack-api-version");

/// A call that can be sent.
#[derive(Clone, Debug)]
pub(super) struct Addressed {
    pub request: Request,
    pub url: Url,
    pub token: Option<SecretString>,
    /// The token that the call is about, where Keystone is asked about one.
    pub subject: Option<SecretString>,
    /// What the body proves itself with.
    pub proof: Option<SecretString>,
    /// The header Authorization, which only an identity provider and Keystone's federation want.
    pub authorization: Option<SecretString>,
}

/// `agent` is the User-Agent.
pub(super) fn exchange(http: Http, agent: HeaderValue) -> impl Exchanges {
    service_fn(move |call: Addressed| {
        let (http, agent) = (http.clone(), agent.clone());
        async move { send(http, agent, call).await }
    })
}

async fn send(mut http: Http, agent: HeaderValue, call: Addressed) -> Result<Answer> {
    let message = message(&call, agent)?;
    let ready = http.ready().await.map_err(|error| broken(&call, &error))?;
    let sent = call.request.sent();
    let answer = match patience(&call.request) {
        None => ready.call(message).await,
        Some(time) => match tokio::time::timeout(time, ready.call(message)).await {
            Ok(answer) => answer,
            Err(_) => Err(io::Error::new(ErrorKind::TimedOut, format!("no answer within {time:?}"))),
        },
    };
    let result = match answer {
        Ok(response) => Answer::read(&call.request, call.without_secrets(response)),
        Err(error) => Err(broken(&call, &error)),
    };
    result.map_err(|mut error| {
        if error.effect == Effect::None {
            sent.without_effect();
        }
        // An earlier attempt may still be in doubt.
        error.effect = call.request.effect();
        error
    })
}

/// How long an answer may take before the connection is given up as dead. A mutation is only limited by its RPC:
/// Nova blocks an attach for a minute where the compute host is down.
fn patience(request: &Request) -> Option<Duration> {
    match (request.service, &request.path) {
        (Service::Keystone, _) | (_, Path::VersionDocument) => Some(Duration::from_secs(30)),
        _ if request.method.is_safe() => Some(Duration::from_secs(60)),
        _ => None,
    }
}

/// No answer came. Where no connection was made, nothing was done.
fn broken(call: &Addressed, error: &io::Error) -> Error {
    let request = &call.request;
    let (kind, effect) = match error.kind() {
        ErrorKind::ConnectionRefused | ErrorKind::NotConnected => (Kind::Unavailable, Effect::None),
        ErrorKind::InvalidInput => (Kind::Refused, Effect::None),
        _ => (Kind::Unavailable, request.effect()),
    };
    // The origin has neither a password nor a query.
    let origin = call.url.origin().ascii_serialization();
    Error { effect, ..request.error(kind, format!("{origin}: {error}")) }
}

fn message(call: &Addressed, agent: HeaderValue) -> Result<http::Request<Bytes>> {
    let request = &call.request;
    let unfit = |what: &str| request.error(Kind::Refused, format!("{what} can't be sent over HTTP"));
    let mut message = http::Request::new(request.body.clone().unwrap_or_default());
    *message.method_mut() = request.method.clone();
    *message.uri_mut() = call.url.as_str().parse().map_err(|_| unfit("the address"))?;
    message.extensions_mut().insert(Operation(request.operation));
    let headers = message.headers_mut();
    headers.insert(header::USER_AGENT, agent);
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    if request.body.is_some() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(request.media_type));
    }
    let secrets =
        [(TOKEN, &call.token), (SUBJECT, &call.subject), (header::AUTHORIZATION, &call.authorization)];
    for (name, token) in secrets {
        let Some(token) = token else { continue };
        let mut value = HeaderValue::from_str(token.expose_secret()).map_err(|_| unfit("the token"))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    if let Some(version) = request.microversion {
        let word = if request.service == Service::Cinder { "volume" } else { "compute" };
        let value = HeaderValue::try_from(format!("{word} {version}"));
        headers.insert(MICROVERSION, value.map_err(|_| unfit("the microversion"))?);
    }
    Ok(message)
}

impl Addressed {
    pub fn new(request: Request, url: Url) -> Self {
        Self { request, url, token: None, subject: None, proof: None, authorization: None }
    }

    /// A proxy's error page, or a service that debugs, may show what it was sent.
    fn without_secrets(&self, response: http::Response<Bytes>) -> http::Response<Bytes> {
        // What succeeds is read, not shown; and a weak password may be a word of the catalog.
        let is_shown = !response.status().is_success();
        let proof = self.proof.as_ref().filter(|_| is_shown);
        let encoded = self.authorization.as_ref().and_then(|value| value.expose_secret().split_once(' '));
        let encoded = encoded.map(|(_, encoded)| SecretString::from(encoded)).filter(|_| is_shown);
        let secrets = [self.token.as_ref(), self.subject.as_ref(), proof, encoded.as_ref()];
        response.map(|body| {
            secrets.into_iter().flatten().fold(body, |body, secret| without(body, secret, is_shown))
        })
    }
}

fn without(body: Bytes, secret: &SecretString, is_shown: bool) -> Bytes {
    let plain = secret.expose_secret();
    let quoted = serde_json::Value::from(plain).to_string();
    let inner = quoted.get(1..quoted.len() - 1).unwrap_or_default();
    if plain.is_empty() {
        return body;
    }
    let text = String::from_utf8_lossy(&body);
    let clean = hidden(hidden(Cow::Borrowed(&text), plain), inner);
    if is_shown && shows_in_another_spelling(&clean, plain) {
        return Bytes::from_static(b"the answer repeats a secret and is hidden");
    }
    match clean {
        Cow::Borrowed(_) => body,
        Cow::Owned(clean) => Bytes::from(clean),
    }
}

/// A copy only where the word is there: a list of a thousand volumes has a megabyte.
fn hidden<'a>(text: Cow<'a, str>, word: &str) -> Cow<'a, str> {
    if text.contains(word) { Cow::Owned(text.replace(word, "[hidden]")) } else { text }
}

/// A secret with a quote, a backslash or a letter beyond ASCII looks otherwise in JSON within JSON, or in Python's.
fn shows_in_another_spelling(text: &str, secret: &str) -> bool {
    /// A shorter word is found in any text.
    const SHORTEST: usize = 4;
    let word = |c: &char| c.is_ascii_alphanumeric();
    if secret.chars().all(|c| word(&c)) {
        return false;
    }
    let bare: String = secret.chars().filter(word).collect();
    let longest = secret.split(|c| !word(&c)).max_by_key(|part| part.len()).unwrap_or_default();
    let is_there = |part: &str, text: &str| part.len() >= SHORTEST && text.contains(part);
    is_there(longest, text) || is_there(&bare, &text.chars().filter(word).collect::<String>())
}
