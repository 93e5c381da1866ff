//! `/limits`: what a project may have, and has.

use serde_json::json;

use super::super::super::world::World;
use super::super::answer::Answer;
use super::super::request::Caller;

pub(super) fn answer(world: &World, caller: &Caller) -> Answer {
    let (quota, used) = (world.quota(&caller.project), |name| world.usage(&caller.project, name));
    let limit = |name| quota.limit(name).map_or(json!(-1), |limit| json!(limit));
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
