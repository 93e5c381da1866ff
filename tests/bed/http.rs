//! The driver's HTTP endpoint, on a port of its choice.

#![allow(dead_code, reason = "each test crate uses its part of the bed")]

use std::time::Duration;

use cinder_csi::pace;
use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::process::{Driver, PATIENCE};

pub const ANY_PORT: &str = "--http-endpoint=127.0.0.1:0";

impl Driver {
    /// As the log tells it.
    pub async fn http_address(&self) -> String {
        self.logged("serving /metrics").await;
        let log = self.log();
        let line = log.lines().find(|line| line.contains("serving /metrics")).unwrap();
        line.split_once("address=").unwrap().1.split_whitespace().next().unwrap().to_owned()
    }

    /// What a kubelet's probe gets.
    pub async fn get(&self, path: &str) -> (StatusCode, String) {
        let mut stream = TcpStream::connect(self.http_address().await).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// The body, once the answer is this one and holds these words.
    pub async fn gets(&self, path: &str, status: StatusCode, words: &str) -> String {
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            let (found, body) = self.get(path).await;
            if found == status && body.contains(words) {
                return body;
            }
            assert!(tokio::time::Instant::now() < end, "{path}: {found} {body}\n{}", self.log());
            pace::sleep(Duration::from_millis(100)).await;
        }
    }
}
