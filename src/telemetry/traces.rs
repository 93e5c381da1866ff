//! Traces by OpenTelemetry: a span for each RPC and each request to OpenStack, sent by OTLP over gRPC.
//!
//! Of what is logged only the end of an RPC goes with them, so that a trace holds no more than the log at `-v=2` and the
//! names of requests.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter as Otlp, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

/// Where the line of an RPC comes from.
const LINE: &str = "cinder_csi::csi::server::line";

/// What sends the traces, or why nothing does. Dropped, it sends what is left.
pub struct Traces(Option<Result<SdkTracerProvider, String>>);

/// Sends to `endpoint`, `http://HOST:4317`. Inside a tokio runtime.
pub(super) fn layer<S>(endpoint: Option<&str>) -> (impl Layer<S>, Traces)
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let provider = endpoint.map(provider);
    let layer = provider.as_ref().and_then(|provider| provider.as_ref().ok()).map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("cinder-csi"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(is_traced))
    });
    (layer, Traces(provider))
}

fn provider(endpoint: &str) -> Result<SdkTracerProvider, String> {
    let exporter = Otlp::builder().with_tonic().with_endpoint(endpoint).build();
    let exporter = exporter.map_err(|error| format!("OTEL_EXPORTER_OTLP_ENDPOINT: {error}"))?;
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let resource = Resource::builder().with_service_name("cinder-csi").with_attribute(version).build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(Named(exporter)).with_resource(resource).build())
}

impl Traces {
    /// An operator of OpenTelemetry may set the variable in every Pod, so that a bad one is no error.
    pub(super) fn tell(&self) {
        match &self.0 {
            None => {}
            Some(Ok(_)) => tracing::info!("sending traces to OTEL_EXPORTER_OTLP_ENDPOINT"),
            Some(Err(why)) => tracing::warn!("no traces are sent: {why}"),
        }
    }
}

fn is_traced(what: &Metadata<'_>) -> bool {
    match what.is_span() {
        true => what.target().starts_with("cinder_csi"),
        false => what.target() == LINE,
    }
}

/// A span is named after what it's about: in the log its name is the same for all.
#[derive(Debug)]
struct Named<E>(E);

impl<E: SpanExporter> SpanExporter for Named<E> {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        for span in &mut batch {
            let key = if span.name == "rpc" { "method" } else { "operation" };
            if let Some(found) = span.attributes.iter().find(|attribute| attribute.key.as_str() == key) {
                span.name = found.value.as_str().into_owned().into();
            }
        }
        self.0.export(batch).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        let Some(Ok(provider)) = &self.0 else { return };
        if let Err(error) = provider.shutdown() {
            tracing::warn!(%error, "the last traces weren't sent");
        }
    }
}
