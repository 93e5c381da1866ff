//! clouds.yaml, clouds-public.yaml and secure.yaml, found and merged as gophercloud does.
//!
//! <https://github.com/gophercloud/utils/blob/main/openstack/clientconfig/utils.go> is the reference for the places,
//! `GetCloudFromYAML` in requests.go beside it for the merging.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

use super::cloud_conf::boolean;
use super::error::{Error, Place, Result, Warning};
use super::settings::{Key, Setting, Settings};
use super::source::Reads;
use crate::text::hint;

/// A scalar as it is written, and its line: a password of digits stays those digits.
type Word = Option<Spanned<String>>;

#[derive(Deserialize)]
struct Clouds {
    #[serde(default)]
    clouds: Option<BTreeMap<String, Option<Entry>>>,
    #[serde(default, rename = "public-clouds")]
    public: Option<BTreeMap<String, Option<Entry>>>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Entry {
    profile: Word,
    cloud: Word,
    auth: Option<Auth>,
    auth_type: Word,
    region_name: Word,
    regions: Option<Vec<Region>>,
    endpoint_type: Word,
    interface: Word,
    identity_api_version: Word,
    verify: Word,
    cacert: Word,
    cert: Word,
    key: Word,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth_url: Word,
    token: Word,
    username: Word,
    user_id: Word,
    password: Word,
    application_credential_id: Word,
    application_credential_name: Word,
    application_credential_secret: Word,
    project_name: Word,
    project_id: Word,
    tenant_name: Word,
    tenant_id: Word,
    user_domain_name: Word,
    user_domain_id: Word,
    project_domain_name: Word,
    project_domain_id: Word,
    domain_name: Word,
    domain_id: Word,
    default_domain: Word,
    trust_id: Word,
    identity_provider: Word,
    protocol: Word,
    client_id: Word,
    client_secret: Word,
    access_token_endpoint: Word,
    discovery_endpoint: Word,
    openid_scope: Word,
    access_token_type: Word,
    access_token: Word,
    access_token_file: Word,
}

/// A region: a name, or a name with settings of its own.
#[derive(Clone, Default)]
struct Region(Option<Values>);

#[derive(Clone, Deserialize)]
struct Values {
    name: String,
    values: Option<Box<Entry>>,
}

/// One file's entries.
struct File {
    path: PathBuf,
    clouds: BTreeMap<String, Entry>,
}

/// The settings of the cloud `name`, or of the only cloud where no name is given.
pub struct Choice<'a> {
    pub name: Option<String>,
    /// Whose settings ask for it.
    pub place: Place,
    pub clouds_file: Option<&'a str>,
    pub region: Option<&'a str>,
}

