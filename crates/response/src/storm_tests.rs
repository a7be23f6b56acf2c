//! Too much at once: one notification for many, and nothing grave lost in it.

use wf_model::{Match, Severity};

use crate::test_support::{Console, at, hit, plan};

#[test]
fn in_a_storm_one_notification_stands_for_all_and_every_incident_is_still_there() {
    let mut c = Console::new(plan());
    let hits: Vec<Match> =
        (0..500).map(|n| hit(Severity::P2, &format!("10.0.{}.{}", n / 250, n % 250), at(0))).collect();
    for chunk in hits.chunks(20) {
        let changes = c.registry.fold(at(0), chunk);
        c.take(changes);
    }
    assert_eq!(c.incidents.values().filter(|i| i.rule == "r").count(), 500);
    let storm = c.incidents.values().find(|i| i.kind == "INCIDENT_STORM").unwrap();
    assert_eq!(storm.count, 440);
    let told: std::collections::BTreeSet<u64> = c.owed.iter().map(|n| n.page.number).collect();
    assert_eq!(told.len(), 61, "the first sixty and the storm");
    assert!(c.registry.calm(at(4)).is_none());
    let over = c.registry.calm(at(6)).unwrap();
    c.take(over);
    assert!(c.log.iter().any(|(_, _, t)| t.contains("The storm is over: 440 incidents")), "{:?}", c.log.last());
    assert!(c.registry.calm(at(7)).is_none(), "said once");
}

#[test]
fn a_flood_of_small_things_never_hides_a_p1_and_what_a_storm_hid_is_told_when_it_is_over() {
    let mut c = Console::new(plan());
    let flood: Vec<Match> = (0..200).map(|n| hit(Severity::P3, &format!("10.0.0.{n}"), at(0))).collect();
    let changes = c.registry.fold(at(0), &flood);
    c.take(changes);
    let changes = c.registry.fold(at(0), &[hit(Severity::P1, "203.0.113.9", at(0))]);
    assert!(
        changes.notifications.iter().any(|n| n.severity == Severity::P1 && n.to.channel == "phone"),
        "the P1 is told at once"
    );
    c.take(changes);
    // A storm of P1 is told as one; when it is over, those still open stand for themselves.
    let mut c = Console::new(plan());
    let storm: Vec<Match> = (0..70).map(|n| hit(Severity::P1, &format!("10.0.0.{n}"), at(0))).collect();
    let changes = c.registry.fold(at(0), &storm);
    c.take(changes);
    let hidden: Vec<u64> =
        c.incidents.values().filter(|i| i.handling.in_storm && i.rule == "r").map(|i| i.number).collect();
    assert_eq!(hidden.len(), 10);
    let over = c.registry.calm(at(6)).unwrap();
    c.take(over);
    for number in hidden {
        assert!(
            !c.incidents[&number].handling.in_storm
                && c.owed.iter().any(|n| n.page.number == number && n.created_at == at(6))
        );
    }
}
