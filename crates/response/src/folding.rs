//! Folding: matches of one rule about one entity become one incident with a count, and the right people are told.

use std::collections::HashMap;

use serde_json::json;
use wf_model::{
    Actor, CheckItem, Contribution, EntryKind, Folded, Handling, Incident, IncidentId, IncidentState, Match,
    NoticeReason, Purpose, Seq, Severity, Timestamp,
};

use crate::draft::Draft;
use crate::index::Fingerprint;
use crate::notify::{self, Asked};
use crate::openings::{self, STORM};
use crate::storm::storm_match;
use crate::{Changes, IncidentRegistry, Plan, act, counts, escalate, silence};

/// Evidence kept on the incident itself: this many of the first and of the last events.
const SAMPLE: usize = 5;

impl IncidentRegistry {
    /// Folds matches, each for itself and in order: how they are cut into batches makes no difference to the incidents.
    /// Nothing is changed here: the result is committed and then handed to [`IncidentRegistry::apply`].
    pub fn fold(&self, now: Timestamp, matches: &[Match]) -> Changes {
        let mut batch = Batch {
            registry: self,
            now,
            drafts: Vec::new(),
            by_fingerprint: HashMap::new(),
            by_id: HashMap::new(),
            number: self.last_number,
            lately: self.openings.in_last_minute(now),
        };
        let places: Vec<usize> = matches.iter().map(|m| batch.take(m)).collect();
        let assigned = places.into_iter().map(|at| batch.drafts[at].draft.incident.number).collect();
        let mut changes = Changes { assigned, ..Changes::default() };
        for mut draft in batch.drafts {
            draft.tell_growth(&self.plan);
            changes.folded.push(draft.folded);
            changes.join(draft.draft.finish());
        }
        changes
    }

    /// From when to when a match says that a live incident was seen. A late match counts as any other, but a stamp that
    /// lies more than the fold window before the incident began is no beginning of it: a device without a clock says
    /// 1970, and "first seen" and the time to detection would be that for good.
    fn seen(&self, incident: &Incident, m: &Match) -> (Timestamp, Timestamp) {
        let believed = m.first_at + self.settings.window >= incident.first_seen;
        let first = if believed { m.first_at } else { incident.first_seen };
        (first, m.at.max(first))
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
    fn of(registry: &IncidentRegistry, draft: Draft, m: &Match) -> Self {
        let seen = registry.seen(&draft.incident, m);
        let folded = registry.pieces.piece(&draft.incident, m, seen, draft.now);
        Self { draft, folded, crossed: None }
    }

    fn add(&mut self, m: &Match, (first, last): (Timestamp, Timestamp)) {
        self.folded.count = counts::sum(self.folded.count, m.count);
        self.folded.first_seen = self.folded.first_seen.min(first);
        self.folded.last_seen = self.folded.last_seen.max(last);
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
    registry: &'a IncidentRegistry,
    now: Timestamp,
    drafts: Vec<Touched>,
    /// Which draft takes the matches of a fingerprint from now on.
    by_fingerprint: HashMap<Fingerprint, usize>,
    /// The drafts of incidents that were live before.
    by_id: HashMap<&'a IncidentId, usize>,
    number: u64,
    /// How many opened in the last minute, these included, by severity; P1 first.
    lately: [u32; 4],
}

impl Batch<'_> {
    /// Adds a match to the incident it belongs to, and says which draft that is.
    fn take(&mut self, m: &Match) -> usize {
        let key = Fingerprint::of(m);
        match self.taker(&key, m) {
            Some(at) => {
                self.grow(at, m);
                at
            }
            None => self.open(m, key),
        }
    }

    /// The incident that takes the match, if its last event is recent enough.
    fn taker(&mut self, key: &Fingerprint, m: &Match) -> Option<usize> {
        let registry = self.registry;
        let fits = |i: &Incident| i.last_seen + registry.settings.window >= m.first_at;
        if let Some(&at) = self.by_fingerprint.get(key) {
            return fits(&self.drafts[at].draft.incident).then_some(at);
        }
        let live = registry.index.newest(key).and_then(|id| registry.live.get(id))?;
        let at = match self.by_id.get(&live.id).copied() {
            // Two fingerprints lead to one incident when it was merged: it may have grown in this batch already.
            Some(at) if fits(&self.drafts[at].draft.incident) => at,
            None if fits(live) => {
                self.drafts.push(Touched::of(registry, Draft::of(self.now, live), m));
                self.by_id.insert(&live.id, self.drafts.len() - 1);
                self.drafts.len() - 1
            }
            _ => return None,
        };
        self.by_fingerprint.insert(key.clone(), at);
        Some(at)
    }

    fn open(&mut self, m: &Match, key: Fingerprint) -> usize {
        self.number += 1;
        let registry = self.registry;
        let recurrence_of = registry.resolved.recurrence_of(&key, self.now, registry.settings.recurrence);
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
            count: counts::sum(0, m.count),
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
                .and_then(|c| registry.plan.actions.get(&c.text))
                .is_none_or(|a| !a.without_asking);
            // An incident about something else has nothing to carry it out on.
            if !asks && let Err(e) = act::carry_out_in(&mut draft, &Actor::Engine, index, &registry.plan) {
                draft.entry(&Actor::Engine, EntryKind::Checked, format!("Not carried out: {e}"));
            }
        }
        let mut touched = Touched::of(registry, draft, m);
        touched.add(m, (m.first_at, m.at));
        self.drafts.push(touched);
        let at = self.drafts.len() - 1;
        // One that opens with hundreds was told as such: no second notice for the thresholds it is already past.
        self.by_fingerprint.insert(key, at);
        if stormy {
            self.take(&storm_match(m));
        }
        at
    }

