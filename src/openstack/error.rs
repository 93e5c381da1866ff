//! What went wrong in one call to OpenStack, in facts: the meaning of a fact for one operation is decided beside
//! that operation, because an HTTP status is no condition in OpenStack (a conflict of states is mostly a 400).

use std::fmt;
use std::time::Duration;

use http::StatusCode;

use super::http::NoTls;

pub type Result<T> = std::result::Result<T, Error>;

/// A call that did not answer what it should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub kind: Kind,
    pub status: Option<StatusCode>,
    pub service: Service,
    /// What was asked, as a person would say it: "attach a volume".
    pub operation: &'static str,
    /// `x-openstack-request-id`: what an operator of the cloud greps for.
    pub request_id: Option<String>,
    /// The cloud's own words, or ours where it said nothing. Never a secret.
    pub message: String,
    pub retry_after: Option<Duration>,
    /// Whether the cloud may have carried out the call all the same.
    pub effect: Effect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 404.
    NotFound,
    /// 400 or 409: a bad request, or an object in a state that doesn't allow it. Read the state again.
    Refused,
    /// 413 or 403 that speaks of a quota or of too many disks.
    OverLimit,
    /// 403.
    Forbidden,
    /// 401 that a new token didn't cure, or Keystone refusing the credentials.
    Unauthenticated,
    /// 429, or 413 with Retry-After.
    Throttled,
    /// 5xx, no connection, a connection lost.
    Unavailable,
    /// The RPC's deadline came first.
    Deadline,
    /// The cloud's range of microversions lacks the one needed, or the catalog lacks the service.
    Unsupported,
    /// An answer that can't be read.
    Malformed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The cloud said no, or never saw the call.
    None,
    /// Nobody knows: the call was sent and no clear answer came.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    Keystone,
    Cinder,
    Nova,
}

impl Service {
    pub fn name(self) -> &'static str {
        match self {
            Service::Keystone => "Keystone",
            Service::Cinder => "Cinder",
            Service::Nova => "Nova",
        }
    }
}

impl Error {
    /// Whether a single volume would be larger than the cloud lets one be: `VolumeSizeExceedsLimit` in
    /// <https://opendev.org/openstack/cinder/src/branch/master/cinder/exception.py>, the only 413 with these words.
    pub fn is_of_one_size(&self) -> bool {
        self.kind == Kind::OverLimit && self.message.contains("maximum allowed limit")
    }

    /// Whether no TLS came about: the certificate isn't trusted, or the server doesn't speak TLS.
    pub fn is_of_tls(&self) -> bool {
        NoTls::in_words(&self.message).is_some()
    }

    /// The same for the same trouble: all but the id of the request.
    pub fn sentence(&self) -> String {
        let status = self.status.map(|status| format!(": HTTP {}", status.as_u16())).unwrap_or_default();
        let step = self.next_step().map(|step| format!("; {step}")).unwrap_or_default();
        format!("{} could not {}{status}: {}{step}", self.service.name(), self.operation, self.message)
    }

    /// What to do about a limit that the cloud names and doesn't explain.
    fn next_step(&self) -> Option<&'static str> {
        match (self.kind, self.service) {
            (Kind::OverLimit, Service::Cinder) if !self.is_of_one_size() => Some(
                "delete what isn't needed, or ask the cloud's administrator for more (openstack quota show)",
            ),
            (Kind::OverLimit, Service::Nova) => Some(
                "detach another volume from it; with node-volume-attach-limit the scheduler sends no more than it takes",
            ),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence())?;
        if let Some(id) = &self.request_id {
            write!(f, " (request {id})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
