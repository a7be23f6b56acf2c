//! What an officer's actions do to the ladder, on a simulated clock.

use std::time::Duration;

use wf_model::{EntryKind, Purpose, Severity, Verdict};

use crate::test_support::{Console, at, hit, plan, who};
use crate::{Refusal, lifecycle};

#[test]
fn an_acknowledgement_at_any_minute_stops_the_ladder_and_those_who_were_told_hear_of_it() {
    for minute in 0..130 {
        let mut c = Console::new(plan());
        let number = c.open(0, Severity::P1);
        c.run(0, minute);
        let before = c.asked();
        let told = c.incidents[&number].handling.told.clone();
        let changes = lifecycle::acknowledge(
            at(minute),
            &who(),
            &c.incidents[&number].clone(),
            None,
            Some(Duration::from_secs(1_000_000)),
            c.registry.plan(),
        )
        .unwrap();
        assert_eq!(changes.withdraw, [c.incidents[&number].id.clone()], "what waits is cancelled in the same commit");
        let follow: Vec<_> =
            changes.notifications.iter().filter(|n| n.purpose == Purpose::Acknowledged).map(|n| n.to.clone()).collect();
        assert_eq!(follow, told);
        c.take(changes);
        c.run(minute + 1, 300);
        assert_eq!(c.asked(), before, "minute {minute}: nobody is asked after an acknowledgement");
    }
}

#[test]
fn an_acknowledgement_that_nobody_stands_by_is_asked_about_then_withdrawn_and_the_ladder_goes_on_where_it_stood() {
    let mut c = Console::new(plan());
    let number = c.open(0, Severity::P1);
    c.take(
        lifecycle::acknowledge(at(5), &who(), &c.incidents[&number].clone(), None, None, c.registry.plan()).unwrap(),
    );
    c.run(5, 34);
    assert!(c.log.iter().all(|(_, k, _)| *k != EntryKind::Reminded));
    c.run(35, 39);
    let reminded: Vec<_> = c
        .owed
        .iter()
        .filter(|n| n.purpose == Purpose::Reminder)
        .map(|n| (n.created_at, n.to.person.as_deref()))
        .collect();
    assert!(reminded.iter().all(|r| *r == (at(35), Some("ann"))) && !reminded.is_empty(), "{reminded:?}");
    assert_eq!(c.people().len(), 1);
    c.run(40, 40);
    assert_eq!(
        c.people()[1],
        (40, "ben".to_owned()),
        "withdrawn after five minutes, and the next level is told at once"
    );
    assert_eq!(c.incidents[&number].acknowledged_by, None);
    // Whoever answers the reminder keeps it.
    let mut c = Console::new(plan());
    let number = c.open(0, Severity::P1);
    c.take(
        lifecycle::acknowledge(at(5), &who(), &c.incidents[&number].clone(), None, None, c.registry.plan()).unwrap(),
    );
    c.run(5, 36);
    c.take(
        lifecycle::acknowledge(at(37), &who(), &c.incidents[&number].clone(), None, None, c.registry.plan()).unwrap(),
    );
    c.run(38, 66);
    assert_eq!((c.people().len(), c.incidents[&number].acknowledged_by.as_deref()), (1, Some("Ann")));
}

#[test]
fn a_snooze_holds_the_ladder_and_ends_where_it_stood() {
    let mut c = Console::new(plan());
    let number = c.open(0, Severity::P1);
    c.take(lifecycle::snooze(at(5), &who(), &c.incidents[&number].clone(), at(100), None, chrono_tz::UTC).unwrap());
    c.run(5, 99);
    assert_eq!(c.people().len(), 1);
    c.run(100, 100);
    assert_eq!(c.people()[1], (100, "ben".to_owned()));
    for (until, expected) in
        [(at(99), Refusal::NotInFuture), (at(100) + Duration::from_secs(8 * 86_400), Refusal::TooLong)]
    {
        assert_eq!(
            lifecycle::snooze(at(100), &who(), &c.incidents[&number].clone(), until, None, chrono_tz::UTC).unwrap_err(),
            expected
        );
    }
}

#[test]
fn an_incident_that_everybody_ignored_and_somebody_acknowledged_and_forgot_is_told_again_from_the_beginning() {
    let mut c = Console::new(plan());
    let number = c.open(0, Severity::P1);
    c.run(0, 125);
    assert!(c.incidents[&number].handling.ladder.as_ref().unwrap().exhausted);
    c.take(
        lifecycle::acknowledge(at(126), &who(), &c.incidents[&number].clone(), None, None, c.registry.plan()).unwrap(),
    );
    c.run(126, 200);
    assert_eq!(
        c.people()[4],
        (161, "ann".to_owned()),
        "half an hour, a reminder, five minutes: then the first step again"
    );
}

