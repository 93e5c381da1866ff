//! Group snapshots.

use serde_json::{Value, json};

use super::super::super::world::{GroupSnapshot, Microversion, NewSnapshot, World, timestamp};
use super::super::answer::Answer;
use super::super::request::{Caller, Request, not_yet, unknown_path};
use super::fields::Fields;
use super::list::{Column, Filter, Listed, Page};

const GROUP_SNAPSHOTS: Microversion = (3, 14);

pub(super) fn answer(
    request: &Request<'_>,
    world: &mut World,
    caller: &Caller,
    path: &[&str],
) -> Result<Answer, Answer> {
    if caller.version < GROUP_SNAPSHOTS {
        return Err(not_yet());
    }
    match (request.method.as_str(), path) {
        ("GET", []) => list(request, world, caller, false),
        ("GET", ["detail"]) => list(request, world, caller, true),
        ("POST", []) => create(request, world, caller),
        ("GET", [id]) => {
            let found = world.group_snapshot(&caller.project, id)?;
            Ok(Answer::new(200, json!({ "group_snapshot": show(found) })))
        }
        ("DELETE", [id]) => {
            world.delete_group_snapshot(&caller.project, id)?;
            Ok(Answer::empty(202))
        }
        _ => Err(unknown_path()),
    }
}

fn list(request: &Request<'_>, world: &World, caller: &Caller, detail: bool) -> Result<Answer, Answer> {
    let page = Page::of(request, world, caller, &world.group_snapshots)?;
    Ok(page.answer(request, caller, false, |one| match detail {
        true => show(one),
        false => json!({ "id": one.id, "name": one.name }),
    }))
}

fn create(request: &Request<'_>, world: &mut World, caller: &Caller) -> Result<Answer, Answer> {
    let wanted = Fields::known(&request.body, "group_snapshot", &["group_id", "name", "description"])?;
    let group = wanted.required_id("group_id")?;
    let new = NewSnapshot {
        name: wanted.text("name")?,
        description: wanted.text("description")?,
        force: true,
        user: caller.user.clone(),
        project: caller.project.clone(),
        ..NewSnapshot::default()
    };
    let created = world.create_group_snapshot(group, new)?;
    let shown = json!({ "id": created.id, "name": created.name, "group_type_id": created.kind });
    Ok(Answer::new(202, json!({ "group_snapshot": shown })))
}

fn show(of: &GroupSnapshot) -> Value {
    json!({
        "id": of.id, "group_id": of.group, "group_type_id": of.kind, "status": of.status,
        "created_at": timestamp(of.created), "name": of.name, "description": of.description,
    })
}

impl Listed for GroupSnapshot {
    const COLLECTION: &'static str = "group_snapshots";
    const LINKS: &'static str = "group_snapshot_links";
    const KIND: &'static str = "GroupSnapshot";
    const COUNTED: bool = false;
    const ANY_FILTER: Option<Microversion> = Some((3, 29));
    const FILTERS: &'static [Filter] = &[
        Filter("name", (3, 29), (3, 29)),
        Filter("status", (3, 29), (3, 29)),
        Filter("group_id", (3, 29), (3, 29)),
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
            "name" => Column::text(self.name.as_deref()),
            "status" => Column::Text(&self.status),
            "group_id" => Column::Text(&self.group),
            _ => return None,
        })
    }
}
