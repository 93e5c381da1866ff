//! ListVolumes: pages over one and two clouds while volumes come and go. Time is tokio's, and paused.

#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

#[path = "bed/bed.rs"]
mod bed;
#[path = "bed/driver.rs"]
mod driver;
#[path = "bed/site.rs"]
mod site;

use std::time::Duration;

use bed::{Bed, options, printed, wanted};
use cinder_csi::csi::proto::*;
use cinder_csi::openstack::{Cloud, Limits, NewVolume, Options};
use cinder_csi::pace;
use cinder_csi::sandbox::{Quota, Settings};
use cinder_csi::volume::{Volumes, Wanted};
use driver::Driver;
use site::{Line, Site, driver_of};
use tonic::{Code, Status};

const SECOND: Duration = Duration::from_secs(1);

/// A driver over clouds of these names, and the clouds.
fn over(names: [&'static str; 2]) -> (Driver, [Site; 2]) {
    let [first, second] = names;
    let sites = [Site::of_zone(first, 1, "a"), Site::of_zone(second, 2, "b")];
    (driver_of(&[&sites[0], &sites[1]]), sites)
}

async fn list(driver: &Driver, max: i32, token: &str) -> Result<(Vec<String>, String), Status> {
    let request = ListVolumesRequest { max_entries: max, starting_token: token.to_owned() };
    let answer = driver.controller().list_volumes(request).await?.into_inner();
    assert!(max == 0 || answer.entries.len() <= usize::try_from(max).unwrap());
    let ids = answer.entries.into_iter().map(|entry| entry.volume.unwrap().volume_id).collect();
    Ok((ids, answer.next_token))
}

/// The whole list, page by page, and how many pages it took.
async fn all(driver: &Driver, max: i32) -> (Vec<String>, usize) {
    let (mut ids, mut token) = list(driver, max, "").await.unwrap();
    let mut pages = 1;
    while !token.is_empty() {
        let (more, next) = list(driver, max, &token).await.unwrap();
        (token, pages) = (next, pages + 1);
        ids.extend(more);
    }
    (ids, pages)
}

/// Makes volumes, oldest first; those in one group within one second.
async fn made(bed: &Bed, names: &[&str]) -> Vec<String> {
    let mut ids = Vec::new();
    for name in names {
        ids.push(bed.volumes.ensure_created(&wanted(name)).await.unwrap().id.to_string());
    }
    ids
}

async fn delete(bed: &Bed, id: &str) {
    bed.volumes.ensure_deleted(id.parse().unwrap()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_oldest_come_first_and_every_page_size_shows_each_once() {
    let bed = Bed::new(Settings::default());
    let driver = Driver::in_memory(bed.volumes.clone());
    assert_eq!(list(&driver, 3, "").await.unwrap(), (Vec::new(), String::new()));
    let mut ids = Vec::new();
    for names in [["a", "b", "c"], ["d", "e", "f"]] {
        ids.extend(made(&bed, &names).await);
        pace::sleep(SECOND).await;
    }
    for (max, pages) in [(0, 1), (1, 6), (2, 3), (4, 2), (6, 1), (7, 1), (5000, 1)] {
        let (mut shown, took) = all(&driver, max).await;
        assert_eq!(took, pages, "pages of {max}");
        assert_eq!(shown.len(), 6, "pages of {max}");
        shown.sort();
        shown.dedup();
        assert_eq!(shown.len(), 6, "pages of {max} show one twice");
    }
    let (first, token) = list(&driver, 3, "").await.unwrap();
    assert!(first.iter().all(|id| ids[..3].contains(id)) && !token.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_list_says_where_each_volume_is_published() {
    let bed = Bed::new(Settings::default());
    let driver = Driver::in_memory(bed.volumes.clone());
    let ids = made(&bed, &["a", "b"]).await;
    let server = bed.server("node-1");
    bed.volumes.ensure_attached(ids[0].parse().unwrap(), server).await.unwrap();
    let answer = driver.controller().list_volumes(ListVolumesRequest::default()).await.unwrap().into_inner();
    for entry in answer.entries {
        let (volume, status) = (entry.volume.unwrap(), entry.status.unwrap());
        let expected = if volume.volume_id == ids[0] { vec![server.to_string()] } else { Vec::new() };
        assert_eq!((volume.capacity_bytes, status.published_node_ids), (1 << 30, expected));
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_and_goes_between_pages_hides_nothing_and_shows_nothing_twice() {
    for spread in [SECOND, Duration::ZERO] {
        let bed = Bed::new(Settings::default());
        let driver = Driver::in_memory(bed.volumes.clone());
        let mut ids = Vec::new();
        for name in ["a", "b", "c", "d", "e", "f"] {
            ids.extend(made(&bed, &[name]).await);
            pace::sleep(spread).await;
        }
        let (first, token) = list(&driver, 2, "").await.unwrap();
        // The one that the token stands on, one before it, one after it; and a new one.
        let rest: Vec<_> = ids.iter().filter(|id| !first.contains(id)).cloned().collect();
        for gone in [&first[1], &first[0], &rest[0]] {
            delete(&bed, gone).await;
        }
        pace::sleep(SECOND).await;
        let new = made(&bed, &["new"]).await;
        bed.calls();
        let (second, token) = list(&driver, 2, &token).await.unwrap();
        let mut calls = bed.calls();
        calls.retain(|call| call.path == "/volumes/detail");
        assert_eq!(calls.len(), 2, "the marker is gone, the time is asked for:\n{}", printed(&calls));
        assert!(calls[1].query.contains("created_at=gte"), "{}", printed(&calls));
        let (third, token) = list(&driver, 2, &token).await.unwrap();
        assert_eq!(token, "");
        let (mut shown, mut expected) = ([second, third].concat(), [&rest[1..], &new].concat());
        assert_eq!(shown.last(), new.last(), "what is new is at the end");
        shown.sort();
        expected.sort();
        assert_eq!(shown, expected, "made within {spread:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn below_3_60_a_place_that_is_gone_is_aborted() {
    let bed = Bed::new(Settings { block_storage: (3, 59), ..Settings::default() });
    let driver = Driver::in_memory(bed.volumes.clone());
    made(&bed, &["a", "b", "c"]).await;
    let (first, token) = list(&driver, 1, "").await.unwrap();
    assert_eq!(list(&driver, 2, &token).await.unwrap().0.len(), 2);
    delete(&bed, &first[0]).await;
    let status = list(&driver, 2, &token).await.unwrap_err();
    assert_eq!(status.code(), Code::Aborted, "{status}");
    assert!(status.message().contains("3.60") && status.message().contains("start"), "{status}");
}

#[tokio::test(start_paused = true)]
async fn settings_that_fit_no_cloud_are_told_and_no_token_is_blamed() {
    let bed = Bed::new(Settings::default());
    let nowhere = Options { region: Some("Nope".to_owned()), ..options("csi", "k8s") };
    let driver = Driver::in_memory(Volumes::new(Cloud::new(bed.cloud.http(), nowhere)));
    let status = list(&driver, 0, "").await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
    assert!(status.message().contains("region Nope"), "{status}");
}

#[tokio::test(start_paused = true)]
async fn pages_go_on_from_one_cloud_to_the_next() {
    let (driver, sites) = over(["", "east"]);
    let mut ids = made(&sites[0].bed(), &["a", "b", "c"]).await;
    ids.extend(made(&sites[1].bed(), &["d", "e"]).await);
    for (max, pages) in [(0, 1), (1, 5), (2, 3), (3, 2), (4, 2), (5, 1)] {
        let (mut shown, took) = all(&driver, max).await;
        assert_eq!(took, pages, "pages of {max}");
        shown.sort();
        ids.sort();
        assert_eq!(shown, ids, "pages of {max}");
    }
    // A token at the border of the clouds, and what it names is gone.
    let (first, token) = list(&driver, 3, "").await.unwrap();
    for id in &first {
        delete(&sites[0].bed(), id).await;
    }
    assert_eq!(list(&driver, 9, &token).await.unwrap().0.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_cannot_be_asked_fails_the_list_and_is_named() {
    let (driver, sites) = over(["east", "west"]);
    made(&sites[0].bed(), &["a"]).await;
    sites[1].set(Line::Cut);
    let status = list(&driver, 0, "").await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert!(status.message().contains("\"west\""), "{status}");
}

#[tokio::test(start_paused = true)]
async fn a_token_of_nowhere_is_aborted() {
    let (driver, sites) = over(["east", "west"]);
    made(&sites[0].bed(), &["a", "b"]).await;
    let (_, token) = list(&driver, 1, "").await.unwrap();
    let (northern, north) = over(["north", "south"]);
    made(&north[0].bed(), &["a", "b"]).await;
    let (_, elsewhere) = list(&northern, 1, "").await.unwrap();
    assert!(!token.is_empty() && !elsewhere.is_empty());
    let cut = &token[..token.len() - 9];
    for bad in ["x", "6f1f0c66-4c3e-4b7e-9d51-0a1b2c3d4e5f", elsewhere.as_str(), cut, &token[1..]] {
        let status = list(&driver, 1, bad).await.unwrap_err();
        assert_eq!(status.code(), Code::Aborted, "{bad}: {status}");
        assert!(status.message().contains("starting_token"), "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_this_clusters_volumes_where_that_is_asked_for() {
    let bed = Bed::new(Settings::default());
    let ours = made(&bed, &["a", "b", "c"]).await;
    let foreign = Wanted { cluster: "other".to_owned(), ..wanted("d") };
    bed.volumes.ensure_created(&foreign).await.unwrap();
    let unmarked = serde_json::json!({"volume": {"size": 1, "name": "by hand"}});
    bed.post_to_cinder("/volumes", unmarked).await;
    let everything = Driver::in_memory(bed.volumes.clone());
    assert_eq!(all(&everything, 2).await.0.len(), 5);
    let only = Driver::over([(String::new(), bed.volumes.clone())].into(), true);
    for max in [0, 1, 2] {
        let (mut shown, mut expected) = (all(&only, max).await.0, ours.clone());
        shown.sort();
        expected.sort();
        assert_eq!(shown, expected, "pages of {max}");
    }
    // The token's volume goes, and the filter stays.
    let (first, token) = list(&only, 1, "").await.unwrap();
    delete(&bed, &first[0]).await;
    assert_eq!(list(&only, 0, &token).await.unwrap().0.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_limit_gets_a_thousand_and_a_token_for_the_rest() {
    let quota = Quota { volumes: 3000, gigabytes: 3000, ..Settings::default().quota };
    let bed = Bed::new(Settings { quota, ..Settings::default() });
    let driver = Driver::in_memory(bed.volumes.clone());
    crowd(&bed, 1800).await;
    pace::sleep(SECOND).await;
    crowd(&bed, 700).await;
    list(&driver, 1, "").await.unwrap();
    bed.calls();
    let (ids, pages) = all(&driver, 0).await;
    let calls = bed.calls();
    assert_eq!((ids.len(), pages, calls.len()), (2500, 3, 3), "{}", printed(&calls));
    // 1,500 volumes of one second are passed by, though the one that the token stands on is gone.
    let (_, token) = list(&driver, 0, "").await.unwrap();
    let (second, mut token) = list(&driver, 500, &token).await.unwrap();
    delete(&bed, second.last().unwrap()).await;
    let mut rest = Vec::new();
    while !token.is_empty() {
        let (more, next) = list(&driver, 0, &token).await.unwrap();
        rest.extend(more);
        token = next;
    }
    assert_eq!(rest, ids[1500..]);
}

/// So many volumes, all within one second.
async fn crowd(bed: &Bed, count: usize) {
    let limits = Limits { per_second: 1_000_000, burst: 1_000_000, concurrent: 64, ..Limits::default() };
    let cinder = Cloud::limited(bed.cloud.http(), options("csi", "k8s"), limits).cinder;
    for n in 0..count {
        let name = format!("crowd-{n}");
        let new = NewVolume {
            name,
            description: String::new(),
            size: 1,
            volume_type: None,
            availability_zone: None,
            metadata: Default::default(),
            ..NewVolume::default()
        };
        cinder.create_volume(&new).await.unwrap();
    }
}
