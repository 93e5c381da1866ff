//! One poller for each cloud wakes every waiter.
//!
//! A waiter asks for a look made from now on: when most are done, by what is known of this cloud. One or two waiters are
//! served by a GET each; more are served together by one list of what changed, at most every [`LIST_EVERY`].

mod experience;
mod free;
#[cfg(test)]
mod interleaved;
mod lists;
mod newcomers;
mod poller;
mod told;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::group::Sight;
use super::{BackupId, Condition, Error, Result, SnapshotId, Volume, VolumeId};
use crate::openstack::{self, Backup, Cinder, Snapshot};
use crate::pace;
use experience::{Experience, Schedule, Work};
use free::Free;
use lists::List;
use poller::Poller;

/// A look that takes longer is told of.
const SILENCE: Duration = Duration::from_secs(2);
/// Between lists at least; and as long as the last one took, up to a second.
const LIST_EVERY: Duration = Duration::from_millis(50);
/// The part of the requests that the cloud takes which lists may be; where it takes less than twenty a second they are more.
const LISTS: f64 = 1.0 / 20.0;
/// `updated_at` may miss a change, and hosts of the API have clocks of their own.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a waiter is after.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Interest {
    Change(VolumeId),
    /// The volume's end: lists of what changed don't show it.
    Deletion(VolumeId),
    /// Every volume of a name, and of them this one where it is known.
    Named(String, Option<VolumeId>),
    /// A volume that was made under a name which none had, and every other one of that name. Only those can have come under it
    /// that were created from then on, by the cloud's clock.
    New {
        name: String,
        id: VolumeId,
        from: SystemTime,
    },
    Snapshot(About<SnapshotId>),
    Backup(About<BackupId>),
    /// The groups and the group snapshots of a name.
    Group(String),
}

/// A snapshot or a backup: no list shows which of them changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum About<I> {
    End(I),
    /// Every one of a name, and of them this one where it is known.
    Named(String, Option<I>),
}

impl Interest {
    /// As it is where none had the name, and one that turns up there was created from then on.
    pub fn under_a_free_name(self, from: Option<SystemTime>) -> Self {
        match (self, from) {
            (Interest::Named(name, Some(id)), Some(from)) => Interest::New { name, id, from },
            (interest, _) => interest,
        }
    }

    /// The volume.
    fn id(&self) -> Option<VolumeId> {
        match self {
            Interest::Change(id) | Interest::Deletion(id) | Interest::New { id, .. } => Some(*id),
            Interest::Named(_, id) => *id,
            Interest::Snapshot(_) | Interest::Backup(_) | Interest::Group(_) => None,
        }
    }
}

impl fmt::Display for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Interest::Change(id) | Interest::Deletion(id) => write!(f, "volume {id}"),
            Interest::Named(name, None) => write!(f, "volume {name}"),
            Interest::Named(name, Some(id)) | Interest::New { name, id, .. } => {
                write!(f, "volume {name} ({id})")
            }
            Interest::Snapshot(about) => write!(f, "snapshot {about}"),
            Interest::Backup(about) => write!(f, "backup {about}"),
            Interest::Group(name) => write!(f, "group {name}"),
        }
    }
}

impl<I: fmt::Display> fmt::Display for About<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            About::End(id) => write!(f, "{id}"),
            About::Named(name, None) => write!(f, "{name}"),
            About::Named(name, Some(id)) => write!(f, "{name} ({id})"),
        }
    }
}

/// What one look showed.
#[derive(Clone, Debug)]
pub enum Seen {
    Volume(Box<Volume>),
    Gone,
    Named(Vec<Volume>),
    Snapshot(Box<Snapshot>),
    Snapshots(Vec<Snapshot>),
    Backup(Box<Backup>),
    Backups(Vec<Backup>),
    Group(Sight),
}

