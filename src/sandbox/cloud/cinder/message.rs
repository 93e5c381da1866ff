//! `/messages`: what a tenant learns of work that failed after its answer.

use serde_json::json;

use super::super::super::world::{Microversion, World};
use super::super::answer::Answer;
use super::super::request::{Caller, Request};
use super::show;

/// Below it the list ignores its filters, and answers the messages of all objects.
const FILTERS: Microversion = (3, 5);

pub(super) fn list(request: &Request<'_>, world: &World, caller: &Caller) -> Answer {
    let meets = |filter: &str, value: &str| {
        caller.version < FILTERS || request.query(filter).is_none_or(|wanted| wanted == value)
    };
    let mut shown: Vec<_> = world
        .messages
        .iter()
        .filter(|message| message.project == caller.project)
        .filter(|message| meets("resource_uuid", &message.object))
        .filter(|message| meets("resource_type", message.resource.name()))
        .filter(|message| meets("event_id", &message.event_id()))
        .map(show::message)
        .collect();
    shown.reverse();
    Answer::new(200, json!({ "messages": shown }))
}
