//! What an incident is made of: its ladder, its messages, what was added to it.

use serde::{Deserialize, Serialize};
use specta::Type;
use wf_model::{Folded, Incident, Notification, Step, Timestamp};
use wf_response::Plan;

use super::{Millis, maybe, millis};

/// A step of an incident's ladder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct LadderStep {
    pub text: String,
    /// It has run.
    pub done: bool,
    /// Milliseconds.
    pub wait: i64,
}

impl LadderStep {
    pub fn all(i: &Incident, plan: &Plan, now: Timestamp) -> Vec<Self> {
        let Some(l) = &i.handling.ladder else { return Vec::new() };
        l.steps
            .iter()
            .enumerate()
            .map(|(n, s)| Self {
                text: step_text(s, plan, now),
                done: l.exhausted || (n as u32) < l.next,
                wait: s.wait as i64,
            })
            .collect()
    }
}

/// One message, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct ReceiptView {
    pub key: String,
    pub purpose: String,
    pub channel: String,
    pub person: Option<String>,
    pub address: String,
    pub step: Option<u32>,
    pub state: String,
    pub created_at: Millis,
    pub due_at: Millis,
    pub attempts: u32,
    pub attempted_at: Option<Millis>,
    pub delivered_at: Option<Millis>,
    pub provider_id: Option<String>,
    pub error: Option<String>,
    pub possible_duplicate: bool,
}

impl ReceiptView {
    pub fn of(n: &Notification, plan: &Plan) -> Self {
        Self {
            key: n.key.clone(),
            purpose: n.purpose.as_str().to_owned(),
            channel: n.to.channel.clone(),
            person: n.to.person.as_ref().map(|p| plan.name(p).to_owned()),
            address: n.to.address.clone(),
            step: n.step,
            state: n.state.as_str().to_owned(),
            created_at: millis(n.created_at),
            due_at: millis(n.due_at),
            attempts: n.attempts,
            attempted_at: maybe(n.attempted_at),
            delivered_at: maybe(n.delivered_at),
            provider_id: n.provider_id.clone(),
            error: n.error.clone(),
            possible_duplicate: n.possible_duplicate,
        }
    }

    /// A channel over which nothing could even be tried.
    pub fn untold(channel: &str, error: &str) -> Self {
        Self {
            key: String::new(),
            purpose: "test".into(),
            channel: channel.to_owned(),
            person: None,
            address: String::new(),
            step: None,
            state: "failed".into(),
            created_at: Millis(0),
            due_at: Millis(0),
            attempts: 0,
            attempted_at: None,
            delivered_at: None,
            provider_id: None,
            error: Some(error.to_owned()),
            possible_duplicate: false,
        }
    }
}

/// What one batch of matches added to an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct FoldedView {
    pub version: u32,
    pub at: Millis,
    pub first_seen: Millis,
    pub last_seen: Millis,
    pub count: u64,
    pub entity: Option<String>,
}

impl From<&Folded> for FoldedView {
    fn from(f: &Folded) -> Self {
        Self {
            version: f.version as u32,
            at: millis(f.at),
            first_seen: millis(f.first_seen),
            last_seen: millis(f.last_seen),
            count: f.count,
            entity: f.entity.as_ref().map(|e| e.value.clone()),
        }
    }
}

/// Whom a step tells, in a few words.
pub(super) fn step_text(step: &Step, plan: &Plan, at: Timestamp) -> String {
    let reach = plan.reach(step, at);
    let names: Vec<&str> = reach.people.iter().map(|p| plan.name(p)).collect();
    let mut channels: Vec<&str> = reach.to.iter().map(|d| d.channel.as_str()).collect();
    channels.dedup();
    match (names.is_empty(), channels.is_empty()) {
        (_, true) => "reaches nobody".to_owned(),
        (true, false) => channels.join(", "),
        (false, false) => format!("{} by {}", names.join(", "), channels.join(", ")),
    }
}
