use super::*;
use crate::volume::sample::id;

const OURS: GroupState = GroupState::Available;

pub fn group_id(n: u128) -> GroupId {
    uuid::Uuid::from_u128(n).into()
}

pub fn cut_id(n: u128) -> GroupSnapshotId {
    uuid::Uuid::from_u128(n).into()
}

pub fn group(n: u128, status: GroupState, volumes: &[u128]) -> Group {
    Group {
        id: group_id(n),
        name: "groupsnapshot-1".to_owned(),
        description: MARK.to_owned(),
        status,
        created_at: Some("2026-01-01T00:00:00Z".parse().unwrap()),
        volumes: volumes.iter().map(|n| id(*n)).collect(),
    }
}

pub fn signed(group: Group, cut: u128) -> Group {
    Group { description: signature(cut_id(cut)), ..group }
}

pub fn cut(n: u128, group: u128, status: GroupState) -> GroupSnapshot {
    GroupSnapshot {
        id: cut_id(n),
        group_id: group_id(group),
        name: "groupsnapshot-1".to_owned(),
        description: MARK.to_owned(),
        status,
        created_at: Some("2026-01-01T00:00:05Z".parse().unwrap()),
    }
}

fn at(second: u64) -> SystemTime {
    let created: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    SystemTime::try_from(created).unwrap() + Duration::from_secs(second)
}

fn decided(sent: &Sent, groups: &[Group], cuts: &[GroupSnapshot]) -> Step {
    let seen = Sight { groups: groups.to_vec(), cuts: cuts.to_vec() };
    plan(&BTreeSet::from([id(1), id(2)]), sent, &seen, at(10))
}

fn refusal(step: &Step) -> Option<Condition> {
    match step {
        Step::Refuse(error) => Some(error.condition),
        _ => None,
    }
}

#[test]
fn a_group_is_made_filled_cut_emptied_signed_and_answered() {
    let nothing = Sent::default();
    let made = Sent { group: Posted::As(group_id(1)), ..Sent::default() };
    let done = cut(9, 1, OURS);
    let table = [
        (nothing.clone(), vec![], vec![], Step::MakeGroup),
        (made.clone(), vec![], vec![], Step::Wait),
        (Sent { group: Posted::Unclear, ..Sent::default() }, vec![], vec![], Step::Wait),
        (made.clone(), vec![group(1, GroupState::Creating, &[])], vec![], Step::Wait),
        (made.clone(), vec![group(1, OURS, &[])], vec![], Step::Fill(group_id(1), vec![id(1), id(2)])),
        (made.clone(), vec![group(1, GroupState::Updating, &[])], vec![], Step::Wait),
        (made.clone(), vec![group(1, OURS, &[1])], vec![], Step::Fill(group_id(1), vec![id(2)])),
        (made.clone(), vec![group(1, OURS, &[1, 2])], vec![], Step::Cut(group_id(1))),
        (made, vec![group(1, OURS, &[1, 2])], vec![cut(9, 1, GroupState::Creating)], Step::Wait),
        (
            nothing.clone(),
            vec![group(1, OURS, &[1, 2])],
            vec![done.clone()],
            Step::Empty(group(1, OURS, &[1, 2])),
        ),
        (
            nothing.clone(),
            vec![group(1, OURS, &[])],
            vec![done.clone()],
            Step::Sign(group_id(1), done.clone()),
        ),
        (nothing, vec![signed(group(1, OURS, &[]), 9)], vec![done.clone()], Step::Answer(done)),
    ];
    for (sent, groups, cuts, step) in table {
        assert_eq!(decided(&sent, &groups, &cuts), step, "{groups:?} {cuts:?} after {sent:?}");
    }
}

#[test]
fn a_cut_that_was_sent_is_never_sent_again() {
    let sent = Sent { cut: Posted::Unclear, ..Sent::default() };
    assert_eq!(decided(&sent, &[group(1, OURS, &[1, 2])], &[]), Step::Wait);
}

#[test]
fn a_group_of_ours_that_failed_is_emptied_and_removed() {
    let sent = Sent::default();
    let full = group(1, GroupState::Error, &[1]);
    assert_eq!(decided(&sent, std::slice::from_ref(&full), &[]), Step::Empty(full));
    assert_eq!(decided(&sent, &[group(1, GroupState::Error, &[])], &[]), Step::Discard(group_id(1)));
    let ours = Sent { group: Posted::As(group_id(1)), ..Sent::default() };
    assert_eq!(decided(&ours, &[group(1, GroupState::Error, &[1])], &[]), Step::GiveUp(group_id(1)));
}

