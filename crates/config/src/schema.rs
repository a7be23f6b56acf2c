//! The file as types: every table, every key, every default. `docs/configuration.md` is made from this text.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use wf_channels::ChannelConfig;
use wf_feeds::FeedConfig;
use wf_model::Severity;
use wf_platform::KeySource;
use wf_response::plan::{Digest, Escalation, Person, Policy, SeverityPlan};
use wf_response::schedule::Schedule;

use crate::dead_man::DeadMan;
use crate::privacy::Privacy;

/// The whole file. Everything has a default: an empty file is a console without feeds.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What it was read from; `None` where there is no file.
    #[serde(skip)]
    pub text: Option<Arc<str>>,
    pub operator: Operator,
    pub store: StoreConfig,
    pub rules: Rules,
    pub mappings: Mappings,
    pub detection: Detection,
    pub incidents: Incidents,
    pub escalation: Escalation,
    pub demo: Demo,
    /// `[person.ID]`
    pub person: BTreeMap<String, Person>,
    /// `[schedule.NAME]`
    pub schedule: BTreeMap<String, Schedule>,
    /// `[policy.NAME]`
    pub policy: BTreeMap<String, Policy>,
    /// `[severity.P1]` to `[severity.P4]`
    pub severity: BTreeMap<Severity, SeverityPlan>,
    /// `[channel.NAME]`
    pub channel: BTreeMap<String, ChannelConfig>,
    /// `[action.NAME]`
    pub action: BTreeMap<String, wf_channels::config::Action>,
    pub digest: Option<Digest>,
    pub privacy: Privacy,
    pub retention: wf_privacy::retention::Retention,
    pub backup: Option<Backup>,
    /// `[connector.NAME]`
    pub connector: BTreeMap<String, wf_channels::connector::Connector>,
    pub dead_man: Option<DeadMan>,
    /// `[feed.NAME]`
    pub feed: BTreeMap<String, FeedConfig>,
}

/// Who sits here.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
pub struct Operator {
    /// The name that stands on the timeline and in the audit log. Empty: the name of the OS user.
    pub name: String,
}

impl Operator {
    pub fn display_name(&self) -> String {
        if !self.name.is_empty() {
            return self.name.clone();
        }
        os_user().unwrap_or_else(|| "operator".to_owned())
    }
}

pub(crate) fn os_user() -> Option<String> {
    ["USER", "LOGNAME", "USERNAME"].iter().find_map(|v| std::env::var(v).ok().filter(|n| !n.is_empty()))
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// Where the database key is: `keychain` (the default), or `env:NAME` with 64 hex digits, for servers.
    pub key: KeySource,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// The rules that ship with Watchfloor.
    pub built_in: bool,
    /// More rule files (`.yml`, `.yaml`) or directories of them. A rule with the id of a built-in one replaces it.
    /// Changes are taken up within seconds.
    pub paths: Vec<PathBuf>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { built_in: true, paths: Vec::new() }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mappings {
    /// Mapping files (`.toml`) of your own.
    pub paths: Vec<PathBuf>,
}

/// Copies of the database, encrypted with its key and read back before they get their name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    /// The folder they are put into; best on another disk.
    pub to: PathBuf,
    /// How often one is made.
    #[serde(default = "day", deserialize_with = "wf_model::span::span")]
    pub every: std::time::Duration,
    /// How many are kept; older ones are deleted once a newer one was read back.
    #[serde(default = "week")]
    pub keep: u32,
}

fn day() -> std::time::Duration {
    std::time::Duration::from_secs(86_400)
}

fn week() -> u32 {
    7
}

/// How long detection waits for what is late. Taken up at the next start.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Detection {
    /// How far behind its source an event may be and still be counted. At least five minutes: so far ahead of time a
    /// stamp is believed.
    #[serde(deserialize_with = "wf_model::span::span")]
    pub lateness: std::time::Duration,
    /// How long a feed that resumes may be away before what was counted of it is forgotten.
    #[serde(deserialize_with = "wf_model::span::span")]
    pub away: std::time::Duration,
}

impl Default for Detection {
    fn default() -> Self {
        Self { lateness: std::time::Duration::from_secs(300), away: std::time::Duration::from_secs(86_400) }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Incidents {
    /// A match joins a live incident whose last event is at most this much older, each match for itself. One that comes
    /// late joins too, but does not move the beginning by more than this.
    #[serde(deserialize_with = "wf_model::span::span")]
    pub fold_window: std::time::Duration,
    /// A new incident is marked as a recurrence when one like it was resolved at most this long ago.
    #[serde(deserialize_with = "wf_model::span::span")]
    pub recurrence: std::time::Duration,
}

impl Default for Incidents {
    fn default() -> Self {
        let s = wf_response::Settings::default();
        Self { fold_window: s.window, recurrence: s.recurrence }
    }
}

/// The demo feed, played by Watchfloor itself on this machine.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Demo {
    /// Play it, and subscribe to it as the feed `demo`.
    pub enabled: bool,
    /// Another seed, another day.
    pub seed: u64,
    /// Ordinary events a minute at the busiest hour.
    pub per_minute: u32,
}

impl Default for Demo {
    fn default() -> Self {
        Self { enabled: false, seed: 1, per_minute: 120 }
    }
}
