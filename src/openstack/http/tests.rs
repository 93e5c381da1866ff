//! Real sockets on loopback: certificates, proxies, redirections, and what a failure says.

use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, IsCa};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tower::ServiceExt;

use super::*;
use server::{OK, Pair, Server, head, server_builder, signed, talk};

mod server;

const CANARY: &str = "canary-s3cr3t";

fn trusting(pair: &Pair) -> Tls {
    Tls { ca: Some(pair.certificate.clone().into_bytes()), ..Tls::default() }
}

async fn get(tls: &Tls, proxy: &Proxy, url: &str) -> io::Result<http::Response<Bytes>> {
    ask(tls, proxy, Method::GET, url).await
}

async fn ask(tls: &Tls, proxy: &Proxy, method: Method, url: &str) -> io::Result<http::Response<Bytes>> {
    let request = http::Request::builder().method(method).uri(url).header("x-auth-token", CANARY);
    client(tls, proxy)?.oneshot(request.body(Bytes::new()).unwrap()).await
}

/// The reason why `server` isn't trusted; nothing was sent to it.
async fn distrust(tls: &Tls, server: &Server) -> String {
    let error = get(tls, &Proxy::default(), &server.url("https")).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotConnected, "{error}");
    assert!(server.heads().is_empty());
    error.to_string()
}

#[tokio::test]
async fn a_certificate_that_the_given_authority_signed_is_trusted() {
    let (authority, pair) = signed("127.0.0.1");
    let server = Server::tls(pair.server()).await;
    let answer = get(&trusting(&authority), &Proxy::default(), &server.url("https")).await.unwrap();
    assert_eq!((answer.status(), &answer.body()[..]), (StatusCode::OK, &b"hi"[..]));
    let (stranger, _) = signed("127.0.0.1");
    let error = distrust(&trusting(&stranger), &Server::tls(pair.server()).await).await;
    assert!(error.contains("ca-file"), "{error}");
    assert_eq!(NoTls::in_words(&error), Some(NoTls::Untrusted));
}

#[tokio::test]
async fn with_a_ca_file_the_machines_authorities_are_not_trusted_and_without_one_only_they_are() {
    let (_, pair) = signed("127.0.0.1");
    distrust(&Tls::default(), &Server::tls(pair.server()).await).await;
}

#[tokio::test]
async fn a_self_signed_certificate_given_as_ca_file_is_trusted_whether_an_authority_or_not() {
    for is_ca in [IsCa::NoCa, IsCa::ExplicitNoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
        let pair = Pair::self_signed("127.0.0.1", |params| params.is_ca = is_ca);
        let server = Server::tls(pair.server()).await;
        let answer = get(&trusting(&pair), &Proxy::default(), &server.url("https")).await;
        assert_eq!(answer.unwrap().status(), StatusCode::OK, "{is_ca:?}");
    }
}

#[tokio::test]
async fn a_servers_own_certificate_is_trusted_without_its_authority() {
    let (_, pair) = signed("127.0.0.1");
    let server = Server::tls(pair.server()).await;
    assert!(get(&trusting(&pair), &Proxy::default(), &server.url("https")).await.is_ok());
}

#[tokio::test]
async fn another_certificate_with_the_same_name_is_refused() {
    let given = Pair::self_signed("127.0.0.1", |_| {});
    for is_ca in [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
        let other = Pair::self_signed("127.0.0.1", |params| params.is_ca = is_ca);
        distrust(&trusting(&given), &Server::tls(other.server()).await).await;
    }
}

#[tokio::test]
async fn an_exact_match_still_has_to_be_in_date_and_of_the_right_name() {
    for is_ca in [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
        let old = Pair::self_signed("127.0.0.1", |params| {
            params.is_ca = is_ca;
            params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        });
        let error = distrust(&trusting(&old), &Server::tls(old.server()).await).await;
        assert!(error.contains("expired"), "{error}");
        let early = Pair::self_signed("127.0.0.1", |params| {
            params.is_ca = is_ca;
            params.not_before = rcgen::date_time_ymd(2999, 1, 1);
        });
        let error = distrust(&trusting(&early), &Server::tls(early.server()).await).await;
        assert!(error.contains("not valid yet"), "{error}");
        let named = Pair::self_signed("elsewhere.example", |params| params.is_ca = is_ca);
        let error = distrust(&trusting(&named), &Server::tls(named.server()).await).await;
        assert!(error.contains("not valid for name"), "{error}");
    }
}

#[tokio::test]
async fn the_key_of_the_handshake_must_be_the_certificates_even_where_nothing_else_is_verified() {
    let (shown, held) = (Pair::self_signed("127.0.0.1", |_| {}), Pair::self_signed("127.0.0.1", |_| {}));
    for tls in [trusting(&shown), Tls { insecure: true, ..Tls::default() }] {
        let resolver = rustls::sign::SingleCertAndKey::from(rustls::sign::CertifiedKey::new(
            shown.chain(),
            rustls::crypto::ring::sign::any_supported_type(&held.private()).unwrap(),
        ));
        let config = server_builder().with_no_client_auth().with_cert_resolver(Arc::new(resolver));
        distrust(&tls, &Server::tls(config).await).await;
    }
}

