//! What the plans are shown, and what they say.

use std::cell::RefCell;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use uuid::Uuid;

use super::super::search::FastMap;
use super::{By, Made, Stage};
use crate::openstack::{Backup, BackupStatus, Snapshot, SnapshotStatus, Status, Volume};
use crate::volume::backup::WantedBackup;
use crate::volume::metadata::{ATTEMPT, CLUSTER, SETTLED};
use crate::volume::namesakes::plan::{Attempt, Posted, Step, plan};
use crate::volume::namesakes::{Candidate, Order};
use crate::volume::snapshot::WantedSnapshot;
use crate::volume::{Condition, Wanted, delete, removal, sample};

type Asked = (Kind, usize, Posted<u8>, Vec<Made>);

thread_local! {
    /// What the plan has said before: it is pure.
    static SAID: RefCell<FastMap<Asked, Said>> = RefCell::default();
}

/// What has the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Volume,
    Snapshot,
    Backup,
}

/// What the plan of a call says.
#[derive(Clone, Debug)]
pub enum Said {
    Create,
    Wait { followed: Option<u8> },
    Settle(u8),
    Answer(u8),
    Discard(u8),
    Remove(u8, Condition),
    Broken,
    Refuse(Condition),
}

/// What the plan of a removal says.
pub enum Removal {
    Done,
    Delete,
    Wait,
    Fail,
}

/// A call's own attempt.
pub struct Own<'a> {
    pub process: usize,
    pub posted: &'a Posted<u8>,
}

impl Kind {
    pub fn plan(self, own: Own, seen: &[Made]) -> Said {
        let asked = (self, own.process, own.posted.clone(), seen.to_vec());
        if let Some(said) = SAID.with_borrow(|before| before.get(&asked).cloned()) {
            return said;
        }
        let said = self.ask(own, seen);
        SAID.with_borrow_mut(|before| before.insert(asked, said.clone()));
        said
    }

    fn ask(self, own: Own, seen: &[Made]) -> Said {
        match self {
            Kind::Volume => said(&sample::wanted(), own, &shown(seen, volume)),
            Kind::Snapshot => said(&wanted_snapshot(), own, &shown(seen, snapshot)),
            Kind::Backup => said(&wanted_backup(), own, &shown(seen, backup)),
        }
    }

    /// What this process made, where the lists show others and not it.
    pub fn unlisted(self, own: Own, seen: &[Made]) -> Option<u8> {
        if matches!(own.posted, Posted::No | Posted::Unclear) {
            return None;
        }
        match self {
            Kind::Volume => unlisted::<Wanted>(own, &shown(seen, volume)),
            Kind::Snapshot => unlisted::<WantedSnapshot>(own, &shown(seen, snapshot)),
            Kind::Backup => unlisted::<WantedBackup>(own, &shown(seen, backup)),
        }
    }

    pub fn removal(self, seen: Option<&Made>, sent: bool, unchanged: u32) -> Removal {
        match self {
            Kind::Volume => match delete::plan(seen.map(|one| volume(one, 0)).as_ref(), sent) {
                delete::Step::Done => Removal::Done,
                delete::Step::Delete => Removal::Delete,
                delete::Step::Wait => Removal::Wait,
                delete::Step::Failed | delete::Step::Refuse(..) => Removal::Fail,
            },
            Kind::Snapshot => ends(seen.map(|one| snapshot(one, 0)).as_ref(), sent, unchanged),
            Kind::Backup => ends(seen.map(|one| backup(one, 0)).as_ref(), sent, unchanged),
        }
    }

    /// Whether this may be answered. A backup is before it is made: it may fail later, and its status says so.
    pub fn is_usable(self, stage: Stage) -> bool {
        stage == Stage::Made || (self == Kind::Backup && matches!(stage, Stage::Making | Stage::Broken))
    }
}

fn shown<C>(seen: &[Made], show: impl Fn(&Made, usize) -> C) -> Vec<C> {
    seen.iter().enumerate().map(|(rank, one)| show(one, rank)).collect()
}

fn attempt<I: From<Uuid>>(own: &Own) -> Attempt<I> {
    let id = |n: &u8| Uuid::from_u128(u128::from(*n)).into();
    let posted = match own.posted {
        Posted::No => Posted::No,
        Posted::As(n) => Posted::As(id(n)),
        Posted::Earlier(n) => Posted::Earlier(id(n)),
        Posted::Unclear => Posted::Unclear,
    };
    Attempt { id: name_of(own.process), posted }
}

fn number(id: impl Into<Uuid>) -> u8 {
    id.into().as_u128() as u8
}

