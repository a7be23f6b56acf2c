//! What a correlation makes of stamps, clocks, floods, absences, sums and panics.

use super::*;

const NOW: i64 = 1_800_000_000_000;

/// An event that arrives now, with a stamp of its own.
fn stamped(seq: u64, at: i64, ip: &str) -> Event {
    Event { received_at: Timestamp::from_millis(NOW), ..failure(seq, at, ip) }
}

fn on(detector: &mut Detector, now: i64, events: &[Event]) -> Vec<Match> {
    detector.on_batch(Timestamp::from_millis(now), events)
}

fn brute(detector: &Detector) -> CorrelationHealth {
    let health = detector.health();
    health.into_iter().find(|h| h.title == "Brute force attack").unwrap().correlation.unwrap()
}

/// A correlation of one rule that every event with `x` satisfies, an hour long, without groups.
fn over_x(kind: &str, condition: &str) -> Detector {
    let (rules, problems) = load(&format!(
        "title: B\nname: b\nlogsource: {{product: watchfloor}}\ndetection:\n  a: {{x|exists: true}}\n  \
         condition: a\n---\ntitle: C\ncorrelation:\n  type: {kind}\n  rules: [b]\n  timespan: 1h\n  \
         condition: {condition}\nlevel: high\n"
    ));
    assert_eq!(problems, []);
    Detector::new(rules, Limits::default())
}

fn x(seq: u64, at: i64, value: Value) -> Event {
    event(seq, at, &[("x", value)])
}

#[test]
fn t14_a_stamp_minutes_ahead_does_not_make_the_real_events_late() {
    for ahead in [119_000, 150_000, 180_000, 299_000] {
        let mut d = built_in();
        on(&mut d, NOW, &[stamped(1, NOW + ahead, "10.0.0.1")]);
        let attack: Vec<_> = (0..5).map(|i| stamped(2 + i, NOW + 1000 * i as i64, "203.0.113.9")).collect();
        assert_eq!(on(&mut d, NOW + 5000, &attack).len(), 1, "{ahead}");
        assert_eq!(brute(&d).late, 0, "{ahead}");
    }
}

#[test]
fn a_clock_that_is_set_back_makes_nothing_late() {
    let mut d = built_in();
    on(&mut d, NOW, &[stamped(1, NOW, "10.0.0.1")]);
    let back = NOW - 3_600_000;
    let attack: Vec<_> = (0..5)
        .map(|i| Event {
            received_at: Timestamp::from_millis(back + i as i64),
            ..failure(2 + i, back + i as i64, "203.0.113.9")
        })
        .collect();
    assert_eq!(on(&mut d, back + 10, &attack).len(), 1);
}

#[test]
fn a_host_an_hour_or_fifty_years_behind_the_others_of_its_feed_is_counted() {
    for behind in [3_600_000, NOW - 1000] {
        let mut d = built_in();
        let mut found = Vec::new();
        for i in 0..5 {
            let mut live = stamped(2 * i, NOW + i as i64 * 1000, "203.0.113.9");
            live.fields.set("host.name".into(), Value::str("live"));
            let mut slow = stamped(2 * i + 1, NOW - behind + i as i64 * 1000, "198.51.100.7");
            slow.fields.set("host.name".into(), Value::str("slow"));
            found.extend(on(&mut d, NOW + 5000, &[live, slow]));
            d.on_tick(Timestamp::from_millis(NOW + 5000));
        }
        assert_eq!(found.len(), 2, "{behind}");
    }
}

#[test]
fn a_flood_of_new_addresses_hides_no_attack() {
    let mut d = Detector::new(counted(1), Limits { groups: 1000, ..Limits::default() });
    let mut n = 0;
    let mut noise = |d: &mut Detector, many: u64| {
        let events: Vec<_> = (n..n + many).map(|i| failure(i, 1000 + i as i64, &format!("2001:db8::{i:x}"))).collect();
        n += many;
        assert_eq!(run(d, &events), []);
        1000 + n as i64
    };
    noise(&mut d, 10_000);
    let mut found = Vec::new();
    for i in 0..5 {
        let at = noise(&mut d, 200);
        found.extend(run(&mut d, &[failure(100_000 + i, at, "203.0.113.9")]));
    }
    assert_eq!(found.len(), 1);
    assert!(brute(&d).groups <= 1000);
}

#[test]
fn a_flood_of_half_made_attacks_leaves_room_for_another() {
    let mut d = Detector::new(counted(1), Limits { groups: 100, ..Limits::default() });
    for i in 0..2000 {
        run(&mut d, &[failure(i, 1000 + i as i64, &format!("10.0.{}.{}", i / 4 / 200, i / 4 % 200))]);
    }
    let mut found = Vec::new();
    for i in 0..5 {
        let at = 4000 + i as i64 * 100;
        found.extend(run(&mut d, &[failure(5000 + i, at, "203.0.113.9")]));
        for n in 0..20 {
            run(&mut d, &[failure(6000 + n, at + 1, &format!("198.51.{i}.{n}"))]);
        }
    }
    assert_eq!(found.len(), 1);
}

