//! A group snapshot ends, and with it the group that it was cut from.

use std::collections::BTreeSet;

use super::ending::{Course, Ending};
use super::plan::{FULL_STOP, MARK, is_signed};
use super::sight::Sight;
use crate::openstack::{Group, GroupId, GroupSnapshot, GroupSnapshotId, GroupState, Kind};
use crate::volume::watch::{Interest, Seen};
use crate::volume::{Condition, Error, Result, SnapshotId, Volumes};

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Done,
    DeleteCut(GroupSnapshotId),
    /// Whose cut it holds: once that is gone, the group is found by it.
    Sign(GroupId),
    Empty(Group),
    DeleteGroup(GroupId),
    Wait,
    Failed,
}

impl Volumes {
    /// Returns once neither the group snapshot nor the group that it was cut from is there. `members`: those that the
    /// caller knows of, if it does.
    pub async fn ensure_group_snapshot_deleted(
        &self,
        id: GroupSnapshotId,
        members: &BTreeSet<SnapshotId>,
    ) -> Result<()> {
        let deleted = self.delete_all_of(id, members).await;
        deleted.map_err(|error| error.context(format!("delete group snapshot {id}")))
    }

    async fn delete_all_of(&self, id: GroupSnapshotId, members: &BTreeSet<SnapshotId>) -> Result<()> {
        let cut = self.cinder.find_group_snapshot(id).await.map_err(Error::unsettled)?;
        // While Cinder deletes it, its members go one by one.
        if let Some(cut) = cut.filter(|cut| cut.status == GroupState::Available) {
            self.with_members(cut).await?.has(members)?;
        }
        self.delete_cut(id, true).await
    }

    /// `promised`: the caller knows it by its id.
    async fn delete_cut(&self, id: GroupSnapshotId, promised: bool) -> Result<()> {
        let Some(name) = self.name_of(id).await? else { return Ok(()) };
        let mut seen = self.sight(&name).await.map_err(Error::unsettled)?;
        let mut looks = self.watch.follow(("delete", "group"), Interest::Group(name));
        let mut course = Course::default();
        loop {
            match plan(&seen, id, promised) {
                Step::Done => return Ok(()),
                Step::DeleteCut(cut) => self.end_one(Ending::Cut(cut), &mut course).await?,
                Step::Sign(group) => course.note(self.sign(group, id).await)?,
                Step::Empty(group) => course.note(self.empty(&group, &group.volumes).await)?,
                Step::DeleteGroup(group) => self.end_one(Ending::Group(group), &mut course).await?,
                Step::Wait => {}
                Step::Failed => return Err(failed()),
            }
            if let Seen::Group(sight) = looks.next_seen().await? {
                seen = sight;
            }
        }
    }

    /// The name by which the cut, or the group that is left of it, is found.
    pub(in crate::volume) async fn name_of(&self, id: GroupSnapshotId) -> Result<Option<String>> {
        let cut = self.cinder.find_group_snapshot(id).await.map_err(Error::unsettled)?;
        if let Some(cut) = cut {
            return Ok(Some(cut.name));
        }
        let groups = match self.cinder.list_groups().await {
            Err(error) if error.kind == Kind::Unsupported => Vec::new(),
            groups => groups.map_err(Error::unsettled)?,
        };
        Ok(groups.into_iter().find(|group| is_signed(group, id)).map(|group| group.name))
    }

    /// Removes a cut that nobody was promised, and says why.
    pub(super) async fn undo(&self, cut: GroupSnapshot, why: &str) -> Error {
        let id = cut.id;
        // Unsigned, the group is found by its name: a call after a crash goes on with it.
        let removed = match self.delete_cut(id, false).await {
            Ok(()) => self.end_group(cut.group_id).await,
            error => error,
        };
        match removed {
            Ok(()) => Error::new(Condition::Failed, format!("{why}. Group snapshot {id} was removed")),
            Err(error) => {
                error.unfinished().context(format!("{why}, and group snapshot {id} couldn't be removed yet"))
            }
        }
    }

    /// Removes the group of a call that Cinder refuses for good.
    pub(super) async fn give_up(&self, group: GroupId, why: Error) -> Error {
        match self.end_group(group).await {
            Ok(()) => why,
            Err(error) => {
                error.unfinished().context(format!("{why}, and group {group} couldn't be removed yet"))
            }
        }
    }

    async fn end_group(&self, id: GroupId) -> Result<()> {
        let groups = self.cinder.list_groups().await.map_err(Error::unsettled)?;
        let Some(group) = groups.into_iter().find(|group| group.id == id) else { return Ok(()) };
        let mut looks = self.watch.follow(("delete", "group"), Interest::Group(group.name.clone()));
        let mut seen = Sight { groups: vec![group], cuts: Vec::new() };
        let mut course = Course::default();
        loop {
            seen.groups.retain(|group| group.id == id);
            match seen.groups.first() {
                None => return Ok(()),
                Some(group) if group.status.is_passing() => {}
                Some(group) if !group.volumes.is_empty() => self.empty(group, &group.volumes).await?,
                Some(_) => self.end_one(Ending::Group(id), &mut course).await?,
            }
            if let Seen::Group(sight) = looks.next_seen().await? {
                seen = sight;
            }
        }
    }
}

