//! Folding: matches of one rule about one entity become one incident with a count.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;
use wf_model::{
    Actor, AuditAction, Contribution, Entity, EntryKind, Incident, IncidentId, IncidentState,
    Match, Notice, NoticeReason, Seq, TimelineEntry, Timestamp,
};

use crate::Changes;

/// How incidents are folded.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// A match joins a live incident whose last event is at most this much older.
    pub window: Duration,
    /// A new incident is marked as a recurrence when one with its fingerprint was resolved at most this long ago.
    pub recurrence: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { window: Duration::from_secs(3600), recurrence: Duration::from_secs(86_400) }
    }
}

/// Evidence kept on the incident itself: this many of the first and of the last events.
const SAMPLE: usize = 5;

/// What makes matches one incident: the rule and the entity. Not the severity, not the feed.
type Fingerprint = (String, Option<Entity>);

fn fingerprint(rule: &str, entity: Option<&Entity>) -> Fingerprint {
    (rule.to_owned(), entity.cloned())
}

/// The live incidents, as committed.
#[derive(Debug, Default)]
pub struct Book {
    settings: Settings,
    live: HashMap<Fingerprint, Incident>,
    resolved: HashMap<Fingerprint, (u64, Timestamp)>,
    last_number: u64,
}

impl Book {
    /// `incidents` are those stored: all live ones, and those resolved within the recurrence window.
    pub fn new(settings: Settings, last_number: u64, incidents: impl IntoIterator<Item = Incident>) -> Self {
        let mut book = Self { settings, last_number, ..Self::default() };
        for incident in incidents {
            book.take(&incident);
        }
        book
    }

    /// Takes note of what was committed.
    pub fn apply(&mut self, changes: &Changes) {
        for incident in &changes.incidents {
            self.take(incident);
        }
    }

    /// Live incidents, in no particular order.
    pub fn live(&self) -> impl Iterator<Item = &Incident> {
        self.live.values()
    }

    fn take(&mut self, incident: &Incident) {
        self.last_number = self.last_number.max(incident.number);
        let key = fingerprint(&incident.rule, incident.entity.as_ref());
        match incident.state {
            IncidentState::Open | IncidentState::Acknowledged => {
                if self.live.get(&key).is_none_or(|held| held.number <= incident.number) {
                    self.live.insert(key, incident.clone());
                }
            }
            IncidentState::Resolved => {
                if self.live.get(&key).is_some_and(|held| held.id == incident.id) {
                    self.live.remove(&key);
                }
                let at = incident.resolved_at.unwrap_or_default();
                let newest = self.resolved.entry(key).or_insert((incident.number, at));
                if newest.1 <= at {
                    *newest = (incident.number, at);
                }
            }
        }
    }

    /// Folds matches, in order. Nothing is changed here: the result is committed and then handed to [`Book::apply`].
    pub fn fold(&self, now: Timestamp, matches: &[Match]) -> Changes {
        let mut batch = Batch { book: self, now, touched: Vec::new(), index: HashMap::new(), number: self.last_number, changes: Changes::default() };
        for m in matches {
            batch.take(m);
        }
        let mut changes = batch.changes;
        changes.incidents = batch.touched;
        changes
    }
}

struct Batch<'a> {
    book: &'a Book,
    now: Timestamp,
    touched: Vec<Incident>,
    index: HashMap<Fingerprint, usize>,
    number: u64,
    changes: Changes,
}