    /// Tells whoever is to be told of a new incident, unless a silence covers it or one notification stands for many.
    /// `true`: it is part of a storm.
    fn tell_of(&mut self, draft: &mut Draft, recurrence: bool) -> bool {
        let plan = &self.registry.plan;
        if let Some(s) = silence::covering(&self.registry.silences, self.now, &draft.incident) {
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
            let grave = openings::slot(draft.incident.severity);
            self.lately[grave] += 1;
            // Only as many as are at least as grave: a flood of P4 never hides a P1.
            if self.lately[..=grave].iter().sum::<u32>() > plan.escalation.storm {
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
        let counted = openings::counts_as(&self.drafts[at].draft.incident, self.now);
        self.add(at, m);
        let counts = openings::counts_as(&self.drafts[at].draft.incident, self.now);
        if counted == counts {
            return;
        }
        // It has become graver, or a silence covers it no longer: towards a storm it counts as what it is now.
        if let Some(severity) = counted {
            let count = &mut self.lately[openings::slot(severity)];
            *count = count.saturating_sub(1);
        }
        if let Some(severity) = counts {
            self.lately[openings::slot(severity)] += 1;
        }
    }

    fn add(&mut self, at: usize, m: &Match) {
        let seen = self.registry.seen(&self.drafts[at].draft.incident, m);
        self.drafts[at].add(m, seen);
        let Touched { draft, crossed, .. } = &mut self.drafts[at];
        let incident = &mut draft.incident;
        let before = incident.count;
        incident.count = counts::sum(incident.count, m.count);
        incident.first_seen = incident.first_seen.min(seen.0);
        incident.last_seen = incident.last_seen.max(seen.1);
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

    /// It has become graver: whatever kept it quiet as what it was is looked at again.
    fn graver(&mut self, at: usize) {
        let (registry, now) = (self.registry, self.now);
        let draft = &mut self.drafts[at].draft;
        let plan = &registry.plan;
        let (state, severity) = (draft.incident.state, draft.incident.severity);
        let h = &mut draft.incident.handling;
        if h.silenced_by.is_some() {
            let still = silence::covering(&registry.silences, now, &draft.incident).map(|s| s.id.clone());
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
    let text = format!("{}\0{:?}\0{number}\0{}", key.rule, key.entity, now.millis());
    IncidentId(format!("{:016x}", xxhash_rust::xxh3::xxh3_64(text.as_bytes())))
}

#[cfg(test)]
#[path = "folding_tests.rs"]
mod tests;
