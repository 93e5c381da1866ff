//! Credentials as Keystone wants them.

use http::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use url::Url;

use super::super::exchange::Addressed;
use super::super::options::{ApplicationCredential, Credential, Scope, User, UserDomain};
use super::super::{Kind, Result};
use super::{below_auth_url, federation, request};

/// The call that makes a token of the credential.
pub(super) fn call(auth_url: &Url, credential: &Credential) -> Result<Addressed> {
    let url = below_auth_url(auth_url, &["auth", "tokens"]);
    if url.cannot_be_a_base() {
        return Err(request(Method::GET).error(Kind::Refused, "auth-url is no http or https URL"));
    }
    // A token without a scope is asked what it is: making another of it would lose its scope.
    if let Credential::Token { token, scope: Scope::Unscoped } = credential {
        let (token, subject) = (Some(token.clone()), Some(token.clone()));
        return Ok(Addressed { token, subject, ..Addressed::new(request(Method::GET), url) });
    }
    let Some(body) = body(credential) else {
        return Err(request(Method::POST).error(Kind::Refused, "the credential is an identity provider's"));
    };
    let request = request(Method::POST).json(&body);
    Ok(Addressed { proof: secret(credential).cloned(), ..Addressed::new(request, url) })
}

fn secret(credential: &Credential) -> Option<&SecretString> {
    match credential {
        Credential::Password { password, .. } => Some(password),
        Credential::ApplicationCredential { secret, .. } => Some(secret),
        Credential::Token { token, .. } => Some(token),
        Credential::Federated { .. } => None,
    }
}

/// What to look at when Keystone refuses.
pub(super) fn next_step(credential: &Credential) -> String {
    match credential {
        Credential::Password { user, scope, .. } => {
            let name = named(user);
            let scope = match scope {
                Scope::Trust(_) => "trust",
                Scope::Unscoped => "default project",
                Scope::ProjectId(_) | Scope::ProjectName { .. } => "project",
            };
            format!("check the password, the domain and the {scope} of {name}")
        }
        Credential::ApplicationCredential { .. } => {
            "check the id (or name and user) and the secret of the application credential, and whether it has expired"
                .into()
        }
        Credential::Token { .. } => {
            "the token may have expired: a token can't be renewed, a password or application credential can".into()
        }
        Credential::Federated { who, .. } => federation::next_step(who),
    }
}

fn named(user: &User) -> String {
    match user {
        User::Id(id) => format!("the user with id {id}"),
        User::Name { name, .. } => format!("user {name}"),
    }
}

/// `None`: Keystone takes it only from the identity provider.
fn body(credential: &Credential) -> Option<Value> {
    let (method, proof, wanted) = match credential {
        Credential::Password { user, password, scope } => {
            let mut user = user_json(user);
            user["password"] = json!(password.expose_secret());
            ("password", json!({ "user": user }), scope_json(scope))
        }
        Credential::ApplicationCredential { by, secret } => {
            let mut proof = match by {
                ApplicationCredential::Id(id) => json!({ "id": id }),
                ApplicationCredential::Name { name, user } => {
                    json!({ "name": name, "user": user_json(user) })
                }
            };
            proof["secret"] = json!(secret.expose_secret());
            // It has its project in itself: naming a scope is refused.
            ("application_credential", proof, None)
        }
        Credential::Token { token, scope } => {
            ("token", json!({ "id": token.expose_secret() }), scope_json(scope))
        }
        Credential::Federated { .. } => return None,
    };
    let mut auth = json!({ "identity": { "methods": [method], method: proof } });
    if let Some(scope) = wanted {
        auth["scope"] = scope;
    }
    Some(json!({ "auth": auth }))
}

fn user_json(user: &User) -> Value {
    match user {
        User::Id(id) => json!({ "id": id }),
        User::Name { name, domain } => json!({ "name": name, "domain": domain_json(domain) }),
    }
}

fn scope_json(scope: &Scope) -> Option<Value> {
    match scope {
        Scope::ProjectId(id) => Some(json!({ "project": { "id": id } })),
        Scope::ProjectName { name, domain } => {
            Some(json!({ "project": { "name": name, "domain": domain_json(domain) } }))
        }
        Scope::Trust(id) => Some(json!({ "OS-TRUST:trust": { "id": id } })),
        Scope::Unscoped => None,
    }
}

fn domain_json(domain: &UserDomain) -> Value {
    match domain {
        UserDomain::Id(id) => json!({ "id": id }),
        UserDomain::Name(name) => json!({ "name": name }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csi() -> User {
        User::Name { name: "csi".into(), domain: UserDomain::Name("Default".into()) }
    }

    #[test]
    fn every_credential_is_written_as_keystones_reference_has_it() {
        let secret = || SecretString::from("s");
        let user = json!({"name": "csi", "domain": {"name": "Default"}});
        let with_password = json!({"name": "csi", "domain": {"name": "Default"}, "password": "s"});
        let domain = UserDomain::Id("default".into());
        for (credential, auth) in [
            (
                Credential::Password {
                    user: csi(),
                    password: secret(),
                    scope: Scope::ProjectName { name: "k8s".into(), domain },
                },
                json!({
                    "identity": {"methods": ["password"], "password": {"user": with_password}},
                    "scope": {"project": {"name": "k8s", "domain": {"id": "default"}}}
                }),
            ),
            (
                Credential::Password {
                    user: User::Id("u".into()),
                    password: secret(),
                    scope: Scope::Trust("t".into()),
                },
                json!({
                    "identity": {"methods": ["password"], "password": {"user": {"id": "u", "password": "s"}}},
                    "scope": {"OS-TRUST:trust": {"id": "t"}}
                }),
            ),
            (
                Credential::ApplicationCredential {
                    by: ApplicationCredential::Id("a".into()),
                    secret: secret(),
                },
                json!({"identity": {
                    "methods": ["application_credential"],
                    "application_credential": {"id": "a", "secret": "s"}
                }}),
            ),
            (
                Credential::ApplicationCredential {
                    by: ApplicationCredential::Name { name: "a".into(), user: csi() },
                    secret: secret(),
                },
                json!({"identity": {
                    "methods": ["application_credential"],
                    "application_credential": {"name": "a", "user": user, "secret": "s"}
                }}),
            ),
            (
                Credential::Token { token: secret(), scope: Scope::ProjectId("p".into()) },
                json!({
                    "identity": {"methods": ["token"], "token": {"id": "s"}},
                    "scope": {"project": {"id": "p"}}
                }),
            ),
            (
                Credential::Password { user: csi(), password: secret(), scope: Scope::Unscoped },
                json!({"identity": {"methods": ["password"], "password": {"user": with_password}}}),
            ),
        ] {
            assert_eq!(body(&credential), Some(json!({ "auth": auth })));
        }
    }

    #[test]
    fn auth_url_is_taken_with_and_without_its_version() {
        for (given, expected) in [
            ("http://k:5000", "http://k:5000/v3/auth/tokens"),
            ("http://k:5000/", "http://k:5000/v3/auth/tokens"),
            ("http://k:5000/v3", "http://k:5000/v3/auth/tokens"),
            ("http://k:5000/v3/", "http://k:5000/v3/auth/tokens"),
            ("https://cloud/identity", "https://cloud/identity/v3/auth/tokens"),
            ("https://cloud/identity/v3/", "https://cloud/identity/v3/auth/tokens"),
            ("https://cloud/identity/v2.0", "https://cloud/identity/v3/auth/tokens"),
        ] {
            let url = below_auth_url(&given.parse().unwrap(), &["auth", "tokens"]);
            assert_eq!(url.as_str(), expected, "{given}");
        }
    }
}
