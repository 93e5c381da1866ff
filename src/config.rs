//! cloud.conf, clouds.yaml and the environment, typed: the only reader of settings.
//!
//! Files and variables come through a [`Source`]. Every secret is wrapped as it is read, and no error holds a value.

mod cloud_conf;
mod clouds_yaml;
mod credentials;
pub mod duration;
mod environment;
mod error;
mod federation;
mod gcfg;
mod settings;
mod source;

pub use cloud_conf::ATTACH_LIMIT;
pub use error::{Error, Place, Result, Warning};
pub use source::{Fingerprint, Fixed, Source, System};

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::node::Origin;
use crate::openstack::{Options, Proxy};
use cloud_conf::{CloudConf, Part, boolean};
use clouds_yaml::Choice;
use credentials::Account;
use settings::{Key, Setting, Settings};
use source::Reads;

/// Which settings to load.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `--cloud-config`, later ones over earlier ones.
    pub files: Vec<PathBuf>,
    /// `--cloud-name`: the clouds to use. "" is the unnamed one, and the only one where the list is empty.
    pub clouds: Vec<String>,
    /// `--cloud`: the unnamed cloud is this one of clouds.yaml.
    pub cloud: Option<String>,
    pub user_agent: Vec<String>,
}

/// What a controller needs.
#[derive(Clone, Debug)]
pub struct Config {
    /// "" is the unnamed one.
    pub clouds: BTreeMap<String, Options>,
    pub block_storage: BlockStorage,
    pub metadata: Metadata,
    pub proxy: Proxy,
    pub warnings: Vec<Warning>,
    /// Every file that was read.
    pub files: Vec<PathBuf>,
    pub fingerprint: Fingerprint,
}

/// What a node needs: no credentials.
#[derive(Clone, Debug)]
pub struct NodeSettings {
    pub block_storage: BlockStorage,
    pub metadata: Metadata,
    pub warnings: Vec<Warning>,
}

/// `[BlockStorage]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockStorage {
    /// `None`: not set.
    pub node_volume_attach_limit: Option<u16>,
    pub rescan_on_resize: bool,
    pub ignore_volume_az: bool,
    pub ignore_volume_microversion: bool,
    /// Zones of servers, each with its zone of volumes.
    pub zone_map: Vec<(String, String)>,
}

/// `[Metadata]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Where an instance learns who it is, in this order.
    pub search_order: Vec<Origin>,
    pub request_timeout: Duration,
}

/// Loads again what has changed.
#[derive(Debug)]
pub struct Watch {
    request: Request,
    seen: Fingerprint,
}

impl Config {
    pub fn load(source: &dyn Source, request: &Request) -> Result<Self> {
        attempt(source, request).1
    }

    /// Whether a file that was read, or looked for, has another content now.
    pub fn changed(&self, source: &dyn Source) -> bool {
        !self.fingerprint.is_current(source)
    }
}

impl NodeSettings {
    /// Reads `[BlockStorage]` and `[Metadata]`, and nothing else of what the files have. A file that isn't there is no
    /// error: a node may have none.
    pub fn load(source: &dyn Source, files: &[PathBuf]) -> Result<Self> {
        let conf = CloudConf::read(&Reads::new(source), files, Part::Node)?;
        Ok(Self { block_storage: conf.block_storage, metadata: conf.metadata, warnings: conf.warnings })
    }
}

impl Default for Metadata {
    fn default() -> Self {
        Self {
            search_order: vec![Origin::ConfigDrive, Origin::MetadataService],
            request_timeout: Duration::from_secs(5),
        }
    }
}

impl Watch {
    /// Loads, and remembers what was seen even where it can't be used.
    pub fn start(source: &dyn Source, request: Request) -> (Self, Result<Config>) {
        let (seen, config) = attempt(source, &request);
        (Self { request, seen }, config)
    }

    /// The new settings, or why they can't be used, once after each change. Reads all files: call it every few seconds.
    pub fn poll(&mut self, source: &dyn Source) -> Option<Result<Config>> {
        if self.seen.is_current(source) {
            return None;
        }
        let (seen, config) = attempt(source, &self.request);
        self.seen = seen;
        Some(config)
    }
}

#[cfg(test)]
mod tests;

fn attempt(source: &dyn Source, request: &Request) -> (Fingerprint, Result<Config>) {
    let reads = Reads::new(source);
    let result = load(&reads, request);
    let fingerprint = reads.fingerprint();
    let files = fingerprint.files();
    (fingerprint.clone(), result.map(|config| Config { files, fingerprint, ..config }))
}

fn load(reads: &Reads, request: &Request) -> Result<Config> {
    let mut conf = CloudConf::read(reads, &request.files, Part::All)?;
    let mut warnings = std::mem::take(&mut conf.warnings);
    let (known, unnamed) = (conf.clouds.keys().cloned().collect::<Vec<_>>(), [String::new()]);
    let names = if request.clouds.is_empty() { &unnamed[..] } else { &request.clouds };
    let mut clouds = BTreeMap::new();
    for name in names {
        let said = conf.clouds.remove(name);
        let settings = match said {
            None if name.is_empty() && (request.files.is_empty() || request.cloud.is_some()) => {
                Settings::default()
            }
            None => return Err(beside(no_section(name, request, &known), &warnings)),
            Some(settings) => settings,
        };
        let cloud = Cloud {
            name,
            request,
            ignore_volume_microversion: conf.block_storage.ignore_volume_microversion,
        };
        let options = cloud.options(reads, settings, &mut warnings);
        clouds.insert(name.clone(), options.map_err(|error| beside(error, &warnings))?);
    }
    Ok(Config {
        clouds,
        block_storage: conf.block_storage,
        metadata: conf.metadata,
        proxy: environment::proxy(reads),
        warnings,
        files: Vec::new(),
        fingerprint: Fingerprint::default(),
    })
}

