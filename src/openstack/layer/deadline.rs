//! No call outlives the RPC that it serves.

use tower::{ServiceExt, service_fn};

use super::super::Kind;
use super::super::request::Request;
use super::Calls;
use crate::pace;

pub(in crate::openstack) fn deadline<S: Calls>(inner: S) -> impl Calls {
    service_fn(move |request: Request| {
        let inner = inner.clone();
        async move {
            let facts = request.clone();
            match tokio::time::timeout(pace::deadline().remaining(), inner.oneshot(request)).await {
                Ok(result) => result,
                Err(_) => Err(facts.error(Kind::Deadline, "no answer before the deadline of the request")),
            }
        }
    })
}
