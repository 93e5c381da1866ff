//! Lists show late what is new, and a process remembers what it made.

use std::time::Duration;

use cinder_csi::sandbox::{Fault, Mishap, Operation, Settings, Trouble};
use cinder_csi::volume::{Condition, VolumeId};
use http::Method;

use crate::bed::{Bed, controller, rpc, wanted};
use crate::{MINUTE, pause, taking};

async fn ids(bed: &Bed) -> Vec<VolumeId> {
    bed.all().await.iter().map(|volume| volume.id).collect()
}

#[tokio::test(start_paused = true)]
async fn a_name_that_lists_show_late_still_ends_with_one_volume() {
    let bed = Bed::warm(Settings::default()).await;
    bed.cloud.mishap(Mishap::Unlisted(Operation::Create, Duration::from_secs(3)));
    bed.cloud.fault(Fault::on(Method::POST, "/volumes", Trouble::ResetAfter));
    let name = wanted("pvc-1");
    let first = rpc(Duration::from_secs(1), bed.volumes.ensure_created(&name)).await.unwrap_err();
    assert_eq!(first.condition, Condition::TimedOut, "{first}");
    // The second call doesn't see the first one's volume yet, makes another, and promises that one.
    let promised = rpc(MINUTE, bed.volumes.ensure_created(&name)).await.unwrap().id;
    pause(Duration::from_secs(11 * 60)).await;
    assert_eq!(bed.all().await.len(), 2);
    assert_eq!(rpc(MINUTE, bed.volumes.ensure_created(&name)).await.unwrap().id, promised);
    assert_eq!(ids(&bed).await, [promised]);
}

/// Seed 1072 of an earlier plan: the second call made a second one.
#[tokio::test(start_paused = true)]
async fn what_an_earlier_call_made_is_waited_for() {
    let bed = Bed::warm(taking(300)).await;
    bed.cloud.mishap(Mishap::Unlisted(Operation::Create, Duration::from_secs(30)));
    let name = wanted("pvc-1");
    let first = rpc(Duration::from_secs(5), bed.volumes.ensure_created(&name)).await.unwrap_err();
    assert_eq!(first.condition, Condition::TimedOut, "{first}");
    let made = rpc(MINUTE, bed.volumes.ensure_created(&name)).await.unwrap().id;
    pause(MINUTE).await;
    assert_eq!(ids(&bed).await, [made]);
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_call_made_goes_where_another_process_was_first() {
    let bed = Bed::warm(taking(300)).await;
    bed.cloud.mishap(Mishap::Unlisted(Operation::Create, Duration::from_secs(90)));
    let name = wanted("pvc-1");
    rpc(Duration::from_secs(5), bed.volumes.ensure_created(&name)).await.unwrap_err();
    let promised = rpc(MINUTE, controller(&bed.cloud).ensure_created(&name)).await.unwrap().id;
    assert_eq!(rpc(MINUTE, bed.volumes.ensure_created(&name)).await.unwrap().id, promised);
    pause(2 * MINUTE).await;
    assert_eq!(ids(&bed).await, [promised]);
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_call_made_and_its_owner_deleted_is_made_anew() {
    let bed = Bed::warm(taking(300)).await;
    bed.cloud.mishap(Mishap::Unlisted(Operation::Create, Duration::from_secs(600)));
    let name = wanted("pvc-1");
    rpc(Duration::from_secs(5), bed.volumes.ensure_created(&name)).await.unwrap_err();
    let made = bed.cloud.volumes();
    assert!(bed.cloud.delete_volume(&made[0].id));
    pause(MINUTE).await;
    let next = rpc(MINUTE, bed.volumes.ensure_created(&name)).await.unwrap().id;
    assert_eq!(ids(&bed).await, [next]);
    assert_ne!(next.to_string(), made[0].id);
}
