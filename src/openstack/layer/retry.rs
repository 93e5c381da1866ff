//! The one retry policy: what certainly did nothing, or may be done twice, is tried again within the deadline.

use std::time::Duration;

use tower::{ServiceExt, service_fn};

use super::super::request::Request;
use super::super::{Effect, Error, Kind};
use super::Calls;
use crate::pace::{self, Backoff};

const ATTEMPTS: u32 = 5;

pub(in crate::openstack) fn retry<S: Calls>(inner: S) -> impl Calls {
    service_fn(move |request: Request| {
        let inner = inner.clone();
        async move {
            let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
            for _ in 1..ATTEMPTS {
                let error = match inner.clone().oneshot(request.clone()).await {
                    Ok(answer) => return Ok(answer),
                    Err(error) if may_be_tried_again(&request, &error) => error,
                    Err(error) => return Err(error),
                };
                let pause = backoff.step().max(error.retry_after.unwrap_or_default());
                // Waiting for the deadline would only replace the cloud's reason by a worse one.
                if pause >= pace::deadline().remaining() {
                    return Err(error);
                }
                note(&error, pause);
                pace::pause(pause).await;
            }
            inner.oneshot(request).await
        }
    })
}

fn may_be_tried_again(request: &Request, error: &Error) -> bool {
    let harmless = error.effect == Effect::None || request.repeatable;
    harmless && is_passing(error)
}

/// A 500 is a bug or a broken backend: asking again at once doesn't mend it.
fn is_passing(error: &Error) -> bool {
    match error.kind {
        Kind::Throttled => true,
        Kind::Unavailable => error.status.is_none_or(|status| status.as_u16() != 500),
        _ => false,
    }
}

fn note(error: &Error, pause: Duration) {
    let (service, operation) = (error.service.name(), error.operation);
    metrics::counter!("openstack_api_retries_total", "service" => service, "operation" => operation)
        .increment(1);
    tracing::debug!(%error, pause_ms = pause.as_millis() as u64, "trying again");
}
