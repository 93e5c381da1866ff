//! Which of the volumes of one name is the one.

use std::cmp::Reverse;
use std::time::{Duration, SystemTime};

use uuid::Uuid;

use super::{Wanted, ZoneChoice};
use crate::openstack::{Status, Volume, VolumeId};
use crate::volume::metadata::{ATTEMPT, is_settled, is_unpromised};
use crate::volume::{Condition, Error};

/// An attempt that hasn't settled for so long has died: no RPC lives as long.
const DEAD_AFTER: Duration = Duration::from_secs(600);

/// This RPC's own attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub id: String,
    pub posted: Posted,
    /// The zones that had no room for it.
    tried: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Posted {
    No,
    As(VolumeId),
    /// The POST was sent and no clear answer came.
    Unclear,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    Create,
    Wait,
    /// Mark it, then answer with it.
    Settle(Volume),
    Answer(Volume),
    /// Remove a volume that lost, then look again.
    Discard(VolumeId),
    /// Remove a volume of ours and say why; without a reason, Cinder knows it.
    Remove(VolumeId, Option<Error>),
    Refuse(Error),
}

impl Default for Attempt {
    fn default() -> Self {
        Self { id: Uuid::new_v4().to_string(), posted: Posted::No, tried: Vec::new() }
    }
}

impl Attempt {
    /// The zone to ask for next.
    pub fn zone<'a>(&self, choice: &'a ZoneChoice) -> Option<&'a str> {
        choice.zones().iter().find(|zone| !self.tried.contains(zone)).map(String::as_str)
    }

    /// Goes on in the next zone where this one had no room, and nothing is left of it there.
    pub fn turn_elsewhere(
        &mut self,
        choice: &ZoneChoice,
        zone: Option<&str>,
        error: Error,
    ) -> Result<(), Error> {
        let Some(zone) = zone.filter(|_| error.condition == Condition::Exhausted) else { return Err(error) };
        let before = std::mem::take(&mut self.tried);
        let tried = before.iter().cloned().chain([zone.to_owned()]).collect();
        *self = Self { tried, ..Self::default() };
        match self.zone(choice) {
            Some(_) => Ok(()),
            None if before.is_empty() => Err(error),
            None => Err(error.context(format!("in zone {zone}, after {} was tried", before.join(", ")))),
        }
    }

    fn made(&self, volume: &Volume) -> bool {
        self.posted == Posted::As(volume.id) || volume.metadata.get(ATTEMPT) == Some(&self.id)
    }

    /// The volume that the next looks are at.
    pub fn followed(&self, seen: &[Volume]) -> Option<VolumeId> {
        let own = match &self.posted {
            Posted::As(id) => Some(*id),
            Posted::No | Posted::Unclear => None,
        };
        let known = own.filter(|id| seen.is_empty() || seen.iter().any(|volume| volume.id == *id));
        known.or_else(|| seen.iter().find(|volume| is_being_made(volume)).map(|volume| volume.id)).or(own)
    }
}

pub fn is_being_made(volume: &Volume) -> bool {
    matches!(volume.status, Status::Creating | Status::Downloading | Status::RestoringBackup)
}

/// Where a restore fails Cinder leaves a new volume in `error_restoring`.
fn is_broken(volume: &Volume) -> bool {
    matches!(volume.status, Status::Error | Status::ErrorRestoring)
}

pub fn plan(wanted: &Wanted, attempt: &Attempt, seen: &[Volume], now: SystemTime) -> Step {
    let mut there: Vec<&Volume> = seen
        .iter()
        // MySQL compares names without case, and what is going away is no longer there.
        .filter(|volume| volume.name == wanted.name && !is_going(volume))
        .collect();
    there.sort_by_key(|volume| (Reverse(is_settled(volume)), volume.created_at, volume.id));
    if let Some(broken) = there.iter().find(|volume| is_broken(volume) && is_unpromised(volume)) {
        // Beside another of the name the error would be final for that one, too.
        return if there.len() == 1 { Step::Remove(broken.id, None) } else { Step::Discard(broken.id) };
    }
    if let Some(stuck) = seen.iter().find(|volume| volume.name == wanted.name && is_stuck(volume)) {
        return without_own(attempt, &there, unremovable(stuck));
    }
    if let Some(step) = incompatible(wanted, attempt, &there, now) {
        return step;
    }
    match there.as_slice() {
        [] => absent(attempt),
        [only] => alone(wanted, attempt, only),
        several => contested(attempt, several, now),
    }
}

