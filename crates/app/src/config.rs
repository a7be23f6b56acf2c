//! `watchfloor.toml`: strict, commented, edited by hand and by the window (comments survive).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use wf_channels::ChannelConfig;
use wf_feeds::{FeedConfig, Mapping};
use wf_model::SecretRef;
use wf_model::channel::ChannelStanding;
use wf_model::{FeedName, Severity};
use wf_response::Plan;
use wf_response::plan::{ActionInfo, ChannelInfo, Contact, Digest, Escalation, Loudness, Person, Policy, SeverityPlan};
use wf_response::schedule::Schedule;

use crate::dead_man::DeadMan;

/// The whole file. Everything has a default: an empty file is a console without feeds.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub operator: Operator,
    pub store: StoreConfig,
    pub rules: Rules,
    pub mappings: Mappings,
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
    pub privacy: crate::privacy::settings::Privacy,
    pub retention: wf_privacy::retention::Retention,
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

fn os_user() -> Option<String> {
    ["USER", "LOGNAME", "USERNAME"].iter().find_map(|v| std::env::var(v).ok().filter(|n| !n.is_empty()))
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// Where the database key is: `keychain` (the default), or `env:NAME` with 64 hex digits, for servers.
    pub key: KeySource,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum KeySource {
    #[default]
    Keychain,
    Env(String),
}

impl TryFrom<String> for KeySource {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text == "keychain" {
            return Ok(Self::Keychain);
        }
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Ok(Self::Env(name.to_owned())),
            // It may be the key itself, so it is not repeated.
            _ => {
                Err("store.key is either \"keychain\" or \"env:NAME\"; the key itself never stands in a file"
                    .to_owned())
            }
        }
    }
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

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Incidents {
    /// A match joins a live incident whose last event is at most this much older.
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

/// The file is wrong: where, and what to write instead.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct ConfigError {
    pub path: String,
    pub reason: String,
}