#[test]
fn an_acknowledgement_by_a_clock_that_was_ahead_lasts_no_longer_than_it_was_meant_to() {
    let mut c = Console::new(plan());
    let number = c.open(600, Severity::P1);
    c.take(
        lifecycle::acknowledge(at(601), &who(), &c.incidents[&number].clone(), None, None, c.registry.plan()).unwrap(),
    );
    let meant = c.incidents[&number].handling.acknowledged_until.unwrap().since(at(601));
    // The clock was ten hours ahead, and is put right.
    let changes = crate::escalate::watch(at(2), c.registry.plan(), c.registry.live());
    c.take(changes);
    assert_eq!(c.incidents[&number].handling.acknowledged_until, Some(at(2) + meant));
    let again = crate::escalate::watch(at(3), c.registry.plan(), c.registry.live());
    assert!(again.incidents.is_empty(), "once: {again:?}");
}

#[test]
fn a_snooze_by_a_clock_that_was_a_year_ahead_does_not_last_a_year() {
    let mut c = Console::new(plan());
    let year = 366 * 24 * 60;
    let number = c.open(year, Severity::P1);
    let incident = c.incidents[&number].clone();
    let until = at(year + 11);
    c.take(lifecycle::snooze(at(year + 1), &who(), &incident, until, None, c.registry.plan().zone()).unwrap());
    let changes = crate::escalate::watch(at(2), c.registry.plan(), c.registry.live());
    c.take(changes);
    assert_eq!(c.incidents[&number].handling.snoozed_until, Some(at(2)));
}

#[test]
fn an_acknowledged_incident_that_becomes_graver_is_told_to_all_and_asked_about_sooner() {
    let mut c = Console::new(plan());
    let number = c.open(0, Severity::P3);
    c.take(
        lifecycle::acknowledge(at(1), &who(), &c.incidents[&number].clone(), None, None, c.registry.plan()).unwrap(),
    );
    assert_eq!(c.incidents[&number].handling.acknowledged_until, None);
    let changes = c.registry.fold(at(2), &[hit(Severity::P1, "0", at(2))]);
    assert!(
        changes.notifications.iter().any(|n| n.purpose == Purpose::Grew && n.page.remarks[0].contains("P1 Critical")),
        "{changes:?}"
    );
    c.take(changes);
    assert_eq!(c.incidents[&number].handling.acknowledged_until, Some(at(32)));
    c.run(2, 37);
    assert_eq!(c.people().last(), Some(&(37, "ann".to_owned())), "nobody stood by it as a P1");
}

#[test]
fn whoever_is_asked_again_after_a_reopening_is_not_told_besides_that_it_is_back() {
    let mut c = Console::new(plan());
    let number = c.open(0, Severity::P1);
    c.take(
        lifecycle::resolve(at(1), &who(), &c.incidents[&number].clone(), Verdict::Benign, None, c.registry.plan())
            .unwrap(),
    );
    let changes = lifecycle::reopen(at(2), &who(), &c.incidents[&number].clone(), None, c.registry.plan()).unwrap();
    assert_eq!(
        changes.supersede,
        [c.incidents[&number].id.clone()],
        "news of its end that was not sent yet is not news any more"
    );
    let mut places: Vec<_> =
        changes.notifications.iter().map(|n| (n.to.channel.clone(), n.to.address.clone())).collect();
    let all = places.len();
    places.sort();
    places.dedup();
    assert_eq!(places.len(), all, "one message a place");
}

#[test]
fn a_longer_acknowledgement_that_was_asked_for_stands_when_somebody_adds_a_note() {
    let mut c = Console::new(plan());
    let number = c.open(0, Severity::P1);
    c.take(
        lifecycle::acknowledge(
            at(1),
            &who(),
            &c.incidents[&number].clone(),
            None,
            Some(Duration::from_secs(8 * 3600)),
            c.registry.plan(),
        )
        .unwrap(),
    );
    c.take(lifecycle::note(at(2), &who(), &c.incidents[&number].clone(), "n", c.registry.plan()).unwrap());
    assert_eq!(c.incidents[&number].handling.acknowledged_until, Some(at(481)));
}
