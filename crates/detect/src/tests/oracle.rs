//! The correlator against an oracle that knows nothing of windows that move: for each event that arrives it sorts all
//! that came before, looks at every window anew, and says what a reader of the definition would.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const WINDOW: i64 = 60_000;
/// Stamps are believed up to this far ahead of time (the feed's work).
const AHEAD: i64 = 299_000;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Events,
    Distinct,
    Sum,
}

/// One arrival: when, how far its stamp is from then, whose, what it says.
/// What was in a window, its measure, and whether it was satisfied.
type Window = (Vec<(u64, Arrival)>, u64, bool);

#[derive(Clone, Copy, Debug)]
struct Arrival {
    now: i64,
    at: i64,
    group: u8,
    /// A value to count, or thousandths to add up.
    says: u32,
}

/// A firing or its growth: events, count, value, fired.
type Said = (BTreeSet<u64>, u64, u64, bool);

#[derive(Default)]
struct Oracle {
    arrived: Vec<(u64, Arrival)>,
    furthest: Option<i64>,
    /// Thousandths that were reported and not yet told, for each group.
    untold: BTreeMap<u8, u64>,
}

impl Oracle {
    fn measure(kind: Kind, inside: &[(u64, Arrival)]) -> u64 {
        match kind {
            Kind::Events => inside.len() as u64,
            Kind::Distinct => inside.iter().map(|(_, a)| a.says).collect::<BTreeSet<_>>().len() as u64,
            Kind::Sum => inside.iter().map(|(_, a)| u64::from(a.says)).sum(),
        }
    }

    /// For each moment at which an event of the group lies: its window, what it measures, and whether that is enough.
    fn windows(&self, kind: Kind, least: u64, group: u8) -> BTreeMap<i64, Window> {
        let of_group: Vec<_> = self.arrived.iter().copied().filter(|(_, a)| a.group == group).collect();
        of_group
            .iter()
            .map(|(_, end)| {
                let inside: Vec<_> =
                    of_group.iter().copied().filter(|(_, a)| a.at > end.at - WINDOW && a.at <= end.at).collect();
                let value = Self::measure(kind, &inside);
                (end.at, (inside, value, value >= least))
            })
            .collect()
    }

    /// `least` in thousandths for a sum.
    fn arrives(&mut self, kind: Kind, least: u64, lateness: i64, seq: u64, new: Arrival) -> Option<Said> {
        let furthest = self.furthest.unwrap_or(i64::MIN).max(new.at.min(new.now));
        self.furthest = Some(furthest);
        if new.at < furthest - lateness {
            return None;
        }
        let before = self.windows(kind, least, new.group);
        self.arrived.push((seq, new));
        let after = self.windows(kind, least, new.group);
        let mut reported: BTreeSet<u64> =
            before.values().filter(|w| w.2).flat_map(|w| w.0.iter().map(|(seq, _)| *seq)).collect();

        let (mut fresh, mut value, mut grew) = (BTreeSet::new(), 0, false);
        let (mut run_was_there, mut run_has_fresh, mut last) = (false, false, None);
        for (moment, (inside, measured, satisfied)) in &after {
            let goes_on = last.is_some_and(|(m, s): (i64, bool)| s && m > moment - WINDOW);
            if !(*satisfied && goes_on) {
                grew |= run_was_there && run_has_fresh;
                (run_was_there, run_has_fresh) = (false, false);
            }
            last = Some((*moment, *satisfied));
            if !satisfied {
                continue;
            }
            run_was_there |= before.get(moment).is_some_and(|w| w.2);
            for (seq, _) in inside {
                if reported.insert(*seq) {
                    fresh.insert(*seq);
                    run_has_fresh = true;
                }
            }
            if inside.iter().any(|(s, _)| *s == seq) {
                value = value.max(*measured);
            }
        }
        grew |= run_was_there && run_has_fresh;
        if fresh.is_empty() {
            return None;
        }
        let (count, value) = if kind == Kind::Sum {
            let untold = self.untold.entry(new.group).or_default();
            let says: u64 =
                self.arrived.iter().filter(|(s, _)| fresh.contains(s)).map(|(_, a)| u64::from(a.says)).sum();
            let sum = says + if grew { *untold } else { 0 };
            *untold = sum % 1000;
            (sum / 1000, value / 1000)
        } else {
            (fresh.len() as u64, value)
        };
        Some((fresh, count, value, !grew))
    }
}

