//! What is wrong with volumes, as the controller tells it. Time is tokio's, and paused.

#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

#[path = "bed/bed.rs"]
mod bed;
#[path = "bed/driver.rs"]
mod driver;
#[path = "bed/site.rs"]
mod site;

use std::time::Duration;

use bed::{Bed, printed, wanted};
use cinder_csi::csi::proto::volume_health::VolumeHealthEntry;
use cinder_csi::csi::proto::*;
use cinder_csi::csi::{Clouds, Rounds};
use cinder_csi::pace;
use cinder_csi::sandbox::{Fault, Mishap, Operation, Settings, Trouble};
use driver::Driver;
use http::Method;
use metrics_exporter_prometheus::PrometheusBuilder;
use site::{Line, Site, driver_of};
use tonic::Code;

const INACCESSIBLE: i32 = VolumeHealthErrorType::Inaccessible as i32;
const DEGRADED: i32 = VolumeHealthErrorType::Degraded as i32;

async fn stand(names: &[&str]) -> (Bed, Driver, Vec<String>) {
    let bed = Bed::warm(Settings::default()).await;
    let driver = Driver::in_memory(bed.volumes.clone());
    let mut ids = Vec::new();
    for name in names {
        ids.push(bed.volumes.ensure_created(&wanted(name)).await.unwrap().id.to_string());
    }
    bed.calls();
    (bed, driver, ids)
}

async fn health(driver: &Driver, id: &str) -> Vec<VolumeHealthEntry> {
    let request = ControllerGetVolumeHealthRequest { volume_id: id.to_owned(), ..Default::default() };
    let answer = driver.controller().controller_get_volume_health(request).await.unwrap().into_inner();
    let health = answer.volume_health.unwrap();
    assert_eq!(health.volume_id, id);
    health.health_statuses
}

fn gist(health: &[VolumeHealthEntry]) -> Vec<(i32, &str)> {
    health.iter().map(|entry| (entry.status, entry.reason.as_str())).collect()
}

async fn ill(driver: &Driver, max_entries: i32, starting_token: &str) -> (Vec<String>, String) {
    let request = ControllerListVolumeHealthRequest {
        max_entries,
        starting_token: starting_token.to_owned(),
        ..Default::default()
    };
    let answer = driver.controller().controller_list_volume_health(request).await.unwrap().into_inner();
    (answer.entries.into_iter().map(|entry| entry.volume_id).collect(), answer.next_token)
}

