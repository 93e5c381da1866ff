//! What the controller says of volumes with something wrong, on a real Cinder and Nova: `tests/run openstack` starts them.

#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by them")]
#![allow(dead_code, reason = "it uses its part of the bed")]

#[path = "openstack_driver/bed.rs"]
mod bed;
#[path = "sandbox_cloud/client.rs"]
mod client;
#[path = "bed/others.rs"]
mod others;

use std::collections::BTreeMap;
use std::process::Command;

use bed::{Driver, Lab, create_request, within};
use cinder_csi::csi::proto::*;
use client::Client;
use http::Method;
use others::{Server, administrator, path, reset, tenant};
use serde_json::{Value, json};
use tonic::{Code, Status};

const DEGRADED: VolumeHealthErrorType = VolumeHealthErrorType::Degraded;
const INACCESSIBLE: VolumeHealthErrorType = VolumeHealthErrorType::Inaccessible;
const DATA_LOSS: VolumeHealthErrorType = VolumeHealthErrorType::DataLoss;

/// The reasons, and how bad each is.
type Told = Vec<(VolumeHealthErrorType, String)>;

fn told(health: VolumeHealth) -> Told {
    health.health_statuses.into_iter().map(|entry| (entry.status(), entry.reason)).collect()
}

fn one(severity: VolumeHealthErrorType, reason: &str) -> Told {
    vec![(severity, reason.to_owned())]
}

async fn health(driver: &Driver, volume: &str) -> Result<Told, Status> {
    let request = ControllerGetVolumeHealthRequest { volume_id: volume.to_owned(), ..Default::default() };
    let answer = driver.controller.clone().controller_get_volume_health(within(10, request)).await?;
    Ok(told(answer.into_inner().volume_health.unwrap()))
}

/// Every volume of the project with something wrong, in pages of two.
async fn ill(driver: &Driver) -> BTreeMap<String, Told> {
    let mut request = ControllerListVolumeHealthRequest { max_entries: 2, ..Default::default() };
    let mut ill = BTreeMap::new();
    loop {
        let mut controller = driver.controller.clone();
        let page = controller.controller_list_volume_health(within(10, request.clone())).await.unwrap();
        let page = page.into_inner();
        assert!(page.entries.len() <= 2);
        for entry in page.entries {
            let known = ill.insert(entry.volume_id.clone(), told(entry));
            assert_eq!(known, None, "told twice");
        }
        request.starting_token = page.next_token;
        if request.starting_token.is_empty() {
            return ill;
        }
    }
}

/// Asked for alone, and in the list.
async fn assert_told(driver: &Driver, volume: &str, expected: &Told, when: &str) {
    assert_eq!(health(driver, volume).await.unwrap(), *expected, "{when}");
    let listed = ill(driver).await.remove(volume).unwrap_or_default();
    assert_eq!(listed, *expected, "{when}, in the list");
}

async fn assert_well(driver: &Driver, volume: &str, when: &str) {
    assert_told(driver, volume, &Told::new(), when).await;
}

#[tokio::test]
async fn volumes_that_no_back_end_made_are_told_until_they_are_deleted() {
    let lab = Lab::take().await;
    let (driver, tenant) = (lab.driver("NODE_1").await, tenant(&lab).await);
    let well = driver.create(create_request("health-well")).await.unwrap();
    let nowhere = json!({ "name": "health-nowhere", "size": 1, "volume_type": "lab-nowhere" });
    let nowhere = tenant.volume_of(nowhere).await;
    lab.inject("cinder.create", "fail");
    let failed = tenant.volume("health-failed").await;
    for volume in [&nowhere, &failed] {
        tenant.until(&path(volume), "error").await;
        assert_told(&driver, volume, &one(INACCESSIBLE, "VolumeError"), "in error").await;
    }
    lab.heal();
    assert_well(&driver, &well, "beside two that aren't").await;
    for volume in [&nowhere, &failed, &well] {
        driver.delete(volume).await;
        assert_eq!(health(&driver, volume).await.unwrap_err().code(), Code::NotFound);
        assert!(!ill(&driver).await.contains_key(volume));
    }
}

