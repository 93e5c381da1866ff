//! Cinder v3.

mod list;
mod show;

use http::Method;
use serde_json::{Map, Value, json};

use super::super::world::{NewVolume, World};
use super::answer::Answer;
use super::request::{Caller, Request, unknown_path};
use list::list_volumes;
use show::{message, snapshot, volume, volume_type};

/// The first microversion with `/messages`, and the first whose list of them can be filtered.
const MESSAGES: (u32, u32) = (3, 3);
const MESSAGE_FILTERS: (u32, u32) = (3, 5);
const ATTACHMENTS: (u32, u32) = (3, 27);
const EXTEND_ONLINE: (u32, u32) = (3, 42);
/// Snapshots of volumes in use need no `force`.
const SNAPSHOT_IN_USE: (u32, u32) = (3, 66);

const FORCE_IS_GONE: &str = "Since microversion 3.66 the 'force' flag is invalid for this request.  For backward \
    compatability, however, when the 'force' flag is passed with a value evaluating to True, it is silently ignored.";

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
        ("GET", ["volumes"]) => list_volumes(request, world, caller, false),
        ("GET", ["volumes", "detail"]) => list_volumes(request, world, caller, true),
        ("POST", ["volumes"]) => create(request, world, caller),
        ("GET", ["volumes", id]) => Ok(Answer::new(
            200,
            json!({ "volume": volume(request, world, world.volume(&caller.project, id)?, caller) }),
        )),
        ("DELETE", ["volumes", id]) => {
            world.delete_volume(&caller.project, id)?;
            Ok(Answer::empty(202))
        }
        ("POST", ["volumes", id, "action"]) => act(request, world, caller, id),
        (_, ["volumes", id, "metadata"]) => metadata(request, world, caller, id),
        ("DELETE", ["volumes", id, "metadata", key]) => {
            world.change_metadata(&caller.project, id, |metadata| _ = metadata.remove(*key))?;
            Ok(Answer::empty(200))
        }
        ("GET", ["messages"]) if caller.version >= MESSAGES => Ok(messages(request, world, caller)),
        (_, ["messages", ..]) => Err(Answer::fault(404, "The resource could not be found.")),
        ("DELETE", ["attachments", id]) if caller.version >= ATTACHMENTS => {
            Err(delete_attachment(world, caller, id))
        }
        (_, ["snapshots", rest @ ..]) => snapshots(request, world, caller, rest),
        ("GET", ["types"]) => {
            let types: Vec<_> = world.types.iter().map(volume_type).collect();
            Ok(Answer::new(200, json!({ "volume_types": types })))
        }
        ("GET", ["types", id]) => one_type(world, id),
        ("GET", ["limits"]) => Ok(limits(world, caller)),
        ("GET", ["os-availability-zone"]) => Ok(zones(world)),
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

fn create(request: &Request<'_>, world: &mut World, caller: &Caller) -> Result<Answer, Answer> {
    let wanted = &request.body["volume"];
    let wanted_fields =
        wanted.as_object().ok_or_else(|| Answer::fault(400, "'volume' is a required property"))?;
    check_fields(wanted_fields)?;
    let text = |field: &str| wanted[field].as_str().map(str::to_owned);
    let new = NewVolume {
        name: text("name"),
        description: text("description"),
        size: size_of(wanted, world, caller)?,
        zone: text("availability_zone"),
        kind: text("volume_type"),
        metadata: wanted["metadata"].as_object().cloned().unwrap_or_default(),
        snapshot: text("snapshot_id"),
        source: text("source_volid"),
        user: caller.user.clone(),
        project: caller.project.clone(),
    };
    let created = world.create_volume(new)?;
    let mut shown = volume(request, world, &created, caller);
    // The create answer comes from memory: microseconds, and no tenant.
    shown["created_at"] =
        super::super::world::timestamp_with(created.created, "%Y-%m-%dT%H:%M:%S.%6f").into();
    if let Some(shown) = shown.as_object_mut() {
        shown.remove("os-vol-tenant-attr:tenant_id");
    }
    Ok(Answer::new(202, json!({ "volume": shown })))
}

const KNOWN_FIELDS: [&str; 14] = [
    "name",
    "display_name",
    "description",
    "size",
    "availability_zone",
    "volume_type",
    "metadata",
    "snapshot_id",
    "source_volid",
    "imageRef",
    "multiattach",
    "backup_id",
    "consistencygroup_id",
    "group_id",
];

