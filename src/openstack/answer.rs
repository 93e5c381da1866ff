//! An HTTP answer, read: either what was asked for, or an error in facts.

use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::request::Request;
use super::{Effect, Error, Kind, Result, Service, fault};
use crate::{json, pace};

/// A 2xx answer.
#[derive(Clone)]
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    service: Service,
    operation: &'static str,
    effect: Effect,
}

impl Answer {
    /// Reads the answer to `request`: every status but 2xx is an error.
    pub fn read(request: &Request, response: http::Response<Bytes>) -> Result<Self> {
        let (parts, body) = response.into_parts();
        if !parts.status.is_success() {
            return Err(classify(request, parts.status, &parts.headers, &body));
        }
        let (service, operation, effect) = (request.service, request.operation, request.effect());
        Ok(Self { status: parts.status, headers: parts.headers, body, service, operation, effect })
    }

    pub fn request_id(&self) -> Option<String> {
        request_id(&self.headers)
    }

    /// The cloud's clock when it answered.
    pub fn date(&self) -> Option<SystemTime> {
        date(&self.headers)
    }

    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        json::read(&self.body).map_err(|error| {
            let detail = match self.service {
                // It may show a password.
                Service::Keystone => error.place(),
                _ => format!("{error}: {}", fault::excerpt(&self.body)),
            };
            self.malformed(format!("the answer can't be read: {detail}"))
        })
    }

    pub fn malformed(&self, message: String) -> Error {
        Error {
            kind: Kind::Malformed,
            status: None,
            service: self.service,
            operation: self.operation,
            request_id: self.request_id(),
            message,
            retry_after: None,
            effect: self.effect,
        }
    }
}

/// Without headers and body: Keystone's carry the token.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer to {:?}: {} bytes", self.operation, self.body.len())
    }
}

fn classify(request: &Request, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Error {
    let foreign = is_foreign(status, headers, body);
    let message = match (headers.get(header::LOCATION), fault::message(body)) {
        (Some(target), _) if status.is_redirection() => {
            let (target, setting) = (String::from_utf8_lossy(target.as_bytes()), address_of(request.service));
            format!("it points to {target:?}: is {setting} right?")
        }
        (_, words) if foreign => {
            let words = words.map(|words| format!(" ({words})")).unwrap_or_default();
            let (name, setting) = (request.service.name(), address_of(request.service));
            format!(
                "not {name} but something before it says that this isn't there{words}: is {name} up, and {setting} right?"
            )
        }
        // A sentence goes on after it: the next step, or the request's id.
        (_, Some(message)) => message.trim_end_matches('.').to_owned(),
        _ => status.canonical_reason().unwrap_or("no reason given").to_owned(),
    };
    let retry_after = retry_after(headers);
    Error {
        kind: if foreign { Kind::Unavailable } else { kind(status, &message, retry_after) },
        status: Some(status),
        service: request.service,
        operation: request.operation,
        request_id: request_id(headers),
        message,
        retry_after,
        effect: if foreign || leaves_doubt(status) { request.effect() } else { Effect::None },
    }
}

/// A balancer that has lost its backends answers 404 in its own words ("default backend - 404"). Taken for Cinder's
/// it would turn a delete into a success and leave the volume behind. OpenStack's own names its request or is JSON.
fn is_foreign(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> bool {
    let missing = matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE);
    missing && request_id(headers).is_none() && serde_json::from_slice::<Map<String, Value>>(body).is_err()
}

fn address_of(service: Service) -> &'static str {
    match service {
        Service::Keystone => "auth-url",
        Service::Cinder | Service::Nova => "the endpoint in Keystone's catalog",
    }
}

