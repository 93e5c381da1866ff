//! The kubelet finds the driver by itself.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use cinder_csi::csi::kubelet::registration_client::RegistrationClient;
use cinder_csi::csi::kubelet::{InfoRequest, RegistrationStatus};
use cinder_csi::pace;
use http::StatusCode;
use tonic::transport::{Channel, Endpoint};

use super::Bed;
use super::http::ANY_PORT;

const ON_THE_NODE: &str = "/var/lib/kubelet/plugins/cinder.csi.openstack.org/csi.sock";
const SOCKET: &str = "cinder.csi.openstack.org-reg@localhost.sock";

/// As the kubelet's watcher takes them up: what has a dot before it is nobody's.
fn sockets(registry: &Path) -> Vec<String> {
    let names =
        fs::read_dir(registry).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !name.starts_with('.')).collect()
}

/// Its client is grpc-go's, which makes an authority of the socket's path.
pub async fn kubelet(registry: &Path) -> RegistrationClient<Channel> {
    let end = tokio::time::Instant::now() + Duration::from_secs(10);
    while sockets(registry).is_empty() {
        assert!(tokio::time::Instant::now() < end, "no socket in the registry");
        pace::sleep(Duration::from_millis(10)).await;
    }
    let socket = registry.join(SOCKET).display().to_string();
    let channel = Endpoint::from_shared(format!("unix://{socket}")).unwrap().connect_lazy();
    let origin = format!("http://{}", socket.replace('/', "%2F")).parse().unwrap();
    RegistrationClient::with_origin(channel, origin)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kubelet_is_told_of_the_driver_as_long_as_it_runs() {
    let bed = Bed::new();
    let registry = bed.path("plugins_registry");
    fs::create_dir(&registry).unwrap();
    let at = format!("--kubelet-registration-path={ON_THE_NODE}");
    let folder = format!("--plugin-registration-path={}", registry.display());
    let driver = bed.start(&["--provide-controller-service=false", &at, &folder, ANY_PORT]).await;
    let told = driver.gets("/readyz", StatusCode::SERVICE_UNAVAILABLE, "the kubelet").await;
    let folder = format!("is its folder plugins_registry mounted at {}", registry.display());
    assert!(told.contains("hasn't registered the driver yet, nor asked") && told.contains(&folder), "{told}");
    let mut kubelet = kubelet(&registry).await;
    assert_eq!(sockets(&registry), [SOCKET]);
    assert_eq!(fs::metadata(registry.join(SOCKET)).unwrap().permissions().mode() & 0o777, 0o600);
    let info = kubelet.get_info(InfoRequest {}).await.unwrap().into_inner();
    assert_eq!((info.r#type.as_str(), info.name.as_str()), ("CSIPlugin", "cinder.csi.openstack.org"));
    assert_eq!(
        (info.endpoint.as_str(), info.supported_versions.as_slice()),
        (ON_THE_NODE, &["1.0.0".to_owned()][..])
    );
    let told = driver.gets("/readyz", StatusCode::SERVICE_UNAVAILABLE, "though it asked").await;
    assert!(told.contains(&format!("is the CSI socket at {ON_THE_NODE}")), "{told}");
    let failed = RegistrationStatus { plugin_registered: false, error: "no such driver".to_owned() };
    kubelet.notify_registration_status(failed).await.unwrap();
    driver.logged("no such driver").await;
    driver.gets("/readyz", StatusCode::SERVICE_UNAVAILABLE, "no such driver").await;
    kubelet.get_info(InfoRequest {}).await.unwrap();
    driver.gets("/readyz", StatusCode::SERVICE_UNAVAILABLE, "no such driver").await;
    let done = RegistrationStatus { plugin_registered: true, error: String::new() };
    kubelet.notify_registration_status(done).await.unwrap();
    driver.logged("the kubelet has registered the driver").await;
    assert_eq!(driver.get("/readyz").await.0, StatusCode::OK);
    drop(kubelet);
    assert!(driver.end().0.success());
    assert_eq!(sockets(&registry), Vec::<String>::new(), "the kubelet forgets the driver");
}

/// A registrar beside it does it, as in the existing driver's manifests.
#[tokio::test]
async fn nobody_is_told_unless_that_is_asked_for() {
    let bed = Bed::new();
    let registry = bed.path("plugins_registry");
    fs::create_dir(&registry).unwrap();
    let folder = format!("--plugin-registration-path={}", registry.display());
    let driver = bed.start(&["--provide-controller-service=false", &folder]).await;
    assert_eq!(driver.probe().await, Some(true));
    assert_eq!(sockets(&registry), Vec::<String>::new());
}

#[tokio::test]
async fn a_registry_that_is_not_there_ends_the_process_and_is_named() {
    let bed = Bed::new();
    let at = format!("--kubelet-registration-path={ON_THE_NODE}");
    let folder = format!("--plugin-registration-path={}", bed.path("nowhere").display());
    let output = bed.command(&["--provide-controller-service=false", &at, &folder]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    let next =
        format!("; mount the kubelet's folder plugins_registry at {}\n", bed.path("nowhere").display());
    assert!(told.contains("--plugin-registration-path") && told.ends_with(&next), "{told}");
}

#[test]
fn an_endpoint_whose_folder_is_not_there_says_what_belongs_there() {
    let bed = Bed::new();
    let nowhere = bed.path("nowhere");
    let endpoint = format!("--endpoint=unix://{}/csi.sock", nowhere.display());
    let output = bed.command(&["--provide-controller-service=false", &endpoint]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("--endpoint: can't listen on"), "{told}");
    assert!(told.ends_with(&format!("shared with the sidecars, at {}\n", nowhere.display())), "{told}");
}

/// As with node-driver-registrar beside it: two that register one name would take each other's away.
#[tokio::test]
async fn a_registrar_that_is_there_already_is_not_joined() {
    let bed = Bed::new();
    let registry = bed.path("plugins_registry");
    fs::create_dir(&registry).unwrap();
    let _registrar =
        std::os::unix::net::UnixListener::bind(registry.join("cinder.csi.openstack.org-reg.sock")).unwrap();
    let at = format!("--kubelet-registration-path={ON_THE_NODE}");
    let folder = format!("--plugin-registration-path={}", registry.display());
    let output = bed.command(&["--provide-controller-service=false", &at, &folder]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("another process serves there"), "{told}");
}
