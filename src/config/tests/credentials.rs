//! Who logs in, and where to: which of the settings count.

use secrecy::ExposeSecret;

use super::*;
use crate::openstack::{
    ApplicationCredential, Credential, Grant, OidcClient, Proof, Scope, TokenEndpoint, User, UserDomain,
};

/// A credential as a line, its secret shown.
pub fn show(credential: &Credential) -> String {
    let domain = |domain: &UserDomain| match domain {
        UserDomain::Id(id) => format!("domain id {id}"),
        UserDomain::Name(name) => format!("domain {name}"),
    };
    let who = |user: &User| match user {
        User::Id(id) => format!("user id {id}"),
        User::Name { name, domain: of } => format!("user {name} of {}", domain(of)),
    };
    let where_ = |scope: &Scope| match scope {
        Scope::ProjectId(id) => format!("project id {id}"),
        Scope::ProjectName { name, domain: of } => format!("project {name} of {}", domain(of)),
        Scope::Trust(id) => format!("trust {id}"),
        Scope::Unscoped => "no scope".to_owned(),
    };
    match credential {
        Credential::Password { user, password, scope } => {
            format!("{}, {}, {}", who(user), password.expose_secret(), where_(scope))
        }
        Credential::Federated { who, scope } => {
            let proof = match &who.proof {
                Proof::AccessToken(token) => format!("access token {}", token.expose_secret()),
                Proof::Client(client) => {
                    let OidcClient { id, secret, endpoint, scope, token_type, grant } = client;
                    let secret = secret.as_ref().map_or("none", |secret| secret.expose_secret());
                    let endpoint = match endpoint {
                        TokenEndpoint::At(url) => format!("at {url}"),
                        TokenEndpoint::ToldBy(url) => format!("told by {url}"),
                    };
                    let grant = match grant {
                        Grant::ClientCredentials => "itself".to_owned(),
                        Grant::Password { username, password } => {
                            format!("{username} {}", password.expose_secret())
                        }
                    };
                    format!("client {id} {secret} {endpoint} for {grant}, {scope}, {}", token_type.name())
                }
            };
            format!("{} by {}, {proof}, {}", who.identity_provider, who.protocol, where_(scope))
        }
        Credential::Token { token, scope } => format!("token {}, {}", token.expose_secret(), where_(scope)),
        Credential::ApplicationCredential { by: ApplicationCredential::Id(id), secret } => {
            format!("application id {id}, {}", secret.expose_secret())
        }
        Credential::ApplicationCredential { by: ApplicationCredential::Name { name, user }, secret } => {
            format!("application {name} of {}, {}", who(user), secret.expose_secret())
        }
    }
}

#[test]
fn every_kind_of_credential_is_read_as_gophercloud_reads_it() {
    let table = [
        (
            "username=u\npassword=p\ntenant-name=t\ndomain-name=D",
            "user u of domain D, p, project t of domain D",
        ),
        (
            "username=u\npassword=p\ntenant-name=t\ndomain-id=d",
            "user u of domain id d, p, project t of domain id d",
        ),
        (
            "username=u\npassword=p\ntenant-name=t\nuser-domain-name=U\ntenant-domain-id=T\ndomain-name=D",
            "user u of domain U, p, project t of domain id T",
        ),
        ("username=u\npassword=p\ntenant-id=t\nuser-domain-id=d", "user u of domain id d, p, project id t"),
        (
            "username=u\npassword=p\ntenant-id=t\ntenant-name=n\ndomain-id=d",
            "user u of domain id d, p, project id t",
        ),
        ("user-id=u\npassword=p\ntenant-id=t", "user id u, p, project id t"),
        ("user-id=u\npassword=p", "user id u, p, no scope"),
        (
            "username=u\npassword=p\ndefault-domain=d\ntenant-name=t",
            "user u of domain id d, p, project t of domain id d",
        ),
        ("application-credential-id=a\napplication-credential-secret=s", "application id a, s"),
        (
            "application-credential-name=a\napplication-credential-secret=s\nusername=u\ndomain-name=D",
            "application a of user u of domain D, s",
        ),
        (
            "application-credential-name=a\napplication-credential-secret=s\nuser-id=u",
            "application a of user id u, s",
        ),
        ("token=t\ntenant-id=p", "token t, project id p"),
        ("token=t", "token t, no scope"),
        ("token=t\nusername=u\npassword=p", "token t, no scope"),
        ("trust-id=x\nuser-id=u\npassword=p\ntenant-id=t", "user id u, p, trust x"),
        ("trust-id=x\ntrustee-id=e\ntrustee-password=q\nusername=u\npassword=p", "user id e, q, trust x"),
        ("trust-id=x\nusername=u\nuser-domain-name=U\npassword=p", "user u of domain U, p, trust x"),
    ];
    for (lines, expected) in table {
        assert_eq!(show(&cloud(lines).credential), expected, "{lines}");
    }
}

