//! A certificate that is its own authority, and a server's half of TLS with it.

#![allow(dead_code, reason = "each test crate uses its part of the bed")]

use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{ServerConfig, crypto::ring::default_provider};

pub struct SelfSigned {
    /// Whom to trust, in PEM.
    pub authority: String,
    pub acceptor: TlsAcceptor,
}

impl SelfSigned {
    /// For this address.
    pub fn of(address: impl ToString) -> Self {
        let made = rcgen::generate_simple_self_signed(vec![address.to_string()]).unwrap();
        let key = made.signing_key.serialize_der().try_into().unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        Self { authority: made.cert.pem(), acceptor: TlsAcceptor::from(Arc::new(config)) }
    }
}
