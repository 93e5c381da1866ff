//! How long each call took, with its retries and waits, and how it ended.

use std::sync::Arc;

use tokio::time::Instant;
use tower::{ServiceExt, service_fn};

use super::super::answer::Answer;
use super::super::request::Request;
use super::super::{Kind, Result};
use super::Calls;
use super::known::known;

pub(in crate::openstack) fn metrics<S: Calls>(cloud: Arc<str>, inner: S) -> impl Calls {
    service_fn(move |request: Request| {
        let (inner, cloud) = (inner.clone(), cloud.clone());
        async move {
            let (service, operation) = (request.service.name(), request.operation);
            let start = Instant::now();
            let result = inner.oneshot(request).await;
            metrics::histogram!(
                "openstack_api_request_duration_seconds",
                "cloud" => cloud, "service" => service, "operation" => operation,
                "request" => known(operation), "outcome" => outcome(&result)
            )
            .record(start.elapsed());
            result
        }
    })
}

fn outcome(result: &Result<Answer>) -> &'static str {
    let Err(error) = result else { return "ok" };
    match error.kind {
        Kind::NotFound => "not_found",
        Kind::Refused => "refused",
        Kind::OverLimit => "over_limit",
        Kind::Forbidden => "forbidden",
        Kind::Unauthenticated => "unauthenticated",
        Kind::Throttled => "throttled",
        Kind::Unavailable => "unavailable",
        Kind::Deadline => "deadline",
        Kind::Unsupported => "unsupported",
        Kind::Malformed => "malformed",
    }
}