fn kind(status: StatusCode, message: &str, retry_after: Option<Duration>) -> Kind {
    match status.as_u16() {
        401 => Kind::Unauthenticated,
        403 if speaks_of_a_limit(message) => Kind::OverLimit,
        403 => Kind::Forbidden,
        404 | 410 => Kind::NotFound,
        406 => Kind::Unsupported,
        413 if retry_after.is_some() => Kind::Throttled,
        413 => Kind::OverLimit,
        429 => Kind::Throttled,
        408 | 500.. => Kind::Unavailable,
        400.. => Kind::Refused,
        _ => Kind::Malformed,
    }
}

/// Nova's 403 for too many disks, and any service's 403 for a quota, differ from a policy's by their words only.
/// <https://opendev.org/openstack/nova/src/branch/master/nova/exception.py>: `TooManyDiskDevices`, `OverQuota`.
fn speaks_of_a_limit(message: &str) -> bool {
    let message = message.to_lowercase();
    ["quota", "maximum number", "maximum allowed", "too many"].iter().any(|words| message.contains(words))
}

/// A 5xx says nothing about the effect: Nova's 500 for an attach that timed out is carried out later.
fn leaves_doubt(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT
}

pub(super) fn request_id(headers: &HeaderMap) -> Option<String> {
    ["x-openstack-request-id", "x-compute-request-id"]
        .iter()
        .find_map(|name| headers.get(*name)?.to_str().ok())
        .filter(|id| !id.is_empty() && id.len() <= 64)
        .map(str::to_owned)
}

fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(header::DATE)?.to_str().ok()?).ok()
}

