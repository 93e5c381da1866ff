//! What is wrong with a volume comes to its claim and into the metrics, from a real Cinder: `tests/run openstack` starts
//! it. The Kubernetes API is simulated.

#![cfg(all(feature = "sandbox", feature = "k8s"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by them")]
#![allow(dead_code, reason = "it uses its part of the bed")]

#[path = "openstack_driver/bed.rs"]
mod bed;
#[path = "sandbox_cloud/client.rs"]
mod client;
#[path = "bed/others.rs"]
mod others;
#[path = "kubernetes_api/server.rs"]
mod server;

use std::time::Duration;

use bed::{Lab, create_request};
use bytes::Bytes;
use cinder_csi::csi::proto::CreateVolumeRequest;
use client::Client;
use others::{administrator, reset};
use serde_json::{Value, json};
use server::Api;
use tower::ServiceExt;

fn for_claim(name: &str, claim: &str) -> CreateVolumeRequest {
    let parameters = [("csi.storage.k8s.io/pvc/name", claim), ("csi.storage.k8s.io/pvc/namespace", "shop")];
    let parameters = parameters.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    CreateVolumeRequest { parameters, ..create_request(name) }
}

/// How many volumes have the reason, by the driver's metrics; `None` before the first look.
async fn counted(address: &str, reason: &str) -> Option<String> {
    let request = http::Request::get(format!("http://{address}/metrics")).body(Bytes::new()).unwrap();
    let text = Client::sockets().oneshot(request).await.ok()?.into_body();
    let row = format!("cinder_csi_unhealthy_volumes{{cloud=\"\",reason=\"{reason}\"}} ");
    let text = String::from_utf8(text.to_vec()).unwrap();
    text.lines().find_map(|line| line.strip_prefix(&row)).map(str::to_owned)
}

async fn until_counted(address: &str, reason: &str, count: &str) {
    let end = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let now = counted(address, reason).await;
        if now.as_deref() == Some(count) {
            return;
        }
        assert!(tokio::time::Instant::now() < end, "{reason}: {now:?}, never {count}");
        cinder_csi::pace::sleep(Duration::from_millis(200)).await;
    }
}

/// Once there are any: they are written beside the looks.
async fn events(api: &Api) -> Vec<Value> {
    let end = tokio::time::Instant::now() + Duration::from_secs(30);
    while api.events().is_empty() {
        assert!(tokio::time::Instant::now() < end, "no event is written");
        cinder_csi::pace::sleep(Duration::from_millis(50)).await;
    }
    api.events()
}

fn free_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[tokio::test]
async fn an_ill_volume_is_counted_and_its_claim_gets_an_event_until_it_is_well() {
    let (lab, api) = (Lab::take().await, Api::start().await);
    let (admin, directory) = (administrator(&lab).await, tempfile::tempdir().unwrap());
    let kubeconfig = directory.path().join("kubeconfig");
    std::fs::write(&kubeconfig, api.kubeconfig()).unwrap();
    let (kubeconfig, address) = (format!("--kubeconfig={}", kubeconfig.display()), free_address());
    let http = format!("--http-endpoint={address}");
    let flags = ["--cluster=openstack-events-test", "--health-interval=1s", &kubeconfig, &http];
    let driver = lab.driver_with(&lab.path("cloud.conf"), "NODE_1", &flags).await;
    api.claim("data", Some("pv-data"), json!({}));
    api.claim("well", Some("pv-well"), json!({}));
    let ill = driver.create(for_claim("events-ill", "data")).await.unwrap();
    let well = driver.create(for_claim("events-well", "well")).await.unwrap();
    until_counted(&address, "VolumeError", "0").await;
    reset(&admin, &ill, json!({ "status": "error" })).await;
    until_counted(&address, "VolumeError", "1").await;
    let events = events(&api).await;
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["involvedObject"]["name"], "data");
    assert_eq!((&events[0]["type"], &events[0]["reason"]), (&json!("Warning"), &json!("VolumeError")));
    assert!(events[0]["message"].as_str().unwrap().contains(&ill), "{events:?}");
    reset(&admin, &ill, json!({ "status": "available" })).await;
    until_counted(&address, "VolumeError", "0").await;
    for volume in [ill, well] {
        driver.delete(&volume).await;
    }
}
