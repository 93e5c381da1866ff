//! Snapshots.

use serde_json::{Map, Value, json};

use super::super::super::world::{Microversion, NewSnapshot, Snapshot, World};
use super::super::answer::Answer;
use super::super::request::{Caller, Request, unknown_path};
use super::fields::{self, Fields};
use super::list::{Column, Filter, Listed, Page};
use super::metadata::Owner;
use super::{action, metadata, show};

/// From here on snapshots of volumes in use need no `force`.
const IN_USE: Microversion = (3, 66);

const FORCE_IS_GONE: &str = "Since microversion 3.66 the 'force' flag is invalid for this request.  For backward \
    compatability, however, when the 'force' flag is passed with a value evaluating to True, it is silently ignored.";

const KNOWN_FIELDS: [&str; 6] = ["name", "display_name", "description", "volume_id", "force", "metadata"];

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
            let found = world.snapshot(&caller.project, id)?;
            Ok(Answer::new(200, json!({ "snapshot": show::snapshot_detail(found, caller) })))
        }
        ("PUT", [id]) => update(request, world, caller, id),
        ("DELETE", [id]) => {
            world.delete_snapshot(&caller.project, id)?;
            Ok(Answer::empty(202))
        }
        ("POST", [id, "action"]) => act(request, world, caller, id),
        (_, [id, "metadata", rest @ ..]) => {
            let found = world.snapshot(&caller.project, id)?.metadata.clone();
            // A new snapshot may have slashes in the keys of its metadata; later changes may not.
            let owner = Owner { kind: "Snapshot", id, keys: fields::KEYS_WITHOUT_SLASHES };
            metadata::answer(request, world, rest, &owner, found, |world, change| {
                world.change_snapshot_metadata(&caller.project, id, change)
            })
        }
        _ => Err(unknown_path()),
    }
}

fn list(request: &Request<'_>, world: &World, caller: &Caller, detail: bool) -> Result<Answer, Answer> {
    let page = Page::of(request, world, caller, &world.snapshots)?;
    Ok(page.answer(request, caller, detail, |one| match detail {
        true => show::snapshot_detail(one, caller),
        false => show::snapshot_summary(one),
    }))
}

fn create(request: &Request<'_>, world: &mut World, caller: &Caller) -> Result<Answer, Answer> {
    let wanted = Fields::known(&request.body, "snapshot", &KNOWN_FIELDS)?;
    wanted.required("volume_id")?;
    let force = match (wanted.yes("force")?, caller.version >= IN_USE) {
        (Some(false), true) => return Err(Answer::fault(400, FORCE_IS_GONE)),
        (_, true) => true,
        (force, false) => force == Some(true),
    };
    let new = NewSnapshot {
        name: wanted.text("name")?,
        description: wanted.text("description")?,
        metadata: wanted.metadata(fields::KEYS)?,
        // Python's word for null.
        volume: wanted.id("volume_id")?.unwrap_or_else(|| "None".to_owned()),
        force,
        user: caller.user.clone(),
        project: caller.project.clone(),
    };
    let created = world.create_snapshot(new)?;
    let mut shown = show::snapshot(&created, caller);
    shown["created_at"] = show::fresh(created.created);
    Ok(Answer::new(202, json!({ "snapshot": shown })))
}

fn update(request: &Request<'_>, world: &mut World, caller: &Caller, id: &str) -> Result<Answer, Answer> {
    let wanted = Fields::known(&request.body, "snapshot", &["name", "description"])?;
    let (name, description) = (wanted.text("name")?, wanted.text("description")?);
    let changed = world.rename_snapshot(&caller.project, id, name, description)?;
    Ok(Answer::new(200, json!({ "snapshot": show::snapshot(changed, caller) })))
}

fn act(request: &Request<'_>, world: &World, caller: &Caller, id: &str) -> Result<Answer, Answer> {
    let action = request.body.as_object().and_then(|body| body.keys().next());
    let action = action.map(String::as_str).unwrap_or_default();
    world.snapshot(&caller.project, id)?;
    match action {
        "os-reset_status" | "os-force_delete" => Err(action::forbidden("snapshot", action)),
        unknown => Err(action::none_such(unknown)),
    }
}

impl Listed for Snapshot {
    const COLLECTION: &'static str = "snapshots";
    const LINKS: &'static str = "snapshots_links";
    const KIND: &'static str = "Snapshot";
    const SORTED_BY_NAME: Microversion = (3, 30);
    const FILTERS: &'static [Filter] = &[
        Filter("name", (3, 0), (3, 0)),
        Filter("status", (3, 0), (3, 0)),
        Filter("volume_id", (3, 0), (3, 0)),
        Filter("metadata", (3, 22), (3, 22)),
        Filter("availability_zone", (3, 31), (3, 59)),
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
            "volume_id" => Column::Text(&self.volume),
            "size" | "volume_size" => Column::Number(self.size),
            "availability_zone" => Column::Text(&self.zone),
            "consumes_quota" => Column::yes(true),
            _ => return None,
        })
    }

    fn metadata(&self) -> Option<&Map<String, Value>> {
        Some(&self.metadata)
    }
}
