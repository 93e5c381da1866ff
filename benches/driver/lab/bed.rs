//! The lab: where it is, whom its nodes are.

use std::path::PathBuf;

use cinder_csi::config::{self, Config};
use cinder_csi::openstack::{self, Cloud};

use super::super::Outcome;
use super::super::memory::limits;

/// A server of it is the node that disks are attached to.
const NODE: &str = "NODE_1=";

pub struct Lab {
    directory: PathBuf,
    pub server: String,
}

impl Lab {
    /// The one that `CINDER_CSI_LAB` names.
    pub fn named() -> Outcome<Option<Self>> {
        #[allow(clippy::disallowed_methods, reason = "whoever starts a lab says where it is")]
        let Some(directory) = std::env::var_os("CINDER_CSI_LAB").map(PathBuf::from) else { return Ok(None) };
        let servers = std::fs::read_to_string(directory.join("servers.env"))
            .map_err(|error| format!("no lab is up in {}: {error}", directory.display()))?;
        let server = servers.lines().find_map(|line| line.strip_prefix(NODE));
        let server = server.ok_or("servers.env names no NODE_1")?.to_owned();
        Ok(Some(Self { directory, server }))
    }

    pub fn cloud_conf(&self) -> PathBuf {
        self.directory.join("cloud.conf")
    }

    /// The cloud as the driver's own project sees it, with limits far away.
    pub fn view(&self) -> Outcome<Cloud> {
        let request = config::Request { files: vec![self.cloud_conf()], ..Default::default() };
        let mut config = Config::load(&config::System, &request)?;
        let options = config.clouds.remove("").ok_or("cloud.conf names no cloud")?;
        let http = openstack::http::client(&options.tls, &config.proxy)?;
        Ok(Cloud::limited(http, options, limits()))
    }
}
