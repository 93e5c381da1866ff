//! What the cloud holds of group snapshots, and of the groups that they are cut from.

use std::sync::atomic::Ordering;
use std::time::Duration;

use cinder_csi::csi::proto::*;
use cinder_csi::openstack::{Cinder, Group, GroupSnapshot, GroupState, Part, Snapshot, SnapshotStatus};
use cinder_csi::pace;
use cinder_csi::volume::{GroupSnapshotId, VolumeId, Volumes, WantedGroup};
use http::Method;
use tonic::{Code, Status};

use crate::bed::wanted;
use crate::mutation::Mutation;
use crate::stand::{NAME, Outcome, Rpc, Stand, within};

/// A change of a group's members, or of its description.
const CHANGE: (Method, &str) = (Method::PUT, "/groups/{id}");

struct Held {
    groups: Vec<Group>,
    cuts: Vec<GroupSnapshot>,
    snapshots: Vec<Snapshot>,
    volumes: usize,
}

impl Rpc {
    pub fn is_of_groups(self) -> bool {
        matches!(self, Rpc::Group | Rpc::DeleteGroup)
    }
}

/// A group is made, filled, cut, emptied and signed.
pub fn of_a_cut() -> Vec<Mutation> {
    let (change, path) = CHANGE;
    vec![
        Mutation::new(Method::POST, "/groups"),
        Mutation::new(change.clone(), path),
        Mutation::new(Method::POST, "/group_snapshots"),
        Mutation::new(change.clone(), path).nth(2),
        Mutation::new(change, path).nth(3),
    ]
}

/// A group that was left full is emptied and signed before its cut goes, and then it goes, too.
pub fn of_a_deletion() -> Vec<Mutation> {
    let (change, path) = CHANGE;
    vec![
        Mutation::new(change.clone(), path),
        Mutation::new(change, path).nth(2),
        Mutation::new(Method::DELETE, "/group_snapshots/{id}"),
        Mutation::new(Method::POST, "/groups/{id}/action"),
    ]
}

pub async fn members(view: &Volumes) -> Vec<VolumeId> {
    let mut members = Vec::new();
    for name in ["pvc-1", "pvc-2"] {
        members.push(view.ensure_created(&wanted(name)).await.unwrap().id);
    }
    members
}

/// Cuts the volumes, and leaves them in their group as a crash would.
pub async fn cut_and_left(view: &Volumes, cinder: &Cinder, members: &[VolumeId]) -> GroupSnapshotId {
    let wanted =
        WantedGroup { name: NAME.to_owned(), volumes: members.iter().copied().collect(), group_type: None };
    let begun = tokio::select! {
        biased;
        cut = cut_once(cinder, |_| true) => cut,
        done = view.ensure_group_cut(&wanted) => panic!("{done:?}"),
    };
    cut_once(cinder, |cut| cut.id == begun.id && cut.status == GroupState::Available).await.id
}

async fn cut_once(cinder: &Cinder, is_so: impl Fn(&GroupSnapshot) -> bool) -> GroupSnapshot {
    loop {
        let cuts = cinder.list_group_snapshots_named(NAME).await.unwrap();
        if let Some(cut) = cuts.into_iter().find(&is_so) {
            return cut;
        }
        pace::sleep(Duration::from_millis(50)).await;
    }
}

impl Stand {
    pub(super) async fn create_group_snapshot(&self, patience: Duration) -> Outcome {
        let request = CreateVolumeGroupSnapshotRequest {
            name: NAME.to_owned(),
            source_volume_ids: self.members.iter().map(VolumeId::to_string).collect(),
            ..Default::default()
        };
        match self.driver.groups().create_volume_group_snapshot(within(patience, request)).await {
            Ok(answer) => {
                let ready = answer.into_inner().group_snapshot.unwrap().ready_to_use;
                self.promised.store(true, Ordering::Relaxed);
                Outcome { code: Code::Ok, message: String::new(), ready }
            }
            Err(status) => Outcome::of(&status),
        }
    }

    pub(super) async fn delete_group_snapshot(&self, patience: Duration) -> Result<(), Status> {
        let request = DeleteVolumeGroupSnapshotRequest {
            group_snapshot_id: self.cut.map(|id| id.to_string()).unwrap_or_default(),
            ..Default::default()
        };
        self.driver.groups().delete_volume_group_snapshot(within(patience, request)).await.map(drop)
    }

    async fn held_in_groups(&self) -> Held {
        let all = Part { volume: None, limit: None, after: None };
        Held {
            groups: self.cinder.list_groups().await.unwrap(),
            cuts: self.cinder.list_group_snapshots_named(NAME).await.unwrap(),
            snapshots: self.cinder.list_snapshots(all).await.unwrap().items,
            volumes: self.view.page(None, None, None).await.unwrap().volumes.len(),
        }
    }

    pub(super) async fn unfinished_group(&self) -> Option<String> {
        let held = self.held_in_groups().await;
        let unfinished = match self.rpc {
            // Nobody but the caller that gets an error knows of them.
            Rpc::Group => {
                held.cuts.iter().any(|cut| !is_ending(&cut.status))
                    || held.groups.iter().any(|group| !is_ending(&group.status))
            }
            _ => {
                held.cuts.iter().any(|cut| cut.status.is_passing())
                    || held.groups.iter().any(|group| group.status.is_passing())
            }
        };
        unfinished.then(|| held.words())
    }

    pub(super) async fn missing_group(&self) -> Option<String> {
        let held = self.held_in_groups().await;
        let as_asked = held.volumes == self.members.len()
            && match (self.rpc, held.groups.as_slice(), held.cuts.as_slice()) {
                (Rpc::Group, [group], [cut]) => {
                    group.volumes.is_empty()
                        && cut.status == GroupState::Available
                        && held.snapshots.len() == self.members.len()
                        && held.snapshots.iter().all(|one| one.status == SnapshotStatus::Available)
                }
                (Rpc::DeleteGroup, [], []) => held.snapshots.is_empty(),
                _ => false,
            };
        (!as_asked).then(|| held.words())
    }
}

fn is_ending(state: &GroupState) -> bool {
    state.is_going() || *state == GroupState::ErrorDeleting
}

impl Held {
    fn words(&self) -> String {
        let groups = self.groups.iter().map(|one| format!("group {} of {}", one.status, one.volumes.len()));
        let cuts = self.cuts.iter().map(|one| format!("group snapshot {}", one.status));
        let snapshots = self.snapshots.iter().map(|one| format!("snapshot {}", one.status));
        let volumes = std::iter::once(format!("{} volumes", self.volumes));
        volumes.chain(groups).chain(cuts).chain(snapshots).collect::<Vec<_>>().join("; ")
    }
}
