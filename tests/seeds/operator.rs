//! The calm after what went wrong.

use std::time::Duration;

use cinder_csi::pace;
use cinder_csi::sandbox::Held;

use crate::scene::Scene;

/// The operator comes so often, each time after so long, and resets what hasn't moved since the time before. What was under way
/// when all became calm may fail yet.
const VISITS: usize = 2;
const BETWEEN: Duration = Duration::from_secs(150);

/// Nothing goes wrong any more, and an operator mends what only an operator can.
pub async fn calm(scene: &Scene) {
    scene.history.note("all is calm");
    scene.cloud.clear_faults();
    scene.cloud.clear_mishaps();
    for visit in 0..VISITS {
        let (volumes, saved) = (scene.cloud.volumes(), scene.saved());
        pace::sleep(BETWEEN).await;
        // By the second visit their owner may have taken them away.
        if visit == 0 {
            scene.check_strangers();
        }
        mend(scene, &volumes, &saved);
    }
}

/// What is as it was then.
fn mend(scene: &Scene, volumes: &[Held], saved: &[Held]) {
    let is_at_rest = |held: &Held| match held.status.as_str() {
        "in-use" => scene.ledger.borrow().coming(held).is_empty() && forgotten(scene, held).is_empty(),
        status => status == "available" && held.rows.is_empty(),
    };
    let is_stuck = |held: &&Held| !is_at_rest(held);
    let volumes_now = scene.cloud.volumes();
    for held in volumes_now.iter().filter(|held| volumes.contains(held)).filter(is_stuck) {
        scene.history.note(format_args!("the operator resets {held}"));
        reset_volume(scene, held);
    }
    let saved_now = scene.saved();
    // A snapshot is shown with its volume's type, which may change.
    let is_same = |held: &&Held| saved.iter().any(|one| one.id == held.id && one.status == held.status);
    for held in saved_now.iter().filter(is_same).filter(is_stuck) {
        scene.history.note(format_args!("the operator resets {held}"));
        let is_busy = ["restoring", "backing-up"].contains(&&*held.status);
        scene.cloud.set_status(&held.id, if is_busy { "available" } else { "error" });
        let is_called_for = scene.ledger.borrow().snapshots.contains(&held.id);
        if held.status.contains("deleting") && !is_called_for {
            let _ = scene.cloud.delete_snapshot(&held.id) || scene.cloud.delete_backup(&held.id);
        }
    }
}

/// Where a volume is that nobody asked for: what a process left that has died since, or leads no more.
fn forgotten<'h>(scene: &Scene, held: &'h Held) -> Vec<&'h String> {
    let ledger = scene.ledger.borrow();
    let promised = ledger.volumes.get(&held.id).map(|promise| &promise.servers);
    let is_forgotten = |server: &&String| {
        ledger.forgotten.contains(&(held.id.clone(), server.to_string()))
            && promised.is_none_or(|servers| !servers.contains(*server))
    };
    held.rows.iter().filter(is_forgotten).collect()
}

fn reset_volume(scene: &Scene, held: &Held) {
    let at_rest = if held.entries.is_empty() { "available" } else { "in-use" };
    let is_promised = scene.ledger.borrow().volumes.contains_key(&held.id);
    match held.status.as_str() {
        // A group that couldn't take it in.
        "error" if is_promised => drop(scene.cloud.set_status(&held.id, at_rest)),
        "creating" | "error" | "restoring-backup" | "error_restoring" => {
            scene.cloud.set_status(&held.id, "error");
        }
        "available" | "reserved" | "attaching" | "detaching" => {
            let ledger = scene.ledger.borrow();
            let promised = ledger.volumes.get(&held.id).map(|promise| &promise.servers);
            let asked = |server: &&String| promised.is_some_and(|servers| servers.contains(*server));
            for server in held.rows.iter().chain(&held.entries).filter(|server| !asked(server)) {
                scene.cloud.release(&held.id, server);
            }
        }
        // The end of another server's migration hides that the attach goes on.
        "in-use" => {
            for server in scene.ledger.borrow().coming(held).into_iter().chain(forgotten(scene, held)) {
                scene.cloud.release(&held.id, server);
            }
        }
        "deleting" | "error_deleting" => {
            scene.cloud.set_status(&held.id, "available");
            if !is_promised {
                scene.cloud.delete_volume(&held.id);
            }
        }
        _ => drop(scene.cloud.set_status(&held.id, at_rest)),
    }
}
