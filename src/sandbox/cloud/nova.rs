//! Nova v2.1.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::calls::{Service, dissect};
use super::super::world::{Action, Kept, Order, Row, Server, World, timestamp, timestamp_with};
use super::answer::Answer;
use super::request::{Caller, Request, unknown_path};

const MULTIATTACH: (u32, u32) = (2, 60);
/// An attachment without `id`, with `attachment_id` and `bdm_uuid`.
const NO_ATTACHMENT_ID: (u32, u32) = (2, 89);
/// Attach answers 202 without a body.
const ASYNC_ATTACH: (u32, u32) = (2, 101);
/// How long Nova waits for a compute host that doesn't answer: oslo.messaging's rpc_response_timeout.
const RPC_TIMEOUT: Duration = Duration::from_secs(60);

pub(super) fn answer(request: &Request<'_>, world: &mut World) -> Answer {
    if request.segments.is_empty() {
        return Answer::new(200, json!({ "versions": [version(request, world)] }));
    }
    let version = match request.version("compute ", (2, 1), world.settings.compute) {
        Ok(version) => version,
        Err(answer) => return answer,
    };
    let answer = match request.segments.as_slice() {
        ["v2.1"] => Answer::new(200, json!({ "version": self::version(request, world) })),
        _ => request
            .caller(world, version)
            .and_then(|caller| route(request, world, &caller))
            .unwrap_or_else(|no| no),
    };
    let told = format!("{}.{}", version.0, version.1);
    answer
        .with("OpenStack-API-Version", format!("compute {told}"))
        .with("X-OpenStack-Nova-API-Version", told)
        .with("Vary", "OpenStack-API-Version, X-OpenStack-Nova-API-Version")
}

/// The attach that Nova keeps before it deals with it: it asks nova-compute for a new disk's name before all else, and that
/// works on another disk. From [`ASYNC_ATTACH`] on it answers first.
pub(super) fn kept(head: &http::request::Parts, body: &[u8]) -> Option<Kept> {
    let asked = head.headers.get("OpenStack-API-Version").and_then(|value| value.to_str().ok());
    let minor = asked.and_then(|asked| asked.strip_prefix("compute 2.")?.parse::<u32>().ok());
    let is_kept = head.method == http::Method::POST && minor.is_none_or(|minor| minor < ASYNC_ATTACH.1);
    let (Service::Nova, segments) = dissect(head.uri.path()).filter(|_| is_kept)? else { return None };
    let [_, "servers", server, "os-volume_attachments"] = segments.as_slice() else { return None };
    let body: Value = serde_json::from_slice(body).ok()?;
    let volume = body["volumeAttachment"]["volumeId"].as_str()?;
    Some(Kept { volume: volume.to_owned(), server: server.to_string() })
}

fn route(request: &Request<'_>, world: &mut World, caller: &Caller) -> Result<Answer, Answer> {
    let project = &caller.project;
    match (request.method.as_str(), request.segments.get(1..).unwrap_or_default()) {
        ("GET", ["servers"]) => Ok(list(request, world, caller, false)),
        ("GET", ["servers", "detail"]) => Ok(list(request, world, caller, true)),
        ("GET", ["servers", id]) => {
            Ok(Answer::new(200, json!({ "server": server(request, world.server(project, id)?, caller) })))
        }
        ("DELETE", ["servers", id]) => {
            world.delete_server(project, id)?;
            Ok(Answer::empty(204))
        }
        ("POST", ["servers", id, "action"]) => order(request, world, caller, id),
        ("GET", ["servers", id, "os-volume_attachments"]) => {
            let owner = world.server(project, id)?;
            let rows: Vec<_> = owner.rows.iter().map(|held| row(id, held, caller)).collect();
            Ok(Answer::new(200, json!({ "volumeAttachments": rows })))
        }
        ("POST", ["servers", id, "os-volume_attachments"]) => attach(request, world, caller, id),
        ("GET", ["servers", id, "os-volume_attachments", volume]) => {
            let held = world.row(project, id, volume)?;
            Ok(Answer::new(200, json!({ "volumeAttachment": row(id, held, caller) })))
        }
        ("DELETE", ["servers", id, "os-volume_attachments", volume]) => {
            world.detach(project, id, volume, &request.id)?;
            Ok(Answer::empty(202))
        }
        ("GET", ["servers", id, "os-instance-actions"]) => {
            let owner = world.server(project, id)?;
            let actions: Vec<_> =
                owner.actions.iter().rev().map(|one| action(owner, one, caller, false)).collect();
            Ok(Answer::new(200, json!({ "instanceActions": actions })))
        }
        ("GET", ["servers", id, "os-instance-actions", wanted]) => {
            let owner = world.server(project, id)?;
            let found = owner.actions.iter().find(|one| one.request == *wanted);
            let found = found.ok_or_else(|| Answer::fault(404, &format!("Action {wanted} not found")))?;
            Ok(Answer::new(200, json!({ "instanceAction": action(owner, found, caller, true) })))
        }
        ("GET", ["os-availability-zone"]) => Ok(zones(world)),
        ("GET", ["os-availability-zone", "detail"]) => {
            let rule = "os_compute_api:os-availability-zone:detail";
            Err(Answer::fault(403, &format!("Policy doesn't allow {rule} to be performed.")))
        }
        ("GET", ["limits"]) => Ok(Answer::new(200, json!({ "limits": { "rate": [], "absolute": {} } }))),
        _ => Err(unknown_path()),
    }
}

