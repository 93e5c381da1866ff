//! What was said about one cloud, whoever said it: every format has its own names for the same settings.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use super::error::{Error, Place, Result};
use super::source::Reads;
use crate::text::nearest;

/// A setting of a cloud, under its name in cloud.conf.
macro_rules! keys {
    ($($variant:ident $name:literal,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[allow(clippy::enum_variant_names, reason = "the names are cloud.conf's")]
        pub enum Key { $($variant,)* }

        impl Key {
            const ALL: &[Key] = &[$(Key::$variant,)*];

            pub fn name(self) -> &'static str {
                match self { $(Key::$variant => $name,)* }
            }
        }
    };
}

// https://github.com/kubernetes/cloud-provider-openstack/blob/master/pkg/client/client.go (AuthOpts)
keys! {
    AuthUrl "auth-url",
    UserId "user-id",
    Username "username",
    Password "password",
    TenantId "tenant-id",
    TenantName "tenant-name",
    TrustId "trust-id",
    TrusteeId "trustee-id",
    TrusteePassword "trustee-password",
    DomainId "domain-id",
    DomainName "domain-name",
    DefaultDomain "default-domain",
    TenantDomainId "tenant-domain-id",
    TenantDomainName "tenant-domain-name",
    UserDomainId "user-domain-id",
    UserDomainName "user-domain-name",
    Region "region",
    EndpointType "os-endpoint-type",
    CaFile "ca-file",
    TlsInsecure "tls-insecure",
    CertFile "cert-file",
    KeyFile "key-file",
    Token "token",
    ApplicationCredentialId "application-credential-id",
    ApplicationCredentialName "application-credential-name",
    ApplicationCredentialSecret "application-credential-secret",
    UseClouds "use-clouds",
    CloudsFile "clouds-file",
    Cloud "cloud",
    AuthType "auth_type",
    IdentityProvider "identity_provider",
    Protocol "protocol",
    ClientId "client_id",
    ClientSecret "client_secret",
    AccessTokenEndpoint "access_token_endpoint",
    DiscoveryEndpoint "discovery_endpoint",
    OpenidScope "openid_scope",
    AccessTokenType "access_token_type",
    AccessToken "access_token",
    AccessTokenFile "access_token_file",
}

/// A value and who said it.
#[derive(Clone, Debug)]
pub struct Setting {
    pub value: SecretString,
    pub place: Place,
    /// The setting's name where it was made.
    pub name: &'static str,
}

#[derive(Clone, Debug, Default)]
pub struct Settings(BTreeMap<Key, Setting>);

impl Key {
    /// gcfg folds the case of keys.
    pub fn parse(name: &str) -> Option<Self> {
        Self::of_cloud_conf().find(|key| key.name().eq_ignore_ascii_case(name))
    }

    pub fn nearest(name: &str) -> Option<&'static str> {
        nearest(name, Self::of_cloud_conf().map(Key::name))
    }

    /// The keys from `auth_type` on are clouds.yaml's, and cloud.conf hasn't got them.
    fn of_cloud_conf() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(|key| *key < Key::AuthType)
    }
}

impl Setting {
    pub fn text(&self) -> &str {
        self.value.expose_secret()
    }

    /// `what` is a predicate.
    pub fn wrong(&self, what: impl fmt::Display) -> Error {
        Error::at(&self.place, format!("\"{}\" {what}", self.name))
    }

    /// As [`Self::wrong`], of the file that it names.
    pub fn file_wrong(&self, what: impl fmt::Display) -> Error {
        Error::at(&self.place, format!("the file of \"{}\" {what}", self.name))
    }

    /// What is in the file that it names.
    pub fn read(&self, reads: &Reads) -> Result<Vec<u8>> {
        reads.read(Path::new(self.text())).map_err(|error| self.file_wrong(Error::cant_be_read(&error)))
    }
}

impl Settings {
    pub fn set(&mut self, key: Key, setting: Setting) {
        self.0.insert(key, setting);
    }

    /// The setting, unless it is empty: every reader of these formats takes an empty value as unset.
    pub fn get(&self, key: Key) -> Option<&Setting> {
        self.0.get(&key).filter(|setting| !setting.text().is_empty())
    }

    pub fn has(&self, key: Key) -> bool {
        self.get(key).is_some()
    }

    /// Takes from `other` what isn't set here.
    pub fn fill(&mut self, other: Settings) {
        for (key, setting) in other.0 {
            if !self.has(key) {
                self.set(key, setting);
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_documented() {
        let manual = include_str!("../../docs/configuration.md");
        for key in Key::ALL {
            assert!(manual.contains(&format!("`{}`", key.name())), "{key:?}");
        }
    }
}