impl Choice<'_> {
    pub fn read(&self, reads: &Reads, warnings: &mut Vec<Warning>) -> Result<Settings> {
        let clouds = self.clouds(reads, warnings)?;
        let secure = optional(reads, "secure")?;
        let name = self.chosen(&clouds, secure.as_ref())?;
        let mut settings = Settings::default();
        // secure.yaml goes over clouds.yaml, and that over clouds-public.yaml.
        let mut regions = Vec::new();
        if let Some(entry) =
            secure.as_ref().and_then(|file| file.clouds.get(&name).map(|entry| (file, entry)))
        {
            settings.fill(entry.1.settings(&entry.0.path)?);
        }
        if let Some(entry) = clouds.clouds.get(&name) {
            settings.fill(entry.settings(&clouds.path)?);
            entry.check(&clouds.path)?;
            regions.extend(entry.regions.iter().flatten().cloned());
            if let Some(profile) =
                entry.profile.as_ref().or(entry.cloud.as_ref()).filter(|word| !word.value.is_empty())
            {
                settings.fill(public(reads, profile, &clouds.path)?);
            }
        }
        let region = self
            .region
            .map(str::to_owned)
            .or(settings.get(Key::Region).map(|region| region.text().to_owned()));
        if let Some(values) = region.and_then(|region| values_of(&regions, &region)) {
            let mut regional = values.settings(&clouds.path)?;
            regional.fill(settings);
            settings = regional;
        }
        Ok(settings)
    }

    fn clouds(&self, reads: &Reads, warnings: &mut Vec<Warning>) -> Result<File> {
        let asked = self.clouds_file.map(str::to_owned).or_else(|| reads.var("OS_CLIENT_CONFIG_FILE"));
        let asked = asked.map(PathBuf::from);
        if let Some(path) = &asked {
            match reads.read(path) {
                Ok(text) => return parse(path, &text),
                Err(error) if !is_absent(&error) => return Err(Error::unreadable(path, &error)),
                Err(_) => {}
            }
        }
        let Some(found) = optional(reads, "clouds")? else { return Err(self.nowhere(reads, asked)) };
        if let Some(path) = asked {
            let message = format!("{} isn't there: {} is used", path.display(), found.path.display());
            warnings.push(Warning::at(&self.place, message));
        }
        Ok(found)
    }

    fn nowhere(&self, reads: &Reads, asked: Option<PathBuf>) -> Error {
        let places: Vec<_> = places(reads, "clouds").iter().map(|path| path.display().to_string()).collect();
        let places = places.join(", ");
        let message = match asked {
            Some(path) => format!("{} isn't there, and no clouds.yaml is at {places}", path.display()),
            None => format!("no clouds.yaml found; it is looked for at OS_CLIENT_CONFIG_FILE, {places}"),
        };
        Error::at(&self.place, message)
    }

    fn chosen(&self, clouds: &File, secure: Option<&File>) -> Result<String> {
        let known = || clouds.clouds.keys().map(String::as_str);
        match self.name.as_deref() {
            Some(name) if clouds.clouds.contains_key(name) => Ok(name.to_owned()),
            Some(name) => {
                let near = hint(name, known());
                Err(Error::at(
                    &self.place,
                    format!("the cloud \"{name}\" is not in {}{near}", clouds.path.display()),
                ))
            }
            None => match (clouds.clouds.len(), secure) {
                (1, _) => Ok(known().collect()),
                (0, Some(secure)) if secure.clouds.len() == 1 => Ok(secure.clouds.keys().cloned().collect()),
                _ => {
                    let names: Vec<_> = known().collect();
                    let message = format!(
                        "{} has the clouds {}: set \"cloud\" (or OS_CLOUD) to the name of one",
                        clouds.path.display(),
                        names.join(", ")
                    );
                    Err(Error::at(&self.place, message))
                }
            },
        }
    }
}

