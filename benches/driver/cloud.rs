//! The simulated cloud on a port of this process. It notes when it had a request and when it had its answer.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use cinder_csi::openstack::{Credential, Options, Scope, User, UserDomain};
use cinder_csi::sandbox::{Quota, Settings, SimulatedCloud};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use super::Outcome;

/// The cloud's own share of one exchange: from the whole request read to the answer ready to be written.
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    pub began: Instant,
    pub ended: Instant,
}

#[derive(Clone)]
pub struct Cloud {
    pub cloud: SimulatedCloud,
    pub address: SocketAddr,
    exchanges: Arc<Mutex<Vec<Exchange>>>,
}

impl Cloud {
    /// A cloud with so many servers, `node-0` and on, and room for all that is measured.
    pub async fn serve(servers: usize, settings: Settings) -> Outcome<Self> {
        Self::serve_at("127.0.0.1:0", servers, settings).await
    }

    pub async fn serve_at(address: &str, servers: usize, settings: Settings) -> Outcome<Self> {
        let servers = (0..servers).map(|number| (format!("node-{number}"), "az1".to_owned())).collect();
        let quota = Quota { volumes: 100_000, gigabytes: 100_000, ..Quota::default() };
        let cloud = SimulatedCloud::new(Settings { servers, quota, max_disks: 1000, ..settings });
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let served = Self { cloud, address, exchanges: Arc::default() };
        tokio::spawn(served.clone().accept(listener));
        Ok(served)
    }

    pub fn server(&self, number: usize) -> String {
        self.cloud.server_id(&format!("node-{number}"))
    }

    /// What was exchanged since the last call of this function.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.cloud.reset_calls();
        std::mem::take(&mut *self.exchanges.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn write_cloud_conf(&self, path: &Path) -> Outcome<()> {
        let known = self.cloud.credentials();
        let text = format!(
            "[Global]\nauth-url = http://{}/identity/v3\nusername = {}\npassword = {}\ntenant-name = {}\n\
             domain-name = Default\n",
            self.address, known.user, known.password, known.project
        );
        Ok(std::fs::write(path, text)?)
    }

    /// The same as options of the library.
    pub fn options(&self) -> Outcome<Options> {
        let known = self.cloud.credentials();
        let domain = || UserDomain::Name("Default".to_owned());
        let credential = Credential::Password {
            user: User::Name { name: known.user, domain: domain() },
            password: known.password.into(),
            scope: Scope::ProjectName { name: known.project, domain: domain() },
        };
        Ok(Options::new(format!("http://{}/identity/v3", self.address).parse()?, credential))
    }

    async fn accept(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(self.clone().converse(stream));
        }
    }

    async fn converse(self, stream: TcpStream) {
        let service = service_fn(|request: http::Request<Incoming>| {
            let cloud = self.clone();
            async move { cloud.exchange(request).await }
        });
        let _ = stream.set_nodelay(true);
        // A client that is done closes the connection: no error of ours.
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    }

    async fn exchange(
        &self,
        request: http::Request<Incoming>,
    ) -> std::io::Result<http::Response<Full<Bytes>>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
        let began = Instant::now();
        let mut http = self.cloud.http();
        let answer = tower::Service::call(&mut http, http::Request::from_parts(head, body)).await?;
        let exchange = Exchange { began, ended: Instant::now() };
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner).push(exchange);
        Ok(answer.map(Full::new))
    }
}
