//! What can go wrong on a node, in the vocabulary of the CSI tables.

use std::fmt::Display;

/// The next step after what the kernel or one of its tools refused.
pub const KERNEL_LOG: &str = "see this node's kernel log";

pub type Result<T> = std::result::Result<T, Error>;

/// Which row of the CSI error tables an error belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The request itself is wrong.
    Invalid,
    /// Nothing of that volume is at the path that the request names.
    NotFound,
    /// The path holds this volume in a way that doesn't fit the request.
    Exists,
    /// The machine isn't in the state that the request needs; asking again alone doesn't help.
    Precondition,
    /// Another operation on the same is still going.
    Busy,
    /// Not finished, and not known to have failed: ask again.
    Unsettled,
    /// What the cloud has to tell this machine isn't told now.
    Unavailable,
    /// A limit of this disk or of its file system.
    OutOfRange,
    /// The machine refused or failed.
    Internal,
}

/// The cause, the object it concerns, what to do about it, and what else is known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{object}: {cause}{}{}", clause(next.as_deref()), clause(details.as_deref()))]
pub struct Error {
    condition: Condition,
    object: String,
    cause: String,
    next: Option<String>,
    details: Option<String>,
}

impl Error {
    pub fn new(condition: Condition, object: impl Display, cause: impl Display) -> Self {
        Self { condition, object: object.to_string(), cause: cause.to_string(), next: None, details: None }
    }

    /// What the reader of this error can do.
    pub fn next(mut self, next: impl Display) -> Self {
        self.next = Some(next.to_string());
        self
    }

    /// For whom the next step doesn't help.
    pub fn details(mut self, details: impl Display) -> Self {
        self.details = Some(details.to_string());
        self
    }

    pub fn condition(&self) -> Condition {
        self.condition
    }

    /// Object and cause, next step, details: what it's written from.
    pub fn parts(&self) -> (String, Option<&str>, Option<&str>) {
        (format!("{}: {}", self.object, self.cause), self.next.as_deref(), self.details.as_deref())
    }

    pub fn internal(object: impl Display, cause: impl Display) -> Self {
        Self::new(Condition::Internal, object, cause)
    }

    pub fn precondition(object: impl Display, cause: impl Display) -> Self {
        Self::new(Condition::Precondition, object, cause)
    }

    pub fn invalid(object: impl Display, cause: impl Display) -> Self {
        Self::new(Condition::Invalid, object, cause)
    }

    pub fn not_found(object: impl Display, cause: impl Display) -> Self {
        Self::new(Condition::NotFound, object, cause)
    }

    pub fn unsettled(object: impl Display, cause: impl Display) -> Self {
        Self::new(Condition::Unsettled, object, cause)
    }
}

/// Names the object of a failed verb of the host.
pub(super) trait On<T> {
    fn on(self, object: impl Display, verb: &str) -> Result<T>;
}

impl<T> On<T> for std::io::Result<T> {
    fn on(self, object: impl Display, verb: &str) -> Result<T> {
        self.map_err(|error| Error::internal(object, format!("can't {verb}: {error}")))
    }
}

fn clause(part: Option<&str>) -> String {
    part.map(|part| format!("; {part}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_as_object_cause_next_step_and_details() {
        let error = Error::precondition("/dev/vdb", "it holds swap").next("detach it");
        assert_eq!(error.to_string(), "/dev/vdb: it holds swap; detach it");
        assert_eq!(error.details("by mkswap").to_string(), "/dev/vdb: it holds swap; detach it; by mkswap");
        assert_eq!(Error::internal("a", "b").to_string(), "a: b");
    }
}
