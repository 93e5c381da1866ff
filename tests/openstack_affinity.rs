//! Volumes near to others and apart from them, as PVCs ask for it, on a real Cinder whose scheduler looks at hints:
//! `tests/run openstack` starts it. The Kubernetes API is simulated.

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

use bed::{Driver, Lab, create_request, within};
use cinder_csi::csi::proto::*;
use others::administrator;
use serde_json::{Value, json};
use server::Api;
use tonic::{Code, Status};

const NEAR: &str = "cinder.csi.openstack.org/affinity";
const APART: &str = "cinder.csi.openstack.org/anti-affinity";
const ZONE: &str = "topology.cinder.csi.openstack.org/zone";
const NOWHERE: &str = "1b4e28ba-2fa1-41ec-8d3d-0242ac130003";

fn term(zone: &str) -> Topology {
    Topology { segments: [(ZONE.to_owned(), zone.to_owned())].into() }
}

/// In one of the zones, the first one first: the lab has a back end in each of `az1` and `az2`.
fn request(name: &str, zones: &[&str]) -> CreateVolumeRequest {
    let terms: Vec<_> = zones.iter().map(|zone| term(zone)).collect();
    CreateVolumeRequest {
        accessibility_requirements: Some(TopologyRequirement { requisite: terms.clone(), preferred: terms }),
        ..create_request(name)
    }
}

/// The same, for the PVC `NAME` of the namespace `shop`.
fn for_claim(name: &str, zones: &[&str]) -> CreateVolumeRequest {
    let parameters = [("csi.storage.k8s.io/pvc/name", name), ("csi.storage.k8s.io/pvc/namespace", "shop")];
    let parameters = parameters.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    CreateVolumeRequest { parameters, ..request(name, zones) }
}

async fn create(driver: &Driver, request: CreateVolumeRequest) -> Result<Volume, Status> {
    let reply = driver.controller.clone().create_volume(within(60, request)).await?;
    Ok(reply.into_inner().volume.unwrap())
}

/// A driver that reads annotations, and the directory of its settings.
async fn reader(lab: &Lab, api: &Api) -> (Driver, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let kubeconfig = directory.path().join("kubeconfig");
    std::fs::write(&kubeconfig, api.kubeconfig()).unwrap();
    let kubeconfig = format!("--kubeconfig={}", kubeconfig.display());
    let flags = ["--cluster=openstack-driver-test", "--pvc-annotations", &kubeconfig];
    (lab.driver_with(&lab.path("cloud.conf"), "NODE_1", &flags).await, directory)
}

#[tokio::test]
async fn the_scheduler_puts_volumes_near_to_others_and_apart_from_them() {
    let (lab, api) = (Lab::take().await, Api::start().await);
    let (driver, _settings) = reader(&lab, &api).await;
    let admin = administrator(&lab).await;
    let one = create(&driver, request("affinity-one", &["az1"])).await.unwrap().volume_id;
    let two = create(&driver, request("affinity-two", &["az2"])).await.unwrap().volume_id;
    api.claim("first", Some("pv-first"), json!({}));
    let handle = json!({ "csi": { "driver": "cinder.csi.openstack.org", "volumeHandle": one } });
    api.persistent("pv-first", handle);
    let mut made = vec![one.clone(), two.clone()];
    for (name, annotations, zones, zone, context) in [
        ("affinity-none", json!({}), ["az1", "az2"], "az1", json!({})),
        ("affinity-apart", json!({ APART: one }), ["az1", "az2"], "az2", json!({ "anti-affinity": one })),
        ("affinity-name", json!({ NEAR: "affinity-two" }), ["az1", "az2"], "az2", json!({ "affinity": two })),
        ("affinity-claim", json!({ NEAR: "first" }), ["az2", "az1"], "az1", json!({ "affinity": one })),
        (
            "affinity-both",
            json!({ NEAR: two, APART: "first" }),
            ["az1", "az2"],
            "az2",
            json!({ "affinity": two, "anti-affinity": one }),
        ),
    ] {
        api.claim(name, None, annotations);
        let volume = create(&driver, for_claim(name, &zones)).await.unwrap();
        assert_eq!(volume.accessible_topology, [term(zone)], "{name}");
        assert_eq!(json!(volume.volume_context), context, "{name}");
        let host = admin.show(&volume.volume_id).await["os-vol-host-attr:host"].clone();
        assert_eq!(host, format!("lab@loop-{zone}#loopfile"), "{name}");
        let again = create(&driver, for_claim(name, &zones)).await.unwrap();
        assert_eq!(again.volume_id, volume.volume_id, "a second call changes nothing");
        made.push(volume.volume_id);
    }
    for volume in made {
        driver.delete(&volume).await;
    }
}

