//! The meaning of cloud.conf: which sections and keys are ours, and of what type.
//!
//! The existing driver's structs are the contract:
//! <https://github.com/kubernetes/cloud-provider-openstack/blob/master/pkg/csi/cinder/openstack/openstack.go>.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::ExposeSecret;

use super::duration;
use super::error::{Error, Place, Result, Warning};
use super::gcfg::{self, Item, Variable};
use super::settings::{Key, Setting, Settings};
use super::source::Reads;
use super::{BlockStorage, Metadata};
use crate::node::Origin;
use crate::text::{self, nearest};

/// All files, later ones over earlier ones.
#[derive(Debug, Default)]
pub struct CloudConf {
    /// `[Global]` under "", `[Global "name"]` under its name.
    pub clouds: BTreeMap<String, Settings>,
    pub block_storage: BlockStorage,
    pub metadata: Metadata,
    pub warnings: Vec<Warning>,
}

/// What is read of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Everything, and every file must be there.
    All,
    /// What a node needs: of `[Global]`, which has the credentials, not a word. A file may be missing.
    Node,
}

/// The sections that are ours; others belong to the cloud controller manager.
const GLOBAL: &str = "Global";
const BLOCK_STORAGE: &str = "BlockStorage";
const METADATA: &str = "Metadata";
const SECTIONS: [&str; 3] = [GLOBAL, BLOCK_STORAGE, METADATA];

const BLOCK_STORAGE_KEYS: [&str; 5] = [
    "node-volume-attach-limit",
    "rescan-on-resize",
    "ignore-volume-az",
    "ignore-volume-microversion",
    "az-map",
];

/// Keys of older releases that mean nothing any more.
const OBSOLETE_KEYS: [&str; 2] = ["bs-version", "trust-device-path"];

const METADATA_KEYS: [&str; 2] = ["search-order", "request-timeout"];

/// What the existing driver reports where no limit is set, and the most that it does
/// (<https://github.com/kubernetes/cloud-provider-openstack/blob/master/docs/cinder-csi-plugin/using-cinder-csi-plugin.md>).
/// Nova by default has no limit of its own:
/// <https://docs.openstack.org/nova/latest/configuration/config.html#compute.max_disk_devices_to_attach>.
pub const ATTACH_LIMIT: u16 = 256;

