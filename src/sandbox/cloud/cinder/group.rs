//! Groups and group types.

use serde_json::{Value, json};

use super::super::super::world::{Group, GroupType, GroupUpdate, Microversion, NewGroup, World, timestamp};
use super::super::answer::Answer;
use super::super::request::{Caller, Request, not_yet, unknown_path};
use super::action;
use super::fields::{self, Fields};
use super::list::{Column, Filter, Listed, Page};

/// The first microversion with group types, and the first with groups.
const TYPES: Microversion = (3, 11);
const GROUPS: Microversion = (3, 13);

pub(super) fn types(world: &World, caller: &Caller, path: &[&str]) -> Result<Answer, Answer> {
    match path {
        _ if caller.version < TYPES => Err(not_yet()),
        [] => {
            let shown: Vec<_> = world.group_types.iter().map(show_type).collect();
            Ok(Answer::new(200, json!({ "group_types": shown })))
        }
        // Cinder's settings name it, and the lab's don't.
        ["default"] => Err(Answer::fault(404, "Default group type can not be found.")),
        [id, "group_specs"] => {
            let specs = specs(world, type_of(world, id)?).ok_or_else(|| {
                let rule = "group:group_types_specs:get_all";
                Answer::fault(403, &format!("Policy doesn't allow {rule} to be performed."))
            })?;
            Ok(Answer::new(200, json!({ "group_specs": specs })))
        }
        [id] => Ok(Answer::new(200, json!({ "group_type": show_type(type_of(world, id)?) }))),
        _ => Err(unknown_path()),
    }
}

fn type_of<'w>(world: &'w World, id: &str) -> Result<&'w GroupType, Answer> {
    let found = world.group_types.iter().find(|kind| kind.id == id);
    found.ok_or_else(|| Answer::fault(404, &format!("Group type {id} could not be found.")))
}

/// A tenant sees no specs here, whatever the policy.
fn show_type(kind: &GroupType) -> Value {
    json!({ "id": kind.id, "name": kind.name, "description": kind.description, "is_public": true })
}

/// `None`: the policy shows them to administrators only. The reserved type promises consistency, too.
fn specs(world: &World, kind: &GroupType) -> Option<Value> {
    let consistent = world.settings.consistent_group_types.as_ref()?;
    Some(match kind.is_reserved() || consistent.contains(&kind.name) {
        true => json!({ "consistent_group_snapshot_enabled": "<is> True" }),
        false => json!({}),
    })
}

pub(super) fn answer(
    request: &Request<'_>,
    world: &mut World,
    caller: &Caller,
    path: &[&str],
) -> Result<Answer, Answer> {
    if caller.version < GROUPS {
        return Err(not_yet());
    }
    match (request.method.as_str(), path) {
        ("GET", []) => list(request, world, caller, false),
        ("GET", ["detail"]) => list(request, world, caller, true),
        ("POST", []) => create(request, world, caller),
        ("GET", [id]) => {
            let found = world.group(&caller.project, id)?;
            Ok(Answer::new(200, json!({ "group": show(request, world, found, caller) })))
        }
        ("PUT", [id]) => update(request, world, caller, id),
        ("POST", [id, "action"]) => act(request, world, caller, id),
        _ => Err(unknown_path()),
    }
}

fn list(request: &Request<'_>, world: &World, caller: &Caller, detail: bool) -> Result<Answer, Answer> {
    let page = Page::of(request, world, caller, &world.groups)?;
    Ok(page.answer(request, caller, false, |one| match detail {
        true => show(request, world, one, caller),
        false => summary(one),
    }))
}

fn create(request: &Request<'_>, world: &mut World, caller: &Caller) -> Result<Answer, Answer> {
    let known = ["name", "description", "group_type", "volume_types", "availability_zone"];
    let wanted = Fields::known(&request.body, "group", &known)?;
    let types = wanted.required("volume_types")?;
    let names = types.as_array().ok_or_else(|| fields::is_not("volume_types", types, "of type 'array'"))?;
    let new = NewGroup {
        name: wanted.text("name")?,
        description: wanted.text("description")?,
        kind: wanted.required_text("group_type")?.to_owned(),
        volume_types: names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        zone: wanted.text("availability_zone")?,
        project: caller.project.clone(),
    };
    let created = world.create_group(new)?;
    Ok(Answer::new(202, json!({ "group": summary(&created) })))
}

/// The lists of volumes are texts of at most 255 characters, which is six ids.
fn update(request: &Request<'_>, world: &mut World, caller: &Caller, id: &str) -> Result<Answer, Answer> {
    let known = ["name", "description", "add_volumes", "remove_volumes"];
    let wanted = Fields::known(&request.body, "group", &known)?;
    let ids = |name| {
        let text = wanted.text(name)?.unwrap_or_default();
        let ids = text.split(',').filter(|id| !id.is_empty()).map(str::to_owned);
        Ok::<Vec<String>, Answer>(ids.collect())
    };
    let update = GroupUpdate {
        name: wanted.text("name")?,
        description: wanted.text("description")?,
        add: ids("add_volumes")?,
        remove: ids("remove_volumes")?,
    };
    world.update_group(&caller.project, id, update)?;
    Ok(Answer::empty(202))
}

fn act(request: &Request<'_>, world: &mut World, caller: &Caller, id: &str) -> Result<Answer, Answer> {
    if request.body["delete"].is_object() {
        let wanted = Fields::known(&request.body, "delete", &["delete-volumes"])?;
        let with_volumes = wanted.yes("delete-volumes")? == Some(true);
        world.delete_group(&caller.project, id, with_volumes)?;
        return Ok(Answer::empty(202));
    }
    world.group(&caller.project, id)?;
    let action = request.body.as_object().and_then(|body| body.keys().next());
    match action.map(String::as_str).unwrap_or_default() {
        "reset_status" => Err(Answer::fault(403, "Policy doesn't allow group:reset_status to be performed.")),
        unknown => Err(action::none_such(unknown)),
    }
}

fn summary(group: &Group) -> Value {
    json!({ "id": group.id, "name": group.name })
}

fn show(request: &Request<'_>, world: &World, group: &Group, caller: &Caller) -> Value {
    let types = group.volume_types.iter().filter_map(|name| world.kind_named(name).ok());
    let mut shown = json!({
        "id": group.id, "status": group.status, "availability_zone": group.zone,
        "created_at": timestamp(group.created), "name": group.name, "description": group.description,
        "group_type": group.kind, "volume_types": types.map(|kind| &kind.id).collect::<Vec<_>>(),
    });
    if caller.version >= (3, 14) {
        shown["group_snapshot_id"] = Value::Null;
        shown["source_group_id"] = Value::Null;
    }
    let listed = request.query("list_volume").is_some_and(|wanted| wanted.eq_ignore_ascii_case("true"));
    if caller.version >= (3, 25) && listed {
        shown["volumes"] = json!(world.volumes_of_group(&group.id));
    }
    if caller.version >= (3, 38) {
        shown["replication_status"] = json!("disabled");
    }
    shown
}

impl Listed for Group {
    const COLLECTION: &'static str = "groups";
    const LINKS: &'static str = "group_links";
    const KIND: &'static str = "Group";
    const CONTROLS: &'static [&'static str] = &["list_volume"];
    const COUNTED: bool = false;
    const ANY_FILTER: Option<Microversion> = Some(GROUPS);
    const FILTERS: &'static [Filter] = &[Filter("name", (3, 0), (3, 0))];

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
            "availability_zone" => Column::Text(&self.zone),
            _ => return None,
        })
    }
}