/// Seconds, or a date: <https://www.rfc-editor.org/rfc/rfc9110#name-retry-after>. Zero is none: Cinder sends it with
/// every exceeded quota, where waiting doesn't help
/// (<https://opendev.org/openstack/cinder/src/branch/master/cinder/exception.py>).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = match text.parse::<u32>() {
        Ok(seconds) => Duration::from_secs(seconds.into()),
        Err(_) => {
            let until = httpdate::parse_http_date(text).ok()?;
            until.duration_since(date(headers).unwrap_or_else(pace::now)).ok()?
        }
    };
    Some(pause).filter(|pause| !pause.is_zero())
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    fn error_of(method: Method, status: u16, headers: &[(&str, &str)], body: &str) -> Error {
        let request = Request::new(Service::Cinder, "test", method, &[]);
        let _sent = request.sent();
        let mut response = http::Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        Answer::read(&request, response.body(Bytes::from(body.to_owned())).unwrap()).unwrap_err()
    }

    #[test]
    fn a_status_and_its_words_make_the_kind() {
        for (status, words, kind) in [
            (400, "Invalid volume: already attached", Kind::Refused),
            (409, "locked", Kind::Refused),
            (422, "no", Kind::Refused),
            (401, "requires authentication", Kind::Unauthenticated),
            (403, "Policy doesn't allow it", Kind::Forbidden),
            (403, "Quota exceeded for instances", Kind::OverLimit),
            (403, "The maximum allowed number of disk devices (1) to attach was exceeded", Kind::OverLimit),
            (403, "Maximum number of volumes attached", Kind::OverLimit),
            (404, "Volume could not be found", Kind::NotFound),
            (406, "Version 3.99 is not supported", Kind::Unsupported),
            (413, "VolumeSizeExceedsAvailableQuota", Kind::OverLimit),
            (429, "Too many requests", Kind::Throttled),
            (408, "slow", Kind::Unavailable),
            (500, "oops", Kind::Unavailable),
            (503, "maintenance", Kind::Unavailable),
            (302, "", Kind::Malformed),
        ] {
            let body = format!("{{\"fault\": {{\"message\": \"{words}\", \"code\": {status}}}}}");
            let error = error_of(Method::POST, status, &[], &body);
            assert_eq!(error.kind, kind, "{status} {words}");
            assert!(error.message.contains(words), "{error}");
        }
    }

    #[test]
    fn a_redirection_is_named() {
        let error = error_of(Method::POST, 301, &[("location", "https://other/v3/")], "<html>moved</html>");
        assert_eq!((error.kind, error.effect), (Kind::Malformed, Effect::None));
        assert!(error.message.contains("https://other/v3/"), "{error}");
    }

    #[test]
    fn only_openstacks_own_404_says_that_a_thing_is_gone() {
        for (method, headers, body, kind, effect) in [
            (Method::GET, &[][..], "default backend - 404", Kind::Unavailable, Effect::None),
            (Method::GET, &[], "<html><title>404 Not Found</title></html>", Kind::Unavailable, Effect::None),
            (Method::DELETE, &[], "", Kind::Unavailable, Effect::Unknown),
            (
                Method::DELETE,
                &[],
                "{\"itemNotFound\": {\"message\": \"gone\"}}",
                Kind::NotFound,
                Effect::None,
            ),
            (Method::DELETE, &[("x-openstack-request-id", "req-1")], "<html>", Kind::NotFound, Effect::None),
        ] {
            let error = error_of(method, 404, headers, body);
            assert_eq!((error.kind, error.effect), (kind, effect), "{body}: {error}");
        }
        let error = error_of(Method::GET, 404, &[], "default backend - 404");
        assert!(error.message.contains("(default backend - 404): is Cinder up"), "{error}");
    }

    #[test]
    fn a_quota_is_no_throttle_though_cinder_sends_retry_after_zero() {
        let quota = error_of(Method::POST, 413, &[("retry-after", "0")], "{}");
        assert_eq!((quota.kind, quota.retry_after), (Kind::OverLimit, None));
        let throttle = error_of(Method::POST, 413, &[("retry-after", "7")], "{}");
        assert_eq!((throttle.kind, throttle.retry_after), (Kind::Throttled, Some(Duration::from_secs(7))));
    }

    #[test]
    fn a_quota_has_a_next_step_and_no_sentence_ends_twice() {
        let told = |status, words: &str| {
            let body = format!("{{\"fault\": {{\"message\": \"{words}\"}}}}");
            error_of(Method::POST, status, &[("x-openstack-request-id", "req-1")], &body).to_string()
        };
        assert_eq!(
            told(413, "Maximum number of volumes allowed (2) exceeded for quota 'volumes'."),
            "Cinder could not test: HTTP 413: Maximum number of volumes allowed (2) exceeded for quota 'volumes'; delete \
             what isn't needed, or ask the cloud's administrator for more (openstack quota show) (request req-1)"
        );
        for (status, words) in [(413, "The size exceeds maximum allowed limit of 8"), (404, "no such type.")]
        {
            let words_alone = words.trim_end_matches('.');
            assert_eq!(
                told(status, words),
                format!("Cinder could not test: HTTP {status}: {words_alone} (request req-1)")
            );
        }
    }

    #[test]
    fn retry_after_may_be_a_date_on_the_clouds_clock() {
        let headers =
            [("date", "Mon, 23 Nov 2020 13:36:28 GMT"), ("retry-after", "Mon, 23 Nov 2020 13:36:58 GMT")];
        assert_eq!(error_of(Method::GET, 429, &headers, "").retry_after, Some(Duration::from_secs(30)));
    }

    #[test]
    fn only_a_server_error_on_a_mutation_leaves_doubt() {
        for (method, status, effect) in [
            (Method::POST, 500, Effect::Unknown),
            (Method::POST, 503, Effect::Unknown),
            (Method::DELETE, 504, Effect::Unknown),
            (Method::POST, 408, Effect::Unknown),
            (Method::POST, 400, Effect::None),
            (Method::POST, 429, Effect::None),
            (Method::GET, 503, Effect::None),
        ] {
            assert_eq!(error_of(method.clone(), status, &[], "").effect, effect, "{method} {status}");
        }
    }

    #[test]
    fn novas_older_header_names_the_request_too() {
        let error = error_of(Method::GET, 404, &[("x-compute-request-id", "req-1")], "");
        assert_eq!(error.request_id.as_deref(), Some("req-1"));
    }
}
