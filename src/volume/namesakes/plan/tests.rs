use std::collections::BTreeMap;

use super::*;
use crate::openstack::{Origin, Status, Volume, VolumeId};
use crate::volume::sample::{id, volume, wanted};
use crate::volume::{Wanted, ZoneChoice, metadata};

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
    assert_eq!(decided(&ours(Posted::As(id(1))), &[older.clone(), settled.clone()]), Step::Discard(id(1)));
    // A third call waits for the older one to go.
    assert_eq!(
        decided(&Attempt { id: "late".to_owned(), posted: Posted::No }, &[older.clone(), settled]),
        Step::Wait
    );
    // We win: theirs is theirs to remove.
    assert_eq!(decided(&ours(Posted::As(id(1))), &[older.clone(), newer.clone()]), Step::Wait);
    // Both are of the same second: the ids decide, for both alike.
    let twin = newer.created("2026-01-01T00:00:00Z");
    let theirs = Attempt { id: "theirs".to_owned(), posted: Posted::As(id(2)) };
    assert_eq!(decided(&theirs, &[twin, older]), Step::Discard(id(2)));
}

#[test]
fn what_another_process_has_settled_since_is_never_removed() {
    let large = Wanted { size: 5, ..wanted() };
    let newer = volume(Status::Available).with_id(2).made_by("theirs").created("2026-01-01T00:00:01Z");
    for posted in [Posted::As(id(1)), Posted::Earlier(id(1))] {
        let made = volume(Status::Available).made_by("ours").settled();
        let step = plan(&large, &ours(posted.clone()), std::slice::from_ref(&made), soon());
        assert_eq!(refusal(&step), Some(Condition::AlreadyExists), "{posted:?}");
        let step = decided(&ours(posted.clone()), &[made, newer.clone().settled()]);
        assert_eq!(refusal(&step), Some(Condition::AlreadyExists), "{posted:?}");
    }
}

#[test]
fn what_an_earlier_call_made_for_another_wish_makes_room() {
    let made = volume(Status::Available).made_by("earlier");
    let attempt = ours(Posted::Earlier(id(1)));
    let large = Wanted { size: 5, ..wanted() };
    assert_eq!(plan(&large, &attempt, std::slice::from_ref(&made), soon()), Step::Discard(id(1)));
    assert_eq!(decided(&attempt, std::slice::from_ref(&made)), Step::Settle(made));
    assert_eq!(decided(&attempt, &[]), Step::Wait);
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
fn a_name_that_is_taken_is_final_only_once_no_attempt_has_left_one() {
    let limited = Wanted { size_limit: Some(1), ..wanted() };
    let step = |seen: &[Volume], now| plan(&limited, &ours(Posted::No), seen, now);
    let left = |status| volume(status).made_by("another").created("2026-01-01T00:00:00Z");
    let later = soon() + DEAD_AFTER;
    for size in [1, 5] {
        // As asked for, and another.
        let strangers =
            Volume { size, ..volume(Status::Available).with_id(2).created("2026-01-01T00:00:01Z") };
        let (stuck, made) =
            ([left(Status::Creating), strangers.clone()], [left(Status::Available), strangers.clone()]);
        for unfinished in [step(&stuck, soon()), step(&made, soon()), step(&stuck, later)] {
            assert_eq!(refusal(&unfinished), Some(Condition::Unsettled), "{size} GiB: {unfinished:?}");
        }
        assert_eq!(step(&made, later), Step::Discard(id(1)));
    }
    let strangers = |status| Volume { size: 5, ..volume(status) };
    assert_eq!(refusal(&step(&[strangers(Status::Available)], soon())), Some(Condition::AlreadyExists));
    // It may be one of ours that is being restored.
    assert_eq!(refusal(&step(&[strangers(Status::RestoringBackup)], soon())), Some(Condition::Unsettled));
}

#[test]
fn who_was_promised_one_gets_it_beside_one_of_others() {
    let limited = Wanted { size_limit: Some(1), ..wanted() };
    let promised = volume(Status::Available).made_by("dead").settled();
    let others = Volume { size: 5, ..volume(Status::Available).with_id(2) };
    let seen = [others.clone(), promised.clone()];
    assert_eq!(plan(&limited, &ours(Posted::No), &seen, soon()), Step::Answer(promised.clone()));
    let two = [others.settled(), promised];
    assert_eq!(refusal(&plan(&limited, &ours(Posted::No), &two, soon())), Some(Condition::AlreadyExists));
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

/// Cinder may have written the metadata of the backup's volume over it before it failed.
#[test]
fn a_restore_that_failed_under_the_marks_of_its_source_is_told_and_kept() {
    let mut failed = volume(Status::ErrorRestoring).made_by("another");
    failed.metadata.insert(metadata::SETTLED.to_owned(), uuid(9).to_string());
    let wanted = copy(Origin::Snapshot(uuid(1).into()));
    let decided = |attempt| plan(&wanted, &attempt, std::slice::from_ref(&failed), soon());
    assert_eq!(decided(ours(Posted::No)), Step::Broken(id(1)));
    assert_eq!(decided(ours(Posted::As(id(1)))), Step::Remove(id(1), None), "this attempt's own");
}
