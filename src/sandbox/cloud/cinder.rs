//! Cinder v3.

mod action;
mod attachment;
mod backup;
mod fields;
mod group;
mod group_snapshot;
mod kind;
mod limits;
mod list;
mod message;
mod metadata;
mod show;
mod snapshot;
mod volume;

use serde_json::{Value, json};

use super::super::world::{Microversion, World};
use super::answer::Answer;
use super::request::{Caller, Request, not_yet, unknown_path};

/// The first microversion with `/messages`.
const MESSAGES: Microversion = (3, 3);
const ATTACHMENTS: Microversion = (3, 27);

pub(super) fn answer(request: &Request<'_>, world: &mut World) -> Answer {
    let version = match request.version("volume ", (3, 0), world.settings.block_storage) {
        Ok(version) => version,
        Err(answer) => return answer,
    };
    let answer = if request.segments.is_empty() {
        Answer::new(300, versions(request, world))
    } else {
        request
            .caller(world, version)
            .and_then(|caller| route(request, world, &caller))
            .unwrap_or_else(|no| no)
    };
    let told = format!("volume {}.{}", version.0, version.1);
    answer.with("OpenStack-API-Version", told).with("Vary", "OpenStack-API-Version")
}

fn route(request: &Request<'_>, world: &mut World, caller: &Caller) -> Result<Answer, Answer> {
    let path = request.below_project(&caller.project)?;
    match (request.method.as_str(), path) {
        ("GET", []) => Ok(Answer::new(200, versions(request, world))),
        (_, ["volumes", rest @ ..]) => volume::answer(request, world, caller, rest),
        (_, ["snapshots", rest @ ..]) => snapshot::answer(request, world, caller, rest),
        (_, ["backups", rest @ ..]) => backup::answer(request, world, caller, rest),
        (_, ["groups", rest @ ..]) => group::answer(request, world, caller, rest),
        (_, ["group_snapshots", rest @ ..]) => group_snapshot::answer(request, world, caller, rest),
        ("GET", ["group_types", rest @ ..]) => group::types(world, caller, rest),
        ("GET", ["messages"]) if caller.version >= MESSAGES => Ok(message::list(request, world, caller)),
        (_, ["messages", ..]) => Err(not_yet()),
        ("DELETE", ["attachments", id]) if caller.version >= ATTACHMENTS => {
            attachment::delete(world, caller, id)
        }
        ("GET", ["types", rest @ ..]) => kind::answer(world, rest),
        ("GET", ["limits"]) => Ok(limits::answer(world, caller)),
        ("GET", ["os-quota-sets", project]) => limits::quota_set(request, world, caller, project),
        ("GET", ["os-availability-zone"]) => Ok(zones(world)),
        ("GET", ["os-services"]) => {
            let message = "Policy doesn't allow volume_extension:services:index to be performed.";
            Err(Answer::fault(403, message))
        }
        _ => Err(unknown_path()),
    }
}

fn versions(request: &Request<'_>, world: &World) -> Value {
    let (major, minor) = world.settings.block_storage;
    json!({ "versions": [{
        "id": "v3.0", "status": "CURRENT", "version": format!("{major}.{minor}"), "min_version": "3.0",
        "updated": "2023-08-31T00:00:00Z",
        "links": [
            { "rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/" },
            { "rel": "self", "href": format!("{}/volume/v3/", request.base) },
        ],
        "media-types": [{ "base": "application/json", "type": "application/vnd.openstack.volume+json;version=3" }],
    }] })
}

fn zones(world: &World) -> Answer {
    let zone = |name: &String| json!({ "zoneName": name, "zoneState": { "available": true } });
    let zones: Vec<_> = world.settings.zones.iter().map(zone).collect();
    Answer::new(200, json!({ "availabilityZoneInfo": zones }))
}
