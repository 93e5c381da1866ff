//! TLS in front of the lab's Keystone, with a certificate that is renewed by another authority.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::self_signed::SelfSigned;

pub struct TlsProxy {
    address: SocketAddr,
    now: Arc<Mutex<Now>>,
}

struct Now {
    certificate: SelfSigned,
    connections: JoinSet<()>,
}

impl TlsProxy {
    /// Until the runtime ends. `auth_url`: `http://127.0.0.1:5000/v3`.
    pub async fn of(auth_url: &str) -> Self {
        let behind: SocketAddr = auth_url.split('/').nth(2).unwrap().parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let now = Arc::new(Mutex::new(Now::new()));
        let accepting = now.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut now = accepting.lock().unwrap();
                let acceptor = now.certificate.acceptor.clone();
                now.connections.spawn(carry(acceptor, stream, behind));
            }
        });
        Self { address, now }
    }

    pub fn auth_url(&self) -> String {
        format!("https://{}/v3", self.address)
    }

    /// Whom to trust, in PEM.
    pub fn authority(&self) -> String {
        self.now.lock().unwrap().certificate.authority.clone()
    }

    /// Another authority's certificate, and no connection that was made with the old one.
    pub fn renew(&self) {
        *self.now.lock().unwrap() = Now::new();
    }
}

impl Now {
    fn new() -> Self {
        Self { certificate: SelfSigned::of("127.0.0.1"), connections: JoinSet::new() }
    }
}

async fn carry(acceptor: TlsAcceptor, stream: TcpStream, behind: SocketAddr) {
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    let mut keystone = TcpStream::connect(behind).await.unwrap();
    // A connection that breaks is the client's to notice.
    let _ = tokio::io::copy_bidirectional(&mut stream, &mut keystone).await;
}
