//! The state of the simulated cloud, and how it changes with time. No HTTP here.

mod attach;
mod backup;
mod compute;
mod extend;
mod group;
mod group_snapshot;
mod held;
mod identity;
mod kind;
mod message;
mod metadata;
mod migrate;
mod quota;
mod retype;
mod server;
mod settings;
mod snapshot;
mod source;
mod volume;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::faults::{Fate, Mishap, Operation, Ordered};
use super::latency::Span;

pub(super) use backup::{Backup, BackupUpdate, NewBackup};
pub(super) use group::{Group, GroupType, GroupUpdate, NewGroup};
pub(super) use group_snapshot::GroupSnapshot;
pub(super) use identity::{Identity, Token, User};
pub(super) use kind::VolumeType;
pub(super) use message::Message;
pub(super) use metadata::Change;
pub(super) use server::{Action, Order, Row, Server};
pub(super) use snapshot::{NewSnapshot, Snapshot};
pub(super) use volume::{NewVolume, Volume, VolumeAttachment};

pub use compute::{Deed, Kept};
pub use held::Held;
pub use quota::Quota;
pub(super) use quota::Usage;
pub use settings::{ApiLimit, Microversion, Settings};

/// The half of a compute host that handles disks. Called while the world is locked: it must not call the cloud.
/// Dropped, it takes all disks out.
pub trait Hypervisor: Send {
    /// Gives the server a disk with this volume in it.
    fn plug(&mut self, server: &str, volume: &str, gigabytes: u64) -> std::io::Result<()>;
    fn unplug(&mut self, server: &str, volume: &str) -> std::io::Result<()>;
    /// Makes the server's disk as large as the volume now is.
    fn grow(&mut self, server: &str, volume: &str, gigabytes: u64) -> std::io::Result<()>;
    /// The volume is deleted, and its data with it.
    fn forget(&mut self, volume: &str);
    /// The volume starts with what `source`, a volume or a snapshot, holds.
    fn copy(&mut self, source: &str, target: &str) -> std::io::Result<()>;
}

/// A call that the cloud refuses: its HTTP status and words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub code: u16,
    pub message: String,
}

/// What happens later.
#[derive(Clone, Debug)]
enum Event {
    Created { volume: String, fate: Fate },
    Deleted { volume: String, fate: Fate },
    Attaching { volume: String, attachment: String },
    Attached { volume: String, attachment: String, fate: Fate },
    Unlinked { volume: String, attachment: String },
    Detached { volume: String, attachment: String, fate: Fate },
    RowGone { server: String, volume: String },
    Extended { volume: String, size: u64, fate: Fate },
    Grown { volume: String },
    Retyped { volume: String, kind: String, fate: Fate },
    SnapshotReady { snapshot: String, fate: Fate },
    SnapshotGone { snapshot: String, fate: Fate },
    BackupReady { backup: String, fate: Fate },
    BackupGone { backup: String, fate: Fate },
    Restored { volume: String, backup: String, fate: Fate },
    RestoreLetGo { volume: String, backup: String },
    GroupReady { group: String, fate: Fate },
    GroupUpdated { group: String, add: Vec<String>, remove: Vec<String>, fate: Fate },
    GroupGone { group: String, fate: Fate },
    GroupSnapshotReady { snapshot: String, fate: Fate },
    GroupSnapshotGone { snapshot: String, fate: Fate },
    ServerGone { server: String },
    LeftHost { server: String },
    Migrated { server: String, moved: Vec<String> },
}

impl Event {
    /// That it is about.
    fn attachment(&self) -> Option<&str> {
        match self {
            Event::Attaching { attachment, .. }
            | Event::Attached { attachment, .. }
            | Event::Unlinked { attachment, .. }
            | Event::Detached { attachment, .. } => Some(attachment),
            _ => None,
        }
    }
}

/// Everything that the cloud knows.
pub(super) struct World {
    pub(super) settings: Settings,
    pub(super) identity: Identity,
    /// Other regions of its Keystone: their names and addresses.
    pub(super) regions: Vec<(String, String)>,
    /// How often Cinder and Nova have moved to another address.
    moves: usize,
    pub(super) volumes: BTreeMap<String, Volume>,
    pub(super) snapshots: BTreeMap<String, Snapshot>,
    pub(super) backups: BTreeMap<String, Backup>,
    pub(super) groups: BTreeMap<String, Group>,
    pub(super) group_snapshots: BTreeMap<String, GroupSnapshot>,
    pub(super) group_types: Vec<GroupType>,
    pub(super) servers: BTreeMap<String, Server>,
    pub(super) types: Vec<VolumeType>,
    pub(super) messages: Vec<Message>,
    /// What each project has.
    usages: BTreeMap<String, Usage>,
    pub(super) mishaps: Ordered<Mishap>,
    hypervisor: Option<Box<dyn Hypervisor>>,
    events: BTreeMap<(Instant, u64), Event>,
    scheduled: u64,
    /// When the event was due that is being done: what follows from it follows from then, however late we look.
    moment: Option<Instant>,
    pub(super) deeds: Vec<Deed>,
    pub(super) kept: Vec<Kept>,
    random: fastrand::Rng,
}