#[test]
fn a_feed_that_will_resume_finds_its_windows_as_it_left_them() {
    for (configured, found) in [(true, 1), (false, 0)] {
        let mut d = built_in();
        if configured {
            d.set_feeds([FeedName::new("test")]);
        }
        let four: Vec<_> = (0..4).map(|i| failure(i, NOW - 10_000 + i as i64, "10.0.0.1")).collect();
        on(&mut d, NOW, &four);
        for minute in 1..30 {
            let now = NOW + minute * 60_000;
            let mut other = failure(100 + minute as u64, now, "10.0.0.2");
            other.feed = FeedName::new("other");
            on(&mut d, now, &[other]);
            d.on_tick(Timestamp::from_millis(now));
        }
        let fifth =
            Event { received_at: Timestamp::from_millis(NOW + 1_800_000), ..failure(9, NOW + 5000, "10.0.0.1") };
        assert_eq!(on(&mut d, NOW + 1_800_000, &[fifth]).len(), found);
    }
}

#[test]
fn fractions_add_up_and_are_told_in_whole_numbers() {
    let mut d = over_x("value_sum", "{field: x, gt: 1}");
    assert_eq!(run(&mut d, &[x(1, 1000, Value::Float(1.1))]).len(), 1);
    let mut d = over_x("value_sum", "{field: x, gt: 2}");
    assert_eq!(run(&mut d, &[x(1, 1000, Value::Float(1.1))]), []);
    let found = run(&mut d, &[x(2, 2000, Value::str("0.98"))]);
    assert_eq!((found.len(), found[0].count, found[0].value), (1, 2, 2));
}

#[test]
fn a_thousand_times_nine_tenths_is_nine_hundred() {
    let mut d = over_x("value_sum", "{field: x, gte: 900}");
    let mut told = 0;
    for i in 0..1010 {
        for m in run(&mut d, &[x(i, 1000 + i as i64, Value::Float(0.9))]) {
            told += m.count;
        }
    }
    assert_eq!(told, 909);
}

#[test]
fn an_absurd_value_is_cut_and_counted_and_takes_nothing_with_it_when_it_leaves() {
    let mut d = over_x("value_sum", "{field: x, gte: 100}");
    let absurd = [x(1, 1000, Value::Float(1e30)), x(2, 1001, Value::Float(1e30)), x(3, 1002, Value::str("inf"))];
    let found = run(&mut d, &absurd);
    assert_eq!((found.len(), found[0].count), (1, 30_000_000_000_000));
    let later = [x(4, 4_000_000, Value::Int(60)), x(5, 8_000_000, Value::Int(60)), x(6, 8_000_001, Value::Int(40))];
    let found = run(&mut d, &later);
    assert_eq!((found.len(), found[0].count, found[0].contribution), (1, 100, Contribution::Fired));
    let health = d.health();
    assert_eq!(health.iter().find(|h| h.title == "C").unwrap().correlation.as_ref().unwrap().clamped, 3);
}

#[test]
fn one_event_above_the_threshold_fires_each_time_it_comes_back() {
    let mut d = over_x("value_sum", "{field: x, gt: 1000}");
    let events = [0, 10, 13].map(|hour| x(hour as u64, hour * 3_600_000 + 1000, Value::Int(5000)));
    let found = run(&mut d, &events);
    assert_eq!(found.iter().map(|m| (m.count, m.contribution)).collect::<Vec<_>>(), [(5000, Contribution::Fired); 3]);
}

#[test]
fn a_steady_drip_at_the_threshold_is_one_firing() {
    let mut d = built_in();
    let mut found = Vec::new();
    for i in 0..30 {
        found.extend(run(&mut d, &[failure(i, 1_000_000 + i as i64 * 60_000, "10.0.0.1")]));
    }
    assert_eq!(found.iter().filter(|m| m.contribution == Contribution::Fired).count(), 1);
    assert_eq!(found.iter().map(|m| m.count).sum::<u64>(), 30);
}

