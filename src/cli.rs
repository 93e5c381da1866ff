//! The command line: the existing driver's flags, and ours.
//!
//! <https://github.com/kubernetes/cloud-provider-openstack/blob/master/cmd/cinder-csi-plugin/main.go>

mod check;
mod flags;
mod kubernetes;
mod pre_stop;
#[cfg(feature = "sandbox")]
mod sandbox;
mod which;

pub use check::{Check, Subject};
pub use kubernetes::StartupTaint;
pub use pre_stop::PreStop;
#[cfg(feature = "sandbox")]
pub use sandbox::{Latency, Sandbox};

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{StyledStr, TypedValueParser, ValueParser};
use clap::error::ErrorKind;
use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::{Error, Source};
use crate::csi::Endpoint;
use crate::k8s;
use crate::telemetry::Format;
use which::{CloudFlags, Clouds, Node, NodeFlags};

/// A CSI driver for OpenStack Cinder: serves CSI on a socket until SIGTERM.
#[derive(Debug, Parser)]
#[command(
    name = "cinder-csi",
    version,
    args_conflicts_with_subcommands = true,
    args_override_self = true,
    disable_help_subcommand = true
)]
#[command(
    after_help = "Flags are accepted with one dash or two, and booleans take a value only after '='. The credentials \
    come from --cloud-config, --cloud, or the OS_* variables; docs/configuration.md has all of them."
)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Other>,
    #[command(flatten)]
    serve: ServeFlags,
    #[command(flatten)]
    log: Log,
}

#[derive(Debug, Subcommand)]
enum Other {
    Check(Box<check::CheckFlags>),
    PreStop(pre_stop::PreStopFlags),
    #[cfg(feature = "sandbox")]
    Sandbox(Sandbox),
}

/// How to log.
#[derive(Clone, Debug, Args)]
pub struct Log {
    /// How much is logged: 0 warnings, 1 what happens, 4 each call to the cloud, 6 everything
    #[arg(short = 'v', long = "v", value_name = "LEVEL", value_parser = flags::verbosity, default_value = "2",
        global = true)]
    pub verbosity: u8,

    /// The form of the log on standard error
    #[arg(
        long = "log-format",
        visible_alias = "logging-format",
        value_name = "FORMAT",
        default_value = "text",
        global = true
    )]
    pub format: Format,
}

#[derive(Debug, Args)]
struct ServeFlags {
    /// Where to serve CSI: unix:///csi/csi.sock, unix://csi/csi.sock or tcp://HOST:PORT [env: CSI_ENDPOINT]
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,

    #[command(flatten)]
    clouds: CloudFlags,

    /// The name of this cluster, written into the metadata of the volumes it makes
    #[arg(long, value_name = "NAME", default_value = "")]
    cluster: String,

