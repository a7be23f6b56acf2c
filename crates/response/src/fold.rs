//! Folding: matches of one rule about one entity become one incident with a count, and the right people are told.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use wf_model::{
    Actor, CheckItem, Contribution, Entity, EntryKind, Folded, Handling, Incident, IncidentId, IncidentState, Match,
    Message, NoticeReason, Part, Purpose, Seq, Severity, Silence, Timestamp,
};

use crate::draft::Draft;
use crate::notify::{self, Asked};
use crate::{Changes, Plan, act, escalate, silence};

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

/// The rule of the incident that stands for a storm of others.
pub const STORM: &str = "watchfloor.storm";
/// A storm is over when for this long nothing new has opened.
const CALM: Duration = Duration::from_secs(300);

/// The live incidents, as committed, and what is needed to decide about new ones.
#[derive(Debug, Default)]
pub struct Book {
    settings: Settings,
    plan: Arc<Plan>,
    live: HashMap<IncidentId, Incident>,
    /// Where a match goes: the newest live incident of its fingerprint, or the one that was merged into.
    by_fingerprint: HashMap<Fingerprint, IncidentId>,
    resolved: HashMap<Fingerprint, (u64, Timestamp)>,
    silences: Vec<Silence>,
    /// When incidents opened lately.
    opened: VecDeque<(Timestamp, Severity)>,
    last_number: u64,
}

impl Book {
    /// `incidents` are those stored: all live ones, and those resolved within the recurrence window.
    pub fn new(
        settings: Settings,
        plan: Arc<Plan>,
        last_number: u64,
        incidents: impl IntoIterator<Item = Incident>,
        silences: Vec<Silence>,
    ) -> Self {
        let mut book = Self { settings, plan, last_number, silences, ..Self::default() };
        for incident in incidents {
            book.take(&incident);
        }
        book.opened.clear();
        book
    }

    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// What is decided from now on is decided by this. Ladders that run are not moved.
    pub fn set_plan(&mut self, plan: Arc<Plan>) {
        self.plan = plan;
    }

    /// Takes note of what was committed.
    pub fn apply(&mut self, changes: &Changes) {
        for incident in &changes.incidents {
            self.take(incident);
        }
        for silence in &changes.silences {
            self.silences.retain(|s| s.id != silence.id);
            if !silence.closed {
                self.silences.push(silence.clone());
            }
        }
    }

    /// Live incidents, in no particular order.
    pub fn live(&self) -> impl Iterator<Item = &Incident> {
        self.live.values()
    }

    pub fn get(&self, id: &IncidentId) -> Option<&Incident> {
        self.live.get(id)
    }

    pub fn silences(&self) -> &[Silence] {
        &self.silences
    }

    /// The number of the next incident.
    pub fn next_number(&self) -> u64 {
        self.last_number + 1
    }

    /// When time alone changes something, next.
    pub fn due_at(&self) -> Option<Timestamp> {
        let silences = self.silences.iter().map(|s| s.until);
        self.live.values().filter_map(Incident::due_at).chain(silences).min()
    }

    fn take(&mut self, incident: &Incident) {
        if incident.number > self.last_number {
            self.last_number = incident.number;
            self.opened.push_back((incident.detected_at, incident.severity));
            while self.opened.front().is_some_and(|(t, _)| *t + CALM < incident.detected_at) {
                self.opened.pop_front();
            }
        }
        let key = fingerprint(&incident.rule, incident.entity.as_ref());
        if incident.is_live() {
            let newest = self
                .by_fingerprint
                .get(&key)
                .and_then(|id| self.live.get(id))
                .is_none_or(|held| held.number <= incident.number);
            if newest && incident.handling.split_from.is_none() {
                self.by_fingerprint.insert(key, incident.id.clone());
            }
            for part in &incident.handling.merged {
                self.by_fingerprint.insert(fingerprint(&part.rule, part.entity.as_ref()), incident.id.clone());
            }
            // What was taken out of it again no longer leads here.
            self.by_fingerprint.retain(|k, id| {
                *id != incident.id
                    || (k.0 == incident.rule && k.1 == incident.entity)
                    || incident.handling.merged.iter().any(|m| m.rule == k.0 && m.entity == k.1)
            });
            self.live.insert(incident.id.clone(), incident.clone());
            return;
        }
        self.live.remove(&incident.id);
        self.by_fingerprint.retain(|_, id| *id != incident.id);
        if incident.handling.merged_into.is_none() {
            let at = incident.resolved_at.unwrap_or_default();
            let newest = self.resolved.entry(key).or_insert((incident.number, at));
            if newest.1 <= at {
                *newest = (incident.number, at);
            }
        }
    }

