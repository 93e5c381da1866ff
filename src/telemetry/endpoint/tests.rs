use std::sync::Mutex;

use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::{builder, exported};
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

/// Both questions have this answer; gRPC is echoed.
fn answers(answer: &Arc<Mutex<Answer>>) -> Answers {
    let (live, ready) = (answer.clone(), answer.clone());
    Answers {
        live: Arc::new(move || std::future::ready(live.lock().unwrap().clone()).boxed()),
        ready: Arc::new(move || ready.lock().unwrap().clone()),
        measure: Arc::new(|| std::future::ready(()).boxed()),
        grpc: Grpc::new(tower::service_fn(async |request: Request<Incoming>| {
            Ok(text(StatusCode::IM_A_TEAPOT, format!("{:?} {}", request.version(), request.uri().path())))
        })),
    }
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
    let answer = Arc::new(Mutex::new(Err("the trouble\n".to_owned())));
    tokio::spawn(serve(listener, recorded(), answers(&answer)));
    let metrics = ask(address, "GET /metrics").await;
    assert!(
        metrics.starts_with("HTTP/1.1 200") && metrics.contains("text/plain; version=0.0.4"),
        "{metrics}"
    );
    assert!(metrics.contains("# HELP openstack_api_retries_total Calls to OpenStack"), "{metrics}");
    assert!(metrics.contains("calls_total{service=\"Cinder\"} 3"), "{metrics}");
    assert!(metrics.contains("call_seconds_bucket{le=\"0.5\"} 1"), "{metrics}");
    assert!(metrics.contains("call_seconds_bucket{le=\"0.25\"} 0"), "{metrics}");
    for path in ["GET /healthz", "GET /readyz"] {
        let told = ask(address, path).await;
        assert!(
            told.starts_with("HTTP/1.1 503") && told.ends_with("\r\n\r\nnot ok\nthe trouble\n"),
            "{told}"
        );
    }
    *answer.lock().unwrap() = Ok(String::new());
    for path in ["GET /healthz", "GET /readyz"] {
        let told = ask(address, path).await;
        assert!(told.starts_with("HTTP/1.1 200") && told.ends_with("\r\n\r\nok\n"), "{told}");
    }
}

#[tokio::test]
async fn what_is_unknown_is_refused_and_not_repeated() {
    let listener = bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, recorded(), answers(&Arc::new(Mutex::new(Ok(String::new()))))));
    let long = |length| format!("GET /metrics HTTP/1.1\r\nx-canary: {}", "a".repeat(length));
    let many = format!("GET /metrics HTTP/1.1{}", "\r\nx-canary: 1".repeat(200));
    let table = [
        ("GET /canary".to_owned(), 404),
        ("GET /metrics/".to_owned(), 404),
        ("GET /metrics/../canary".to_owned(), 404),
        ("GET //metrics".to_owned(), 404),
        ("GET /Metrics".to_owned(), 404),
        ("GET /metrics?name=canary".to_owned(), 200),
        ("POST /metrics".to_owned(), 405),
        ("DELETE /canary".to_owned(), 405),
        ("OPTIONS *".to_owned(), 405),
        ("CANARY /metrics".to_owned(), 405),
        ("GET canary".to_owned(), 404),
        ("canary".to_owned(), 400),
        (long(8_000).replace(" HTTP/1.1\r\n", " HTTP/1.1\r\nb: c\r\n"), 200),
        (long(LONGEST_HEAD), 431),
        (format!("GET /{}", "canary".repeat(LONGEST_HEAD)), 431),
        (many, 431),
    ];
    for (request, status) in table {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let end = if request.contains("HTTP/1.1") { "" } else { " HTTP/1.1" };
        let request = format!("{request}{end}\r\nhost: x\r\nconnection: close\r\n\r\n");
        // What is too long is refused before all of it is read.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let (answer, asked) = (String::from_utf8(answer).unwrap(), &request[..request.len().min(60)]);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{asked}: {answer:.200}");
        assert!(!answer.contains("canary"), "{asked}: {answer}");
        assert_eq!(answer.to_lowercase().contains("\r\nallow: get, head\r\n"), status == 405, "{answer}");
    }
}

#[tokio::test]
async fn it_listens_where_it_is_told_and_nowhere_else() {
    let listener = bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_ok());
    assert!(TcpStream::connect(("127.0.0.2", port)).await.is_err());
}

#[tokio::test]
async fn http_2_is_served_on_the_same_port() {
    let listener = bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, recorded(), answers(&Arc::new(Mutex::new(Ok(String::new()))))));
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake::<_, _, Full<Bytes>>(TokioExecutor::new(), stream)
            .await
            .unwrap();
    tokio::spawn(connection);
    for (path, kind, expected) in [
        ("/grpc.health.v1.Health/Check", "application/grpc", "HTTP/2.0 /grpc.health.v1.Health/Check"),
        ("/a", "application/grpc+proto", "HTTP/2.0 /a"),
        ("/healthz", "text/plain", "ok\n"),
    ] {
        let request = Request::get(format!("http://{address}{path}")).header(CONTENT_TYPE, kind);
        let answer = sender.send_request(request.body(Full::default()).unwrap()).await.unwrap();
        let body = http_body_util::BodyExt::collect(answer.into_body()).await.unwrap().to_bytes();
        assert_eq!(body, expected, "{path}");
    }
}

#[tokio::test]
async fn a_port_in_use_and_a_bad_address_are_told_by_name() {
    let taken = bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = bind(&address).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&format!("--http-endpoint: can't listen on {address}")), "{error}");
    assert!(bind("nonsense").await.unwrap_err().to_string().contains("nonsense"));
    assert!(bind(":nonsense").await.is_err());
}

#[tokio::test]
async fn an_address_without_a_host_is_every_address() {
    let port = bind(":0").await.unwrap().local_addr().unwrap();
    assert!(port.ip().is_unspecified());
}

/// Neither before the first byte nor within the first line of HTTP/2.
#[tokio::test(start_paused = true)]
async fn a_client_that_asks_nothing_is_let_go() {
    let listener = bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, recorded(), answers(&Arc::new(Mutex::new(Ok(String::new()))))));
    for begun in ["", "PRI * HT", "GET /metrics HTTP"] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(begun.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(HEADER_TIMEOUT * 10, stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "{begun:?} is still open");
    }
}
