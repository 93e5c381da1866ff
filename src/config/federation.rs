//! Users of another identity provider, as clouds.yaml has them for keystoneauth: which `auth_type` wants what.
//!
//! <https://docs.openstack.org/keystoneauth/latest/plugin-options.html> has the names.

use secrecy::SecretString;
use url::Url;

use super::credentials::{Account, http_url};
use super::error::{Error, Result};
use super::settings::{Key, Setting};
use super::source::Reads;
use crate::openstack::{Credential, Federated, Grant, OidcClient, Proof, Scope, TokenEndpoint, TokenType};

/// With these the other settings say what the credential is, as they do without any.
const OWN: [&str; 5] = ["password", "v3password", "token", "v3token", "v3applicationcredential"];
const CLIENT_CREDENTIALS: &str = "v3oidcclientcredentials";
const PASSWORD: &str = "v3oidcpassword";
const ACCESS_TOKEN: &str = "v3oidcaccesstoken";

/// keystoneauth's. OpenID Connect demands "openid".
const SCOPE: &str = "openid profile";

impl Account<'_> {
    /// The credential, where `auth_type` names one of an identity provider.
    pub(super) fn federated(&self, reads: &Reads) -> Result<Option<Credential>> {
        let Some(kind) = self.settings.get(Key::AuthType) else { return Ok(None) };
        let proof = match kind.text() {
            own if OWN.contains(&own) => return Ok(None),
            CLIENT_CREDENTIALS => Proof::Client(self.client(Grant::ClientCredentials)?),
            PASSWORD => Proof::Client(self.client(self.user_and_password()?)?),
            ACCESS_TOKEN => Proof::AccessToken(self.access_token(reads)?),
            _ => return Err(unsupported(kind)),
        };
        let who = Federated {
            identity_provider: self
                .said(Key::IdentityProvider, "the identity provider's name in Keystone")?,
            protocol: self.said(Key::Protocol, "the protocol's name in Keystone, often \"openid\"")?,
            proof,
        };
        Ok(Some(Credential::Federated { who, scope: self.rescoped()? }))
    }

    fn client(&self, grant: Grant) -> Result<OidcClient> {
        let secret = self.settings.get(Key::ClientSecret).map(|setting| setting.value.clone());
        if secret.is_none() && matches!(grant, Grant::ClientCredentials) {
            return Err(self.missing(Key::ClientSecret.name(), "the client proves itself with it"));
        }
        Ok(OidcClient {
            id: self.said(Key::ClientId, "the client's id at the identity provider")?,
            secret,
            endpoint: self.endpoint()?,
            scope: self.text(Key::OpenidScope).unwrap_or_else(|| SCOPE.to_owned()),
            token_type: self.token_type()?,
            grant,
        })
    }

    /// As keystoneauth: an endpoint that is said goes before the discovered one.
    fn endpoint(&self) -> Result<TokenEndpoint> {
        match (self.settings.get(Key::AccessTokenEndpoint), self.settings.get(Key::DiscoveryEndpoint)) {
            (Some(endpoint), _) => url(endpoint).map(TokenEndpoint::At),
            (None, Some(document)) => url(document).map(TokenEndpoint::ToldBy),
            (None, None) => {
                let hint = "or discovery_endpoint: where the identity provider gives tokens";
                Err(self.missing(Key::AccessTokenEndpoint.name(), hint))
            }
        }
    }

    fn token_type(&self) -> Result<TokenType> {
        let Some(setting) = self.settings.get(Key::AccessTokenType) else { return Ok(TokenType::default()) };
        [TokenType::AccessToken, TokenType::IdToken]
            .into_iter()
            .find(|known| known.name() == setting.text())
            .ok_or_else(|| setting.wrong("is neither access_token nor id_token"))
    }

    fn user_and_password(&self) -> Result<Grant> {
        let username = self.said(Key::Username, "the user's name at the identity provider")?;
        let password =
            self.need(Key::Password, "the user's password at the identity provider")?.value.clone();
        Ok(Grant::Password { username, password })
    }

    fn access_token(&self, reads: &Reads) -> Result<SecretString> {
        match (self.settings.get(Key::AccessToken), self.settings.get(Key::AccessTokenFile)) {
            (Some(token), Some(file)) => Err(self.both(token, file)),
            (Some(token), None) => Ok(token.value.clone()),
            (None, Some(file)) => from_file(reads, file),
            (None, None) => {
                let hint = "or access_token_file, which is read again when it changes: an access token lives for minutes";
                Err(self.missing(Key::AccessToken.name(), hint))
            }
        }
    }

    /// A federated user has no default project.
    fn rescoped(&self) -> Result<Scope> {
        if let Some(trust) = self.text(Key::TrustId) {
            return Ok(Scope::Trust(trust));
        }
        match self.project()? {
            Scope::Unscoped => {
                Err(self.missing("project_name", "or project_id: in which project the volumes are"))
            }
            scope => Ok(scope),
        }
    }

    fn said(&self, key: Key, hint: &str) -> Result<String> {
        self.need(key, hint).map(|setting| setting.text().to_owned())
    }
}

fn unsupported(kind: &Setting) -> Error {
    // keystoneauth's names are short words; what is longer may be a secret in the wrong place.
    let shown = kind.text().chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && kind.text().len() <= 32;
    let named = if shown { format!(" {}", kind.text()) } else { String::new() };
    let message = format!(
        "the \"{}\"{named} isn't supported; supported are {}, {CLIENT_CREDENTIALS}, {PASSWORD} and {ACCESS_TOKEN}",
        kind.name,
        OWN.join(", ")
    );
    Error::at(&kind.place, message)
}

fn url(setting: &Setting) -> Result<Url> {
    http_url(setting, "\"client_id\" and \"client_secret\"")
}

fn from_file(reads: &Reads, file: &Setting) -> Result<SecretString> {
    let text = String::from_utf8(file.read(reads)?).unwrap_or_default();
    let token = text.trim();
    // RFC 6750, 2.1: what may stand after "Bearer".
    let fits = |c: char| c.is_ascii_graphic();
    match !token.is_empty() && token.chars().all(fits) {
        true => Ok(SecretString::from(token)),
        false => Err(file.file_wrong("holds no access token, which is one word")),
    }
}