#[test]
fn events_half_an_hour_apart_are_matches_of_their_own_in_one_batch_as_in_many() {
    let events = || (0..8).map(|i| x(i, 1_000_000 + i as i64 * 1_800_000, Value::Int(600)));
    let mut together = over_x("value_sum", "{field: x, gt: 1000}");
    let mut apart = over_x("value_sum", "{field: x, gt: 1000}");
    let spans = |found: &[Match]| found.iter().map(|m| (m.first_at, m.at, m.count)).collect::<Vec<_>>();
    let one_batch = run(&mut together, &events().collect::<Vec<_>>());
    let many: Vec<Match> = events().flat_map(|e| run(&mut apart, &[e])).collect();
    assert_eq!(spans(&one_batch), spans(&many));
    assert!(one_batch.len() > 3, "{one_batch:?}");
}

#[test]
fn nothing_added_is_a_window_of_its_own() {
    let mut d = over_x("value_sum", "{field: x, gte: 1}");
    let events = [(0, 2), (3, 0), (6, 5)].map(|(hour, n)| x(hour as u64, hour * 3_600_000 + 1000, Value::Int(n)));
    let found = run(&mut d, &events);
    assert_eq!(found.iter().filter(|m| m.contribution == Contribution::Fired).count(), 2);
    let health = d.health();
    assert_eq!(health.iter().find(|h| h.title == "C").unwrap().correlation.as_ref().unwrap().incomplete, 0);
}

#[test]
fn values_that_begin_alike_for_long_are_different_all_the_same() {
    let mut d = over_x("value_count", "{field: x, gte: 7}");
    let long = |i: u64| x(i, 1000 + i as i64, Value::str(&format!("{}{i}", "é".repeat(300))));
    let found: Vec<_> = (0..7).flat_map(|i| run(&mut d, &[long(i)])).collect();
    assert_eq!((found.len(), found[0].value), (1, 7));
    let mut d = over_x("value_count", "{field: x, gte: 2}");
    assert_eq!(run(&mut d, &[long(1), long(1)]), []);
}

/// An engine whose second rule panics on some events.
struct Panicking(Box<dyn Stateless>);

impl Stateless for Panicking {
    fn evaluate(&mut self, event: &Event, hits: &mut Vec<usize>) {
        self.0.evaluate(event, hits);
        assert!(event.fields.get("boom").is_none(), "boom");
    }

    fn satisfies(&mut self, event: &Event, detection: usize) -> bool {
        assert!(detection != 1 || event.fields.get("boom").is_none(), "boom");
        self.0.satisfies(event, detection)
    }
}

#[test]
fn a_rule_that_panics_on_an_event_loses_neither_the_event_nor_what_is_remembered() {
    let mut d = authentication();
    d.engine = Box::new(Panicking(sigma::engine(&d.rules)));
    let events: Vec<_> = (0..5)
        .map(|i| {
            let mut e = failure(i, 1000 + i as i64, "203.0.113.9");
            if i % 2 == 1 {
                e.fields.set("boom".into(), Value::Bool(true));
            }
            e
        })
        .collect();
    assert_eq!(run(&mut d, &events).len(), 1, "the other rules saw every event");
    let panics: Vec<_> = d.health().into_iter().filter(|h| h.panics > 0).map(|h| (h.id, h.panics)).collect();
    assert_eq!(panics, [(d.rules.detections[1].about.id.clone(), 2)]);
}

#[test]
fn a_correlation_becomes_graver_above_a_measure_of_its_own_however_its_events_are_batched() {
    let rules = |rise: &str| {
        load(&format!(
            "title: B\nname: b\nlogsource: {{product: watchfloor}}\ndetection:\n  a: {{event.action: login_failed}}\n  \
             condition: a\n---\ntitle: C\ncorrelation:\n  type: event_count\n  rules: [b]\n  group-by: [source.ip]\n  \
             timespan: 1h\n  condition: {{gt: 5}}\nlevel: high\nwatchfloor: {{rise: {rise}}}\n"
        ))
    };
    let (set, problems) = rules("{above: 10, level: critical}");
    assert_eq!(problems, []);
    let events: Vec<_> = (1..=12).map(|n| failure(n, n as i64 * 1000, "10.0.0.1")).collect();
    for batch in [1, 4, 12] {
        let mut d = Detector::new(set.clone(), Limits::default());
        let (mut least, mut most) = (None, None);
        for some in events.chunks(batch) {
            for m in d.on_batch(some[0].received_at, some) {
                least = least.or(Some(m.severity));
                most = most.max(Some(m.severity));
            }
        }
        assert_eq!(most, Some(Severity::P1), "{batch}");
        assert!(batch == 12 || least == Some(Severity::P2), "{batch}");
    }
    let mut d = Detector::new(set, Limits::default());
    assert!(run(&mut d, &events[..10]).iter().all(|m| m.severity == Severity::P2));
    for (rise, why) in [("{above: 10, level: grave}", "no level 'grave'"), ("{above: 10}", "level")] {
        let problems = rules(rise).1;
        assert!(problems.len() == 1 && problems[0].reason.contains(why), "{problems:?}");
    }
}