impl Batch<'_> {
    fn take(&mut self, m: &Match) {
        let key = fingerprint(&m.rule, m.entity.as_ref());
        let window = self.book.settings.window;
        let fits = |i: &Incident| i.last_seen + window >= m.first_at;
        let at = match self.index.get(&key) {
            Some(&at) if fits(&self.touched[at]) => at,
            _ => match self.book.live.get(&key) {
                Some(live) if !self.index.contains_key(&key) && fits(live) => {
                    let mut next = live.clone();
                    next.version += 1;
                    self.touched.push(next);
                    self.index.insert(key, self.touched.len() - 1);
                    self.touched.len() - 1
                }
                _ => return self.open(m, key),
            },
        };
        self.grow(at, m);
    }

    fn open(&mut self, m: &Match, key: Fingerprint) {
        self.number += 1;
        let recurrence_of = self
            .book
            .resolved
            .get(&key)
            .filter(|(_, at)| *at + self.book.settings.recurrence >= self.now)
            .map(|(number, _)| *number);
        let incident = Incident {
            id: new_id(&key, self.number, self.now),
            number: self.number,
            version: 1,
            rule: m.rule.clone(),
            rule_title: m.title.clone(),
            kind: m.kind.clone(),
            severity: m.severity,
            entity: m.entity.clone(),
            state: IncidentState::Open,
            message: m.message.clone(),
            count: m.count,
            feeds: m.feeds.clone(),
            first_seen: m.first_at,
            last_seen: m.at,
            detected_at: self.now,
            acknowledged_at: None,
            acknowledged_by: None,
            acknowledged_count: None,
            resolved_at: None,
            resolved_by: None,
            verdict: None,
            recurrence_of,
            first_events: m.events.iter().take(SAMPLE).copied().collect(),
            last_events: Vec::new(),
            actions: m.actions.clone(),
        };
        let mut text = format!("Rule “{}” fired, {} {}", m.title, m.severity, m.severity.word());
        if let Some(n) = recurrence_of {
            text.push_str(&format!("; recurrence of #{n}"));
        }
        let subject = format!("incident:{}", incident.id);
        self.changes.audit.push(AuditAction {
            at: self.now,
            actor: Actor::Engine,
            action: "incident.open".into(),
            subject,
            payload: json!({
                "number": incident.number, "rule": incident.rule, "type": incident.kind,
                "severity": incident.severity, "entity": incident.entity,
            }),
        });
        self.touched.push(incident);
        let at = self.touched.len() - 1;
        self.index.insert(key, at);
        let rest: Vec<_> = m.events.iter().skip(SAMPLE).copied().collect();
        keep_last(&mut self.touched[at].last_events, &rest);
        self.entry(at, EntryKind::Opened, text);
        self.notice(at, if recurrence_of.is_some() { NoticeReason::Recurrence } else { NoticeReason::New });
        // One that opens with hundreds was told as such: no second notice for the thresholds it is already past.
    }

    fn grow(&mut self, at: usize, m: &Match) {
        let incident = &mut self.touched[at];
        let before = incident.count;
        incident.count = incident.count.saturating_add(m.count);
        incident.first_seen = incident.first_seen.min(m.first_at);
        incident.last_seen = incident.last_seen.max(m.at);
        incident.message = m.message.clone();
        for feed in &m.feeds {
            if !incident.feeds.contains(feed) {
                incident.feeds.push(feed.clone());
            }
        }
        for &seq in &m.events {
            if incident.first_events.len() < SAMPLE {
                incident.first_events.push(seq);
            } else {
                keep_last(&mut incident.last_events, &[seq]);
            }
        }
        let (count, state) = (incident.count, incident.state);
        let acknowledged = incident.acknowledged_count;
        if m.severity > incident.severity {
            let from = incident.severity;
            incident.severity = m.severity;
            self.entry(at, EntryKind::SeverityRaised, format!("Severity raised from {from} to {}", m.severity));
            self.notice(at, NoticeReason::SeverityRaised);
            return;
        }
        let crossed = match (state, acknowledged) {
            (IncidentState::Acknowledged, Some(then)) => {
                let step = then.max(1).saturating_mul(10);
                (before < step && count >= step).then_some(step)
            }
            _ => crossed(before, count),
        };
        if let Some(step) = crossed {
            self.entry(at, EntryKind::Grew, format!("Count reached {count} (told again at {step})"));
            self.notice(at, NoticeReason::Grew);
        } else if m.contribution == Contribution::Fired && m.value > 1 {
            self.entry(at, EntryKind::Grew, format!("Fired again; count {count}"));
        }
    }

    fn entry(&mut self, at: usize, kind: EntryKind, text: String) {
        let incident = &self.touched[at];
        let ordinal = self
            .changes
            .timeline
            .iter()
            .filter(|e| e.incident == incident.id && e.version == incident.version)
            .count() as u32;
        self.changes.timeline.push(TimelineEntry {
            incident: incident.id.clone(),
            version: incident.version,
            ordinal,
            at: self.now,
            actor: Actor::Engine,
            kind,
            text,
        });
    }

    /// One notice an incident and batch: the last reason, the last count.
    fn notice(&mut self, at: usize, reason: NoticeReason) {
        let i = &self.touched[at];
        let notice = Notice { incident: i.id.clone(), number: i.number, severity: i.severity, kind: i.kind.clone(), count: i.count, reason };
        match self.changes.notices.iter_mut().find(|n| n.incident == i.id) {
            Some(earlier) => {
                let first = earlier.reason;
                *earlier = notice;
                if matches!(first, NoticeReason::New | NoticeReason::Recurrence) {
                    earlier.reason = first;
                }
            }
            None => self.changes.notices.push(notice),
        }
    }
}

