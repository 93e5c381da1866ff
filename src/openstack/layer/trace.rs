//! A line of the log for every exchange, and an entry in the ledger of the RPC.

use tokio::time::Instant;
use tower::{ServiceExt, service_fn};

use super::super::answer::Answer;
use super::super::exchange::Addressed;
use super::super::{Result, ledger};
use super::Exchanges;

pub(in crate::openstack) fn trace<S: Exchanges>(inner: S) -> impl Exchanges {
    service_fn(move |call: Addressed| {
        let inner = inner.clone();
        async move {
            let request = call.request.clone();
            let path = call.url.path().to_owned();
            let start = Instant::now();
            let result = inner.oneshot(call).await;
            let request_id = id_of(&result);
            tracing::debug!(
                service = request.service.name(),
                operation = request.operation,
                method = %request.method,
                path,
                microversion = request.microversion.map(|version| version.to_string()),
                request_id,
                elapsed_ms = start.elapsed().as_millis() as u64,
                error = result.as_ref().err().map(ToString::to_string),
                "call"
            );
            ledger::enter(request_id);
            result
        }
    })
}

fn id_of(result: &Result<Answer>) -> Option<String> {
    match result {
        Ok(answer) => answer.request_id(),
        Err(error) => error.request_id.clone(),
    }
}
