//! The group that holds the volumes together while they are cut.

use std::collections::BTreeSet;

use super::WantedGroup;
use super::member::hindrance;
use super::plan::MARK;
use crate::openstack::{GroupType, Kind, NewGroup, Volume};
use crate::volume::{Condition, Error, Result, VolumeId, Volumes};

/// What an administrator has to do once.
const ADVICE: &str = "an administrator must make one for this project: openstack --os-volume-api-version 3.11 volume group type create NAME, then \
    volume group type set NAME --property consistent_group_snapshot_enabled='<is> True', on a back end that can do it";

/// Cinder's own, for groups that were made otherwise: no call about groups takes it.
const MIGRATED: &str = "default_cgsnapshot_type";

impl Volumes {
    /// The group to make for these volumes.
    pub(super) async fn transient_group(&self, wanted: &WantedGroup) -> Result<NewGroup> {
        let volumes = self.members(&wanted.volumes).await?;
        let group_type = self.group_type(wanted.group_type.as_deref()).await?;
        let types: BTreeSet<_> = volumes.iter().filter_map(|volume| volume.volume_type.clone()).collect();
        let zones: BTreeSet<_> =
            volumes.iter().filter_map(|volume| volume.availability_zone.clone()).collect();
        if zones.len() > 1 {
            let zones = Vec::from_iter(zones).join(", ");
            return Err(Error::new(
                Condition::Precondition,
                format!("its volumes are in several zones ({zones}), and Cinder cuts only what is in one"),
            ));
        }
        Ok(NewGroup {
            name: wanted.name.clone(),
            description: MARK.to_owned(),
            group_type: group_type.id,
            volume_types: types.into_iter().collect(),
            availability_zone: zones.into_iter().next(),
        })
    }

    async fn members(&self, ids: &BTreeSet<VolumeId>) -> Result<Vec<Volume>> {
        let mut volumes = Vec::new();
        for id in ids {
            let volume = self.observe_known(*id).await?;
            // Before a group is there to be left.
            if let Some(why) = hindrance(&volume) {
                return Err(why);
            }
            volumes.push(volume);
        }
        Ok(volumes)
    }

    async fn group_type(&self, named: Option<&str>) -> Result<GroupType> {
        let mut types = match self.cinder.list_group_types().await {
            Err(error) if error.kind == Kind::Unsupported => Vec::new(),
            types => types.map_err(Error::reading)?,
        };
        types.retain(|one| one.name != MIGRATED);
        for one in types.iter_mut().filter(|one| named.is_none_or(|name| is_called(one, name))) {
            if one.group_specs.is_none() {
                let specs = self.cinder.find_group_specs(&one.id).await;
                one.group_specs = specs.map_err(Error::reading)?;
            }
        }
        choose(types, named)
    }
}

fn choose(types: Vec<GroupType>, named: Option<&str>) -> Result<GroupType> {
    match named {
        Some(name) => take_named(types, name),
        None => take_consistent(types),
    }
}

/// Where the cloud doesn't tell, who names it in the class answers for it.
fn take_named(mut types: Vec<GroupType>, name: &str) -> Result<GroupType> {
    let known = names(&types);
    types.retain(|one| is_called(one, name));
    match types.pop() {
        Some(one) if one.is_consistent() == Some(false) => Err(refusal(format!(
            "group type {} cuts one volume after the other: it lacks consistent_group_snapshot_enabled='<is> True', and {ADVICE}",
            one.name
        ))),
        Some(one) => Ok(one),
        None if known.is_empty() => Err(nothing_offered()),
        None => Err(refusal(format!("the cloud has no group type {name:?} for this project, but {known}"))),
    }
}

fn is_called(one: &GroupType, name: &str) -> bool {
    one.name == name || one.id == name
}

fn take_consistent(mut types: Vec<GroupType>) -> Result<GroupType> {
    let hidden = types.iter().any(|one| one.is_consistent().is_none());
    let known = names(&types);
    types.retain(|one| one.is_consistent() == Some(true));
    match (types.pop(), types.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(_), false) => Err(refusal(format!(
            "the cloud has several group types ({known}): name one in the VolumeGroupSnapshotClass (parameter group-type)"
        ))),
        (None, _) if hidden => Err(refusal(format!(
            "the cloud doesn't show this project whether its group types ({known}) cut all volumes at one moment: where one \
             does, name it in the class (parameter group-type), else {ADVICE}"
        ))),
        (None, _) => Err(nothing_offered()),
    }
}

fn nothing_offered() -> Error {
    refusal(format!("the cloud offers this project no group type for consistent snapshots: {ADVICE}"))
}

fn refusal(why: String) -> Error {
    Error::new(Condition::Precondition, why)
}

fn names(types: &[GroupType]) -> String {
    types.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(name: &str, consistent: Option<bool>) -> GroupType {
        let spec = |yes: bool| {
            let value = if yes { "<is> True" } else { "<is> False" };
            [("consistent_group_snapshot_enabled".to_owned(), value.to_owned())].into()
        };
        GroupType { id: format!("id-of-{name}"), name: name.to_owned(), group_specs: consistent.map(spec) }
    }

    #[test]
    fn one_group_type_is_chosen_or_the_refusal_says_what_to_do() {
        let table = [
            (vec![], None, Err("administrator must make one")),
            (vec![kind("a", None)], None, Err("name it in the class (parameter group-type)")),
            (vec![kind("a", None)], None, Err("administrator must make one")),
            (vec![kind("a", None)], Some("a"), Ok("a")),
            (vec![kind("a", Some(true))], None, Ok("a")),
            (vec![kind("a", Some(true)), kind("b", Some(false))], None, Ok("a")),
            (vec![kind("a", Some(false))], None, Err("administrator must make one")),
            (vec![kind("a", Some(false))], Some("a"), Err("one volume after the other")),
            (vec![kind("a", None), kind("b", None)], None, Err("whether its group types (a, b)")),
            (vec![kind("a", Some(true)), kind("b", Some(true))], None, Err("several group types (a, b)")),
            (vec![kind("a", None), kind("b", None)], Some("b"), Ok("b")),
            (vec![kind("a", None), kind("b", None)], Some("id-of-a"), Ok("a")),
            (vec![kind("a", None)], Some("c"), Err("no group type \"c\" for this project, but a")),
        ];
        for (types, named, expected) in table {
            match (choose(types, named), expected) {
                (Ok(chosen), Ok(name)) => assert_eq!(chosen.name, name),
                (Err(error), Err(words)) => {
                    assert_eq!(error.condition, Condition::Precondition);
                    assert!(error.message.contains(words), "{error}");
                }
                (chosen, expected) => panic!("{chosen:?}, not {expected:?}"),
            }
        }
    }
}
