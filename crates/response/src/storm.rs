//! Storms: when far too much opens at once, one incident stands for all of it, until nothing new has opened for a
//! while.

use std::time::Duration;

use wf_model::{
    Actor, Contribution, EntryKind, Incident, IncidentState, Match, Message, NoticeReason, Part, Severity, Timestamp,
};

use crate::draft::Draft;
use crate::openings::STORM;
use crate::{Changes, IncidentRegistry, escalate};

/// A storm is over when for this long nothing new has opened.
const CALM: Duration = Duration::from_secs(300);

impl IncidentRegistry {
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

/// What a match adds to the incident that stands for the storm.
pub(crate) fn storm_match(m: &Match) -> Match {
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