    /// Folds matches, in order. Nothing is changed here: the result is committed and then handed to [`Book::apply`].
    pub fn fold(&self, now: Timestamp, matches: &[Match]) -> Changes {
        let mut lately = [0; 4];
        for (_, severity) in self.opened.iter().filter(|(t, _)| *t + Duration::from_secs(60) > now && *t <= now) {
            lately[usize::from(severity.number() - 1)] += 1;
        }
        let mut batch =
            Batch { book: self, now, drafts: Vec::new(), index: HashMap::new(), number: self.last_number, lately };
        for m in matches {
            batch.take(m);
        }
        let mut changes = Changes::default();
        for mut draft in batch.drafts {
            draft.tell_growth(&self.plan);
            changes.folded.push(draft.folded);
            changes.join(draft.draft.finish());
        }
        changes
    }

    /// A storm that is over leaves a summary, once.
    pub fn calm(&self, now: Timestamp) -> Option<Changes> {
        let storm = self.live.values().find(|i| i.rule == STORM && i.last_seen + CALM < now && i.handling.in_storm)?;
        let of: Vec<&Incident> = self.live.values().filter(|i| i.handling.in_storm && i.rule != STORM).collect();
        let mut entities: Vec<&str> = of.iter().filter_map(|i| i.entity.as_ref().map(|e| e.value.as_str())).collect();
        entities.sort_unstable();
        entities.dedup();
        let mut draft = Draft::of(now, storm);
        draft.incident.handling.in_storm = false;
        let text = format!(
            "The storm is over: {} incidents in {}; {} of them are still open, about {} addresses, users or resources",
            storm.count,
            wf_model::span::spoken(storm.last_seen.since(storm.first_seen)),
            of.len(),
            entities.len()
        );
        draft.entry(&Actor::Engine, EntryKind::Note, text);
        let mut changes = draft.finish();
        changes.join(self.after_storm(now));
        Some(changes)
    }

    /// What opened in a storm that is over, or that somebody resolved, stands for itself again: a P1 that is still open
    /// is told now.
    pub fn after_storm(&self, now: Timestamp) -> Changes {
        let mut changes = Changes::default();
        for incident in self.live.values().filter(|i| i.handling.in_storm && i.rule != STORM) {
            let mut draft = Draft::of(now, incident);
            draft.incident.handling.in_storm = false;
            draft.entry(&Actor::Engine, EntryKind::Note, "The storm is over: it stands for itself again".into());
            if incident.severity == Severity::P1 && incident.state == IncidentState::Open {
                draft.notice(NoticeReason::New);
                escalate::begin(&mut draft, &self.plan);
            }
            changes.join(draft.finish());
        }
        changes
    }

    /// Whether an incident stands for a storm.
    pub fn in_storm(&self) -> bool {
        self.live.values().any(|i| i.rule == STORM && i.handling.in_storm)
    }
}

/// An incident that this batch opened or added to.
struct Touched {
    draft: Draft,
    folded: Folded,
    /// The highest threshold the batch crossed.
    crossed: Option<u64>,
}

impl Touched {
    fn of(draft: Draft, m: &Match) -> Self {
        let i = &draft.incident;
        let folded = Folded {
            incident: i.id.clone(),
            version: i.version,
            at: draft.now,
            first_seen: m.first_at,
            last_seen: m.at,
            count: 0,
            rule: m.rule.clone(),
            entity: m.entity.clone(),
            events: Vec::new(),
            moved_to: None,
        };
        Self { draft, folded, crossed: None }
    }

    fn add(&mut self, m: &Match) {
        self.folded.count += m.count;
        self.folded.first_seen = self.folded.first_seen.min(m.first_at);
        self.folded.last_seen = self.folded.last_seen.max(m.at);
        let room = SAMPLE.saturating_sub(self.folded.events.len());
        self.folded.events.extend(m.events.iter().take(room));
    }

