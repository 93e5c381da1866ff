//! Whether the CSI server answers: its own socket is asked, as a sidecar would.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tonic::body::Body;

use crate::csi::Endpoint;
use crate::csi::proto::ProbeRequest;
use crate::csi::proto::identity_client::IdentityClient;

/// A manifest must allow its probe more (`timeoutSeconds: 5`): the kubelet's patience is a second otherwise.
const PATIENCE: Duration = Duration::from_secs(3);

/// However many ask, the socket is asked no more often.
const KEPT: Duration = Duration::from_millis(500);

type Answer = Result<(), String>;

/// Cheap to clone: the clones share the answer.
#[derive(Clone, Debug)]
pub struct Liveness {
    endpoint: Endpoint,
    last: Arc<Mutex<Option<(Instant, Answer)>>>,
}

impl Liveness {
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, last: Arc::default() }
    }

    /// What is wrong, in a sentence.
    pub async fn ask(&self) -> Answer {
        let mut last = self.last.lock().await;
        if let Some((when, answer)) = &*last
            && when.elapsed() < KEPT
        {
            return answer.clone();
        }
        let answer = ask(&self.endpoint).await;
        let before = last.replace((Instant::now(), answer.clone()));
        if let Err(why) = &answer
            && before.is_none_or(|(_, before)| before != answer)
        {
            tracing::warn!("the liveness check fails: {why}");
        }
        answer
    }
}

async fn ask(endpoint: &Endpoint) -> Answer {
    let asked = async {
        match endpoint {
            Endpoint::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(|error| unserved(endpoint, &error))?;
                is_ours(&stream).map_err(|why| format!("{endpoint}: {why}"))?;
                probe(stream).await
            }
            Endpoint::Tcp(address) => {
                probe(TcpStream::connect(address).await.map_err(|error| unserved(endpoint, &error))?).await
            }
        }
        .map_err(|error| format!("the CSI server at {endpoint} can't be asked: {error}"))
    };
    let late = || format!("the CSI server at {endpoint} doesn't answer Probe within {PATIENCE:?}");
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(late()))
}

fn unserved(endpoint: &Endpoint, error: &io::Error) -> String {
    format!("nobody serves CSI at {endpoint}: {error}")
}

/// The peer of a connection is the process that called listen(2): <https://man7.org/linux/man-pages/man7/unix.7.html>, `SO_PEERCRED`.
fn is_ours(stream: &UnixStream) -> Result<(), String> {
    let peer = stream.peer_cred().map_err(|error| error.to_string())?.pid();
    match peer {
        // As pid_namespaces(7) has it.
        Some(0) => Err("a process of another container has taken the socket".to_owned()),
        Some(pid) if u32::try_from(pid) != Ok(std::process::id()) => {
            Err(format!("another process ({pid}) has taken the socket"))
        }
        _ => Ok(()),
    }
}

async fn probe(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let (sender, connection) =
        http2::handshake::<_, _, Body>(TokioExecutor::new(), TokioIo::new(stream)).await?;
    let channel = tower::service_fn(move |request| {
        let mut sender = sender.clone();
        async move { sender.send_request(request).await }
    });
    let mut identity = IdentityClient::with_origin(channel, http::Uri::from_static("http://localhost"));
    tokio::select! {
        answer = identity.probe(ProbeRequest {}) => Ok(answer.map(drop)?),
        ended = connection => Err(ended.err().map_or_else(|| "the connection was closed".into(), Into::into)),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, UnixListener};

    use super::*;

    #[tokio::test]
    async fn a_server_that_does_not_answer_is_noticed_in_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("csi.sock");
        let _mute = UnixListener::bind(&path).unwrap();
        let why = Liveness::new(Endpoint::Unix(path)).ask().await.unwrap_err();
        assert!(why.contains("doesn't answer Probe within 3s"), "{why}");
    }

    #[tokio::test]
    async fn a_server_that_speaks_something_else_is_none() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"SSH-2.0-x\r\n").await;
            }
        });
        let why = Liveness::new(Endpoint::Tcp(address.clone())).ask().await.unwrap_err();
        assert!(why.contains(&format!("the CSI server at {address} can't be asked")), "{why}");
    }

    #[tokio::test]
    async fn many_who_ask_at_once_are_one() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let liveness = Liveness::new(Endpoint::Tcp(listener.local_addr().unwrap().to_string()));
        let asked = async {
            let mut asked = 0;
            while listener.accept().await.is_ok() {
                asked += 1;
                if asked > 1 {
                    break;
                }
            }
        };
        let all = futures_util::future::join_all((0..50).map(|_| liveness.ask()));
        tokio::select! {
            () = asked => panic!("asked twice"),
            all = all => assert!(all.iter().all(Result::is_err)),
        }
    }
}
