//! What another process does between a look and what comes of it. Found by `src/volume/exhaustive/one_name.rs`.

use std::time::Duration;

use cinder_csi::sandbox::{Fault, Mishap, Operation, Settings, Trouble};
use cinder_csi::volume::{Condition, VolumeId};
use http::Method;
use serde_json::json;

use crate::bed::{Bed, rpc, wanted};
use crate::{MINUTE, pause, taking};

const LATE: Duration = Duration::from_secs(5);

/// As an attempt of another process makes it, which has died since.
async fn made_by_another(bed: &Bed, name: &str) -> VolumeId {
    let metadata = json!({
        "cinder.csi.openstack.org/cluster": "kubernetes", "cinder.csi.openstack.org/attempt": "another"});
    let order = json!({"volume": {"name": name, "size": 1, "metadata": metadata}});
    bed.post_to_cinder("/volumes", order).await["volume"]["id"].as_str().unwrap().parse().unwrap()
}

/// The next list is answered as it was, and late.
fn lists_are_late(bed: &Bed) {
    bed.cloud.fault(Fault::on(Method::GET, "/volumes/detail", Trouble::Slow(LATE)));
}

#[tokio::test(start_paused = true)]
async fn one_that_lost_and_was_promised_since_stays() {
    let bed = Bed::warm(Settings::default()).await;
    made_by_another(&bed, "pvc-1").await;
    pause(Duration::from_secs(2)).await;
    let newer = made_by_another(&bed, "pvc-1").await;
    pause(11 * MINUTE).await;
    lists_are_late(&bed);
    let promise = async {
        pause(LATE / 2).await;
        let settled = json!({"metadata": {"cinder.csi.openstack.org/settled": newer.to_string()}});
        bed.post_to_cinder(&format!("/volumes/{newer}/metadata"), settled).await;
    };
    let name = wanted("pvc-1");
    let (created, ()) = tokio::join!(rpc(MINUTE, bed.volumes.ensure_created(&name)), promise);
    assert_eq!(created.unwrap().id, newer);
    let left: Vec<_> = bed.all().await.iter().map(|volume| volume.id).collect();
    assert_eq!(left, [newer]);
}

#[tokio::test(start_paused = true)]
async fn one_that_goes_while_it_is_marked_is_not_answered() {
    let bed = Bed::warm(taking(30_000)).await;
    let found = made_by_another(&bed, "pvc-1").await;
    pause(MINUTE).await;
    lists_are_late(&bed);
    let other = bed.volumes.clone();
    let removal = async {
        pause(LATE / 2).await;
        rpc(MINUTE, other.ensure_deleted(found)).await.unwrap();
    };
    let name = wanted("pvc-1");
    let (created, ()) = tokio::join!(rpc(MINUTE, bed.volumes.ensure_created(&name)), removal);
    assert_eq!(created.unwrap_err().condition, Condition::Unsettled);
    let created = rpc(2 * MINUTE, bed.volumes.ensure_created(&name)).await.unwrap();
    assert_ne!(created.id, found);
}

#[tokio::test(start_paused = true)]
async fn while_a_post_may_still_be_carried_out_the_end_of_another_one_is_not_final() {
    let bed = Bed::warm(taking(1_000)).await;
    bed.cloud.fault(Fault::on(Method::POST, "/volumes", Trouble::ResetBefore));
    let name = wanted("pvc-1");
    let broken = async {
        pause(Duration::from_secs(1)).await;
        bed.cloud.mishap(Mishap::Fails(Operation::Create, "no room".to_owned()));
        made_by_another(&bed, "pvc-1").await;
    };
    let (created, ()) = tokio::join!(rpc(MINUTE, bed.volumes.ensure_created(&name)), broken);
    let error = created.unwrap_err();
    assert_eq!(error.condition, Condition::Unsettled, "{error}");
    assert!(bed.all().await.is_empty());
    rpc(MINUTE, bed.volumes.ensure_created(&name)).await.unwrap();
}
