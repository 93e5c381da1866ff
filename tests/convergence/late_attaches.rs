//! Attaches that Nova carries out when nobody waits for them any more.

use std::time::Duration;

use cinder_csi::sandbox::{Fault, Mishap, Operation, Settings, Trouble};
use cinder_csi::volume::{Condition, Orphan, VolumeId};
use http::Method;

use super::bed::{Bed, rpc};
use super::{MINUTE, pause, taking, two_volumes};

/// Nova keeps attaches waiting while nova-compute works on another disk of the server: here for five seconds.
async fn a_busy_server() -> (Bed, VolumeId) {
    let bed = Bed::warm(taking(5000)).await;
    let [other, volume] = two_volumes(&bed).await;
    let node = bed.server("node-1");
    rpc(Duration::from_secs(1), bed.volumes.ensure_attached(other, node)).await.unwrap_err();
    bed.calls();
    (bed, volume)
}

async fn is_free_for_an_hour(bed: &Bed, volume: VolumeId) -> bool {
    pause(60 * MINUTE).await;
    bed.volumes.get(volume).await.unwrap().status.to_string() == "available"
}

#[tokio::test(start_paused = true)]
async fn a_detach_waits_for_the_attach_that_nova_keeps_waiting() {
    let (bed, volume) = a_busy_server().await;
    let node = bed.server("node-1");
    let error = rpc(Duration::from_secs(2), bed.volumes.ensure_attached(volume, node)).await.unwrap_err();
    assert!(error.message.contains("Nova hasn't answered"), "{error}");
    let error = rpc(Duration::from_secs(1), bed.volumes.ensure_detached(volume, node, Orphan::Ended)).await;
    assert!(error.unwrap_err().message.contains("is nova-compute of the server's host up?"));
    rpc(MINUTE, bed.volumes.ensure_detached(volume, node, Orphan::Ended)).await.unwrap();
    assert!(is_free_for_an_hour(&bed, volume).await);
}

#[tokio::test(start_paused = true)]
async fn who_asks_again_waits_for_the_same_attach() {
    let (bed, volume) = a_busy_server().await;
    let node = bed.server("node-1");
    rpc(Duration::from_secs(2), bed.volumes.ensure_attached(volume, node)).await.unwrap_err();
    rpc(MINUTE, bed.volumes.ensure_attached(volume, node)).await.unwrap();
    let attaches = bed.calls().into_iter().filter(|call| call.method == Method::POST).count();
    assert_eq!(attaches, 1);
}

#[tokio::test(start_paused = true)]
async fn a_detach_is_not_over_while_an_attach_may_come_that_a_gateway_gave_up() {
    let (bed, volume) = a_busy_server().await;
    let node = bed.server("node-1");
    let path = "/servers/{id}/os-volume_attachments";
    let gives_up = Trouble::GatewayTimeout(Duration::from_secs(1));
    bed.cloud.fault(Fault::on(Method::POST, path, gives_up));
    rpc(Duration::from_secs(2), bed.volumes.ensure_attached(volume, node)).await.unwrap_err();
    let detach = async || rpc(MINUTE, bed.volumes.ensure_detached(volume, node, Orphan::Ended)).await;
    let error = detach().await.unwrap_err();
    assert_eq!(error.condition, Condition::Unsettled, "{error}");
    assert!(error.message.contains("may still carry it out"), "{error}");
    pause(Duration::from_secs(15)).await;
    detach().await.unwrap();
    assert!(is_free_for_an_hour(&bed, volume).await);
    assert_eq!(detach().await, Ok(()), "the doubt has ended with the disk");
}

