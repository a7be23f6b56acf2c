//! Files that may be edited while the console runs: the config, rules, mappings. Looked at every two seconds, beside the
//! timers, so that a slow directory holds nobody up.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::json;
use tokio::sync::{mpsc, watch};
use wf_config::Config;
use wf_model::{Actor, AuditAction, FeedName};

use crate::context::Context;
use crate::feeds::FeedManager;
use crate::pipeline::PipelineCommand;
use crate::rules;

const EVERY: Duration = Duration::from_secs(2);

/// A file as it was when it was last looked at: by time and size, because some editors replace files.
type Stamps = BTreeMap<PathBuf, (SystemTime, u64)>;

/// Takes up what changed on the disk.
pub struct Watcher {
    pub context: Arc<Context>,
    pub feeds: Arc<FeedManager>,
    pub commands: mpsc::Sender<PipelineCommand>,
}

/// What was found on the disk.
struct Found {
    /// `Ok(None)`: there is no such file.
    config: Result<Option<String>, String>,
    rules: Stamps,
    mappings: Stamps,
}

fn look(config_path: &Path, config: &Config) -> Found {
    let text = match std::fs::read_to_string(config_path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(format!("{}: {e}", config_path.display())),
    };
    let stamps = |paths: &mut dyn Iterator<Item = PathBuf>| -> Stamps {
        paths
            .filter_map(|path| {
                let meta = std::fs::metadata(&path).ok()?;
                Some((path, (meta.modified().ok()?, meta.len())))
            })
            .collect()
    };
    let mut rule_files = config.rules.paths.iter().flat_map(|p| rules::files(p).unwrap_or_default());
    Found { config: text, rules: stamps(&mut rule_files), mappings: stamps(&mut config.mappings.paths.iter().cloned()) }
}

impl Watcher {
    /// Runs until told to stop.
    pub async fn run(&self, mut stop: watch::Receiver<bool>) -> Result<(), String> {
        let mut seen = self.look().await?;
        // What was refused is not tried again until it changes.
        let mut refused: Option<String> = None;
        loop {
            let found = self.look().await?;
            let in_force = self.context.config().text.clone();
            match &found.config {
                Ok(Some(text)) if in_force.as_deref() == Some(text) => {
                    if refused.take().is_some() {
                        self.problem(Vec::new());
                    }
                    if found.mappings != seen.mappings {
                        self.take_up(text).await?;
                    } else if found.rules != seen.rules {
                        self.take_up_rules().await?;
                    }
                }
                // Twice the same: a file that is being written is not taken up half-way.
                Ok(Some(text)) if refused.as_ref() != Some(text) && seen.config == found.config => {
                    refused = if self.take_up(text).await? { None } else { Some(text.clone()) };
                }
                Ok(None) if in_force.is_some() => {
                    refused.get_or_insert_default();
                    self.problem(vec![format!(
                        "the config file {} is gone; what it said stays in force until it is back",
                        self.context.config_path.display()
                    )]);
                }
                Err(e) => {
                    refused.get_or_insert_default();
                    self.problem(vec![format!("the config cannot be read, the old one is in force: {e}")]);
                }
                Ok(_) => {}
            }
            seen = found;
            tokio::select! {
                () = crate::supervisor::told(&mut stop) => return Ok(()),
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    async fn look(&self) -> Result<Found, String> {
        let (path, config) = (self.context.config_path.clone(), self.context.config());
        tokio::task::spawn_blocking(move || look(&path, &config)).await.map_err(|e| e.to_string())
    }

    fn problem(&self, problems: Vec<String>) {
        self.context.state.set_problems("config", problems);
        self.context.recent.touched(|t| t.health += 1);
    }

    /// Puts another config in force. `false`: it is wrong, and the old one stays.
    async fn take_up(&self, text: &str) -> Result<bool, String> {
        let context = &*self.context;
        let (text, path) = (text.to_owned(), context.config_path.clone());
        let parsed =
            tokio::task::spawn_blocking(move || Config::parse(&text, &path)).await.map_err(|e| e.to_string())?;
        let config = match parsed {
            Ok(config) => Arc::new(config),
            Err(e) => {
                self.problem(vec![format!("the config was not taken, the old one is in force: {e}")]);
                return Ok(false);
            }
        };
        let old = context.config();
        context.state.set_config(config.clone());
        context.replan().await.map_err(|e| e.to_string())?;
        let resuming = PipelineCommand::Resuming(resuming(&config));
        self.commands.send(resuming).await.map_err(|e| e.to_string())?;
        let unplayed = self.feeds.apply(&config).await.err().map(|e| format!("the demo feed: {e}"));
        self.record("config.change", what_changed(&old, &config)).await;
        self.take_up_rules().await?;
        self.problem(unplayed.into_iter().collect());
        Ok(true)
    }

    async fn take_up_rules(&self) -> Result<(), String> {
        let (state, config) = (&self.context.state, self.context.config());
        let (rules, problems) =
            tokio::task::spawn_blocking(move || rules::load_rules(&config)).await.map_err(|e| e.to_string())?;
        let sentences = rules::sentences(&problems);
        let payload = json!({ "rules": rules.len(), "problems": sentences });
        state.set_authors(rules::authors(&rules));
        state.set_problems("rules", sentences);
        self.commands.send(PipelineCommand::Rules(rules)).await.map_err(|e| e.to_string())?;
        self.record("rules.reload", payload).await;
        self.context.recent.touched(|t| t.health += 1);
        Ok(())
    }

    async fn record(&self, action: &str, payload: serde_json::Value) {
        let action = AuditAction {
            at: self.context.now(),
            actor: Actor::Engine,
            action: action.to_owned(),
            subject: "config".into(),
            payload,
        };
        if let Err(e) = self.context.ledger.record(vec![action]).await {
            tracing::error!(error = %e, "a change of the config could not be recorded");
        }
    }
}

/// The feeds that resume where they stopped.
pub fn resuming(config: &Config) -> Vec<FeedName> {
    config.feed.iter().filter(|(_, f)| f.enabled && f.resumes()).map(|(n, _)| FeedName::new(n)).collect()
}

fn what_changed(old: &Config, new: &Config) -> serde_json::Value {
    let names = |c: &Config| c.feed.keys().cloned().collect::<Vec<_>>();
    let changed: Vec<_> = new
        .feed
        .iter()
        .filter(|(n, f)| old.feed.get(*n).is_some_and(|o| format!("{o:?}") != format!("{f:?}")))
        .map(|(n, _)| n)
        .collect();
    json!({
        "feeds_before": names(old), "feeds_after": names(new), "feeds_changed": changed, "rules": new.rules.paths,
        // What decides about deleting and about who may: shown as it was and as it is.
        "retention_before": format!("{:?}", old.retention), "retention_after": format!("{:?}", new.retention),
        "approvals_before": old.privacy.approvals, "approvals_after": new.privacy.approvals,
    })
}
