//! What every RPC passes: its span, its deadline, a guard against panics, and the account of its cost.

use std::any::Any;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use tonic::body::Body;
use tower::{Layer, Service};
use tracing::{Instrument, Span, error, field, info_span};

use super::line::{Cost, finish, forsaken};
use crate::csi::status;
use crate::node::phased;
use crate::pace::{self, Deadline};
use crate::volume::recorded;

/// For callers that set no deadline.
const PATIENCE: Duration = Duration::from_secs(300);

#[derive(Clone, Copy, Debug)]
pub struct RpcLayer;

#[derive(Clone, Debug)]
pub struct Rpc<S> {
    inner: S,
}

impl<S> Layer<S> for RpcLayer {
    type Service = Rpc<S>;

    fn layer(&self, inner: S) -> Rpc<S> {
        Rpc { inner }
    }
}

impl<S> Service<http::Request<Body>> for Rpc<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = method(request.uri().path()).to_owned();
        let deadline = Deadline::of_rpc(timeout(request.headers()).unwrap_or(PATIENCE));
        // A span's own name is `name` in the log as JSON, so that no field can be.
        let span = info_span!(
            "rpc",
            method,
            request_name = field::Empty,
            volume = field::Empty,
            snapshot = field::Empty,
            group_snapshot = field::Empty,
            node = field::Empty,
        );
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        let served = async move {
            let started = Instant::now();
            let mut caller = Caller { method: &method, started, is_served: false };
            // Each function around it that is async holds what it's given twice: the box keeps that small.
            let call = AssertUnwindSafe(async move { inner.call(request).await }).catch_unwind().boxed();
            let (called, phases) = phased(recorded(pace::within(deadline, call))).await;
            let (outcome, cloud) = called;
            let response = outcome.unwrap_or_else(|panic| Ok(panicked(&method, panic.as_ref())))?;
            caller.is_served = true;
            finish(&method, &response, &Cost { took: started.elapsed(), cloud, phases });
            Ok(response)
        };
        served.instrument(span).boxed()
    }
}

/// Who waits for the answer. A connection that is closed drops the call: that's its end, too.
struct Caller<'a> {
    method: &'a str,
    started: Instant,
    is_served: bool,
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        if !self.is_served {
            forsaken(self.method, self.started.elapsed());
        }
    }
}

/// `/csi.v1.Controller/CreateVolume` is `CreateVolume`.
fn method(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// `grpc-timeout`: at most eight digits and a unit.
/// <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#requests>
fn timeout(headers: &http::HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

fn panicked(method: &str, panic: &(dyn Any + Send)) -> http::Response<Body> {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    error!(panic = text.unwrap_or("without a message"), "a bug in the driver");
    status::panicked(method).into_http()
}

/// Notes on the RPC's span an object that it is about.
pub fn about(what: &'static str, which: &str) {
    let span = Span::current();
    debug_assert!(span.is_disabled() || span.has_field(what), "{what}");
    if !which.is_empty() {
        span.record(what, which);
    }
}

#[cfg(test)]
mod tests {
    use tonic::{Code, Status};

    use super::super::line::code;
    use super::*;

    #[test]
    fn a_timeout_is_read_as_grpc_writes_it() {
        let table = [
            ("2S", Some(Duration::from_secs(2))),
            ("1500m", Some(Duration::from_millis(1500))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("1H", Some(Duration::from_secs(3600))),
            ("", None),
            ("S", None),
            ("2x", None),
            ("123456789S", None),
            ("-1S", None),
            ("é", None),
        ];
        for (text, expected) in table {
            let mut headers = http::HeaderMap::new();
            headers.insert("grpc-timeout", http::HeaderValue::from_str(text).unwrap());
            assert_eq!(timeout(&headers), expected, "{text:?}");
        }
    }

    #[tokio::test]
    async fn a_panic_in_a_handler_answers_internal_and_the_next_call_is_served() {
        let handler = tower::service_fn(|request: http::Request<Body>| async move {
            assert!(request.uri().path().ends_with("Probe"), "the canary of a bug");
            Ok(Status::new(Code::Ok, "").into_http())
        });
        let mut served = RpcLayer.layer(handler);
        let request = |path| http::Request::post(path).body(Body::empty()).unwrap();
        let answer = served.call(request("/csi.v1.Controller/CreateVolume")).await.unwrap();
        let status = Status::from_header_map(answer.headers()).unwrap();
        assert_eq!(status.code(), Code::Internal);
        assert!(status.message().contains("CreateVolume"), "{}", status.message());
        assert!(!status.message().contains("canary"), "{}", status.message());
        let answer = served.call(request("/csi.v1.Identity/Probe")).await.unwrap();
        assert_eq!(code(&answer), Code::Ok);
    }
}
