//! Volumes join a group, and leave it.

use super::plan::{MARK, Sight};
use crate::openstack::{self, Effect, Group, GroupId, GroupState, Kind, Status};
use crate::volume::watch::{Interest, Seen};
use crate::volume::{Condition, Error, Result, VolumeId, Volumes, not_found};

impl Volumes {
    /// Cinder refused the volumes: is that for good? Passing states are looked at again.
    pub(super) async fn can_join(
        &self,
        volumes: &[VolumeId],
        group: GroupId,
        error: &openstack::Error,
    ) -> Result<()> {
        if error.kind != Kind::Refused {
            return Err(Error::unsettled(error));
        }
        for id in volumes {
            let volume = self.observe(*id).await?.ok_or_else(|| not_found(*id))?;
            if !matches!(volume.status, Status::Available | Status::InUse) {
                let why =
                    format!("volume {id} is in status {}, in which it can't join a group", volume.status);
                return Err(Error::new(Condition::Unsettled, why));
            }
            let other = self.cinder.find_group_of(*id).await.map_err(|error| Error::unsettled(&error))?;
            if let Some(other) = other.filter(|other| *other != group) {
                let why = format!(
                    "volume {id} is in group {other} already, and a volume is in one group at a time"
                );
                return Err(Error::new(Condition::Unsettled, why));
            }
        }
        Ok(())
    }

    /// Lets the volumes go. The group is looked at until they are out of it.
    pub(super) async fn empty(&self, group: GroupId, volumes: &[VolumeId]) -> Result<()> {
        match self.cinder.remove_from_group(group, volumes).await {
            Ok(()) => Ok(()),
            // The next look tells.
            Err(error) if error.effect == Effect::Unknown => Ok(()),
            Err(error) => Err(Error::unsettled(&error)),
        }
    }

    pub(super) async fn discard_group(&self, group: GroupId) -> Result<()> {
        match self.cinder.delete_group(group).await {
            Ok(()) => Ok(()),
            Err(error) if error.kind == Kind::NotFound || error.effect == Effect::Unknown => Ok(()),
            Err(error) => Err(Error::unsettled(&error)),
        }
    }

    /// Takes a volume out of a group of ours that a crash left it in: Cinder deletes none that is in a group.
    pub(in crate::volume) async fn leave_group(&self, id: VolumeId) -> Result<bool> {
        let of = self.cinder.find_group_of(id).await.map_err(|error| Error::unsettled(&error))?;
        let Some(group) = of else { return Ok(false) };
        let groups = self.cinder.list_groups().await.map_err(|error| Error::unsettled(&error))?;
        let Some(group) = groups.into_iter().find(|one| one.id == group) else { return Ok(false) };
        if !group.description.starts_with(MARK) {
            let why = format!(
                "it is in group {} ({}), which isn't this driver's; take it out first (openstack volume group set --remove-volume)",
                group.id, group.name
            );
            return Err(Error::new(Condition::Precondition, why));
        }
        self.empty(group.id, &[id]).await?;
        self.wait_until_out(&group, id).await?;
        Ok(true)
    }

    async fn wait_until_out(&self, group: &Group, id: VolumeId) -> Result<()> {
        let mut looks = self.watch.follow(Interest::Group(group.name.clone()));
        loop {
            let Seen::Group(seen) = looks.next_seen().await? else { continue };
            match leaving(&seen, group.id, id) {
                Leaving::Yet => {}
                Leaving::Not => self.empty(group.id, &[id]).await?,
                Leaving::Done => return Ok(()),
            }
        }
    }
}

/// How far a volume is on its way out of a group.
#[derive(Debug, PartialEq, Eq)]
enum Leaving {
    Not,
    Yet,
    Done,
}

fn leaving(seen: &Sight, group: GroupId, volume: VolumeId) -> Leaving {
    let group =
        seen.groups.iter().find(|one| one.id == group).filter(|group| group.volumes.contains(&volume));
    match group {
        None => Leaving::Done,
        Some(group) if group.status == GroupState::Updating => Leaving::Yet,
        Some(_) => Leaving::Not,
    }
}
