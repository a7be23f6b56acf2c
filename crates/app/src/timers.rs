//! Time passes: detection forgets, files are looked at, silence is noticed, the hour is signed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::json;
use tokio::sync::watch;
use wf_feeds::FeedState;
use wf_model::{Actor, AuditAction, Contribution, Entity, FeedName, Match, Message, Part, Severity, Timestamp};

use crate::config::Config;
use crate::controller::Controller;
use crate::engine;
use crate::pipeline::Signal;

const EVERY: Duration = Duration::from_secs(1);
/// Detection forgets, and files are looked at, this often.
const SLOWLY: u64 = 2;
const MINUTE: u64 = 60;
const HOUR: u64 = 3600;

/// Runs until told to stop.
pub async fn run(
    controller: Arc<Controller>,
    config_path: PathBuf,
    mut stop: watch::Receiver<bool>,
) -> Result<(), String> {
    let Some(running) = &controller.running else { return Ok(()) };
    let mut files = Files { config_path, config_seen: None, rules_seen: BTreeMap::new() };
    files.look(&controller.config());
    let mut silent: BTreeMap<FeedName, bool> = BTreeMap::new();
    let (mut n, mut last_events) = (0u64, controller.live.events.load(Ordering::Relaxed));
    let mut interval = tokio::time::interval(EVERY);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = crate::supervisor::told(&mut stop) => return Ok(()),
            _ = interval.tick() => {}
        }
        n += 1;
        // Every second: a step that is due is not late by more than that.
        controller.time_passes(Timestamp::now()).await.map_err(|e| e.to_string())?;
        // And at once after a start: what was missed is not missed for another minute.
        if n % MINUTE == 1 {
            controller.minute_passes(Timestamp::now()).await.map_err(|e| e.to_string())?;
            if controller.retention_due(Timestamp::now()).await.map_err(|e| e.to_string())? {
                // Beside the timers: nobody's escalation waits for it.
                let deleting = controller.clone();
                tokio::spawn(async move {
                    if let Err(e) = deleting.retention_run(&Actor::Engine, None).await {
                        tracing::warn!(error = %e, "retention");
                    }
                });
            }
        }
        let events = controller.live.events.load(Ordering::Relaxed);
        let rate = controller.live.rate.load(Ordering::Relaxed);
        // Smoothed over a few seconds; in tenths.
        controller.live.rate.store((rate * 3 + (events - last_events) * 10) / 4, Ordering::Relaxed);
        if events != last_events || rate != 0 {
            controller.live.touched(|t| t.health += 1);
        }
        last_events = events;
        if !n.is_multiple_of(SLOWLY) {
            continue;
        }
        // A pipeline that waits for the disk must not hold escalation up: it gets its tick when it can.
        if running
            .signals
            .try_send(Signal::Tick)
            .is_err_and(|e| matches!(e, tokio::sync::mpsc::error::TrySendError::Closed(_)))
        {
            return Ok(());
        }
        let matches = silence(&controller, &mut silent).await.map_err(|e| e.to_string())?;
        if !matches.is_empty() && running.signals.send(Signal::Matches(matches)).await.is_err() {
            return Ok(());
        }
        if files.config_changed() {
            reload(&controller, &mut files).await?;
        } else if files.rules_changed(&controller.config()) {
            reload_rules(&controller, "rules.reload").await?;
        }
        if n.is_multiple_of(HOUR)
            && let Err(e) = controller.ledger.checkpoint(Timestamp::now()).await
        {
            // The next action signs anyway; a full disk is shown elsewhere.
            tracing::warn!(error = %e, "hourly checkpoint");
        }
    }
}

/// Feeds that should have spoken by now. A feed is told of once; it counts again after it spoke.
async fn silence(
    controller: &Controller,
    silent: &mut BTreeMap<FeedName, bool>,
) -> Result<Vec<Match>, wf_store::StoreError> {
    let Some(running) = &controller.running else { return Ok(Vec::new()) };
    let limits: Vec<_> = running
        .feeds
        .statuses()
        .into_iter()
        .filter_map(|(name, (status, config))| Some((name, status, config.silence?)))
        .filter(|(_, status, _)| status.state != FeedState::Disabled)
        .collect();
    if limits.is_empty() {
        return Ok(Vec::new());
    }
    let now = Timestamp::now();
    let stored = controller.ledger.store().feeds().await?;
    let mut matches = Vec::new();
    for (name, status, limit) in limits {
        let heard =
            stored.iter().find(|f| f.name == name).map_or(status.since, |f| f.heard_at.max(status.since.min(now)));
        let is_silent = now.since(heard) >= limit;
        let was = silent.insert(name.clone(), is_silent).unwrap_or(false);
        if is_silent && !was {
            matches.push(Match {
                rule: "watchfloor.feed-silent".into(),
                title: "Feed silent".into(),
                kind: "FEED_SILENT".into(),
                severity: Severity::P2,
                entity: Some(Entity { field: "feed".into(), value: name.to_string() }),
                at: now,
                first_at: now,
                count: 1,
                value: 1,
                contribution: Contribution::Fired,
                message: Message(vec![Part::Text(format!(
                    "Feed {name} has been silent for {} min: nothing of it can be detected",
                    limit.as_secs().div_ceil(60)
                ))]),
                actions: vec!["check_feed".into()],
                events: vec![],
                feeds: vec![name],
            });
        }
    }
    Ok(matches)
}

