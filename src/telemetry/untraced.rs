//! A build without OpenTelemetry.

use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Identity;

/// Nothing. Whether they were asked for.
pub struct Traces {
    is_asked_for: bool,
}

pub(super) fn layer<S: Subscriber>(endpoint: Option<&str>) -> (impl Layer<S>, Traces) {
    (Identity::new(), Traces { is_asked_for: endpoint.is_some() })
}

impl Traces {
    /// An operator of OpenTelemetry may set the variable in every Pod, so that it's no error.
    pub(super) fn tell(&self) {
        if self.is_asked_for {
            tracing::warn!(
                "OTEL_EXPORTER_OTLP_ENDPOINT is set: no traces are sent, as this driver was built without the feature otel"
            );
        }
    }
}
