//! Two incidents become one and two again; matches are moved out.

use wf_model::{EntryKind, Severity, Verdict};

use crate::test_support::{Console, at, hit, plan, who};
use crate::{Refusal, merge};

#[test]
fn merging_and_taking_out_again_leaves_both_as_they_were_and_traces_on_both() {
    let mut c = Console::new(plan());
    let (a, b) = (c.open(0, Severity::P2), c.open(1, Severity::P1));
    let before = c.incidents[&a].clone();
    c.take(merge::merge(at(2), &who(), &c.incidents[&a].clone(), &c.incidents[&b].clone(), c.registry.plan()).unwrap());
    assert_eq!((c.incidents[&a].count, c.incidents[&a].severity), (2, Severity::P1));
    assert_eq!((c.incidents[&b].verdict, c.incidents[&b].handling.merged_into), (Some(Verdict::Duplicate), Some(a)));
    // What the part would have taken goes to the whole.
    let again = c.registry.fold(at(3), &[hit(Severity::P1, "1", at(3))]);
    assert_eq!((again.incidents.len(), again.incidents[0].number, again.incidents[0].count), (1, a, 3));
    let people = c.people().len();
    c.run(3, 14);
    assert_eq!(c.people().len(), people, "the part asks nobody");
    c.take(
        merge::unmerge(at(15), &who(), &c.incidents[&a].clone(), &c.incidents[&b].clone(), c.registry.plan()).unwrap(),
    );
    assert_eq!((c.incidents[&a].count, c.incidents[&a].severity), (before.count, before.severity));
    assert!(c.incidents[&b].is_live() && c.incidents[&b].count == 1);
    let own = c.registry.fold(at(16), &[hit(Severity::P1, "1", at(16))]);
    assert_eq!(own.incidents[0].number, b, "its matches are its own again");
    assert!(
        merge::merge(at(17), &who(), &c.incidents[&a].clone(), &c.incidents[&a].clone(), c.registry.plan()).is_err()
    );
    assert_eq!(c.log.iter().filter(|(_, k, _)| *k == EntryKind::Merged).count(), 2);
    assert_eq!(c.log.iter().filter(|(_, k, _)| *k == EntryKind::Split).count(), 2);
}

#[test]
fn chosen_matches_are_moved_out_and_new_ones_go_on_to_the_old_incident() {
    let mut c = Console::new(plan());
    let number = c.open(0, Severity::P2);
    let mut folded = Vec::new();
    for minute in 1..4 {
        let changes = c.registry.fold(at(minute), &[hit(Severity::P2, "0", at(minute))]);
        folded.extend(changes.folded.clone());
        c.take(changes);
    }
    let all = c.incidents[&number].clone();
    assert_eq!(
        merge::split(at(5), &who(), &all, 9, &[], c.registry.plan()).unwrap_err(),
        Refusal::SplitOfAll { number }
    );
    let changes = merge::split(at(5), &who(), &all, c.registry.next_number(), &folded[..2], c.registry.plan()).unwrap();
    assert_eq!(changes.folded.len(), 4);
    c.take(changes);
    let new = c.incidents.values().last().unwrap().clone();
    assert_eq!((c.incidents[&number].count, new.count, new.handling.split_from), (2, 2, Some(number)));
    assert_eq!(c.registry.fold(at(6), &[hit(Severity::P2, "0", at(6))]).incidents[0].number, number);
    // Merging is the undo.
    c.take(merge::merge(at(7), &who(), &c.incidents[&number].clone(), &new, c.registry.plan()).unwrap());
    assert_eq!(c.incidents[&number].count, 4);
}

#[test]
fn a_grave_part_gives_the_whole_its_ladder() {
    let mut c = Console::new(plan());
    let (a, b) = (c.open(0, Severity::P3), c.open(1, Severity::P1));
    c.take(merge::merge(at(2), &who(), &c.incidents[&a].clone(), &c.incidents[&b].clone(), c.registry.plan()).unwrap());
    c.run(2, 20);
    assert_eq!(c.people().last(), Some(&(17, "ben".to_owned())));
}