    /// Whoever was told of it is told once a batch how much it grew.
    fn tell_growth(&mut self, plan: &Plan) {
        let Some(step) = self.crossed else { return };
        let i = &self.draft.incident;
        if i.handling.silenced_by.is_some()
            || i.handling.snoozed_until.is_some()
            || i.handling.in_storm && i.rule != STORM
        {
            return;
        }
        let told = i.handling.told.clone();
        notify::owe(
            &mut self.draft,
            plan,
            Purpose::Grew,
            Asked::default(),
            &told,
            &[format!("It has grown past {step}")],
        );
    }
}

struct Batch<'a> {
    book: &'a Book,
    now: Timestamp,
    drafts: Vec<Touched>,
    index: HashMap<Fingerprint, usize>,
    number: u64,
    /// How many opened in the last minute, these included, by severity; P1 first.
    lately: [u32; 4],
}

impl Batch<'_> {
    fn take(&mut self, m: &Match) {
        let key = fingerprint(&m.rule, m.entity.as_ref());
        let window = self.book.settings.window;
        let fits = |i: &Incident| i.last_seen + window >= m.first_at;
        if let Some(&at) = self.index.get(&key) {
            return if fits(&self.drafts[at].draft.incident) { self.grow(at, m) } else { self.open(m, key) };
        }
        match self.book.by_fingerprint.get(&key).and_then(|id| self.book.live.get(id)) {
            Some(live) if fits(live) => {
                // Two fingerprints may lead to one incident: it was merged.
                let known = self.drafts.iter().position(|d| d.draft.incident.id == live.id);
                let at = known.unwrap_or_else(|| {
                    self.drafts.push(Touched::of(Draft::of(self.now, live), m));
                    self.drafts.len() - 1
                });
                self.index.insert(key, at);
                self.grow(at, m);
            }
            _ => self.open(m, key),
        }
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
            handling: Handling {
                checklist: m
                    .actions
                    .iter()
                    .map(|a| CheckItem { text: a.clone(), done_by: None, done_at: None, lasts_until: None })
                    .collect(),
                ..Handling::default()
            },
        };
        let mut draft = Draft::new(self.now, incident);
        let rest: Vec<_> = m.events.iter().skip(SAMPLE).copied().collect();
        keep_last(&mut draft.incident.last_events, &rest);
        let mut text = format!("Rule “{}” fired, {} {}", m.title, m.severity, m.severity.word());
        if let Some(n) = recurrence_of {
            text.push_str(&format!("; recurrence of #{n}"));
        }
        draft.entry(&Actor::Engine, EntryKind::Opened, text);
        let i = &draft.incident;
        let payload = json!({ "rule": i.rule, "type": i.kind, "severity": i.severity, "entity": i.entity });
        draft.audit(&Actor::Engine, "incident.open", payload);
        let stormy = self.tell_of(&mut draft, recurrence_of.is_some());
        for index in 0..draft.incident.handling.checklist.len() {
            let asks = draft
                .incident
                .handling
                .checklist
                .get(index)
                .and_then(|c| self.book.plan.actions.get(&c.text))
                .is_none_or(|a| !a.without_asking);
            // An incident about something else has nothing to carry it out on.
            if !asks && let Err(e) = act::carry_out_in(&mut draft, &Actor::Engine, index, &self.book.plan) {
                draft.entry(&Actor::Engine, EntryKind::Checked, format!("Not carried out: {e}"));
            }
        }
        let mut touched = Touched::of(draft, m);
        touched.add(m);
        self.drafts.push(touched);
        self.index.insert(key, self.drafts.len() - 1);
        // One that opens with hundreds was told as such: no second notice for the thresholds it is already past.
        if stormy {
            self.take(&storm(m));
        }
    }

    /// Tells whoever is to be told of a new incident, unless a silence covers it or one notification stands for many.
    /// `true`: it is part of a storm.
    fn tell_of(&mut self, draft: &mut Draft, recurrence: bool) -> bool {
        let plan = &self.book.plan;
        if let Some(s) = silence::covering(&self.book.silences, self.now, &draft.incident) {
            draft.incident.handling.silenced_by = Some(s.id.clone());
            draft.entry(
                &Actor::Engine,
                EntryKind::Silenced,
                format!("Nobody is told: silence {} of {}, “{}”", s.id, s.author, s.reason),
            );
            return false;
        }
        let is_storm = draft.incident.rule == STORM;
        if !is_storm {
            let grave = usize::from(draft.incident.severity.number());
            self.lately[grave - 1] += 1;
            // Only as many as are at least as grave: a flood of P4 never hides a P1.
            if self.lately[..grave].iter().sum::<u32>() > plan.escalation.storm {
                draft.incident.handling.in_storm = true;
                draft.entry(
                    &Actor::Engine,
                    EntryKind::Note,
                    "Opened in a storm of incidents: one notification stands for all of them".into(),
                );
                return true;
            }
        }
        draft.incident.handling.in_storm = is_storm;
        draft.notice(if recurrence { NoticeReason::Recurrence } else { NoticeReason::New });
        escalate::begin(draft, plan);
        false
    }

    fn grow(&mut self, at: usize, m: &Match) {
        self.drafts[at].add(m);
        let Touched { draft, crossed, .. } = &mut self.drafts[at];
        let incident = &mut draft.incident;
        let before = incident.count;
        incident.count = incident.count.saturating_add(m.count);
        incident.first_seen = incident.first_seen.min(m.first_at);
        incident.last_seen = incident.last_seen.max(m.at);
        // What was merged into it keeps its own words to itself.
        if incident.rule == m.rule && incident.entity == m.entity {
            incident.message = m.message.clone();
        }
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
        let muted = incident.handling.silenced_by.is_some()
            || incident.handling.snoozed_until.is_some()
            || (incident.handling.in_storm && incident.rule != STORM);
        if m.severity > incident.severity {
            let from = incident.severity;
            incident.severity = m.severity;
            draft.entry(
                &Actor::Engine,
                EntryKind::SeverityRaised,
                format!("Severity raised from {from} to {}", m.severity),
            );
            self.graver(at);
            return;
        }
        let step = match (state, acknowledged) {
            (IncidentState::Acknowledged, Some(then)) => {
                let step = then.max(1).saturating_mul(10);
                (before < step && count >= step).then_some(step)
            }
            _ => self::crossed(before, count),
        };
        if let Some(step) = step {
            draft.entry(&Actor::Engine, EntryKind::Grew, format!("Count reached {count} (told again at {step})"));
            if !muted {
                draft.notice(NoticeReason::Grew);
                *crossed = Some(step);
            }
        } else if m.contribution == Contribution::Fired && m.value > 1 {
            draft.entry(&Actor::Engine, EntryKind::Grew, format!("Fired again; count {count}"));
        }
    }
}

