//! No code says more than is known: every mutation, through the real gRPC server, in every trouble.
//!
//! A sidecar that takes a code as final forgets what it had begun, and what the cloud then still holds is lost for ever.
//! So after each call the cloud itself is asked what it holds; and after the orchestrator's honest retries it must hold
//! what was asked for, and nothing else.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

#[path = "bed/bed.rs"]
mod bed;
#[path = "bed/driver.rs"]
mod driver;
#[path = "codes/groups.rs"]
mod groups;
#[path = "codes/mutation.rs"]
mod mutation;
#[path = "codes/saved.rs"]
mod saved;
#[path = "bed/sidecar.rs"]
mod sidecar;
#[path = "codes/stand.rs"]
mod stand;
#[path = "codes/trouble.rs"]
mod trouble;

use std::time::Duration;

use cinder_csi::pace;
use cinder_csi::sandbox::{Mishap, Operation, Trouble};
use stand::{Outcome, Rpc, Stand};
use tokio::time::Instant;
use tonic::Code;
use trouble::{Case, End, cases};

/// Calls of one request, as the sidecars' backoff makes them.
const CALLS: usize = 30;
const BETWEEN_CALLS: Duration = Duration::from_secs(1);
/// After this nothing that was begun is still on its way.
const LATER: Duration = Duration::from_secs(120);

/// What one case showed: what was answered, and what is wrong with that.
struct Judged {
    codes: Vec<Code>,
    wrong: Option<String>,
}

async fn judge(rpc: Rpc, case: &Case) -> Judged {
    let stand = Stand::new(rpc).await;
    case.faults.iter().for_each(|fault| stand.cloud.fault(fault.clone()));
    case.mishaps.iter().for_each(|mishap| stand.cloud.mishap(mishap.clone()));
    let mut codes = Vec::new();
    let wrong = converge(&stand, case, &mut codes).await.err();
    Judged { codes, wrong }
}

/// Calls until the code is final, and again after errors that a sidecar repeats.
async fn converge(stand: &Stand, case: &Case, codes: &mut Vec<Code>) -> Result<(), String> {
    let mut last = None;
    for call in 1..=CALLS {
        if call == 2 {
            case.later.iter().for_each(|fault| stand.cloud.fault(fault.clone()));
        }
        if call == case.calls_in_trouble + 1 {
            stand.cloud.clear_faults();
        }
        let outcome = stand.call(case.patience).await;
        codes.push(outcome.code);
        honest(stand, &outcome).await?;
        let repeated = matches!(
            stand.rpc,
            Rpc::Delete | Rpc::Unpublish | Rpc::DeleteSnapshot | Rpc::DeleteBackup | Rpc::DeleteGroup
        );
        let ended = outcome.ready || stand.rpc.sidecar().is_final(outcome.code);
        last = Some(outcome.clone());
        if outcome.ready || (ended && !repeated) {
            break;
        }
        pace::sleep(BETWEEN_CALLS).await;
    }
    let Some(outcome) = last else { return Err("never called".to_owned()) };
    pace::sleep(LATER).await;
    settled(stand, case, &outcome).await
}

/// A code may be final only where the cloud holds nothing that the RPC began.
async fn honest(stand: &Stand, outcome: &Outcome) -> Result<(), String> {
    let Outcome { code, message, ready } = outcome;
    if message.is_empty() && *code != Code::Ok {
        return Err(format!("{code:?} without a word"));
    }
    if *code == Code::Ok {
        let missing = stand.missing(*ready).await;
        return missing.map_or(Ok(()), |shown| Err(format!("OK, and the cloud has {shown}")));
    }
    match stand.unfinished().await {
        Some(held) if stand.rpc.sidecar().is_final(*code) => Err(format!(
            "{code:?} is final for the {:?}, and the cloud has {held}: {message}",
            stand.rpc.sidecar()
        )),
        _ => Ok(()),
    }
}

/// Long after the last call the cloud must hold what that call said.
async fn settled(stand: &Stand, case: &Case, outcome: &Outcome) -> Result<(), String> {
    let Outcome { code, message, ready } = outcome;
    let is_final = stand.rpc.sidecar().is_final(*code);
    match (*code, case.ends) {
        (_, End::Never) => Ok(()),
        (Code::Ok, _) if !ready => Err("is never ready to use".to_owned()),
        (Code::Ok, _) => {
            let missing = stand.missing(true).await;
            missing.map_or(Ok(()), |shown| Err(format!("was OK, and later the cloud has {shown}")))
        }
        (_, End::Either) if is_final => {
            let held = stand.unfinished().await;
            held.map_or(Ok(()), |held| {
                Err(format!("was {code:?}, and later the cloud has {held}: {message}"))
            })
        }
        _ => Err(format!("ends with {code:?}: {message}")),
    }
}