/// The highest of 10, 50, 100, 1000, 10 000 … that lies in `(before, after]`. Batches jump, so equality would miss.
fn crossed(before: u64, after: u64) -> Option<u64> {
    let mut steps = vec![10, 50, 100];
    let mut step: u64 = 1000;
    while step <= after {
        steps.push(step);
        let Some(next) = step.checked_mul(10) else { break };
        step = next;
    }
    steps.into_iter().rev().find(|s| before < *s && *s <= after)
}

fn keep_last(kept: &mut Vec<Seq>, new: &[Seq]) {
    kept.extend_from_slice(new);
    if kept.len() > SAMPLE {
        kept.drain(..kept.len() - SAMPLE);
    }
}

fn new_id(key: &Fingerprint, number: u64, now: Timestamp) -> IncidentId {
    let text = format!("{}\0{:?}\0{number}\0{}", key.0, key.1, now.millis());
    IncidentId(format!("{:016x}", xxhash_rust::xxh3::xxh3_64(text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wf_model::{FeedName, Message, Part, Severity};

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

    fn step(book: &mut Book, now: i64, matches: &[Match]) -> Changes {
        let c = book.fold(Timestamp::from_millis(now), matches);
        book.apply(&c);
        c
    }

    #[test]
    fn one_rule_and_one_entity_is_one_incident() {
        let mut book = Book::default();
        let c = step(&mut book, 10, &[m("a", Some("x"), 1, 5), m("a", Some("y"), 2, 1), m("b", Some("x"), 3, 1), m("a", Some("x"), 4, 2)]);
        assert_eq!(c.incidents.iter().map(|i| (i.number, i.count)).collect::<Vec<_>>(), [(1, 7), (2, 1), (3, 1)]);
        let c = step(&mut book, 20, &[m("a", Some("x"), 5, 1)]);
        assert_eq!((c.incidents[0].number, c.incidents[0].count, c.incidents[0].version), (1, 8, 2));
        assert!(c.notices.is_empty());
    }

    #[test]
    fn a_match_without_an_entity_never_joins_one_with() {
        let mut book = Book::default();
        let c = step(&mut book, 10, &[m("a", None, 1, 1), m("a", Some("x"), 1, 1), m("a", None, 2, 1)]);
        assert_eq!(c.incidents.iter().map(|i| i.count).collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn an_hour_of_quiet_opens_a_new_incident() {
        let mut book = Book::default();
        step(&mut book, 0, &[m("a", Some("x"), 0, 1)]);
        assert_eq!(step(&mut book, 1, &[m("a", Some("x"), 3_600_000, 1)]).incidents[0].number, 1);
        assert_eq!(step(&mut book, 2, &[m("a", Some("x"), 7_200_001, 1)]).incidents[0].number, 2);
    }

    #[test]
    fn a_jump_over_several_thresholds_is_told_once() {
        let mut book = Book::default();
        step(&mut book, 0, &[m("a", Some("x"), 0, 9)]);
        let c = step(&mut book, 1, &[m("a", Some("x"), 1, 200)]);
        assert_eq!(c.notices.len(), 1);
        assert_eq!(c.timeline.len(), 1);
        assert!(step(&mut book, 2, &[m("a", Some("x"), 2, 700)]).notices.is_empty());
        assert_eq!(step(&mut book, 3, &[m("a", Some("x"), 3, 100)]).notices.len(), 1);
    }

    #[test]
    fn after_an_acknowledgement_only_ten_times_the_count_is_told() {
        let mut book = Book::default();
        let c = step(&mut book, 0, &[m("a", Some("x"), 0, 8)]);
        let acked = crate::lifecycle::acknowledge(Timestamp::from_millis(1), &Actor::Operator("o".into()), &c.incidents[0], None).unwrap();
        book.apply(&acked);
        assert!(step(&mut book, 2, &[m("a", Some("x"), 2, 71)]).notices.is_empty());
        assert_eq!(step(&mut book, 3, &[m("a", Some("x"), 3, 1)]).notices.len(), 1);
        assert!(step(&mut book, 4, &[m("a", Some("x"), 4, 500)]).notices.is_empty());
    }

    #[test]
    fn after_resolution_a_new_match_is_a_recurrence_within_a_day_and_new_after_it() {
        let operator = Actor::Operator("o".into());
        for (later, expected) in [(86_400_000, Some(1)), (86_400_001, None)] {
            let mut book = Book::default();
            let c = step(&mut book, 0, &[m("a", Some("x"), 0, 1)]);
            book.apply(&crate::lifecycle::resolve(Timestamp::EPOCH, &operator, &c.incidents[0], wf_model::Verdict::Benign, None).unwrap());
            let c = step(&mut book, later, &[m("a", Some("x"), later, 1)]);
            assert_eq!((c.incidents[0].number, c.incidents[0].recurrence_of), (2, expected));
            assert_eq!(c.notices.len(), 1);
        }
    }

    #[test]
    fn a_higher_severity_raises_the_incident_and_is_told() {
        let mut book = Book::default();
        step(&mut book, 0, &[m("a", Some("x"), 0, 1)]);
        let mut worse = m("a", Some("x"), 1, 1);
        worse.severity = Severity::P1;
        let c = step(&mut book, 1, &[worse]);
        assert_eq!((c.incidents[0].severity, c.notices.len()), (Severity::P1, 1));
        let c = step(&mut book, 2, &[m("a", Some("x"), 2, 1)]);
        assert_eq!(c.incidents[0].severity, Severity::P1, "severity only rises");
    }

    proptest! {
        #[test]
        fn no_count_is_lost_however_matches_are_batched(
            input in prop::collection::vec((0u8..3, 0u8..3, 1u64..40), 1..60), cut in 1usize..10,
        ) {
            let matches: Vec<_> = input.iter().enumerate()
                .map(|(i, (r, e, n))| m(&r.to_string(), (*e > 0).then(|| e.to_string()).as_deref(), i as i64, *n)).collect();
            let mut book = Book::default();
            for chunk in matches.chunks(cut) {
                let c = book.fold(Timestamp::EPOCH, chunk);
                prop_assert_eq!(&c, &book.fold(Timestamp::EPOCH, chunk), "folding is pure");
                book.apply(&c);
                book.apply(&c); // twice is a no-op
            }
            prop_assert_eq!(book.live().map(|i| i.count).sum::<u64>(), input.iter().map(|(_, _, n)| n).sum::<u64>());
        }
    }
}
