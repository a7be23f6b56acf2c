//! How an incident is being handled: whose it is, what escalation will do next, what was merged into it.

use serde::{Deserialize, Serialize};

use crate::{Entity, IncidentId, Message, Seq, Severity, Timestamp};

/// Everything about an incident that officers and escalation change, beside its state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Handling {
    /// Who works on it: a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// `None`: escalation is not set up for its severity, or a silence or a storm covers it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ladder: Option<Ladder>,
    /// An acknowledgement holds this long without any activity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged_until: Option<Timestamp>,
    /// The owner was asked whether they still stand by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reminded_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snoozed_until: Option<Timestamp>,
    /// The number of the incident it became part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<u64>,
    /// Incidents that became part of this one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub merged: Vec<Merged>,
    /// The number of the incident whose matches were moved out into this one. New matches go on to that one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split_from: Option<u64>,
    /// The silence that kept it from being told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silenced_by: Option<String>,
    /// Opened while so many others did that one of them stands for all.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub in_storm: bool,
    /// Places that were told of it: they are told how it goes on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<Destination>,
    /// Nothing has moved its overdue step: said once a step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overdue_said: Option<Timestamp>,
    /// What was asked by versions before this is asked no longer, and their reply codes are spent.
    #[serde(skip_serializing_if = "is_zero")]
    pub codes_from: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checklist: Vec<CheckItem>,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Handling {
    /// Whether somebody answered, or put off, what this version of the incident asked.
    pub fn answered(&self, version: u64) -> bool {
        version < self.codes_from
    }

    /// When time alone will change something: the next step, the end of a snooze, the end of an acknowledgement.
    pub fn due_at(&self, live: bool, acknowledged: bool) -> Option<Timestamp> {
        if !live {
            return None;
        }
        if let Some(until) = self.snoozed_until {
            return Some(until);
        }
        // An escalation by hand runs on while somebody works on it; otherwise an acknowledgement stops the ladder.
        let step = self.ladder.as_ref().and_then(|l| l.due);
        let standing =
            if acknowledged { self.reminded_at.map(|t| t + WITHDRAW_AFTER).or(self.acknowledged_until) } else { None };
        [step, standing].into_iter().flatten().min()
    }
}

/// An acknowledgement whose reminder nobody answers is withdrawn after this long: people are asked again.
pub const WITHDRAW_AFTER: std::time::Duration = std::time::Duration::from_secs(300);

/// A step of response that the rule proposes, frozen when the incident opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckItem {
    pub text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done_at: Option<Timestamp>,
    /// It was carried out, and this is when that ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasts_until: Option<Timestamp>,
}

/// An escalation as it was configured when the incident opened: later edits do not move it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ladder {
    pub policy: String,
    pub steps: Vec<Step>,
    /// After the last step it begins again this often; 0: it runs once.
    pub repeat: u32,
    /// The step that runs next.
    pub next: u32,
    /// How often the steps were gone through already.
    pub round: u32,
    /// When the next step runs. `None`: stopped, or at its end.
    pub due: Option<Timestamp>,
    /// Every step has run and nobody has answered. An alarm of its own.
    #[serde(default)]
    pub exhausted: bool,
}

impl Ladder {
    /// Grows with every step taken: whoever escalates by hand says which one they saw, so that two who press at once
    /// skip nobody.
    pub fn stage(&self) -> u32 {
        self.round * self.steps.len() as u32 + self.next
    }

    pub fn step(&self) -> Option<&Step> {
        self.steps.get(self.next as usize)
    }
}

/// Who is told, over what, and how long is waited for an answer before the next step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub targets: Vec<Target>,
    /// Names of channels.
    pub channels: Vec<String>,
    /// Milliseconds.
    pub wait: u64,
}

/// Whom a step is for. Who that is at the moment is found out when the step runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    Person(String),
    /// Everybody with this role.
    Role(String),
    /// Whoever this rota says.
    Schedule(String),
}

/// A place a message can go to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Destination {
    /// The channel's name in the config.
    pub channel: String,
    /// A mail address, a telephone number, a chat; empty where the channel itself is the place.
    pub address: String,
    /// The person it is for; `None` for a place that several share.
    pub person: Option<String>,
}

/// What one batch of matches added to an incident: the piece that can be moved to another one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Folded {
    pub incident: IncidentId,
    /// The incident's version that this made.
    pub version: u64,
    pub at: Timestamp,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    pub count: u64,
    pub rule: String,
    pub entity: Option<Entity>,
    /// The first few events of it.
    pub events: Vec<Seq>,
    /// The number of the incident it was moved out to.
    pub moved_to: Option<u64>,
}

/// An incident that became part of another, with what is needed to take it out again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Merged {
    pub number: u64,
    pub rule: String,
    pub entity: Option<Entity>,
    /// What it brought along.
    pub count: u64,
    /// What the receiving incident was before.
    pub severity: Severity,
    pub message: Message,
}