#[test]
fn a_cut_that_failed_frees_its_volumes_and_is_undone_unless_somebody_was_promised_it() {
    let failed = cut(9, 1, GroupState::Error);
    let ours = Sent { cut: Posted::As(cut_id(9)), ..Sent::default() };
    assert_eq!(
        decided(&ours, &[group(1, OURS, &[1, 2])], std::slice::from_ref(&failed)),
        Step::Empty(group(1, OURS, &[1, 2]))
    );
    let empty = [signed(group(1, OURS, &[]), 9)];
    assert_eq!(decided(&ours, &empty, std::slice::from_ref(&failed)), Step::Undo(failed.clone()));
    let unsigned = [group(1, OURS, &[])];
    let found = decided(&Sent::default(), &unsigned, std::slice::from_ref(&failed));
    assert_eq!(found, Step::Undo(failed.clone()));
    assert_eq!(refusal(&decided(&Sent::default(), &empty, &[failed])), Some(Condition::Precondition));
}

#[test]
fn of_two_groups_the_older_is_used_and_the_other_goes() {
    let younger = Group { created_at: Some("2026-01-01T00:00:01Z".parse().unwrap()), ..group(2, OURS, &[1]) };
    let both = [group(1, OURS, &[]), younger.clone()];
    let ours = Sent { group: Posted::As(group_id(2)), ..Sent::default() };
    assert_eq!(decided(&ours, &both, &[]), Step::Empty(younger.clone()));
    // Another's is its owner's to remove, as long as that may live.
    assert_eq!(decided(&Sent::default(), &both, &[]), Step::Wait);
    let seen = Sight { groups: both.to_vec(), cuts: Vec::new() };
    let later = plan(&BTreeSet::from([id(1), id(2)]), &Sent::default(), &seen, at(700));
    assert_eq!(later, Step::Empty(younger.clone()));
}

#[test]
fn a_group_for_other_volumes_or_of_another_owner_is_not_taken() {
    let step = decided(&Sent::default(), &[group(1, OURS, &[3, 4])], &[]);
    assert_eq!(refusal(&step), Some(Condition::AlreadyExists));
    let Step::Refuse(error) = step else { panic!("{step:?}") };
    assert!(error.message.contains(&format!("({}, {})", id(3), id(4))), "{error}");
    let foreign = Group { description: "the shop's".to_owned(), ..group(1, OURS, &[1, 2]) };
    assert_eq!(decided(&Sent::default(), &[foreign], &[]), Step::MakeGroup);
    let theirs = GroupSnapshot { description: String::new(), ..cut(9, 1, OURS) };
    let step = decided(&Sent::default(), &[], &[cut(8, 1, OURS), theirs]);
    assert_eq!(refusal(&step), Some(Condition::AlreadyExists));
}

#[test]
fn of_two_cuts_the_one_that_was_signed_for_is_answered_and_the_other_goes() {
    let both = [cut(8, 1, OURS), cut(9, 1, OURS)];
    let empty = [signed(group(1, OURS, &[]), 9)];
    let loser = Sent { cut: Posted::As(cut_id(8)), ..Sent::default() };
    assert_eq!(decided(&loser, &empty, &both), Step::Drop(cut_id(8)));
    let winner = Sent { cut: Posted::As(cut_id(9)), ..Sent::default() };
    assert_eq!(decided(&winner, &empty, &both), Step::Wait);
    assert_eq!(decided(&loser, &empty, &both[1..]), Step::Answer(cut(9, 1, OURS)));
}

#[test]
fn a_group_is_signed_for_its_cut_in_whatever_words() {
    let plain = group(1, OURS, &[]);
    let again = |group: &Group| Group { description: reworded(&group.description), ..group.clone() };
    let signed = signed(plain.clone(), 9);
    for group in [&signed, &again(&signed), &again(&again(&signed))] {
        assert!(is_signed(group, cut_id(9)) && !is_signed(group, cut_id(8)), "{group:?}");
    }
    assert!(!is_signed(&again(&plain), cut_id(9)) && again(&plain).description.starts_with(MARK));
    assert_ne!(again(&signed).description, signed.description);
    assert_ne!(again(&again(&signed)).description, again(&signed).description);
}