#[test]
fn a_missing_or_contradictory_credential_says_what_to_do() {
    let table = [
        ("", "\"auth-url\" is missing in [Global]"),
        (&format!("{BASE}username=u\ntenant-id=t"), "\"password\" is missing in [Global]"),
        (&format!("{BASE}password={CANARY}"), "\"username\" is missing"),
        (&format!("{BASE}username=u\npassword={CANARY}\ntenant-id=t"), "\"user-domain-name\" is missing"),
        (&format!("{BASE}user-id=u\npassword={CANARY}\ntenant-name=t"), "\"tenant-domain-name\" is missing"),
        (
            &format!("{BASE}user-id=u\nusername=v\npassword={CANARY}"),
            "\"user-id\" contradicts \"username\" (/etc/config/cloud.conf:4)",
        ),
        (
            &format!(
                "{BASE}user-id=u\npassword={CANARY}\napplication-credential-id=a\napplication-credential-secret={CANARY}"
            ),
            "\"password\" contradicts \"application-credential-secret\"",
        ),
        (&format!("{BASE}application-credential-id=a"), "\"application-credential-secret\" is missing"),
        (
            &format!("{BASE}application-credential-secret={CANARY}"),
            "\"application-credential-id\" is missing",
        ),
        (&format!("{BASE}trust-id=x\nuser-id=u"), "\"trustee-password\" is missing"),
        (&format!("{BASE}trust-id=x\napplication-credential-id=u"), "\"trust-id\" contradicts"),
        (
            "auth-url=keystone:5000",
            "cloud.conf:2: \"auth-url\" is not a URL: write https://HOST... or http://",
        ),
        (
            "auth-url=127.0.0.1:9",
            "cloud.conf:2: \"auth-url\" is not a URL (relative URL without a base): write https://HOST",
        ),
        ("auth-url=ftp://x/", "write https://"),
        ("auth-url=http://x/v2.0/", "version 2"),
        (&format!("auth-url=http://u:{CANARY}@x/v3"), "holds a user name or password"),
        (
            &format!("{BASE}token={CANARY}\nos-endpoint-type=pubic"),
            "cloud.conf:4: \"os-endpoint-type\" is not public",
        ),
        (
            &format!("{BASE}token={CANARY}\nca-file=/none"),
            "cloud.conf:4: the file of \"ca-file\" can't be read: entity not found; where it comes from a Secret",
        ),
        (&format!("{BASE}token={CANARY}\nca-file={FILE}"), "holds no PEM block of a CERTIFICATE"),
        (&format!("{BASE}token={CANARY}\ncert-file={FILE}"), "only together with \"key-file\""),
        (&format!("{BASE}token"), "cloud.conf:3: \"token\" needs a value"),
        (&format!("{BASE}use-clouds=maybe"), "cloud.conf:3: \"use-clouds\" is neither true"),
    ];
    for (lines, expected) in table {
        let error = refusal(lines);
        assert!(error.contains(expected) && error.starts_with(FILE), "{lines}\n{error}");
    }
}