impl Batch<'_> {
    /// It has become graver: whatever kept it quiet as what it was is looked at again.
    fn graver(&mut self, at: usize) {
        let (book, now) = (self.book, self.now);
        let draft = &mut self.drafts[at].draft;
        let plan = &book.plan;
        let (state, severity) = (draft.incident.state, draft.incident.severity);
        let h = &mut draft.incident.handling;
        if h.silenced_by.is_some() {
            let still = silence::covering(&book.silences, now, &draft.incident).map(|s| s.id.clone());
            draft.incident.handling.silenced_by = still;
            if draft.incident.handling.silenced_by.is_some() {
                return;
            }
        } else if h.snoozed_until.is_some() {
            // It wakes to the ladder of what it has become.
            h.ladder = plan.ladder(severity);
            return;
        } else if h.in_storm && draft.incident.rule != STORM {
            if severity < Severity::P1 {
                return;
            }
            h.in_storm = false;
        }
        draft.notice(NoticeReason::SeverityRaised);
        if state == IncidentState::Open {
            // The graver severity has a ladder of its own, from its first step.
            escalate::begin(draft, plan);
            return;
        }
        // Somebody is on it, as what it was: they and all who were told hear of it, and are asked again after the
        // graver one's time.
        let usual = plan.acknowledge_for(severity).map(|t| now + t);
        let h = &mut draft.incident.handling;
        h.acknowledged_until = [h.acknowledged_until, usual].into_iter().flatten().min();
        let told = h.told.clone();
        notify::owe(
            draft,
            plan,
            Purpose::Grew,
            Asked::default(),
            &told,
            &[format!("It has become {severity} {}", severity.word())],
        );
    }
}

