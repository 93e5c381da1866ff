//! Which Nova server this machine is, and in which zone.

mod config_drive;
mod iso9660;

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use uuid::Uuid;

use super::error::{Condition, Error, Result};
use super::host::Host;
use super::zone::ZoneMemory;
use crate::json;

/// The server as Nova names it. DMI and an override know no zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub server: String,
    pub zone: Option<String>,
    /// The machine didn't tell the zone now; it's the one that it told before.
    pub is_remembered: bool,
}

/// Where the answer may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    ConfigDrive,
    MetadataService,
}

/// How to find out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whoami {
    /// The administrator's word: the server's id.
    pub server: Option<String>,
    /// In this order; DMI comes last of all.
    pub order: Vec<Origin>,
    /// The address of the metadata service, without a path.
    pub metadata_url: String,
    pub timeout: Duration,
    pub zone: ZoneMemory,
}

/// The part of `openstack/latest/meta_data.json` that we need.
/// <https://docs.openstack.org/nova/latest/user/metadata.html>
#[derive(Debug, Deserialize)]
struct Metadata {
    uuid: String,
    availability_zone: Option<String>,
}

/// What helps where nobody tells: the metadata service knows a server by its address, and a Pod's own may not be one.
/// <https://docs.openstack.org/neutron/latest/admin/config-metadata.html>
pub const REMEDY: &str = "a Pod may not reach the metadata service from its own network: set hostNetwork: true (in the chart \
    node.hostNetwork=true), or give the server a config drive";

const DOCUMENT: &str = "openstack/latest/meta_data.json";

impl Identity {
    pub fn new(server: impl Into<String>, zone: Option<String>) -> Self {
        Self { server: server.into(), zone, is_remembered: false }
    }
}

impl Default for Whoami {
    fn default() -> Self {
        Self {
            server: None,
            order: vec![Origin::ConfigDrive, Origin::MetadataService],
            metadata_url: "http://169.254.169.254".into(),
            timeout: Duration::from_secs(5),
            zone: ZoneMemory::default(),
        }
    }
}

impl FromStr for Origin {
    type Err = String;

    /// As cloud.conf's `search-order` spells it.
    fn from_str(name: &str) -> std::result::Result<Self, String> {
        match name.trim() {
            "configDrive" => Ok(Self::ConfigDrive),
            "metadataService" => Ok(Self::MetadataService),
            other => Err(format!("{other:?} is neither configDrive nor metadataService")),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConfigDrive => "config drive",
            Self::MetadataService => "metadata service",
        })
    }
}

/// Asks each origin in turn; the error names what each said. With the origin that told the zone.
pub(super) async fn identify(host: &dyn Host, whoami: &Whoami) -> Result<(Identity, Option<Origin>)> {
    let mut failed = Vec::new();
    for origin in &whoami.order {
        match ask(host, whoami, *origin).await {
            Ok(found) => return Ok((overridden(found, whoami), Some(*origin))),
            Err(reason) => failed.push(format!("{origin}: {reason}")),
        }
    }
    if let Some(server) = &whoami.server {
        return Ok((Identity::new(server, None), None));
    }
    match dmi(host).await {
        Ok(server) => Ok((Identity::new(server, None), None)),
        Err(reason) => {
            failed.push(format!("DMI: {reason}"));
            // The metadata service may be down for a moment.
            let cause = "can't tell which Nova server it is";
            Err(Error::new(Condition::Unavailable, "this node", cause)
                .next(format_args!("{REMEDY}, or set --node-id"))
                .details(format_args!("asked were {}", failed.join("; "))))
        }
    }
}

/// The override names the server; the zone still comes from the machine.
fn overridden(found: Identity, whoami: &Whoami) -> Identity {
    Identity::new(whoami.server.clone().unwrap_or(found.server), found.zone)
}

async fn ask(host: &dyn Host, whoami: &Whoami, origin: Origin) -> std::result::Result<Identity, String> {
    let document = match origin {
        Origin::ConfigDrive => config_drive::read(host, DOCUMENT).await?,
        Origin::MetadataService => {
            let url = format!("{}/{DOCUMENT}", whoami.metadata_url.trim_end_matches('/'));
            host.get(&url, whoami.timeout).await.map_err(|error| with_sources(&error))?
        }
    };
    parse(&document)
}

