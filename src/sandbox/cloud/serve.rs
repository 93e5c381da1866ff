//! The simulated cloud on a TCP port.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::{LARGEST_BODY, SimulatedCloud};

/// A cloud that listens. Dropping it closes the port.
pub struct Served {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Served {
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Keystone's address, as a cloud.conf names it.
    pub fn auth_url(&self) -> String {
        format!("{}/identity/v3", self.url())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl SimulatedCloud {
    /// Listens on `address`, port 0 for a free one.
    pub async fn serve(&self, address: SocketAddr) -> std::io::Result<Served> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(self.clone().accept(listener));
        Ok(Served { address, task })
    }

    async fn accept(self, listener: TcpListener) {
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(self.clone().converse(stream));
            while connections.try_join_next().is_some() {}
        }
    }

    /// An error of the service closes the connection without an answer: to the client, a reset.
    async fn converse(self, stream: TcpStream) {
        let service = service_fn(|request: http::Request<Incoming>| {
            let cloud = self.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = Limited::new(body, LARGEST_BODY).collect().await.map_err(std::io::Error::other)?;
                let request = http::Request::from_parts(head, body.to_bytes());
                let response = cloud.exchange(request).await?;
                Ok::<_, std::io::Error>(response.map(Full::<Bytes>::new))
            }
        });
        let conversation = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        if let Err(error) = conversation.await {
            tracing::debug!(%error, "a connection to the sandbox ended");
        }
    }
}