#[tokio::test(start_paused = true)]
async fn a_volume_is_well_until_its_state_says_otherwise() {
    let (bed, driver, ids) = stand(&["pvc-1"]).await;
    assert_eq!(health(&driver, &ids[0]).await, []);
    for (status, severity, reason) in [
        ("error", INACCESSIBLE, "VolumeError"),
        ("error_extending", DEGRADED, "ExtensionFailed"),
        ("error_deleting", INACCESSIBLE, "DeletionFailed"),
        ("maintenance", DEGRADED, "InMaintenance"),
        ("from-the-future", DEGRADED, "UnknownStatus"),
    ] {
        assert!(bed.cloud.set_status(&ids[0], status));
        assert_eq!(gist(&health(&driver, &ids[0]).await), [(severity, reason)]);
    }
    bed.cloud.set_status(&ids[0], "available");
    assert_eq!(health(&driver, &ids[0]).await, []);
    let unknown = "6f1f0c66-4c3e-4b7e-9d51-0a1b2c3d4e5f".to_owned();
    for (volume_id, code) in [(unknown, Code::NotFound), (String::new(), Code::InvalidArgument)] {
        let request = ControllerGetVolumeHealthRequest { volume_id, ..Default::default() };
        let status = driver.controller().controller_get_volume_health(request).await.unwrap_err();
        assert_eq!(status.code(), code, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_attach_that_never_ends_is_told_after_ten_minutes() {
    let (bed, driver, ids) = stand(&["pvc-1"]).await;
    bed.cloud.mishap(Mishap::Stuck(Operation::Attach));
    let attach = bed.volumes.ensure_attached(ids[0].parse().unwrap(), bed.server("node-1"));
    bed::rpc(Duration::from_secs(5), attach).await.unwrap_err();
    assert_eq!(health(&driver, &ids[0]).await, []);
    pace::sleep(Duration::from_secs(601)).await;
    assert_eq!(gist(&health(&driver, &ids[0]).await), [(INACCESSIBLE, "StuckAttaching")]);
}

#[tokio::test(start_paused = true)]
async fn an_entry_of_a_server_that_is_gone_is_told_with_its_id() {
    let (bed, driver, ids) = stand(&["pvc-1"]).await;
    let server = bed.server("node-1");
    bed.volumes.ensure_attached(ids[0].parse().unwrap(), server).await.unwrap();
    assert_eq!(health(&driver, &ids[0]).await, []);
    bed.cloud.mishap(Mishap::LeavesEntries);
    bed.delete_server(&server.to_string()).await;
    pace::sleep(Duration::from_secs(60)).await;
    let told = health(&driver, &ids[0]).await;
    assert_eq!(gist(&told), [(INACCESSIBLE, "AttachedToMissingServer")]);
    assert!(told[0].message.contains(&server.to_string()), "{}", told[0].message);
    assert_eq!(ill(&driver, 0, "").await, (vec![ids[0].clone()], String::new()));
    let node_id = server.to_string();
    let request =
        ControllerUnpublishVolumeRequest { volume_id: ids[0].clone(), node_id, ..Default::default() };
    driver.controller().controller_unpublish_volume(request).await.unwrap();
    assert_eq!(health(&driver, &ids[0]).await, []);
}

/// A volume whose server went and left its entry, and the server.
async fn left(bed: &Bed, id: &str) -> String {
    let server = bed.server("node-1");
    bed.volumes.ensure_attached(id.parse().unwrap(), server).await.unwrap();
    bed.cloud.mishap(Mishap::LeavesEntries);
    bed.delete_server(&server.to_string()).await;
    pace::sleep(Duration::from_secs(60)).await;
    server.to_string()
}

/// Two regions may share one Cinder: the Nova of one doesn't know the servers of the other.
#[tokio::test(start_paused = true)]
async fn an_entry_stays_where_its_server_may_be_another_clouds() {
    let east = Site::new("east", Settings { seed: 1, ..Settings::default() });
    let west = Site::of_zone("west", 2, "b");
    let (driver, bed) = (driver_of(&[&east, &west]), east.bed());
    let volume = bed.volumes.ensure_created(&wanted("pvc-1")).await.unwrap().id;
    let node_id = left(&bed, &volume.to_string()).await;
    let request =
        ControllerUnpublishVolumeRequest { volume_id: volume.to_string(), node_id, ..Default::default() };
    let status = driver.controller().controller_unpublish_volume(request).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal, "{status}");
    assert!(status.message().contains("openstack volume attachment delete"), "{status}");
    assert_eq!(bed.volumes.get(volume).await.unwrap().attachments.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_a_server_left_ends_in_any_trouble_or_who_can_end_it_is_told() {
    for (trouble, code) in [
        (Trouble::ResetBefore, Code::Aborted),
        (Trouble::ResetAfter, Code::Aborted),
        (Trouble::FailedAfter(500), Code::Aborted),
        (Trouble::Refused(500), Code::Aborted),
        (Trouble::Refused(403), Code::Internal),
        (Trouble::Refused(409), Code::Internal),
    ] {
        let (bed, driver, ids) = stand(&["pvc-1"]).await;
        let node_id = left(&bed, &ids[0]).await;
        bed.cloud.fault(Fault::on(Method::DELETE, "/attachments/{id}", trouble.clone()));
        let request =
            ControllerUnpublishVolumeRequest { volume_id: ids[0].clone(), node_id, ..Default::default() };
        let mut controller = driver.controller();
        let status = controller.controller_unpublish_volume(request.clone()).await.unwrap_err();
        assert_eq!(status.code(), code, "{trouble:?}: {status}");
        let told = status.message().contains("openstack volume attachment delete");
        assert_eq!(told, code == Code::Internal, "{trouble:?}: {status}");
        controller.controller_unpublish_volume(request).await.unwrap();
        assert_eq!(health(&driver, &ids[0]).await, [], "{trouble:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_ill_volumes_are_listed_page_by_page() {
    let names: Vec<_> = (0..12).map(|n| format!("pvc-{n}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let (bed, driver, ids) = stand(&names).await;
    assert_eq!(ill(&driver, 0, "").await, (Vec::new(), String::new()));
    for n in [1, 4, 5, 9] {
        bed.cloud.set_status(&ids[n], "error");
    }
    bed.calls();
    let mut expected: Vec<_> = [1, 4, 5, 9].map(|n| ids[n].clone()).into();
    expected.sort();
    let (mut whole, token) = ill(&driver, 0, "").await;
    whole.sort();
    assert_eq!((&whole, token.as_str()), (&expected, ""));
    let calls = bed.calls();
    assert_eq!(calls.len(), 1, "nothing is attached, so Nova isn't asked:\n{}", printed(&calls));
    let (mut found, mut token) = (Vec::new(), String::new());
    for _ in 0..10 {
        let (page, next) = ill(&driver, 3, &token).await;
        assert!(page.len() <= 3);
        found.extend(page);
        token = next;
        if token.is_empty() {
            break;
        }
    }
    found.sort();
    assert_eq!(found, expected);
    let request =
        ControllerListVolumeHealthRequest { starting_token: "none of ours".to_owned(), ..Default::default() };
    let status = driver.controller().controller_list_volume_health(request).await.unwrap_err();
    assert_eq!(status.code(), Code::Aborted, "{status}");
}

#[tokio::test(start_paused = true)]
async fn the_servers_of_many_volumes_are_listed_once() {
    let (bed, driver, ids) = stand(&["pvc-1", "pvc-2", "pvc-3"]).await;
    for id in &ids {
        bed.volumes.ensure_attached(id.parse().unwrap(), bed.server("node-1")).await.unwrap();
    }
    bed.calls();
    assert_eq!(ill(&driver, 0, "").await.0, Vec::<String>::new());
    let calls = bed.calls();
    assert_eq!(calls.len(), 2, "{}", printed(&calls));
}

/// Of two clouds, east is asked first.
#[tokio::test(start_paused = true)]
async fn a_cloud_that_cannot_be_read_keeps_its_figures_and_hides_no_other() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let sites = [Site::of_zone("east", 1, "a"), Site::of_zone("west", 2, "b")];
    let clouds = Clouds::new(sites.iter().map(|site| (site.name.to_owned(), site.volumes())).collect());
    let rounds = Rounds { clouds, cluster: "kubernetes".to_owned(), events: None };
    let mut ids = Vec::new();
    for site in &sites {
        ids.push(site.bed().volumes.ensure_created(&wanted("pvc-1")).await.unwrap().id.to_string());
    }
    let shown = |cloud: &str| {
        let series = format!("cinder_csi_unhealthy_volumes{{cloud=\"{cloud}\",reason=\"VolumeError\"}} ");
        let text = recorder.handle().render();
        text.lines().find_map(|line| line.strip_prefix(&series).map(str::to_owned))
    };
    sites[0].cloud.set_status(&ids[0], "error");
    rounds.look().await;
    assert_eq!((shown("east").unwrap(), shown("west").unwrap()), ("1".to_owned(), "0".to_owned()));
    sites[0].set(Line::Cut);
    sites[1].cloud.set_status(&ids[1], "error");
    rounds.look().await;
    assert_eq!((shown("east").unwrap(), shown("west").unwrap()), ("1".to_owned(), "1".to_owned()));
    let looks = recorder.handle().render();
    let failed = "cinder_csi_health_looks_total{cloud=\"east\",result=\"failed\"} 1";
    assert!(looks.contains(failed), "{looks}");
}

#[tokio::test(start_paused = true)]
async fn an_error_of_a_look_names_its_cloud() {
    let (east, west) = (Site::of_zone("east", 1, "a"), Site::of_zone("west", 2, "b"));
    let driver = driver_of(&[&east, &west]);
    let id = west.bed().volumes.ensure_created(&wanted("pvc-1")).await.unwrap().id.to_string();
    assert_eq!(health(&driver, &id).await, []);
    west.set(Line::Cut);
    let request = ControllerGetVolumeHealthRequest { volume_id: id, ..Default::default() };
    let status = driver.controller().controller_get_volume_health(request).await.unwrap_err();
    assert!(status.message().starts_with("cloud \"west\""), "{status}");
}
