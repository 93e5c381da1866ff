//! A volume changes its type and its metadata.

use std::collections::BTreeMap;

use super::watch::Interest;
use super::{Condition, Error, Result, Volume, VolumeId, Volumes, not_found, remedy};
use crate::openstack::{self, Effect, Kind, Migration, Status, VolumeType};

/// What a VolumeAttributesClass asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// By name or by id.
    pub volume_type: Option<String>,
    pub migration: Migration,
    /// Merged into what is there.
    pub metadata: BTreeMap<String, String>,
}

/// How often one unchanged state may refuse one call before the refusal is the answer.
const REFUSALS: u32 = 2;
/// Looks that show an accepted retype's volume as before. Cinder moves to `retyping` before it answers 202 (`retype` in
/// <https://opendev.org/openstack/cinder/src/branch/master/cinder/volume/api.py>), so that it has come back from there; one
/// such look may be a replica of the database that lags.
const COME_BACK: u32 = 2;

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Done,
    Retype,
    /// Writes what the volume's metadata lacks.
    Write,
    Wait,
    /// The retype that was sent has ended with the old type.
    Failed,
    Refuse(Condition, String),
}

/// The type asked for, looked up in the cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    /// As Cinder shows it: by its name.
    Known(VolumeType),
    /// The project has no such type.
    Unknown(String),
}

/// What this RPC knows of the retype that it sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Nothing,
    /// So many looks since then show the volume at rest.
    Accepted {
        at_rest: u32,
    },
    /// No clear answer came.
    Unclear,
}

impl Volumes {
    /// Returns the volume once it has the type and the metadata asked for.
    pub async fn ensure_modified(&self, id: VolumeId, change: &Change) -> Result<Volume> {
        self.modify(id, change).await.map_err(|error| error.context(format!("modify volume {id}")))
    }

    async fn modify(&self, id: VolumeId, change: &Change) -> Result<Volume> {
        let mut seen = self.observe_known(id).await?;
        let target = self.target(&seen, change).await?;
        let mut sent = Sent::Nothing;
        let (mut refusals, mut held) = (0, None);
        let mut looks = None;
        loop {
            match plan(&seen, target.as_ref(), &change.metadata, sent) {
                Step::Done => return Ok(seen),
                Step::Retype => {
                    let to = change.volume_type.as_deref().unwrap_or_default();
                    match self.cinder.retype_volume(id, to, change.migration).await {
                        Ok(()) => sent = Sent::Accepted { at_rest: 0 },
                        Err(error) if error.effect == Effect::Unknown => sent = Sent::Unclear,
                        Err(error) if may_pass(&error) && refusals < REFUSALS => refusals += 1,
                        Err(error) if may_pass(&error) => match self.holder(id).await? {
                            // Cinder retypes no volume that is in a group: one of ours lets it go.
                            Some(group) => held = Some(group.name),
                            None => return Err(refused(&error)),
                        },
                        Err(error) => return Err(refused(&error)),
                    }
                }
                Step::Write => {
                    self.write(&mut seen, &change.metadata).await?;
                    continue;
                }
                Step::Wait => refusals = 0,
                Step::Failed => return Err(given_up(&seen, change)),
                Step::Refuse(condition, why) => return Err(Error::new(condition, why)),
            }
            let looks =
                looks.get_or_insert_with(|| self.watch.follow(("modify", "volume"), Interest::Change(id)));
            let looked = looks.next().await.map_err(|error| held_up(error, held.as_deref()));
            seen = looked?.ok_or_else(|| not_found(id, None))?;
            if let Sent::Accepted { at_rest } = &mut sent {
                *at_rest += u32::from(is_at_rest(&seen));
            }
        }
    }

    /// The type that is asked for. A volume that has it by name needs no list of the types.
    async fn target(&self, seen: &Volume, change: &Change) -> Result<Option<Target>> {
        let Some(wanted) = &change.volume_type else { return Ok(None) };
        let named = |name: &str| VolumeType {
            id: String::new(),
            name: name.to_owned(),
            extra_specs: BTreeMap::new(),
        };
        if seen.volume_type.as_deref() == Some(wanted) {
            return Ok(Some(Target::Known(named(wanted))));
        }
        match self.cinder.find_volume_type(wanted).await {
            Ok(Some(kind)) => Ok(Some(Target::Known(kind))),
            Ok(None) => Ok(Some(Target::Unknown(wanted.clone()))),
            // An earlier call may have left its retype under way.
            Err(error) => Err(Error::unsettled(&error)),
        }
    }

    async fn write(&self, seen: &mut Volume, metadata: &BTreeMap<String, String>) -> Result<()> {
        match self.cinder.update_volume_metadata(seen.id, metadata).await {
            Ok(()) => seen.metadata.extend(metadata.clone()),
            Err(error) if error.effect == Effect::Unknown => return Err(Error::unsettled(&error)),
            Err(error) if error.kind == Kind::NotFound => return Err(not_found(seen.id, Some(&error))),
            Err(error) => return Err(refused(&error)),
        }
        Ok(())
    }
}

