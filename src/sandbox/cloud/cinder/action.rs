//! What `POST /volumes/ID/action` can do.

use serde_json::Value;

use super::super::super::world::{Microversion, World};
use super::super::answer::Answer;
use super::super::request::{Caller, Request};
use super::attachment::is_novas;
use super::fields::{self, Fields, whole_gigabytes};

const EXTEND_ONLINE: Microversion = (3, 42);

pub(super) fn act(
    request: &Request<'_>,
    world: &mut World,
    caller: &Caller,
    id: &str,
) -> Result<Answer, Answer> {
    let (action, arguments) =
        request.body.as_object().and_then(|body| body.iter().next()).ok_or_else(|| none_such(""))?;
    match action.as_str() {
        "os-extend" => {
            let size = whole_gigabytes("new_size", &arguments["new_size"])?;
            world.extend_volume(&caller.project, id, size, caller.version >= EXTEND_ONLINE)?;
            Ok(Answer::empty(202))
        }
        "os-retype" => {
            let (kind, migrate) = retyping(&request.body)?;
            world.retype_volume(&caller.project, id, kind, migrate)?;
            Ok(Answer::empty(202))
        }
        "os-reset_status" | "os-force_detach" | "os-force_delete" => {
            world.volume(&caller.project, id)?;
            Err(forbidden("volume", action))
        }
        "os-detach" => {
            let held = arguments["attachment_id"].as_str().unwrap_or_default();
            let volume = world.volume(&caller.project, id)?;
            let server = volume.shown_attachments().find(|one| one.id == held).map(|one| one.server.as_str());
            Err(is_novas(server.unwrap_or_default()))
        }
        unknown => Err(none_such(unknown)),
    }
}

/// The new type, and whether the data may move.
fn retyping(body: &Value) -> Result<(&str, bool), Answer> {
    let wanted = Fields::known(body, "os-retype", &["new_type", "migration_policy"])?;
    let kind = wanted.required_text("new_type")?;
    let Some(policy) = wanted.find("migration_policy") else { return Ok((kind, false)) };
    match policy {
        Value::String(policy) if policy == "never" => Ok((kind, false)),
        Value::String(policy) if policy == "on-demand" => Ok((kind, true)),
        Value::String(_) | Value::Null => {
            Err(fields::is_not("migration_policy", policy, "one of ['on-demand', 'never']"))
        }
        _ => Err(fields::is_not("migration_policy", policy, "of type 'string', 'null'")),
    }
}

/// What only an administrator may do to a volume, snapshot or backup.
pub(super) fn forbidden(object: &str, action: &str) -> Answer {
    let rule = action.replace("os-", "");
    let message =
        format!("Policy doesn't allow volume_extension:{object}_admin_actions:{rule} to be performed.");
    Answer::fault(403, &message)
}

pub(super) fn none_such(action: &str) -> Answer {
    let message = format!(
        "There is no such action: {action}. Verify the request body and Content-Type header and try again."
    );
    Answer::fault(400, &message)
}
