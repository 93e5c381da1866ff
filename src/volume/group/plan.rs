//! From what there is of a name to the next step towards its group snapshot.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use super::listed;
use super::sight::Sight;
use crate::openstack::{Group, GroupId, GroupSnapshot, GroupSnapshotId, GroupState, VolumeId};
use crate::volume::namesakes::Posted;
use crate::volume::{Condition, Error};

/// How the description of a group of ours begins: groups have no metadata.
pub const MARK: &str = "cinder-csi holds the volumes of one group snapshot together while it is cut";

pub const FULL_STOP: char = '.';

/// A group or a cut that nothing became of for so long was left behind: no RPC lives as long.
const DEAD_AFTER: Duration = Duration::from_secs(600);

/// What this RPC has sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    pub group: Posted<GroupId>,
    /// A snapshot of a group.
    pub cut: Posted<GroupSnapshotId>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    MakeGroup,
    Fill(GroupId, Vec<VolumeId>),
    Cut(GroupId),
    /// Its volumes must be free of it before they can be deleted.
    Empty(Group),
    /// Writes down whose cut it holds, once that is found to be of all the volumes.
    Sign(GroupId, GroupSnapshot),
    Answer(GroupSnapshot),
    /// Removes an empty group that isn't needed.
    Discard(GroupId),
    /// Removes a cut that another one of the name was faster than.
    Drop(GroupSnapshotId),
    /// Removes the group of this RPC, which Cinder couldn't make or fill, then says so.
    GiveUp(GroupId),
    /// Removes a cut that failed before anybody was promised it, then says so.
    Undo(GroupSnapshot),
    Wait,
    Refuse(Error),
}

/// The group's description once it holds this cut: a later call finds the group by it.
pub fn signature(cut: GroupSnapshotId) -> String {
    format!("{MARK}: {cut}")
}

/// Whether the group is known to hold this cut.
pub fn is_signed(group: &Group, cut: GroupSnapshotId) -> bool {
    group.description.trim_end_matches(FULL_STOP) == signature(cut)
}

/// The same description in other words.
pub fn reworded(description: &str) -> String {
    description.strip_suffix(FULL_STOP).map_or_else(|| format!("{description}{FULL_STOP}"), str::to_owned)
}

pub fn plan(wanted: &BTreeSet<VolumeId>, sent: &Sent, seen: &Sight, now: SystemTime) -> Step {
    let mut cuts: Vec<_> = seen.cuts.iter().filter(|cut| !cut.status.is_going()).collect();
    cuts.sort_by_key(|cut| (cut.created_at, cut.id));
    let mut groups: Vec<_> = seen.groups.iter().filter(|group| group.description.starts_with(MARK)).collect();
    groups.sort_by_key(|group| (group.created_at, group.id));
    // One that was answered is signed for.
    cuts.sort_by_key(|cut| !groups.iter().any(|group| is_signed(group, cut.id)));
    match cuts.split_first() {
        None if !seen.cuts.is_empty() => Step::Wait,
        None => uncut(wanted, sent, &groups, now),
        Some((cut, losers)) => {
            second_cut(sent, cut, losers, now).unwrap_or_else(|| of_cut(sent, cut, &groups, now))
        }
    }
}

/// Two controllers can each have cut one group.
fn second_cut(sent: &Sent, cut: &GroupSnapshot, losers: &[&GroupSnapshot], now: SystemTime) -> Option<Step> {
    let first = losers.first()?;
    if !losers.iter().all(|loser| loser.description.starts_with(MARK)) {
        return Some(Step::Refuse(ambiguous(cut, losers)));
    }
    let removable =
        |loser: &&&GroupSnapshot| sent.cut == Posted::As(loser.id) || is_dead(loser.created_at, now);
    let loser = losers.iter().find(removable).unwrap_or(first);
    Some(if removable(&loser) && loser.status != GroupState::Creating {
        Step::Drop(loser.id)
    } else {
        Step::Wait
    })
}

