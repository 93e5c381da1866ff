//! Which of the things of one name is the one. Pure.

use std::cmp::Reverse;
use std::time::{Duration, SystemTime};

use super::{Candidate, Order, Stage};
use crate::volume::metadata::ATTEMPT;
use crate::volume::{Condition, Error};

/// An attempt that hasn't settled for so long has died: no RPC lives as long.
const DEAD_AFTER: Duration = Duration::from_secs(600);

/// This RPC's own attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt<I> {
    pub id: String,
    pub posted: Posted<I>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Posted<I> {
    No,
    As(I),
    /// The POST was sent and no clear answer came.
    Unclear,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Step<C: Candidate> {
    Create,
    Wait,
    /// Mark it, then answer with it.
    Settle(C),
    Answer(C),
    /// Remove one that lost, then look again.
    Discard(C::Id),
    /// Remove one of ours and say why; without a reason, Cinder knows it.
    Remove(C::Id, Option<Error>),
    /// It is promised, or somebody else's, and Cinder couldn't make it or keep it: say why.
    Broken(C::Id),
    Refuse(Error),
}

impl<I: Copy + Eq> Attempt<I> {
    fn made<C: Candidate<Id = I>>(&self, one: &C) -> bool {
        self.posted == Posted::As(one.id()) || one.metadata().get(ATTEMPT) == Some(&self.id)
    }

    /// The one that the next looks are at.
    pub fn followed<C: Candidate<Id = I>>(&self, seen: &[C]) -> Option<I> {
        let own = match &self.posted {
            Posted::As(id) => Some(*id),
            Posted::No | Posted::Unclear => None,
        };
        let known = own.filter(|id| seen.is_empty() || seen.iter().any(|one| one.id() == *id));
        known.or_else(|| seen.iter().find(|one| is_being_made(*one)).map(Candidate::id)).or(own)
    }
}

pub fn is_being_made<C: Candidate>(one: &C) -> bool {
    one.stage() == Stage::Making
}

pub fn plan<O: Order>(
    order: &O,
    attempt: &Attempt<<O::Made as Candidate>::Id>,
    seen: &[O::Made],
    now: SystemTime,
) -> Step<O::Made> {
    let mut there: Vec<&O::Made> = seen
        .iter()
        // MySQL compares names without case, and what is going away is no longer there.
        .filter(|one| one.name() == order.name() && !is_going(*one))
        .collect();
    there.sort_by_key(|one| (Reverse(one.is_settled()), one.created_at(), one.id()));
    let unmade = |one: &&&O::Made| one.stage() == Stage::Broken && one.is_unpromised();
    if let Some(broken) = there.iter().find(unmade) {
        // Beside another of the name the error would be final for that one, too.
        return if there.len() == 1 { Step::Remove(broken.id(), None) } else { Step::Discard(broken.id()) };
    }
    if let Some(stuck) = seen.iter().find(|one| one.name() == order.name() && is_stuck(*one)) {
        return without_own(attempt, &there, unremovable(stuck));
    }
    if let Some(step) = incompatible(order, attempt, &there, now) {
        return step;
    }
    match there.as_slice() {
        [] => absent(attempt),
        [only] => alone(order, attempt, *only),
        several => contested(attempt, several, now),
    }
}

fn is_going<C: Candidate>(one: &C) -> bool {
    matches!(one.stage(), Stage::Going | Stage::Stuck)
}

/// One that nobody was promised and that Cinder couldn't delete. Each further try could leave one more.
fn is_stuck<C: Candidate>(one: &C) -> bool {
    one.stage() == Stage::Stuck && one.is_unpromised()
}

fn unremovable<C: Candidate>(one: &C) -> Error {
    let why = format!(
        "{} {} of that name couldn't be made and can't be removed (status error_deleting): an administrator must delete it \
         ({}), then this goes on by itself",
        C::WHAT,
        one.id(),
        C::REMOVED_BY
    );
    Error::new(Condition::Unsettled, why)
}

fn absent<C: Candidate>(attempt: &Attempt<C::Id>) -> Step<C> {
    match attempt.posted {
        Posted::No => Step::Create,
        // Lists may show a new one late.
        Posted::As(_) | Posted::Unclear => Step::Wait,
    }
}

/// The one of this name, which is compatible or our own.
fn alone<O: Order>(order: &O, attempt: &Attempt<<O::Made as Candidate>::Id>, one: &O::Made) -> Step<O::Made> {
    if is_being_made(one) {
        return Step::Wait;
    }
    if let Some(difference) = order.difference(one).filter(|_| attempt.made(one)) {
        let why = format!("Cinder made another {} than asked for: {difference}", O::Made::WHAT);
        return Step::Remove(one.id(), Some(Error::new(Condition::Invalid, why)));
    }
    match one.stage() {
        Stage::Broken => Step::Broken(one.id()),
        _ if one.is_settled() => Step::Answer(one.clone()),
        _ => Step::Settle(one.clone()),
    }
}

/// More than one: the settled one wins, else the oldest. The winner is answered once the others are gone.
fn contested<C: Candidate>(attempt: &Attempt<C::Id>, there: &[&C], now: SystemTime) -> Step<C> {
    let losers = || there.iter().skip(1);
    let removable = |loser: &&&C| attempt.made(**loser) || is_dead(**loser, now);
    if let Some(loser) = losers().filter(removable).find(|loser| loser.is_free()) {
        return Step::Discard(loser.id());
    }
    // One without an attempt, or a second settled one, is nobody's to remove.
    if losers().any(|loser| !loser.is_unpromised()) {
        return without_own(attempt, there, ambiguous(there));
    }
    Step::Wait
}

/// Refuses once this attempt's own one is out of the way.
fn without_own<C: Candidate>(attempt: &Attempt<C::Id>, there: &[&C], refusal: Error) -> Step<C> {
    match there.iter().find(|one| attempt.made(**one)) {
        Some(own) if !own.is_free() => Step::Wait,
        Some(own) => Step::Discard(own.id()),
        None => Step::Refuse(refusal),
    }
}

fn ambiguous<C: Candidate>(there: &[&C]) -> Error {
    let ids: Vec<_> = there.iter().map(|one| one.id().to_string()).collect();
    Error::new(
        Condition::AlreadyExists,
        format!(
            "there are several {}s of that name and which one is in use can't be told: {}; delete or rename the others",
            C::WHAT,
            ids.join(", ")
        ),
    )
}

fn is_dead<C: Candidate>(one: &C, now: SystemTime) -> bool {
    let created = one.created_at().and_then(|created| SystemTime::try_from(created).ok());
    let age = created.and_then(|created| now.duration_since(created).ok());
    one.is_unpromised() && age.is_some_and(|age| age > DEAD_AFTER)
}

/// What to do about one of the name that isn't as wanted and isn't this attempt's.
fn incompatible<O: Order>(
    order: &O,
    attempt: &Attempt<<O::Made as Candidate>::Id>,
    there: &[&O::Made],
    now: SystemTime,
) -> Option<Step<O::Made>> {
    let others = there.iter().filter(|one| !attempt.made(**one));
    let (other, difference) = others.filter_map(|one| Some((one, order.difference(one)?))).next()?;
    if is_dead(*other, now) {
        return Some(Step::Discard(other.id()));
    }
    // One that nobody was promised may be another attempt's that is about to remove it: not final.
    let condition = if other.is_unpromised() { Condition::Unsettled } else { Condition::AlreadyExists };
    let what = O::Made::WHAT;
    let refusal = Error::new(condition, format!("{what} {} has that name, but {difference}", other.id()));
    Some(without_own(attempt, there, refusal))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::openstack::{Hints, Origin, Status, Volume, VolumeId};
    use crate::volume::sample::{id, volume};
    use crate::volume::{Wanted, ZoneChoice, metadata};

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

    /// As Cinder marks it, and with it the existing driver.
    fn restored(backup: u128) -> Volume {
        let mut volume = volume(Status::Available).settled();
        volume.metadata.insert("src_backup_id".to_owned(), uuid(backup).to_string());
        volume
    }

    fn ours(posted: Posted<VolumeId>) -> Attempt<VolumeId> {
        Attempt { id: "ours".to_owned(), posted }
    }

    /// Shortly after the volumes of `sample` were created.
    fn soon() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_660)
    }

    fn decided(attempt: &Attempt<VolumeId>, seen: &[Volume]) -> Step<Volume> {
        plan(&wanted(), attempt, seen, soon())
    }

    fn refusal(step: &Step<Volume>) -> Option<Condition> {
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
        assert_eq!(broken(volume(Status::Error).made_by("another").settled()), Step::Broken(id(1)));
        assert_eq!(broken(volume(Status::Error)), Step::Broken(id(1)));
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
        let theirs = Attempt { id: "theirs".to_owned(), posted: Posted::As(id(2)) };
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
            (wanted(), restored(1), "made from backup"),
            (copy(Origin::Backup(uuid(2).into())), restored(1), "made from backup"),
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
    fn a_copy_of_the_wanted_source_is_the_one_whatever_kind_of_snapshot_it_is() {
        let from_snapshot =
            Volume { snapshot_id: Some(uuid(1).to_string()), ..volume(Status::Available).settled() };
        for (origin, volume) in [
            (Origin::Snapshot(uuid(1).into()), from_snapshot),
            (Origin::Snapshot(uuid(1).into()), restored(1)),
            (Origin::Backup(uuid(1).into()), restored(1)),
            (Origin::Volume(uuid(1).into()), cloned(1)),
        ] {
            let step = plan(&copy(origin), &ours(Posted::No), std::slice::from_ref(&volume), soon());
            assert_eq!(step, Step::Answer(volume), "{origin}");
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