    /// Let ListVolumes show the volumes with the mark of --cluster only
    #[arg(long, value_name = "BOOL", value_parser = go_bool(), num_args = 0..=1, require_equals = true,
        default_value = "false", default_missing_value = "true", action = ArgAction::Set)]
    list_only_cluster: bool,

    /// Refuse a StorageClass with a parameter that nobody knows, instead of warning
    #[arg(long, value_name = "BOOL", value_parser = go_bool(), num_args = 0..=1, require_equals = true,
        default_value = "false", default_missing_value = "true", action = ArgAction::Set)]
    strict_parameters: bool,

    /// Tell Kubernetes the zones of nodes and volumes
    #[arg(long, value_name = "BOOL", value_parser = go_bool(), num_args = 0..=1, require_equals = true,
        default_value = "true", default_missing_value = "true", action = ArgAction::Set)]
    with_topology: bool,

    /// Go on with the zone that this node told first, also when its server has moved to another one
    #[arg(long, value_name = "BOOL", value_parser = go_bool(), num_args = 0..=1, require_equals = true,
        default_value = "false", default_missing_value = "true", action = ArgAction::Set)]
    pin_zone: bool,

    /// A further topology key of this node; repeatable, or k=v,k=v
    #[arg(long, value_name = "KEY=VALUE", value_parser = flags::map, action = ArgAction::Append)]
    additional_topology: Vec<BTreeMap<String, String>>,

    /// Where to serve /metrics, /healthz, /readyz and gRPC health, such as :8080; nowhere if empty
    #[arg(long, value_name = "ADDRESS", value_parser = flags::listener, default_value = "")]
    http_endpoint: String,

    /// How often the controller looks for volumes with something wrong, such as 5m; 0s: never
    #[arg(long, value_name = "TIME", value_parser = flags::duration, default_value = "5m")]
    health_interval: Duration,

    /// Serve the CSI controller
    #[arg(long, value_name = "BOOL", value_parser = go_bool(), num_args = 0..=1, require_equals = true,
        default_value = "true", default_missing_value = "true", action = ArgAction::Set)]
    provide_controller_service: bool,

    /// Serve the CSI node
    #[arg(long, value_name = "BOOL", value_parser = go_bool(), num_args = 0..=1, require_equals = true,
        default_value = "true", default_missing_value = "true", action = ArgAction::Set)]
    provide_node_service: bool,

    /// Place volumes by the annotations of their PVCs, which are read through the Kubernetes API
    #[arg(long, value_name = "BOOL", value_parser = go_bool(), num_args = 0..=1, require_equals = true,
        default_value = "false", default_missing_value = "true", action = ArgAction::Set)]
    pvc_annotations: bool,

    /// A word to put before ours in the User-Agent of requests to the cloud; repeatable
    #[arg(long, value_name = "WORD", action = ArgAction::Append)]
    user_agent: Vec<String>,

    #[command(flatten)]
    machine: NodeFlags,

    /// Register with the kubelet, which finds the CSI socket at this path of the node; if empty, the driver doesn't register itself
    #[arg(long, value_name = "PATH", default_value = "")]
    kubelet_registration_path: String,

    /// Where the kubelet's folder plugins_registry is mounted
    #[arg(long, value_name = "DIR", default_value = "/registration")]
    plugin_registration_path: PathBuf,

    /// Remove the taints with this key from our Node once the kubelet has registered the driver; needs NODE_NAME in the environment
    #[arg(long, value_name = "KEY", default_value = "")]
    startup_taint: String,

    #[arg(long, hide = true, value_name = "ID")]
    nodeid: Option<String>,

    #[arg(long, hide = true, value_parser = go_bool(), num_args = 0..=1, require_equals = true,
        default_missing_value = "true", action = ArgAction::Set)]
    node_service_no_os_client: Option<bool>,

    #[command(flatten)]
    kubernetes: kubernetes::Flags,

    #[arg(long, hide = true)]
    min_resync_period: Option<String>,
}

/// What to do.
#[derive(Debug)]
pub enum Command {
    Serve(Box<Serve>),
    Check(Check),
    PreStop(PreStop),
    #[cfg(feature = "sandbox")]
    Sandbox(Sandbox),
}

/// A parsed command line.
#[derive(Debug)]
pub struct Invocation {
    pub command: Command,
    pub log: Log,
    /// Flags that are accepted and change nothing.
    pub warnings: Vec<String>,
}

/// Serve CSI.
#[derive(Clone, Debug, PartialEq)]
pub struct Serve {
    pub endpoint: Endpoint,
    pub cloud_config: Vec<PathBuf>,
    /// "" is the unnamed cloud; never empty.
    pub cloud_names: Vec<String>,
    pub cloud: Option<String>,
    pub cluster: String,
    pub list_only_cluster: bool,
    pub strict_parameters: bool,
    pub with_topology: bool,
    pub pin_zone: bool,
    pub additional_topology: BTreeMap<String, String>,
    pub http_endpoint: Option<String>,
    /// How often the controller looks for volumes with something wrong; zero: never.
    pub health_interval: Duration,
    pub controller: bool,
    pub node: bool,
    pub user_agent: Vec<String>,
    /// A UUID as Nova writes it.
    pub node_id: Option<String>,
    pub device_dir: PathBuf,
    pub metadata_url: String,
    /// Where the kubelet finds the CSI socket, and where its plugins_registry is here.
    pub registration: Option<(String, PathBuf)>,
    pub pvc_annotations: bool,
    pub kubernetes: k8s::Settings,
    /// The Pod that this is, where the environment says so.
    pub pod: Option<k8s::Pod>,
    pub startup_taint: Option<StartupTaint>,
}

/// A text to print instead of running: help and version, or what is wrong with the flags.
#[derive(Debug)]
pub struct Exit {
    pub code: u8,
    pub text: String,
}