fn is_going(volume: &Volume) -> bool {
    matches!(volume.status, Status::Deleting | Status::ErrorDeleting)
}

/// A volume that nobody was promised and that Cinder couldn't delete. Each further try could leave one more.
fn is_stuck(volume: &Volume) -> bool {
    volume.status == Status::ErrorDeleting && is_unpromised(volume)
}

fn unremovable(volume: &Volume) -> Error {
    let why = format!(
        "volume {} of that name couldn't be made and can't be removed (status error_deleting): an administrator must delete it \
         (openstack volume delete --force), then this goes on by itself",
        volume.id
    );
    Error::new(Condition::Unsettled, why)
}

fn absent(attempt: &Attempt) -> Step {
    match attempt.posted {
        Posted::No => Step::Create,
        // Lists may show a new volume late.
        Posted::As(_) | Posted::Unclear => Step::Wait,
    }
}

/// The one of this name, which is compatible or our own.
fn alone(wanted: &Wanted, attempt: &Attempt, volume: &Volume) -> Step {
    if is_being_made(volume) {
        return Step::Wait;
    }
    if let Some(difference) = wanted.difference(volume).filter(|_| attempt.made(volume)) {
        let why = format!("Cinder made another volume than asked for: {difference}");
        return Step::Remove(volume.id, Some(Error::new(Condition::Invalid, why)));
    }
    match volume.status {
        Status::Error | Status::ErrorRestoring => Step::Refuse(Error::new(
            Condition::Precondition,
            format!(
                "volume {} of that name is in status {}; an administrator can reset it, or delete it",
                volume.id, volume.status
            ),
        )),
        _ if is_settled(volume) => Step::Answer(volume.clone()),
        _ => Step::Settle(volume.clone()),
    }
}

/// More than one: the settled one wins, else the oldest. The winner is answered once the others are gone.
fn contested(attempt: &Attempt, there: &[&Volume], now: SystemTime) -> Step {
    let losers = || there.iter().skip(1);
    let removable = |loser: &&&Volume| attempt.made(loser) || is_dead(loser, now);
    let free = |loser: &&&Volume| loser.attachments.is_empty() && !is_being_made(loser);
    if let Some(loser) = losers().filter(removable).find(free) {
        return Step::Discard(loser.id);
    }
    // One without an attempt, or a second settled one, is nobody's to remove.
    if losers().any(|loser| !is_unpromised(loser)) {
        return without_own(attempt, there, ambiguous(there));
    }
    Step::Wait
}

/// Refuses once this attempt's own volume is out of the way.
fn without_own(attempt: &Attempt, there: &[&Volume], refusal: Error) -> Step {
    match there.iter().find(|volume| attempt.made(volume)) {
        Some(own) if is_being_made(own) => Step::Wait,
        Some(own) => Step::Discard(own.id),
        None => Step::Refuse(refusal),
    }
}

fn ambiguous(there: &[&Volume]) -> Error {
    let ids: Vec<_> = there.iter().map(|volume| volume.id.to_string()).collect();
    Error::new(
        Condition::AlreadyExists,
        format!(
            "there are several volumes of that name and which one is in use can't be told: {}; delete or rename the others",
            ids.join(", ")
        ),
    )
}

fn is_dead(volume: &Volume, now: SystemTime) -> bool {
    let created = volume.created_at.and_then(|created| SystemTime::try_from(created).ok());
    let age = created.and_then(|created| now.duration_since(created).ok());
    is_unpromised(volume) && age.is_some_and(|age| age > DEAD_AFTER)
}

