//! A request as the services read it: its service, microversion, token and project.

use http::Method;
use http::request::Parts;
use serde_json::Value;

use super::super::calls::{Service, dissect, is_project};
use super::super::world::{Microversion, World};
use super::answer::Answer;
use super::{cinder, keystone, metadata, nova};

pub(super) struct Request<'a> {
    pub method: &'a Method,
    /// The path's first segment.
    address: &'a str,
    service: Option<Service>,
    /// The segments after the service's prefix, the version among them.
    pub segments: Vec<&'a str>,
    pub query: Vec<(String, String)>,
    pub body: Value,
    pub token: Option<&'a str>,
    pub subject: Option<&'a str>,
    pub authorization: Option<&'a str>,
    form: Vec<(String, String)>,
    pub id: String,
    /// Scheme, host and port that the client used.
    pub base: String,
    wanted: Option<&'a str>,
}

/// Who asks, and in what dialect.
pub(super) struct Caller {
    pub project: String,
    pub user: String,
    pub version: Microversion,
}

impl<'a> Request<'a> {
    pub fn read(head: &'a Parts, body: &[u8], id: String) -> Self {
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        let (service, segments) = dissect(head.uri.path()).unzip();
        let host = header("Host").or_else(|| head.uri.authority().map(|host| host.as_str()));
        let query = head.uri.query().unwrap_or_default();
        Self {
            method: &head.method,
            address: head.uri.path().split('/').find(|segment| !segment.is_empty()).unwrap_or_default(),
            service,
            segments: segments.unwrap_or_default(),
            query: pairs(query.as_bytes()),
            body: serde_json::from_slice(body).unwrap_or_default(),
            token: header("X-Auth-Token"),
            subject: header("X-Subject-Token"),
            authorization: header("Authorization"),
            form: match header("Content-Type") {
                Some("application/x-www-form-urlencoded") => pairs(body),
                _ => Vec::new(),
            },
            id,
            base: format!("http://{}", host.unwrap_or("sandbox")),
            wanted: header("OpenStack-API-Version"),
        }
    }

    pub fn answer(&self, world: &mut World) -> Answer {
        if !world.is_at(self.address) {
            // The proxy that is still there.
            return Answer::empty(503);
        }
        let answer = match self.service {
            Some(Service::Keystone) => keystone::answer(self, world),
            Some(Service::Cinder) => cinder::answer(self, world),
            Some(Service::Nova) => nova::answer(self, world),
            Some(Service::Metadata) => return metadata::answer(self, world),
            None => Answer::fault(404, "The resource could not be found."),
        };
        match self.service {
            // Keystone has no x-compute-request-id.
            Some(Service::Keystone) | None => answer,
            Some(_) => answer.with("x-compute-request-id", self.id.clone()),
        }
        .with("x-openstack-request-id", self.id.clone())
    }

    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn form(&self, name: &str) -> Option<&str> {
        self.form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The caller, by its token; 401 where that is missing, unknown, expired, or has no project.
    pub fn caller(&self, world: &World, version: Microversion) -> Result<Caller, Answer> {
        let token = self.token.and_then(|token| world.valid_token(token));
        let found = token.and_then(|token| Some((token.project.clone()?, token.user.clone())));
        let (project, user) = found.ok_or_else(|| Answer::unauthorized(&self.base))?;
        Ok(Caller { project, user, version })
    }

    /// The microversion that the request asks `service` for, `least` where it asks for none.
    pub fn version(
        &self,
        service: &str,
        least: Microversion,
        most: Microversion,
    ) -> Result<Microversion, Answer> {
        let wanted =
            self.wanted.and_then(|wanted| wanted.split(',').find_map(|one| one.trim().strip_prefix(service)));
        let Some(wanted) = wanted.map(str::trim) else { return Ok(least) };
        if wanted == "latest" {
            return Ok(most);
        }
        let parsed = wanted
            .split_once('.')
            .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        let Some(version) = parsed else {
            let message = format!(
                "API Version String {wanted} is of invalid format. Must be of format MajorNum.MinorNum."
            );
            return Err(Answer::fault(400, &message));
        };
        if version < least || version > most {
            return Err(Answer::fault(
                406,
                &format!(
                    "Version {wanted} is not supported by the API. Minimum is {}.{} and maximum is {}.{}.",
                    least.0, least.1, most.0, most.1
                ),
            ));
        }
        Ok(version)
    }

    /// The segments below the version, and below the project where the path has one.
    pub fn below_project(&self, project: &str) -> Result<&[&'a str], Answer> {
        match self.segments.get(1..).unwrap_or_default() {
            [first, rest @ ..] if *first == project => Ok(rest),
            [first, ..] if is_project(first) => Err(Answer::fault(400, "Malformed request url")),
            rest => Ok(rest),
        }
    }
}

fn pairs(text: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(text).into_owned().collect()
}

/// What Cinder says of a path that it knows from a later microversion on.
pub(super) fn not_yet() -> Answer {
    Answer::fault(404, "The resource could not be found.")
}

/// What the web framework of both services says of a path that it doesn't know.
pub(super) fn unknown_path() -> Answer {
    let message = "The resource could not be found.<br /><br />\n\n\n";
    let body = serde_json::json!({ "message": message, "code": "404 Not Found", "title": "Not Found" });
    Answer::new(404, body)
}