impl Seen {
    fn volumes(&self) -> &[Volume] {
        match self {
            Seen::Volume(volume) => std::slice::from_ref(volume),
            Seen::Named(volumes) => volumes,
            _ => &[],
        }
    }

    /// The status of the one that was looked at.
    fn status(&self, interest: &Interest) -> Option<String> {
        match self {
            Seen::Volume(volume) => Some(volume.status.to_string()),
            Seen::Snapshot(snapshot) => Some(snapshot.status.to_string()),
            Seen::Backup(backup) => Some(backup.status.to_string()),
            Seen::Snapshots(snapshots) => snapshots.first().map(|snapshot| snapshot.status.to_string()),
            Seen::Backups(backups) => backups.first().map(|backup| backup.status.to_string()),
            Seen::Group(sight) => sight.groups.first().map(|group| group.status.to_string()),
            // Others may have the name, too.
            Seen::Named(volumes) => {
                let is_it = |volume: &&Volume| interest.id().is_none_or(|id| volume.id == id);
                volumes.iter().find(is_it).map(|volume| volume.status.to_string())
            }
            Seen::Gone => None,
        }
    }
}

/// The shared poller of one cloud. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Watch {
    shared: Arc<Shared>,
}

/// One waiter's looks.
#[derive(Debug)]
pub struct Looks {
    shared: Arc<Shared>,
    work: Work,
    interest: Interest,
    begun: Instant,
    /// When the last look began.
    looked: Instant,
    schedule: Schedule,
    /// A list that doesn't mention what is waited for is believed for so long.
    patience: Duration,
    /// The cloud's clock at the last look: what changes from then on is news.
    since: SystemTime,
    last: String,
}

#[derive(Debug)]
struct Shared {
    cinder: Cinder,
    state: Mutex<State>,
    asked: Notify,
}

#[derive(Debug, Default)]
struct State {
    asks: Vec<Ask>,
    experience: Experience,
    free: Free,
    polling: bool,
    /// The last look that failed since the last that didn't.
    failure: Option<String>,
    /// When the look began that is under way.
    looking: Option<Instant>,
    /// No list is asked for before.
    listing_from: Option<Instant>,
    /// The cloud couldn't be asked for what changed (it is older than microversion 3.60): it isn't until then.
    too_old_until: Option<Instant>,
    /// What is new couldn't be listed: until then each looks for namesakes itself.
    unlisted_until: Option<Instant>,
    /// Which of the lists had the last turn; `Some(None)`: those had it that are on no list.
    last_turn: Option<Option<List>>,
    /// A waiter has had a look of its own since the last list.
    full_look_had_turn: bool,
}

/// One look that somebody waits for.
#[derive(Debug)]
struct Ask {
    interest: Interest,
    since: SystemTime,
    /// When the wait began, of which this is one look.
    begun: Instant,
    asked: Instant,
    due: Instant,
    /// No list has mentioned it until then: it gets a look of its own.
    forgotten: Instant,
    /// A look at it is under way beside the poller.
    has_look: bool,
    schedule: Schedule,
    reply: oneshot::Sender<Answer>,
}

#[derive(Debug)]
struct Answer {
    seen: openstack::Result<Seen>,
    clock: SystemTime,
    looked: Instant,
    schedule: Schedule,
}

impl State {
    /// How many share the cost of a list, where there are lists.
    fn sharers(&self) -> usize {
        if self.too_old_until.is_some_and(|until| Instant::now() < until) { 1 } else { self.asks.len() }
    }

    /// Why nobody has seen anything.
    fn trouble(&self) -> String {
        let silence = self.looking.map(|began| began.elapsed()).filter(|silence| *silence > SILENCE);
        match (&self.failure, silence) {
            (_, Some(silence)) => {
                format!("; Cinder has given no answer that is of use for {} s", silence.as_secs())
            }
            (Some(failure), None) => format!("; the last look failed: {failure}"),
            (None, None) => String::new(),
        }
    }
}

