//! From what was said about a cloud to how to reach it: who, in which project, with which certificates.
//!
//! Which kind of credential wins and which domain is meant follow gophercloud:
//! <https://github.com/gophercloud/utils/blob/main/openstack/clientconfig/requests.go> (`v3auth`) and
//! <https://github.com/gophercloud/gophercloud/blob/main/auth_options.go> (`ToTokenV3CreateMap`).

use secrecy::SecretString;
use url::Url;

use super::error::{Error, Place, Result, Warning};
use super::settings::{Key, Setting, Settings};
use super::source::Reads;
use crate::openstack::{ApplicationCredential, Credential, Interface, Places, Scope, Tls, User, UserDomain};

/// One cloud's settings and a place to name where one is missing.
pub struct Account<'a> {
    pub settings: &'a Settings,
    pub place: Place,
    /// The cloud's section of cloud.conf, or what stands for it.
    pub section: String,
}

impl Account<'_> {
    pub fn auth_url(&self) -> Result<Url> {
        let setting =
            self.need(Key::AuthUrl, "it is Keystone's URL, such as https://keystone.example:5000/v3")?;
        let url = http_url(setting, "\"username\" and \"password\"")?;
        if url.path().trim_end_matches('/').ends_with("/v2.0") {
            return Err(
                setting.wrong("names version 2 of Keystone's API, which is gone since 2018: end it in /v3")
            );
        }
        Ok(url)
    }

    pub fn interface(&self) -> Result<Interface> {
        let Some(setting) = self.settings.get(Key::EndpointType) else { return Ok(Interface::Public) };
        match setting.text() {
            "public" | "publicURL" => Ok(Interface::Public),
            "internal" | "internalURL" => Ok(Interface::Internal),
            "admin" | "adminURL" => Ok(Interface::Admin),
            _ => Err(setting.wrong("is not public, internal or admin")),
        }
    }

    pub fn region(&self) -> Option<String> {
        self.text(Key::Region)
    }

    pub fn credential(&self, reads: &Reads, warnings: &mut Vec<Warning>) -> Result<Credential> {
        if let Some(federated) = self.federated(reads)? {
            return Ok(federated);
        }
        if self.settings.has(Key::TrustId) {
            return self.trust();
        }
        if let Some(token) = self.settings.get(Key::Token) {
            if let Some(unused) = self.settings.get(Key::Password) {
                let message =
                    format!("\"{}\" is not used: a token is given, too, and goes first", unused.name);
                warnings.push(Warning::at(&unused.place, message));
            }
            return Ok(Credential::Token { token: token.value.clone(), scope: self.project()? });
        }
        match (self.settings.get(Key::Password), self.application()) {
            (Some(password), Some(other)) => Err(self.both(password, other)),
            (None, Some(_)) => self.application_credential(),
            (Some(password), None) => {
                let (user, scope) = (self.user(None)?, self.project()?);
                Ok(Credential::Password { user, password: password.value.clone(), scope })
            }
            (None, None) => Err(self.missing_secret()),
        }
    }

    pub fn tls(&self, reads: &Reads, warnings: &mut Vec<Warning>) -> Result<Tls> {
        let ca =
            self.settings.get(Key::CaFile).map(|setting| pem(reads, setting, "CERTIFICATE")).transpose()?;
        let identity = match (self.settings.get(Key::CertFile), self.settings.get(Key::KeyFile)) {
            (Some(cert), Some(key)) => {
                let key = pem(reads, key, "PRIVATE KEY").and_then(|bytes| secret(key, bytes))?;
                Some((pem(reads, cert, "CERTIFICATE")?, key))
            }
            (Some(alone), None) => return Err(incomplete(alone, "key-file")),
            (None, Some(alone)) => return Err(incomplete(alone, "cert-file")),
            (None, None) => None,
        };
        Ok(Tls { ca, identity, insecure: self.insecure(warnings) })
    }

    /// What an error of the cloud is best mended by.
    pub fn places(&self, credential: &Credential) -> Places {
        let (secrets, owner) = settings_of(credential);
        let secret = secrets.iter().find(|key| self.settings.has(**key)).or(secrets.first());
        let owner = owner.iter().filter(|key| self.settings.has(**key));
        let credential: Vec<_> = secret.into_iter().chain(owner).map(|key| self.found(*key)).collect();
        Places {
            auth_url: self.found(Key::AuthUrl),
            credential: credential.join(", "),
            region: self.found(Key::Region),
            interface: self.found(Key::EndpointType),
            ca: self.found(Key::CaFile),
        }
    }

    /// Where a setting is, or would be.
    fn found(&self, key: Key) -> String {
        match self.settings.get(key) {
            Some(Setting { place: place @ (Place::Variable(_) | Place::Flag(_)), .. }) => place.to_string(),
            Some(Setting { name, place, .. }) => format!("\"{name}\" in {place}"),
            None => format!("\"{}\", which isn't set in {} ({})", key.name(), self.section, self.place),
        }
    }

    /// The existing driver compares with "true" and takes every other text as "verify".
    fn insecure(&self, warnings: &mut Vec<Warning>) -> bool {
        let Some(setting) = self.settings.get(Key::TlsInsecure) else { return false };
        let insecure = setting.text() == "true";
        if !insecure && setting.text() != "false" {
            let message = "certificates are verified: only \"true\" switches \"tls-insecure\" on";
            warnings.push(Warning::at(&setting.place, message));
        }
        insecure
    }

    fn trust(&self) -> Result<Credential> {
        let trust = self.need(Key::TrustId, "")?.text().to_owned();
        if let (Some(other), Some(trust)) = (self.application(), self.settings.get(Key::TrustId)) {
            return Err(self.both(trust, other));
        }
        let password =
            self.settings.get(Key::TrusteePassword).or_else(|| self.settings.get(Key::Password)).ok_or_else(
                || self.missing("trustee-password", "a trust is used with the trustee's password"),
            )?;
        let user = self.user(self.settings.get(Key::TrusteeId))?;
        Ok(Credential::Password { user, password: password.value.clone(), scope: Scope::Trust(trust) })
    }

    fn application_credential(&self) -> Result<Credential> {
        let secret =
            self.need(Key::ApplicationCredentialSecret, "an application credential is used with its secret")?;
        let by = match (self.text(Key::ApplicationCredentialId), self.text(Key::ApplicationCredentialName)) {
            (Some(id), _) => ApplicationCredential::Id(id),
            (None, Some(name)) => ApplicationCredential::Name { name, user: self.user(None)? },
            (None, None) => {
                let hint = "the secret alone doesn't say which application credential";
                return Err(self.missing("application-credential-id", hint));
            }
        };
        Ok(Credential::ApplicationCredential { by, secret: secret.value.clone() })
    }

    fn user(&self, trustee: Option<&Setting>) -> Result<User> {
        if let Some(trustee) = trustee {
            return Ok(User::Id(trustee.text().to_owned()));
        }
        match (self.settings.get(Key::UserId), self.settings.get(Key::Username)) {
            (Some(id), Some(name)) => Err(self.both(id, name)),
            (Some(id), None) => Ok(User::Id(id.text().to_owned())),
            (None, Some(name)) => {
                let domain = self.domain(Key::UserDomainId, Key::UserDomainName)?.ok_or_else(|| {
                    let hint = "a user's name is unique only within a domain, often \"Default\"";
                    self.missing("user-domain-name", hint)
                })?;
                Ok(User::Name { name: name.text().to_owned(), domain })
            }
            (None, None) => Err(self.missing("username", "or user-id: the password needs a user")),
        }
    }

    pub(super) fn project(&self) -> Result<Scope> {
        match (self.text(Key::TenantId), self.text(Key::TenantName)) {
            (Some(id), _) => Ok(Scope::ProjectId(id)),
            (None, Some(name)) => {
                let domain = self.domain(Key::TenantDomainId, Key::TenantDomainName)?.ok_or_else(|| {
                    let hint = "a project's name is unique only within a domain, often \"Default\"; or set tenant-id";
                    self.missing("tenant-domain-name", hint)
                })?;
                Ok(Scope::ProjectName { name, domain })
            }
            (None, None) => Ok(Scope::Unscoped),
        }
    }

    /// The domain of a user or a project: its own, else `domain-*`, else the default domain.
    fn domain(&self, id: Key, name: Key) -> Result<Option<UserDomain>> {
        for (id, name) in [(id, name), (Key::DomainId, Key::DomainName)] {
            match (self.settings.get(id), self.settings.get(name)) {
                // Two sources may say the same thing in two ways; an id is exact.
                (Some(id), _) => return Ok(Some(UserDomain::Id(id.text().to_owned()))),
                (None, Some(name)) => return Ok(Some(UserDomain::Name(name.text().to_owned()))),
                (None, None) => {}
            }
        }
        Ok(self.text(Key::DefaultDomain).map(UserDomain::Id))
    }

    /// Any setting of an application credential.
    fn application(&self) -> Option<&Setting> {
        [Key::ApplicationCredentialSecret, Key::ApplicationCredentialId, Key::ApplicationCredentialName]
            .into_iter()
            .find_map(|key| self.settings.get(key))
    }

    pub(super) fn text(&self, key: Key) -> Option<String> {
        self.settings.get(key).map(|setting| setting.text().to_owned())
    }

    pub(super) fn need(&self, key: Key, hint: &str) -> Result<&Setting> {
        self.settings.get(key).ok_or_else(|| self.missing(key.name(), hint))
    }

    pub(super) fn missing(&self, key: &str, hint: &str) -> Error {
        Error::at(&self.place, format!("\"{key}\" is missing in {}: {hint}", self.section))
    }

    fn missing_secret(&self) -> Error {
        self.missing(
            "password",
            "give username and password, an application credential and its secret, or a token",
        )
    }

    pub(super) fn both(&self, one: &Setting, other: &Setting) -> Error {
        one.wrong(format_args!("contradicts \"{}\" ({}): remove one of them", other.name, other.place))
    }
}

