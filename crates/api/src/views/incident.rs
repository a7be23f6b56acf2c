//! Incidents as they are shown: a row of the queue, a page, what happens next.

use serde::{Deserialize, Serialize};
use specta::Type;
use wf_model::{Incident, TimelineEntry};
use wf_response::Plan;

use super::event::EventView;
use super::handling::*;
use super::{Millis, maybe, millis};

/// An incident, as a row of the queue and the head of its page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct IncidentView {
    pub id: String,
    pub number: u32,
    pub title: String,
    pub rule: String,
    pub rule_title: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub severity: String,
    pub entity: Option<String>,
    pub entity_field: Option<String>,
    pub state: String,
    pub count: u64,
    pub first_seen: Millis,
    pub last_seen: Millis,
    pub detected_at: Millis,
    pub feeds: Vec<String>,
    pub acknowledged_by: Option<String>,
    pub acknowledged_at: Option<Millis>,
    pub resolved_by: Option<String>,
    pub resolved_at: Option<Millis>,
    pub verdict: Option<String>,
    pub recurrence_of: Option<u32>,
    pub owner: Option<String>,
    pub acknowledged_until: Option<Millis>,
    /// Whoever acknowledged was asked whether they still stand by it.
    pub reminded_at: Option<Millis>,
    pub snoozed_until: Option<Millis>,
    /// What happens next unless somebody acts.
    pub next: Option<NextStep>,
    /// The ladder's stage, for escalating by hand.
    pub stage: Option<u32>,
    /// Every step has run and nobody has answered.
    pub exhausted: bool,
    pub silenced_by: Option<String>,
    pub in_storm: bool,
    pub merged_into: Option<u32>,
    pub merged: Vec<u32>,
    pub checklist: Vec<CheckView>,
}

/// The queue: what is shown of it, and how many fit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct IncidentList {
    pub rows: Vec<IncidentView>,
    pub total: u32,
}

/// What escalation will do, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct NextStep {
    /// Of this incident.
    pub id: String,
    pub number: u32,
    pub at: Millis,
    /// `CTO by SMS, Slack`
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct CheckView {
    pub text: String,
    pub done_by: Option<String>,
    pub done_at: Option<Millis>,
    pub lasts_until: Option<Millis>,
    /// What carrying it out would do, where it can be carried out.
    pub action: Option<ActionView>,
}

/// What a step of the checklist can carry out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct ActionView {
    pub title: String,
    /// What it would be done to.
    pub entity: String,
    pub undo: bool,
    /// Taken back by itself after so many milliseconds.
    pub lasts: Option<i64>,
}

impl ActionView {
    fn of(i: &Incident, name: &str, plan: &Plan) -> Option<Self> {
        let info = plan.actions.get(name)?;
        let entity = i.entity.as_ref().filter(|e| e.field == info.about)?;
        Some(Self {
            title: info.title.clone(),
            entity: entity.value.clone(),
            undo: info.undo,
            lasts: info.lasts.map(|l| l.as_millis() as i64),
        })
    }
}

impl NextStep {
    pub fn of(i: &Incident, plan: &Plan) -> Option<Self> {
        let at = i.due_at()?;
        let h = &i.handling;
        let text = if h.snoozed_until == Some(at) {
            "the snooze ends".to_owned()
        } else if h.ladder.as_ref().and_then(|l| l.due) == Some(at) {
            match h.ladder.as_ref().and_then(|l| l.step()) {
                Some(step) => step_text(step, plan, at),
                None => "the ladder is at its end".to_owned(),
            }
        } else if h.reminded_at.is_some() {
            "the acknowledgement is withdrawn".to_owned()
        } else {
            format!("{} is asked whether they stand by it", i.acknowledged_by.as_deref().unwrap_or("the owner"))
        };
        Some(Self { id: i.id.0.clone(), number: i.number as u32, at: millis(at), text })
    }
}

impl IncidentView {
    /// As it stands now, with what `plan` would do next.
    pub fn of(i: &Incident, plan: &Plan) -> Self {
        let h = &i.handling;
        Self {
            owner: h.owner.clone(),
            acknowledged_until: maybe(h.acknowledged_until),
            reminded_at: maybe(h.reminded_at),
            snoozed_until: maybe(h.snoozed_until),
            next: NextStep::of(i, plan),
            stage: h.ladder.as_ref().map(wf_model::Ladder::stage),
            exhausted: h.ladder.as_ref().is_some_and(|l| l.exhausted),
            silenced_by: h.silenced_by.clone(),
            in_storm: h.in_storm,
            merged_into: h.merged_into.map(|n| n as u32),
            merged: h.merged.iter().filter(|m| m.count > 0).map(|m| m.number as u32).collect(),
            checklist: h
                .checklist
                .iter()
                .map(|c| CheckView {
                    text: c.text.clone(),
                    done_by: c.done_by.clone(),
                    done_at: maybe(c.done_at),
                    lasts_until: maybe(c.lasts_until),
                    action: ActionView::of(i, &c.text, plan),
                })
                .collect(),
            id: i.id.0.clone(),
            number: i.number as u32,
            title: i.title(),
            rule: i.rule.clone(),
            rule_title: i.rule_title.clone(),
            kind: i.kind.clone(),
            severity: i.severity.as_str().to_owned(),
            entity: i.entity.as_ref().map(|e| e.value.clone()),
            entity_field: i.entity.as_ref().map(|e| e.field.clone()),
            state: if h.snoozed_until.is_some() { "snoozed".to_owned() } else { i.state.as_str().to_owned() },
            count: i.count,
            first_seen: millis(i.first_seen),
            last_seen: millis(i.last_seen),
            detected_at: millis(i.detected_at),
            feeds: i.feeds.iter().map(ToString::to_string).collect(),
            acknowledged_by: i.acknowledged_by.clone(),
            acknowledged_at: maybe(i.acknowledged_at),
            resolved_by: i.resolved_by.clone(),
            resolved_at: maybe(i.resolved_at),
            verdict: i.verdict.map(|v| v.as_str().to_owned()),
            recurrence_of: i.recurrence_of.map(|n| n as u32),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct TimelineView {
    pub at: Millis,
    /// `None`: the engine.
    pub operator: Option<String>,
    /// The channel they answered through.
    pub channel: Option<String>,
    pub kind: String,
    pub text: String,
}

impl From<&TimelineEntry> for TimelineView {
    fn from(e: &TimelineEntry) -> Self {
        let (operator, channel) = match &e.actor {
            wf_model::Actor::Operator(name) => (Some(name.clone()), None),
            wf_model::Actor::Reply { name, channel } => (Some(name.clone()), Some(channel.clone())),
            wf_model::Actor::Engine => (None, None),
        };
        Self { at: millis(e.at), operator, channel, kind: e.kind.as_str().to_owned(), text: e.text.clone() }
    }
}

/// An incident's page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct IncidentDetail {
    pub incident: IncidentView,
    pub timeline: Vec<TimelineView>,
    /// Contributing events: the first and the last few, oldest first.
    pub evidence: Vec<EventView>,
    pub rule_author: Option<String>,
    /// Every step of the ladder, as it was when the incident opened.
    pub ladder: Vec<LadderStep>,
    pub receipts: Vec<ReceiptView>,
    /// What each batch of matches added: what can be moved out.
    pub folded: Vec<FoldedView>,
    /// Other incidents about the same entity or of the same rule, newest first.
    pub related: Vec<IncidentView>,
}