impl Entry {
    fn settings(&self, file: &Path) -> Result<Settings> {
        let auth = self.auth.clone().unwrap_or_default();
        let rows: [(Key, &'static str, &Word); 37] = [
            (Key::AuthUrl, "auth_url", &auth.auth_url),
            (Key::Token, "token", &auth.token),
            (Key::Username, "username", &auth.username),
            (Key::UserId, "user_id", &auth.user_id),
            (Key::Password, "password", &auth.password),
            (Key::ApplicationCredentialId, "application_credential_id", &auth.application_credential_id),
            (
                Key::ApplicationCredentialName,
                "application_credential_name",
                &auth.application_credential_name,
            ),
            (
                Key::ApplicationCredentialSecret,
                "application_credential_secret",
                &auth.application_credential_secret,
            ),
            (Key::TenantName, "project_name", &auth.project_name),
            (Key::TenantId, "project_id", &auth.project_id),
            (Key::TenantName, "tenant_name", &auth.tenant_name),
            (Key::TenantId, "tenant_id", &auth.tenant_id),
            (Key::UserDomainName, "user_domain_name", &auth.user_domain_name),
            (Key::UserDomainId, "user_domain_id", &auth.user_domain_id),
            (Key::TenantDomainName, "project_domain_name", &auth.project_domain_name),
            (Key::TenantDomainId, "project_domain_id", &auth.project_domain_id),
            (Key::DomainName, "domain_name", &auth.domain_name),
            (Key::DomainId, "domain_id", &auth.domain_id),
            (Key::DefaultDomain, "default_domain", &auth.default_domain),
            (Key::TrustId, "trust_id", &auth.trust_id),
            (Key::AuthType, "auth_type", &self.auth_type),
            (Key::IdentityProvider, "identity_provider", &auth.identity_provider),
            (Key::Protocol, "protocol", &auth.protocol),
            (Key::ClientId, "client_id", &auth.client_id),
            (Key::ClientSecret, "client_secret", &auth.client_secret),
            (Key::AccessTokenEndpoint, "access_token_endpoint", &auth.access_token_endpoint),
            (Key::DiscoveryEndpoint, "discovery_endpoint", &auth.discovery_endpoint),
            (Key::OpenidScope, "openid_scope", &auth.openid_scope),
            (Key::AccessTokenType, "access_token_type", &auth.access_token_type),
            (Key::AccessToken, "access_token", &auth.access_token),
            (Key::AccessTokenFile, "access_token_file", &auth.access_token_file),
            (Key::Region, "region_name", &self.region_name),
            (Key::EndpointType, "endpoint_type", &self.endpoint_type),
            (Key::EndpointType, "interface", &self.interface),
            (Key::CaFile, "cacert", &self.cacert),
            (Key::CertFile, "cert", &self.cert),
            (Key::KeyFile, "key", &self.key),
        ];
        let mut settings = Settings::default();
        for (key, name, word) in rows {
            if let Some(word) = word.as_ref().filter(|_| !settings.has(key)) {
                settings.set(key, Setting { value: word.value.clone().into(), place: at(file, word), name });
            }
        }
        if let Some(word) = &self.verify {
            let place = at(file, word);
            let insecure = !boolean("verify", Some(&word.value), &place)?;
            settings
                .set(Key::TlsInsecure, Setting { value: insecure.to_string().into(), place, name: "verify" });
        }
        Ok(settings)
    }

    fn check(&self, file: &Path) -> Result<()> {
        if let Some(version) = self.identity_api_version.as_ref().filter(|word| word.value.starts_with('2')) {
            let message = "\"identity_api_version\" 2 is gone from OpenStack since 2018: set 3 or remove it";
            return Err(Error::at(&at(file, version), message));
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Region {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(RegionVisitor)
    }
}

struct RegionVisitor;

impl<'de> Visitor<'de> for RegionVisitor {
    type Value = Region;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the name of a region, or its name and values")
    }

    fn visit_str<E>(self, _name: &str) -> std::result::Result<Region, E> {
        Ok(Region(None))
    }

    fn visit_u64<E>(self, _name: u64) -> std::result::Result<Region, E> {
        Ok(Region(None))
    }

    fn visit_i64<E>(self, _name: i64) -> std::result::Result<Region, E> {
        Ok(Region(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<Region, A::Error> {
        Values::deserialize(MapAccessDeserializer::new(map)).map(|values| Region(Some(values)))
    }
}

/// The profile's settings in clouds-public.yaml.
fn public(reads: &Reads, profile: &Spanned<String>, asker: &Path) -> Result<Settings> {
    let place = at(asker, profile);
    let missing = |what: &str| Error::at(&place, format!("the profile \"{}\" {what}", profile.value));
    let file = optional(reads, "clouds-public")?
        .ok_or_else(|| missing("needs a clouds-public.yaml, and none is found"))?;
    let entry = file.clouds.get(&profile.value);
    entry.ok_or_else(|| missing("is not in clouds-public.yaml"))?.settings(&file.path)
}

fn values_of<'a>(regions: &'a [Region], region: &str) -> Option<&'a Entry> {
    regions.iter().filter_map(|known| known.0.as_ref()).find(|known| known.name == region)?.values.as_deref()
}

fn optional(reads: &Reads, stem: &str) -> Result<Option<File>> {
    for path in places(reads, stem) {
        match reads.read(&path) {
            Ok(text) => return parse(&path, &text).map(Some),
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(Error::unreadable(&path, &error)),
        }
    }
    Ok(None)
}

/// Accounts of services have /dev/null as their HOME.
fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

/// Here, then the user's, then the machine's; all with `.yaml` before any with `.yml`.
fn places(reads: &Reads, stem: &str) -> Vec<PathBuf> {
    let home = reads.var("HOME").map(|home| PathBuf::from(home).join(".config/openstack"));
    let folders = [Some(PathBuf::new()), home, Some(PathBuf::from("/etc/openstack"))];
    ["yaml", "yml"]
        .iter()
        .flat_map(|ending| {
            folders.iter().flatten().map(move |folder| folder.join(format!("{stem}.{ending}")))
        })
        .collect()
}

fn parse(path: &Path, text: &[u8]) -> Result<File> {
    // The parser's own message quotes the text, in which there are secrets: only its line is told.
    let parsed: Option<Clouds> = serde_saphyr::from_slice(text).map_err(|error| {
        let line = error.location().map_or(1, |location| location.line());
        let place = Place::Line { file: path.to_owned(), line };
        Error::at(&place, "is not YAML of the form that clouds.yaml has (clouds: NAME: auth: ...)")
    })?;
    let entries = parsed.and_then(|parsed| parsed.clouds.or(parsed.public)).unwrap_or_default();
    let clouds = entries.into_iter().map(|(name, entry)| (name, entry.unwrap_or_default())).collect();
    Ok(File { path: path.to_owned(), clouds })
}

fn at(file: &Path, word: &Spanned<String>) -> Place {
    Place::Line { file: file.to_owned(), line: word.referenced.line() }
}