impl Watch {
    pub fn new(cinder: Cinder) -> Self {
        Self { shared: Arc::new(Shared { cinder, state: Mutex::default(), asked: Notify::new() }) }
    }

    /// Looks from now on: follow it right after the call whose effect is awaited.
    pub fn follow(&self, work: Work, interest: Interest) -> Looks {
        let begun = Instant::now();
        Looks {
            work,
            interest,
            begun,
            looked: begun,
            schedule: self.shared.lock().experience.schedule(work),
            patience: PATIENCE,
            since: self.shared.cinder.clock(),
            last: "not seen yet".to_owned(),
            shared: Arc::clone(&self.shared),
        }
    }

    /// Whether the volume was free when the poller last saw it.
    pub fn saw_free(&self, id: VolumeId) -> bool {
        self.shared.lock().free.has(id)
    }
}

impl Looks {
    /// The volume at the next look, which starts after this call; `None` once it is gone.
    pub async fn next(&mut self) -> Result<Option<Volume>> {
        match self.next_seen().await? {
            Seen::Volume(volume) => Ok(Some(*volume)),
            Seen::Gone => Ok(None),
            Seen::Named(volumes) => {
                let id = self.interest.id();
                Ok(volumes.into_iter().find(|volume| Some(volume.id) == id))
            }
            Seen::Snapshot(_) | Seen::Snapshots(_) | Seen::Backup(_) | Seen::Backups(_) | Seen::Group(_) => {
                Ok(None)
            }
        }
    }

    /// It is as was waited for: what comes later is looked at when this one was done.
    pub fn ended(&self) {
        self.shared.lock().experience.learn(self.work, self.looked.saturating_duration_since(self.begun));
    }

    /// What the next waits are for; the pauses go on.
    pub fn turn_to(&mut self, interest: Interest) {
        self.interest = interest;
    }

    /// As [`Self::next`], with what else was seen.
    pub async fn next_seen(&mut self) -> Result<Seen> {
        let asked = Instant::now();
        let answer = self.shared.ask(self);
        match tokio::time::timeout(pace::deadline().remaining(), answer).await {
            Ok(Ok(answer)) => {
                self.since = answer.clock;
                self.looked = answer.looked;
                self.schedule = answer.schedule;
                if asked.elapsed() >= self.patience {
                    self.patience *= 2;
                }
                let seen = answer.seen.map_err(Error::unsettled)?;
                if let Some(status) = seen.status(&self.interest) {
                    self.last = format!("status {status}");
                }
                Ok(seen)
            }
            Ok(Err(_)) => Err(Error::new(
                Condition::Unsettled,
                "the shared poller of this cloud ended; it starts anew with the next call",
            )),
            Err(_) => Err(self.timed_out()),
        }
    }

    fn timed_out(&self) -> Error {
        let failure = self.shared.lock().trouble();
        Error::new(
            Condition::TimedOut,
            format!(
                "the RPC's deadline came first ({}: {}{failure}). The cloud goes on and the next call finds its work",
                self.interest, self.last
            ),
        )
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands an ask to the poller, and starts one where none runs.
    fn ask(self: &Arc<Self>, looks: &Looks) -> oneshot::Receiver<Answer> {
        let (reply, answer) = oneshot::channel();
        let mut schedule = looks.schedule.clone();
        let asked = Instant::now();
        let mut state = self.lock();
        let sharers = if looks.interest.list().is_some() { state.sharers() } else { 1 };
        let due = asked + schedule.step(sharers);
        let ask = Ask {
            interest: looks.interest.clone(),
            since: looks.since,
            begun: looks.begun,
            asked,
            due,
            forgotten: asked + looks.patience,
            has_look: false,
            schedule,
            reply,
        };
        state.asks.push(ask);
        if !state.polling {
            state.polling = true;
            tokio::spawn(Poller(Arc::clone(self)).run());
        }
        drop(state);
        self.asked.notify_one();
        answer
    }
}
