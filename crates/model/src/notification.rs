//! A notification: one message owed to one destination, and what became of it.

use serde::{Deserialize, Serialize};

use crate::{Destination, IncidentId, Severity, Timestamp};

crate::incident::words! {
    /// Where a notification stands.
    NotificationState, "notification state" {
        /// Waits for its turn.
        Queued = "queued",
        /// The intent is on disk, the attempt is under way.
        Attempting = "attempting",
        /// The provider took it.
        Delivered = "delivered",
        /// It will not be tried again.
        Failed = "failed",
        /// It may have arrived: the answer was lost. It is tried again with the same key.
        Uncertain = "uncertain",
        /// No longer owed: somebody acknowledged before it was sent.
        Cancelled = "cancelled",
        /// Said by a later message to the same place.
        Coalesced = "coalesced",
    }
}

crate::incident::words! {
    /// Why a message is sent.
    Purpose, "purpose" {
        Trigger = "trigger",
        /// It grew past a threshold, or became graver.
        Grew = "grew",
        Acknowledged = "acknowledged",
        Resolved = "resolved",
        Reopened = "reopened",
        /// Whoever acknowledged is asked whether they still stand by it.
        Reminder = "reminder",
        /// Escalation itself is in trouble.
        Alarm = "alarm",
        Digest = "digest",
        /// Of a channel, by an officer.
        Test = "test",
        /// A response action is to be carried out: the destination is what carries it out, its address what it is done
        /// to.
        Act = "act",
        /// It is to be taken back.
        Undo = "undo",
    }
}

impl Purpose {
    /// Withdrawn when somebody acknowledges.
    pub const fn asks(self) -> bool {
        matches!(self, Self::Trigger | Self::Grew | Self::Reminder | Self::Reopened)
    }

    /// Owed only to those who were told of the incident before.
    pub const fn follows(self) -> bool {
        matches!(self, Self::Acknowledged | Self::Resolved | Self::Grew | Self::Reopened)
    }
}

/// One message owed to one destination.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    /// Stable over every attempt, and never used for another message: what providers tell repeats by.
    pub key: String,
    pub incident: Option<IncidentId>,
    pub purpose: Purpose,
    pub severity: Severity,
    /// The step of the ladder that asked for it, counted from 1, and how often the ladder had been gone through.
    pub step: Option<u32>,
    pub round: u32,
    pub to: Destination,
    pub page: Page,
    pub created_at: Timestamp,
    /// Not sent before this.
    pub due_at: Timestamp,
    pub state: NotificationState,
    pub attempts: u32,
    pub attempted_at: Option<Timestamp>,
    pub delivered_at: Option<Timestamp>,
    /// What the provider calls it.
    pub provider_id: Option<String>,
    /// Why it is not delivered, in a sentence.
    pub error: Option<String>,
    /// An earlier attempt may have arrived.
    pub possible_duplicate: bool,
}

/// What is said, frozen when it was decided to say it. Every text may hold an attacker's words: channels escape.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Page {
    /// `#2041`; 0 when it is about no incident.
    pub number: u64,
    /// The incident's version that it speaks of.
    pub version: u64,
    /// Groups the messages of one incident: a mail thread, a PagerDuty alert.
    pub thread: String,
    pub title: String,
    /// `BRUTE_FORCE_ATTACK`
    pub kind: String,
    pub rule: String,
    /// The address, user or resource it is about.
    pub entity: String,
    /// The ECS field `entity` was read from.
    pub entity_field: String,
    pub count: u64,
    pub detected_at: Timestamp,
    /// Sentences of our own about why this is sent now: who escalated, how late it is, who acknowledged.
    pub remarks: Vec<String>,
    /// Answering with this acknowledges it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}