impl Refusal {
    pub fn new(code: u16, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub fn not_found(kind: &str, id: &str) -> Self {
        Self::new(404, format!("{kind} {id} could not be found."))
    }

    pub fn invalid_snapshot(reason: impl std::fmt::Display) -> Self {
        Self::new(400, format!("Invalid snapshot: {reason}"))
    }

    pub fn invalid_backup(reason: impl std::fmt::Display) -> Self {
        Self::new(400, format!("Invalid backup: {reason}"))
    }

    pub fn invalid_group(reason: impl std::fmt::Display) -> Self {
        Self::new(400, format!("Invalid Group: {reason}"))
    }

    pub fn invalid_volume(reason: impl std::fmt::Display) -> Self {
        Self::new(400, format!("Invalid volume: {reason}"))
    }

    pub fn invalid_input(reason: impl std::fmt::Display) -> Self {
        Self::new(400, format!("Invalid input received: {reason}"))
    }
}

impl World {
    pub fn new(settings: Settings) -> Self {
        let mut random = fastrand::Rng::with_seed(settings.seed);
        let identity = Identity::new(&mut random, settings.quota.clone());
        let types = VolumeType::all(&mut random, &settings.more_types);
        let group_types = GroupType::all(&mut random, &settings.group_types);
        let mut world = Self {
            identity,
            types,
            random,
            settings,
            regions: Vec::new(),
            moves: 0,
            volumes: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            backups: BTreeMap::new(),
            groups: BTreeMap::new(),
            group_snapshots: BTreeMap::new(),
            group_types,
            servers: BTreeMap::new(),
            messages: Vec::new(),
            usages: BTreeMap::new(),
            mishaps: Ordered::default(),
            hypervisor: None,
            events: BTreeMap::new(),
            scheduled: 0,
            moment: None,
            deeds: Vec::new(),
            kept: Vec::new(),
        };
        for (name, zone) in world.settings.servers.clone() {
            world.boot(name, zone);
        }
        world
    }

    pub fn plug_into(&mut self, hypervisor: Box<dyn Hypervisor>) {
        self.hypervisor = Some(hypervisor);
    }

    pub fn unplug_all(&mut self) -> Option<Box<dyn Hypervisor>> {
        self.hypervisor.take()
    }

    /// A line for each volume, snapshot, backup, group, group snapshot and attachment, as Cinder and as Nova see it.
    pub fn inventory(&self) -> Vec<String> {
        let volumes = self.volumes.values().map(|volume| format!("volume {} ({})", volume.id, volume.status));
        let snapshots = self.snapshots.keys().map(|id| format!("snapshot {id}"));
        let backups = self.backups.values().map(|backup| format!("backup {} ({})", backup.id, backup.status));
        let groups = self.groups.values().map(|group| format!("group {} ({})", group.id, group.status));
        let group_snapshots = self.group_snapshots.keys().map(|id| format!("group snapshot {id}"));
        let held = self.volumes.values().flat_map(|volume| &volume.attachments);
        let held = held.map(|held| format!("attachment {} to server {}", held.id, held.server));
        let rows = self.servers.values().flat_map(|server| &server.rows);
        let rows = rows.map(|row| format!("disk {} of volume {} in Nova", row.device, row.volume));
        volumes
            .chain(snapshots)
            .chain(backups)
            .chain(groups)
            .chain(group_snapshots)
            .chain(held)
            .chain(rows)
            .collect()
    }

    /// Gives a volume, snapshot, backup, group or group snapshot this status, as only an administrator or a fault can.
    /// Answers whether there is such an object.
    pub fn set_status(&mut self, id: &str, status: &str) -> bool {
        let now = self.now();
        if let Some(volume) = self.volumes.get_mut(id) {
            volume.become_(status, now);
        } else if let Some(snapshot) = self.snapshots.get_mut(id) {
            snapshot.become_(status, now);
        } else if let Some(backup) = self.backups.get_mut(id) {
            backup.become_(status, now);
        } else if let Some(group) = self.groups.get_mut(id) {
            group.become_(status, now);
        } else if let Some(snapshot) = self.group_snapshots.get_mut(id) {
            status.clone_into(&mut snapshot.status);
        } else {
            return false;
        }
        true
    }

    /// Cinder and Nova are at another address from now on, which Keystone's catalog says.
    pub fn move_services(&mut self) {
        self.moves += 1;
    }

    /// Where `volume` or `compute` is.
    pub fn address(&self, service: &str) -> String {
        match self.moves {
            0 => service.to_owned(),
            moves => format!("{service}-{}", moves + 1),
        }
    }

    /// Whether that is where a service is; the others never move.
    pub fn is_at(&self, address: &str) -> bool {
        let service = address.split('-').next().unwrap_or_default();
        !["volume", "compute"].contains(&service) || address == self.address(service)
    }

