//! What happens to every call on its way out. The order is in `stack.rs`.

mod auth;
mod deadline;
mod known;
mod limit;
mod metrics;
mod microversion;
mod retry;
mod timed;
mod trace;

use tower::Service;

use super::Error;
use super::answer::Answer;
use super::exchange::Addressed;
use super::request::Request;

pub use limit::Limits;
pub(super) use {
    auth::{auth, login},
    deadline::deadline,
    limit::Limit,
    metrics::metrics,
    microversion::microversion,
    retry::retry,
    timed::timed,
    trace::trace,
};

/// A service that takes calls.
pub(super) trait Calls:
    Service<Request, Response = Answer, Error = Error, Future: Send> + Clone + Send + Sync + 'static
{
}

impl<S> Calls for S where
    S: Service<Request, Response = Answer, Error = Error, Future: Send> + Clone + Send + Sync + 'static
{
}

/// A service that takes calls with their address.
pub(super) trait Exchanges:
    Service<Addressed, Response = Answer, Error = Error, Future: Send> + Clone + Send + Sync + 'static
{
}

impl<S> Exchanges for S where
    S: Service<Addressed, Response = Answer, Error = Error, Future: Send> + Clone + Send + Sync + 'static
{
}
