//! Backups.

use serde_json::{Map, Value, json};

use super::super::super::world::{Backup, BackupUpdate, Microversion, NewBackup, World};
use super::super::answer::Answer;
use super::super::request::{Caller, Request, unknown_path};
use super::fields::{self, Fields};
use super::list::{Column, Filter, Listed, Page};
use super::{action, show};

const UPDATE: Microversion = (3, 9);
const METADATA: Microversion = (3, 43);
const ZONES: Microversion = (3, 51);

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
            let found = world.backup(&caller.project, id)?;
            Ok(Answer::new(200, json!({ "backup": show::backup(request, world, found, caller) })))
        }
        ("PUT", [id]) if caller.version >= UPDATE => update(request, world, caller, id),
        ("DELETE", [id]) => {
            world.delete_backup(&caller.project, id)?;
            Ok(Answer::empty(202))
        }
        ("POST", [id, "restore"]) => restore(request, world, caller, id),
        ("POST", [id, "action"]) => act(request, world, caller, id),
        _ => Err(unknown_path()),
    }
}

fn list(request: &Request<'_>, world: &World, caller: &Caller, detail: bool) -> Result<Answer, Answer> {
    let page = Page::of(request, world, caller, &world.backups)?;
    Ok(page.answer(request, caller, detail, |one| match detail {
        true => show::backup(request, world, one, caller),
        false => show::backup_summary(request, one, caller),
    }))
}

fn create(request: &Request<'_>, world: &mut World, caller: &Caller) -> Result<Answer, Answer> {
    let mut known =
        vec!["volume_id", "container", "description", "incremental", "force", "name", "snapshot_id"];
    known.extend((caller.version >= METADATA).then_some("metadata"));
    known.extend((caller.version >= ZONES).then_some("availability_zone"));
    let wanted = Fields::known(&request.body, "backup", &known)?;
    let new = NewBackup {
        name: wanted.text("name")?,
        description: wanted.text("description")?,
        volume: wanted.required_id("volume_id")?.to_owned(),
        snapshot: wanted.id("snapshot_id")?,
        container: wanted.text("container")?,
        metadata: wanted.metadata(fields::KEYS)?,
        zone: wanted.text("availability_zone")?,
        incremental: wanted.yes("incremental")? == Some(true),
        force: wanted.yes("force")? == Some(true),
        project: caller.project.clone(),
    };
    let created = world.create_backup(new)?;
    // The answer doesn't even have the status.
    Ok(Answer::new(202, json!({ "backup": show::backup_summary(request, &created, caller) })))
}

fn update(request: &Request<'_>, world: &mut World, caller: &Caller, id: &str) -> Result<Answer, Answer> {
    let mut known = vec!["name", "description"];
    known.extend((caller.version >= METADATA).then_some("metadata"));
    let wanted = Fields::known(&request.body, "backup", &known)?;
    let metadata = |given| fields::metadata("metadata", given, fields::KEYS, "'object'");
    let update = BackupUpdate {
        name: wanted.text("name")?,
        description: wanted.text("description")?,
        metadata: wanted.find("metadata").map(metadata).transpose()?,
    };
    let changed = world.update_backup(&caller.project, id, update)?;
    Ok(Answer::new(200, json!({ "backup": show::backup_summary(request, changed, caller) })))
}

/// Into a volume that is there. The real one makes a volume where none is named, and waits for it.
fn restore(request: &Request<'_>, world: &mut World, caller: &Caller, id: &str) -> Result<Answer, Answer> {
    let volume = Fields::known(&request.body, "restore", &["name", "volume_id"])?.required_id("volume_id")?;
    world.restore_backup(&caller.project, id, volume)?;
    let name = &world.volume(&caller.project, volume)?.name;
    let restore = json!({ "backup_id": id, "volume_id": volume, "volume_name": name });
    Ok(Answer::new(202, json!({ "restore": restore })))
}

fn act(request: &Request<'_>, world: &World, caller: &Caller, id: &str) -> Result<Answer, Answer> {
    let action = request.body.as_object().and_then(|body| body.keys().next());
    let action = action.map(String::as_str).unwrap_or_default();
    world.backup(&caller.project, id)?;
    match action {
        "os-reset_status" | "os-force_delete" => Err(action::forbidden("backup", action)),
        unknown => Err(action::none_such(unknown)),
    }
}

impl Listed for Backup {
    const COLLECTION: &'static str = "backups";
    const LINKS: &'static str = "backups_links";
    const KIND: &'static str = "Backup";
    const SORTED_BY_NAME: Microversion = (3, 37);
    const FILTERS: &'static [Filter] = &[
        Filter("name", (3, 0), (3, 0)),
        Filter("status", (3, 0), (3, 0)),
        Filter("volume_id", (3, 0), (3, 0)),
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
            "size" => Column::Number(self.size),
            "availability_zone" => Column::text(self.zone.as_deref()),
            _ => return None,
        })
    }

    fn metadata(&self) -> Option<&Map<String, Value>> {
        Some(&self.metadata)
    }
}