    /// Does what is due.
    pub fn advance(&mut self) {
        let now = Instant::now();
        while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= now) {
            self.moment = Some(entry.key().0);
            let event = entry.remove();
            self.apply(event);
        }
        self.moment = None;
    }

    /// When something will happen.
    pub fn next_event(&self) -> Option<Instant> {
        self.events.keys().next().map(|(at, _)| *at)
    }

    /// The cloud's wall clock.
    pub fn now(&self) -> SystemTime {
        let skew = Duration::from_secs(self.settings.clock_skew.unsigned_abs());
        match self.settings.clock_skew {
            ..0 => crate::pace::now() - skew,
            0.. => crate::pace::now() + skew,
        }
    }

    pub(super) fn new_id(&mut self) -> String {
        new_id(&mut self.random)
    }

    pub(super) fn new_request_id(&mut self) -> String {
        format!("req-{}", self.new_id())
    }

    pub(super) fn pick(&mut self, span: Span) -> Duration {
        span.pick(&mut self.random)
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Created { volume, fate } => self.finish_create(&volume, fate),
            Event::Deleted { volume, fate } => self.finish_delete(&volume, fate),
            Event::Attaching { volume, attachment } => self.begin_attaching(&volume, &attachment),
            Event::Attached { volume, attachment, fate } => self.finish_attach(&volume, &attachment, fate),
            Event::Unlinked { volume, attachment } => self.unlink(&volume, &attachment),
            Event::Detached { volume, attachment, fate } => self.finish_detach(&volume, &attachment, fate),
            Event::RowGone { server, volume } => self.drop_row(&server, &volume),
            Event::Extended { volume, size, fate } => self.finish_extend(&volume, size, fate),
            Event::Grown { volume } => self.grow_disks(&volume),
            Event::Retyped { volume, kind, fate } => self.finish_retype(&volume, &kind, &fate),
            Event::SnapshotReady { snapshot, fate } => self.finish_snapshot(&snapshot, fate),
            Event::SnapshotGone { snapshot, fate } => self.finish_delete_snapshot(&snapshot, fate),
            Event::BackupReady { backup, fate } => self.finish_backup(&backup, fate),
            Event::BackupGone { backup, fate } => self.finish_delete_backup(&backup, fate),
            Event::Restored { volume, backup, fate } => self.finish_restore(&volume, &backup, &fate),
            Event::RestoreLetGo { volume, backup } => self.let_go_of_restored(&volume, &backup),
            Event::GroupReady { group, fate } => self.finish_group(&group, &fate),
            Event::GroupUpdated { group, add, remove, fate } => {
                self.finish_group_update(&group, &add, &remove, &fate);
            }
            Event::GroupGone { group, fate } => self.finish_delete_group(&group, &fate),
            Event::GroupSnapshotReady { snapshot, fate } => self.finish_group_snapshot(&snapshot, &fate),
            Event::GroupSnapshotGone { snapshot, fate } => {
                self.finish_delete_group_snapshot(&snapshot, &fate);
            }
            Event::ServerGone { server } => self.bury(&server),
            Event::LeftHost { server } => self.leave_host(&server),
            Event::Migrated { server, moved } => self.finish_migration(&server, &moved),
        }
    }

    fn schedule(&mut self, delay: Duration, event: Event) {
        self.scheduled += 1;
        let from = self.moment.unwrap_or_else(Instant::now);
        self.events.insert((from + delay, self.scheduled), event);
    }

    /// How the next operation of this kind ends, and after how long.
    fn fate(&mut self, operation: Operation, span: Span) -> (Fate, Duration) {
        let mut time = self.pick(span);
        let mut fate = Fate::Well;
        let met = self.mishaps.take(|mishap| match mishap {
            Mishap::Fails(met, _) | Mishap::Stuck(met) | Mishap::Takes(met, _) => *met == operation,
            Mishap::GrowsLate(_) | Mishap::Unlisted(..) | Mishap::LeavesEntries => false,
        });
        match met {
            Some(Mishap::Fails(_, reason)) => fate = Fate::Fails(reason),
            Some(Mishap::Stuck(_)) => fate = Fate::Stuck,
            Some(Mishap::Takes(_, longer)) => time = longer,
            _ => {}
        }
        (fate, time)
    }
}

pub(super) fn new_id(random: &mut fastrand::Rng) -> String {
    let bytes: [u8; 16] = std::array::from_fn(|_| random.u8(..));
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

/// Ids of Keystone's objects have no dashes.
pub(super) fn new_plain_id(random: &mut fastrand::Rng) -> String {
    new_id(random).replace('-', "")
}

/// A time as the services write it: UTC without a zone. What comes from the database has whole seconds only.
pub(super) fn timestamp(time: SystemTime) -> String {
    timestamp_with(time, "%Y-%m-%dT%H:%M:%S.000000")
}

pub(super) fn timestamp_with(time: SystemTime, format: &str) -> String {
    jiff::Timestamp::try_from(time).map(|time| time.strftime(format).to_string()).unwrap_or_default()
}