impl Config {
    /// Reads the file; one that does not exist is an empty one.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, path),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(e) => Err(ConfigError { path: path.display().to_string(), reason: e.to_string() }),
        }
    }

    /// Reads the text. Relative paths in it are relative to the file's directory.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let error = |reason: String| ConfigError { path: path.display().to_string(), reason };
        let mut config: Self = toml::from_str(text).map_err(|e| {
            // The reader would show the line as it stands; it may hold a secret that does not belong there.
            let line = e.span().map(|s| text[..s.start.min(text.len())].matches('\n').count() + 1);
            error(match line {
                Some(n) => format!("line {n}: {}", e.message()),
                None => e.message().to_owned(),
            })
        })?;
        for (name, feed) in &config.feed {
            let at = |reason: String| match line_of(text, name) {
                Some(n) => error(format!("line {n}: [feed.{name}]: {reason}")),
                None => error(format!("[feed.{name}]: {reason}")),
            };
            if name.is_empty()
                || name.len() > 64
                || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
            {
                return Err(at("a feed's name is made of letters, digits, - and _, at most 64".into()));
            }
            feed.check().map_err(at)?;
        }
        if config.demo.enabled && config.feed.contains_key("demo") {
            return Err(error("[demo] and [feed.demo] would be the same feed: rename one".into()));
        }
        let base = path.parent().unwrap_or(Path::new("."));
        for p in config.rules.paths.iter_mut().chain(&mut config.mappings.paths) {
            *p = base.join(&*p);
        }
        for feed in config.feed.values_mut() {
            if let Some(ca) = &mut feed.tls.ca {
                *ca = base.join(&*ca);
            }
        }
        for (name, channel) in &mut config.channel {
            if let ChannelConfig::Email(c) = channel
                && let Some(ca) = &mut c.ca
            {
                *ca = base.join(&*ca);
            }
            channel.check().map_err(|e| error(format!("[channel.{name}]: {e}")))?;
        }
        for (name, action) in &config.action {
            ChannelConfig::Action(action.clone()).check().map_err(|e| error(format!("[action.{name}]: {e}")))?;
        }
        for (name, connector) in &config.connector {
            connector.check().map_err(|e| error(format!("[connector.{name}]: {e}")))?;
        }
        let p = &config.privacy;
        if !p.officer.is_empty() && !config.person.contains_key(&p.officer) {
            return Err(error(format!("[privacy]: officer: there is no [person.{}]", p.officer)));
        }
        if let Some(name) = p.channels.iter().find(|c| !config.channel.contains_key(*c)) {
            return Err(error(format!("[privacy]: channels: there is no [channel.{name}]")));
        }
        if !(1..=2).contains(&p.approvals) {
            return Err(error("[privacy]: approvals is 2, or 1 where there is nobody else".into()));
        }
        // An old habit of the scripts this grew from: the variable alone makes a channel.
        if std::env::var_os("SECURITY_WEBHOOK_URL").is_some_and(|v| !v.is_empty()) {
            config.channel.entry(ENVIRONMENT_WEBHOOK.to_owned()).or_insert_with(environment_webhook);
        }
        config.resolve_maps().map_err(error)?;
        config.plan([0; 32], &[]).check().map_err(error)?;
        Ok(config)
    }

    /// Who sits here: the person whose account runs this, else as `[operator]` says.
    pub fn operator_name(&self) -> String {
        let user = os_user();
        let person = self.person.iter().find(|(_, p)| !p.os_user.is_empty() && Some(&p.os_user) == user.as_ref());
        match person {
            Some((id, p)) if self.operator.name.is_empty() => {
                if p.name.is_empty() {
                    id.clone()
                } else {
                    p.name.clone()
                }
            }
            _ => self.operator.display_name(),
        }
    }

    /// The mappings of each feed, compiled.
    fn resolve_maps(&self) -> Result<BTreeMap<FeedName, Arc<[Mapping]>>, String> {
        let own = self.own_mappings()?;
        self.feed
            .iter()
            .map(|(name, feed)| {
                Ok((FeedName::new(name), mappings(feed.map.names(), &own).map_err(|e| format!("[feed.{name}]: {e}"))?))
            })
            .collect()
    }

    /// The mappings a feed is to be read with.
    pub fn mappings_of(&self, feed: &FeedConfig) -> Result<Arc<[Mapping]>, String> {
        mappings(feed.map.names(), &self.own_mappings()?)
    }

    /// Mappings by name, as `--map` and `map =` give them.
    pub fn mappings_by_name(&self, names: &[String]) -> Result<Arc<[Mapping]>, String> {
        mappings(names, &self.own_mappings()?)
    }

    fn own_mappings(&self) -> Result<BTreeMap<String, Mapping>, String> {
        let mut own = BTreeMap::new();
        for path in &self.mappings.paths {
            let text = std::fs::read_to_string(path).map_err(|e| format!("mapping {}: {e}", path.display()))?;
            let mapping = Mapping::parse(&text).map_err(|e| format!("mapping {}: {e}", path.display()))?;
            own.insert(mapping.name().to_owned(), mapping);
        }
        Ok(own)
    }

    /// Who is told of what, with what is known of the channels.
    pub fn plan(&self, code_key: [u8; 32], standings: &[ChannelStanding]) -> Plan {
        let info = |(name, channel): (&String, &ChannelConfig)| {
            let standing = standings.iter().find(|s| s.name == *name);
            ChannelInfo {
                contact: match channel {
                    ChannelConfig::Email(_) => Contact::Email,
                    ChannelConfig::Sms(_) | ChannelConfig::Voice(_) => Contact::Phone,
                    ChannelConfig::Slack(_)
                    | ChannelConfig::Pagerduty(_)
                    | ChannelConfig::Discord(_)
                    | ChannelConfig::Telegram(_)
                    | ChannelConfig::Webhook(_)
                    | ChannelConfig::Action(_) => Contact::Place,
                },
                loudness: match channel {
                    ChannelConfig::Sms(_) | ChannelConfig::Voice(_) => Loudness::Wakes,
                    ChannelConfig::Email(_) => Loudness::Mail,
                    ChannelConfig::Slack(_)
                    | ChannelConfig::Pagerduty(_)
                    | ChannelConfig::Discord(_)
                    | ChannelConfig::Telegram(_)
                    | ChannelConfig::Webhook(_)
                    | ChannelConfig::Action(_) => Loudness::Chat,
                },
                worked_at: standing.and_then(|s| s.worked_at),
                broken: standing.and_then(|s| s.broken.clone()),
                severities: if name == ENVIRONMENT_WEBHOOK { Severity::ALL.to_vec() } else { Vec::new() },
                name: name.clone(),
            }
        };
        Plan {
            people: self.person.clone(),
            schedules: self.schedule.clone(),
            policies: self.policy.clone(),
            severities: self.severity.clone(),
            channels: self.channel.iter().map(info).collect(),
            digest: self.digest.clone(),
            escalation: self.escalation,
            code_key,
            actions: self
                .action
                .iter()
                .map(|(name, a)| {
                    let native = a.does == wf_channels::config::Does::Crowdsec;
                    let info = ActionInfo {
                        title: if a.title.is_empty() { name.replace('_', " ") } else { a.title.clone() },
                        about: a.about.clone(),
                        undo: a.has_undo(),
                        taken_back_after: a.lasts.filter(|_| !native),
                        lasts: a.lasts,
                        without_asking: a.without_asking,
                    };
                    (name.clone(), info)
                })
                .collect(),
        }
    }

    /// Every reference to a secret, so that a missing one is known before it is needed.
    pub fn secret_refs(&self) -> Vec<(String, &SecretRef)> {
        use wf_feeds::config::Auth;
        self.feed
            .iter()
            .filter_map(|(name, f)| {
                let secret = match f.auth.as_ref()? {
                    Auth::Bearer { secret }
                    | Auth::Basic { secret, .. }
                    | Auth::Header { secret, .. }
                    | Auth::Query { secret, .. }
                    | Auth::FirstFrame { secret, .. }
                    | Auth::Mtls { secret, .. } => secret,
                };
                Some((format!("[feed.{name}]"), secret))
            })
            .chain(
                self.channel
                    .iter()
                    .flat_map(|(name, c)| c.secrets().into_iter().map(move |s| (format!("[channel.{name}]"), s))),
            )
            .chain(
                self.action.iter().flat_map(|(name, a)| a.secret.iter().map(move |s| (format!("[action.{name}]"), s))),
            )
            .chain(
                self.connector
                    .iter()
                    .flat_map(|(name, c)| c.secret.iter().map(move |s| (format!("[connector.{name}]"), s))),
            )
            .chain(self.person.iter().flat_map(|(id, p)| p.approver.iter().map(move |s| (format!("[person.{id}]"), s))))
            .chain(self.dead_man.iter().map(|d| ("[dead_man]".to_owned(), &d.url)))
            .collect()
    }
}

