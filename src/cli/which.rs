//! The flags that say which cloud and which node, of each command that asks them.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use super::{Exit, flags, given, usage};

#[derive(Debug, Args)]
pub struct CloudFlags {
    /// cloud.conf; repeat it or use commas for several, of which later ones override earlier ones
    #[arg(long, value_name = "FILE", value_parser = flags::list, action = ArgAction::Append)]
    cloud_config: Vec<Vec<String>>,

    /// The cloud to use, a section [Global "NAME"] of cloud.conf; repeatable; without it [Global]
    #[arg(long, value_name = "NAME", value_parser = flags::list, action = ArgAction::Append)]
    cloud_name: Vec<Vec<String>>,

    /// The cloud of clouds.yaml to use, instead of or beneath cloud.conf's [Global]
    #[arg(long, value_name = "NAME")]
    cloud: Option<String>,
}

/// Which clouds, and where their settings are.
pub struct Clouds {
    pub files: Vec<PathBuf>,
    pub names: Vec<String>,
    pub cloud: Option<String>,
}

#[derive(Debug, Args)]
pub struct NodeFlags {
    /// The id of this node's server, instead of asking config drive, metadata service and DMI
    #[arg(long, value_name = "UUID", default_value = "")]
    node_id: String,

    /// Where the links to disks by their serial are
    #[arg(long, value_name = "DIR", default_value = "/dev/disk/by-id")]
    device_dir: PathBuf,

    /// The metadata service's URL, which begins with http://
    #[arg(long, value_name = "URL", default_value = "http://169.254.169.254")]
    metadata_url: String,
}

/// How a node knows itself and its disks.
pub struct Node {
    /// A UUID as Nova writes it.
    pub id: Option<String>,
    pub device_dir: PathBuf,
    pub metadata_url: String,
}

impl CloudFlags {
    pub fn finish(self) -> Clouds {
        let files = self.cloud_config.into_iter().flatten().filter(|file| !file.is_empty());
        Clouds {
            files: files.map(PathBuf::from).collect(),
            names: self.cloud_name.into_iter().flatten().collect(),
            cloud: self.cloud.and_then(given),
        }
    }
}

impl NodeFlags {
    pub fn finish(self) -> Result<Node, Exit> {
        let wrong = |why: String| usage(&why);
        Ok(Node {
            id: given(self.node_id).map(|id| flags::server(&id)).transpose().map_err(wrong)?,
            device_dir: self.device_dir,
            metadata_url: flags::metadata_url(self.metadata_url).map_err(wrong)?,
        })
    }
}