fn check_fields(wanted: &Map<String, Value>) -> Result<(), Answer> {
    if let Some(unknown) = wanted.keys().find(|key| !KNOWN_FIELDS.contains(&key.as_str())) {
        let message = format!(
            "Invalid input for field/attribute volume. Value: {}. Additional properties are not allowed \
             ('{unknown}' was unexpected)",
            Value::from(wanted.clone())
        );
        return Err(Answer::fault(400, &message));
    }
    let name = wanted.get("name").and_then(Value::as_str).unwrap_or_default();
    if name.chars().count() > 255 {
        let length = name.chars().count();
        let message = format!("Invalid input received: name has {length} characters, more than 255.");
        return Err(Answer::fault(400, &message));
    }
    wanted.get("metadata").map_or(Ok(()), check_metadata)
}

fn check_metadata(metadata: &Value) -> Result<(), Answer> {
    for (key, value) in metadata.as_object().into_iter().flatten() {
        let Some(text) = value.as_str() else {
            let message = format!(
                "Invalid input for field/attribute {key}. Value: {value}. {value} is not of type 'string'"
            );
            return Err(Answer::fault(400, &message));
        };
        if text.chars().count() > 255 {
            let message =
                format!("Invalid input for field/attribute {key}. Value: {text}. '{text}' is too long");
            return Err(Answer::fault(400, &message));
        }
    }
    Ok(())
}

/// The size asked for, or that of the source.
fn size_of(wanted: &Value, world: &World, caller: &Caller) -> Result<u64, Answer> {
    let size = &wanted["size"];
    if size.is_null() {
        let of_snapshot = wanted["snapshot_id"].as_str().map(|id| world.snapshot(&caller.project, id));
        let of_source = wanted["source_volid"].as_str().map(|id| world.volume(&caller.project, id));
        return match (of_snapshot, of_source) {
            (Some(snapshot), _) => Ok(snapshot?.size),
            (_, Some(volume)) => Ok(volume?.size),
            _ => Err(Answer::fault(
                400,
                "The server could not comply with the request since it is either malformed or otherwise incorrect.",
            )),
        };
    }
    whole_gigabytes("size", size)
}

fn whole_gigabytes(field: &str, value: &Value) -> Result<u64, Answer> {
    let number = value.as_i64().or_else(|| value.as_str()?.parse().ok());
    match number {
        Some(size @ 1..) => Ok(size.unsigned_abs()),
        _ => Err(Answer::fault(
            400,
            &format!(
                "Invalid input for field/attribute {field}. Value: {value}. {value} is less than the minimum of 1"
            ),
        )),
    }
}

fn act(request: &Request<'_>, world: &mut World, caller: &Caller, id: &str) -> Result<Answer, Answer> {
    let (action, arguments) =
        request.body.as_object().and_then(|body| body.iter().next()).ok_or_else(|| no_such_action(""))?;
    match action.as_str() {
        "os-extend" => {
            let size = whole_gigabytes("new_size", &arguments["new_size"])?;
            world.extend_volume(&caller.project, id, size, caller.version >= EXTEND_ONLINE)?;
            Ok(Answer::empty(202))
        }
        "os-reset_status" | "os-force_detach" | "os-force_delete" => {
            world.volume(&caller.project, id)?;
            let rule = action.replace("os-", "");
            Err(Answer::fault(
                403,
                &format!(
                    "Policy doesn't allow volume_extension:volume_admin_actions:{rule} to be performed."
                ),
            ))
        }
        "os-detach" => {
            let held = arguments["attachment_id"].as_str().unwrap_or_default();
            let volume = world.volume(&caller.project, id)?;
            let server = volume.shown_attachments().find(|one| one.id == held).map(|one| one.server.as_str());
            Err(detach_with_nova(server.unwrap_or_default()))
        }
        unknown => Err(no_such_action(unknown)),
    }
}

/// Only Nova may take away what Nova gave (CVE-2023-2088).
fn detach_with_nova(server: &str) -> Answer {
    let message =
        format!("ConflictNovaUsingAttachment: Detach volume from instance {server} using the Compute API");
    Answer::fault(409, &message)
}

fn delete_attachment(world: &World, caller: &Caller, id: &str) -> Answer {
    let mut held =
        world.volumes.values().filter(|one| one.project == caller.project).flat_map(|one| &one.attachments);
    match held.find(|held| held.id == id) {
        Some(held) => detach_with_nova(&held.server),
        None => Answer::fault(
            404,
            &format!("Volume attachment could not be found with filter: attachment_id = {id}."),
        ),
    }
}

fn no_such_action(action: &str) -> Answer {
    let message = format!(
        "There is no such action: {action}. Verify the request body and Content-Type header and try again."
    );
    Answer::fault(400, &message)
}

fn metadata(request: &Request<'_>, world: &mut World, caller: &Caller, id: &str) -> Result<Answer, Answer> {
    if request.method == Method::GET {
        let found = &world.volume(&caller.project, id)?.metadata;
        return Ok(Answer::new(200, json!({ "metadata": found })));
    }
    let given = request.body["metadata"].as_object().cloned();
    let given = given.ok_or_else(|| Answer::fault(400, "'metadata' is a required property"))?;
    check_metadata(&request.body["metadata"])?;
    // POST adds; PUT replaces.
    let replace = request.method == Method::PUT;
    let changed = world.change_metadata(&caller.project, id, |metadata| {
        if replace {
            metadata.clear();
        }
        metadata.extend(given);
    })?;
    Ok(Answer::new(200, json!({ "metadata": changed.metadata })))
}

