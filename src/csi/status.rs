//! Errors become gRPC codes, here and nowhere else.

#![allow(clippy::disallowed_methods, reason = "this is the file that the other files are sent to")]

use tonic::{Code, Status};

use crate::volume::{Condition, Error};

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        Status::new(code(error.condition), error.message)
    }
}

fn code(condition: Condition) -> Code {
    match condition {
        Condition::Invalid => Code::InvalidArgument,
        Condition::NotFound => Code::NotFound,
        Condition::AlreadyExists => Code::AlreadyExists,
        Condition::OutOfRange => Code::OutOfRange,
        Condition::Exhausted => Code::ResourceExhausted,
        Condition::Precondition => Code::FailedPrecondition,
        Condition::Unauthenticated => Code::Unauthenticated,
        Condition::Denied => Code::PermissionDenied,
        Condition::Unavailable => Code::Unavailable,
        Condition::Unsettled | Condition::StaleToken => Code::Aborted,
        Condition::TimedOut => Code::DeadlineExceeded,
        Condition::Failed => Code::Internal,
    }
}

/// A request that no state of the cloud could make right.
pub fn invalid(field: &str, why: impl std::fmt::Display) -> Status {
    Status::invalid_argument(format!("{field}: {why}"))
}

pub fn out_of_range(field: &str, why: impl std::fmt::Display) -> Status {
    Status::out_of_range(format!("{field}: {why}"))
}

/// An object whose id no cloud could have given.
pub fn unknown(what: &str, id: &str) -> Status {
    Status::not_found(format!("{what} {id:?} doesn't exist: a {what} id is a lower-case UUID"))
}

pub fn panicked(method: &str) -> Status {
    Status::internal(format!(
        "a bug in the driver ended {method}; the log has its place. The call may be repeated"
    ))
}

pub fn not_advertised(method: &str) -> Status {
    Status::unimplemented(format!("{method} isn't among the capabilities of this driver"))
}
