//! What detection says: a rule fired.

use serde::{Deserialize, Serialize};

use crate::{Entity, FeedName, Message, Seq, Severity, Timestamp};

/// A rule fired on an event or on a window of events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Match {
    /// The rule's `id` (a UUID for Sigma rules).
    pub rule: String,
    /// The rule's title.
    pub title: String,
    /// The kind of incident, as rules name it: `BRUTE_FORCE_ATTACK`.
    pub kind: String,
    pub severity: Severity,
    /// The rule's primary key; `None` is folded by itself and marked "no entity".
    pub entity: Option<Entity>,
    /// Event time of the event that completed the match.
    pub at: Timestamp,
    /// Event time of the earliest event in it.
    pub first_at: Timestamp,
    /// What this match adds to the incident's count: events, or the sum a `value_sum` rule adds up.
    pub count: u64,
    /// The rule's aggregate over its window when it fired: events, distinct values, or a sum. 1 for a rule on one
    /// event.
    pub value: u64,
    pub contribution: Contribution,
    pub message: Message,
    /// Response actions the rule names, frozen into the incident.
    pub actions: Vec<String>,
    /// Events that took part, oldest first, at most a few dozen.
    pub events: Vec<Seq>,
    pub feeds: Vec<FeedName>,
}

/// Whether a match is a firing or the growth of one that already fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contribution {
    /// The condition became true.
    Fired,
    /// It is still true, and more came.
    Grew,
}
