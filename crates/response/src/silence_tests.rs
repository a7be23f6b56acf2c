//! What a silence and a snooze hide, and what they do not.

use wf_model::{Actor, Matcher, Purpose, Severity, Verdict};

use crate::test_support::{Console, at, hit, plan, who};
use crate::{Refusal, lifecycle, silence};

#[test]
fn a_silence_mutes_new_notifications_never_a_resolve_and_its_end_tells_what_still_fires() {
    let mut c = Console::new(plan());
    let loud = c.open(0, Severity::P1);
    c.take(
        silence::add(
            at(1),
            &who(),
            "s1".into(),
            Matcher { kind: Some("K".into()), ..Matcher::default() },
            "maintenance",
            at(60),
        )
        .unwrap(),
    );
    let quiet = c.open(2, Severity::P1);
    assert_eq!(c.incidents[&quiet].handling.silenced_by.as_deref(), Some("s1"));
    assert!(c.owed.iter().all(|n| n.page.number != quiet));
    // Whoever was told before is told of the end.
    let resolved =
        lifecycle::resolve(at(3), &who(), &c.incidents[&loud].clone(), Verdict::Benign, None, c.registry.plan())
            .unwrap();
    assert!(resolved.notifications.iter().any(|n| n.purpose == Purpose::Resolved));
    c.take(resolved);
    assert_eq!(silence::due(at(59), &c.registry), Vec::<String>::new());
    assert_eq!(silence::due(at(60), &c.registry), ["s1"]);
    let ended = silence::end(at(60), &Actor::Engine, &c.registry, "s1").unwrap();
    c.take(ended);
    assert_eq!(c.people().last(), Some(&(60, "ann".to_owned())));
    assert!(c.owed.iter().any(|n| n.page.number == quiet && n.purpose == Purpose::Trigger));
    assert_eq!(silence::end(at(61), &who(), &c.registry, "s1").unwrap_err(), Refusal::NoSilence { id: "s1".into() });
    assert_eq!(
        silence::add(at(1), &who(), "s2".into(), Matcher::default(), "x", at(60)).unwrap_err(),
        Refusal::SilenceOfEverything
    );
}

#[test]
fn a_silence_for_small_things_and_a_snooze_do_not_hide_what_becomes_grave() {
    let mut c = Console::new(plan());
    c.take(
        silence::add(
            at(0),
            &who(),
            "s1".into(),
            Matcher { severity: Some(Severity::P3), ..Matcher::default() },
            "noise",
            at(600),
        )
        .unwrap(),
    );
    let quiet = c.open(1, Severity::P3);
    assert!(c.incidents[&quiet].handling.silenced_by.is_some() && c.owed.is_empty());
    let changes = c.registry.fold(at(2), &[hit(Severity::P1, "1", at(2))]);
    c.take(changes);
    assert_eq!(c.people(), [(2, "ann".to_owned())]);
    let mut c = Console::new(plan());
    let number = c.open(0, Severity::P3);
    c.take(lifecycle::snooze(at(1), &who(), &c.incidents[&number].clone(), at(50), None, chrono_tz::UTC).unwrap());
    let changes = c.registry.fold(at(2), &[hit(Severity::P1, "0", at(2))]);
    c.take(changes);
    c.run(2, 50);
    assert!(c.owed.iter().any(|n| n.created_at == at(50) && n.to.channel == "phone"), "it wakes to the ladder of a P1");
}
