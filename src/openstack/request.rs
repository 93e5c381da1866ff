//! A call as a value, before it has an address and a token.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Method;

use super::{Effect, Error, Kind, Service};

/// A microversion: `3.60`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Microversion(pub u16, pub u16);

/// What a call needs of the service's microversions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// The service's oldest will do: no header is sent and nobody is asked.
    Any,
    /// This one where the cloud has it, else the newest that it has.
    Wanted(Microversion),
    /// This one exactly.
    Needed(Microversion),
}

/// Where below a service's endpoint a call goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Path {
    /// Segments below the endpoint of the catalog, to be percent-encoded.
    Below(Vec<String>),
    /// As `Below`, with the id of the token's project at the end.
    OfProject(Vec<String>),
    /// The document that names the service's microversions.
    VersionDocument,
}

/// What an exchange is for, `create a volume`: an extension of the request at [`super::Http`], for whoever stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation(pub &'static str);

/// Who waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    One,
    /// One who keeps others waiting meanwhile.
    Line,
    /// Everybody gets this one's answer.
    Many,
}

#[derive(Clone)]
pub(super) struct Request {
    pub service: Service,
    pub operation: &'static str,
    pub method: Method,
    pub path: Path,
    pub query: Vec<(&'static str, String)>,
    pub body: Option<Bytes>,
    /// The body's.
    pub media_type: &'static str,
    pub version: Version,
    /// Chosen by the microversion layer.
    pub microversion: Option<Microversion>,
    /// Whether the call may be sent again while nobody knows what became of it.
    pub repeatable: bool,
    pub waiting: Waiting,
    /// For so long its answer is awaited once it is sent, whatever the deadline.
    pub outlives: Option<Duration>,
    doubt: Arc<AtomicBool>,
}

impl Request {
    pub fn new(service: Service, operation: &'static str, method: Method, path: &[&str]) -> Self {
        Self {
            service,
            operation,
            repeatable: method.is_safe(),
            method,
            path: Path::Below(path.iter().map(|segment| segment.to_string()).collect()),
            query: Vec::new(),
            body: None,
            media_type: "application/json",
            version: Version::Any,
            microversion: None,
            doubt: Arc::default(),
            waiting: Waiting::One,
            outlives: None,
        }
    }

    pub fn version_document(service: Service) -> Self {
        let mut request = Self::new(service, "name its microversions", Method::GET, &[]);
        request.path = Path::VersionDocument;
        request
    }

    pub fn query(mut self, name: &'static str, value: impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    /// The id of the token's project ends the path: what a project is told about itself.
    pub fn of_project(mut self) -> Self {
        self.path = match self.path {
            Path::Below(segments) => Path::OfProject(segments),
            path => path,
        };
        self
    }

    pub fn json(mut self, body: &serde_json::Value) -> Self {
        self.body = Some(Bytes::from(body.to_string()));
        self
    }

    /// A form, as HTML has them.
    pub fn form(mut self, body: String) -> Self {
        self.body = Some(Bytes::from(body));
        self.media_type = "application/x-www-form-urlencoded";
        self
    }

    pub fn version(mut self, version: Version) -> Self {
        self.version = version;
        self
    }

    pub fn for_many(mut self) -> Self {
        self.waiting = Waiting::Many;
        self
    }

    pub fn for_line(mut self) -> Self {
        self.waiting = Waiting::Line;
        self
    }

    pub fn outliving(mut self, time: Duration) -> Self {
        self.outlives = Some(time);
        self
    }

    pub fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// The call is about to be sent. What is known of it changes with [`Self::settled`].
    pub fn sent(&self) -> Sent<'_> {
        let before = self.doubt.load(Ordering::Relaxed);
        if !self.method.is_safe() {
            self.doubt.store(true, Ordering::Relaxed);
        }
        Sent { request: self, before }
    }

    /// Whether the cloud may have carried out this call, all its attempts together.
    pub fn effect(&self) -> Effect {
        if self.doubt.load(Ordering::Relaxed) { Effect::Unknown } else { Effect::None }
    }

    /// An error of ours about this call: no answer stands behind it.
    pub fn error(&self, kind: Kind, message: impl Into<String>) -> Error {
        Error {
            kind,
            status: None,
            service: self.service,
            operation: self.operation,
            request_id: None,
            message: message.into(),
            retry_after: None,
            effect: self.effect(),
        }
    }
}

/// One attempt under way.
pub(super) struct Sent<'a> {
    request: &'a Request,
    before: bool,
}

impl Sent<'_> {
    /// This attempt did nothing: what is known is what was known before it.
    pub fn without_effect(self) {
        self.request.doubt.store(self.before, Ordering::Relaxed);
    }
}

/// Without the body: Keystone's carries a password.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} of {:?} ({})", self.method, self.path, self.service, self.operation)
    }
}

impl fmt::Display for Microversion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl std::str::FromStr for Microversion {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
        Ok(Self(major.parse()?, minor.parse()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn microversions_are_ordered_as_numbers() {
        let parse = |text: &str| text.parse::<Microversion>().unwrap();
        assert!(parse("3.9") < parse("3.60"));
        assert!(parse("2.100") > parse("2.99"));
        assert!("".parse::<Microversion>().is_err());
    }

    #[test]
    fn a_mutation_is_in_doubt_from_sending_to_a_clear_no() {
        let post = Request::new(Service::Cinder, "create a volume", Method::POST, &["volumes"]);
        assert_eq!(post.effect(), Effect::None);
        let sent = post.sent();
        assert_eq!(post.effect(), Effect::Unknown);
        sent.without_effect();
        assert_eq!(post.effect(), Effect::None);
    }

    #[test]
    fn a_clear_no_does_not_settle_an_earlier_attempt() {
        let post = Request::new(Service::Cinder, "create a volume", Method::POST, &["volumes"]);
        let _lost = post.sent();
        post.clone().sent().without_effect();
        assert_eq!(post.effect(), Effect::Unknown);
    }

    #[test]
    fn reading_is_never_in_doubt() {
        let get = Request::new(Service::Cinder, "show a volume", Method::GET, &["volumes"]);
        let _sent = get.sent();
        assert_eq!(get.effect(), Effect::None);
    }

    #[test]
    fn debug_does_not_show_the_body() {
        let request = Request::new(Service::Keystone, "get a token", Method::POST, &[])
            .json(&serde_json::json!({"password": "canary"}));
        assert!(!format!("{request:?}").contains("canary"));
    }
}
