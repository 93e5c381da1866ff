//! A line of the log for every exchange, an entry in the ledger of the RPC, and the counters of what the cloud answered.

use std::sync::Arc;

use tokio::time::Instant;
use tower::{ServiceExt, service_fn};
use tracing::{Instrument, Span, debug_span, field};

use super::super::answer::Answer;
use super::super::exchange::Addressed;
use super::super::ledger::{self, Stretch};
use super::super::request::Request;
use super::super::{Error, Result};
use super::Exchanges;
use super::known::known;

/// The label `status` where no answer came.
const NONE: &str = "none";

pub(in crate::openstack) fn trace<S: Exchanges>(cloud: Arc<str>, inner: S) -> impl Exchanges {
    service_fn(move |call: Addressed| {
        let (inner, cloud) = (inner.clone(), cloud.clone());
        async move {
            let mut exchange = Exchange::begin(cloud, &call);
            let span = exchange.span();
            let result = inner.oneshot(call).instrument(span.clone()).await;
            exchange.ended(&result);
            span.record("status", exchange.status).record("request_id", exchange.request_id.as_deref());
            result
        }
    })
}

/// One exchange. The caller's deadline may end it before the cloud does: all the same it's told when it's dropped.
struct Exchange {
    cloud: Arc<str>,
    request: Request,
    path: String,
    start: Instant,
    status: Option<u16>,
    request_id: Option<String>,
    error: Option<String>,
    _on: ledger::On,
}

impl Exchange {
    fn begin(cloud: Arc<str>, call: &Addressed) -> Self {
        Self {
            cloud,
            request: call.request.clone(),
            path: call.url.path().to_owned(),
            start: Instant::now(),
            status: None,
            request_id: None,
            error: Some("nobody waited for the answer any longer".to_owned()),
            _on: ledger::on(Stretch::Exchange),
        }
    }

    /// For traces: it lasts as long as the exchange.
    fn span(&self) -> Span {
        let (service, operation) = (self.request.service.name(), self.request.operation);
        debug_span!("call", service, operation, status = field::Empty, request_id = field::Empty)
    }

    fn ended(&mut self, result: &Result<Answer>) {
        let status = match result {
            Ok(answer) => Some(answer.status),
            Err(error) => error.status,
        };
        self.status = status.map(|status| status.as_u16());
        self.request_id = result.as_ref().map_or_else(|error| error.request_id.clone(), Answer::request_id);
        self.error = result.as_ref().err().map(Error::to_string);
    }

    fn log(&self) {
        let request = &self.request;
        tracing::debug!(
            service = request.service.name(),
            operation = request.operation,
            method = %request.method,
            path = self.path,
            microversion = request.microversion.map(|version| version.to_string()),
            request_id = self.request_id,
            status = self.status,
            elapsed_ms = self.start.elapsed().as_millis() as u64,
            error = self.error,
            "call"
        );
    }

    fn count(&self) {
        let labels = || {
            let status = self.status.map_or_else(|| NONE.to_owned(), |status| status.to_string());
            let Request { service, operation, .. } = self.request;
            [
                ("cloud", self.cloud.to_string()),
                ("service", service.name().to_owned()),
                ("operation", operation.to_owned()),
                ("request", known(operation).to_owned()),
                ("status", status),
            ]
        };
        metrics::counter!("openstack_api_requests_total", &labels()).increment(1);
        if self.error.is_some() {
            metrics::counter!("openstack_api_request_errors_total", &labels()).increment(1);
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.log();
        self.count();
        ledger::enter(self.request_id.take());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::super::recorded::{Recorded, Reply, VOLUME, VOLUME_ID, options, volume};
    use super::super::super::{Cloud, Options};
    use super::*;
    use crate::pace::{self, Deadline};

    #[tokio::test(start_paused = true)]
    async fn every_exchange_is_counted_by_its_status_also_one_that_is_given_up() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let _guard = metrics::set_default_local_recorder(&recorder);
        let recorded = Recorded::default();
        let late = volume("in-use").after(Duration::from_secs(50));
        recorded.on(VOLUME, [Reply::new(429, ""), volume("in-use"), Reply::new(404, "{}"), late]);
        let cloud = Cloud::new(recorded.http(), Options { name: "east".into(), ..options() });
        let show = || cloud.cinder.get_volume(VOLUME_ID.parse().unwrap());
        show().await.unwrap();
        show().await.unwrap_err();
        // After a 429 each waits for its turn.
        pace::sleep(Duration::from_secs(1)).await;
        let (late, record) =
            ledger::recorded(pace::within(Deadline::after(Duration::from_secs(20)), show())).await;
        late.unwrap_err();
        assert_eq!(record.calls, 1, "the call that hung is the one to tell of");
        assert_eq!(record.spent(Duration::from_secs(21))[0], ("answers", Duration::from_secs(20)));
        let told = recorder.handle().render();
        let labels =
            "{cloud=\"east\",service=\"Cinder\",operation=\"show the volume\",request=\"volume_get\",status=";
        for (status, count, errors) in [("429", 1, 1), ("200", 1, 0), ("404", 1, 1), ("none", 1, 1)] {
            let line = |name: &str, count: u32| format!("{name}{labels}\"{status}\"}} {count}");
            assert!(told.contains(&line("openstack_api_requests_total", count)), "{status}: {told}");
            let is_error = told.contains(&line("openstack_api_request_errors_total", 1));
            assert_eq!(is_error, errors == 1, "{status}: {told}");
        }
        assert!(told.contains("operation=\"give a token\",request=\"other\",status=\"201\"} 1"), "{told}");
    }
}
