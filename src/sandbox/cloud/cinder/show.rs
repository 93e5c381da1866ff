//! Cinder's objects as JSON.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::super::super::world::{
    Backup, Message, Snapshot, Volume, VolumeAttachment, World, timestamp, timestamp_with,
};
use super::super::request::{Caller, Request};

pub(super) fn volume(request: &Request<'_>, world: &World, volume: &Volume, caller: &Caller) -> Value {
    let mut shown = json!({
        "id": volume.id, "status": Some(&volume.status).filter(|status| !status.is_empty()), "size": volume.size, "availability_zone": volume.zone,
        "created_at": timestamp(volume.created), "updated_at": volume.updated.map(timestamp),
        "name": volume.name, "description": volume.description, "volume_type": volume.kind,
        "snapshot_id": volume.snapshot, "source_volid": volume.source, "metadata": volume.metadata,
        "links": links(request, caller, "volumes", &volume.id), "user_id": volume.user,
        "bootable": volume.bootable.to_string(), "encrypted": false, "replication_status": null,
        "consistencygroup_id": null, "multiattach": volume.multiattach,
        "attachments": volume.shown_attachments().map(|held| attachment(volume, held)).collect::<Vec<_>>(),
        "os-vol-tenant-attr:tenant_id": volume.project,
    });
    if caller.version >= (3, 13) {
        shown["group_id"] = json!(volume.group);
    }
    if caller.version >= (3, 48) {
        shown["shared_targets"] = json!(!volume.placed);
        shown["service_uuid"] = if volume.placed { json!(SERVICE) } else { Value::Null };
    }
    if caller.version >= (3, 63) {
        let kind = world.types.iter().find(|kind| kind.name == volume.kind);
        shown["volume_type_id"] = json!(kind.map(|kind| &kind.id));
    }
    if caller.version >= (3, 65) {
        shown["consumes_quota"] = json!(true);
    }
    shown
}

/// A volume in the short list.
pub(super) fn volume_summary(request: &Request<'_>, volume: &Volume, caller: &Caller) -> Value {
    json!({ "id": volume.id, "name": volume.name, "links": links(request, caller, "volumes", &volume.id) })
}

/// A snapshot in the short list, which is the same at every microversion.
pub(super) fn snapshot_summary(snapshot: &Snapshot) -> Value {
    json!({
        "id": snapshot.id, "created_at": timestamp(snapshot.created),
        "updated_at": snapshot.updated.map(timestamp), "name": snapshot.name,
        "description": snapshot.description, "volume_id": snapshot.volume, "status": snapshot.status,
        "size": snapshot.size, "metadata": snapshot.metadata,
    })
}

/// What the answers to a create and an update have.
pub(super) fn snapshot(snapshot: &Snapshot, caller: &Caller) -> Value {
    let mut shown = snapshot_summary(snapshot);
    if caller.version >= (3, 14) {
        shown["group_snapshot_id"] = json!(snapshot.group_snapshot);
    }
    if caller.version >= (3, 41) {
        shown["user_id"] = json!(snapshot.user);
    }
    if caller.version >= (3, 65) {
        shown["consumes_quota"] = json!(true);
    }
    shown
}

pub(super) fn snapshot_detail(of: &Snapshot, caller: &Caller) -> Value {
    let mut shown = snapshot(of, caller);
    shown["os-extended-snapshot-attributes:project_id"] = json!(of.project);
    shown["os-extended-snapshot-attributes:progress"] = json!(of.progress());
    shown
}

pub(super) fn backup_summary(request: &Request<'_>, backup: &Backup, caller: &Caller) -> Value {
    json!({ "id": backup.id, "name": backup.name, "links": links(request, caller, "backups", &backup.id) })
}

pub(super) fn backup(request: &Request<'_>, world: &World, backup: &Backup, caller: &Caller) -> Value {
    let mut shown = json!({
        "id": backup.id, "status": backup.status, "size": backup.size,
        "object_count": if backup.status == "creating" { 0 } else { backup.size },
        "availability_zone": backup.zone, "container": backup.container,
        "created_at": timestamp(backup.created), "updated_at": backup.updated.map(timestamp),
        "name": backup.name, "description": backup.description, "fail_reason": backup.fail_reason,
        "volume_id": backup.volume, "links": links(request, caller, "backups", &backup.id),
        "is_incremental": backup.parent.is_some(), "has_dependent_backups": world.has_dependents(&backup.id),
        "snapshot_id": backup.snapshot, "data_timestamp": timestamp(backup.data_from),
    });
    if caller.version >= (3, 43) {
        shown["metadata"] = json!(backup.metadata);
    }
    shown
}

/// The time in an answer to a create comes from memory, with microseconds.
pub(super) fn fresh(time: SystemTime) -> Value {
    timestamp_with(time, "%Y-%m-%dT%H:%M:%S.%6f").into()
}

pub(super) fn message(message: &Message) -> Value {
    json!({
        "id": message.id, "event_id": message.event_id(), "user_message": message.text(), "message_level": "ERROR",
        "created_at": timestamp(message.created),
        "guaranteed_until": timestamp(message.created + std::time::Duration::from_secs(30 * 86_400)),
        "request_id": message.request, "resource_type": message.resource.name(),
        "resource_uuid": message.object,
    })
}

/// The id of the one backend's service.
const SERVICE: &str = "2b678c23-aae9-439d-8a99-7962546611b9";

fn attachment(volume: &Volume, held: &VolumeAttachment) -> Value {
    json!({
        "id": volume.id, "attachment_id": held.id, "volume_id": volume.id, "server_id": held.server,
        "host_name": null, "device": held.device, "attached_at": held.attached.map(timestamp),
    })
}

fn links(request: &Request<'_>, caller: &Caller, collection: &str, id: &str) -> Value {
    let (base, project) = (&request.base, &caller.project);
    json!([
        { "rel": "self", "href": format!("{base}/volume/v3/{project}/{collection}/{id}") },
        { "rel": "bookmark", "href": format!("{base}/volume/{project}/{collection}/{id}") },
    ])
}
