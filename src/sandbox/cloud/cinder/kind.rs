//! Volume types, as a tenant sees them.

use serde_json::{Value, json};

use super::super::super::world::{VolumeType, World};
use super::super::answer::Answer;
use super::super::request::unknown_path;

pub(super) fn answer(world: &World, path: &[&str]) -> Result<Answer, Answer> {
    match path {
        [] => {
            let types: Vec<_> = world.types.iter().map(show).collect();
            Ok(Answer::new(200, json!({ "volume_types": types })))
        }
        ["default"] => {
            let mut shown = show(&world.types[0]);
            if let Some(shown) = shown.as_object_mut() {
                shown.remove(IS_PUBLIC);
            }
            Ok(Answer::new(200, json!({ "volume_type": shown })))
        }
        [id] => Ok(Answer::new(200, json!({ "volume_type": show(one(world, id)?) }))),
        [id, "extra_specs"] => Ok(Answer::new(200, json!({ "extra_specs": specs(one(world, id)?) }))),
        [id, "extra_specs", key] => {
            let specs = specs(one(world, id)?);
            let missing = format!("Volume Type {id} has no extra specs with key {key}.");
            let spec = specs.get(*key).ok_or_else(|| Answer::fault(404, &missing))?;
            Ok(Answer::new(200, json!({ *key: spec })))
        }
        _ => Err(unknown_path()),
    }
}

/// Only by id: a name is a 404 here, although it is as good as an id where a volume is made or retyped.
fn one<'a>(world: &'a World, id: &str) -> Result<&'a VolumeType, Answer> {
    let found = world.types.iter().find(|kind| kind.id == id);
    found.ok_or_else(|| Answer::fault(404, &format!("Volume type {id} could not be found.")))
}

const IS_PUBLIC: &str = "os-volume-type-access:is_public";

fn show(kind: &VolumeType) -> Value {
    json!({
        "id": kind.id, "name": kind.name, "is_public": true, "description": kind.description,
        "extra_specs": specs(kind), IS_PUBLIC: true,
    })
}

/// A tenant is shown no other: the backend's name, for one, is the administrator's.
fn specs(kind: &VolumeType) -> Value {
    if kind.multiattach { json!({ "multiattach": "<is> True" }) } else { json!({}) }
}
