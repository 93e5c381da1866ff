//! Errors become gRPC codes, here and nowhere else.

#![allow(clippy::disallowed_methods, reason = "this is the file that the other files are sent to")]

use tonic::{Code, Status};

use crate::{k8s, node, volume};

impl From<volume::Error> for Status {
    fn from(error: volume::Error) -> Self {
        Status::new(of_volume(error.condition), error.message)
    }
}

impl From<node::Error> for Status {
    fn from(error: node::Error) -> Self {
        Status::new(of_node(error.condition()), error.to_string())
    }
}

/// Before anything was made: the provisioner asks again.
impl From<k8s::Error> for Status {
    fn from(error: k8s::Error) -> Self {
        let code = match error {
            k8s::Error::Unavailable(_) => Code::Unavailable,
            k8s::Error::Denied(_) => Code::FailedPrecondition,
        };
        Status::new(code, error.to_string())
    }
}

fn of_volume(condition: volume::Condition) -> Code {
    use volume::Condition as C;
    match condition {
        C::Invalid => Code::InvalidArgument,
        C::NotFound => Code::NotFound,
        C::AlreadyExists => Code::AlreadyExists,
        C::OutOfRange => Code::OutOfRange,
        C::Exhausted | C::NotHere => Code::ResourceExhausted,
        C::Precondition => Code::FailedPrecondition,
        C::Unauthenticated => Code::Unauthenticated,
        C::Denied => Code::PermissionDenied,
        C::Unavailable => Code::Unavailable,
        C::Unsettled | C::StaleToken => Code::Aborted,
        C::TimedOut => Code::DeadlineExceeded,
        C::Failed => Code::Internal,
    }
}

fn of_node(condition: node::Condition) -> Code {
    use node::Condition as C;
    match condition {
        C::Invalid => Code::InvalidArgument,
        C::NotFound => Code::NotFound,
        C::Exists => Code::AlreadyExists,
        C::Precondition => Code::FailedPrecondition,
        C::Busy => Code::Aborted,
        C::Unsettled => Code::DeadlineExceeded,
        C::Unavailable => Code::Unavailable,
        C::OutOfRange => Code::OutOfRange,
        C::Internal => Code::Internal,
    }
}

/// A request that no state of the cloud could make right.
pub fn invalid(field: &str, why: impl std::fmt::Display) -> Status {
    Status::invalid_argument(format!("{field}: {why}"))
}

pub fn out_of_range(field: &str, why: impl std::fmt::Display) -> Status {
    Status::out_of_range(format!("{field}: {why}"))
}

/// Another call has claimed it.
pub fn busy(key: &str) -> Status {
    Status::aborted(format!("another call for {key} is under way: it goes on, call again"))
}

/// Published before it is staged.
pub fn unstaged() -> Status {
    Status::failed_precondition("staging_target_path: the volume must be staged first")
}

/// An object whose id no cloud could have given.
pub fn unknown(what: &str, id: &str) -> Status {
    Status::not_found(format!("{what} {id:?} doesn't exist: a {what} id is a lower-case UUID"))
}

/// A path at which no volume can be.
pub fn nothing_at(field: &str, path: &str) -> Status {
    Status::not_found(format!("{field}: no volume is at {path:?}, which isn't an absolute path"))
}

/// What a volume is to be made from is nowhere.
pub fn no_source(why: impl std::fmt::Display) -> Status {
    Status::not_found(format!("volume_content_source: {why}"))
}

/// A `starting_token` that isn't one of `list` (any more).
pub fn stale_token(list: &str, token: &str) -> Status {
    let shown: String = token.chars().take(100).collect();
    Status::aborted(format!(
        "starting_token {shown:?} doesn't belong to this list of {list}: start over without one"
    ))
}

/// A snapshot that would not be usable where it must be.
pub fn unusable(zone: &str) -> Status {
    Status::resource_exhausted(format!(
        "accessibility_requirements: the source volume is in zone {zone}, and so its snapshots can be used from there only; a backup \
         (type: backup) can be restored in any zone"
    ))
}

/// A name that the health of nothing goes by.
pub fn no_service(service: &str) -> Status {
    Status::not_found(format!(
        "{service:?} is an unknown health service: ask for \"liveness\" or \"readiness\""
    ))
}

pub fn panicked(method: &str) -> Status {
    Status::internal(format!(
        "a bug in the driver ended {method}; the log has its place. The call may be repeated"
    ))
}
