//! `cinder-csi check`: the settings become clients, and the clients are asked.

use std::path::PathBuf;

use futures_util::future::join_all;

use super::Failure;
use super::clouds::clients;
use super::seams::Seams;
use crate::check::{self, Machine, Report, Terms};
use crate::cli::{Check, Subject};
use crate::config::{Config, NodeSettings, Request, Source};
use crate::node::{self, Node, Whoami};

/// Looks at everything and changes nothing. Settings that can't be used are the only error.
pub async fn check(options: &Check, source: &dyn Source) -> Result<Report, Failure> {
    match &options.subject {
        Subject::Clouds(request) => clouds(request, options.with_topology, source).await,
        Subject::Node { cloud_config, node_id, device_dir, metadata_url } => {
            let settings = NodeSettings::load(source, cloud_config)?;
            let whoami = Whoami {
                server: node_id.clone(),
                order: settings.metadata.search_order.clone(),
                metadata_url: metadata_url.clone(),
                timeout: settings.metadata.request_timeout,
                ..Whoami::default()
            };
            Ok(this_node(&settings, &whoami, device_dir, options.with_topology, source).await)
        }
    }
}

async fn clouds(request: &Request, topology: bool, source: &dyn Source) -> Result<Report, Failure> {
    let config = Config::load(source, request)?;
    let clients = clients(&Seams::new(source), &config, request)?;
    let sections = config.clouds.iter().zip(clients.values()).map(|((_, options), client)| {
        let terms = Terms { options, block_storage: &config.block_storage, topology };
        check::cloud(client, terms)
    });
    let told = [check::settings(&config.warnings)].into_iter();
    Ok(Report(told.chain(join_all(sections).await).collect()))
}

async fn this_node(
    settings: &NodeSettings,
    whoami: &Whoami,
    device_dir: &PathBuf,
    topology: bool,
    source: &dyn Source,
) -> Report {
    let host = Seams::new(source).host();
    let disks = node::Settings {
        device_dir: device_dir.clone(),
        rescan_on_resize: settings.block_storage.rescan_on_resize,
    };
    let node = Node::new(host.clone(), disks);
    let machine = Machine { host: &*host, node: &node, whoami, device_dir, settings, topology };
    Report(vec![check::settings(&settings.warnings), check::node(machine).await])
}