/// The channel that the environment makes.
const ENVIRONMENT_WEBHOOK: &str = "security-webhook";

fn environment_webhook() -> ChannelConfig {
    ChannelConfig::Webhook(wf_channels::config::Webhook {
        url: String::new(),
        secret_url: Some(SecretRef::Env("SECURITY_WEBHOOK_URL".into())),
        signing_key: None,
        allow: Vec::new(),
        headers: BTreeMap::new(),
        template: String::new(),
    })
}

fn mappings(names: &[String], own: &BTreeMap<String, Mapping>) -> Result<Arc<[Mapping]>, String> {
    if names.is_empty() {
        return Err("map names no mapping".into());
    }
    names
        .iter()
        .map(|name| {
            own.get(name).cloned().or_else(|| Mapping::built_in(name)).ok_or_else(|| {
                let known: Vec<_> =
                    wf_feeds::mapping::BUILT_IN.iter().map(|(n, _)| *n).chain(own.keys().map(String::as_str)).collect();
                format!("there is no mapping '{name}'; there are {}", known.join(", "))
            })
        })
        .collect()
}

fn line_of(text: &str, feed: &str) -> Option<usize> {
    text.lines().position(|l| l.trim() == format!("[feed.{feed}]")).map(|n| n + 1)
}

/// Adds or replaces `[feed.NAME]`, keeping everything else as it stands, comments included. The text that results is
/// checked before it is returned.
pub fn with_feed(text: &str, path: &Path, name: &str, feed: &str) -> Result<String, ConfigError> {
    let error =
        |e: toml_edit::TomlError| ConfigError { path: path.display().to_string(), reason: e.message().to_owned() };
    let mut document: toml_edit::DocumentMut = text.parse().map_err(error)?;
    let table: toml_edit::DocumentMut = feed.parse().map_err(error)?;
    let feeds = document.entry("feed").or_insert_with(|| {
        let mut t = toml_edit::Table::new();
        t.set_implicit(true);
        toml_edit::Item::Table(t)
    });
    let wrong = || ConfigError { path: path.display().to_string(), reason: "'feed' is not a table".into() };
    feeds.as_table_mut().ok_or_else(wrong)?.insert(name, toml_edit::Item::Table(table.as_table().clone()));
    let text = document.to_string();
    Config::parse(&text, path)?;
    Ok(text)
}

/// Adds an override to `[schedule.NAME]`, keeping everything else as it stands.
pub fn with_override(
    text: &str,
    path: &Path,
    schedule: &str,
    person: &str,
    from: &str,
    to: &str,
) -> Result<String, ConfigError> {
    let error = |reason: String| ConfigError { path: path.display().to_string(), reason };
    let mut document: toml_edit::DocumentMut =
        text.parse().map_err(|e: toml_edit::TomlError| error(e.message().to_owned()))?;
    let table = document
        .get_mut("schedule")
        .and_then(|s| s.get_mut(schedule))
        .and_then(toml_edit::Item::as_table_like_mut)
        .ok_or_else(|| error(format!("there is no [schedule.{schedule}]")))?;
    let mut new = toml_edit::InlineTable::new();
    for (key, value) in [("person", person), ("from", from), ("to", to)] {
        new.insert(key, value.into());
    }
    match table.get_mut("override") {
        None => {
            table.insert("override", toml_edit::value(toml_edit::Array::from_iter([new])));
        }
        Some(item) => match (item.as_array_mut().is_some(), item.is_array_of_tables()) {
            (true, _) => item.as_array_mut().into_iter().for_each(|a| a.push(new.clone())),
            (_, true) => item.as_array_of_tables_mut().into_iter().for_each(|a| a.push(new.clone().into_table())),
            _ => return Err(error(format!("[schedule.{schedule}]: 'override' is not a list"))),
        },
    }
    let text = document.to_string();
    Config::parse(&text, path)?;
    Ok(text)
}

