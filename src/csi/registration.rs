//! How the kubelet learns of the driver: it asks every socket in its folder `plugins_registry`.
//!
//! <https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/device-plugins/#device-plugin-registration>
//! names the folder; what is asked there is in `proto/pluginregistration.proto`.

use std::path::PathBuf;

use tokio::sync::watch;
use tonic::{Request, Response, Status};
use tracing::{error, info};

use super::DRIVER;
use super::kubelet::registration_server;
use super::kubelet::{InfoRequest, PluginInfo, RegistrationStatus, RegistrationStatusResponse};

/// The kubelet takes a driver of CSI 1 by any version of it, and node-driver-registrar says this one
/// (`validateVersions` in pkg/volume/csi/csi_plugin.go of Kubernetes).
const VERSION: &str = "1.0.0";

/// What the kubelet is told.
#[derive(Clone, Debug)]
pub struct Registration {
    endpoint: String,
    folder: PathBuf,
    is_done: watch::Sender<bool>,
}

impl Registration {
    /// `endpoint`: the CSI socket as the kubelet sees it; `folder`: its `plugins_registry` as this process sees it.
    pub fn new(endpoint: String, folder: PathBuf) -> Self {
        Self { endpoint, folder, is_done: watch::Sender::new(false) }
    }

    /// Ends when the kubelet has registered the driver.
    pub fn done(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut is_done = self.is_done.subscribe();
        async move {
            // An error means that the process ends, and with it whoever waits.
            let _ = is_done.wait_for(|is_done| *is_done).await;
        }
    }

    /// The kubelet dials it by its path, and grpc-go makes of that path the request's `:authority`, with `%2F` for each slash
    /// (`encodeAuthority` in its clientconn.go). The crate http takes a percent sign for an error, unless an `@` follows somewhere:
    /// <https://www.rfc-editor.org/rfc/rfc3986#section-3.2.1>.
    pub fn socket(&self) -> PathBuf {
        self.folder.join(format!("{DRIVER}-reg@localhost.sock"))
    }

    /// Where node-driver-registrar would be: the one takes the place of the other.
    pub fn registrars(&self) -> PathBuf {
        self.folder.join(format!("{DRIVER}-reg.sock"))
    }
}

#[tonic::async_trait]
impl registration_server::Registration for Registration {
    async fn get_info(&self, _: Request<InfoRequest>) -> Result<Response<PluginInfo>, Status> {
        Ok(Response::new(PluginInfo {
            r#type: "CSIPlugin".to_owned(),
            name: DRIVER.to_owned(),
            endpoint: self.endpoint.clone(),
            supported_versions: vec![VERSION.to_owned()],
        }))
    }

    /// The kubelet itself tries again after a failure.
    async fn notify_registration_status(
        &self,
        request: Request<RegistrationStatus>,
    ) -> Result<Response<RegistrationStatusResponse>, Status> {
        let status = request.into_inner();
        match status.plugin_registered {
            true => {
                info!(endpoint = self.endpoint, "the kubelet has registered the driver");
                self.is_done.send_replace(true);
            }
            false => error!(
                endpoint = self.endpoint,
                error = status.error,
                "the kubelet didn't register the driver: is the CSI socket at that path of the node, and does NodeGetInfo answer?"
            ),
        }
        Ok(Response::new(RegistrationStatusResponse {}))
    }
}