/// Each by what brings a real volume there.
#[tokio::test]
async fn orders_that_fail_on_the_back_end_are_told_until_an_administrator_ends_it() {
    let lab = Lab::take().await;
    let (driver, tenant, admin) = (lab.driver("NODE_1").await, tenant(&lab).await, administrator(&lab).await);
    let volume = driver.create(create_request("health-orders")).await.unwrap();
    assert_well(&driver, &volume, "new").await;

    lab.inject("cinder.extend", "fail 1");
    assert_eq!(tenant.extend(&volume, 2, "3.60").await.code, 202);
    tenant.until(&path(&volume), "error_extending").await;
    assert_told(&driver, &volume, &one(DEGRADED, "ExtensionFailed"), "error_extending").await;
    reset(&admin, &volume, json!({ "status": "available" })).await;
    assert_well(&driver, &volume, "reset").await;

    lab.inject("cinder.delete", "fail 1");
    assert_eq!(tenant.delete(&volume).await.code, 202);
    tenant.until(&path(&volume), "error_deleting").await;
    assert_told(&driver, &volume, &one(INACCESSIBLE, "DeletionFailed"), "error_deleting").await;
    reset(&admin, &volume, json!({ "status": "available" })).await;
    assert_well(&driver, &volume, "reset").await;

    let offer = json!({ "transfer": { "volume_id": volume, "name": "health-offer" } });
    let offer = tenant.cinder(Method::POST, "/os-volume-transfer", "", Some(offer)).await;
    let offer = offer.body["transfer"]["id"].as_str().unwrap().to_owned();
    tenant.until(&path(&volume), "awaiting-transfer").await;
    assert_told(&driver, &volume, &one(DEGRADED, "AwaitingTransfer"), "offered").await;
    tenant.cinder(Method::DELETE, &format!("/os-volume-transfer/{offer}"), "", None).await;
    tenant.until(&path(&volume), "available").await;
    assert_well(&driver, &volume, "the offer is withdrawn").await;
    driver.delete(&volume).await;
}

#[tokio::test]
async fn states_that_an_administrator_sets_are_told_and_end_with_them() {
    let lab = Lab::take().await;
    let (driver, admin) = (lab.driver("NODE_1").await, administrator(&lab).await);
    let volume = driver.create(create_request("health-states")).await.unwrap();
    for (status, severity, reason) in [
        ("error", INACCESSIBLE, "VolumeError"),
        ("maintenance", DEGRADED, "InMaintenance"),
        ("error_backing-up", DEGRADED, "BackupFailed"),
        ("error_restoring", DATA_LOSS, "RestoreFailed"),
        // Cinder shows it as `error` (`_get_volume_status` in cinder/api/v3/views/volumes.py).
        ("error_managing", INACCESSIBLE, "VolumeError"),
    ] {
        reset(&admin, &volume, json!({ "status": status })).await;
        assert_told(&driver, &volume, &one(severity, reason), status).await;
        reset(&admin, &volume, json!({ "status": "available" })).await;
        assert_well(&driver, &volume, "available").await;
    }
    driver.delete(&volume).await;
}

/// As if the volume had been in its state for so much longer.
fn age(lab: &Lab, volume: &str, minutes: u32) {
    let ports = std::fs::read_to_string(lab.path("state/ports.json")).unwrap();
    let ports: Value = serde_json::from_str(&ports).unwrap();
    let earlier = |field: &str| format!("{field} = {field} - INTERVAL {minutes} MINUTE");
    let sql = format!(
        "UPDATE cinder.volumes SET {}, {} WHERE id = '{volume}'",
        earlier("created_at"),
        earlier("updated_at")
    );
    #[allow(clippy::disallowed_methods, reason = "the lab's clock is its database's rows")]
    let done = Command::new("mariadb")
        .args(["--no-defaults", "--host=127.0.0.1", "--user=root", "--password=labsecret"])
        .arg(format!("--port={}", ports["mariadb"]))
        .args(["--execute", &sql])
        .status();
    assert!(done.unwrap().success(), "{sql}");
}

/// Brings the volume into the status, where it must be well until it has been there for too long.
async fn assert_stuck(
    lab: &Lab,
    driver: &Driver,
    tenant: &Client,
    volume: &str,
    (status, minutes, severity, reason): (&str, u32, VolumeHealthErrorType, &str),
) {
    tenant.until(&path(volume), status).await;
    assert_well(driver, volume, status).await;
    age(lab, volume, minutes);
    assert_told(driver, volume, &one(severity, reason), status).await;
    assert_eq!(tenant.status(volume).await, status, "it was over before it was looked at");
}

#[tokio::test]
async fn orders_that_hang_are_told_after_their_time_and_are_well_once_they_end() {
    let lab = Lab::take().await;
    let (driver, tenant) = (lab.driver("NODE_1").await, tenant(&lab).await);
    let server = lab.server("NODE_1");

    lab.inject("cinder.create", "delay 6");
    let volume = tenant.volume("health-stuck").await;
    let creating = ("creating", 61, INACCESSIBLE, "StuckCreating");
    assert_stuck(&lab, &driver, &tenant, &volume, creating).await;
    tenant.until(&path(&volume), "available").await;
    assert_well(&driver, &volume, "made").await;

    lab.inject("cinder.extend", "delay 6");
    assert_eq!(tenant.extend(&volume, 2, "3.60").await.code, 202);
    let extending = ("extending", 11, DEGRADED, "StuckExtending");
    assert_stuck(&lab, &driver, &tenant, &volume, extending).await;
    tenant.until(&path(&volume), "available").await;
    assert_well(&driver, &volume, "extended").await;

    lab.inject("nova.attach", "delay 6");
    assert_eq!(tenant.attach(&server, &volume, "2.60").await.code, 200);
    let attaching = ("attaching", 11, INACCESSIBLE, "StuckAttaching");
    assert_stuck(&lab, &driver, &tenant, &volume, attaching).await;
    tenant.until(&path(&volume), "in-use").await;
    assert_well(&driver, &volume, "attached").await;

    lab.inject("nova.detach", "delay 6");
    assert_eq!(tenant.detach(&server, &volume).await.code, 202);
    let detaching = ("detaching", 11, DEGRADED, "StuckDetaching");
    assert_stuck(&lab, &driver, &tenant, &volume, detaching).await;
    tenant.until(&path(&volume), "available").await;
    assert_well(&driver, &volume, "detached").await;
    lab.heal();
    driver.delete(&volume).await;
}