fn version(request: &Request<'_>, world: &World) -> Value {
    let (major, minor) = world.settings.compute;
    json!({
        "id": "v2.1", "status": "CURRENT", "version": format!("{major}.{minor}"), "min_version": "2.1",
        "updated": "2013-07-23T11:33:21Z",
        "links": [{ "rel": "self", "href": format!("{}/compute/v2.1/", request.base) }],
    })
}

fn list(request: &Request<'_>, world: &World, caller: &Caller, detail: bool) -> Answer {
    // `name` is a regular expression for Nova; a part of the name is what people use it for.
    let wanted = request.query("name").map(|name| name.trim_matches(['^', '$'])).unwrap_or_default();
    let limit = request.query("limit").and_then(|limit| limit.parse().ok()).unwrap_or(1000);
    let mut found: Vec<_> = world
        .servers
        .values()
        .filter(|one| one.project == caller.project && one.name.contains(wanted))
        .collect();
    found.sort_by(|left, right| left.name.cmp(&right.name));
    let start = request.query("marker").and_then(|marker| found.iter().position(|one| one.id == marker));
    let shown: Vec<_> = found
        .into_iter()
        .skip(start.map_or(0, |index| index + 1))
        .take(limit)
        .map(|one| match detail {
            true => server(request, one, caller),
            false => json!({ "id": one.id, "name": one.name, "links": links(request, &one.id) }),
        })
        .collect();
    Answer::new(200, json!({ "servers": shown }))
}

fn attach(request: &Request<'_>, world: &mut World, caller: &Caller, id: &str) -> Result<Answer, Answer> {
    let wanted = &request.body["volumeAttachment"];
    let Some(volume) = wanted["volumeId"].as_str() else {
        let message = format!(
            "Invalid input for field/attribute volumeAttachment. Value: {wanted}. 'volumeId' is a required property"
        );
        return Err(Answer::fault(400, &message));
    };
    if uuid::Uuid::try_parse(volume).is_err() {
        let message = format!(
            "Invalid input for field/attribute volumeId. Value: {volume}. '{volume}' is not a 'uuid'"
        );
        return Err(Answer::fault(400, &message));
    }
    let held = world.attach(&caller.project, id, volume, caller.version >= MULTIATTACH, &request.id)?;
    if !world.server(&caller.project, id)?.host_up {
        let mut answer = Answer::fault(
            500,
            "Unexpected API Error. Please report this at http://bugs.launchpad.net/nova/ and attach the Nova API log \
             if possible.\n<class 'oslo_messaging.exceptions.MessagingTimeout'>",
        );
        answer.delay = Some(RPC_TIMEOUT);
        return Err(answer);
    }
    if caller.version >= ASYNC_ATTACH {
        return Ok(Answer::empty(202));
    }
    let mut shown = json!({ "id": volume, "serverId": id, "volumeId": volume, "device": held.device });
    if caller.version >= (2, 70) {
        shown["tag"] = Value::Null;
    }
    if caller.version >= (2, 79) {
        shown["delete_on_termination"] = json!(false);
    }
    Ok(Answer::new(200, json!({ "volumeAttachment": shown })))
}

fn order(request: &Request<'_>, world: &mut World, caller: &Caller, id: &str) -> Result<Answer, Answer> {
    let wanted = request.body.as_object().and_then(|body| body.keys().next()).map(String::as_str);
    let order = match wanted.unwrap_or_default() {
        "lock" => Order::Lock,
        "unlock" => Order::Unlock,
        "os-stop" => Order::Stop,
        "os-start" => Order::Start,
        "suspend" => Order::Suspend,
        "resume" => Order::Resume,
        _ => return Err(Answer::fault(400, "There is no such action.")),
    };
    world.order(&caller.project, id, order)?;
    Ok(Answer::empty(202))
}

