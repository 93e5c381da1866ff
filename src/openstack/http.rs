//! The innermost service over the network: reqwest with rustls.
//!
//! What a failure says about the request is its [`io::ErrorKind`]:
//!
//! | kind | meaning |
//! |---|---|
//! | `ConnectionRefused`, `NotConnected` | no connection came about: **nothing of the request was sent** |
//! | `InvalidInput` | the request can't be expressed over HTTP: nothing was sent |
//! | any other | the request, or a part of it, may have arrived |

mod tls;

use std::error::Error as _;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::LOCATION;
use http::{Method, StatusCode};
use reqwest::redirect::Policy;
use reqwest::{Client, NoProxy};
use secrecy::{ExposeSecret, SecretString};
use tower::service_fn;
use url::Url;

use super::Http;
use super::options::{Proxy, Tls};

/// The largest answer that is read: a list of a thousand volumes is about two.
const BODY_LIMIT: usize = 64 << 20;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Apache closes an idle connection after 5 s, and a request that meets the closing is lost after it was sent:
/// <https://httpd.apache.org/docs/2.4/mod/core.html#keepalivetimeout>.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// Linux sends unacknowledged data again for about 15 minutes before it gives up on a peer that is gone
/// (tcp(7), `TCP_USER_TIMEOUT`).
const SILENCE: Duration = Duration::from_secs(30);

/// As many as Go's client follows.
const REDIRECTS: usize = 10;

/// Why no TLS came about with a server that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoTls {
    /// Its certificate isn't trusted.
    Untrusted,
    /// It doesn't speak TLS.
    Unspoken,
}

impl NoTls {
    /// A failure's message keeps rustls' words: <https://docs.rs/rustls/latest/rustls/enum.Error.html>.
    pub fn in_words(message: &str) -> Option<Self> {
        match message {
            _ if message.contains("invalid peer certificate") => Some(Self::Untrusted),
            _ if message.contains("InvalidContentType") => Some(Self::Unspoken),
            _ => None,
        }
    }
}

/// The client of a cloud.
pub fn client(tls: &Tls, proxy: &Proxy) -> io::Result<Http> {
    let mut builder = builder().tls_backend_preconfigured(tls::config(tls)?);
    if proxy.bypass.split(',').any(|entry| entry.trim() == "*") {
        return service(builder);
    }
    if let Some(url) = &proxy.http {
        builder = builder.proxy(through(url, proxy, "HTTP_PROXY", |url| reqwest::Proxy::http(url))?);
    }
    if let Some(url) = &proxy.https {
        builder = builder.proxy(through(url, proxy, "HTTPS_PROXY", |url| reqwest::Proxy::https(url))?);
    }
    service(builder)
}

/// A client that never uses a proxy, for the metadata service: it answers to the instance that asks, and that
/// would be the proxy. It speaks `http` only, as Nova's metadata service does, and so reads no certificates.
pub fn direct() -> io::Result<Http> {
    service(builder().tls_backend_preconfigured(tls::none()?))
}

