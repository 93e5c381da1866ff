//! How to reach the Kubernetes API: the flags are the existing driver's, and so client-go's.

use std::path::PathBuf;

use clap::Args;

use crate::config::Source;
use crate::k8s::Settings;

#[derive(Debug, Args)]
pub struct Flags {
    /// How to reach the Kubernetes API, instead of as a pod of the cluster does [env: KUBECONFIG, which goes before it]
    #[arg(long, value_name = "FILE", default_value = "")]
    kubeconfig: String,

    /// The URL of the Kubernetes API, over the one in --kubeconfig
    #[arg(long, value_name = "URL", default_value = "")]
    master: String,

    /// Requests to the Kubernetes API a second; no limit if negative
    #[arg(long, value_name = "NUMBER", default_value_t = Settings::default().qps, allow_negative_numbers = true)]
    kube_api_qps: f32,

    /// Requests to the Kubernetes API at once
    #[arg(long, value_name = "NUMBER", default_value_t = Settings::default().burst)]
    kube_api_burst: u32,
}

impl Flags {
    /// The variable goes before the flag in the existing driver, too (`buildKubeConfig` in
    /// <https://github.com/kubernetes/cloud-provider-openstack/blob/master/pkg/csi/csi.go>).
    pub fn settings(self, source: &dyn Source) -> Settings {
        let given = |text: String| Some(text).filter(|text| !text.is_empty());
        let kubeconfig = source.var("KUBECONFIG").and_then(given).or_else(|| given(self.kubeconfig));
        Settings {
            kubeconfig: kubeconfig.map(PathBuf::from),
            master: given(self.master),
            qps: self.kube_api_qps,
            burst: self.kube_api_burst,
        }
    }
}