/// Gives `[person.ID]` a reference to their authenticator's secret, keeping everything else as it stands.
pub fn with_approver(text: &str, path: &Path, person: &str, reference: &str) -> Result<String, ConfigError> {
    let error = |reason: String| ConfigError { path: path.display().to_string(), reason };
    let mut document: toml_edit::DocumentMut =
        text.parse().map_err(|e: toml_edit::TomlError| error(e.message().to_owned()))?;
    let table = document
        .get_mut("person")
        .and_then(|s| s.get_mut(person))
        .and_then(toml_edit::Item::as_table_like_mut)
        .ok_or_else(|| error(format!("there is no [person.{person}]")))?;
    table.insert("approver", toml_edit::value(reference));
    let text = document.to_string();
    Config::parse(&text, path)?;
    Ok(text)
}

/// Switches the demo feed on or off, keeping everything else as it stands.
pub fn with_demo(text: &str, path: &Path, enabled: bool) -> Result<String, ConfigError> {
    let mut document: toml_edit::DocumentMut = text.parse().map_err(|e: toml_edit::TomlError| ConfigError {
        path: path.display().to_string(),
        reason: e.message().to_owned(),
    })?;
    document["demo"]["enabled"] = toml_edit::value(enabled);
    if let Some(t) = document["demo"].as_inline_table().cloned() {
        document["demo"] = toml_edit::Item::Table(t.into_table());
    }
    let text = document.to_string();
    Config::parse(&text, path)?;
    Ok(text)
}

pub use wf_model::span::parse_span;

/// Writes a file so that a crash leaves either the old or the new one, readable by this user alone.
pub fn write(path: &Path, text: &str) -> std::io::Result<()> {
    write_bytes(path, text.as_bytes())
}

/// As [`write`], for bytes.
pub fn write_bytes(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(dir) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
        std::fs::create_dir_all(dir)?;
    }
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    crate::platform::write_private(&temporary, bytes)?;
    std::fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("/etc/watchfloor/watchfloor.toml")).map_err(|e| e.to_string())
    }

    #[test]
    fn an_empty_file_is_a_console_without_feeds() {
        let c = parse("").unwrap();
        assert!(c.feed.is_empty() && c.rules.built_in && c.store.key == KeySource::Keychain);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line_and_without_its_text() {
        for (text, expected) in [
            ("\n\n[sotre]\n", "line 3: unknown field `sotre`"),
            (
                "[store]\nkey = \"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\"",
                "line 2: store.key",
            ),
            ("# hello\n[feed.shop]\nurl = \"http://x\"", "line 2: [feed.shop]: url"),
            ("[feed.shop]\nurl = \"wss://x\"\nmap = \"nope\"", "there is no mapping 'nope'"),
            ("[feed.\"a b\"]\nurl = \"wss://x\"", "letters"),
            ("[feed.x]\nurl = \"wss://x\"\nauth = { scheme = \"bearer\", secret = \"hunter2hunter2\" }", "line 3"),
            ("nonsense", "line 1"),
            ("[demo]\nenabled = true\n[feed.demo]\nurl = \"wss://x\"", "rename one"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains("hunter2") && !error.contains("00010203"), "t8: {error}");
        }
    }

    #[test]
    fn the_window_edits_the_file_and_comments_survive() {
        let text = "# mine\n[operator]\nname = \"Ann\" # me\n";
        let path = Path::new("w.toml");
        let with = with_feed(text, path, "shop", "url = \"wss://shop.example/\"\nmap = \"ecs\"\n").unwrap();
        assert!(with.contains("# mine") && with.contains("# me") && with.contains("[feed.shop]"), "{with}");
        let with = with_demo(&with, path, true).unwrap();
        let config = Config::parse(&with, path).unwrap();
        assert!(config.demo.enabled && config.feed.contains_key("shop"));
        assert!(with_feed(text, path, "shop", "url = \"ftp://x\"\n").is_err(), "a wrong feed is not written");
    }
}
