//! Volumes join a group, and leave it.

use super::is_clear_no;
use super::plan::{MARK, reworded};
use super::sight::Sight;
use crate::openstack::{self, Effect, Group, GroupId, GroupState, MEMBERS_AT_ONCE, Status, Volume};
use crate::volume::watch::{Interest, Seen};
use crate::volume::{Condition, Error, Result, VolumeId, Volumes, not_found};

impl Volumes {
    /// Cinder refused the volumes: what stands in the way for good? Passing states are looked at again.
    pub(super) async fn obstacle(
        &self,
        volumes: &[VolumeId],
        group: GroupId,
        error: &openstack::Error,
    ) -> Result<Option<Error>> {
        if !is_clear_no(error) {
            return Err(Error::unsettled(error));
        }
        for id in volumes {
            let Some(volume) = self.look_at(*id).await? else { return Ok(Some(not_found(*id, None))) };
            if let Some(why) = hindrance(&volume) {
                return if why.condition == Condition::Unsettled { Err(why) } else { Ok(Some(why)) };
            }
            let other = self.cinder.find_group_of(*id).await.map_err(Error::unsettled)?;
            if let Some(other) = other.filter(|other| *other != group) {
                let why = format!(
                    "volume {id} is in group {other} already, and a volume is in one group at a time"
                );
                return Err(Error::new(Condition::Unsettled, why));
            }
        }
        Ok(None)
    }

    async fn look_at(&self, id: VolumeId) -> Result<Option<Volume>> {
        self.observe(id).await.map_err(Error::unfinished)
    }

    /// Lets volumes go, as many as one call takes. The group is looked at until they are out of it.
    pub(super) async fn empty(&self, group: &Group, volumes: &[VolumeId]) -> Result<()> {
        if group.status == GroupState::Error {
            return Err(self.mended(group).await);
        }
        match self.cinder.remove_from_group(group.id, at_once(volumes)).await {
            Ok(()) => Ok(()),
            // The next look tells.
            Err(error) if error.effect == Effect::Unknown => Ok(()),
            Err(error) => Err(Error::reading(&error)),
        }
    }

    /// Cinder lets no volume out of a group in error, and a new description alone makes the group available
    /// (`update` in <https://opendev.org/openstack/cinder/src/branch/master/cinder/group/api.py>).
    async fn mended(&self, group: &Group) -> Error {
        let why = format!(
            "Cinder couldn't move volumes into or out of group {} (status error); its operator finds the reason in the logs by this id",
            group.id
        );
        match self.cinder.describe_group(group.id, &reworded(&group.description)).await {
            Ok(()) => Error::new(Condition::Unsettled, format!("{why}. The next call lets them out")),
            Err(error) => Error::unsettled(&error).context(why),
        }
    }

    /// The group of ours that holds a volume while it is cut.
    pub(in crate::volume) async fn holder(&self, id: VolumeId) -> Result<Option<Group>> {
        let of = self.cinder.find_group_of(id).await.map_err(Error::unsettled)?;
        let Some(group) = of else { return Ok(None) };
        let groups = self.cinder.list_groups().await.map_err(Error::unsettled)?;
        let Some(group) = groups.into_iter().find(|one| one.id == group) else { return Ok(None) };
        if !group.description.starts_with(MARK) {
            let why = format!(
                "it is in group {} ({}), which isn't this driver's; take it out first (openstack volume group set --remove-volume)",
                group.id, group.name
            );
            return Err(Error::new(Condition::Precondition, why));
        }
        Ok(Some(group))
    }

    /// Takes a volume out of a group of ours that a crash left it in: Cinder deletes none that is in a group.
    pub(in crate::volume) async fn leave_group(&self, id: VolumeId) -> Result<bool> {
        let Some(group) = self.holder(id).await? else { return Ok(false) };
        self.empty(&group, &[id]).await.map_err(Error::unfinished)?;
        self.wait_until_out(&group, id).await?;
        Ok(true)
    }

    async fn wait_until_out(&self, group: &Group, id: VolumeId) -> Result<()> {
        let mut looks = self.watch.follow(("update", "group"), Interest::Group(group.name.clone()));
        loop {
            let Seen::Group(seen) = looks.next_seen().await? else { continue };
            match leaving(&seen, group.id, id) {
                Leaving::Yet => {}
                Leaving::Not(group) => self.empty(group, &[id]).await.map_err(Error::unfinished)?,
                Leaving::Done => return Ok(()),
            }
        }
    }
}

/// Why a volume in this state joins no group; `Unsettled` where the state passes.
pub(super) fn hindrance(volume: &Volume) -> Option<Error> {
    let condition = match &volume.status {
        Status::Available | Status::InUse => return None,
        status if status.is_passing() => Condition::Unsettled,
        _ => Condition::Precondition,
    };
    let why = format!("volume {} is in status {}, in which it can't join a group", volume.id, volume.status);
    Some(Error::new(condition, why))
}

/// How far a volume is on its way out of a group.
#[derive(Debug, PartialEq, Eq)]
enum Leaving<'a> {
    Not(&'a Group),
    Yet,
    Done,
}

fn leaving(seen: &Sight, group: GroupId, volume: VolumeId) -> Leaving<'_> {
    let group =
        seen.groups.iter().find(|one| one.id == group).filter(|group| group.volumes.contains(&volume));
    match group {
        None => Leaving::Done,
        Some(group) if group.status == GroupState::Updating => Leaving::Yet,
        Some(group) => Leaving::Not(group),
    }
}

pub(super) fn at_once(volumes: &[VolumeId]) -> &[VolumeId] {
    &volumes[..volumes.len().min(MEMBERS_AT_ONCE)]
}