fn parse(document: &[u8]) -> std::result::Result<Identity, String> {
    let found: Metadata = json::read(document).map_err(|error| format!("{DOCUMENT}: {error}"))?;
    let server = Uuid::parse_str(&found.uuid).map_err(|_| format!("{DOCUMENT}: the uuid isn't one"))?;
    let zone = found.availability_zone.filter(|zone| !zone.is_empty());
    Ok(Identity::new(server, zone))
}

/// The server's id as the firmware tells it.
///
/// SMBIOS before 2.6 had no word on the byte order of the first three fields, so that an old kernel, or one on an old
/// machine type, shows them swapped. Nova writes the id into the serial number as well, as text that has no byte order:
/// where the two differ by that order alone, the text is right.
/// <https://docs.openstack.org/nova/latest/configuration/config.html#libvirt.sysinfo_serial>
async fn dmi(host: &dyn Host) -> std::result::Result<String, String> {
    let uuid = read_uuid(host, "/sys/class/dmi/id/product_uuid").await?;
    let serial = read_uuid(host, "/sys/class/dmi/id/product_serial").await.ok();
    Ok(settle_byte_order(uuid, serial).to_string())
}

fn settle_byte_order(uuid: Uuid, serial: Option<Uuid>) -> Uuid {
    serial.filter(|serial| serial.to_bytes_le() == *uuid.as_bytes()).unwrap_or(uuid)
}

async fn read_uuid(host: &dyn Host, path: &str) -> std::result::Result<Uuid, String> {
    let bytes = host.read(Path::new(path)).await.map_err(|error| format!("{path}: {error}"))?;
    let uuid = Uuid::parse_str(String::from_utf8_lossy(&bytes).trim())
        .map_err(|error| format!("{path}: {error}"))?;
    if uuid.is_nil() || uuid.is_max() { Err(format!("{path}: the firmware has none")) } else { Ok(uuid) }
}

/// reqwest's own message names the URL only.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::*;

    const SERVER: &str = "0f9c0b2e-6d53-4b6a-9d5e-1c2f3a4b5c6d";

    #[test]
    fn the_metadata_names_server_and_zone() {
        let text = format!(r#"{{"uuid": "{SERVER}", "availability_zone": "az1", "name": "x"}}"#);
        let want = Identity::new(SERVER, Some("az1".into()));
        assert_eq!(parse(text.as_bytes()), Ok(want.clone()));
        let text = format!(r#"{{"uuid": "{}"}}"#, SERVER.to_uppercase());
        assert_eq!(parse(text.as_bytes()), Ok(Identity { zone: None, ..want }));
    }

    #[test]
    fn metadata_that_is_none_is_refused() {
        for text in ["", "{}", "<html>", r#"{"uuid": ""}"#, r#"{"uuid": "x"}"#, "[]"] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_swapped_byte_order_is_seen_by_the_serial() {
        let server = Uuid::parse_str(SERVER).unwrap();
        let swapped = Uuid::from_bytes(server.to_bytes_le());
        assert_ne!(server, swapped);
        assert_eq!(settle_byte_order(swapped, Some(server)), server);
        assert_eq!(settle_byte_order(server, Some(server)), server);
        assert_eq!(settle_byte_order(server, None), server);
        assert_eq!(settle_byte_order(server, Some(Uuid::from_u128(7))), server);
    }

    #[tokio::test]
    async fn where_nobody_tells_the_likeliest_remedy_comes_first_and_the_question_is_asked_again() {
        let error = identify(&Fake::default(), &Whoami::default()).await.unwrap_err();
        assert_eq!(error.condition(), Condition::Unavailable);
        let told = error.to_string();
        let parts = ["node.hostNetwork=true", "--node-id", "; metadata service: ", "; DMI: "];
        assert!(parts.map(|part| told.find(part).unwrap()).is_sorted(), "{told}");
    }

    #[test]
    fn the_override_names_the_server_and_not_the_zone() {
        let whoami = Whoami { server: Some("mine".into()), ..Whoami::default() };
        let found = Identity::new(SERVER, Some("az1".into()));
        assert_eq!(overridden(found, &whoami), Identity::new("mine", Some("az1".into())));
    }
}