/// Files that may be edited while we run: looked at by name, size and time, because some editors replace them.
struct Files {
    config_path: PathBuf,
    config_seen: Option<(SystemTime, u64)>,
    rules_seen: BTreeMap<PathBuf, (SystemTime, u64)>,
}

fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.len()))
}

fn rule_stamps(config: &Config) -> BTreeMap<PathBuf, (SystemTime, u64)> {
    fn walk(path: &Path, out: &mut BTreeMap<PathBuf, (SystemTime, u64)>, depth: u32) {
        if path.is_dir() && depth < 8 {
            for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
                walk(&entry.path(), out, depth + 1);
            }
        } else if let Some(s) = stamp(path) {
            out.insert(path.to_owned(), s);
        }
    }
    let mut out = BTreeMap::new();
    for path in &config.rules.paths {
        walk(path, &mut out, 0);
    }
    out
}

impl Files {
    fn look(&mut self, config: &Config) {
        self.config_seen = stamp(&self.config_path);
        self.rules_seen = rule_stamps(config);
    }

    fn config_changed(&mut self) -> bool {
        let now = stamp(&self.config_path);
        std::mem::replace(&mut self.config_seen, now) != now
    }

    fn rules_changed(&mut self, config: &Config) -> bool {
        let now = rule_stamps(config);
        if now == self.rules_seen {
            return false;
        }
        self.rules_seen = now;
        true
    }
}

async fn reload(controller: &Controller, files: &mut Files) -> Result<(), String> {
    let path = files.config_path.clone();
    let loaded = tokio::task::spawn_blocking(move || Config::load(&path)).await.map_err(|e| e.to_string())?;
    let problems = match loaded {
        Err(e) => vec![format!("the config was not taken, the old one is in force: {e}")],
        Ok(config) => {
            let old = controller.config();
            let names = |c: &Config| c.feed.keys().cloned().collect::<Vec<_>>();
            let changed: Vec<_> = config
                .feed
                .iter()
                .filter(|(n, f)| old.feed.get(*n).is_some_and(|o| format!("{o:?}") != format!("{f:?}")))
                .map(|(n, _)| n.clone())
                .collect();
            let payload = json!({ "feeds_before": names(&old), "feeds_after": names(&config), "feeds_changed": changed, "rules": config.rules.paths,
                // What decides about deleting and about who may: shown as it was and as it is.
                "retention_before": format!("{:?}", old.retention), "retention_after": format!("{:?}", config.retention), "approvals_before": old.privacy.approvals, "approvals_after": config.privacy.approvals });
            *controller.config.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(config.clone());
            controller.replan().await.map_err(|e| e.to_string())?;
            if let Some(running) = &controller.running {
                running.feeds.apply(&config).await.map_err(|e| format!("the demo feed: {e}"))?;
            }
            record(controller, "config.change", payload).await;
            files.look(&config);
            reload_rules(controller, "rules.reload").await?;
            Vec::new()
        }
    };
    controller.problems.lock().unwrap_or_else(PoisonError::into_inner).insert("config", problems);
    controller.live.touched(|t| t.health += 1);
    Ok(())
}

async fn reload_rules(controller: &Controller, action: &str) -> Result<(), String> {
    let config = controller.config();
    let (rules, problems) =
        tokio::task::spawn_blocking(move || engine::load_rules(&config)).await.map_err(|e| e.to_string())?;
    let payload = json!({ "rules": rules.len(), "problems": engine::sentences(&problems) });
    *controller.authors.lock().unwrap_or_else(PoisonError::into_inner) = engine::authors(&rules);
    controller.problems.lock().unwrap_or_else(PoisonError::into_inner).insert("rules", engine::sentences(&problems));
    if let Some(running) = &controller.running {
        running.signals.send(Signal::Rules(rules)).await.map_err(|e| e.to_string())?;
    }
    record(controller, action, payload).await;
    controller.live.touched(|t| t.health += 1);
    Ok(())
}

async fn record(controller: &Controller, action: &str, payload: serde_json::Value) {
    let action = AuditAction {
        at: Timestamp::now(),
        actor: Actor::Engine,
        action: action.to_owned(),
        subject: "config".into(),
        payload,
    };
    if let Err(e) = controller.ledger.record(vec![action]).await {
        tracing::error!(error = %e, "a change of the config could not be recorded");
    }
}
