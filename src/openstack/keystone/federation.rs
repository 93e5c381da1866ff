//! Users of another identity provider: an access token of the provider becomes a token of Keystone, without a scope.
//!
//! <https://docs.openstack.org/api-ref/identity/v3-ext/#request-an-unscoped-os-federation-token>; the way to an access
//! token is keystoneauth's: <https://opendev.org/openstack/keystoneauth/src/branch/master/keystoneauth1/identity/v3/oidc.py>.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;
use url::{Url, form_urlencoded};

use super::super::answer::Answer;
use super::super::exchange::Addressed;
use super::super::options::{Client, Federated, Grant, Proof, TokenEndpoint};
use super::super::request::Request;
use super::super::{Error, Result, Service};
use super::below_auth_url;

type Exchange = BoxCloneSyncService<Addressed, Answer, Error>;

/// A token of Keystone that proves who we are and opens nothing yet.
pub(super) async fn unscoped(auth_url: &Url, who: &Federated, exchange: &Exchange) -> Result<SecretString> {
    let access = match &who.proof {
        Proof::AccessToken(token) => token.clone(),
        Proof::Client(client) => access_token(client, exchange).await?,
    };
    let provider = &who.identity_provider;
    let path = ["OS-FEDERATION", "identity_providers", provider, "protocols", &who.protocol, "auth"];
    let request = Request::new(Service::Keystone, "take the identity provider's token", Method::POST, &path);
    let bearer = SecretString::from(format!("Bearer {}", access.expose_secret()));
    let call = Addressed {
        authorization: Some(bearer),
        proof: Some(access),
        ..Addressed::new(request, below_auth_url(auth_url, &path))
    };
    let answer = exchange.clone().oneshot(call).await?;
    super::subject(&answer)
}

async fn access_token(client: &Client, exchange: &Exchange) -> Result<SecretString> {
    let endpoint = match &client.endpoint {
        TokenEndpoint::At(url) => url.clone(),
        TokenEndpoint::ToldBy(url) => discover(url, exchange).await?,
    };
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs(client)).finish();
    let request =
        Request::new(Service::Keystone, "get the identity provider's token", Method::POST, &[]).form(form);
    let secret = client.secret.as_ref();
    // RFC 6749, 2.3.1, would have both parts percent-encoded first; keystoneauth doesn't, and providers expect what it sends.
    let basic =
        secret.map(|secret| BASE64_STANDARD.encode(format!("{}:{}", client.id, secret.expose_secret())));
    let proof = match &client.grant {
        Grant::Password { password, .. } => Some(password.clone()),
        Grant::ClientCredentials => secret.cloned(),
    };
    let call = Addressed {
        authorization: basic.map(|basic| SecretString::from(format!("Basic {basic}"))),
        proof,
        ..Addressed::new(request, endpoint)
    };
    let answer = exchange.clone().oneshot(call).await?;
    let words: Map<String, Value> = answer.json()?;
    match words.get(client.token_type.name()).and_then(Value::as_str) {
        Some(token) if !token.is_empty() => Ok(SecretString::from(token)),
        _ => {
            Err(answer
                .malformed(format!("the identity provider's answer has no {}", client.token_type.name())))
        }
    }
}

fn pairs(client: &Client) -> Vec<(&str, &str)> {
    let mut pairs = match &client.grant {
        Grant::ClientCredentials => vec![("grant_type", "client_credentials")],
        Grant::Password { username, password } => {
            vec![("grant_type", "password"), ("username", username), ("password", password.expose_secret())]
        }
    };
    pairs.push(("scope", &client.scope));
    // Without a secret the client says its name in the form.
    if client.secret.is_none() {
        pairs.push(("client_id", &client.id));
    }
    pairs
}

/// <https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata>
async fn discover(url: &Url, exchange: &Exchange) -> Result<Url> {
    let operation = "name the identity provider's endpoints";
    let request = Request::new(Service::Keystone, operation, Method::GET, &[]);
    let answer = exchange.clone().oneshot(Addressed::new(request, url.clone())).await?;
    let words: Map<String, Value> = answer.json()?;
    let endpoint = words.get("token_endpoint").and_then(Value::as_str).and_then(|text| Url::parse(text).ok());
    // A secret is about to be sent there.
    let is_safe = |found: &Url| found.scheme() == "https" || found.scheme() == url.scheme();
    endpoint.filter(is_safe).ok_or_else(|| {
        let message = format!("the discovery document at {url} names no token_endpoint that may be used: set access_token_endpoint");
        answer.malformed(message)
    })
}

/// What to look at when the provider or Keystone refuses.
pub(super) fn next_step(who: &Federated) -> String {
    let proof = match &who.proof {
        Proof::AccessToken(_) => {
            "whether the access token has expired (put a new one into its file)".to_owned()
        }
        Proof::Client(client) => {
            format!("the client id {} and its secret at the identity provider", client.id)
        }
    };
    format!(
        "check {proof}, and whether Keystone knows the identity provider {} with the protocol {} and maps its users to a role in the project",
        who.identity_provider, who.protocol
    )
}
