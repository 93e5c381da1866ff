//! `/volumes/ID/metadata` and `/snapshots/ID/metadata`.

use serde_json::{Map, Value, json};

use super::super::super::world::{Change, Refusal, World};
use super::super::answer::Answer;
use super::super::request::{Request, unknown_path};
use super::fields::{self, Fields};

/// Whose metadata a call is about.
pub(super) struct Owner<'a> {
    /// `Volume`, `Snapshot`.
    pub kind: &'a str,
    pub id: &'a str,
    /// The pattern of its keys.
    pub keys: &'a str,
}

/// `found` is what it has, `change` changes it.
pub(super) fn answer(
    request: &Request<'_>,
    world: &mut World,
    path: &[&str],
    owner: &Owner<'_>,
    found: Map<String, Value>,
    change: impl FnOnce(&mut World, Change) -> Result<Map<String, Value>, Refusal>,
) -> Result<Answer, Answer> {
    let object = |name: &str| {
        Fields::of(&request.body, name)?;
        fields::metadata(name, &request.body[name], owner.keys, "'object'")
    };
    let whole = |metadata| Answer::new(200, json!({ "metadata": metadata }));
    match (request.method.as_str(), path) {
        // Cinder reads a path decoded: a slash parts segments, however it's written.
        (_, [key]) if key.contains("%2F") => Err(unknown_path()),
        ("GET", []) => Ok(whole(found)),
        ("POST", []) => Ok(whole(change(world, Change::Extend(object("metadata")?))?)),
        ("PUT", []) => Ok(whole(change(world, Change::Replace(object("metadata")?))?)),
        ("GET", [key]) => match found.get(*key) {
            Some(value) => Ok(Answer::new(200, json!({ "meta": { *key: value } }))),
            None => Err(owner.lacks(key)),
        },
        ("PUT", [key]) => {
            let item = object("meta")?;
            if item.len() > 1 {
                return Err(fields::has("meta", &request.body["meta"], "too many properties"));
            }
            if !item.contains_key(*key) {
                return Err(Answer::fault(400, "Request body and URI mismatch"));
            }
            change(world, Change::Extend(item.clone()))?;
            Ok(Answer::new(200, json!({ "meta": item })))
        }
        ("DELETE", [key]) if found.contains_key(*key) => {
            change(world, Change::Remove((*key).to_owned()))?;
            Ok(Answer::empty(200))
        }
        ("DELETE", [key]) => Err(owner.lacks(key)),
        _ => Err(unknown_path()),
    }
}

impl Owner<'_> {
    fn lacks(&self, key: &str) -> Answer {
        Answer::fault(404, &format!("{} {} has no metadata with key {key}.", self.kind, self.id))
    }
}
