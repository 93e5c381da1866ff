//! The log, the metrics, and the HTTP endpoint for both kinds of health.

mod exported;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

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

/// A client that sends nothing doesn't hold a connection for longer.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Starts the log, written to `log`, and the metrics, once for a process. `filter` is in the syntax of `RUST_LOG`
/// (<https://docs.rs/tracing-subscriber/latest/tracing_subscriber/filter/struct.EnvFilter.html>) and goes before `verbosity`.
pub fn start(verbosity: u8, format: Format, filter: Option<&str>, log: BoxMakeWriter) -> io::Result<Metrics> {
    let filter = match filter {
        Some(text) => EnvFilter::try_new(text).map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("RUST_LOG is not a filter: {error}"))
        })?,
        None => EnvFilter::new(directives(verbosity)),
    };
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(log);
    match format {
        Format::Text => log.with_ansi(false).try_init(),
        Format::Json => log.json().flatten_event(true).try_init(),
    }
    .map_err(|error| io::Error::other(format!("the log can't be started: {error}")))?;
    let recorder = builder().and_then(|builder| builder.install_recorder().map_err(io::Error::other))?;
    exported::describe();
    Ok(Metrics(recorder))
}

/// Listens on `:8080`, `HOST:8080` or `IP:8080`.
pub async fn bind(address: &str) -> io::Result<TcpListener> {
    // As in Go, an empty host is every address, IPv6 and IPv4; some kernels have no IPv6.
    let hosts: &[&str] = if address.starts_with(':') { &["[::]", "0.0.0.0"] } else { &[""] };
    let mut result = Err(io::ErrorKind::InvalidInput.into());
    for host in hosts {
        result = TcpListener::bind(format!("{host}{address}")).await;
        if result.is_ok() {
            break;
        }
    }
    result.map_err(|error: io::Error| {
        io::Error::new(error.kind(), format!("--http-endpoint: can't listen on {address}: {error}"))
    })
}

/// Answers `/metrics`, `/healthz` and, by `ready`, `/readyz`, until it is dropped.
pub async fn serve(
    listener: TcpListener,
    metrics: Metrics,
    ready: impl Fn() -> bool + Send + Sync + 'static,
) {
    let ready = Arc::new(ready);
    let mut after_failure = tokio::time::interval(Duration::from_secs(1));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, most likely: accepting again at once would spin.
                tracing::warn!(%error, "the HTTP endpoint can't accept a connection");
                after_failure.tick().await;
                continue;
            }
        };
        let (metrics, ready) = (metrics.clone(), ready.clone());
        let answer = service_fn(move |request| {
            let response = respond(&request, &metrics, ready.as_ref());
            async move { Ok::<_, Infallible>(response) }
        });
        let mut server = http1::Builder::new();
        server.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
        let connection = server.serve_connection(TokioIo::new(stream), answer);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the HTTP endpoint was lost");
            }
        });
    }
}

/// Other crates stay at warnings: at trace hyper and h2 print headers, and a token is one.
fn directives(verbosity: u8) -> String {
    let level = match verbosity {
        0 => "warn",
        1..=3 => "info",
        4..=5 => "debug",
        _ => "trace",
    };
    format!("warn,cinder_csi={level}")
}

fn builder() -> io::Result<PrometheusBuilder> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .map_err(io::Error::other)
}

fn respond<B>(request: &Request<B>, metrics: &Metrics, ready: &dyn Fn() -> bool) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered\n".to_owned());
    }
    match request.uri().path() {
        "/metrics" => {
            metrics.0.run_upkeep();
            text(StatusCode::OK, metrics.0.render())
        }
        "/healthz" => text(StatusCode::OK, "ok\n".to_owned()),
        "/readyz" if ready() => text(StatusCode::OK, "ok\n".to_owned()),
        "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n".to_owned()),
        _ => text(StatusCode::NOT_FOUND, "there are /metrics, /healthz and /readyz\n".to_owned()),
    }
}

/// The content type of Prometheus' text format, which is plain text for the others.
fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let kind = http::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    /// A recorder of the test's own: the global one is one for all tests.
    fn recorded() -> Metrics {
        let recorder = builder().unwrap().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            metrics::counter!("calls_total", "service" => "Cinder").increment(3);
            metrics::histogram!("call_seconds").record(0.3);
            exported::describe();
            metrics::counter!("openstack_api_retries_total").increment(1);
        });
        Metrics(handle)
    }

    async fn ask(address: std::net::SocketAddr, line: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn metrics_and_health_are_served() {
        let listener = bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ready = Arc::new(AtomicBool::new(false));
        let asked = ready.clone();
        tokio::spawn(serve(listener, recorded(), move || asked.load(Ordering::SeqCst)));
        let metrics = ask(address, "GET /metrics").await;
        assert!(
            metrics.starts_with("HTTP/1.1 200") && metrics.contains("text/plain; version=0.0.4"),
            "{metrics}"
        );
        assert!(metrics.contains("# HELP openstack_api_retries_total Calls to OpenStack"), "{metrics}");
        assert!(metrics.contains("calls_total{service=\"Cinder\"} 3"), "{metrics}");
        assert!(metrics.contains("call_seconds_bucket{le=\"0.5\"} 1"), "{metrics}");
        assert!(metrics.contains("call_seconds_bucket{le=\"0.25\"} 0"), "{metrics}");
        assert!(ask(address, "GET /healthz").await.starts_with("HTTP/1.1 200"));
        assert!(ask(address, "GET /readyz").await.starts_with("HTTP/1.1 503"));
        ready.store(true, Ordering::SeqCst);
        assert!(ask(address, "GET /readyz").await.starts_with("HTTP/1.1 200"));
        assert!(ask(address, "GET /other").await.starts_with("HTTP/1.1 404"));
        assert!(ask(address, "POST /metrics").await.starts_with("HTTP/1.1 405"));
    }

    #[tokio::test]
    async fn a_port_in_use_and_a_bad_address_are_told_by_name() {
        let taken = bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let error = bind(&address).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(
            error.to_string().contains(&format!("--http-endpoint: can't listen on {address}")),
            "{error}"
        );
        assert!(bind("nonsense").await.unwrap_err().to_string().contains("nonsense"));
        assert!(bind(":nonsense").await.is_err());
    }

    #[tokio::test]
    async fn an_address_without_a_host_is_every_address() {
        let port = bind(":0").await.unwrap().local_addr().unwrap();
        assert!(port.ip().is_unspecified());
    }

    #[test]
    fn verbosity_is_klogs_and_never_reaches_other_crates() {
        for (verbosity, expected) in
            [(0, "warn"), (1, "info"), (2, "info"), (4, "debug"), (5, "debug"), (6, "trace"), (255, "trace")]
        {
            assert_eq!(directives(verbosity), format!("warn,cinder_csi={expected}"));
            assert!(EnvFilter::try_new(directives(verbosity)).is_ok());
        }
    }

    #[test]
    fn a_bad_filter_is_refused() {
        let error = start(2, Format::Text, Some("cinder_csi=loud=1"), BoxMakeWriter::new(io::sink))
            .map(|_| ())
            .unwrap_err();
        assert!(error.to_string().starts_with("RUST_LOG is not a filter"), "{error}");
    }
}