fn server(request: &Request<'_>, server: &Server, caller: &Caller) -> Value {
    let time = |format| timestamp_with(server.created, format);
    let volumes: Vec<_> = server.rows.iter().map(|row| json!({ "id": row.volume })).collect();
    let mut shown = json!({
        "accessIPv4": "", "accessIPv6": "", "addresses": {}, "created": time("%Y-%m-%dT%H:%M:%SZ"),
        "flavor": { "id": "1", "links": [] }, "hostId": "af373b44a6520328697ad7f577791a1066816e6fcc2fcf77c58ca9bb",
        "id": server.id, "image": "", "links": links(request, &server.id), "metadata": {}, "name": server.name,
        "status": server.status(), "tenant_id": server.project, "user_id": server.user,
        "updated": time("%Y-%m-%dT%H:%M:%SZ"), "OS-DCF:diskConfig": "MANUAL", "progress": 0,
        "OS-EXT-AZ:availability_zone": server.zone, "config_drive": "", "key_name": null,
        "OS-SRV-USG:launched_at": time("%Y-%m-%dT%H:%M:%S.000000"), "OS-SRV-USG:terminated_at": null,
        "OS-EXT-STS:task_state": server.task_state, "OS-EXT-STS:vm_state": server.vm_state,
        "OS-EXT-STS:power_state": if server.vm_state == "active" { 1 } else { 4 },
        "os-extended-volumes:volumes_attached": volumes,
    });
    if caller.version >= (2, 9) {
        shown["locked"] = json!(server.locked);
    }
    if caller.version >= (2, 47) {
        shown["flavor"] = json!({
            "vcpus": 1, "ram": 256, "disk": 0, "ephemeral": 0, "swap": 0, "original_name": "sandbox.tiny",
            "extra_specs": {},
        });
    }
    shown
}

fn row(server: &str, row: &Row, caller: &Caller) -> Value {
    let mut shown = json!({ "volumeId": row.volume, "serverId": server, "device": row.device });
    if caller.version < NO_ATTACHMENT_ID {
        shown["id"] = json!(row.volume);
    } else {
        shown["attachment_id"] = json!(row.attachment);
        shown["bdm_uuid"] = json!(row.id);
    }
    if caller.version >= (2, 70) {
        shown["tag"] = Value::Null;
    }
    if caller.version >= (2, 79) {
        shown["delete_on_termination"] = json!(false);
    }
    shown
}

/// By Nova's default policy a tenant doesn't see an event's `details`, at 2.84 and above neither: only `Error`.
fn action(server: &Server, action: &Action, caller: &Caller, events: bool) -> Value {
    let failed = matches!(action.finished, Some((_, Some(_))));
    let mut shown = json!({
        "action": action.name, "instance_uuid": server.id, "request_id": action.request, "user_id": action.user,
        "project_id": server.project, "start_time": timestamp(action.started),
        "message": failed.then_some("Error"),
    });
    if caller.version >= (2, 58) {
        let updated = action.finished.as_ref().map_or(action.started, |(time, _)| *time);
        shown["updated_at"] = json!(timestamp(updated));
    }
    if events && caller.version >= (2, 51) {
        let result = action.finished.as_ref().map(|_| if failed { "Error" } else { "Success" });
        shown["events"] = json!([{
            "event": action.event, "start_time": timestamp(action.started),
            "finish_time": action.finished.as_ref().map(|(time, _)| timestamp(*time)), "result": result,
            "hostId": "af373b44a6520328697ad7f577791a1066816e6fcc2fcf77c58ca9bb",
        }]);
    }
    shown
}

fn zones(world: &World) -> Answer {
    let zone = |name: &String| json!({ "zoneName": name, "zoneState": { "available": true }, "hosts": null });
    let names = world.settings.compute_zones.as_ref().unwrap_or(&world.settings.zones);
    let zones: Vec<_> = names.iter().map(zone).collect();
    Answer::new(200, json!({ "availabilityZoneInfo": zones }))
}

fn links(request: &Request<'_>, id: &str) -> Value {
    let base = &request.base;
    json!([
        { "rel": "self", "href": format!("{base}/compute/v2.1/servers/{id}") },
        { "rel": "bookmark", "href": format!("{base}/compute/servers/{id}") },
    ])
}
