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
    state: watch::Sender<State>,
}

/// How far the kubelet has come.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Unasked,
    /// It dials the CSI socket next, and tells what comes of that.
    Asked,
    /// Its words.
    Refused(String),
    Registered,
}

impl Registration {
    /// `endpoint`: the CSI socket as the kubelet sees it; `folder`: its `plugins_registry` as this process sees it.
    pub fn new(endpoint: String, folder: PathBuf) -> Self {
        Self { endpoint, folder, state: watch::Sender::new(State::Unasked) }
    }

    /// Ends when the kubelet has registered the driver.
    pub fn done(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut state = self.state.subscribe();
        async move {
            // An error means that the process ends, and with it whoever waits.
            let _ = state.wait_for(|state| *state == State::Registered).await;
        }
    }

    /// What the kubelet said last.
    pub fn state(&self) -> Result<(), String> {
        let why = match &*self.state.borrow() {
            State::Registered => return Ok(()),
            State::Unasked => return Err(self.unasked()),
            State::Asked => "the kubelet hasn't registered the driver yet, though it asked for it".to_owned(),
            State::Refused(words) => format!("the kubelet didn't register the driver: {words}"),
        };
        Err(format!(
            "{why}; is the CSI socket at {} of the node (--kubelet-registration-path), and does NodeGetInfo answer? \
             The kubelet's log says more (journalctl -u kubelet)",
            self.endpoint
        ))
    }

    fn unasked(&self) -> String {
        format!(
            "the kubelet hasn't registered the driver yet, nor asked for it: is its folder plugins_registry mounted at {} \
             (--plugin-registration-path)?",
            self.folder.display()
        )
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
        self.state.send_if_modified(|state| {
            let is_first = *state == State::Unasked;
            if is_first {
                *state = State::Asked;
            }
            is_first
        });
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
        let _ = self.state.send_replace(match status.plugin_registered {
            true => State::Registered,
            false => State::Refused(status.error),
        });
        match self.state() {
            Ok(()) => info!(endpoint = self.endpoint, "the kubelet has registered the driver"),
            Err(why) => error!("{why}"),
        }
        Ok(Response::new(RegistrationStatusResponse {}))
    }
}
