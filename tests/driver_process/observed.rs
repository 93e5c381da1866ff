//! What the driver's process tells whoever watches it: lines of log and metrics.

use std::time::Duration;

use cinder_csi::csi::proto::CreateVolumeRequest;
use http::StatusCode;
use serde_json::Value;
use tonic::Code;

use super::access::cloud;
use super::http::ANY_PORT;
use super::{Bed, Driver, PASSWORD, conf, ended};

/// A controller that made a volume, and the volume.
async fn worked(bed: &Bed, flags: &[&str]) -> (Driver, String) {
    let file = format!("--cloud-config={}", bed.path("cloud.conf").display());
    let own = [file.as_str(), "--provide-node-service=false", ANY_PORT];
    let driver = bed.start(&[&own[..], flags].concat()).await;
    let request = CreateVolumeRequest::default();
    let volume = driver.create_as(request, Duration::from_secs(20)).await.unwrap();
    (driver, volume)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_rpc_is_one_line_with_its_code_time_calls_and_request_ids() {
    let (_cloud, _served, address) = cloud().await;
    let bed = Bed::new();
    bed.write_conf(&conf(address, PASSWORD));
    let (driver, _) = worked(&bed, &["--log-format=json"]).await;
    let log = driver.end().1;
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    let of_rpc: Vec<_> = lines.iter().filter(|line| line["message"] == "OK").collect();
    let [line] = &of_rpc[..] else { panic!("{log}") };
    assert_eq!((&line["level"], &line["code"]), (&"INFO".into(), &"Ok".into()), "{line}");
    assert_eq!(line["span"]["method"], "CreateVolume", "{line}");
    assert_eq!(line["span"]["request_name"], "pvc-1", "{line}");
    assert!(line["seconds"].as_f64().unwrap() > 0.0, "{line}");
    let (calls, requests) = (line["calls"].as_u64().unwrap(), line["requests"].as_str().unwrap());
    assert!((2..=8).contains(&calls), "{line}");
    assert!(requests.split(' ').all(|id| id.starts_with("req-")), "{line}");
    assert_eq!(line["spent"], Value::Null, "it wasn't slow: {line}");
    assert!(!log.contains(PASSWORD), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_line_as_text_has_the_same() {
    let (_cloud, _served, address) = cloud().await;
    let bed = Bed::new();
    bed.write_conf(&conf(address, PASSWORD));
    let (driver, _) = worked(&bed, &[]).await;
    let log = driver.end().1;
    let line =
        log.lines().find(|line| line.contains(": OK code=Ok seconds=")).unwrap_or_else(|| panic!("{log}"));
    for words in ["INFO rpc{method=\"CreateVolume\" request_name=\"pvc-1\"", " calls=", " requests=\"req-"] {
        assert!(line.contains(words), "no {words} in {line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_show_what_the_cloud_answered_and_no_secret() {
    let (_cloud, _served, address) = cloud().await;
    let bed = Bed::new();
    bed.write_conf(&conf(address, PASSWORD));
    let (driver, volume) = worked(&bed, &[]).await;
    let told = driver.gets("/metrics", StatusCode::OK, "request=\"volume_create\",status=\"202\"} 1").await;
    let expected = [
        "openstack_api_request_duration_seconds_count{cloud=\"\",service=\"Cinder\",operation=\"create a volume\",request=\"volume_create\",outcome=\"ok\"} 1",
        "openstack_api_requests_total{cloud=\"\",service=\"Keystone\",operation=\"give a token\",request=\"other\",status=\"201\"}",
        "cinder_csi_rpc_duration_seconds_count{method=\"CreateVolume\",code=\"Ok\"} 1",
    ];
    for line in expected {
        assert!(told.contains(line), "no {line} in {told}");
    }
    let expiry = told
        .lines()
        .find_map(|line| line.strip_prefix("openstack_token_expiry_timestamp_seconds{cloud=\"\"} "));
    let expiry: f64 = expiry.unwrap().parse().unwrap();
    let now = cinder_csi::pace::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((now..now + 90_000.0).contains(&expiry), "{expiry} {now}");
    for secret in [PASSWORD, volume.as_str()] {
        assert!(!told.contains(secret), "{told}");
    }
    ended(driver);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_tells_how_many_volumes_it_has() {
    let bed = Bed::new();
    let driver = bed.start(&["--provide-controller-service=false", ANY_PORT]).await;
    let told = driver.gets("/metrics", StatusCode::OK, "cinder_csi_node_attached_volumes ").await;
    assert!(!told.contains("cinder_csi_node_attach_limit "), "nobody has asked for it yet: {told}");
    ended(driver);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_asks_for_in_vain_is_no_series_of_its_own() {
    let bed = Bed::new();
    let driver = bed.start(&["--provide-controller-service=false", ANY_PORT]).await;
    let asked = driver.create_as(CreateVolumeRequest::default(), Duration::from_secs(20)).await;
    assert_eq!(asked.unwrap_err().code(), Code::Unimplemented);
    let expected = "cinder_csi_rpc_duration_seconds_count{method=\"unknown\",code=\"Unimplemented\"} 1";
    let told = driver.gets("/metrics", StatusCode::OK, expected).await;
    assert!(!told.contains("CreateVolume"), "{told}");
    ended(driver);
}
