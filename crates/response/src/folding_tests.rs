use proptest::prelude::*;
use wf_model::{Entity, FeedName, Message, Part};

use super::*;
use crate::plan::Escalation;

fn m(rule: &str, entity: Option<&str>, at: i64, count: u64) -> Match {
    Match {
        rule: rule.into(),
        title: rule.into(),
        kind: "K".into(),
        severity: Severity::P2,
        entity: entity.map(|v| Entity { field: "source.ip".into(), value: v.into() }),
        at: Timestamp::from_millis(at),
        first_at: Timestamp::from_millis(at),
        count,
        value: count,
        contribution: Contribution::Grew,
        message: Message(vec![Part::Count]),
        actions: vec![],
        events: vec![Seq(at as u64)],
        feeds: vec![FeedName::new("f")],
    }
}

fn registry() -> IncidentRegistry {
    IncidentRegistry::default()
}

fn step(registry: &mut IncidentRegistry, now: i64, matches: &[Match]) -> Changes {
    let c = registry.fold(Timestamp::from_millis(now), matches);
    registry.apply(&c);
    c
}

#[test]
fn one_rule_and_one_entity_is_one_incident() {
    let mut registry = registry();
    let c = step(
        &mut registry,
        10,
        &[m("a", Some("x"), 1, 5), m("a", Some("y"), 2, 1), m("b", Some("x"), 3, 1), m("a", Some("x"), 4, 2)],
    );
    assert_eq!(c.incidents.iter().map(|i| (i.number, i.count)).collect::<Vec<_>>(), [(1, 7), (2, 1), (3, 1)]);
    let c = step(&mut registry, 20, &[m("a", Some("x"), 5, 1)]);
    assert_eq!((c.incidents[0].number, c.incidents[0].count, c.incidents[0].version), (1, 8, 2));
    assert!(c.notices.is_empty());
}