#[tokio::test]
async fn a_server_that_speaks_plain_http_is_told_from_one_that_is_not_trusted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        std::future::pending::<()>().await
    });
    let error = get(&Tls::default(), &Proxy::default(), &url).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotConnected, "{error}");
    let told = error.to_string();
    assert!(told.starts_with("the server there doesn't speak TLS ("), "{told}");
    assert_eq!(NoTls::in_words(&told), Some(NoTls::Unspoken));
}

#[tokio::test]
async fn tls_insecure_trusts_any_certificate() {
    let pair =
        Pair::self_signed("elsewhere.example", |params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
    let server = Server::tls(pair.server()).await;
    let tls = Tls { insecure: true, ..Tls::default() };
    assert!(get(&tls, &Proxy::default(), &server.url("https")).await.is_ok());
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_a_server_that_asks() {
    let (authority, pair) = signed("127.0.0.1");
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authority.chain());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    let config =
        server_builder().with_client_cert_verifier(verifier).with_single_cert(pair.chain(), pair.private());
    let server = Server::tls(config.unwrap()).await;
    let identity = Some((pair.certificate.clone().into_bytes(), pair.key.clone().into()));
    let tls = Tls { identity, ..trusting(&authority) };
    assert!(get(&tls, &Proxy::default(), &server.url("https")).await.is_ok());
    // In TLS 1.3 the client learns of the refusal after it has sent, so that no kind may claim otherwise.
    let error = get(&trusting(&authority), &Proxy::default(), &server.url("https")).await.unwrap_err();
    assert!(
        !matches!(error.kind(), io::ErrorKind::NotConnected | io::ErrorKind::ConnectionRefused),
        "{error:?}"
    );
    assert_eq!(server.heads().len(), 1);
}

#[tokio::test]
async fn unusable_pem_is_refused_before_anything_is_sent() {
    let pair = Pair::self_signed("127.0.0.1", |_| {});
    let other = Pair::self_signed("127.0.0.1", |_| {});
    let identity = |cert: &str, key: &str| Some((cert.as_bytes().to_vec(), key.to_owned().into()));
    let table = [
        (Tls { ca: Some(b"nothing".to_vec()), ..Tls::default() }, "ca-file"),
        (
            Tls {
                ca: Some(b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n".to_vec()),
                ..Tls::default()
            },
            "ca-file",
        ),
        (Tls { identity: identity(&pair.certificate, CANARY), ..Tls::default() }, "key-file"),
        (Tls { identity: identity("nothing", &pair.key), ..Tls::default() }, "cert-file"),
        (
            Tls { identity: identity(&pair.certificate, &other.key), ..Tls::default() },
            "cert-file and key-file",
        ),
    ];
    for (tls, setting) in table {
        let error = client(&tls, &Proxy::default()).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().starts_with(setting) && !format!("{error:?}").contains(CANARY), "{error}");
    }
}

#[tokio::test]
async fn https_goes_through_a_tunnel_of_the_proxy_with_its_password() {
    let (authority, pair) = signed("cloud.example");
    let server = Server::tls(pair.server()).await;
    let proxy = Server::proxy(server.address).await;
    let url = format!("http://user:{CANARY}@{}", proxy.address);
    let settings = Proxy { https: Some(url.into()), ..Proxy::default() };
    let answer = get(&trusting(&authority), &settings, "https://cloud.example:5000/v3").await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let asked = &proxy.heads()[0];
    assert!(asked.starts_with("CONNECT cloud.example:5000 HTTP/1.1"), "{asked}");
    assert!(asked.to_lowercase().contains("proxy-authorization: basic dxnlcjpjyw5hcnkt"), "{asked}");
    assert!(!asked.contains("x-auth-token"), "the token is for the cloud alone");
    assert!(server.heads()[0].starts_with("GET /v3 "));
}

#[tokio::test]
async fn no_proxy_and_loopback_and_the_direct_client_bypass_the_proxy() {
    let server = Server::plain(OK).await;
    let proxy = Server::proxy(server.address).await;
    let settings = |bypass: &str| Proxy {
        // Without a scheme it is http, as in Go.
        http: Some(proxy.address.to_string().into()),
        https: None,
        bypass: bypass.to_owned(),
    };
    // Linux connects 0.0.0.0 to this machine; unlike 127.0.0.1 it is no loopback address to the rule.
    let elsewhere = format!("http://0.0.0.0:{}/", server.address.port());
    for (url, bypass, proxied) in [
        (&elsewhere, "", true),
        (&elsewhere, "example.org, 10.0.0.0/8", true),
        (&elsewhere, "0.0.0.0", false),
        (&elsewhere, "example.org, 0.0.0.0/8", false),
        (&elsewhere, "*", false),
        (&server.url("http"), "", false),
    ] {
        let before = proxy.heads().len();
        get(&Tls::default(), &settings(bypass), url).await.unwrap();
        assert_eq!(proxy.heads().len() - before, usize::from(proxied), "{url} NO_PROXY={bypass}");
    }
    for (bypass, proxied) in [
        (".example.invalid", false),
        ("*.example.invalid", false),
        ("EXAMPLE.invalid", false),
        ("ple.invalid", true),
    ] {
        let before = proxy.heads().len();
        // Bypassed it is a name that nobody knows.
        let answer = get(&Tls::default(), &settings(bypass), "http://keystone.example.invalid/").await;
        assert_eq!(
            (answer.is_ok(), proxy.heads().len() - before),
            (proxied, usize::from(proxied)),
            "{bypass}"
        );
    }
    let request = http::Request::get(&elsewhere).body(Bytes::new()).unwrap();
    let before = proxy.heads().len();
    assert_eq!(direct().unwrap().oneshot(request).await.unwrap().status(), StatusCode::OK);
    assert_eq!(proxy.heads().len(), before);
}

#[tokio::test]
async fn a_proxy_that_cannot_be_used_says_so_without_its_password() {
    for (url, kind) in [
        (format!("http://user:{CANARY}@:x"), io::ErrorKind::InvalidInput),
        (format!("http://user:{CANARY}@127.0.0.1:1"), io::ErrorKind::ConnectionRefused),
    ] {
        let settings = Proxy { https: Some(url.into()), ..Proxy::default() };
        let error = get(&Tls::default(), &settings, "https://cloud.example/").await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(!format!("{error} {error:?} {settings:?}").contains(CANARY), "{error:?}");
    }
}

#[tokio::test]
async fn no_connection_is_told_from_a_connection_that_was_lost() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error =
        get(&Tls::default(), &Proxy::default(), &format!("http://{free}/{CANARY}")).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    assert!(!error.to_string().contains(CANARY), "{error}");
    for answer in ["", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            head(&mut stream).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        let error = ask(&Tls::default(), &Proxy::default(), Method::POST, &format!("http://{address}/"))
            .await
            .unwrap_err();
        server.await.unwrap();
        let claims_nothing_sent = matches!(
            error.kind(),
            io::ErrorKind::NotConnected | io::ErrorKind::ConnectionRefused | io::ErrorKind::InvalidInput
        );
        assert!(!claims_nothing_sent, "{answer:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_read_follows_a_redirection_on_its_host_and_a_write_never_does() {
    let target = Server::plain(OK).await;
    let moved = |to: &str| format!("HTTP/1.1 307 Moved\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
    let server = Server::plain(moved(&target.url("http"))).await;
    let none = Proxy::default();
    assert_eq!(get(&Tls::default(), &none, &server.url("http")).await.unwrap().status(), StatusCode::OK);
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let answer = ask(&Tls::default(), &none, method.clone(), &server.url("http")).await.unwrap();
        assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT, "{method}");
    }
    let away = Server::plain(moved(&format!("http://0.0.0.0:{}/", target.address.port()))).await;
    let answer = get(&Tls::default(), &none, &away.url("http")).await.unwrap();
    assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT, "the token isn't for another host");
    assert_eq!(target.heads().len(), 1);
    let around = Server::plain(moved("/again")).await;
    let error = get(&Tls::default(), &none, &around.url("http")).await.unwrap_err();
    assert!(error.to_string().contains("redirections"), "{error}");
    assert_eq!(around.heads().len(), REDIRECTS);
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_read() {
    let server =
        Server::plain(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", BODY_LIMIT + 1)).await;
    let error = get(&Tls::default(), &Proxy::default(), &server.url("http")).await.unwrap_err();
    assert!(error.to_string().contains("larger than 64 MiB"), "{error}");
    let chunk = format!("{:x}\r\n{}\r\n", 4 << 20, "x".repeat(4 << 20));
    let endless = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}", chunk.repeat(17));
    let server = Server::plain(endless).await;
    let error = get(&Tls::default(), &Proxy::default(), &server.url("http")).await.unwrap_err();
    assert!(error.to_string().contains("larger than 64 MiB"), "{error}");
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let heads = Mutex::default();
        // A second connection would find nobody to accept it.
        talk(stream, OK, &heads).await.unwrap();
        heads.into_inner().unwrap().len()
    });
    let http = client(&Tls::default(), &Proxy::default()).unwrap();
    for _ in 0..3 {
        http.clone().oneshot(http::Request::get(&url).body(Bytes::new()).unwrap()).await.unwrap();
    }
    drop(http);
    assert_eq!(server.await.unwrap(), 3);
}
