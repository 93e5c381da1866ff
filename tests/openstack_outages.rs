//! Parts of the cloud go away and come back while the driver works, on a real Keystone, Cinder and Nova: `tests/run openstack`
//! starts them. `tests/run outages` tries each of them during each operation.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by them")]
#![allow(dead_code, reason = "it uses its part of the bed")]

#[path = "openstack_driver/bed.rs"]
mod bed;
#[path = "sandbox_cloud/client.rs"]
mod client;
#[path = "bed/figures.rs"]
mod figures;
#[path = "openstack_outages/operator.rs"]
mod operator;
#[path = "bed/others.rs"]
mod others;
#[path = "openstack_outages/outage.rs"]
mod outage;
#[path = "openstack_outages/point.rs"]
mod point;
#[path = "bed/self_signed.rs"]
mod self_signed;
#[path = "openstack_outages/service.rs"]
mod service;
#[path = "bed/sidecar.rs"]
mod sidecar;
#[path = "openstack_outages/sidecars.rs"]
mod sidecars;
#[path = "openstack_outages/story.rs"]
mod story;
#[path = "openstack_outages/strike.rs"]
mod strike;
#[path = "openstack_outages/tls_proxy.rs"]
mod tls_proxy;
#[path = "openstack_outages/user.rs"]
mod user;
#[path = "bed/witness.rs"]
mod witness;

use std::path::Path;
use std::time::{Duration, Instant};

use bed::{Calls, Lab, calls};
use bytes::Bytes;
use cinder_csi::pace;
use client::Client;
use others::auth_url;
use outage::{KEYSTONE, Outage};
use service::How::Killed;
use service::{Away, forget_tokens};
use sidecar::Sidecar;
use sidecars::Sidecars;
use story::Story;
use tls_proxy::TlsProxy;
use tonic::Status;
use tower::ServiceExt;
use user::User;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_goes_and_comes_back_costs_time_and_nothing_else() {
    let lab = Lab::take().await;
    let driver = lab.driver("NODE_1").await;
    let mut story = Story::new(&lab, &driver).await;
    let (outages, mut table) = (wanted(), Vec::new());
    assert!(!outages.is_empty(), "tests/run outages knows no such service");
    for (number, outage) in outages.iter().enumerate() {
        table.push(story.tell(&format!("outages-{}-{number}", std::process::id()), outage).await);
    }
    println!("\n{}", table.join("\n"));
    figures::count("outages: services taken away", table.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_driver_that_starts_without_keystone_says_so_and_works_once_it_is_there() {
    let lab = Lab::take().await;
    let address = format!("127.0.0.1:{}", free_port().await);
    let away = Away::take(&lab, KEYSTONE, Killed);
    let driver = lab
        .driver_with(&lab.path("cloud.conf"), "NODE_1", &["--cluster=outages", "--http-endpoint", &address])
        .await;
    let calls = Sidecars::of(&driver).await;
    let status =
        calls.once(async |calls| calls.create("outages-no-keystone", 1, None).await).await.unwrap_err();
    assert!(!Sidecar::Provisioner.is_final(status.code()), "{status}");
    let keystone = auth_url(&lab);
    let origin = keystone.strip_suffix("/v3").unwrap();
    assert!(status.message().contains("Keystone") && status.message().contains(origin), "{status}");
    until("the driver says who is missing", async || {
        let (code, text) = ready(&address).await;
        code == 503 && text.contains(origin)
    })
    .await;
    away.bring_back();
    let volume =
        keep_trying(&calls, async |calls| calls.create("outages-no-keystone", 1, None).await).await.volume_id;
    until("the driver is ready", async || ready(&address).await.0 == 200).await;
    keep_trying(&calls, async |calls| calls.delete(&volume).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotated_password_is_used_as_soon_as_the_file_has_it() {
    let lab = Lab::take().await;
    let user = User::new(&lab, "outages-rotated", "first").await;
    let directory = tempfile::tempdir().unwrap();
    let conf = directory.path().join("cloud.conf");
    replace(&conf, &user.conf(&auth_url(&lab), "first", None));
    let driver = lab.driver_with(&conf, "NODE_1", &["--cluster=outages"]).await;
    let calls = Sidecars::of(&driver).await;
    let create = async |calls: Calls| calls.create("outages-rotated", 1, None).await;
    let volume = calls.once(create).await.unwrap().volume_id;
    user.set_password("second").await;
    forget_tokens(&lab);
    let status = calls.once(async |calls| calls.delete(&volume).await).await.unwrap_err();
    assert!(!Sidecar::Provisioner.is_final(status.code()), "{status}");
    assert!(status.message().contains("outages-rotated"), "{status}");
    assert!(!status.message().contains("first"), "{status}");
    replace(&conf, &user.conf(&auth_url(&lab), "second", None));
    keep_trying(&calls, async |calls| calls.delete(&volume).await).await;
    user.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replaced_certificate_is_trusted_as_soon_as_the_file_has_its_authority() {
    let lab = Lab::take().await;
    let user = User::new(&lab, "outages-certificate", "first").await;
    let directory = tempfile::tempdir().unwrap();
    let (conf, ca) = (directory.path().join("cloud.conf"), directory.path().join("ca.pem"));
    let proxy = TlsProxy::of(&auth_url(&lab)).await;
    replace(&ca, &proxy.authority());
    replace(&conf, &user.conf(&proxy.auth_url(), "first", Some(&ca)));
    let driver = lab.driver_with(&conf, "NODE_1", &["--cluster=outages"]).await;
    let calls = Sidecars::of(&driver).await;
    let create = async |calls: Calls| calls.create("outages-certificate", 1, None).await;
    let volume = calls.once(create).await.unwrap().volume_id;
    proxy.renew();
    user.set_password("first").await;
    forget_tokens(&lab);
    let status = calls.once(async |calls| calls.delete(&volume).await).await.unwrap_err();
    assert!(!Sidecar::Provisioner.is_final(status.code()), "{status}");
    assert!(status.message().contains("certificate") && status.message().contains("ca-file"), "{status}");
    replace(&ca, &proxy.authority());
    keep_trying(&calls, async |calls| calls.delete(&volume).await).await;
    user.remove().await;
}

/// Until it is done. The driver looks at its files every five seconds.
async fn keep_trying<T>(sidecars: &Sidecars, call: impl AsyncFn(Calls) -> Result<T, Status>) -> T {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        match sidecars.once(&call).await {
            Ok(done) => return done,
            Err(status) => assert!(Instant::now() < end, "{status}"),
        }
        pace::sleep(Duration::from_millis(500)).await;
    }
}

async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is_so().await {
        assert!(Instant::now() < end, "never: {what}");
        pace::sleep(Duration::from_millis(200)).await;
    }
}

async fn ready(address: &str) -> (u16, String) {
    let request = http::Request::get(format!("http://{address}/readyz")).body(Bytes::new()).unwrap();
    let reply = Client::sockets().oneshot(request).await.unwrap();
    (reply.status().as_u16(), String::from_utf8_lossy(reply.body()).into_owned())
}

async fn free_port() -> u16 {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

/// Whoever reads the file reads the old content or the new one.
fn replace(file: &Path, content: &str) {
    let new = file.with_extension("new");
    std::fs::write(&new, content).unwrap();
    std::fs::rename(new, file).unwrap();
}

fn wanted() -> Vec<Outage> {
    #[allow(clippy::disallowed_methods, reason = "tests/run outages says it so")]
    let wanted = std::env::var("OUTAGES");
    wanted.map_or(outage::USUAL.to_vec(), |wanted| Outage::of(&wanted))
}