/// Cinder's own entries of the servers that use a volume.
async fn attachments(client: &Client, volume: &str) -> Vec<String> {
    let reply = client.cinder(Method::GET, &format!("/attachments?volume_id={volume}"), "3.27", None).await;
    let listed = reply.body["attachments"].as_array().unwrap();
    listed.iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect()
}

/// What makes it safe to delete an entry: Cinder asks Nova.
async fn assert_is_novas(tenant: &Client, volume: &str) {
    let entry = attachments(tenant, volume).await.remove(0);
    let reply = tenant.cinder(Method::DELETE, &format!("/attachments/{entry}"), "3.27", None).await;
    assert_eq!(reply.code, 409, "{}", reply.body);
}

/// Nova lets a server go although Cinder can't end its connections.
#[tokio::test]
async fn an_entry_that_a_deleted_server_leaves_is_told_until_it_is_deleted() {
    let lab = Lab::take().await;
    let (driver, tenant) = (lab.driver("NODE_1").await, tenant(&lab).await);
    let server = Server::start(&tenant, "health-server").await;
    let volume = driver.create(create_request("health-left")).await.unwrap();
    driver.attach(&volume, &server.id, 60).await.unwrap();
    assert_well(&driver, &volume, "attached").await;
    assert_is_novas(&tenant, &volume).await;
    lab.inject("cinder.disconnect", "fail");
    server.delete(&tenant).await;
    lab.heal();
    let left = one(INACCESSIBLE, "AttachedToMissingServer");
    assert_told(&driver, &volume, &left, "its server is gone").await;
    driver.detach(&volume, &server.id).await;
    assert_eq!(tenant.status(&volume).await, "available");
    assert_well(&driver, &volume, "unpublished").await;
    // A disk that the driver has nothing to do with.
    assert_told(&driver, server.root(), &left, "its server is gone").await;
    for entry in attachments(&tenant, server.root()).await {
        let reply = tenant.cinder(Method::DELETE, &format!("/attachments/{entry}"), "3.27", None).await;
        assert_eq!(reply.code, 200, "{}", reply.body);
    }
    tenant.until(&path(server.root()), "available").await;
    assert_well(&driver, server.root(), "the entry is deleted").await;
    driver.delete(&volume).await;
    server.clear(&tenant).await;
}

/// To another back end, and so that nobody else takes it meanwhile. The members of its project see only that.
#[tokio::test]
async fn a_volume_that_is_moved_is_told_until_it_is_there() {
    let lab = Lab::take().await;
    let (driver, tenant, admin) = (lab.driver("NODE_1").await, tenant(&lab).await, administrator(&lab).await);
    let volume = driver.create(create_request("health-moved")).await.unwrap();
    let (all_seeing, _conf) = administrators_driver(&lab).await;
    lab.inject("cinder.create", "delay 5");
    let order = json!({ "os-migrate_volume": { "host": "lab@loop-az2#loopfile", "lock_volume": true } });
    assert_eq!(admin.act(&volume, "", order).await.code, 202);
    tenant.until(&path(&volume), "maintenance").await;
    assert_told(&driver, &volume, &one(DEGRADED, "InMaintenance"), "on its way").await;
    let both = [one(DEGRADED, "InMaintenance"), one(DEGRADED, "Migrating")].concat();
    assert_eq!(health(&all_seeing, &volume).await.unwrap(), both);
    tenant.until(&path(&volume), "available").await;
    lab.heal();
    assert_well(&driver, &volume, "moved").await;
    assert_eq!(admin.show(&volume).await["os-vol-mig-status-attr:migstat"], "success");
    assert_eq!(health(&all_seeing, &volume).await.unwrap(), Told::new());
    driver.delete(&volume).await;
}

/// And the directory of its settings, which it reads for as long as it runs.
async fn administrators_driver(lab: &Lab) -> (Driver, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let conf = directory.path().join("cloud.conf");
    let clouds = lab.path("clouds.yaml");
    let text =
        format!("[Global]\nuse-clouds = true\nclouds-file = {}\ncloud = lab-admin\n", clouds.display());
    std::fs::write(&conf, text).unwrap();
    (lab.driver_with(&conf, "NODE_1", &[]).await, directory)
}
