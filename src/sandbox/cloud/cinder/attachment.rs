//! Attachments that Nova made: only Nova may take away what it gave (CVE-2023-2088), unless it knows nothing of it.

use serde_json::json;

use super::super::super::world::World;
use super::super::answer::Answer;
use super::super::request::Caller;

pub(super) fn delete(world: &mut World, caller: &Caller, id: &str) -> Result<Answer, Answer> {
    let unknown = || {
        let message = format!("Volume attachment could not be found with filter: attachment_id = {id}.");
        Answer::fault(404, &message)
    };
    let volumes = world.volumes.values().filter(|one| one.project == caller.project);
    let mut held = volumes.flat_map(|one| &one.attachments);
    let server = held.find(|held| held.id == id).map(|held| held.server.clone()).ok_or_else(unknown)?;
    if world.has_server(&server) {
        return Err(is_novas(&server));
    }
    world.forget_attachment(id);
    Ok(Answer::new(200, json!({ "attachments": [] })))
}

pub(super) fn is_novas(server: &str) -> Answer {
    let message =
        format!("ConflictNovaUsingAttachment: Detach volume from instance {server} using the Compute API");
    Answer::fault(409, &message)
}
