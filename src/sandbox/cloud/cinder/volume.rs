//! Volumes: create, show, list, delete, metadata.

use serde_json::{Map, Value, json};

use super::super::super::world::{Microversion, NewVolume, Volume, World};
use super::super::answer::Answer;
use super::super::request::{Caller, Request, unknown_path};
use super::list::{Column, Filter, Listed, Page};
use super::metadata::Owner;
use super::{action, fields, metadata, show};

/// From here on a volume can be made from a backup.
const FROM_BACKUP: Microversion = (3, 47);

const KNOWN_FIELDS: [&str; 13] = [
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
    "consistencygroup_id",
    "group_id",
];

pub(super) fn answer(
    request: &Request<'_>,
    world: &mut World,
    caller: &Caller,
    path: &[&str],
) -> Result<Answer, Answer> {
    match (request.method.as_str(), path) {
        ("GET", []) => list(request, world, caller, false),
        ("GET", ["detail"]) => list(request, world, caller, true),
        ("POST", []) => create(request, world, caller),
        ("GET", [id]) => {
            let found = world.volume(&caller.project, id)?;
            Ok(Answer::new(200, json!({ "volume": show::volume(request, world, found, caller) })))
        }
        ("DELETE", [id]) => {
            world.delete_volume(&caller.project, id)?;
            Ok(Answer::empty(202))
        }
        ("POST", [id, "action"]) => action::act(request, world, caller, id),
        (_, [id, "metadata", rest @ ..]) => {
            let found = world.volume(&caller.project, id)?.metadata.clone();
            let owner = Owner { kind: "Volume", id, slashes: true };
            metadata::answer(request, world, rest, &owner, found, |world, change| {
                world.change_metadata(&caller.project, id, change)
            })
        }
        _ => Err(unknown_path()),
    }
}

fn list(request: &Request<'_>, world: &World, caller: &Caller, detail: bool) -> Result<Answer, Answer> {
    let page = Page::of(request, world, caller, &world.volumes)?;
    Ok(page.answer(request, caller, detail, |one| match detail {
        true => show::volume(request, world, one, caller),
        false => show::volume_summary(request, one, caller),
    }))
}

fn create(request: &Request<'_>, world: &mut World, caller: &Caller) -> Result<Answer, Answer> {
    let wanted = &request.body["volume"];
    let mut known = KNOWN_FIELDS.to_vec();
    known.extend((caller.version >= FROM_BACKUP).then_some("backup_id"));
    check_name(fields::object(&request.body, "volume", &known)?)?;
    let text = |field: &str| wanted[field].as_str().map(str::to_owned);
    let new = NewVolume {
        name: text("name"),
        description: text("description"),
        size: size_of(wanted, world, caller)?,
        zone: text("availability_zone"),
        kind: text("volume_type"),
        metadata: fields::metadata(&wanted["metadata"], true)?,
        hints: hints(&request.body)?,
        snapshot: text("snapshot_id"),
        source: text("source_volid"),
        backup: text("backup_id"),
        user: caller.user.clone(),
        project: caller.project.clone(),
    };
    let created = world.create_volume(new)?;
    let mut shown = show::volume(request, world, &created, caller);
    // The create answer comes from memory: microseconds, and no tenant.
    shown["created_at"] = show::fresh(created.created);
    if let Some(shown) = shown.as_object_mut() {
        shown.remove("os-vol-tenant-attr:tenant_id");
    }
    Ok(Answer::new(202, json!({ "volume": shown })))
}

