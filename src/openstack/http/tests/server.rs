//! A server and a proxy on loopback, and their certificates.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::*;

pub const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

/// A server that answers every request with the same text and remembers what it was asked.
pub struct Server {
    pub address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub async fn plain(answer: impl Into<String>) -> Self {
        Self::start(answer.into(), None).await
    }

    pub async fn tls(config: ServerConfig) -> Self {
        Self::start(OK.to_owned(), Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn start(answer: String, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = heads.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, answer, tls) = (seen.clone(), answer.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => talk(stream, &answer, &seen).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => talk(stream, &answer, &seen).await,
                            Err(_) => Ok(()),
                        },
                    }
                });
            }
        });
        Self { address, heads }
    }

    /// A proxy that takes every tunnel and every request to `target`.
    pub async fn proxy(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = heads.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let Some(head) = head(&mut stream).await else { continue };
                let tunnel = head.starts_with("CONNECT");
                seen.lock().unwrap().push(head.clone());
                let mut upstream = TcpStream::connect(target).await.unwrap();
                match tunnel {
                    true => stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap(),
                    false => upstream.write_all(head.as_bytes()).await.unwrap(),
                }
                tokio::spawn(async move { tokio::io::copy_bidirectional(&mut stream, &mut upstream).await });
            }
        });
        Self { address, heads }
    }

    pub fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}/", self.address)
    }

    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

pub async fn talk(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: &str,
    seen: &Mutex<Vec<String>>,
) -> io::Result<()> {
    while let Some(head) = head(&mut stream).await {
        seen.lock().unwrap().push(head);
        stream.write_all(answer.as_bytes()).await?;
    }
    stream.shutdown().await
}

pub async fn head(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

/// A key and a certificate in PEM.
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

impl Pair {
    pub fn self_signed(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        change(&mut params);
        Self { certificate: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
    }

    pub fn server(&self) -> ServerConfig {
        server_builder().with_no_client_auth().with_single_cert(self.chain(), self.private()).unwrap()
    }

    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()]
    }

    pub fn private(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap()
    }
}

/// An authority and a certificate that it signed.
pub fn signed(name: &str) -> (Pair, Pair) {
    let (authority_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(rcgen::DnType::CommonName, "the authority");
    let pem = authority.self_signed(&authority_key).unwrap().pem();
    let authority_pair = Pair { certificate: pem, key: authority_key.serialize_pem() };
    let params = CertificateParams::new([name.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &Issuer::new(authority, authority_key)).unwrap().pem();
    (authority_pair, Pair { certificate, key: key.serialize_pem() })
}

pub fn server_builder() -> rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap()
}