/// What to do about a volume of the name that isn't as wanted and isn't this attempt's.
fn incompatible(wanted: &Wanted, attempt: &Attempt, there: &[&Volume], now: SystemTime) -> Option<Step> {
    let others = there.iter().filter(|volume| !attempt.made(volume));
    let (other, difference) =
        others.filter_map(|volume| Some((volume, wanted.difference(volume)?))).next()?;
    if is_dead(other, now) {
        return Some(Step::Discard(other.id));
    }
    // One that nobody was promised may be another attempt's that is about to remove it: not final.
    let condition = if is_unpromised(other) { Condition::Unsettled } else { Condition::AlreadyExists };
    let refusal = Error::new(condition, format!("volume {} has that name, but {difference}", other.id));
    Some(without_own(attempt, there, refusal))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::openstack::{Hints, Origin};
    use crate::volume::sample::{id, volume};
    use crate::volume::{ZoneChoice, metadata};

    fn wanted() -> Wanted {
        Wanted {
            name: "pvc-1".to_owned(),
            size: 1,
            size_is_free: false,
            size_limit: None,
            volume_type: None,
            zone: ZoneChoice::Any,
            origin: None,
            hints: Hints::default(),
            multiattach: false,
            cluster: "kubernetes".to_owned(),
            metadata: BTreeMap::new(),
        }
    }

    fn copy(origin: Origin) -> Wanted {
        Wanted { origin: Some(origin), ..wanted() }
    }

    fn uuid(n: u128) -> uuid::Uuid {
        uuid::Uuid::from_u128(n)
    }

    fn cloned(source: u128) -> Volume {
        Volume { source_volid: Some(uuid(source).to_string()), ..volume(Status::Available).settled() }
    }

    fn ours(posted: Posted) -> Attempt {
        Attempt { id: "ours".to_owned(), posted, tried: Vec::new() }
    }

    /// Shortly after the volumes of `sample` were created.
    fn soon() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_660)
    }

    fn decided(attempt: &Attempt, seen: &[Volume]) -> Step {
        plan(&wanted(), attempt, seen, soon())
    }

    fn refusal(step: &Step) -> Option<Condition> {
        match step {
            Step::Refuse(error) => Some(error.condition),
            _ => None,
        }
    }

    #[test]
    fn a_free_name_is_created_once() {
        assert_eq!(decided(&ours(Posted::No), &[]), Step::Create);
        assert_eq!(decided(&ours(Posted::Unclear), &[]), Step::Wait);
        assert_eq!(decided(&ours(Posted::As(id(1))), &[]), Step::Wait);
    }

    #[test]
    fn volumes_on_their_way_out_and_names_in_other_case_are_not_there() {
        let going = [volume(Status::Deleting), volume(Status::ErrorDeleting).settled()];
        assert_eq!(decided(&ours(Posted::No), &going), Step::Create);
        let other = Volume { name: "PVC-1".to_owned(), ..volume(Status::Available) };
        assert_eq!(decided(&ours(Posted::No), &[other]), Step::Create);
    }

    #[test]
    fn a_volume_that_cannot_be_removed_is_not_followed_by_another() {
        let stuck = volume(Status::ErrorDeleting).made_by("ours");
        assert_eq!(
            refusal(&decided(&ours(Posted::No), std::slice::from_ref(&stuck))),
            Some(Condition::Unsettled)
        );
        let own = volume(Status::Available).with_id(2).made_by("another");
        let seen = [stuck, own];
        assert_eq!(decided(&ours(Posted::As(id(2))), &seen), Step::Discard(id(2)));
    }

    #[test]
    fn one_volume_is_waited_for_marked_and_answered() {
        let own = ours(Posted::As(id(1)));
        let made = |status| volume(status).made_by("ours");
        assert_eq!(decided(&own, &[made(Status::Creating)]), Step::Wait);
        assert_eq!(decided(&own, &[made(Status::Available)]), Step::Settle(made(Status::Available)));
        let settled = made(Status::InUse).settled();
        assert_eq!(decided(&ours(Posted::No), std::slice::from_ref(&settled)), Step::Answer(settled));
        // The existing driver's volumes have no attempt.
        let theirs = volume(Status::Available);
        assert_eq!(decided(&ours(Posted::No), std::slice::from_ref(&theirs)), Step::Settle(theirs));
    }

    #[test]
    fn a_volume_that_could_not_be_made_is_removed_only_where_nobody_was_promised_it() {
        let broken = |volume: Volume| decided(&ours(Posted::No), &[volume]);
        assert_eq!(broken(volume(Status::Error).made_by("ours")), Step::Remove(id(1), None));
        assert_eq!(broken(volume(Status::Error).made_by("another")), Step::Remove(id(1), None));
        assert_eq!(
            refusal(&broken(volume(Status::Error).made_by("another").settled())),
            Some(Condition::Precondition)
        );
        assert_eq!(refusal(&broken(volume(Status::Error))), Some(Condition::Precondition));
    }

    #[test]
    fn of_two_the_settled_one_wins_then_the_older() {
        let older = volume(Status::Available).made_by("ours").created("2026-01-01T00:00:00Z");
        let newer = volume(Status::Available).with_id(2).made_by("theirs").created("2026-01-01T00:00:01Z");
        // We lose: ours goes.
        let settled = newer.clone().settled();
        assert_eq!(decided(&ours(Posted::As(id(1))), &[older.clone(), settled]), Step::Discard(id(1)));
        // We win: theirs is theirs to remove.
        assert_eq!(decided(&ours(Posted::As(id(1))), &[older.clone(), newer.clone()]), Step::Wait);
        // Both are of the same second: the ids decide, for both alike.
        let twin = newer.created("2026-01-01T00:00:00Z");
        let theirs = Attempt { id: "theirs".to_owned(), ..ours(Posted::As(id(2))) };
        assert_eq!(decided(&theirs, &[twin, older]), Step::Discard(id(2)));
    }

    #[test]
    fn anothers_attempt_is_removed_only_after_ten_minutes() {
        let winner = volume(Status::Available).settled();
        let loser = volume(Status::Available).with_id(2).made_by("dead");
        let seen = [winner, loser];
        assert_eq!(decided(&ours(Posted::No), &seen), Step::Wait);
        let later = soon() + Duration::from_secs(600);
        assert_eq!(plan(&wanted(), &ours(Posted::No), &seen, later), Step::Discard(id(2)));
        let attached = [seen[0].clone(), seen[1].clone().on(&[1])];
        assert_eq!(plan(&wanted(), &ours(Posted::No), &attached, later), Step::Wait);
    }

    #[test]
    fn duplicates_that_carry_no_attempt_are_named_and_kept() {
        let seen = [volume(Status::Available), volume(Status::Available).with_id(2)];
        let step = decided(&ours(Posted::No), &seen);
        assert_eq!(refusal(&step), Some(Condition::AlreadyExists));
        let Step::Refuse(error) = step else { unreachable!() };
        assert!(seen.iter().all(|volume| error.message.contains(&volume.id.to_string())), "{error}");
    }

    #[test]
    fn our_own_volume_is_gone_before_anything_is_refused() {
        let made = volume(Status::Available).made_by("ours");
        let own = ours(Posted::As(id(1)));
        for other in [
            volume(Status::Available).with_id(2),
            Volume { size: 9, ..volume(Status::Available).with_id(2).settled() },
        ] {
            for (own_created, theirs) in [
                ("2026-01-01T00:00:00Z", "2026-01-01T00:00:09Z"),
                ("2026-01-01T00:00:09Z", "2026-01-01T00:00:00Z"),
            ] {
                let limited = Wanted { size_limit: Some(1), ..wanted() };
                let seen = [made.clone().created(own_created), other.clone().created(theirs)];
                assert_eq!(plan(&limited, &own, &seen, soon()), Step::Discard(id(1)), "{seen:?}");
            }
        }
    }

    #[test]
    fn ours_goes_before_an_error_that_is_final() {
        let own = ours(Posted::As(id(1)));
        let made = |status| volume(status).made_by("ours");
        let theirs = volume(Status::Available).with_id(2).created("2026-01-01T00:00:30Z");
        assert_eq!(decided(&own, &[made(Status::Creating), theirs.clone()]), Step::Wait);
        assert_eq!(decided(&own, &[made(Status::Available), theirs.clone()]), Step::Discard(id(1)));
        let older = theirs.created("2025-12-31T00:00:00Z");
        let third = older.clone().with_id(3).created("2025-12-31T00:00:01Z");
        assert_eq!(decided(&own, &[older.clone(), third.clone(), made(Status::Creating)]), Step::Wait);
        assert_eq!(decided(&own, &[older, third, made(Status::Available)]), Step::Discard(id(1)));
    }

    #[test]
    fn a_broken_volume_beside_another_ends_nothing() {
        let broken = volume(Status::Error).made_by("ours");
        let other = volume(Status::Creating).with_id(2).made_by("cut off");
        assert_eq!(decided(&ours(Posted::As(id(1))), &[broken, other]), Step::Discard(id(1)));
    }

    #[test]
    fn another_volume_of_the_name_is_refused_naming_the_difference() {
        let zoned = Wanted { zone: ZoneChoice::OneOf(vec!["az2".to_owned()]), ..wanted() };
        let typed = Wanted { volume_type: Some("slow".to_owned()), ..wanted() };
        let large = Wanted { size: 2, ..wanted() };
        let small = Wanted { size_limit: Some(1), ..wanted() };
        let settled = || volume(Status::Available).settled();
        let table = [
            (large, settled(), "1 GiB"),
            (small, Volume { size: 5, ..settled() }, "5 GiB"),
            (typed, settled(), "type is fast"),
            (zoned, settled(), "zone is az1"),
            (wanted(), Volume { snapshot_id: Some("s".to_owned()), ..settled() }, "snapshot s"),
            (wanted(), Volume { source_volid: Some("v".to_owned()), ..settled() }, "clone of volume v"),
            (copy(Origin::Snapshot(uuid(1).into())), settled(), "isn't a copy"),
            (copy(Origin::Volume(uuid(1).into())), cloned(2), "clone of volume"),
            (copy(Origin::Snapshot(uuid(1).into())), cloned(1), "clone of volume"),
            (wanted(), Volume { metadata: BTreeMap::new(), ..settled() }, metadata::CLUSTER),
        ];
        for (wanted, volume, named) in table {
            let step = plan(&wanted, &ours(Posted::No), &[volume], soon());
            assert_eq!(refusal(&step), Some(Condition::AlreadyExists), "{step:?}");
            let Step::Refuse(error) = step else { unreachable!() };
            assert!(error.message.contains(named), "{error}");
        }
    }

    #[test]
    fn a_volume_of_ours_that_cinder_made_otherwise_is_removed() {
        let shared = Wanted { multiattach: true, ..wanted() };
        let made = |status| volume(status).made_by("ours");
        let own = ours(Posted::As(id(1)));
        assert_eq!(plan(&shared, &own, &[made(Status::Creating)], soon()), Step::Wait);
        let step = plan(&shared, &own, &[made(Status::Available)], soon());
        assert!(
            matches!(&step, Step::Remove(_, Some(error)) if error.condition == Condition::Invalid),
            "{step:?}"
        );
        // Left by an attempt that was cut off: not final, or nobody would come back to remove it.
        let step = plan(&shared, &ours(Posted::No), &[made(Status::Available).made_by("cut off")], soon());
        assert_eq!(refusal(&step), Some(Condition::Unsettled));
    }
}