fn plan(volume: &Volume, target: Option<&Target>, metadata: &BTreeMap<String, String>, sent: Sent) -> Step {
    match &volume.status {
        // A migration switches the type before it ends.
        Status::Creating | Status::Retyping => return Step::Wait,
        status if is_at_rest(volume) || status.is_passing() => {}
        _ => return refuse(volume),
    }
    match target {
        Some(Target::Unknown(name)) => unknown(name),
        Some(Target::Known(kind)) if volume.volume_type.as_ref() != Some(&kind.name) => {
            retype(volume, kind, sent)
        }
        _ if lacks(volume, metadata) => Step::Write,
        _ => Step::Done,
    }
}

/// The type differs, and nothing about the volume speaks against another one.
fn retype(volume: &Volume, kind: &VolumeType, sent: Sent) -> Step {
    match sent {
        _ if !is_at_rest(volume) => Step::Wait,
        Sent::Nothing if volume.status == Status::InUse && volume.multiattach != kind.is_multiattach() => {
            Step::Refuse(Condition::Invalid, between_multiattach(volume, kind))
        }
        Sent::Nothing => Step::Retype,
        Sent::Accepted { at_rest } if at_rest < COME_BACK => Step::Wait,
        Sent::Accepted { .. } => Step::Failed,
        // A request that Cinder lost sight of may still be carried out: a second one could never be told from it.
        Sent::Unclear => Step::Wait,
    }
}

fn is_at_rest(volume: &Volume) -> bool {
    matches!(volume.status, Status::Available | Status::InUse)
}

fn lacks(volume: &Volume, metadata: &BTreeMap<String, String>) -> bool {
    metadata.iter().any(|(key, value)| volume.metadata.get(key) != Some(value))
}

fn unknown(name: &str) -> Step {
    let why = format!("this project has no volume type {name:?} (openstack volume type list)");
    Step::Refuse(Condition::Invalid, why)
}

/// <https://docs.openstack.org/cinder/latest/admin/volume-multiattach.html>
fn between_multiattach(volume: &Volume, kind: &VolumeType) -> String {
    let (from, to) = match volume.multiattach {
        true => ("allows", "doesn't"),
        false => ("doesn't allow", "does"),
    };
    format!(
        "its type {from} multiattach and {:?} {to}: Cinder changes that only on a detached volume, and this one is attached",
        kind.name
    )
}

fn refuse(volume: &Volume) -> Step {
    Step::Refuse(Condition::Precondition, remedy::told(volume, "Cinder doesn't change"))
}

/// A group snapshot that nobody goes on with holds its volumes until its own next call.
fn held_up(error: Error, group: Option<&str>) -> Error {
    match group {
        Some(group) => {
            error.context(format!("group snapshot {group} held the volume: repeat or delete that"))
        }
        None => error,
    }
}

/// The state may have changed between the look and the call.
fn may_pass(error: &openstack::Error) -> bool {
    matches!(error.kind, Kind::Refused | Kind::NotFound)
}

/// A change that Cinder doesn't make: INVALID_ARGUMENT is what the resizer calls infeasible, so that another class can
/// be chosen. <https://github.com/kubernetes-csi/external-resizer/blob/master/pkg/modifycontroller/modify_volume.go>
fn refused(error: &openstack::Error) -> Error {
    let condition = match error.kind {
        // 400: the state, the type or a key. 404: the type.
        Kind::Refused if error.status.is_some_and(|status| status == 400) => Condition::Invalid,
        Kind::NotFound => Condition::Invalid,
        // A quota of the new type. RESOURCE_EXHAUSTED isn't final for the resizer: it would never let go of this class.
        Kind::OverLimit => Condition::Precondition,
        _ => return Error::reading(error),
    };
    Error::new(condition, error.to_string())
}