/// HTTP/1.1 only, as the existing driver's client speaks once it has a TLS configuration of its own.
fn builder() -> reqwest::ClientBuilder {
    Client::builder()
        .no_proxy()
        .http1_only()
        .redirect(Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .tcp_nodelay(true)
        .tcp_keepalive(Duration::from_secs(15))
        .tcp_user_timeout(SILENCE)
}

fn service(builder: reqwest::ClientBuilder) -> io::Result<Http> {
    let client = builder
        .build()
        .map_err(|error| invalid(&format!("the HTTP client can't be made: {}", reason(&error))))?;
    let service = service_fn(move |request| {
        let client = client.clone();
        async move { exchange(&client, request).await }
    });
    Ok(Http::new(service))
}

/// `NO_PROXY` as Go has it: loopback never goes through a proxy.
/// <https://pkg.go.dev/golang.org/x/net/http/httpproxy#Config>
fn through(
    url: &SecretString,
    proxy: &Proxy,
    variable: &str,
    make: impl Fn(&str) -> reqwest::Result<reqwest::Proxy>,
) -> io::Result<reqwest::Proxy> {
    let entries = proxy.bypass.split(',').map(|entry| without_star(entry.trim()));
    let bypass = ["localhost", "127.0.0.0/8", "::1"].into_iter().chain(entries).collect::<Vec<_>>().join(",");
    // The cause isn't told: it may quote the URL, and that may hold a password.
    let made =
        make(url.expose_secret()).map_err(|_| invalid(&format!("{variable} is not the URL of a proxy")))?;
    Ok(made.no_proxy(NoProxy::from_string(&bypass)))
}

/// Go takes `*.example` for `.example`; reqwest knows no other wildcard than `*`.
fn without_star(entry: &str) -> &str {
    entry.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(entry)
}

async fn exchange(client: &Client, mut request: http::Request<Bytes>) -> io::Result<http::Response<Bytes>> {
    for _ in 0..REDIRECTS {
        let response = send(client, &request).await?;
        match redirect(&request, &response) {
            Some(target) => *request.uri_mut() = target,
            None => return receive(response).await,
        }
    }
    Err(io::Error::other(format!("more than {REDIRECTS} redirections")))
}

async fn send(client: &Client, request: &http::Request<Bytes>) -> io::Result<reqwest::Response> {
    let request = reqwest::Request::try_from(request.clone())
        .map_err(|error| invalid(&format!("the request can't be sent: {}", reason(&error))))?;
    client.execute(request).await.map_err(failure)
}

/// Where to ask again. Only a read follows, only on the same host, never from https to http: a repeated POST may act
/// twice, and the token is for that host.
fn redirect(request: &http::Request<Bytes>, response: &reqwest::Response) -> Option<http::Uri> {
    let followed = matches!(*request.method(), Method::GET | Method::HEAD);
    let moved = matches!(
        response.status(),
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    if !followed || !moved {
        return None;
    }
    let here = response.url();
    let target: Url = here.join(response.headers().get(LOCATION)?.to_str().ok()?).ok()?;
    let secure = target.scheme() == "https" || target.scheme() == here.scheme();
    (secure && target.host() == here.host()).then(|| target.as_str().parse().ok())?
}

async fn receive(mut response: reqwest::Response) -> io::Result<http::Response<Bytes>> {
    let too_large = || io::Error::other(format!("the answer is larger than {} MiB", BODY_LIMIT >> 20));
    let told = response.content_length().unwrap_or_default();
    if told > BODY_LIMIT as u64 {
        return Err(too_large());
    }
    let mut body = BytesMut::with_capacity(told as usize);
    while let Some(chunk) = response.chunk().await.map_err(failure)? {
        if body.len() + chunk.len() > BODY_LIMIT {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    let mut answer = http::Response::new(body.freeze());
    *answer.status_mut() = response.status();
    *answer.headers_mut() = std::mem::take(response.headers_mut());
    Ok(answer)
}

/// `is_connect` is hyper's word for: there was no connection to write to. That includes the proxy's refusal, a name that
/// isn't known and a certificate that isn't trusted.
fn failure(error: reqwest::Error) -> io::Error {
    let cause = kind_within(&error);
    let kind = match cause {
        Some(io::ErrorKind::ConnectionRefused) if error.is_connect() => io::ErrorKind::ConnectionRefused,
        _ if error.is_connect() => io::ErrorKind::NotConnected,
        _ if error.is_timeout() => io::ErrorKind::TimedOut,
        // These two would say that nothing was sent.
        Some(io::ErrorKind::ConnectionRefused | io::ErrorKind::NotConnected) | None => io::ErrorKind::Other,
        Some(kind) => kind,
    };
    let message = match error.is_connect() && error.is_timeout() {
        true => format!("no connection within {} s", CONNECT_TIMEOUT.as_secs()),
        false => reason(&error),
    };
    io::Error::new(kind, message)
}

fn kind_within(error: &reqwest::Error) -> Option<io::ErrorKind> {
    let mut cause = error.source();
    let mut kind = None;
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            kind = Some(io.kind());
        }
        cause = error.source();
    }
    kind
}

/// The innermost cause, in which no URL is quoted.
fn reason(error: &reqwest::Error) -> String {
    let mut last = None;
    let mut cause = error.source();
    while let Some(error) = cause {
        last = Some(error.to_string());
        cause = error.source();
    }
    let text = last.unwrap_or_else(|| "the request failed".to_owned());
    match NoTls::in_words(&text) {
        Some(NoTls::Untrusted) => {
            format!("{text} (if the cloud's certificate is its own, name it in ca-file)")
        }
        Some(NoTls::Unspoken) => format!("the server there doesn't speak TLS ({text})"),
        None => text,
    }
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests;
