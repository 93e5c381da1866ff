//! The flags of `cinder-csi check`.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use super::which::{CloudFlags, Clouds, Node, NodeFlags};
use super::{Exit, go_bool};
use crate::config::{Request, Source};

/// Look whether a cloud, or this node, is as the driver needs it, and say what to do where it isn't; changes nothing
#[derive(Debug, Args)]
pub struct CheckFlags {
    #[command(flatten)]
    clouds: CloudFlags,

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

    #[command(flatten)]
    machine: NodeFlags,
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
        let Clouds { files, names: clouds, cloud } = self.clouds.finish();
        let is_named = !files.is_empty() || !clouds.is_empty() || cloud.is_some();
        let is_set = ["OS_CLOUD", "OS_AUTH_URL"]
            .iter()
            .any(|name| source.var(name).is_some_and(|text| !text.is_empty()));
        let subject = match self.node || !(is_named || is_set) {
            false => Subject::Clouds(Request { files, clouds, cloud, user_agent: Vec::new() }),
            true => {
                let Node { id, device_dir, metadata_url } = self.machine.finish()?;
                Subject::Node { cloud_config: files, node_id: id, device_dir, metadata_url }
            }
        };
        Ok(Check { subject, json: self.json, with_topology: self.with_topology })
    }
}
