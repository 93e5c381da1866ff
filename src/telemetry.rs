//! The log, the metrics, traces, and the HTTP endpoint for metrics and health.

mod endpoint;
mod exported;
#[cfg(feature = "otel")]
mod traces;
#[cfg(not(feature = "otel"))]
#[path = "telemetry/untraced.rs"]
mod traces;

use std::io;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing::Subscriber;
use tracing_subscriber::filter::{LevelFilter, ParseError, Targets};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

pub use endpoint::{Answer, Answers, Grpc, Measure, bind, serve};
pub use traces::Traces;

/// The form of a line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    Text,
    Json,
}

/// The metrics of this process.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

/// Histograms whose names end in `_seconds`: from a fast call to a slow attach.
const SECONDS: [f64; 14] =
    [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0];

/// Starts the log, written to `log`, and the metrics, once for a process. `filter` is in the syntax of `RUST_LOG`
/// (<https://docs.rs/tracing-subscriber/latest/tracing_subscriber/filter/targets/struct.Targets.html>) and goes before `verbosity`.
pub fn start(verbosity: u8, format: Format, filter: Option<&str>, log: BoxMakeWriter) -> io::Result<Metrics> {
    start_traced(verbosity, format, filter, log, None).map(|(metrics, _)| metrics)
}

/// Likewise, and sends traces to `endpoint` until they're dropped.
pub fn start_traced(
    verbosity: u8,
    format: Format,
    filter: Option<&str>,
    log: BoxMakeWriter,
    endpoint: Option<&str>,
) -> io::Result<(Metrics, Traces)> {
    let filter = filter.map_or(Ok(None), parsed)?.unwrap_or_else(|| targets(verbosity));
    let (traced, traces) = traces::layer(endpoint);
    // Each has a filter of its own: what is logged says nothing of what is traced.
    let logged = lines(format, log).with_filter(filter);
    let subscriber = tracing_subscriber::registry().with(logged).with(traced);
    subscriber.try_init().map_err(|error| io::Error::other(format!("the log can't be started: {error}")))?;
    traces.tell();
    let recorder = builder().and_then(|builder| builder.install_recorder().map_err(io::Error::other))?;
    exported::describe();
    Ok((Metrics(recorder), traces))
}

fn lines<S>(format: Format, log: BoxMakeWriter) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let lines = fmt::layer().with_writer(log);
    match format {
        Format::Text => lines.with_ansi(false).boxed(),
        Format::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
    }
}

/// `Targets` takes almost any text: `a b` and `loud` are names of targets to it, and an empty part is ERROR. Who mistyped a
/// filter would have an empty log, so that what is no level, no part of the driver and no NAME=LEVEL is refused. `None`: it is empty.
fn parsed(text: &str) -> io::Result<Option<Targets>> {
    let refused = |why: &str| {
        let why = format!("RUST_LOG is not a filter: {why}; write it as warn,cinder_csi::node=debug");
        io::Error::new(io::ErrorKind::InvalidInput, why)
    };
    let parts: Vec<_> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    let has_no_span = |part: &str| part.chars().all(|c| c.is_ascii_alphanumeric() || ":_=-".contains(c));
    let says_what_it_is = |part: &str| {
        part.contains('=') || part.starts_with("cinder_csi") || part.parse::<LevelFilter>().is_ok()
    };
    if let Some(part) =
        parts.iter().find(|part| !has_no_span(part) || !says_what_it_is(part) || part.ends_with('='))
    {
        return Err(refused(part));
    }
    let filter = (!parts.is_empty()).then(|| parts.join(",").parse());
    filter.transpose().map_err(|error: ParseError| refused(&error.to_string()))
}

/// Other crates stay at warnings: at trace hyper and h2 print headers, and a token is one.
fn targets(verbosity: u8) -> Targets {
    let level = match verbosity {
        0 => LevelFilter::WARN,
        1..=3 => LevelFilter::INFO,
        4..=5 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    Targets::new().with_default(LevelFilter::WARN).with_target("cinder_csi", level)
}

fn builder() -> io::Result<PrometheusBuilder> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbosity_is_klogs_and_never_reaches_other_crates() {
        for (verbosity, expected) in
            [(0, "warn"), (1, "info"), (2, "info"), (4, "debug"), (5, "debug"), (6, "trace"), (255, "trace")]
        {
            let same: Targets = format!("warn,cinder_csi={expected}").parse().unwrap();
            assert_eq!(targets(verbosity), same);
        }
    }

    #[test]
    fn a_filter_is_read_as_it_was_meant() {
        for text in
            ["warn,cinder_csi::node=debug", " warn, cinder_csi::node=debug ,", "cinder_csi::node=DEBUG,,WARN"]
        {
            assert_eq!(parsed(text).unwrap(), Some("warn,cinder_csi::node=debug".parse().unwrap()), "{text}");
        }
        for text in ["", " ", ",", " , "] {
            assert_eq!(parsed(text).unwrap(), None, "{text:?}");
        }
    }

    #[test]
    fn a_bad_filter_is_refused() {
        for text in [
            "cinder_csi=loud=1",
            "cinder_csi=loud",
            "cinder_csi=",
            "[rpc]=debug",
            "a b=info",
            "loud",
            "info,hyper",
        ] {
            let error = parsed(text).unwrap_err();
            assert!(error.to_string().starts_with("RUST_LOG is not a filter"), "{text}: {error}");
        }
        let log = BoxMakeWriter::new(io::sink);
        assert!(start(2, Format::Text, Some("[rpc]=debug"), log).is_err());
    }
}