/// Below 3.5 the list ignores its filters, and answers the messages of all volumes.
fn messages(request: &Request<'_>, world: &World, caller: &Caller) -> Answer {
    let wanted = request.query("resource_uuid").filter(|_| caller.version >= MESSAGE_FILTERS);
    let mut shown: Vec<_> = world
        .messages
        .iter()
        .filter(|message| message.project == caller.project)
        .filter(|message| wanted.is_none_or(|wanted| wanted == message.volume))
        .map(message)
        .collect();
    shown.reverse();
    Answer::new(200, json!({ "messages": shown }))
}

fn snapshots(
    request: &Request<'_>,
    world: &mut World,
    caller: &Caller,
    path: &[&str],
) -> Result<Answer, Answer> {
    match (request.method.as_str(), path) {
        ("GET", [] | ["detail"]) => Ok(list_snapshots(request, world, caller)),
        ("POST", []) => create_snapshot(request, world, caller),
        ("GET", [id]) => Ok(Answer::new(
            200,
            json!({ "snapshot": snapshot(world.snapshot(&caller.project, id)?, caller) }),
        )),
        ("DELETE", [id]) => {
            world.delete_snapshot(&caller.project, id)?;
            Ok(Answer::empty(202))
        }
        _ => Err(unknown_path()),
    }
}

fn list_snapshots(request: &Request<'_>, world: &World, caller: &Caller) -> Answer {
    let meets = |filter: &str, value: &str| request.query(filter).is_none_or(|wanted| wanted == value);
    let shown: Vec<_> = world
        .snapshots
        .values()
        .filter(|one| one.project == caller.project)
        .filter(|one| meets("volume_id", &one.volume) && meets("status", &one.status))
        .filter(|one| meets("name", one.name.as_deref().unwrap_or_default()))
        .map(|one| snapshot(one, caller))
        .collect();
    Answer::new(200, json!({ "snapshots": shown }))
}

fn create_snapshot(request: &Request<'_>, world: &mut World, caller: &Caller) -> Result<Answer, Answer> {
    let wanted = &request.body["snapshot"];
    let volume = wanted["volume_id"]
        .as_str()
        .ok_or_else(|| Answer::fault(400, "'volume_id' is a required property"))?;
    let force = match (&wanted["force"], caller.version >= SNAPSHOT_IN_USE) {
        (Value::Bool(false), true) => {
            return Err(Answer::fault(400, FORCE_IS_GONE));
        }
        (_, true) => true,
        (force, false) => force == &Value::Bool(true),
    };
    let name = wanted["name"].as_str().map(str::to_owned);
    let created = world.create_snapshot(&caller.project, volume, name, force)?;
    let mut shown = snapshot(&created, caller);
    if let Some(shown) = shown.as_object_mut() {
        shown.retain(|key, _| !key.starts_with("os-extended"));
    }
    Ok(Answer::new(202, json!({ "snapshot": shown })))
}

fn one_type(world: &World, id: &str) -> Result<Answer, Answer> {
    let found = world.types.iter().find(|kind| kind.id == id);
    let found = found.ok_or_else(|| Answer::fault(404, &format!("Volume type {id} could not be found.")))?;
    Ok(Answer::new(200, json!({ "volume_type": volume_type(found) })))
}

fn limits(world: &World, caller: &Caller) -> Answer {
    let (volumes, gigabytes) = world.usage(&caller.project);
    let quota = world.identity.project(&caller.project).map(|project| project.quota);
    let quota = quota.unwrap_or(world.settings.quota);
    let snapshots = world.snapshots.values().filter(|one| one.project == caller.project).count();
    Answer::new(
        200,
        json!({ "limits": { "rate": [], "absolute": {
        "maxTotalVolumes": quota.volumes, "maxTotalSnapshots": 1000, "maxTotalVolumeGigabytes": quota.gigabytes,
        "maxTotalBackups": 1000, "maxTotalBackupGigabytes": 20000, "totalVolumesUsed": volumes,
        "totalGigabytesUsed": gigabytes, "totalSnapshotsUsed": snapshots, "totalBackupsUsed": 0,
        "totalBackupGigabytesUsed": 0,
    } } }),
    )
}

fn zones(world: &World) -> Answer {
    let zone = |name: &String| json!({ "zoneName": name, "zoneState": { "available": true } });
    let zones: Vec<_> = world.settings.zones.iter().map(zone).collect();
    Answer::new(200, json!({ "availabilityZoneInfo": zones }))
}