/// What a match adds to the incident that stands for the storm.
fn storm(m: &Match) -> Match {
    Match {
        rule: STORM.into(),
        title: "Storm of incidents".into(),
        kind: "INCIDENT_STORM".into(),
        severity: m.severity.max(Severity::P2),
        entity: None,
        at: m.at,
        first_at: m.first_at,
        count: 1,
        value: 1,
        contribution: Contribution::Grew,
        message: Message(vec![
            Part::Count,
            Part::Text(" incidents opened in a storm; one notification stands for all of them".into()),
        ]),
        actions: vec![],
        events: m.events.iter().take(1).copied().collect(),
        feeds: m.feeds.clone(),
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

    fn book() -> Book {
        Book::default()
    }

    fn step(book: &mut Book, now: i64, matches: &[Match]) -> Changes {
        let c = book.fold(Timestamp::from_millis(now), matches);
        book.apply(&c);
        c
    }

    #[test]
    fn one_rule_and_one_entity_is_one_incident() {
        let mut book = book();
        let c = step(
            &mut book,
            10,
            &[m("a", Some("x"), 1, 5), m("a", Some("y"), 2, 1), m("b", Some("x"), 3, 1), m("a", Some("x"), 4, 2)],
        );
        assert_eq!(c.incidents.iter().map(|i| (i.number, i.count)).collect::<Vec<_>>(), [(1, 7), (2, 1), (3, 1)]);
        let c = step(&mut book, 20, &[m("a", Some("x"), 5, 1)]);
        assert_eq!((c.incidents[0].number, c.incidents[0].count, c.incidents[0].version), (1, 8, 2));
        assert!(c.notices.is_empty());
    }

    #[test]
    fn a_match_without_an_entity_never_joins_one_with() {
        let mut book = book();
        let c = step(&mut book, 10, &[m("a", None, 1, 1), m("a", Some("x"), 1, 1), m("a", None, 2, 1)]);
        assert_eq!(c.incidents.iter().map(|i| i.count).collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn an_hour_of_quiet_opens_a_new_incident() {
        let mut book = book();
        step(&mut book, 0, &[m("a", Some("x"), 0, 1)]);
        assert_eq!(step(&mut book, 1, &[m("a", Some("x"), 3_600_000, 1)]).incidents[0].number, 1);
        assert_eq!(step(&mut book, 2, &[m("a", Some("x"), 7_200_001, 1)]).incidents[0].number, 2);
    }

    #[test]
    fn a_jump_over_several_thresholds_is_told_once() {
        let mut book = book();
        step(&mut book, 0, &[m("a", Some("x"), 0, 9)]);
        let c = step(&mut book, 1, &[m("a", Some("x"), 1, 200)]);
        assert_eq!(c.notices.len(), 1);
        assert_eq!(c.timeline.len(), 1);
        assert!(step(&mut book, 2, &[m("a", Some("x"), 2, 700)]).notices.is_empty());
        assert_eq!(step(&mut book, 3, &[m("a", Some("x"), 3, 100)]).notices.len(), 1);
    }

    #[test]
    fn after_an_acknowledgement_only_ten_times_the_count_is_told() {
        let mut book = book();
        let c = step(&mut book, 0, &[m("a", Some("x"), 0, 8)]);
        let acked = crate::lifecycle::acknowledge(
            Timestamp::from_millis(1),
            &Actor::Operator("o".into()),
            &c.incidents[0],
            None,
            None,
            &Plan::default(),
        )
        .unwrap();
        book.apply(&acked);
        assert!(step(&mut book, 2, &[m("a", Some("x"), 2, 71)]).notices.is_empty());
        assert_eq!(step(&mut book, 3, &[m("a", Some("x"), 3, 1)]).notices.len(), 1);
        assert!(step(&mut book, 4, &[m("a", Some("x"), 4, 500)]).notices.is_empty());
    }

    #[test]
    fn after_resolution_a_new_match_is_a_recurrence_within_a_day_and_new_after_it() {
        let operator = Actor::Operator("o".into());
        for (later, expected) in [(86_400_000, Some(1)), (86_400_001, None)] {
            let mut book = book();
            let c = step(&mut book, 0, &[m("a", Some("x"), 0, 1)]);
            book.apply(
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
            let c = step(&mut book, later, &[m("a", Some("x"), later, 1)]);
            assert_eq!((c.incidents[0].number, c.incidents[0].recurrence_of), (2, expected));
            assert_eq!(c.notices.len(), 1);
        }
    }

    #[test]
    fn a_higher_severity_raises_the_incident_and_is_told() {
        let mut book = book();
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
            let mut book = book();
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
