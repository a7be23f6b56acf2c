//! The console as a whole: threat, health, what needs somebody.

use serde::{Deserialize, Serialize};
use specta::Type;

use super::Millis;
use super::feed::{Conservation, FeedView};
use super::incident::{IncidentView, NextStep};
use super::privacy::PrivacyBadge;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct TaskView {
    pub name: String,
    pub running: bool,
    pub restarts: u32,
    pub last_failure: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct StoreView {
    pub path: String,
    pub bytes: u64,
    pub events: u64,
    pub encrypted: bool,
    /// Where the key is: `keychain` or `environment`.
    pub key: String,
    /// Why nothing can be stored right now.
    pub blocked: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct RuleView {
    pub id: String,
    pub title: String,
    pub matches: u64,
    pub last_match: Option<Millis>,
    pub groups: u64,
    pub late: u64,
    pub incomplete: u64,
    pub shed: u64,
}

/// Everything that can be wrong, in one place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct HealthView {
    pub version: String,
    /// `false`: read from the disk by a tool; nothing runs.
    pub running: bool,
    pub feeds: Vec<FeedView>,
    pub tasks: Vec<TaskView>,
    pub store: StoreView,
    pub rules: Vec<RuleView>,
    /// Sentences: rules that could not be loaded, a config that could not be read.
    pub problems: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct ThreatView {
    pub level: String,
    pub score: u32,
    pub reasons: Vec<String>,
    pub formula: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct TopView {
    pub name: String,
    pub count: u64,
    pub severity: String,
}

/// The status bar, the rail's badges, and the head of the Watch room.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct OverviewView {
    pub operator: String,
    pub threat: ThreatView,
    /// Live incidents, P1 first.
    pub live: Vec<u32>,
    /// Open ones that nobody has acknowledged, the gravest first.
    pub needs_you: Vec<IncidentView>,
    pub most_active: Vec<TopView>,
    pub feeds: Vec<FeedView>,
    pub events_per_second: f64,
    pub lag_ms: u64,
    pub totals: Conservation,
    /// Names of everybody in the config, for assigning.
    pub people: Vec<String>,
    /// What escalation does next, of all incidents.
    pub next: Option<NextStep>,
    /// Messages that wait to be sent.
    pub owed: u32,
    pub blocked: Option<String>,
    pub privacy: PrivacyBadge,
    pub problems: Vec<String>,
    /// No feed is set up: the first run's screen is due.
    pub first_run: bool,
}
