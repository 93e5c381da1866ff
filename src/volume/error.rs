//! Why a volume isn't as asked, in the vocabulary of the CSI error tables.

use std::borrow::Borrow;
use std::fmt;

use crate::openstack::{self, Kind};

pub type Result<T> = std::result::Result<T, Error>;

/// A condition and a sentence that says what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub condition: Condition,
    pub message: String,
}

/// What the orchestrator has to know: each is one gRPC code in `csi::status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    Invalid,
    NotFound,
    AlreadyExists,
    OutOfRange,
    Exhausted,
    /// There is no room for it in this zone; another one may have some.
    NotHere,
    /// The object is in a state that somebody has to change first.
    Precondition,
    Unauthenticated,
    Denied,
    /// The cloud can't be asked now; nothing was changed.
    Unavailable,
    /// A change was sent, or may have been, and its end wasn't seen: ask again, never forget.
    Unsettled,
    /// As `Unsettled`, because the RPC's deadline came first.
    TimedOut,
    /// The list token names no volume any more: start over.
    StaleToken,
    /// The cloud carried out the change and it failed.
    Failed,
}

impl Condition {
    /// See [`Error::reading`].
    pub(super) fn of_reading(error: &openstack::Error) -> Self {
        match error.kind {
            Kind::NotFound => Self::NotFound,
            Kind::Refused | Kind::Unsupported => Self::Precondition,
            // Cinder answers 413 to two different conditions: a quota, and the largest size that one volume may have.
            Kind::OverLimit if error.is_of_one_size() => Self::OutOfRange,
            Kind::OverLimit => Self::Exhausted,
            Kind::Forbidden => Self::Denied,
            Kind::Unauthenticated => Self::Unauthenticated,
            Kind::Throttled | Kind::Unavailable | Kind::Malformed => Self::Unavailable,
            Kind::Deadline => Self::TimedOut,
        }
    }
}

impl Error {
    pub fn new(condition: Condition, message: impl Into<String>) -> Self {
        Self { condition, message: message.into() }
    }

    /// A call that changed nothing failed, while no change of ours is under way.
    pub fn reading(error: impl Borrow<openstack::Error>) -> Self {
        let error = error.borrow();
        Self::new(Condition::of_reading(error), error.to_string())
    }

    /// A call failed while a change is under way, or may be. Whatever the failure was, it says nothing about that change.
    pub fn unsettled(error: impl Borrow<openstack::Error>) -> Self {
        let error = error.borrow();
        let condition = match error.kind {
            Kind::Deadline => Condition::TimedOut,
            Kind::NotFound
            | Kind::Refused
            | Kind::OverLimit
            | Kind::Forbidden
            | Kind::Unauthenticated
            | Kind::Throttled
            | Kind::Unavailable
            | Kind::Unsupported
            | Kind::Malformed => Condition::Unsettled,
        };
        Self::new(condition, error.to_string())
    }

    /// The same while something is left that the caller doesn't know of: it must call again.
    pub fn unfinished(self) -> Self {
        let condition = match self.condition {
            Condition::TimedOut => Condition::TimedOut,
            _ => Condition::Unsettled,
        };
        Self { condition, ..self }
    }

    /// The sentence of the operation that failed, before what is known.
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.message = format!("{doing}: {}", self.message);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
