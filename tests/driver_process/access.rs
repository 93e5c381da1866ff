//! A controller says whether its clouds can be used, and what to change where they can't.

use std::net::SocketAddr;
use std::time::Duration;

use cinder_csi::sandbox::{Served, Settings, SimulatedCloud};
use http::StatusCode;
use tonic::Code;

use super::http::ANY_PORT;
use super::untrusted::untrusted;
use super::{Bed, Driver, PASSWORD, conf};

const READY: StatusCode = StatusCode::OK;
const UNREADY: StatusCode = StatusCode::SERVICE_UNAVAILABLE;

pub async fn cloud() -> (SimulatedCloud, Served, SocketAddr) {
    let cloud = SimulatedCloud::new(Settings::default());
    let served = cloud.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], served.port()));
    (cloud, served, address)
}

async fn start(bed: &Bed, flags: &[&str]) -> Driver {
    let file = format!("--cloud-config={}", bed.path("cloud.conf").display());
    let own = [file.as_str(), "--provide-node-service=false", ANY_PORT];
    bed.start(&[&own[..], flags].concat()).await
}

/// An address at which nobody listens.
fn nobody() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// The trouble is told by `/readyz`, by the log and by a call, each in one sentence that names file and key; Probe is ready
/// all the same.
async fn refused(text: &str, expected: &[&str]) {
    let bed = Bed::new();
    bed.write_conf(text);
    let driver = start(&bed, &[]).await;
    let told = driver.gets("/readyz", UNREADY, "can't be used").await;
    let file = bed.path("cloud.conf").display().to_string();
    let sentence = told.lines().nth(1).unwrap();
    for words in expected.iter().map(|words| words.replace("FILE", &file)) {
        assert!(sentence.contains(&words), "no {words:?} in {sentence}");
    }
    assert!(
        driver.log().contains(&format!("WARN cinder_csi::csi::access: {sentence}\n")),
        "{}",
        driver.log()
    );
    assert_eq!(driver.probe().await, Some(true));
    assert_eq!(driver.get("/healthz").await.0, READY, "no restart mends it");
    let status = driver.create(Duration::from_secs(4)).await.unwrap_err();
    // An earlier call may have made the volume, so that the sidecar must ask again; the PVC's Event has the sentence.
    assert_eq!(status.code(), Code::Aborted, "{status}");
    assert!(status.message().contains(&expected[0].replace("FILE", &file)), "{status}");
    let log = driver.end().1;
    assert_eq!(log.matches("WARN cinder_csi::csi::access").count(), 1, "{log}");
    assert!(!format!("{log}{told}{status:?}").contains("canary"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_names_its_line_and_keystones_words() {
    let (_cloud, _served, address) = cloud().await;
    let url = format!("http://{address}/identity/v3");
    let lines = "\"password\" in FILE:4, \"username\" in FILE:3, \"tenant-name\" in FILE:5 (";
    let expected = [lines, "HTTP 401", "user csi", "(request req-", &url];
    refused(&conf(address, "canary-wrong"), &expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keystone_that_is_not_there_names_its_address_and_the_line_of_it() {
    let address = nobody();
    let origin = format!("http://{address}");
    let expected = ["\"auth-url\" in FILE:2", &origin, "refused", "Keystone up?"];
    refused(&conf(address, "canary"), &expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keystone_without_tls_names_the_line_of_its_address() {
    let (_cloud, _served, address) = cloud().await;
    let text = conf(address, PASSWORD).replace("http://", "https://");
    refused(&text, &["doesn't speak TLS", "should \"auth-url\" in FILE:2 begin with http:// ?"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_nobody_vouches_for_names_the_missing_key() {
    let address = untrusted([127, 0, 0, 1].into()).await;
    let text = conf(address, "canary").replace("http://", "https://");
    let expected = ["\"ca-file\", which isn't set in [Global] (FILE)", "https://", "UnknownIssuer"];
    refused(&text, &expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_the_catalog_lacks_names_what_it_has() {
    let (_cloud, _served, address) = cloud().await;
    let text = conf(address, PASSWORD) + "region = Nowhere\n";
    let expected =
        ["\"region\" in FILE:7", "in region Nowhere", "RegionOne", "\"os-endpoint-type\", which isn't set"];
    refused(&text, &expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_is_ready_after_one_login_and_stays_so() {
    let (cloud, served, address) = cloud().await;
    let bed = Bed::new();
    bed.write_conf(&conf(address, PASSWORD));
    let driver = start(&bed, &[]).await;
    let told = driver.gets("/readyz", READY, "ok").await;
    assert_eq!(told, "ok\nthe unnamed cloud was usable when it was last looked at\n");
    let logins = || cloud.calls().iter().filter(|call| call.path.contains("auth/tokens")).count();
    assert_eq!(logins(), 1);
    driver.create(super::PATIENCE).await.unwrap();
    assert_eq!(logins(), 1, "the token of the check is the one in use");
    drop(served);
    bed.write_conf(&conf(nobody(), PASSWORD));
    driver.logged("can't be used").await;
    assert!(driver.gets("/readyz", READY, "can't be used").await.starts_with("ok\n"));
    driver.gets("/metrics", READY, "cinder_csi_cloud_usable{cloud=\"\"} 0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mended_password_makes_a_controller_ready_without_a_restart() {
    let (_cloud, _served, address) = cloud().await;
    let bed = Bed::new();
    bed.write_conf(&conf(address, "canary-wrong"));
    let driver = start(&bed, &[]).await;
    driver.gets("/readyz", UNREADY, "HTTP 401").await;
    // Another trouble is told, too.
    bed.write_conf(&(conf(address, PASSWORD) + "region = Nowhere\n"));
    driver.gets("/readyz", UNREADY, "in region Nowhere").await;
    bed.write_conf(&conf(address, PASSWORD));
    assert_eq!(
        driver.gets("/readyz", READY, "ok").await,
        "ok\nthe unnamed cloud was usable when it was last looked at\n"
    );
    driver.logged("the unnamed cloud is usable now").await;
    let log = driver.end().1;
    assert_eq!(log.matches("WARN cinder_csi::csi::access").count(), 2, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_cloud_does_not_hide_the_others() {
    let (_cloud, _served, address) = cloud().await;
    let bed = Bed::new();
    let section =
        |name: &str, address| conf(address, PASSWORD).replace("[Global]", &format!("[Global \"{name}\"]"));
    bed.write_conf(&(section("east", nobody()) + &section("west", address)));
    let driver = start(&bed, &["--cloud-name=east,west"]).await;
    let told = driver.gets("/readyz", READY, "cloud \"east\" can't be used").await;
    assert!(
        told.starts_with("ok\n") && told.contains("cloud \"west\" was usable when it was last looked at\n"),
        "{told}"
    );
    assert_eq!(driver.log().matches("WARN cinder_csi::csi::access").count(), 1);
}