/// Where a credential's secret may be, in the order of use, and what says whose it is.
fn settings_of(credential: &Credential) -> (&'static [Key], &'static [Key]) {
    match credential {
        Credential::Password { scope: Scope::Trust(_), .. } => (&[Key::TrusteePassword, Key::Password], &[]),
        Credential::Password { .. } => {
            (&[Key::Password], &[Key::UserId, Key::Username, Key::TenantId, Key::TenantName])
        }
        Credential::ApplicationCredential { .. } => (
            &[Key::ApplicationCredentialSecret],
            &[Key::ApplicationCredentialId, Key::ApplicationCredentialName],
        ),
        Credential::Token { .. } => (&[Key::Token], &[]),
        Credential::Federated { .. } => {
            (&[Key::AccessTokenFile, Key::AccessToken, Key::ClientSecret, Key::Password], &[])
        }
    }
}

/// `instead` is where a user name and password belong. url's own message doesn't quote the text, which may hold a password.
pub(super) fn http_url(setting: &Setting, instead: &str) -> Result<Url> {
    let wrong =
        |why: &str| setting.wrong(format_args!("is not a URL{why}: write https://HOST... or http://HOST..."));
    let url = Url::parse(setting.text()).map_err(|error| wrong(&format!(" ({error})")))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong(""));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(setting.wrong(format_args!("holds a user name or password: move it to {instead}")));
    }
    Ok(url)
}

fn incomplete(setting: &Setting, other: &str) -> Error {
    setting.wrong(format_args!("is of use only together with \"{other}\""))
}

/// The file that a setting names, if it holds a PEM block of that kind.
fn pem(reads: &Reads, setting: &Setting, label: &str) -> Result<Vec<u8>> {
    let bytes = setting.read(reads)?;
    let marker = format!("{label}-----");
    if !bytes.windows(marker.len()).any(|window| window == marker.as_bytes()) {
        return Err(setting.file_wrong(format_args!("holds no PEM block of a {label}")));
    }
    Ok(bytes)
}

fn secret(setting: &Setting, bytes: Vec<u8>) -> Result<SecretString> {
    let text = String::from_utf8(bytes);
    text.map(SecretString::from).map_err(|_| setting.file_wrong("is not a PEM text"))
}
