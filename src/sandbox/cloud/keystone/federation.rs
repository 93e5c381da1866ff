//! An identity provider, and Keystone's federation with it.
//!
//! In the field Apache's mod_auth_openidc checks the access token in front of Keystone and hands on what the provider says of
//! the user: <https://docs.openstack.org/keystone/latest/admin/federation/configure_federation.html>.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::Method;
use serde_json::{Value, json};

use super::super::super::world::{Token, World};
use super::super::answer::Answer;
use super::super::request::{Request, unknown_path};
use super::super::{Federation, SimulatedCloud};

/// Its name in Keystone, and its client's.
const PROVIDER: &str = "corp";
const PROTOCOL: &str = "openid";
const CLIENT: &str = "csi-client";
const SECRET: &str = "clientsecret";

const LIFE: Duration = Duration::from_secs(300);

impl SimulatedCloud {
    /// How a user of the identity provider logs in.
    pub fn federation(&self) -> Federation {
        Federation {
            identity_provider: PROVIDER.to_owned(),
            protocol: PROTOCOL.to_owned(),
            client_id: CLIENT.to_owned(),
            client_secret: SECRET.to_owned(),
        }
    }

    /// A new access token, as somebody beside the driver gets one.
    pub fn access_token(&self) -> String {
        self.with_world(|world| world.give_access_token(LIFE))
    }
}

/// The provider: `/identity/idp`.
pub(super) fn provider(request: &Request<'_>, world: &mut World) -> Answer {
    match (request.method, request.segments.get(1..).unwrap_or_default()) {
        (&Method::GET, [".well-known", "openid-configuration"]) => {
            let issuer = format!("{}/identity/idp", request.base);
            Answer::new(200, json!({ "issuer": issuer, "token_endpoint": format!("{issuer}/token") }))
        }
        (&Method::POST, ["token"]) => token(request, world),
        _ => unknown_path(),
    }
}

fn token(request: &Request<'_>, world: &mut World) -> Answer {
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{CLIENT}:{SECRET}")));
    if request.authorization != Some(&basic) {
        return refused(401, "invalid_client", "Invalid client or Invalid client credentials");
    }
    let user = &world.identity.users[0];
    let is_user =
        || request.form("username") == Some(&user.name) && request.form("password") == Some(&user.password);
    match request.form("grant_type") {
        Some("client_credentials") => {}
        Some("password") if is_user() => {}
        Some("password") => return refused(401, "invalid_grant", "Invalid user credentials"),
        _ => return refused(400, "unsupported_grant_type", "Unsupported grant_type"),
    }
    if !request.form("scope").is_some_and(|scope| scope.split(' ').any(|word| word == "openid")) {
        return refused(400, "invalid_scope", "the scope lacks openid");
    }
    let token = world.give_access_token(LIFE);
    Answer::new(200, json!({ "access_token": token, "token_type": "Bearer", "expires_in": LIFE.as_secs() }))
}

/// Keystone's side: an access token becomes a token without a scope.
pub(super) fn login(request: &Request<'_>, world: &mut World, provider: &str, protocol: &str) -> Answer {
    if (provider, protocol) != (PROVIDER, PROTOCOL) {
        let message = format!("Could not find Identity Provider: {provider}.");
        return Answer::new(
            404,
            json!({ "error": { "code": 404, "title": "Not Found", "message": message } }),
        );
    }
    let now = world.now();
    let bearer = request.authorization.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    if world.identity.access_tokens.get(bearer).is_none_or(|ends| *ends <= now) {
        // The web server's own page.
        let body = Value::from("<title>401 Unauthorized</title>");
        return Answer::new(401, body).with("WWW-Authenticate", "Bearer error=\"invalid_token\"");
    }
    let token = Token {
        user: world.identity.users[0].id.clone(),
        project: None,
        methods: vec!["mapped"],
        issued: now,
        expires: now + world.settings.token_lifetime,
        audit: world.new_id().replace('-', ""),
        trust: None,
        app_credential: None,
    };
    let mut body = super::shown(request, world, &token);
    let known =
        json!({ "identity_provider": { "id": PROVIDER }, "protocol": { "id": PROTOCOL }, "groups": [] });
    body["token"]["user"]["OS-FEDERATION"] = known;
    let name = world.issue(token);
    Answer::new(201, body).with("X-Subject-Token", name)
}

/// <https://www.rfc-editor.org/rfc/rfc6749#section-5.2>
fn refused(code: u16, error: &str, description: &str) -> Answer {
    Answer::new(code, json!({ "error": error, "error_description": description }))
}
