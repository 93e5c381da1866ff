//! What the quotas of a real Cinder leave of a project, those of its types among them: `tests/run openstack` starts it.

#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by them")]
#![allow(dead_code, reason = "it uses its part of the bed")]

#[path = "openstack_driver/bed.rs"]
mod bed;
#[path = "sandbox_cloud/client.rs"]
mod client;
#[path = "bed/others.rs"]
mod others;

use std::panic::AssertUnwindSafe;

use bed::{Driver, Lab, create_request, within};
use cinder_csi::csi::proto::*;
use client::Client;
use futures_util::FutureExt;
use http::Method;
use others::{administrator, auth_url};
use serde_json::{Value, json};
use tonic::{Code, Status};

const GIB: i64 = 1 << 30;
const ZONE: &str = "topology.cinder.csi.openstack.org/zone";

/// The quotas of the lab's small project.
struct Quotas {
    administrator: Client,
    path: String,
}

impl Quotas {
    async fn of(lab: &Lab) -> Self {
        let small =
            Client::log_in(Client::sockets(), &auth_url(lab), "csi-small", "labsecret", "k8s-small").await;
        let project = small.volume_url.rsplit('/').next().unwrap();
        let path = format!("/os-quota-sets/{project}");
        Self { administrator: administrator(lab).await, path }
    }

    async fn set(&self, quotas: Value) {
        let body = Some(json!({ "quota_set": quotas }));
        let reply = self.administrator.cinder(Method::PUT, &self.path, "", body).await;
        assert_eq!(reply.code, 200, "{}", reply.body);
    }

    /// As `tests/openstack/up` made them.
    async fn restore(&self) {
        let of_type = json!({ "gigabytes_lab-fast": -1, "volumes_lab-fast": -1 });
        self.set(of_type).await;
        self.set(json!({ "volumes": 2, "gigabytes": 4, "per_volume_gigabytes": 4 })).await;
    }
}

/// Runs a test that changes quotas, and changes them back whatever comes of it.
async fn with_quotas(lab: &Lab, test: impl AsyncFnOnce(&Quotas)) {
    let quotas = Quotas::of(lab).await;
    let ended = AssertUnwindSafe(test(&quotas)).catch_unwind().await;
    quotas.restore().await;
    if let Err(failure) = ended {
        std::panic::resume_unwind(failure);
    }
}

fn of_type(name: &str, kind: &str, gib: i64) -> CreateVolumeRequest {
    CreateVolumeRequest {
        parameters: [("type".to_owned(), kind.to_owned())].into(),
        capacity_range: Some(CapacityRange { required_bytes: gib * GIB, limit_bytes: 0 }),
        ..create_request(name)
    }
}

/// What is available, and the largest volume, by a driver that has asked nothing before.
async fn room(lab: &Lab, kind: &str, zone: &str) -> (i64, i64) {
    let driver = lab.driver_of("cloud-small.conf", "NODE_1").await;
    let request = GetCapacityRequest {
        parameters: [("type".to_owned(), kind.to_owned())].into(),
        accessible_topology: Some(Topology { segments: [(ZONE.to_owned(), zone.to_owned())].into() }),
        ..Default::default()
    };
    let answer = driver.controller.clone().get_capacity(within(10, request)).await.unwrap().into_inner();
    (answer.available_capacity / GIB, answer.maximum_volume_size.unwrap() / GIB)
}

async fn refused(driver: &Driver, request: CreateVolumeRequest) -> Status {
    driver.create(request).await.unwrap_err()
}

#[tokio::test]
async fn the_quota_of_a_type_is_the_room_for_its_volumes_alone() {
    let lab = Lab::take().await;
    with_quotas(&lab, async |quotas| {
        assert_eq!(room(&lab, "lab-fast", "az1").await, (4, 4));
        quotas.set(json!({ "gigabytes_lab-fast": 2 })).await;
        for zone in ["az1", "az2"] {
            assert_eq!(room(&lab, "lab-fast", zone).await, (2, 2), "{zone}");
            assert_eq!(room(&lab, "lab", zone).await, (4, 4), "{zone}");
        }
        assert_eq!(room(&lab, "lab-fast", "az9").await, (0, 0));
        // As much as is said to be there is there, and no more.
        let driver = lab.driver_of("cloud-small.conf", "NODE_1").await;
        let status = refused(&driver, of_type("capacity-type", "lab-fast", 3)).await;
        assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
        let volume = driver.create(of_type("capacity-type", "lab-fast", 1)).await.unwrap();
        assert_eq!(room(&lab, "lab-fast", "az1").await, (1, 1));
        assert_eq!(room(&lab, "lab", "az1").await, (3, 3));
        quotas.set(json!({ "volumes_lab-fast": 1 })).await;
        assert_eq!(room(&lab, "lab-fast", "az1").await, (0, 0));
        let status = refused(&driver, of_type("capacity-type-full", "lab-fast", 1)).await;
        assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
        driver.delete(&volume).await;
        assert_eq!(room(&lab, "lab-fast", "az1").await, (2, 2));
    })
    .await;
}

#[tokio::test]
async fn one_volume_is_no_larger_than_the_quota_of_one_volume() {
    let lab = Lab::take().await;
    with_quotas(&lab, async |quotas| {
        quotas.set(json!({ "per_volume_gigabytes": 3 })).await;
        assert_eq!(room(&lab, "lab", "az2").await, (4, 3));
        let driver = lab.driver_of("cloud-small.conf", "NODE_1").await;
        let status = refused(&driver, of_type("capacity-one", "lab", 4)).await;
        assert_eq!(status.code(), Code::OutOfRange, "{status}");
        let volume = driver.create(of_type("capacity-one", "lab", 3)).await.unwrap();
        assert_eq!(room(&lab, "lab", "az2").await, (1, 1));
        driver.delete(&volume).await;
    })
    .await;
}

#[tokio::test]
async fn a_project_that_has_used_a_quota_up_has_no_room_until_it_is_raised() {
    let lab = Lab::take().await;
    with_quotas(&lab, async |quotas| {
        let driver = lab.driver_of("cloud-small.conf", "NODE_1").await;
        let volume = driver.create(of_type("capacity-full", "lab", 2)).await.unwrap();
        quotas.set(json!({ "gigabytes": 2 })).await;
        assert_eq!(room(&lab, "lab", "az1").await, (0, 0));
        quotas.set(json!({ "gigabytes": 10, "volumes": 1 })).await;
        assert_eq!(room(&lab, "lab", "az1").await, (0, 0));
        quotas.set(json!({ "volumes": 2 })).await;
        assert_eq!(room(&lab, "lab", "az1").await, (8, 4));
        driver.delete(&volume).await;
    })
    .await;
}
