//! An answer as a value.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde_json::{Value, json};

use super::super::world::Refusal;

pub(super) struct Answer {
    code: u16,
    body: Option<Value>,
    headers: Vec<(&'static str, String)>,
    /// How long the service thinks before it gives this answer.
    pub delay: Option<Duration>,
}

impl Answer {
    pub fn new(code: u16, body: Value) -> Self {
        Self { code, body: Some(body), headers: Vec::new(), delay: None }
    }

    pub fn empty(code: u16) -> Self {
        Self { code, body: None, headers: Vec::new(), delay: None }
    }

    /// An error in the words of Cinder and Nova: the key of the body follows from the code.
    pub fn fault(code: u16, message: &str) -> Self {
        let key = match code {
            400 => "badRequest",
            403 => "forbidden",
            404 => "itemNotFound",
            409 => "conflictingRequest",
            413 => "overLimit",
            _ => "computeFault",
        };
        if code == 413 {
            let body = json!({ key: { "code": code, "message": message, "retryAfter": "0" } });
            return Self::new(code, body).with("Retry-After", "0");
        }
        Self::new(code, json!({ key: { "code": code, "message": message } }))
    }

    /// keystonemiddleware and Keystone say this alike.
    pub fn unauthorized(base: &str) -> Self {
        let message = "The request you have made requires authentication.";
        let body = json!({ "error": { "code": 401, "title": "Unauthorized", "message": message } });
        Self::new(401, body).with("WWW-Authenticate", format!("Keystone uri=\"{base}/identity/v3\""))
    }

    /// What a front-end says when the service behind it is in trouble.
    pub fn of_trouble(code: u16, request: String) -> Self {
        let message = "The sandbox was told to answer this.";
        Self::fault(code, message).with("x-openstack-request-id", request)
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn into_response(self, now: SystemTime) -> http::Response<Bytes> {
        let mut response =
            http::Response::builder().status(self.code).header("Date", httpdate::fmt_http_date(now));
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        let body = match self.body {
            Some(body) => {
                response = response.header("Content-Type", "application/json");
                Bytes::from(body.to_string())
            }
            None => Bytes::new(),
        };
        response.body(body).unwrap_or_default()
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Self::fault(refusal.code, &refusal.message)
    }
}
