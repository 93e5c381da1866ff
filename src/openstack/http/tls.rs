//! Whom to trust, as the Go client of the existing driver does.
//!
//! With `ca-file` only the certificates in it are trusted; without it, the machine's. Go accepts a server certificate that
//! is itself in the pool (<https://github.com/golang/go/blob/master/src/crypto/x509/verify.go>, `Certificate.Verify`:
//! `opts.Roots.contains(c)`), whether it is an authority's or not, and users give the self-signed certificate of
//! their Keystone as `ca-file`. webpki builds no path for such a certificate. So it is accepted here where it is byte for
//! byte the one in the file; its dates and its names (only `subjectAltName`, as in Go since 1.15) and the signature of
//! the handshake are verified all the same.

use std::io;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme, WantsVerifier,
};
use secrecy::ExposeSecret;

use crate::openstack::options::Tls;

pub fn config(tls: &Tls) -> io::Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let builder = base(provider.clone())?;
    let builder = match (tls.insecure, &tls.ca) {
        (true, _) => builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone { provider })),
        (false, Some(pem)) => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Given::new(pem, provider)?))
        }
        (false, None) => builder.with_root_certificates(machine_roots()),
    };
    let Some((chain, key)) = &tls.identity else { return Ok(builder.with_no_client_auth()) };
    let key = PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes())
        .map_err(|_| invalid("key-file holds no private key in PEM that can be read".into()))?;
    builder
        .with_client_auth_cert(certificates(chain, "cert-file")?, key)
        .map_err(|error| invalid(format!("cert-file and key-file don't fit together: {error}")))
}

/// Trusts nobody.
pub fn none() -> io::Result<ClientConfig> {
    let builder = base(Arc::new(ring::default_provider()))?;
    Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

fn base(provider: Arc<CryptoProvider>) -> io::Result<ConfigBuilder<ClientConfig, WantsVerifier>> {
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| invalid(format!("TLS can't be set up: {error}")))
}

/// The machine's authorities; those that can't be read are left out, as Go does.
fn machine_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

fn certificates(pem: &[u8], setting: &str) -> io::Result<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(invalid(format!("{setting} holds no certificate in PEM that can be read"))),
    }
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

/// Trusts the certificates of `ca-file`, and those that they signed.
#[derive(Debug)]
struct Given {
    exact: Vec<CertificateDer<'static>>,
    signed: Arc<WebPkiServerVerifier>,
}

impl Given {
    fn new(pem: &[u8], provider: Arc<CryptoProvider>) -> io::Result<Self> {
        let exact = certificates(pem, "ca-file")?;
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(exact.iter().cloned());
        let signed = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| invalid(format!("ca-file holds no certificate that can be used: {error}")))?;
        Ok(Self { exact, signed })
    }
}

impl ServerCertVerifier for Given {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self.signed.verify_server_cert(certificate, intermediates, name, ocsp, now);
        match verdict {
            Err(error) if has_no_path(&error) && self.exact.iter().any(|known| known == certificate) => {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signed.supported_verify_schemes()
    }
}

/// webpki looks at the dates of the server's certificate before it looks for a path, so that these two errors mean
/// that the dates are right: <https://github.com/rustls/webpki/blob/main/src/verify_cert.rs>
/// (`check_issuer_independent_properties`).
fn has_no_path(error: &Error) -> bool {
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => true,
        Error::InvalidCertificate(CertificateError::Other(other)) => {
            matches!(other.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
        }
        _ => false,
    }
}

/// `tls-insecure`: whoever answers, as long as it holds the key of the certificate that it shows.
#[derive(Debug)]
struct Anyone {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