impl CloudConf {
    pub fn read(reads: &Reads, files: &[PathBuf], part: Part) -> Result<Self> {
        let mut conf = Self::default();
        for file in files {
            match reads.read(file) {
                Ok(text) => conf.merge(file, &text, part)?,
                Err(error) if part == Part::Node && error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::unreadable(file, &error)),
            }
        }
        Ok(conf)
    }

    fn merge(&mut self, file: &Path, text: &[u8], part: Part) -> Result<()> {
        let at = |line| Place::Line { file: file.to_owned(), line };
        let items = match part {
            Part::All => gcfg::parse(text),
            Part::Node => gcfg::parse_only(text, |name| is(name, BLOCK_STORAGE) || is(name, METADATA)),
        };
        let items = items.map_err(|error| Error::at(&at(error.line), error.message))?;
        let mut section = (String::new(), None);
        for item in items {
            match item {
                Item::Section { line, name, subsection } => {
                    self.open(&name, subsection.as_deref(), &at(line));
                    section = (name, subsection);
                }
                Item::Variable(variable) => {
                    let place = at(variable.line);
                    self.set(&section.0, section.1.as_deref(), variable, &place)?;
                }
            }
        }
        Ok(())
    }

    fn open(&mut self, name: &str, subsection: Option<&str>, place: &Place) {
        if is(name, GLOBAL) {
            self.clouds.entry(subsection.unwrap_or_default().to_owned()).or_default();
        } else if is(name, BLOCK_STORAGE) || is(name, METADATA) {
            if subsection.is_some() {
                self.warn(place, format!("[{name}] takes no quoted name: this section is ignored"));
            }
        } else if let Some(near) = nearest(name, SECTIONS) {
            self.warn(place, format!("the section [{name}] is ignored; did you mean [{near}]?"));
        }
    }

    fn set(
        &mut self,
        section: &str,
        subsection: Option<&str>,
        variable: Variable,
        place: &Place,
    ) -> Result<()> {
        match subsection {
            _ if is(section, GLOBAL) => self.set_global(subsection.unwrap_or_default(), variable, place),
            None if is(section, BLOCK_STORAGE) => self.set_block_storage(&variable, place),
            None if is(section, METADATA) => self.set_metadata(&variable, place),
            _ => Ok(()),
        }
    }

    fn set_global(&mut self, cloud: &str, variable: Variable, place: &Place) -> Result<()> {
        let Some(key) = Key::parse(&variable.key) else {
            self.unknown(&variable, GLOBAL, Key::nearest(&variable.key), place);
            return Ok(());
        };
        if variable.cut {
            let key = key.name();
            self.warn(
                place,
                format!("the value of \"{key}\" ends at a '#' or ';', which begins a comment; put it in quotes if it is part of the value"),
            );
        }
        let value = match (variable.value, key) {
            (Some(value), Key::UseClouds) => {
                boolean(key.name(), Some(value.expose_secret()), place)?;
                value
            }
            (Some(value), _) => value,
            (None, Key::UseClouds) => "true".into(),
            (None, _) => return Err(Error::at(place, format!("\"{}\" needs a value", key.name()))),
        };
        let setting = Setting { value, place: place.clone(), name: key.name() };
        self.clouds.entry(cloud.to_owned()).or_default().set(key, setting);
        Ok(())
    }

    fn set_block_storage(&mut self, variable: &Variable, place: &Place) -> Result<()> {
        let key = variable.key.to_ascii_lowercase();
        let value = variable.value.as_ref().map(|value| value.expose_secret());
        match key.as_str() {
            "node-volume-attach-limit" => {
                self.block_storage.node_volume_attach_limit = self.limit(value, place)?
            }
            "rescan-on-resize" => self.block_storage.rescan_on_resize = boolean(&key, value, place)?,
            "ignore-volume-az" => self.block_storage.ignore_volume_az = boolean(&key, value, place)?,
            "ignore-volume-microversion" => {
                self.block_storage.ignore_volume_microversion = boolean(&key, value, place)?;
            }
            "az-map" => self.block_storage.zone_map = zone_map(value, place)?,
            known if OBSOLETE_KEYS.contains(&known) => {}
            unknown => self.unknown(variable, BLOCK_STORAGE, nearest(unknown, BLOCK_STORAGE_KEYS), place),
        }
        Ok(())
    }

    fn set_metadata(&mut self, variable: &Variable, place: &Place) -> Result<()> {
        let key = variable.key.to_ascii_lowercase();
        let value = variable.value.as_ref().map(|value| value.expose_secret());
        match (key.as_str(), value) {
            ("search-order" | "request-timeout", None) => {
                return Err(Error::at(place, format!("\"{key}\" needs a value")));
            }
            ("search-order", Some("")) => {}
            ("search-order", Some(order)) => self.metadata.search_order = search_order(order, place)?,
            ("request-timeout", Some(text)) => match duration::parse(text) {
                Some(Duration::ZERO) => {}
                Some(timeout) => self.metadata.request_timeout = timeout,
                None => {
                    let message = "\"request-timeout\" is not a duration such as 5s, 500ms or 1m30s";
                    return Err(Error::at(place, message));
                }
            },
            (unknown, _) => self.unknown(variable, METADATA, nearest(unknown, METADATA_KEYS), place),
        }
        Ok(())
    }

    fn limit(&mut self, value: Option<&str>, place: &Place) -> Result<Option<u16>> {
        let key = "node-volume-attach-limit";
        let wrong =
            || Error::at(place, format!("\"{key}\" is not a whole number between 1 and {ATTACH_LIMIT}"));
        let limit = value.and_then(integer).ok_or_else(wrong)?;
        let limit = u16::try_from(limit).ok().filter(|limit| (1..=ATTACH_LIMIT).contains(limit));
        if limit.is_none() {
            self.warn(
                place,
                format!("\"{key}\" is not between 1 and {ATTACH_LIMIT}: the limit is {ATTACH_LIMIT}"),
            );
        }
        Ok(limit)
    }

    /// A line without '=' that is like no key may be the rest of a secret that was broken in two: it isn't shown.
    fn unknown(&mut self, variable: &Variable, section: &str, near: Option<&str>, place: &Place) {
        let key = &variable.key;
        let message = match (near, &variable.value) {
            (Some(near), _) => {
                format!("unknown key \"{key}\" in [{section}] is ignored; did you mean \"{near}\"?")
            }
            (None, Some(_)) => format!("unknown key \"{key}\" in [{section}] is ignored"),
            (None, None) => format!("a line without '=' that is no key of [{section}] is ignored"),
        };
        self.warn(place, message);
    }

    fn warn(&mut self, place: &Place, message: String) {
        self.warnings.push(Warning::at(place, message));
    }
}

/// As gcfg's `types.ParseBool`; a bare key is true.
pub(super) fn boolean(key: &str, value: Option<&str>, place: &Place) -> Result<bool> {
    let Some(value) = value else { return Ok(true) };
    match value.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err(Error::at(place, format!("\"{key}\" is neither true (yes, on, 1) nor false (no, off, 0)"))),
    }
}

/// Decimal, or hexadecimal after `0x`, as gcfg reads an int.
fn integer(text: &str) -> Option<i64> {
    let text = text.trim();
    match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn zone_map(value: Option<&str>, place: &Place) -> Result<Vec<(String, String)>> {
    text::pairs(value.unwrap_or_default()).ok_or_else(|| {
        let message =
            "\"az-map\" must be pairs of zones, of servers and of volumes: nova1=cinder1,nova2=cinder1";
        Error::at(place, message)
    })
}

fn search_order(text: &str, place: &Place) -> Result<Vec<Origin>> {
    text.split(',')
        .map(|word| match word.trim() {
            "configDrive" => Ok(Origin::ConfigDrive),
            "metadataService" => Ok(Origin::MetadataService),
            _ => {
                let message =
                    "\"search-order\" knows \"configDrive\" and \"metadataService\", separated by a comma";
                Err(Error::at(place, message))
            }
        })
        .collect()
}

fn is(section: &str, name: &str) -> bool {
    section.eq_ignore_ascii_case(name)
}
