//! Snapshots are listed in pages that stay what they are while others come and go.

use std::collections::{BTreeSet, HashMap};

use cinder_csi::sandbox::{Fault, Settings, Trouble};
use cinder_csi::volume::{Condition, SnapshotId, VolumeId};
use http::Method;

use super::bed::{Bed, listed, wanted};
use super::{made, with_volume};

async fn several(bed: &Bed, volume: VolumeId, names: std::ops::Range<usize>) -> Vec<SnapshotId> {
    let mut ids = Vec::new();
    for n in names {
        ids.push(made(bed, &format!("snap-{n}"), volume).await);
    }
    ids
}

#[tokio::test(start_paused = true)]
async fn pages_have_their_limit_and_end() {
    let (bed, volume) = with_volume(Settings::default()).await;
    let ids: BTreeSet<_> = several(&bed, volume, 0..7).await.into_iter().collect();
    for limit in [None, Some(1), Some(2), Some(3), Some(6), Some(7), Some(8), Some(5000)] {
        bed.calls();
        let all = listed(&bed.volumes, limit).await;
        assert_eq!(all.len(), 7, "{limit:?}");
        assert_eq!(all.iter().map(|saved| saved.id()).collect::<BTreeSet<_>>(), ids, "{limit:?}");
        let pages = 7usize.div_ceil(limit.unwrap_or(1000) as usize);
        let calls = bed.calls().len();
        assert!(calls <= pages + 1, "{limit:?}: {calls} calls for {pages} pages");
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_volumes_own_snapshots_are_listed_for_it() {
    let (bed, volume) = with_volume(Settings::default()).await;
    let other = bed.volumes.ensure_created(&wanted("pvc-2")).await.unwrap().id;
    several(&bed, volume, 0..3).await;
    let theirs = several(&bed, other, 3..5).await;
    let page = bed.volumes.page_saved(Some(other), Some(1), None).await.unwrap();
    assert_eq!(page.items[0].id(), theirs[0]);
    let page = bed.volumes.page_saved(Some(other), Some(1), page.next).await.unwrap();
    assert_eq!((page.items[0].id(), page.next), (theirs[1], None));
    let nowhere = "6f1f0c66-4c3e-4b7e-9d51-0a1b2c3d4e5f".parse().unwrap();
    let page = bed.volumes.page_saved(Some(nowhere), None, None).await.unwrap();
    assert_eq!((page.items.len(), page.next), (0, None));
}

/// Whatever is there from the first page to the last is told once; nothing is told twice.
#[tokio::test(start_paused = true)]
async fn no_snapshot_is_missed_or_told_twice_while_others_come_and_go() {
    for seed in 0..20 {
        fastrand::seed(seed);
        let (bed, volume) = with_volume(Settings { seed, ..Settings::default() }).await;
        let mut there = several(&bed, volume, 0..16).await;
        let (mut staying, mut told): (BTreeSet<_>, HashMap<SnapshotId, usize>) =
            (there.iter().copied().collect(), HashMap::new());
        let (mut place, mut made) = (None, 16);
        loop {
            let page = bed.volumes.page_saved(None, Some(4), place).await.unwrap();
            page.items.iter().for_each(|saved| *told.entry(saved.id()).or_default() += 1);
            let last = page.items.last().map(|saved| saved.id());
            place = page.next;
            if place.is_none() {
                break;
            }
            // Sometimes the very one that the token names, and others.
            for _ in 0..2 {
                let index = fastrand::usize(..there.len());
                let gone =
                    last.filter(|last| fastrand::bool() && there.contains(last)).unwrap_or(there[index]);
                bed.volumes.ensure_snapshot_deleted(gone).await.unwrap();
                there.retain(|id| *id != gone);
                staying.remove(&gone);
            }
            there.extend(several(&bed, volume, made..made + 2).await);
            made += 2;
        }
        let twice: Vec<_> = told.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "seed {seed}: told twice: {twice:?}");
        let missed: Vec<_> = staying.iter().filter(|id| !told.contains_key(id)).collect();
        assert!(missed.is_empty(), "seed {seed}: missed: {missed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_whose_every_mark_is_gone_starts_over() {
    let (bed, volume) = with_volume(Settings::default()).await;
    several(&bed, volume, 0..8).await;
    let page = bed.volumes.page_saved(None, Some(4), None).await.unwrap();
    for told in &page.items {
        bed.volumes.ensure_snapshot_deleted(told.id()).await.unwrap();
    }
    let error = bed.volumes.page_saved(None, Some(4), page.next).await.unwrap_err();
    assert_eq!(error.condition, Condition::StaleToken, "{error}");
    assert_eq!(listed(&bed.volumes, Some(4)).await.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_list_of_half_of_it_is_an_error() {
    let (bed, volume) = with_volume(Settings::default()).await;
    several(&bed, volume, 0..2).await;
    bed.cloud.fault(Fault::on(Method::GET, "/backups/detail", Trouble::Refused(503)).always());
    let error = bed.volumes.page_saved(None, None, None).await.unwrap_err();
    assert_eq!(error.condition, Condition::Unavailable, "{error}");
}
