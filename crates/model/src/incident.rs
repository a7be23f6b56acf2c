//! The incident: what an officer works on.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{FeedName, Handling, Seq, Severity, Timestamp};

/// Identifies an incident for ever and everywhere: 16 lower-case hex digits. People use [`Incident::number`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IncidentId(pub String);

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who did something. Every change has one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// The person the config maps this OS user to.
    Operator(String),
    /// Somebody who answered through a channel: their name, and the channel's.
    Reply { name: String, channel: String },
    /// The engine itself.
    Engine,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator(name) | Self::Reply { name, .. } => f.write_str(name),
            Self::Engine => f.write_str("Watchfloor"),
        }
    }
}

/// The thing a rule is about: a source address, a user, a resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entity {
    /// The ECS field it was read from.
    pub field: String,
    pub value: String,
}

/// A sentence with the growing count in it. Event text sits in `Text` parts and is never interpreted again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Message(pub Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    Text(String),
    /// The incident's count, with thousands separated.
    Count,
}

impl Message {
    pub fn render(&self, count: u64) -> String {
        self.0
            .iter()
            .map(|p| match p {
                Part::Text(t) => t.clone(),
                Part::Count => thousands(count),
            })
            .collect()
    }
}

/// `1840` as `1,840`.
fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// An enum of words: how it is written, read, and refused.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant),+];
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(self.as_str()) }
        }

        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(s: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|v| v.as_str() == s).ok_or_else(|| {
                    let known: Vec<_> = Self::ALL.iter().map(|v| v.as_str()).collect();
                    format!("'{s}' is not a {}: use {}", $what, known.join(", "))
                })
            }
        }
    };
}

pub(crate) use words;

words! {
    /// Where an incident stands.
    IncidentState, "state" { Open = "open", Acknowledged = "acknowledged", Resolved = "resolved" }
}

words! {
    /// What it turned out to be. Resolving demands one.
    Verdict, "verdict" {
        TruePositive = "true_positive",
        /// It happened, and it was allowed.
        Benign = "benign",
        FalsePositive = "false_positive",
        Duplicate = "duplicate",
    }
}

/// One incident: the matches of one rule about one entity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    pub id: IncidentId,
    /// `#2041`: counts up on this console, for people.
    pub number: u64,
    /// Grows with every change; an older version never overwrites a newer one.
    pub version: u64,
    pub rule: String,
    pub rule_title: String,
    pub kind: String,
    pub severity: Severity,
    pub entity: Option<Entity>,
    pub state: IncidentState,
    pub message: Message,
    pub count: u64,
    pub feeds: Vec<FeedName>,
    /// Event time of the first and the last contributing event.
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    pub detected_at: Timestamp,
    pub acknowledged_at: Option<Timestamp>,
    pub acknowledged_by: Option<String>,
    /// The count when it was acknowledged; growth to ten times this tells the officer again.
    pub acknowledged_count: Option<u64>,
    pub resolved_at: Option<Timestamp>,
    pub resolved_by: Option<String>,
    pub verdict: Option<Verdict>,
    /// The incident of the same rule and entity that was resolved not long before this one opened.
    pub recurrence_of: Option<u64>,
    /// The first and the last few contributing events; the rest is found by query.
    pub first_events: Vec<Seq>,
    pub last_events: Vec<Seq>,
    pub actions: Vec<String>,
    pub handling: Handling,
}

impl Incident {
    pub fn title(&self) -> String {
        self.message.render(self.count)
    }

    /// Still somebody's work.
    pub fn is_live(&self) -> bool {
        self.state != IncidentState::Resolved
    }

    /// When time alone will change something.
    pub fn due_at(&self) -> Option<Timestamp> {
        self.handling.due_at(self.is_live(), self.state == IncidentState::Acknowledged)
    }
}

words! {
    /// What an entry of the timeline records.
    EntryKind, "timeline entry" {
        Opened = "opened",
        /// It crossed 10, 50, 100 … or fired again after a pause.
        Grew = "grew",
        SeverityRaised = "severity_raised",
        Acknowledged = "acknowledged",
        Resolved = "resolved",
        Reopened = "reopened",
        Note = "note",
        /// A step of the ladder ran.
        Escalated = "escalated",
        /// A step reached nobody, or the ladder is at its end: escalation itself needs somebody.
        EscalationFailed = "escalation_failed",
        /// Whoever acknowledged is asked whether they still stand by it.
        Reminded = "reminded",
        /// Nobody stood by the acknowledgement.
        Withdrawn = "withdrawn",
        Snoozed = "snoozed",
        /// The snooze is over.
        Woke = "woke",
        Assigned = "assigned",
        Merged = "merged",
        Split = "split",
        Silenced = "silenced",
        /// A step of the checklist was done, or undone.
        Checked = "checked",
        /// A message could not be delivered, or arrived somewhere else than meant.
        Delivery = "delivery",
    }
}

/// An entry of an incident's timeline. Append-only: a correction is a new entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimelineEntry {
    pub incident: IncidentId,
    /// The incident's version this entry belongs to, and its place within it: together the entry's identity.
    pub version: u64,
    pub ordinal: u32,
    pub at: Timestamp,
    pub actor: Actor,
    pub kind: EntryKind,
    /// A sentence; may hold event text or an officer's words.
    pub text: String,
}

/// The officer is to be told now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    pub incident: IncidentId,
    pub number: u64,
    pub severity: Severity,
    pub kind: String,
    pub count: u64,
    pub reason: NoticeReason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeReason {
    New,
    Recurrence,
    Grew,
    SeverityRaised,
    Reopened,
    /// Whoever acknowledged is asked whether they still stand by it.
    Reminder,
    /// Escalation itself is in trouble.
    Alarm,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_shows_the_count_of_now_and_never_reads_event_text_as_a_template() {
        let m = Message(vec![Part::Count, Part::Text(" failures by {count}".into())]);
        assert_eq!(m.render(1840), "1,840 failures by {count}");
        assert_eq!(m.render(999), "999 failures by {count}");
        assert_eq!(m.render(1_234_567), "1,234,567 failures by {count}");
    }
}
