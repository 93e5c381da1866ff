//! How to reach the Kubernetes API: the flags are the existing driver's, and so client-go's.

use std::path::PathBuf;

use clap::Args;

use super::{Exit, flags, given, usage};
use crate::config::Source;
use crate::k8s::{Pod, Settings};

/// `--startup-taint`, and the Node that it is to be removed from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartupTaint {
    pub key: String,
    pub node: String,
}

#[derive(Debug, Args)]
pub struct Flags {
    /// How to reach the Kubernetes API, instead of as a pod of the cluster does [env: KUBECONFIG, which goes before it]
    #[arg(long, value_name = "FILE", default_value = "")]
    kubeconfig: String,

    /// The URL of the Kubernetes API, over the one in --kubeconfig
    #[arg(long, value_name = "URL", default_value = "")]
    master: String,

    /// Requests to the Kubernetes API a second; no limit if negative
    #[arg(long, value_name = "NUMBER", value_parser = flags::number::<f32>, default_value_t = Settings::default().qps,
        allow_negative_numbers = true)]
    kube_api_qps: f32,

    /// Requests to the Kubernetes API at once
    #[arg(long, value_name = "NUMBER", value_parser = flags::number::<u32>, default_value_t = Settings::default().burst)]
    kube_api_burst: u32,
}

impl Flags {
    /// The variable goes before the flag in the existing driver, too (`buildKubeConfig` in
    /// <https://github.com/kubernetes/cloud-provider-openstack/blob/master/pkg/csi/csi.go>).
    pub fn settings(self, source: &dyn Source) -> Settings {
        let kubeconfig = source.var("KUBECONFIG").and_then(given).or_else(|| given(self.kubeconfig));
        Settings {
            kubeconfig: kubeconfig.map(PathBuf::from),
            master: given(self.master),
            qps: self.kube_api_qps,
            burst: self.kube_api_burst,
        }
    }
}

/// The Pod that this is, as manifests tell it:
/// <https://kubernetes.io/docs/concepts/workloads/pods/downward-api/>.
pub fn pod(source: &dyn Source) -> Option<Pod> {
    let var = |name| source.var(name).and_then(given);
    Some(Pod { namespace: var("POD_NAMESPACE")?, name: var("POD_NAME")?, uid: var("POD_UID") })
}

/// The Node that `what` is about.
pub fn node_name(what: &str, source: &dyn Source) -> Result<String, Exit> {
    source.var("NODE_NAME").and_then(given).ok_or_else(|| {
        usage(&format!(
            "{what} needs the environment variable NODE_NAME: give the container the field spec.nodeName of its Pod"
        ))
    })
}

pub fn startup_taint(key: String, is_node: bool, source: &dyn Source) -> Result<StartupTaint, Exit> {
    if !is_node {
        return Err(usage("--startup-taint is for a node, and --provide-node-service is false"));
    }
    if key.contains(['=', ':']) {
        return Err(usage(&format!(
            "--startup-taint {key:?} is to be the taint's key alone, without value and effect"
        )));
    }
    Ok(StartupTaint { key, node: node_name("--startup-taint", source)? })
}