fn uncut(wanted: &BTreeSet<VolumeId>, sent: &Sent, groups: &[&Group], now: SystemTime) -> Step {
    if sent.cut != Posted::No {
        return Step::Wait;
    }
    let Some((group, losers)) = groups.split_first() else {
        return if sent.group == Posted::No { Step::MakeGroup } else { Step::Wait };
    };
    if let Some(step) = without(sent, losers, now) {
        return step;
    }
    let missing: Vec<_> = wanted.iter().filter(|id| !group.volumes.contains(id)).copied().collect();
    let others: Vec<_> = group.volumes.iter().filter(|id| !wanted.contains(id)).collect();
    match group.status {
        _ if group.status.is_passing() => Step::Wait,
        GroupState::Available if !others.is_empty() => Step::Refuse(Error::new(
            Condition::AlreadyExists,
            format!(
                "group {} has that name and holds other volumes ({}); take them out and delete it, or choose another name",
                group.id,
                listed(others)
            ),
        )),
        GroupState::Available if !losers.is_empty() => Step::Wait,
        GroupState::Available if missing.is_empty() => Step::Cut(group.id),
        GroupState::Available => Step::Fill(group.id, missing),
        _ if sent.group == Posted::As(group.id) => Step::GiveUp(group.id),
        _ if group.volumes.is_empty() => Step::Discard(group.id),
        _ => Step::Empty((*group).clone()),
    }
}

/// The cut is there, or on its way.
fn of_cut(sent: &Sent, cut: &GroupSnapshot, groups: &[&Group], now: SystemTime) -> Step {
    if cut.status == GroupState::Creating {
        return Step::Wait;
    }
    let (own, others): (Vec<&Group>, Vec<&Group>) = groups.iter().partition(|group| group.id == cut.group_id);
    for group in own {
        match group.status {
            GroupState::Updating => return Step::Wait,
            _ if !group.volumes.is_empty() => return Step::Empty(group.clone()),
            GroupState::Available if cut.status == GroupState::Available && !is_signed(group, cut.id) => {
                return Step::Sign(group.id, cut.clone());
            }
            _ => {}
        }
    }
    if let Some(step) = without(sent, &others, now) {
        return step;
    }
    match &cut.status {
        GroupState::Available => Step::Answer(cut.clone()),
        _ if sent.cut == Posted::As(cut.id) || is_unpromised(cut, groups) => Step::Undo(cut.clone()),
        status => Step::Refuse(Error::new(
            Condition::Precondition,
            format!(
                "group snapshot {} of that name is in status {status}; delete it (openstack volume group snapshot delete)",
                cut.id
            ),
        )),
    }
}

/// A cut is signed for before it is answered.
fn is_unpromised(cut: &GroupSnapshot, groups: &[&Group]) -> bool {
    let signed = groups.iter().any(|group| is_signed(group, cut.id));
    cut.status == GroupState::Error && cut.description.starts_with(MARK) && !signed
}

/// Groups that lost: our own, and those of attempts that have died. A live one's owner sees to it.
fn without(sent: &Sent, losers: &[&Group], now: SystemTime) -> Option<Step> {
    let removable = |group: &&&Group| sent.group == Posted::As(group.id) || is_dead(group.created_at, now);
    let loser = losers.iter().find(removable)?;
    Some(match loser.status {
        _ if loser.status.is_passing() => Step::Wait,
        _ if loser.volumes.is_empty() => Step::Discard(loser.id),
        _ => Step::Empty((*loser).clone()),
    })
}

fn is_dead(created: Option<Timestamp>, now: SystemTime) -> bool {
    let created = created.and_then(|created| SystemTime::try_from(created).ok());
    created.and_then(|created| now.duration_since(created).ok()).is_some_and(|age| age > DEAD_AFTER)
}

fn ambiguous(cut: &GroupSnapshot, losers: &[&GroupSnapshot]) -> Error {
    let ids = listed([&cut].into_iter().chain(losers).map(|cut| &cut.id));
    Error::new(
        Condition::AlreadyExists,
        format!("there are several group snapshots of that name: {ids}; delete or rename the others"),
    )
}

#[cfg(test)]
pub mod tests;