fn plan(seen: &Sight, id: GroupSnapshotId, promised: bool) -> Step {
    if let Some(left) = seen.groups.iter().find(|group| promised && is_left(group, seen)) {
        return if left.status.is_passing() { Step::Wait } else { Step::DeleteGroup(left.id) };
    }
    let cut = seen.cuts.iter().find(|cut| cut.id == id);
    let of_cut = |group: &&Group| match cut {
        Some(cut) => group.id == cut.group_id,
        None => is_signed(group, id),
    };
    let group = seen.groups.iter().filter(|group| group.description.starts_with(MARK)).find(of_cut);
    // The group holds this one. Another cut of it was promised to nobody, and Cinder deletes no group that has one.
    let of_group = |cut: &&GroupSnapshot| group.is_some_and(|group| cut.group_id == group.id);
    let second = || seen.cuts.iter().filter(|cut| cut.description.starts_with(MARK)).find(of_group);
    let cut = cut.or_else(second);
    match (cut, group) {
        (Some(cut), _) if cut.status.is_passing() => Step::Wait,
        (Some(cut), _) if cut.status == GroupState::ErrorDeleting => Step::Failed,
        (_, Some(group)) if group.status == GroupState::ErrorDeleting => Step::Failed,
        (_, Some(group)) if group.status.is_passing() => Step::Wait,
        (_, Some(group)) if !group.volumes.is_empty() => Step::Empty(group.clone()),
        (Some(_), Some(group)) if promised && !is_signed(group, id) => Step::Sign(group.id),
        (Some(cut), _) => Step::DeleteCut(cut.id),
        (None, Some(group)) => Step::DeleteGroup(group.id),
        (None, None) => Step::Done,
    }
}

/// A second controller made it, and was answered with the other one's before it was rid of it. Nobody asks for the name again.
fn is_left(group: &Group, seen: &Sight) -> bool {
    let is_ours = group.description.trim_end_matches(FULL_STOP) == MARK;
    let is_cut = seen.cuts.iter().any(|cut| cut.group_id == group.id);
    is_ours && group.status != GroupState::ErrorDeleting && group.volumes.is_empty() && !is_cut
}

fn failed() -> Error {
    Error::new(
        Condition::Failed,
        "Cinder couldn't delete it (status error_deleting), and no tenant can try again: an administrator must reset its status",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::group::plan::tests::{cut, cut_id, group, group_id, signed};

    #[test]
    fn a_cut_ends_before_its_group_and_neither_is_left() {
        use GroupState::{Available, Creating, Deleted, Deleting, Error, ErrorDeleting, Updating};
        let full = group(1, Available, &[1]);
        let empty = group(1, Available, &[]);
        let own = signed(empty.clone(), 9);
        let foreign = GroupSnapshot { description: String::new(), ..cut(8, 1, Available) };
        let table = [
            (vec![full.clone()], vec![cut(9, 1, Available)], Step::Empty(full)),
            (vec![empty], vec![cut(9, 1, Available)], Step::Sign(group_id(1))),
            (vec![own.clone()], vec![cut(9, 1, Available)], Step::DeleteCut(cut_id(9))),
            (vec![own.clone()], vec![cut(9, 1, Error)], Step::DeleteCut(cut_id(9))),
            (vec![], vec![cut(9, 1, Available)], Step::DeleteCut(cut_id(9))),
            (vec![own.clone()], vec![cut(8, 1, Available), cut(9, 1, Available)], Step::DeleteCut(cut_id(9))),
            (vec![own.clone()], vec![cut(8, 1, Available)], Step::DeleteCut(cut_id(8))),
            (vec![own.clone()], vec![cut(8, 1, Creating)], Step::Wait),
            (vec![own.clone()], vec![foreign], Step::DeleteGroup(group_id(1))),
            (vec![own.clone()], vec![cut(9, 1, Creating)], Step::Wait),
            (vec![own.clone()], vec![cut(9, 1, Deleting)], Step::Wait),
            (vec![own.clone()], vec![cut(9, 1, Deleted)], Step::Wait),
            (vec![own.clone()], vec![cut(9, 1, ErrorDeleting)], Step::Failed),
            (vec![own.clone()], vec![], Step::DeleteGroup(group_id(1))),
            (vec![signed(group(1, Updating, &[]), 9)], vec![], Step::Wait),
            (vec![signed(group(1, Deleting, &[]), 9)], vec![], Step::Wait),
            (vec![group(2, Available, &[])], vec![], Step::DeleteGroup(group_id(2))),
            (vec![own.clone(), group(2, Creating, &[])], vec![], Step::Wait),
            (vec![group(2, ErrorDeleting, &[])], vec![], Step::Done),
            (vec![own.clone(), group(2, Error, &[])], vec![], Step::DeleteGroup(group_id(2))),
            (vec![own.clone(), group(2, Error, &[1])], vec![], Step::DeleteGroup(group_id(1))),
            (vec![signed(group(2, Error, &[]), 8)], vec![], Step::Done),
            (vec![], vec![cut(8, 2, Available)], Step::Done),
        ];
        for (groups, cuts, step) in table {
            let seen = Sight { groups, cuts };
            assert_eq!(plan(&seen, cut_id(9), true), step, "{seen:?}");
        }
    }
}