#[test]
fn a_match_without_an_entity_never_joins_one_with() {
    let mut registry = registry();
    let c = step(&mut registry, 10, &[m("a", None, 1, 1), m("a", Some("x"), 1, 1), m("a", None, 2, 1)]);
    assert_eq!(c.incidents.iter().map(|i| i.count).collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn an_hour_of_quiet_opens_a_new_incident() {
    let mut registry = registry();
    step(&mut registry, 0, &[m("a", Some("x"), 0, 1)]);
    assert_eq!(step(&mut registry, 1, &[m("a", Some("x"), 3_600_000, 1)]).incidents[0].number, 1);
    assert_eq!(step(&mut registry, 2, &[m("a", Some("x"), 7_200_001, 1)]).incidents[0].number, 2);
}

#[test]
fn a_jump_over_several_thresholds_is_told_once() {
    let mut registry = registry();
    step(&mut registry, 0, &[m("a", Some("x"), 0, 9)]);
    let c = step(&mut registry, 1, &[m("a", Some("x"), 1, 200)]);
    assert_eq!(c.notices.len(), 1);
    assert_eq!(c.timeline.len(), 1);
    assert!(step(&mut registry, 2, &[m("a", Some("x"), 2, 700)]).notices.is_empty());
    assert_eq!(step(&mut registry, 3, &[m("a", Some("x"), 3, 100)]).notices.len(), 1);
}

#[test]
fn after_an_acknowledgement_only_ten_times_the_count_is_told() {
    let mut registry = registry();
    let c = step(&mut registry, 0, &[m("a", Some("x"), 0, 8)]);
    let acked = crate::lifecycle::acknowledge(
        Timestamp::from_millis(1),
        &Actor::Operator("o".into()),
        &c.incidents[0],
        None,
        None,
        &Plan::default(),
    )
    .unwrap();
    registry.apply(&acked);
    assert!(step(&mut registry, 2, &[m("a", Some("x"), 2, 71)]).notices.is_empty());
    assert_eq!(step(&mut registry, 3, &[m("a", Some("x"), 3, 1)]).notices.len(), 1);
    assert!(step(&mut registry, 4, &[m("a", Some("x"), 4, 500)]).notices.is_empty());
}

#[test]
fn after_resolution_a_new_match_is_a_recurrence_within_a_day_and_new_after_it() {
    let operator = Actor::Operator("o".into());
    for (later, expected) in [(86_400_000, Some(1)), (86_400_001, None)] {
        let mut registry = registry();
        let c = step(&mut registry, 0, &[m("a", Some("x"), 0, 1)]);
        registry.apply(
            &crate::lifecycle::resolve(
                Timestamp::EPOCH,
                &operator,
                &c.incidents[0],
                wf_model::Verdict::Benign,
                None,
                &Plan::default(),
            )
            .unwrap(),
        );
        let c = step(&mut registry, later, &[m("a", Some("x"), later, 1)]);
        assert_eq!((c.incidents[0].number, c.incidents[0].recurrence_of), (2, expected));
        assert_eq!(c.notices.len(), 1);
    }
}

#[test]
fn a_higher_severity_raises_the_incident_and_is_told() {
    let mut registry = registry();
    step(&mut registry, 0, &[m("a", Some("x"), 0, 1)]);
    let mut worse = m("a", Some("x"), 1, 1);
    worse.severity = Severity::P1;
    let c = step(&mut registry, 1, &[worse]);
    assert_eq!((c.incidents[0].severity, c.notices.len()), (Severity::P1, 1));
    let c = step(&mut registry, 2, &[m("a", Some("x"), 2, 1)]);
    assert_eq!(c.incidents[0].severity, Severity::P1, "severity only rises");
}

fn officer() -> Actor {
    Actor::Operator("o".into())
}

fn merge(registry: &mut IncidentRegistry, into: u64, part: u64) {
    let of = |n: u64| registry.live().find(|i| i.number == n).unwrap().clone();
    let c = crate::merge::merge(Timestamp::EPOCH, &officer(), &of(into), &of(part), &Plan::default()).unwrap();
    registry.apply(&c);
}

fn resolve(registry: &mut IncidentRegistry, number: u64, at: i64) {
    let incident = registry.live().find(|i| i.number == number).unwrap().clone();
    let c = crate::lifecycle::resolve(
        Timestamp::from_millis(at),
        &officer(),
        &incident,
        wf_model::Verdict::Benign,
        None,
        &Plan::default(),
    );
    registry.apply(&c.unwrap());
}

const HOUR: i64 = 3_600_000;

#[test]
fn each_match_names_the_incident_it_went_to_whatever_was_merged() {
    let mut registry = registry();
    step(&mut registry, 0, &[m("a", Some("x"), 0, 1), m("b", Some("y"), 0, 1)]);
    merge(&mut registry, 1, 2);
    let far = 10 * HOUR;
    let c = step(
        &mut registry,
        1,
        &[m("b", Some("y"), 1, 1), m("c", None, 2, 1), m("a", Some("x"), 3, 1), m("b", Some("y"), far, 1)],
    );
    assert_eq!(c.assigned, [1, 3, 1, 4], "of one fingerprint there may be two in one batch");
}

#[test]
fn what_was_merged_leads_to_the_whole_until_it_opens_anew() {
    let mut registry = registry();
    step(&mut registry, 0, &[m("a", Some("x"), 0, 1), m("b", Some("y"), 0, 1)]);
    merge(&mut registry, 1, 2);
    assert_eq!(step(&mut registry, 1, &[m("b", Some("y"), 10 * HOUR, 1)]).assigned, [3], "after ten hours of quiet");
    // The whole changes once more: that takes nothing away from the incident that opened since.
    assert_eq!(step(&mut registry, 2, &[m("a", Some("x"), 1, 1)]).assigned, [1]);
    assert_eq!(step(&mut registry, 3, &[m("b", Some("y"), 10 * HOUR + 1, 1)]).assigned, [3]);
}

#[test]
fn two_merged_fingerprints_keep_one_incident_going_in_one_batch_as_in_three() {
    let matches = [m("a", Some("x"), 50 * 60_000, 1), m("b", Some("y"), 100 * 60_000, 1)];
    for cut in [1, 2] {
        let mut registry = registry();
        step(&mut registry, 0, &[m("a", Some("x"), 0, 1), m("b", Some("y"), 0, 1)]);
        merge(&mut registry, 1, 2);
        for chunk in matches.chunks(cut) {
            assert!(step(&mut registry, 1, chunk).assigned.iter().all(|n| *n == 1), "{cut} in a batch");
        }
    }
}

#[test]
fn when_the_newest_is_resolved_an_older_live_one_takes_matches_as_after_a_restart() {
    let mut live = registry();
    step(&mut live, 0, &[m("a", Some("x"), 0, 1)]);
    step(&mut live, 1, &[m("a", Some("x"), 10 * HOUR, 1)]);
    resolve(&mut live, 2, 2);
    let stored: Vec<Incident> = live.live().cloned().collect();
    let restarted = IncidentRegistry::new(Default::default(), Default::default(), 2, stored, vec![]);
    for registry in [&live, &restarted] {
        assert_eq!(registry.fold(Timestamp::from_millis(3), &[m("a", Some("x"), HOUR, 1)]).assigned, [1]);
        assert_eq!(registry.fold(Timestamp::from_millis(3), &[m("a", Some("x"), 11 * HOUR, 1)]).assigned, [3]);
    }
}

#[test]
fn twenty_thousand_live_incidents_are_taken_up_again_and_each_takes_its_own_matches() {
    let open: Vec<Match> = (0..20_000).map(|n| m("a", Some(&n.to_string()), 0, 1)).collect();
    let mut registry = registry();
    registry.set_plan(std::sync::Arc::new(storm_above(u32::MAX)));
    let stored = step(&mut registry, 0, &open).incidents;
    let mut restarted = IncidentRegistry::new(Default::default(), registry.plan().clone(), 20_000, stored, vec![]);
    let grown = step(&mut restarted, 1, &open);
    assert_eq!(grown.assigned, (1..=20_000).collect::<Vec<u64>>());
    resolve(&mut restarted, 7, 2);
    assert_eq!(step(&mut restarted, 3, &open[5..8]).assigned, [6, 20_001, 8]);
}

#[test]
fn incidents_hours_apart_are_told_apart_in_one_batch_as_in_three() {
    let matches = [0, 10, 13].map(|h| m("a", Some("x"), h * HOUR, 5000));
    for cut in 1..=3 {
        let mut registry = registry();
        for chunk in matches.chunks(cut) {
            step(&mut registry, 0, chunk);
        }
        let mut counts: Vec<(u64, u64)> = registry.live().map(|i| (i.number, i.count)).collect();
        counts.sort_unstable();
        assert_eq!(counts, [(1, 5000), (2, 5000), (3, 5000)], "{cut} in a batch");
    }
}

#[test]
fn what_is_added_within_a_minute_is_one_piece_and_what_opened_the_incident_is_another() {
    let mut registry = registry();
    let mut pieces = std::collections::BTreeMap::new();
    // One match a second, for two minutes.
    for second in 0..120 {
        for f in step(&mut registry, second * 1000, &[m("a", Some("x"), second * 1000, 2)]).folded {
            pieces.insert(f.version, (f.at.millis(), f.count, f.first_seen.millis(), f.last_seen.millis()));
        }
    }
    let pieces: Vec<_> = pieces.into_values().collect();
    assert_eq!(pieces, [(0, 2, 0, 0), (1000, 118, 1000, 59_000), (60_000, 120, 60_000, 119_000)]);
}

#[test]
fn a_piece_that_an_officer_moved_out_takes_no_more_and_is_moved_as_it_stands() {
    let mut registry = registry();
    step(&mut registry, 0, &[m("a", Some("x"), 0, 10)]);
    let read = step(&mut registry, 1, &[m("a", Some("x"), 1, 1)]).folded;
    step(&mut registry, 2, &[m("a", Some("x"), 2, 3)]);
    let incident = registry.live().next().unwrap().clone();
    let chosen = registry.current_pieces(&read);
    let split = crate::merge::split(
        Timestamp::from_millis(3),
        &officer(),
        &incident,
        registry.next_number(),
        &chosen,
        &Plan::default(),
    );
    registry.apply(&split.unwrap());
    let mut counts: Vec<(u64, u64)> = registry.live().map(|i| (i.number, i.count)).collect();
    counts.sort_unstable();
    assert_eq!(counts, [(1, 10), (2, 4)], "the three that came in between went along");
    let next = step(&mut registry, 4, &[m("a", Some("x"), 4, 1)]).folded;
    assert_eq!((next[0].version > read[0].version, next[0].count), (true, 1), "a new piece");
}

#[test]
fn what_was_resolved_is_forgotten_when_nothing_can_be_a_recurrence_of_it_any_more() {
    let mut registry = registry();
    for hour in 0..5000 {
        let at = hour * HOUR;
        let number = step(&mut registry, at, &[m("a", Some(&hour.to_string()), at, 1)]).assigned[0];
        resolve(&mut registry, number, at);
    }
    assert!(registry.resolved.len() < 1100, "{} are kept of a day's 24", registry.resolved.len());
    let c = step(&mut registry, 5000 * HOUR, &[m("a", Some("4999"), 5000 * HOUR, 1)]);
    assert_eq!(c.incidents[0].recurrence_of, Some(5000));
}

#[test]
fn a_count_that_no_database_holds_ends_at_the_largest_one_and_never_wraps() {
    let most = i64::MAX as u64;
    let mut registry = registry();
    let c = step(&mut registry, 0, &[m("a", Some("x"), 0, u64::MAX)]);
    assert_eq!((c.incidents[0].count, c.folded[0].count), (most, most));
    for now in 1..3 {
        let c = step(&mut registry, now, &[m("a", Some("x"), now, u64::MAX), m("a", Some("x"), now, 7)]);
        assert_eq!((c.incidents[0].count, c.folded[0].count), (most, most));
    }
    step(&mut registry, 3, &[m("b", None, 3, u64::MAX)]);
    merge(&mut registry, 1, 2);
    assert_eq!(registry.live().next().unwrap().count, most);
}

#[test]
fn a_stamp_of_1970_counts_and_does_not_become_the_beginning_of_a_live_incident() {
    let began = 1_800_000_000_000;
    let mut registry = registry();
    step(&mut registry, began, &[m("a", Some("x"), began, 1)]);
    let c = step(&mut registry, began + 1, &[m("a", Some("x"), 0, 1)]);
    let i = &c.incidents[0];
    assert_eq!((c.assigned[0], i.count, i.first_seen.millis(), i.last_seen.millis()), (1, 2, began, began));
    assert_eq!((c.folded[0].first_seen.millis(), c.folded[0].last_seen.millis()), (began, began));
    // One that came late by half an hour is believed.
    let late = began - HOUR / 2;
    let c = step(&mut registry, began + 2, &[m("a", Some("x"), late, 1)]);
    assert_eq!((c.incidents[0].first_seen.millis(), c.incidents[0].last_seen.millis()), (late, began));
}

/// More new incidents in a minute than this are a storm.
fn storm_above(storm: u32) -> Plan {
    Plan { escalation: Escalation { storm, ..Escalation::default() }, ..Plan::default() }
}

/// Small things are silenced, and five new incidents in a minute are a storm.
fn touchy() -> IncidentRegistry {
    let silence = wf_model::Silence {
        id: "s".into(),
        matcher: wf_model::Matcher { severity: Some(Severity::P4), ..Default::default() },
        author: "o".into(),
        reason: "noise".into(),
        from: Timestamp::EPOCH,
        until: Timestamp::from_millis(i64::MAX),
        ended_by: None,
        closed: false,
    };
    let mut registry =
        IncidentRegistry::new(Default::default(), std::sync::Arc::new(storm_above(4)), 0, [], vec![silence]);
    step(&mut registry, 0, &[m("0", Some("1"), 0, 1), m("1", Some("2"), 0, 1)]);
    merge(&mut registry, 1, 2);
    registry
}

/// Everything but the version, which counts batches.
fn incidents(registry: &IncidentRegistry) -> Vec<Incident> {
    let mut all: Vec<Incident> = registry.live().map(|i| Incident { version: 0, ..i.clone() }).collect();
    all.sort_by_key(|i| i.number);
    all
}

proptest! {
    #[test]
    fn any_batching_of_the_same_matches_gives_the_same_incidents_and_counts(
        input in prop::collection::vec((0u8..3, 0u8..3, 1u64..40, 0i64..300, 0usize..4), 1..60),
        cuts in prop::collection::vec(1usize..10, 1..60),
    ) {
        let matches: Vec<Match> = input
            .iter()
            .map(|(rule, entity, count, minute, severity)| {
                let entity = (*entity > 0).then(|| entity.to_string());
                let m = m(&rule.to_string(), entity.as_deref(), minute * 60_000, *count);
                Match { severity: Severity::ALL[*severity], ..m }
            })
            .collect();
        let mut together = touchy();
        let all = step(&mut together, 0, &matches);
        let (mut apart, mut assigned, mut rest) = (touchy(), Vec::new(), matches.as_slice());
        let mut pieces = std::collections::HashMap::new();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, later) = rest.split_at((*cut).min(rest.len()));
            let c = apart.fold(Timestamp::EPOCH, chunk);
            prop_assert_eq!(&c, &apart.fold(Timestamp::EPOCH, chunk), "folding is pure");
            apart.apply(&c);
            apart.apply(&c); // twice is a no-op
            assigned.extend(c.assigned);
            pieces.extend(c.folded.into_iter().map(|f| ((f.incident, f.version), f.count)));
            rest = later;
        }
        prop_assert_eq!(incidents(&together), incidents(&apart));
        prop_assert_eq!(all.assigned, assigned);
        let counted = |r: &IncidentRegistry| {
            r.live().filter(|i| i.rule != STORM).map(|i| i.count).sum::<u64>()
        };
        let storms = apart.live().filter(|i| i.rule == STORM).map(|i| i.count).sum::<u64>();
        prop_assert_eq!(counted(&apart) + storms, 2 + pieces.values().sum::<u64>(), "pieces add up to their incidents");
        prop_assert_eq!(counted(&apart), 2 + input.iter().map(|(_, _, n, _, _)| n).sum::<u64>());
    }
}