async fn judge_all(rpc: Rpc) {
    let mut wrong = Vec::new();
    for case in cases(rpc) {
        let judged = judge(rpc, &case).await;
        if let Some(why) = judged.wrong {
            wrong.push(format!("{rpc:?}: {}\n    {why}\n    codes: {:?}", case.name, judged.codes));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn create_volume_is_honest_in_every_trouble() {
    judge_all(Rpc::Create).await;
}

#[tokio::test(start_paused = true)]
async fn create_volume_from_a_snapshot_is_honest_in_every_trouble() {
    judge_all(Rpc::Restore).await;
}

#[tokio::test(start_paused = true)]
async fn create_volume_from_a_backup_is_honest_in_every_trouble() {
    judge_all(Rpc::RestoreBackup).await;
}

#[tokio::test(start_paused = true)]
async fn create_volume_from_a_volume_is_honest_in_every_trouble() {
    judge_all(Rpc::Clone).await;
}

#[tokio::test(start_paused = true)]
async fn delete_volume_is_honest_in_every_trouble() {
    judge_all(Rpc::Delete).await;
}

#[tokio::test(start_paused = true)]
async fn controller_publish_volume_is_honest_in_every_trouble() {
    judge_all(Rpc::Publish).await;
}

#[tokio::test(start_paused = true)]
async fn controller_unpublish_volume_is_honest_in_every_trouble() {
    judge_all(Rpc::Unpublish).await;
}

#[tokio::test(start_paused = true)]
async fn controller_expand_volume_is_honest_in_every_trouble() {
    judge_all(Rpc::Expand).await;
}

#[tokio::test(start_paused = true)]
async fn create_snapshot_is_honest_in_every_trouble() {
    judge_all(Rpc::Snapshot).await;
}

#[tokio::test(start_paused = true)]
async fn delete_snapshot_is_honest_in_every_trouble() {
    judge_all(Rpc::DeleteSnapshot).await;
}

#[tokio::test(start_paused = true)]
async fn create_snapshot_of_a_backup_is_honest_in_every_trouble() {
    judge_all(Rpc::Backup).await;
}

#[tokio::test(start_paused = true)]
async fn delete_snapshot_of_a_backup_is_honest_in_every_trouble() {
    judge_all(Rpc::DeleteBackup).await;
}

#[tokio::test(start_paused = true)]
async fn controller_modify_volume_is_honest_in_every_trouble() {
    judge_all(Rpc::Modify).await;
}

#[tokio::test(start_paused = true)]
async fn create_volume_group_snapshot_is_honest_in_every_trouble() {
    judge_all(Rpc::Group).await;
}

#[tokio::test(start_paused = true)]
async fn delete_volume_group_snapshot_is_honest_in_every_trouble() {
    judge_all(Rpc::DeleteGroup).await;
}

/// A clear no is told at once, in the vocabulary of the CSI error tables.
#[tokio::test(start_paused = true)]
async fn a_refusal_has_the_code_that_says_what_to_do() {
    use Code::*;
    for (rpc, status, code) in [
        (Rpc::Create, 400, InvalidArgument),
        (Rpc::Create, 401, Unauthenticated),
        (Rpc::Create, 403, PermissionDenied),
        (Rpc::Create, 404, InvalidArgument),
        // Real Cinder sends Retry-After: 0 with it, and waiting doesn't help.
        (Rpc::Create, 413, ResourceExhausted),
        (Rpc::Restore, 400, InvalidArgument),
        (Rpc::Restore, 413, ResourceExhausted),
        (Rpc::RestoreBackup, 400, InvalidArgument),
        (Rpc::Clone, 403, PermissionDenied),
        (Rpc::Publish, 400, FailedPrecondition),
        (Rpc::Publish, 401, Unauthenticated),
        (Rpc::Publish, 403, PermissionDenied),
        // The server and the volume are both there: whatever Nova missed, it says nothing for good.
        (Rpc::Publish, 404, Aborted),
        (Rpc::Publish, 409, FailedPrecondition),
        (Rpc::Expand, 400, FailedPrecondition),
        (Rpc::Expand, 401, Unauthenticated),
        (Rpc::Expand, 403, PermissionDenied),
        (Rpc::Expand, 413, ResourceExhausted),
        // What Cinder doesn't do is infeasible to the resizer, so that another class can be chosen.
        (Rpc::Modify, 400, InvalidArgument),
        (Rpc::Modify, 401, Unauthenticated),
        (Rpc::Modify, 403, PermissionDenied),
        (Rpc::Modify, 404, InvalidArgument),
        (Rpc::Modify, 409, FailedPrecondition),
        // RESOURCE_EXHAUSTED would hold the resizer to this class for ever.
        (Rpc::Modify, 413, FailedPrecondition),
        (Rpc::Delete, 400, FailedPrecondition),
        (Rpc::Delete, 403, PermissionDenied),
        (Rpc::Unpublish, 400, FailedPrecondition),
        (Rpc::Snapshot, 400, FailedPrecondition),
        (Rpc::Snapshot, 403, PermissionDenied),
        (Rpc::Snapshot, 404, NotFound),
        (Rpc::Snapshot, 413, ResourceExhausted),
        (Rpc::Backup, 400, FailedPrecondition),
        (Rpc::Backup, 403, PermissionDenied),
        (Rpc::Backup, 413, ResourceExhausted),
        (Rpc::DeleteSnapshot, 400, FailedPrecondition),
        (Rpc::DeleteSnapshot, 403, PermissionDenied),
        (Rpc::DeleteBackup, 400, FailedPrecondition),
        (Rpc::DeleteBackup, 403, PermissionDenied),
    ] {
        let stand = Stand::new(rpc).await;
        stand.cloud.fault(rpc.mutations()[0].meets(Trouble::Refused(status)).always());
        let started = Instant::now();
        let outcome = stand.call(Duration::from_secs(60)).await;
        assert_eq!(outcome.code, code, "{rpc:?} {status}: {}", outcome.message);
        assert!(outcome.message.contains("req-"), "{rpc:?} {status}: {}", outcome.message);
        assert!(started.elapsed() < Duration::from_secs(2), "{rpc:?} {status}: {:?}", started.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_cloud_gave_up_is_final_and_told_soon() {
    for (rpc, code) in [
        (Rpc::Create, Code::ResourceExhausted),
        (Rpc::Restore, Code::ResourceExhausted),
        (Rpc::RestoreBackup, Code::Internal),
        (Rpc::Clone, Code::ResourceExhausted),
        (Rpc::Delete, Code::Internal),
        (Rpc::Publish, Code::Internal),
        (Rpc::Unpublish, Code::Internal),
        (Rpc::Expand, Code::Internal),
        (Rpc::Snapshot, Code::Internal),
        (Rpc::DeleteSnapshot, Code::Internal),
        (Rpc::DeleteBackup, Code::Internal),
        (Rpc::Modify, Code::InvalidArgument),
    ] {
        let stand = Stand::new(rpc).await;
        stand.cloud.mishap(Mishap::Fails(rpc.operations()[0], "no room".to_owned()));
        let started = Instant::now();
        let outcome = stand.call(Duration::from_secs(60)).await;
        assert_eq!(outcome.code, code, "{rpc:?}: {}", outcome.message);
        assert!(started.elapsed() < Duration::from_secs(2), "{rpc:?}: {:?}", started.elapsed());
    }
}

/// Each of the calls about groups, by its place among them.
#[tokio::test(start_paused = true)]
async fn a_refusal_about_groups_has_the_code_that_says_what_to_do() {
    use Code::*;
    for (rpc, nth, status, code) in [
        (Rpc::Group, 0, 400, FailedPrecondition),
        (Rpc::Group, 0, 401, Unauthenticated),
        (Rpc::Group, 0, 403, PermissionDenied),
        (Rpc::Group, 0, 404, FailedPrecondition),
        (Rpc::Group, 0, 413, ResourceExhausted),
        (Rpc::Group, 1, 400, FailedPrecondition),
        (Rpc::Group, 1, 403, PermissionDenied),
        (Rpc::Group, 2, 400, FailedPrecondition),
        (Rpc::Group, 2, 403, PermissionDenied),
        (Rpc::Group, 2, 413, ResourceExhausted),
        // The cut is there, and its caller doesn't know it yet.
        (Rpc::Group, 3, 403, Aborted),
        (Rpc::Group, 4, 403, Aborted),
        (Rpc::DeleteGroup, 0, 400, FailedPrecondition),
        (Rpc::DeleteGroup, 0, 403, PermissionDenied),
        (Rpc::DeleteGroup, 1, 403, PermissionDenied),
        (Rpc::DeleteGroup, 2, 400, FailedPrecondition),
        (Rpc::DeleteGroup, 2, 401, Unauthenticated),
        (Rpc::DeleteGroup, 2, 403, PermissionDenied),
        (Rpc::DeleteGroup, 3, 400, FailedPrecondition),
        (Rpc::DeleteGroup, 3, 403, PermissionDenied),
    ] {
        let stand = Stand::new(rpc).await;
        let mutation = rpc.mutations()[nth].clone();
        stand.cloud.fault(mutation.meets(Trouble::Refused(status)).always());
        let started = Instant::now();
        let outcome = stand.call(Duration::from_secs(60)).await;
        assert_eq!(outcome.code, code, "{rpc:?}, {mutation}, {status}: {}", outcome.message);
        assert!(outcome.message.contains("req-"), "{rpc:?}, {mutation}, {status}: {}", outcome.message);
        assert!(started.elapsed() < Duration::from_secs(5), "{rpc:?}, {mutation}: {:?}", started.elapsed());
        let held = stand.unfinished().await;
        assert!(held.is_none() || code == Aborted, "{rpc:?}, {mutation}, {status}: {held:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_cloud_gave_up_of_a_group_is_told_soon() {
    use Code::{Aborted, Internal};
    for (rpc, codes) in [
        (Rpc::Group, [Internal, Internal, Internal]),
        // The volumes are let out by the next call, before the cut goes.
        (Rpc::DeleteGroup, [Aborted, Internal, Internal]),
    ] {
        for (operation, code) in rpc.operations().into_iter().zip(codes) {
            let stand = Stand::new(rpc).await;
            stand.cloud.mishap(Mishap::Fails(operation, "no room".to_owned()));
            let started = Instant::now();
            let outcome = stand.call(Duration::from_secs(60)).await;
            assert_eq!(outcome.code, code, "{rpc:?}, {operation:?}: {}", outcome.message);
            assert!(started.elapsed() < Duration::from_secs(5), "{operation:?}: {:?}", started.elapsed());
        }
    }
}

/// nova-compute is down: Nova blocks for a minute, answers 500, and carries the stale request out later.
#[tokio::test(start_paused = true)]
async fn a_compute_host_that_comes_back_ends_as_asked() {
    for rpc in [Rpc::Publish, Rpc::Unpublish] {
        let stand = Stand::new(rpc).await;
        let server = stand.cloud.server_id("node-1");
        stand.cloud.set_host_up(&server, false);
        for patience in [10, 90, 10] {
            let outcome = stand.call(Duration::from_secs(patience)).await;
            assert!(
                !rpc.sidecar().is_final(outcome.code) && outcome.code != Code::Ok,
                "{rpc:?}: {outcome:?}"
            );
        }
        stand.cloud.set_host_up(&server, true);
        let outcome = stand.call(Duration::from_secs(30)).await;
        assert_eq!(outcome.code, Code::Ok, "{rpc:?}: {outcome:?}");
        assert_eq!(stand.missing(true).await, None);
    }
}

/// Nova keeps its record of a detach for a while after Cinder shows the volume as available, and refuses an attach.
#[tokio::test(start_paused = true)]
async fn an_attach_right_after_a_slow_detach_is_not_given_up() {
    let mut stand = Stand::new(Rpc::Unpublish).await;
    stand.cloud.mishap(Mishap::Takes(Operation::Detach, Duration::from_secs(60)));
    stand.call(Duration::from_secs(2)).await;
    while stand.unfinished().await.is_some() {
        pace::sleep(Duration::from_millis(100)).await;
    }
    stand.rpc = Rpc::Publish;
    let mut codes = Vec::new();
    for _ in 0..10 {
        let outcome = stand.call(Duration::from_secs(30)).await;
        codes.push(outcome.code);
        if outcome.code == Code::Ok {
            break;
        }
        assert_eq!(outcome.code, Code::Aborted, "{}", outcome.message);
        pace::sleep(BETWEEN_CALLS).await;
    }
    assert!(codes.len() > 1 && codes.ends_with(&[Code::Ok]), "{codes:?}");
}