/// What is missing may be there, misspelt: no one would read the warnings of a process that has ended.
fn beside(error: Error, warnings: &[Warning]) -> Error {
    /// More of them tell of another kind of file.
    const MOST: usize = 10;
    let mut message =
        warnings.iter().take(MOST).fold(error.message, |told, warning| format!("{told}; {warning}"));
    if warnings.len() > MOST {
        message = format!("{message}; and {} more", warnings.len() - MOST);
    }
    Error { message, ..error }
}

fn no_section(name: &str, request: &Request, known: &[String]) -> Error {
    let place =
        request.files.last().map(|file| Place::File(file.clone())).unwrap_or(Place::Flag("--cloud-name"));
    let wanted = section(name);
    let known: Vec<_> = known.iter().map(|name| section(name)).collect();
    let advice = match known.is_empty() {
        true => "add one".to_owned(),
        false => format!("the sections are {}; --cloud-name chooses among them", known.join(", ")),
    };
    Error::at(&place, format!("there is no section {wanted}: {advice}"))
}

fn section(name: &str) -> String {
    match name {
        "" => "[Global]".to_owned(),
        name => format!("[Global \"{name}\"]"),
    }
}

/// One cloud on its way from settings to options.
struct Cloud<'a> {
    name: &'a str,
    request: &'a Request,
    ignore_volume_microversion: bool,
}

impl Cloud<'_> {
    fn options(&self, reads: &Reads, mut settings: Settings, warnings: &mut Vec<Warning>) -> Result<Options> {
        if let Some(name) = self.request.cloud.as_deref().filter(|_| self.name.is_empty()) {
            let setting = Setting { value: name.into(), place: Place::Flag("--cloud"), name: "--cloud" };
            settings.set(Key::Cloud, setting);
        }
        // cloud.conf says all there is: gophercloud is told not to look into the environment, either.
        let free = self.request.files.is_empty();
        let environment = if free { environment::settings(reads)? } else { Settings::default() };
        if let Some(cloud) = environment.get(Key::Cloud).filter(|_| !settings.has(Key::Cloud)) {
            settings.set(Key::Cloud, cloud.clone());
        }
        if self.uses_clouds_yaml(&settings, warnings)? {
            let more = self.choice(reads, &settings)?.read(reads, warnings)?;
            settings.fill(more);
        }
        settings.fill(environment);
        self.build(reads, &settings, warnings)
    }

    /// `use-clouds`, or `cloud`: with it alone the existing driver takes the credentials from clouds.yaml, too.
    fn uses_clouds_yaml(&self, settings: &Settings, warnings: &mut Vec<Warning>) -> Result<bool> {
        if let Some(setting) = settings.get(Key::UseClouds)
            && boolean(setting.name, Some(setting.text()), &setting.place)?
        {
            return Ok(true);
        }
        if settings.has(Key::Cloud) {
            return Ok(true);
        }
        if let Some(unused) = settings.get(Key::CloudsFile) {
            let message = "\"clouds-file\" is not used: set \"use-clouds\" to true or \"cloud\" to a name";
            warnings.push(Warning::at(&unused.place, message));
        }
        Ok(false)
    }

    fn choice<'a>(&self, reads: &Reads, settings: &'a Settings) -> Result<Choice<'a>> {
        let named = settings.get(Key::Cloud);
        let asks = named.or_else(|| settings.get(Key::UseClouds));
        Ok(Choice {
            name: named.map(|cloud| cloud.text().to_owned()).or_else(|| reads.var("OS_CLOUD")),
            place: asks.map_or_else(|| self.place(), |setting| setting.place.clone()),
            clouds_file: settings.get(Key::CloudsFile).map(Setting::text),
            region: settings.get(Key::Region).map(Setting::text),
        })
    }

    fn build(&self, reads: &Reads, settings: &Settings, warnings: &mut Vec<Warning>) -> Result<Options> {
        if self.request.files.is_empty() && settings.is_empty() {
            let message = "no cloud is configured: give --cloud-config FILE or --cloud NAME, or set OS_AUTH_URL and its like";
            return Err(Error::nowhere(message));
        }
        let account = Account { settings, place: self.place(), section: self.section() };
        let (auth_url, credential) = (account.auth_url()?, account.credential(reads, warnings)?);
        Ok(Options {
            auth_url,
            places: account.places(&credential),
            credential,
            region: account.region(),
            interface: account.interface()?,
            tls: account.tls(reads, warnings)?,
            user_agent: self.request.user_agent.clone(),
            name: self.name.to_owned(),
            ignore_volume_microversion: self.ignore_volume_microversion,
        })
    }

    fn section(&self) -> String {
        match self.request.files.is_empty() {
            true => "the cloud's settings".to_owned(),
            false => section(self.name),
        }
    }

    /// Where something missing is best added.
    fn place(&self) -> Place {
        match self.request.files.last() {
            Some(file) => Place::File(file.clone()),
            None if self.request.cloud.is_some() => Place::Flag("--cloud"),
            None => Place::Variable("OS_*".to_owned()),
        }
    }
}
