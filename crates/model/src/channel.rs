//! What is known of a channel: what its kind can do, and whether it was seen to work.

use std::time::Duration;

use crate::Timestamp;

/// What a channel needs of a person to reach them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contact {
    Email,
    Phone,
    /// The channel is a place of its own: a chat room, a pager service, a webhook.
    Place,
}

/// How urgent something must be for a channel to be used unless the config says otherwise: P1 uses every channel, P2
/// chat, mail and PagerDuty, P3 mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loudness {
    /// No channel is this quiet.
    Silent,
    Mail,
    Chat,
    Wakes,
}

/// Which of a person's accounts an answer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    Telegram,
    Slack,
    Phone,
}

/// What is true of every channel of a kind, whatever its config says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits {
    /// The word in the config.
    pub kind: &'static str,
    /// As people call it.
    pub title: &'static str,
    /// How fast messages may follow one another to one destination.
    pub pace: Duration,
    pub contact: Contact,
    pub loudness: Loudness,
    /// It is told how an incident goes on: a call or an SMS that says "somebody is on it" would only wake.
    pub follows: bool,
    /// What waits for one that asked us to slow down is said in one message. Machines tell incidents apart by key, so
    /// theirs are never joined.
    pub joins: bool,
    /// One can answer through it, if its config says so: whose account that is.
    pub answers: Option<Account>,
}

/// The standing of a channel, by its name in the config.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelStanding {
    pub name: String,
    /// When a message last went through.
    pub worked_at: Option<Timestamp>,
    pub failed_at: Option<Timestamp>,
    /// Why nothing will go through until somebody mends it.
    pub broken: Option<String>,
    /// Where an answering channel was read up to.
    pub cursor: Option<String>,
}