/// `arguments` without the program's name.
pub fn parse(arguments: impl IntoIterator<Item = String>, source: &dyn Source) -> Result<Invocation, Exit> {
    let mut command = CommandLine::command();
    let known: Vec<String> = command
        .get_arguments()
        .flat_map(|argument| argument.get_long_and_visible_aliases().unwrap_or_default())
        .map(str::to_owned)
        .collect();
    let normal = flags::normalize(arguments, |name| {
        ["help", "version"].contains(&name) || known.iter().any(|long| long == name)
    });
    let booleans: Vec<String> = command
        .get_arguments()
        .filter(|argument| argument.is_require_equals_set())
        .filter_map(|argument| argument.get_long().map(|long| format!("--{long}")))
        .collect();
    if let Some(flag) = flags::detached_boolean(&normal.kept, &booleans) {
        return Err(usage(&format!("{flag} takes its value after '=', as in {flag}=false")));
    }
    let name = command.get_name().to_owned();
    let line = command
        .try_get_matches_from_mut(std::iter::once(name).chain(normal.kept))
        .and_then(|matches| CommandLine::from_arg_matches(&matches))
        .map_err(|error| explain(&error))?;
    let mut warnings: Vec<_> = normal
        .ignored
        .iter()
        .map(|flag| format!("{flag} is ignored: the log goes to standard error"))
        .collect();
    let command = match line.command {
        #[cfg(feature = "sandbox")]
        Some(Other::Sandbox(sandbox)) => Command::Sandbox(sandbox),
        Some(Other::Check(flags)) => Command::Check(flags.finish(source)?),
        Some(Other::PreStop(flags)) => Command::PreStop(flags.finish(source)?),
        None => {
            warnings.extend(line.serve.deprecations());
            Command::Serve(Box::new(line.serve.finish(source)?))
        }
    };
    Ok(Invocation { command, log: line.log, warnings })
}

impl ServeFlags {
    fn finish(self, source: &dyn Source) -> Result<Serve, Exit> {
        let endpoint = self.endpoint.and_then(given).or_else(|| source.var("CSI_ENDPOINT"));
        let endpoint =
            endpoint.ok_or_else(|| usage("--endpoint is missing: give --endpoint unix:///csi/csi.sock"))?;
        if !self.provide_controller_service && !self.provide_node_service {
            return Err(usage(
                "--provide-controller-service and --provide-node-service are both false: nothing is left to serve",
            ));
        }
        let Clouds { files: cloud_config, names: mut cloud_names, cloud } = self.clouds.finish();
        let Node { id: node_id, device_dir, metadata_url } = self.machine.finish()?;
        if cloud_names.is_empty() {
            cloud_names.push(String::new());
        }
        let startup_taint = given(self.startup_taint)
            .map(|key| kubernetes::startup_taint(key, self.provide_node_service, source))
            .transpose()?;
        Ok(Serve {
            startup_taint,
            pod: kubernetes::pod(source),
            endpoint: Endpoint::parse(&endpoint).map_err(|why| usage(&format!("--endpoint {why}")))?,
            cloud_config,
            cloud_names,
            cloud,
            cluster: self.cluster,
            list_only_cluster: self.list_only_cluster,
            strict_parameters: self.strict_parameters,
            with_topology: self.with_topology,
            pin_zone: self.pin_zone,
            additional_topology: self.additional_topology.into_iter().flatten().collect(),
            http_endpoint: given(self.http_endpoint),
            health_interval: self.health_interval,
            controller: self.provide_controller_service,
            node: self.provide_node_service,
            user_agent: self.user_agent,
            node_id,
            device_dir,
            metadata_url,
            registration: given(self.kubelet_registration_path)
                .map(|socket| (socket, self.plugin_registration_path)),
            pvc_annotations: self.pvc_annotations,
            kubernetes: self.kubernetes.settings(source),
        })
    }

    fn deprecations(&self) -> Vec<String> {
        [
            (
                self.nodeid.is_some(),
                "--nodeid is ignored: the node finds its own id, or is told it with --node-id",
            ),
            (
                self.node_service_no_os_client.is_some(),
                "--node-service-no-os-client is ignored: the node never uses the cloud's API",
            ),
            (
                self.min_resync_period.is_some(),
                "--min-resync-period is ignored: PVCs are asked for when they are needed, and not kept",
            ),
        ]
        .into_iter()
        .filter(|(used, _)| *used)
        .map(|(_, message)| message.to_owned())
        .collect()
    }
}

fn given(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn go_bool() -> ValueParser {
    ValueParser::new(clap::builder::StringValueParser::new().try_map(|text| flags::boolean(&text)))
}

/// clap's words, with exit code 64 where they tell of a mistake.
fn explain(error: &clap::Error) -> Exit {
    let text: StyledStr = error.render();
    let code = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => 0,
        _ => Error::EXIT,
    };
    Exit { code, text: text.to_string() }
}

fn usage(message: &str) -> Exit {
    Exit { code: Error::EXIT, text: format!("error: {message}\n\nFor more information, try '--help'.\n") }
}

#[cfg(test)]
mod tests;
