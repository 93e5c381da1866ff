//! Volume types, as a tenant sees them.

use serde_json::json;

use super::super::super::world::World;
use super::super::answer::Answer;
use super::super::request::unknown_path;
use super::show;

pub(super) fn answer(world: &World, path: &[&str]) -> Result<Answer, Answer> {
    match path {
        [] => {
            let types: Vec<_> = world.types.iter().map(show::volume_type).collect();
            Ok(Answer::new(200, json!({ "volume_types": types })))
        }
        [id] => one(world, id),
        _ => Err(unknown_path()),
    }
}

fn one(world: &World, id: &str) -> Result<Answer, Answer> {
    let found = world.types.iter().find(|kind| kind.id == id);
    let found = found.ok_or_else(|| Answer::fault(404, &format!("Volume type {id} could not be found.")))?;
    Ok(Answer::new(200, json!({ "volume_type": show::volume_type(found) })))
}