/// Cinder leaves no message about a retype (cinder/message/message_field.py has no action for it), neither where its
/// scheduler found no place nor where a migration would be needed.
fn given_up(volume: &Volume, change: &Change) -> Error {
    let kind = change.volume_type.as_deref().unwrap_or_default();
    let migration = match change.migration {
        Migration::Never => {
            "or it would have to move there, which migration-policy \"never\" forbids (\"on-demand\" allows it)"
        }
        Migration::OnDemand => "or the move to another backend failed: a volume with snapshots can't move",
    };
    Error::new(
        Condition::Invalid,
        format!(
            "Cinder accepted the retype to {kind:?} and gave it up, the type is {} as before: no backend of that type has \
             room for the volume in its zone, {migration}. The logs of cinder-scheduler and cinder-volume have the reason",
            volume.volume_type.as_deref().unwrap_or("none")
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::sample::volume;

    fn known(name: &str) -> Option<Target> {
        Some(Target::Known(VolumeType {
            id: "id".to_owned(),
            name: name.to_owned(),
            extra_specs: BTreeMap::new(),
        }))
    }

    fn shared(name: &str) -> Option<Target> {
        let extra_specs = [("multiattach".to_owned(), "<is> True".to_owned())].into();
        Some(Target::Known(VolumeType { id: "id".to_owned(), name: name.to_owned(), extra_specs }))
    }

    fn decided(volume: &Volume, target: Option<&Target>, sent: Sent) -> Step {
        match plan(volume, target, &BTreeMap::new(), sent) {
            Step::Refuse(condition, _) => Step::Refuse(condition, String::new()),
            step => step,
        }
    }

    /// The sample's type is `fast`.
    #[test]
    fn every_state_of_a_volume_leads_to_one_step() {
        use Sent::*;
        let refuse = |condition| Step::Refuse(condition, String::new());
        let accepted = |at_rest| Accepted { at_rest };
        let (invalid, precondition) = (Condition::Invalid, Condition::Precondition);
        let slow = || known("slow");
        let unknown = Some(Target::Unknown("nobody's".to_owned()));
        let attached = || volume(Status::InUse).on(&[1]);
        let table = [
            (volume(Status::Available), slow(), Nothing, Step::Retype),
            (attached(), slow(), Nothing, Step::Retype),
            (volume(Status::Available), slow(), accepted(1), Step::Wait),
            (volume(Status::Available), slow(), accepted(2), Step::Failed),
            (attached(), slow(), accepted(2), Step::Failed),
            (volume(Status::Available), slow(), Unclear, Step::Wait),
            (volume(Status::Retyping), slow(), accepted(0), Step::Wait),
            (volume(Status::Retyping), slow(), Nothing, Step::Wait),
            (volume(Status::Extending), slow(), Nothing, Step::Wait),
            (volume(Status::Attaching), slow(), Nothing, Step::Wait),
            (volume(Status::Detaching), slow(), accepted(0), Step::Wait),
            (volume(Status::BackingUp), slow(), Nothing, Step::Wait),
            (volume(Status::Creating), slow(), Nothing, Step::Wait),
            // The type is right.
            (volume(Status::Available), known("fast"), Nothing, Step::Done),
            (attached(), known("fast"), accepted(1), Step::Done),
            (attached(), known("fast"), Unclear, Step::Done),
            (volume(Status::Extending), known("fast"), Nothing, Step::Done),
            (volume(Status::Retyping), known("fast"), Nothing, Step::Wait),
            (volume(Status::Available), None, Nothing, Step::Done),
            // What can't be.
            (volume(Status::Available), unknown.clone(), Nothing, refuse(invalid)),
            (volume(Status::Retyping), unknown, Nothing, Step::Wait),
            (attached(), shared("m"), Nothing, refuse(invalid)),
            (attached().shared(), slow(), Nothing, refuse(invalid)),
            (attached().shared(), shared("m"), Nothing, Step::Retype),
            (volume(Status::Available), shared("m"), Nothing, Step::Retype),
            (volume(Status::Error), slow(), Nothing, refuse(precondition)),
            (volume(Status::Error), slow(), accepted(0), refuse(precondition)),
            (volume(Status::ErrorExtending), known("fast"), Nothing, refuse(precondition)),
            (volume(Status::Deleting), slow(), Nothing, refuse(precondition)),
            (volume(Status::Maintenance), slow(), Nothing, refuse(precondition)),
            (volume(Status::Other("new-in-2030".to_owned())), slow(), Nothing, refuse(precondition)),
        ];
        for (volume, target, sent, step) in table {
            assert_eq!(
                decided(&volume, target.as_ref(), sent),
                step,
                "{volume:?} to {target:?} after {sent:?}"
            );
        }
    }

    #[test]
    fn metadata_is_written_once_the_type_is_right() {
        let gold: BTreeMap<_, _> = [("tier".to_owned(), "gold".to_owned())].into();
        let has = |value: &str| {
            let mut volume = volume(Status::InUse).on(&[1]);
            volume.metadata.insert("tier".to_owned(), value.to_owned());
            volume
        };
        let slow = known("slow");
        assert_eq!(plan(&has("lead"), None, &gold, Sent::Nothing), Step::Write);
        assert_eq!(plan(&has("gold"), None, &gold, Sent::Nothing), Step::Done);
        assert_eq!(plan(&has("lead"), slow.as_ref(), &gold, Sent::Nothing), Step::Retype);
        assert_eq!(plan(&has("lead"), slow.as_ref(), &gold, Sent::Accepted { at_rest: 2 }), Step::Failed);
    }
}
