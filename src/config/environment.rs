//! The `OS_*` variables, as gophercloud reads them, and the proxy's.
//!
//! <https://github.com/gophercloud/utils/blob/main/openstack/clientconfig/requests.go> (`v3auth`).

use secrecy::SecretString;

use super::cloud_conf::boolean;
use super::error::{Place, Result};
use super::settings::{Key, Setting, Settings};
use super::source::Reads;
use crate::openstack::Proxy;

/// Where two variables name one setting, the first that is set counts.
const VARIABLES: [(Key, &str); 40] = [
    (Key::AuthUrl, "OS_AUTH_URL"),
    (Key::Token, "OS_AUTH_TOKEN"),
    (Key::Token, "OS_TOKEN"),
    (Key::Username, "OS_USERNAME"),
    (Key::UserId, "OS_USER_ID"),
    (Key::Password, "OS_PASSWORD"),
    (Key::TenantId, "OS_PROJECT_ID"),
    (Key::TenantId, "OS_TENANT_ID"),
    (Key::TenantName, "OS_PROJECT_NAME"),
    (Key::TenantName, "OS_TENANT_NAME"),
    (Key::DomainId, "OS_DOMAIN_ID"),
    (Key::DomainName, "OS_DOMAIN_NAME"),
    (Key::DefaultDomain, "OS_DEFAULT_DOMAIN"),
    (Key::TenantDomainId, "OS_PROJECT_DOMAIN_ID"),
    (Key::TenantDomainName, "OS_PROJECT_DOMAIN_NAME"),
    (Key::UserDomainId, "OS_USER_DOMAIN_ID"),
    (Key::UserDomainName, "OS_USER_DOMAIN_NAME"),
    (Key::ApplicationCredentialId, "OS_APPLICATION_CREDENTIAL_ID"),
    (Key::ApplicationCredentialName, "OS_APPLICATION_CREDENTIAL_NAME"),
    (Key::ApplicationCredentialSecret, "OS_APPLICATION_CREDENTIAL_SECRET"),
    (Key::TrustId, "OS_TRUST_ID"),
    (Key::Region, "OS_REGION_NAME"),
    (Key::EndpointType, "OS_INTERFACE"),
    (Key::EndpointType, "OS_ENDPOINT_TYPE"),
    (Key::CaFile, "OS_CACERT"),
    (Key::CertFile, "OS_CERT"),
    (Key::KeyFile, "OS_KEY"),
    (Key::Cloud, "OS_CLOUD"),
    (Key::AuthType, "OS_AUTH_TYPE"),
    (Key::IdentityProvider, "OS_IDENTITY_PROVIDER"),
    (Key::Protocol, "OS_PROTOCOL"),
    (Key::ClientId, "OS_CLIENT_ID"),
    (Key::ClientSecret, "OS_CLIENT_SECRET"),
    (Key::AccessTokenEndpoint, "OS_ACCESS_TOKEN_ENDPOINT"),
    (Key::DiscoveryEndpoint, "OS_DISCOVERY_ENDPOINT"),
    (Key::OpenidScope, "OS_OPENID_SCOPE"),
    (Key::AccessTokenType, "OS_ACCESS_TOKEN_TYPE"),
    (Key::AccessToken, "OS_ACCESS_TOKEN"),
    (Key::AccessTokenFile, "OS_ACCESS_TOKEN_FILE"),
    (Key::TlsInsecure, "OS_INSECURE"),
];

pub fn settings(reads: &Reads) -> Result<Settings> {
    let mut settings = Settings::default();
    for (key, name) in VARIABLES {
        let Some(value) = reads.var(name).filter(|_| !settings.has(key)) else { continue };
        let place = Place::Variable(name.to_owned());
        let value = match key {
            Key::TlsInsecure => boolean(name, Some(&value), &place)?.to_string(),
            _ => value,
        };
        settings.set(key, Setting { value: value.into(), place, name });
    }
    Ok(settings)
}

/// Upper case first, as Go's `httpproxy.FromEnvironment`.
pub fn proxy(reads: &Reads) -> Proxy {
    let first = |upper: &str, lower: &str| reads.var(upper).or_else(|| reads.var(lower));
    Proxy {
        http: first("HTTP_PROXY", "http_proxy").map(SecretString::from),
        https: first("HTTPS_PROXY", "https_proxy").map(SecretString::from),
        bypass: first("NO_PROXY", "no_proxy").unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_is_documented() {
        let manual = include_str!("../../docs/configuration.md");
        for (_, name) in VARIABLES {
            assert!(manual.contains(&format!("`{name}`")), "{name}");
        }
    }
}
