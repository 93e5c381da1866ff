//! The flags of `cinder-csi check`.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use super::{Exit, flags, given, go_bool, usage};
use crate::config::{Request, Source};

/// Look whether a cloud, or this node, is as the driver needs it, and say what to do where it isn't; changes nothing
#[derive(Debug, Args)]
pub struct CheckFlags {
    /// cloud.conf, as for the driver
    #[arg(long, value_name = "FILE", value_parser = flags::list, action = ArgAction::Append)]
    cloud_config: Vec<Vec<String>>,

    /// The cloud to check, a section [Global "NAME"] of cloud.conf; repeatable; without it [Global]
    #[arg(long, value_name = "NAME", value_parser = flags::list, action = ArgAction::Append)]
    cloud_name: Vec<Vec<String>>,

    /// The cloud of clouds.yaml to check
    #[arg(long, value_name = "NAME")]
    cloud: Option<String>,

    /// Check this node, which needs no credentials; also where nothing says which cloud
    #[arg(long, conflicts_with_all = ["cloud_name", "cloud"])]
    node: bool,

    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,

    /// Whether zones matter, as for the driver
    #[arg(long, value_name = "BOOL", value_parser = go_bool(), num_args = 0..=1, require_equals = true,
        default_value = "true", default_missing_value = "true", action = ArgAction::Set)]
    with_topology: bool,

    /// The id of this node's server, as for the driver
    #[arg(long, value_name = "UUID", default_value = "")]
    node_id: String,

    /// Where the links to disks by their serial are
    #[arg(long, value_name = "DIR", default_value = "/dev/disk/by-id")]
    device_dir: PathBuf,

    /// The metadata service's URL, which begins with http://
    #[arg(long, value_name = "URL", default_value = "http://169.254.169.254")]
    metadata_url: String,
}

/// Look whether all is well.
#[derive(Clone, Debug)]
pub struct Check {
    pub subject: Subject,
    pub json: bool,
    pub with_topology: bool,
}

/// What to look at.
#[derive(Clone, Debug)]
pub enum Subject {
    Clouds(Request),
    Node {
        cloud_config: Vec<PathBuf>,
        /// A UUID as Nova writes it.
        node_id: Option<String>,
        device_dir: PathBuf,
        metadata_url: String,
    },
}

impl CheckFlags {
    pub fn finish(self, source: &dyn Source) -> Result<Check, Exit> {
        let files: Vec<_> = self.cloud_config.into_iter().flatten().filter(|file| !file.is_empty()).collect();
        let files: Vec<PathBuf> = files.into_iter().map(PathBuf::from).collect();
        let clouds: Vec<_> = self.cloud_name.into_iter().flatten().collect();
        let cloud = self.cloud.and_then(given);
        let is_named = !files.is_empty() || !clouds.is_empty() || cloud.is_some();
        let is_set = ["OS_CLOUD", "OS_AUTH_URL"]
            .iter()
            .any(|name| source.var(name).is_some_and(|text| !text.is_empty()));
        let subject = match self.node || !(is_named || is_set) {
            false => Subject::Clouds(Request { files, clouds, cloud, user_agent: Vec::new() }),
            true => Subject::Node {
                cloud_config: files,
                node_id: given(self.node_id)
                    .map(|id| flags::server(&id))
                    .transpose()
                    .map_err(|why| usage(&why))?,
                device_dir: self.device_dir,
                metadata_url: flags::metadata_url(self.metadata_url).map_err(|why| usage(&why))?,
            },
        };
        Ok(Check { subject, json: self.json, with_topology: self.with_topology })
    }
}