fn correlation(kind: Kind, condition: &str) -> Detector {
    let kind = match kind {
        Kind::Events => "event_count",
        Kind::Distinct => "value_count",
        Kind::Sum => "value_sum",
    };
    let (rules, problems) = load(&format!(
        "title: B\nname: b\nlogsource: {{product: watchfloor}}\ndetection:\n  a: {{event.action: login_failed}}\n  \
         condition: a\n---\ntitle: C\ncorrelation:\n  type: {kind}\n  rules: [b]\n  group-by: [source.ip]\n  \
         timespan: 60s\n  condition: {condition}\nlevel: high\n"
    ));
    assert_eq!(problems, []);
    let mut detector = Detector::new(rules, Limits::default());
    // Events of an away feed may come much later by the clock: no time passes for it meanwhile.
    detector.set_feeds([FeedName::new("test")]);
    detector
}

fn arrived(kind: Kind, seq: u64, a: Arrival) -> Event {
    let mut event = failure(seq, a.at, &format!("10.0.0.{}", a.group));
    event.received_at = Timestamp::from_millis(a.now);
    let says = match kind {
        Kind::Events => Value::Int(1),
        Kind::Distinct => Value::Int(i64::from(a.says)),
        Kind::Sum => Value::Float(f64::from(a.says) / 1000.0),
    };
    event.fields.set("x".into(), says);
    event
}

/// Arrivals a second or so apart, at times minutes; stamps on time, shuffled, at the window's very edge, ahead of time,
/// or late; the same event twice.
fn arrivals() -> impl Strategy<Value = Vec<Arrival>> {
    let pause = prop_oneof![4 => 0i64..4_000, 2 => Just(0), 1 => Just(WINDOW), 1 => 30_000i64..700_000];
    let stamp = prop_oneof![
        6 => Just(0i64),
        4 => -40_000i64..0,
        2 => prop::sample::select(vec![-WINDOW, -WINDOW - 1, -WINDOW + 1, WINDOW]),
        1 => 1i64..AHEAD,
        1 => -400_000i64..-250_000,
    ];
    let says = prop_oneof![3 => 0u32..4, 3 => 0u32..3_000, 1 => Just(9_000)];
    prop::collection::vec((pause, stamp, 0u8..2, says, prop::bool::weighted(0.1)), 1..70).prop_map(|steps| {
        let (mut now, mut out) = (10_000_000, Vec::new());
        for (pause, stamp, group, says, twice) in steps {
            now += pause;
            // Whole seconds in part, so that several events share a moment.
            let at = if says % 2 == 0 { (now + stamp) / 1000 * 1000 } else { now + stamp };
            out.extend(std::iter::repeat_n(Arrival { now, at, group, says }, 1 + usize::from(twice)));
        }
        out
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_order_events_come_in_each_firing_is_the_oracles(
        arrivals in arrivals(),
        kind in prop::sample::select(vec![Kind::Events, Kind::Distinct, Kind::Sum]),
        n in 1u64..6,
        more in any::<bool>(),
        tick in 1usize..9,
    ) {
        let field = if kind == Kind::Events { "" } else { "field: x, " };
        let mut detector = correlation(kind, &format!("{{{field}{}: {n}}}", if more { "gt" } else { "gte" }));
        let unit = if kind == Kind::Sum { 1000 } else { 1 };
        let mut oracle = Oracle::default();
        let mut batched = Vec::new();
        let mut total = 0;
        for (i, a) in arrivals.iter().enumerate() {
            let seq = i as u64 + 1;
            let lateness = Limits::default().lateness.as_millis() as i64;
            let expected = oracle.arrives(kind, n * unit + u64::from(more), lateness, seq, *a);
            let event = arrived(kind, seq, *a);
            let got = detector.on_batch(Timestamp::from_millis(a.now), std::slice::from_ref(&event));
            if i % tick == 0 {
                detector.on_tick(Timestamp::from_millis(a.now));
            }
            batched.push(event);
            prop_assert!(got.len() <= 1);
            let got = got.first().map(|m| (m.count, m.value, m.contribution == Contribution::Fired, m.events.clone()));
            total += got.as_ref().map_or(0, |g| g.0);
            let told = expected.as_ref().map(|(_, count, value, fired)| (*count, *value, *fired));
            prop_assert_eq!(got.as_ref().map(|g| (g.0, g.1, g.2)), told, "event {} {:?}", seq, a);
            if let (Some((fresh, ..)), Some(g)) = (expected, got) && fresh.len() <= 10 {
                prop_assert_eq!(g.3.iter().map(|s| s.0).collect::<BTreeSet<_>>(), fresh);
            }
        }
        // In one batch, at the moment of the last, nothing is counted twice and nothing is lost.
        if kind != Kind::Sum {
            let mut detector = correlation(kind, &format!("{{{field}{}: {n}}}", if more { "gt" } else { "gte" }));
            let mut sum = 0;
            for e in batched.chunk_by(|a, b| a.received_at == b.received_at) {
                sum += detector.on_batch(e[0].received_at, e).iter().map(|m| m.count).sum::<u64>();
            }
            prop_assert_eq!(sum, total);
        }
    }
}
