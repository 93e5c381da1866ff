//! Snapshots of several volumes at one moment.
//!
//! Cinder cuts the volumes of a group together. A group holds them only as long as that takes: Cinder refuses to delete
//! a volume that is in a group, and a group that was cut, so that the empty group stays until its cut is deleted.

mod delete;
mod ending;
mod member;
mod plan;
mod sight;
mod transient;

use std::collections::BTreeSet;

use super::namesakes::{Posted, doubt_of};
use super::watch::{Interest, Seen};
use super::{
    Condition, Error, GroupId, GroupSnapshotId, Result, Saved, SnapshotId, VolumeId, Volumes, remedy,
};
use crate::openstack::{self, Effect, GroupSnapshot, GroupState, Kind};
use ending::{Course, Ending};
use member::at_once;
use plan::{MARK, Sent, Step, plan, signature};

pub use sight::Sight;

/// How often one unchanged state may refuse a call before the refusal is the answer.
const REFUSALS: u32 = 1;

/// What CreateVolumeGroupSnapshot asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedGroup {
    pub name: String,
    pub volumes: BTreeSet<VolumeId>,
    /// Name or id; the only one that the cloud shows to be consistent where it is absent.
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

    fn sources(&self) -> BTreeSet<VolumeId> {
        self.members.iter().map(Saved::source).collect()
    }

    fn is_of_others(&self) -> Error {
        let (id, volumes) = (self.cut.id, listed(&self.sources()));
        let why = format!(
            "group snapshot {id} has that name and is of the volumes {volumes}; delete it or choose another name"
        );
        Error::new(Condition::AlreadyExists, why)
    }

    pub fn is_ready(&self) -> bool {
        self.cut.status == GroupState::Available && self.members.iter().all(Saved::is_ready)
    }
}

impl Volumes {
    /// Returns the group snapshot of this name once it is cut, and its volumes are out of the group again.
    pub async fn ensure_group_cut(&self, wanted: &WantedGroup) -> Result<CutGroup> {
        let cut = self.cut_group(wanted).await;
        if cut.is_ok() {
            self.doubts.settle(&doubt(wanted));
        }
        cut.map_err(|error| error.context(format!("group snapshot {}", wanted.name)))
    }

    /// The group snapshot now, or `NotFound`.
    pub async fn group_snapshot(&self, id: GroupSnapshotId) -> Result<CutGroup> {
        let found = self.cinder.find_group_snapshot(id).await.map_err(Error::reading)?;
        let unknown = || {
            let show = format!("volume group snapshot show {id}");
            remedy::unknown(format_args!("group snapshot {id}"), show, None)
        };
        self.with_members(found.ok_or_else(unknown)?).await
    }

    async fn cut_group(&self, wanted: &WantedGroup) -> Result<CutGroup> {
        let mut sent = Sent::default();
        let mut refusals = 0;
        let mut course = Course::default();
        let mut seen = self.sight(&wanted.name).await.map_err(Error::unsettled)?;
        let mut looks = self.watch.follow(("create", "group"), Interest::Group(wanted.name.clone()));
        loop {
            match plan(&wanted.volumes, &sent, &seen, self.cinder.clock()) {
                Step::MakeGroup => {
                    let group = self.transient_group(wanted).await;
                    let group = group.map_err(|error| self.in_doubt(wanted, error))?;
                    let answer = self.cinder.create_group(&group).await;
                    sent.group = self.doubts.posted(&doubt(wanted), answer, refused)?;
                }
                Step::Fill(group, volumes) => self.fill(wanted, group, &volumes, &mut refusals).await?,
                Step::Cut(group) => sent.cut = self.post_group_snapshot(wanted, group, &mut refusals).await?,
                Step::Empty(group) => self.empty(&group, &group.volumes).await.map_err(Error::unfinished)?,
                Step::Sign(group, cut) => self.promise(wanted, group, cut).await?,
                Step::Discard(group) => {
                    self.end_one(Ending::Group(group), &mut course).await.map_err(Error::unfinished)?;
                }
                Step::Drop(cut) => {
                    self.end_one(Ending::Cut(cut), &mut course).await.map_err(Error::unfinished)?
                }
                Step::GiveUp(group) => {
                    let why = Error::new(
                        Condition::Failed,
                        "Cinder couldn't hold the volumes together in a group (status error)",
                    );
                    return Err(self.in_doubt(wanted, self.give_up(group, why).await));
                }
                Step::Undo(cut) => {
                    let why = "Cinder couldn't cut the volumes together; its operator finds the reason in the logs by the group snapshot's id";
                    return Err(self.in_doubt(wanted, self.undo(cut, why).await));
                }
                Step::Answer(cut) => return self.answer(wanted, cut).await,
                Step::Refuse(error) => return Err(self.in_doubt(wanted, error)),
                Step::Wait => {}
            }
            if let Seen::Group(sight) = looks.next_seen().await? {
                seen = sight;
            }
        }
    }

