//! Attachments that Nova made: only Nova may take away what it gave (CVE-2023-2088).

use super::super::super::world::World;
use super::super::answer::Answer;
use super::super::request::Caller;

pub(super) fn delete(world: &World, caller: &Caller, id: &str) -> Answer {
    let mut held =
        world.volumes.values().filter(|one| one.project == caller.project).flat_map(|one| &one.attachments);
    match held.find(|held| held.id == id) {
        Some(held) => is_novas(&held.server),
        None => Answer::fault(
            404,
            &format!("Volume attachment could not be found with filter: attachment_id = {id}."),
        ),
    }
}

pub(super) fn is_novas(server: &str) -> Answer {
    let message =
        format!("ConflictNovaUsingAttachment: Detach volume from instance {server} using the Compute API");
    Answer::fault(409, &message)
}
