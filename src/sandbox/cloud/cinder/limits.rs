//! `/limits` and `/os-quota-sets`: what a project may have, and has.

use serde_json::{Map, Value, json};

use super::super::super::world::World;
use super::super::answer::Answer;
use super::super::request::{Caller, Request};

pub(super) fn answer(world: &World, caller: &Caller) -> Answer {
    let (limit, used) = (|name| limit(world, caller, name), |name| world.usage(&caller.project, name));
    Answer::new(
        200,
        json!({ "limits": { "rate": [], "absolute": {
            "maxTotalVolumes": limit("volumes"), "maxTotalSnapshots": limit("snapshots"),
            "maxTotalVolumeGigabytes": limit("gigabytes"), "maxTotalBackups": limit("backups"),
            "maxTotalBackupGigabytes": limit("backup_gigabytes"), "totalVolumesUsed": used("volumes"),
            "totalGigabytesUsed": used("gigabytes"), "totalSnapshotsUsed": used("snapshots"),
            "totalBackupsUsed": used("backups"), "totalBackupGigabytesUsed": used("backup_gigabytes"),
        } } }),
    )
}

/// The quotas of a project, those for single volume types among them. A member reads those of its own project.
pub(super) fn quota_set(
    request: &Request<'_>,
    world: &World,
    caller: &Caller,
    project: &str,
) -> Result<Answer, Answer> {
    if project != caller.project {
        let message = "Policy doesn't allow volume_extension:quotas:show to be performed.";
        return Err(Answer::fault(403, message));
    }
    let usage = request.query("usage").is_some_and(|usage| usage.eq_ignore_ascii_case("true"));
    let mut set = Map::new();
    for name in resources(world) {
        let limit = limit(world, caller, &name);
        let shown = match usage {
            true => json!({ "limit": limit, "in_use": world.usage(project, &name), "reserved": 0 }),
            false => limit,
        };
        set.insert(name, shown);
    }
    set.insert("id".to_owned(), json!(project));
    Ok(Answer::new(200, json!({ "quota_set": set })))
}

fn resources(world: &World) -> Vec<String> {
    let whole = [
        "volumes",
        "per_volume_gigabytes",
        "snapshots",
        "gigabytes",
        "backups",
        "backup_gigabytes",
        "groups",
    ];
    let mut names: Vec<_> = whole.map(str::to_owned).into();
    for kind in &world.types {
        names.extend(
            ["volumes", "gigabytes", "snapshots"].map(|resource| format!("{resource}_{}", kind.name)),
        );
    }
    names
}

/// -1 where there is none.
fn limit(world: &World, caller: &Caller, name: &str) -> Value {
    world.quota(&caller.project).limit(name).map_or(json!(-1), |limit| json!(limit))
}
