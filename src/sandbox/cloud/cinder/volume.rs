//! Volumes: create, show, list, delete, metadata.

use serde_json::{Map, Value, json};

use super::super::super::world::{Microversion, NewVolume, Refusal, Volume, World};
use super::super::answer::Answer;
use super::super::request::{Caller, Request, unknown_path};
use super::fields::{self, Fields};
use super::list::{Column, Filter, Listed, Page};
use super::metadata::Owner;
use super::{action, metadata, show};

/// The first Cinder that makes a volume from a backup.
const FROM_BACKUP: Microversion = (3, 47);
/// The first that refuses fields that it doesn't know; below it they are ignored.
const STRICT: Microversion = (3, 53);

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
    "consistencygroup_id",
    "group_id",
    "backup_id",
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
            let owner = Owner { kind: "Volume", id, keys: fields::KEYS };
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
    let wanted = match caller.version >= STRICT {
        true => Fields::known(&request.body, "volume", &KNOWN_FIELDS)?,
        false => Fields::of(&request.body, "volume")?,
    };
    let new = NewVolume {
        name: title(&wanted, "name")?,
        description: title(&wanted, "description")?,
        size: match wanted.get("size") {
            Value::Null => None,
            size => Some(fields::whole_gigabytes("size", size)?),
        },
        zone: wanted.text("availability_zone")?,
        kind: wanted.text("volume_type")?,
        metadata: wanted.metadata(fields::KEYS)?,
        hints: hints(&request.body)?,
        snapshot: wanted.id("snapshot_id")?,
        source: wanted.id("source_volid")?,
        // The caller's version doesn't matter. An older Cinder makes an empty volume.
        backup: if world.settings.block_storage >= FROM_BACKUP { wanted.id("backup_id")? } else { None },
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
    let name = "OS-SCH-HNT:scheduler_hints";
    let hints = &body[name];
    if !hints.is_object() && !hints.is_null() {
        return Err(fields::is_not(name, hints, "of type 'object', 'null'"));
    }
    for name in ["same_host", "different_host", "local_to_instance"] {
        let Some(hint) = hints.get(name) else { continue };
        let good = match hint {
            Value::Null => name == "local_to_instance",
            Value::Array(ids) => name != "local_to_instance" && are_ids(ids),
            one => one.as_str().is_some_and(fields::is_id),
        };
        if !good {
            return Err(fields::is_not(name, hint, fields::OF_A_SCHEMA));
        }
    }
    match hints.get("query") {
        Some(query) if !query.is_string() && !query.is_object() => {
            Err(fields::is_not("query", query, "of type 'string', 'object'"))
        }
        _ => Ok(hints.clone()),
    }
}

fn are_ids(ids: &[Value]) -> bool {
    let is_new = |index: usize| !ids[..index].contains(&ids[index]);
    ids.iter().all(|id| id.as_str().is_some_and(fields::is_id)) && (0..ids.len()).all(is_new)
}

/// A name or description: only volumes refuse a long one in these words.
fn title(wanted: &Fields<'_>, field: &str) -> Result<Option<String>, Answer> {
    let length = wanted.get(field).as_str().unwrap_or_default().trim().chars().count();
    if length > 255 {
        return Err(Refusal::invalid_input(format!("{field} has {length} characters, more than 255.")).into());
    }
    wanted.text(field)
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
        Filter("bootable", (3, 0), (3, 0)),
        Filter("group_id", (3, 10), (3, 10)),
        Filter("migration_status", (3, 0), (3, 0)),
        Filter("size", (3, 0), (3, 0)),
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
