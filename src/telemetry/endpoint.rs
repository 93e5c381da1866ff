//! The HTTP endpoint: `/metrics`, `/healthz` and `/readyz`, and gRPC beside them, as a kubelet's gRPC probe wants a port.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tonic::body::Body;
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;

use super::Metrics;
use crate::pace;

/// A client that asks nothing doesn't hold a connection for longer.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// A request's head, all of it: a probe's or a scraper's has some hundred bytes.
const LONGEST_HEAD: usize = 16 * 1024;

/// A peer that is gone is noticed after so long; HTTP/1.1 has a new connection for each scrape or probe.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Prometheus gives a scrape 10 s unless it's told otherwise:
/// <https://prometheus.io/docs/prometheus/latest/configuration/configuration/#configuration-file>.
const MEASURE_TIMEOUT: Duration = Duration::from_secs(2);

/// Lines for the body. `Err`: something is wrong.
pub type Answer = Result<String, String>;

/// What is asked over gRPC.
pub type Grpc = BoxCloneSyncService<Request<Incoming>, Response<Body>, Infallible>;

pub type Measure = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// Who answers. Cheap to clone.
#[derive(Clone)]
pub struct Answers {
    pub live: Arc<dyn Fn() -> BoxFuture<'static, Answer> + Send + Sync>,
    pub ready: Arc<dyn Fn() -> Answer + Send + Sync>,
    pub grpc: Grpc,
    /// Takes the measures that nobody takes until they are asked for.
    pub measure: Measure,
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

/// Answers until it is dropped.
pub async fn serve(listener: TcpListener, metrics: Metrics, answers: Answers) {
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "serving /metrics, /healthz, /readyz and gRPC health");
    }
    let mut after_failure = tokio::time::interval(Duration::from_secs(1));
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(converse(stream, metrics.clone(), answers.clone()))),
            Err(error) => {
                // Out of file descriptors, most likely: accepting again at once would spin.
                tracing::warn!(%error, "the HTTP endpoint can't accept a connection");
                after_failure.tick().await;
            }
        }
    }
}

/// One connection, HTTP/1.1 or HTTP/2, as its first bytes say.
async fn converse(stream: TcpStream, metrics: Metrics, answers: Answers) {
    let asked = AtomicBool::new(false);
    let answer = service_fn(|request| {
        asked.store(true, Ordering::Relaxed);
        let (metrics, answers) = (metrics.clone(), answers.clone());
        async move { Ok::<_, Infallible>(respond(request, &metrics, &answers).await) }
    });
    let mut server = auto::Builder::new(TokioExecutor::new());
    let http1 = &mut server.http1();
    http1.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(LONGEST_HEAD);
    let http2 = &mut server.http2();
    http2.timer(TokioTimer::new()).keep_alive_interval(KEEP_ALIVE);
    http2.max_header_list_size(LONGEST_HEAD as u32);
    let silence = async {
        pace::sleep(HEADER_TIMEOUT).await;
        if asked.load(Ordering::Relaxed) {
            std::future::pending().await
        }
    };
    tokio::select! {
        ended = server.serve_connection(TokioIo::new(stream), answer) => {
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection to the HTTP endpoint was lost");
            }
        }
        () = silence => tracing::debug!("a connection to the HTTP endpoint asked nothing"),
    }
}

async fn respond(request: Request<Incoming>, metrics: &Metrics, answers: &Answers) -> Response<Body> {
    let kind = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    if kind.is_some_and(|kind| kind.starts_with(b"application/grpc")) {
        let Ok(response) = answers.grpc.clone().oneshot(request).await;
        return response;
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered\n".to_owned());
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refusal;
    }
    match request.uri().path() {
        "/metrics" => {
            // What isn't measured by then is told as it was.
            let _ = tokio::time::timeout(MEASURE_TIMEOUT, (answers.measure)()).await;
            metrics.0.run_upkeep();
            text(StatusCode::OK, metrics.0.render())
        }
        "/healthz" => told((answers.live)().await),
        "/readyz" => told((answers.ready)()),
        _ => text(StatusCode::NOT_FOUND, "there are /metrics, /healthz and /readyz\n".to_owned()),
    }
}

fn told(answer: Answer) -> Response<Body> {
    match answer {
        Ok(lines) => text(StatusCode::OK, format!("ok\n{lines}")),
        Err(lines) => text(StatusCode::SERVICE_UNAVAILABLE, format!("not ok\n{lines}")),
    }
}

/// The content type of Prometheus' text format, which is plain text for the others.
fn text(status: StatusCode, body: String) -> Response<Body> {
    let mut response = Response::new(Body::new(Full::new(Bytes::from(body))));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests;