#[tokio::test]
async fn what_cannot_be_met_is_exhausted_and_nothing_is_left() {
    let (lab, api) = (Lab::take().await, Api::start().await);
    let (driver, _settings) = reader(&lab, &api).await;
    let one = create(&driver, request("affinity-here", &["az1"])).await.unwrap().volume_id;
    let two = create(&driver, request("affinity-there", &["az2"])).await.unwrap().volume_id;
    let before = driver.volumes().await;
    for (annotations, zones) in [
        (json!({ APART: format!("{one},{two}") }), &["az1", "az2"][..]),
        (json!({ NEAR: one }), &["az2"]),
        (json!({ APART: two }), &["az2"]),
    ] {
        api.claim("affinity-full", None, annotations.clone());
        let status = create(&driver, for_claim("affinity-full", zones)).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted, "{annotations}: {status}");
        assert_eq!(driver.volumes().await, before, "{annotations}");
    }
    for volume in [one, two] {
        driver.delete(&volume).await;
    }
}

async fn refusal(driver: &Driver, api: &Api, annotations: Value) -> Status {
    api.claim("affinity-wrong", None, annotations);
    create(driver, for_claim("affinity-wrong", &["az1"])).await.unwrap_err()
}

#[tokio::test]
async fn an_annotation_that_names_no_volume_is_told_and_nothing_is_made() {
    let (lab, api) = (Lab::take().await, Api::start().await);
    let (driver, _settings) = reader(&lab, &api).await;
    let one = driver.create(create_request("affinity-right")).await.unwrap();
    let before = driver.volumes().await;
    for (annotation, word) in [(NEAR, NOWHERE), (APART, NOWHERE), (APART, "misspelt")] {
        let status = refusal(&driver, &api, json!({ annotation: word })).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        let told = format!("annotation {annotation} of PVC shop/affinity-wrong: \"{word}\" is neither");
        assert!(status.message().contains(&told), "{status}");
    }
    let status = refusal(&driver, &api, json!({ NEAR: one, APART: one })).await;
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    let status = create(&driver, for_claim("affinity-gone", &["az1"])).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
    assert_eq!(driver.volumes().await, before);
    driver.delete(&one).await;
}

/// Of a StorageClass, whose hints go to Cinder as they are.
#[tokio::test]
async fn a_hint_that_names_no_volume_is_near_to_nothing_and_apart_from_all() {
    let lab = Lab::take().await;
    let driver = lab.driver("NODE_1").await;
    let before = driver.volumes().await;
    let hinted = |name: &str, key: &str, value: &str| CreateVolumeRequest {
        parameters: [(key.to_owned(), value.to_owned())].into(),
        ..request(name, &["az1"])
    };
    let near = hinted("affinity-hint", "scheduler-hint-same-host", NOWHERE);
    let status = create(&driver, near).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert_eq!(driver.volumes().await, before);
    let apart = hinted("affinity-hint", "scheduler-hint-different-host", NOWHERE);
    let made = create(&driver, apart).await.unwrap();
    driver.delete(&made.volume_id).await;
}
