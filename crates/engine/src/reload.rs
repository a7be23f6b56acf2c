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

/// The files that a config refers to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Files {
    rules: Stamps,
    mappings: Stamps,
}

/// What was found on the disk.
struct Found {
    /// `Ok(None)`: there is no such file.
    config: Result<Option<String>, String>,
    files: Files,
}

fn files_of(config: &Config) -> Files {
    let stamps = |paths: &mut dyn Iterator<Item = PathBuf>| -> Stamps {
        paths
            .filter_map(|path| {
                let meta = std::fs::metadata(&path).ok()?;
                Some((path, (meta.modified().ok()?, meta.len())))
            })
            .collect()
    };
    let mut rules = config.rules.paths.iter().flat_map(|p| rules::files(p).unwrap_or_default());
    Files { rules: stamps(&mut rules), mappings: stamps(&mut config.mappings.paths.iter().cloned()) }
}

fn look(config_path: &Path, config: &Config) -> Found {
    let text = match std::fs::read_to_string(config_path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(format!("{}: {e}", config_path.display())),
    };
    Found { config: text, files: files_of(config) }
}

impl Watcher {
    /// Runs until told to stop.
    pub async fn run(&self, mut stop: watch::Receiver<bool>) -> Result<(), String> {
        let mut seen = self.look().await?;
        // The text that all of the console goes by: not that of a config that is in force by half.
        let mut taken_up = self.context.config().text.clone();
        // What was refused is not tried again until it changes.
        let mut refused: Option<String> = None;
        // Something is said about the config that is over once its text is the one in force.
        let mut said = false;
        loop {
            let found = self.look().await?;
            match &found.config {
                Ok(Some(text)) if taken_up.as_deref() == Some(text.as_str()) => {
                    refused = None;
                    if std::mem::take(&mut said) {
                        self.problem(Vec::new());
                    }
                    let files = found.files;
                    let done = if files.mappings != seen.files.mappings {
                        self.take_up(text).await.map(|_| files)
                    } else if files.rules != seen.files.rules {
                        self.take_up_rules().await.map(|()| files)
                    } else {
                        Ok(files)
                    };
                    // What changes while the config cannot be read, or is not taken up, is taken up later.
                    match done {
                        Ok(files) => seen.files = files,
                        Err(e) => {
                            said = true;
                            self.half(&e);
                        }
                    }
                }
                // Twice the same: a file that is being written is not taken up half-way.
                Ok(Some(text)) if refused.as_ref() != Some(text) && seen.config == found.config => {
                    match self.take_up(text).await {
                        Ok(Some(files)) => {
                            // What was said before is over: it said itself what is wrong with this one.
                            (refused, said) = (None, false);
                            (taken_up, seen.files) = (Some(text.as_str().into()), files);
                        }
                        Ok(None) => (refused, said) = (Some(text.clone()), true),
                        Err(e) => {
                            said = true;
                            self.half(&e);
                        }
                    }
                }
                Ok(None) if taken_up.is_some() => {
                    said = true;
                    self.problem(vec![format!(
                        "the config file {} is gone; what it said stays in force until it is back",
                        self.context.config_path.display()
                    )]);
                }
                Err(e) => {
                    said = true;
                    self.problem(vec![format!("the config cannot be read, the old one is in force: {e}")]);
                }
                Ok(_) => {}
            }
            seen.config = found.config;
            tokio::select! {
                () = crate::supervisor::told(&mut stop) => return Ok(()),
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    fn half(&self, why: &str) {
        tracing::error!(why, "what changed could not be taken up");
        self.problem(vec![format!("what changed is in force only in part, and is tried again: {why}")]);
    }

    async fn look(&self) -> Result<Found, String> {
        let (path, config) = (self.context.config_path.clone(), self.context.config());
        tokio::task::spawn_blocking(move || look(&path, &config)).await.map_err(|e| e.to_string())
    }

    fn problem(&self, problems: Vec<String>) {
        self.context.state.set_problems("config", problems);
        self.context.recent.touched(|t| t.health += 1);
    }

    /// Puts another config in force. Gives the files it refers to as they were before they were read again; `None`: it
    /// is wrong, and the old one stays.
    async fn take_up(&self, text: &str) -> Result<Option<Files>, String> {
        let context = &*self.context;
        let (text, path) = (text.to_owned(), context.config_path.clone());
        let parsed = tokio::task::spawn_blocking(move || {
            let config = Config::parse(&text, &path)?;
            let files = files_of(&config);
            Ok::<_, wf_config::ConfigError>((config, files))
        });
        let (config, files) = match parsed.await.map_err(|e| e.to_string())? {
            Ok((config, files)) => (Arc::new(config), files),
            Err(e) => {
                self.problem(vec![format!("the config was not taken, the old one is in force: {e}")]);
                return Ok(None);
            }
        };
        let old = context.config();
        context.state.set_config(config.clone());
        context.replan().await.map_err(|e| e.to_string())?;
        // Feeds need nobody to be free; the pipeline may be waiting for the disk.
        let unplayed = self.feeds.apply(&config).await.err().map(|e| format!("the demo feed: {e}"));
        let resuming = PipelineCommand::Resuming(resuming(&config));
        self.commands.send(resuming).await.map_err(|e| e.to_string())?;
        self.record("config.change", what_changed(&old, &config)).await;
        self.take_up_rules().await?;
        self.problem(unplayed.into_iter().collect());
        Ok(Some(files))
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