fn said<O: Order>(order: &O, own: Own, seen: &[O::Made]) -> Said {
    let attempt = attempt(&own);
    match plan(order, &attempt, seen, now()) {
        Step::Create => Said::Create,
        Step::Wait => Said::Wait { followed: attempt.followed(seen).map(number) },
        Step::Settle(one) => Said::Settle(number(one.id())),
        Step::Answer(one) => Said::Answer(number(one.id())),
        Step::Discard(id) => Said::Discard(number(id)),
        Step::Remove(id, why) => Said::Remove(number(id), why.map_or(Condition::Failed, |why| why.condition)),
        Step::Broken(_) => Said::Broken,
        Step::Refuse(error) => Said::Refuse(error.condition),
    }
}

fn unlisted<O: Order>(own: Own, seen: &[O::Made]) -> Option<u8> {
    attempt(&own).unlisted(NAME, seen).map(number)
}

fn ends<C: removal::Ending>(seen: Option<&C>, sent: bool, unchanged: u32) -> Removal {
    match removal::plan(seen, sent, unchanged) {
        removal::Step::Done => Removal::Done,
        removal::Step::Delete => Removal::Delete,
        removal::Step::Wait => Removal::Wait,
        removal::Step::Stuck | removal::Step::GivenUp | removal::Step::Refuse(_) => Removal::Fail,
    }
}

const NAME: &str = "pvc-1";
const CLUSTER_NAME: &str = "kubernetes";

fn name_of(process: usize) -> String {
    format!("call of {process}")
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000)
}

/// The oldest first: an hour ago, or this minute.
fn created(one: &Made, rank: usize) -> Option<Timestamp> {
    let age = if one.old { 3600 } else { 60 };
    Timestamp::try_from(now() - Duration::from_secs(age) + Duration::from_secs(rank as u64)).ok()
}

fn metadata(one: &Made) -> std::collections::BTreeMap<String, String> {
    let attempt = match one.by {
        By::Call(process) => Some(name_of(process)),
        By::Past(_) => Some("an earlier call".to_owned()),
        By::ExistingDriver | By::Stranger => None,
    };
    let cluster = if one.by == By::Stranger { "another" } else { CLUSTER_NAME };
    let marks = [
        Some((CLUSTER, cluster.to_owned())),
        attempt.map(|attempt| (ATTEMPT, attempt)),
        one.settled.then(|| (SETTLED, id_of(one).to_string())),
    ];
    marks.into_iter().flatten().map(|(key, mark)| (key.to_owned(), mark)).collect()
}

fn id_of(one: &Made) -> Uuid {
    Uuid::from_u128(u128::from(one.id))
}

fn volume(one: &Made, rank: usize) -> Volume {
    let status = match one.stage {
        Stage::Making => Status::Creating,
        Stage::Made => Status::Available,
        Stage::Broken => Status::Error,
        Stage::Going => Status::Deleting,
        Stage::Stuck => Status::ErrorDeleting,
    };
    let (id, created_at) = (id_of(one).into(), created(one, rank));
    Volume { id, name: NAME.to_owned(), metadata: metadata(one), created_at, ..sample::volume(status) }
}

fn snapshot(one: &Made, rank: usize) -> Snapshot {
    let status = match one.stage {
        Stage::Making => SnapshotStatus::Creating,
        Stage::Made => SnapshotStatus::Available,
        Stage::Broken => SnapshotStatus::Error,
        Stage::Going => SnapshotStatus::Deleting,
        Stage::Stuck => SnapshotStatus::ErrorDeleting,
    };
    let (id, created_at) = (id_of(one).into(), created(one, rank));
    Snapshot { id, name: NAME.to_owned(), metadata: metadata(one), created_at, ..sample::snapshot(status) }
}

fn backup(one: &Made, rank: usize) -> Backup {
    let status = match one.stage {
        Stage::Making => BackupStatus::Creating,
        Stage::Made => BackupStatus::Available,
        Stage::Broken => BackupStatus::Error,
        Stage::Going => BackupStatus::Deleting,
        Stage::Stuck => BackupStatus::ErrorDeleting,
    };
    let (id, created_at) = (id_of(one).into(), created(one, rank));
    Backup { id, name: NAME.to_owned(), metadata: metadata(one), created_at, ..sample::backup(status) }
}

fn wanted_snapshot() -> WantedSnapshot {
    let (name, cluster) = (NAME.to_owned(), CLUSTER_NAME.to_owned());
    WantedSnapshot { name, source: sample::id(1), cluster, metadata: [].into() }
}

fn wanted_backup() -> WantedBackup {
    let (name, cluster) = (NAME.to_owned(), CLUSTER_NAME.to_owned());
    WantedBackup { name, source: sample::id(1), zone: None, cluster, metadata: [].into() }
}