#[tokio::test(start_paused = true)]
async fn an_attach_that_did_nothing_says_nothing_of_one_before_it() {
    let (bed, volume) = a_busy_server().await;
    let node = bed.server("node-1");
    let path = "/servers/{id}/os-volume_attachments";
    bed.cloud.fault(Fault::on(Method::POST, path, Trouble::GatewayTimeout(Duration::from_millis(500))));
    rpc(Duration::from_secs(1), bed.volumes.ensure_attached(volume, node)).await.unwrap_err();
    bed.cloud.fault(Fault::on(Method::POST, path, Trouble::Refused(409)).always());
    rpc(Duration::from_secs(1), bed.volumes.ensure_attached(volume, node)).await.unwrap_err();
    let error = rpc(MINUTE, bed.volumes.ensure_detached(volume, node, Orphan::Ended)).await.unwrap_err();
    assert_eq!(error.condition, Condition::Unsettled, "{error}");
}

/// Another process has asked after we looked and before it was our turn in the server's line.
#[tokio::test(start_paused = true)]
async fn a_refusal_is_not_final_while_nova_carries_out_what_another_process_asked_for() {
    let (bed, before) = a_busy_server().await;
    let node = bed.server("node-1");
    bed.cloud.mishap(Mishap::Takes(Operation::Create, Duration::ZERO));
    let volume: VolumeId = bed.cloud.make_volume("pvc-3", 1).unwrap().id.parse().unwrap();
    let attach = async |volume| rpc(MINUTE, bed.volumes.ensure_attached(volume, node)).await;
    let another = async {
        pause(Duration::from_secs(2)).await;
        assert!(bed.cloud.attach_volume(&node.to_string(), &volume.to_string()));
        let refused = Trouble::Refused(401);
        bed.cloud.fault(Fault::on(Method::POST, "/servers/{id}/os-volume_attachments", refused).always());
    };
    let (_, refused, ()) = tokio::join!(attach(before), attach(volume), another);
    let error = refused.unwrap_err();
    assert!(error.message.contains("HTTP 401"), "{error}");
    assert_eq!(error.condition, Condition::Unsettled, "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_never_comes_keeps_no_other_disk_of_the_server_waiting() {
    let bed = Bed::warm(taking(1000)).await;
    let [first, second] = two_volumes(&bed).await;
    let node = bed.server("node-1");
    bed.cloud.fault(Fault::on(Method::POST, "/servers/{id}/os-volume_attachments", Trouble::ReplyLost));
    rpc(Duration::from_secs(5), bed.volumes.ensure_attached(first, node)).await.unwrap_err();
    rpc(Duration::from_secs(5), bed.volumes.ensure_attached(first, node)).await.unwrap();
    rpc(Duration::from_secs(5), bed.volumes.ensure_attached(second, node)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn nothing_comes_to_a_server_that_is_gone() {
    let bed = Bed::warm(Settings::default()).await;
    let [volume, _] = two_volumes(&bed).await;
    let node = bed.server("node-1");
    bed.cloud.fault(Fault::on(Method::POST, "/servers/{id}/os-volume_attachments", Trouble::Refused(503)));
    bed.cloud.delete_server(&node.to_string());
    rpc(Duration::from_secs(5), bed.volumes.ensure_attached(volume, node)).await.unwrap_err();
    rpc(MINUTE, bed.volumes.ensure_detached(volume, node, Orphan::Ended)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_attach_without_an_answer_that_never_comes_holds_up_a_detach_for_two_minutes() {
    let bed = Bed::warm(Settings::default()).await;
    let [volume, _] = two_volumes(&bed).await;
    let node = bed.server("node-1");
    bed.cloud.fault(Fault::on(Method::POST, "/servers/{id}/os-volume_attachments", Trouble::ResetAfter));
    bed.cloud.mishap(Mishap::Fails(Operation::Attach, "no target".to_owned()));
    rpc(Duration::from_secs(5), bed.volumes.ensure_attached(volume, node)).await.unwrap_err();
    let detach = async || rpc(MINUTE, bed.volumes.ensure_detached(volume, node, Orphan::Ended)).await;
    assert_eq!(detach().await.unwrap_err().condition, Condition::Unsettled);
    pause(2 * MINUTE).await;
    detach().await.unwrap();
}