/// They stand beside the volume in the body.
fn hints(body: &Value) -> Result<Value, Answer> {
    let hints = &body["OS-SCH-HNT:scheduler_hints"];
    let refused = |name: &str, value: &Value, reason: &str| {
        let message = format!("Invalid input for field/attribute {name}. Value: {value}. {reason}");
        Err(Answer::fault(400, &message))
    };
    if !hints.is_object() && !hints.is_null() {
        return refused("OS-SCH-HNT:scheduler_hints", hints, "is not of type 'object'");
    }
    let is_id = |value: &Value| value.as_str().is_some_and(|id| uuid::Uuid::try_parse(id).is_ok());
    for name in ["same_host", "different_host", "local_to_instance"] {
        let many = hints[name].as_array().filter(|_| name != "local_to_instance");
        let good = many.map_or(hints[name].is_null() || is_id(&hints[name]), |ids| ids.iter().all(is_id));
        if !good {
            return refused(name, &hints[name], "is not valid under any of the given schemas");
        }
    }
    Ok(hints.clone())
}

/// Only volumes say it in these words.
fn check_name(wanted: &Map<String, Value>) -> Result<(), Answer> {
    let name = wanted.get("name").and_then(Value::as_str).unwrap_or_default();
    let length = name.chars().count();
    if length > 255 {
        let message = format!("Invalid input received: name has {length} characters, more than 255.");
        return Err(Answer::fault(400, &message));
    }
    Ok(())
}

/// The size asked for, or that of the source.
fn size_of(wanted: &Value, world: &World, caller: &Caller) -> Result<u64, Answer> {
    let size = &wanted["size"];
    if size.is_null() {
        let of_snapshot = wanted["snapshot_id"].as_str().map(|id| world.snapshot(&caller.project, id));
        let of_source = wanted["source_volid"].as_str().map(|id| world.volume(&caller.project, id));
        let of_backup = wanted["backup_id"].as_str().map(|id| world.backup(&caller.project, id));
        return match (of_snapshot, of_source, of_backup) {
            (Some(snapshot), ..) => Ok(snapshot?.size),
            (_, Some(volume), _) => Ok(volume?.size),
            (.., Some(backup)) => Ok(backup?.size),
            _ => Err(Answer::fault(
                400,
                "The server could not comply with the request since it is either malformed or otherwise incorrect.",
            )),
        };
    }
    fields::whole_gigabytes("size", size)
}

impl Listed for Volume {
    const COLLECTION: &'static str = "volumes";
    const LINKS: &'static str = "volumes_links";
    const KIND: &'static str = "Volume";
    const FILTERS: &'static [Filter] = &[
        Filter("name", (3, 0), (3, 0)),
        Filter("status", (3, 0), (3, 0)),
        Filter("metadata", (3, 0), (3, 0)),
        Filter("availability_zone", (3, 0), (3, 0)),
        Filter("bootable", (3, 2), (3, 2)),
        Filter("group_id", (3, 10), (3, 10)),
        Filter("migration_status", (3, 31), (3, 31)),
        Filter("size", (3, 31), (3, 31)),
        // A Cinder of 3.60 compares times for every caller from 3.31 on; one below that asks for what has changed and
        // gets everything.
        Filter("created_at", (3, 31), (3, 60)),
        Filter("updated_at", (3, 31), (3, 60)),
        Filter("consumes_quota", (3, 31), (3, 65)),
    ];

    fn id(&self) -> &str {
        &self.id
    }

    fn project(&self) -> &str {
        &self.project
    }

    fn is_listed(&self) -> bool {
        self.unlisted_until.is_none_or(|until| until <= tokio::time::Instant::now())
    }

    fn column(&self, name: &str) -> Option<Column<'_>> {
        Some(match name {
            "id" => Column::Text(&self.id),
            "created_at" => Column::time(self.created),
            "updated_at" => Column::time_of(self.updated),
            "name" => Column::text(self.name.as_deref()),
            "status" => Column::Text(&self.status),
            "size" => Column::Number(self.size),
            "availability_zone" => Column::Text(&self.zone),
            "bootable" => Column::yes(self.bootable),
            "consumes_quota" => Column::yes(true),
            _ => return None,
        })
    }

    fn metadata(&self) -> Option<&Map<String, Value>> {
        Some(&self.metadata)
    }
}
