//! The file read and checked: what is wrong is said with its line and without its text.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use wf_channels::ChannelConfig;
use wf_feeds::{FeedConfig, Mapping};
use wf_model::{FeedName, SecretRef};
use wf_platform::environment;

use crate::Config;

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
        // What is wrong may repeat a key or a value of the file.
        let error = |reason: String| ConfigError {
            path: path.display().to_string(),
            reason: wf_model::text::sentence(&reason),
        };
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
        if config.detection.lateness < std::time::Duration::from_secs(300) {
            return Err(error(
                "[detection]: lateness is five minutes at least: so far ahead a stamp is believed".into(),
            ));
        }
        let base = path.parent().unwrap_or(Path::new("."));
        for p in config.rules.paths.iter_mut().chain(&mut config.mappings.paths) {
            *p = base.join(&*p);
        }
        if let Some(backup) = &mut config.backup {
            if backup.every < std::time::Duration::from_secs(3600) || backup.keep == 0 {
                return Err(error("[backup]: every is an hour at least, and keep is 1 at least".into()));
            }
            backup.to = base.join(&backup.to);
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
        if environment::is_set(environment::WEBHOOK) {
            config.channel.entry(ENVIRONMENT_WEBHOOK.to_owned()).or_insert_with(environment_webhook);
        }
        config.text = Some(text.into());
        config.resolve_maps().map_err(error)?;
        config.plan([0; 32], &[]).check().map_err(error)?;
        Ok(config)
    }

    /// Who sits here: the person whose account runs this, else as `[operator]` says.
    pub fn operator_name(&self) -> String {
        let user = crate::schema::os_user();
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

    /// Every reference to a secret, so that a missing one is known before it is needed.
    pub fn secret_refs(&self) -> Vec<(String, &SecretRef)> {
        self.feed
            .iter()
            .flat_map(|(name, f)| f.secrets().map(move |s| (format!("[feed.{name}]"), s)))
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
pub(crate) const ENVIRONMENT_WEBHOOK: &str = "security-webhook";

fn environment_webhook() -> ChannelConfig {
    ChannelConfig::Webhook(wf_channels::config::Webhook {
        url: String::new(),
        secret_url: Some(SecretRef::Env(environment::WEBHOOK.into())),
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

#[cfg(test)]
mod tests {
    use wf_platform::KeySource;

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
            (
                "[channel.a]\nkind = \"webhook\"\nurl = \"https://x/?token=hunter2\"",
                "[channel.a]: url: the parameter 'token' looks like a secret",
            ),
            ("nonsense", "line 1"),
            ("[demo]\nenabled = true\n[feed.demo]\nurl = \"wss://x\"", "rename one"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains("hunter2") && !error.contains("00010203"), "t8: {error}");
        }
    }
}
