//! Snapshots of several volumes at one moment.
//!
//! Cinder cuts the volumes of a group together. A group holds them only as long as that takes: Cinder refuses to delete
//! a volume that is in a group, and a group that was cut, so that the empty group stays until its cut is deleted.

mod delete;
mod member;
mod plan;
mod transient;

use std::collections::BTreeSet;

use super::watch::{Interest, Seen};
use super::{Condition, Error, GroupId, GroupSnapshotId, Result, Saved, SnapshotId, VolumeId, Volumes};
use crate::openstack::{self, Effect, GroupSnapshot, GroupState};
use plan::{MARK, Sent, Step, plan, signature};

pub use plan::Sight;

/// How often one unchanged state may refuse a call before the refusal is the answer.
const REFUSALS: u32 = 1;

/// What CreateVolumeGroupSnapshot asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedGroup {
    pub name: String,
    pub volumes: BTreeSet<VolumeId>,
    /// Name or id; the project's only one where it is absent.
    pub group_type: Option<String>,
}

/// A snapshot of several volumes.
#[derive(Clone, Debug)]
pub struct CutGroup {
    pub cut: GroupSnapshot,
    pub members: Vec<Saved>,
}

impl CutGroup {
    /// Whether the caller's idea of its members is right; it may have none.
    pub fn has(&self, members: &BTreeSet<SnapshotId>) -> Result<()> {
        let own: BTreeSet<_> = self.members.iter().map(Saved::id).collect();
        if members.is_empty() || *members == own {
            return Ok(());
        }
        let (own, named) = (listed(&own), listed(members));
        let why =
            format!("group snapshot {} has the members {own}, and the request names {named}", self.cut.id);
        Err(Error::new(Condition::Invalid, why))
    }

    pub fn is_ready(&self) -> bool {
        self.cut.status == GroupState::Available && self.members.iter().all(Saved::is_ready)
    }
}

impl Volumes {
    /// Returns the group snapshot of this name once it is cut, and its volumes are out of the group again.
    pub async fn ensure_group_cut(&self, wanted: &WantedGroup) -> Result<CutGroup> {
        let cut = self.cut_group(wanted).await;
        cut.map_err(|error| error.context(format!("group snapshot {}", wanted.name)))
    }

    /// The group snapshot now, or `NotFound`.
    pub async fn group_snapshot(&self, id: GroupSnapshotId) -> Result<CutGroup> {
        let found = self.cinder.find_group_snapshot(id).await.map_err(|error| Error::reading(&error))?;
        let unknown = || {
            Error::new(
                Condition::NotFound,
                format!("group snapshot {id} is unknown to Cinder in this project"),
            )
        };
        self.with_members(found.ok_or_else(unknown)?).await
    }

    async fn cut_group(&self, wanted: &WantedGroup) -> Result<CutGroup> {
        let mut sent = Sent::default();
        let mut refusals = 0;
        let mut seen = self.sight(&wanted.name).await.map_err(|error| Error::unsettled(&error))?;
        let mut looks = self.watch.follow(Interest::Group(wanted.name.clone()));
        loop {
            match plan(&wanted.volumes, &sent, &seen, self.cinder.clock()) {
                Step::MakeGroup => {
                    let group = self.transient_group(wanted).await?;
                    sent.group =
                        Some(begun(self.cinder.create_group(&group).await).map_err(|error| refused(&error))?);
                }
                Step::Fill(group, volumes) => {
                    if let Err(error) = self.cinder.add_to_group(group, &volumes).await
                        && error.effect != Effect::Unknown
                    {
                        self.can_join(&volumes, group, &error).await?;
                        refusals += 1;
                        if refusals > REFUSALS {
                            return Err(self.give_up(group, refused(&error)).await);
                        }
                    }
                }
                Step::Cut(group) => {
                    let cut = self.cinder.create_group_snapshot(group, &wanted.name, MARK).await;
                    sent.cut = Some(begun(cut).map_err(|error| Error::unsettled(&error))?);
                }
                Step::Empty(group, volumes) => self.empty(group, &volumes).await?,
                Step::Sign(group, cut) => self.sign(group, cut).await?,
                Step::Discard(group) => self.discard_group(group).await?,
                Step::Drop(cut) => self.drop_cut(cut).await?,
                Step::Undo(cut) => return Err(self.undo(cut).await),
                Step::Answer(cut) => return self.answer(wanted, cut).await,
                Step::Refuse(error) => return Err(error),
                Step::Wait => {}
            }
            if let Seen::Group(sight) = looks.next_seen().await? {
                seen = sight;
            }
        }
    }

    /// What there is of the name.
    pub(super) async fn sight(&self, name: &str) -> openstack::Result<Sight> {
        Sight::of(&self.cinder, name).await
    }

    async fn sign(&self, group: GroupId, cut: GroupSnapshotId) -> Result<()> {
        let signed = self.cinder.describe_group(group, &signature(cut)).await;
        signed.map_err(|error| Error::unsettled(&error))
    }

    async fn answer(&self, wanted: &WantedGroup, cut: GroupSnapshot) -> Result<CutGroup> {
        let group = self.with_members(cut).await?;
        let cut: BTreeSet<_> = group.members.iter().map(Saved::source).collect();
        if cut != wanted.volumes {
            let why = format!("{} of that name is of the volumes {cut:?}", group.cut.id);
            return Err(Error::new(Condition::AlreadyExists, why));
        }
        Ok(group)
    }

    async fn with_members(&self, cut: GroupSnapshot) -> Result<CutGroup> {
        let mut named =
            self.cinder.list_snapshots_named(&cut.name).await.map_err(|error| Error::unsettled(&error))?;
        named.retain(|snapshot| snapshot.group_snapshot_id == Some(cut.id));
        let members = named.into_iter().map(Saved::Snapshot).collect();
        Ok(CutGroup { cut, members })
    }
}

fn listed(ids: &BTreeSet<SnapshotId>) -> String {
    ids.iter().map(SnapshotId::to_string).collect::<Vec<_>>().join(", ")
}

/// The id of what a POST has begun to make, where that is known.
fn begun<I>(answer: openstack::Result<I>) -> openstack::Result<Option<I>> {
    match answer {
        Ok(id) => Ok(Some(id)),
        Err(error) if error.effect == Effect::Unknown => Ok(None),
        Err(error) => Err(error),
    }
}

fn refused(error: &openstack::Error) -> Error {
    match error.kind {
        openstack::Kind::NotFound | openstack::Kind::Refused => {
            Error::new(Condition::Precondition, error.to_string())
        }
        _ => Error::reading(error),
    }
}