    async fn fill(
        &self,
        wanted: &WantedGroup,
        group: GroupId,
        volumes: &[VolumeId],
        refusals: &mut u32,
    ) -> Result<()> {
        let Err(error) = self.cinder.add_to_group(group, at_once(volumes)).await else { return Ok(()) };
        if error.effect == Effect::Unknown || self.has_moved_on(wanted, group, volumes).await? {
            return Ok(());
        }
        *refusals += 1;
        let obstacle = self.obstacle(volumes, group, &error).await?;
        match obstacle.or_else(|| (*refusals > REFUSALS).then(|| refused(&error))) {
            Some(why) => Err(self.in_doubt(wanted, self.give_up(group, why).await)),
            None => Ok(()),
        }
    }

    /// Another controller was faster with the group: its refusal says nothing about the volumes.
    async fn has_moved_on(&self, wanted: &WantedGroup, id: GroupId, volumes: &[VolumeId]) -> Result<bool> {
        let seen = self.sight(&wanted.name).await.map_err(Error::unsettled)?;
        let group = seen.groups.iter().find(|group| group.id == id);
        Ok(group.is_none_or(|group| {
            group.status.is_passing() || volumes.iter().any(|volume| group.volumes.contains(volume))
        }))
    }

    async fn post_group_snapshot(
        &self,
        wanted: &WantedGroup,
        group: GroupId,
        refusals: &mut u32,
    ) -> Result<Posted<GroupSnapshotId>> {
        match self.cinder.create_group_snapshot(group, &wanted.name, MARK).await {
            Err(error) if is_clear_no(&error) => {
                *refusals += 1;
                if *refusals > REFUSALS {
                    let why = self.give_up(group, refused(&error)).await;
                    return Err(self.in_doubt(wanted, why));
                }
                Ok(Posted::No)
            }
            Err(error) if error.effect != Effect::Unknown => Err(Error::unsettled(&error)),
            answer => self.doubts.posted(&doubt(wanted), answer, refused),
        }
    }

    /// What there is of the name.
    pub(super) async fn sight(&self, name: &str) -> openstack::Result<Sight> {
        Sight::of(&self.cinder, name).await
    }

    async fn sign(&self, group: GroupId, cut: GroupSnapshotId) -> Result<()> {
        match self.cinder.describe_group(group, &signature(cut)).await {
            Ok(()) => Ok(()),
            // The next look tells.
            Err(error) if error.effect == Effect::Unknown => Ok(()),
            Err(error) => Err(Error::reading(&error)),
        }
    }

    fn in_doubt(&self, wanted: &WantedGroup, error: Error) -> Error {
        self.doubts.keep(&doubt(wanted), error)
    }

    /// Signs for a cut that is of all the volumes. One that lacks some was cut when these had left the group: another
    /// controller emptied it, or a volume was deleted.
    async fn promise(&self, wanted: &WantedGroup, group: GroupId, cut: GroupSnapshot) -> Result<()> {
        let found = self.with_members(cut).await?;
        let sources = found.sources();
        if sources == wanted.volumes {
            return self.sign(group, found.cut.id).await.map_err(Error::unfinished);
        }
        if sources.is_subset(&wanted.volumes) && found.cut.description.starts_with(MARK) {
            let why = "some of the volumes had left the group when Cinder cut it";
            return Err(self.undo(found.cut, why).await.unfinished());
        }
        Err(self.in_doubt(wanted, found.is_of_others()))
    }

    async fn answer(&self, wanted: &WantedGroup, cut: GroupSnapshot) -> Result<CutGroup> {
        let found = self.with_members(cut).await?;
        if found.sources() == wanted.volumes { Ok(found) } else { Err(found.is_of_others()) }
    }

    async fn with_members(&self, cut: GroupSnapshot) -> Result<CutGroup> {
        let mut named = self.cinder.list_snapshots_named(&cut.name).await.map_err(Error::unsettled)?;
        named.retain(|snapshot| snapshot.group_snapshot_id == Some(cut.id));
        let members = named.into_iter().map(Saved::Snapshot).collect();
        Ok(CutGroup { cut, members })
    }
}

fn listed<'a, I: ToString + 'a>(ids: impl IntoIterator<Item = &'a I>) -> String {
    ids.into_iter().map(I::to_string).collect::<Vec<_>>().join(", ")
}

fn doubt(wanted: &WantedGroup) -> String {
    doubt_of("group snapshot", &wanted.name)
}

/// The cloud has seen the call and won't do it.
fn is_clear_no(error: &openstack::Error) -> bool {
    let says_no = matches!(error.kind, Kind::Refused | Kind::NotFound | Kind::OverLimit | Kind::Forbidden);
    says_no && error.effect == Effect::None
}

fn refused(error: &openstack::Error) -> Error {
    match error.kind {
        Kind::NotFound | Kind::Refused => Error::new(Condition::Precondition, error.to_string()),
        _ => Error::reading(error),
    }
}
