//! Without a running engine: the CLI opens the data directory itself, acts, and closes it.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use wf_api::{ApiError, ErrorCode, Request};
use wf_config::Config;
use wf_detect::{Detector, Limits, RuleSet};
use wf_engine::rules;
use wf_feeds::ingest::{Ingest, Pressure, Seed};
use wf_feeds::{FeedConfig, Mapping};
use wf_model::{Contribution, FeedName, Seq, Timestamp};
use wf_platform::{DataDirLock, Keychain, Paths, SystemClock};

use crate::console::Console;
use crate::control;
use crate::open::{self, Outside, StartError};

/// A console on the disk alone. Holds the data directory while it lives.
pub struct Offline {
    pub console: Console,
    _lock: DataDirLock,
}

/// Opens a data directory on which no engine runs.
///
/// # Errors
/// An engine runs on it, or it cannot be opened.
pub async fn open(paths: &Paths, keychain: Arc<dyn Keychain>) -> Result<Offline, StartError> {
    let outside = Outside { keychain, clock: Arc::new(SystemClock), notices: None };
    let opened = open::open(paths, outside).await?;
    let (rule_set, problems) = rules::load_rules(&opened.context.config());
    opened.context.state.set_authors(rules::authors(&rule_set));
    opened.context.state.set_problems("rules", rules::sentences(&problems));
    Ok(Offline { console: Console::new(Arc::new(opened.context), None), _lock: opened.lock })
}

/// An engine that is starting or ending holds the directory and does not answer yet, or any more.
const BETWEEN: Duration = Duration::from_secs(10);

/// Asks the engine that runs on the data directory; where none does, opens it.
pub async fn ask(paths: &Paths, keychain: Arc<dyn Keychain>, request: Request) -> Result<serde_json::Value, ApiError> {
    let until = tokio::time::Instant::now() + BETWEEN;
    loop {
        if let Some(answer) = control::ask(&paths.data_dir, &request).await {
            return answer;
        }
        match open(paths, keychain.clone()).await {
            Ok(offline) => {
                let answer = offline.console.handle(request).await;
                offline.console.context.ledger.close().await;
                return answer;
            }
            Err(StartError::AlreadyRunning(_)) if tokio::time::Instant::now() < until => {
                tokio::time::sleep(Duration::from_millis(50)).await
            }
            Err(e @ StartError::AlreadyRunning(_)) => {
                return Err(ApiError::new(ErrorCode::Refused, format!("{e}, and it does not answer")));
            }
            Err(e @ StartError::Config(_)) => return Err(ApiError::invalid(e)),
            Err(e) => return Err(ApiError::failed(e)),
        }
    }
}

/// Puts a backup in the place of the database. No engine may run on the data directory. Gives where the database that
/// was there lies now.
///
/// # Errors
/// An engine runs; the backup does not open with this console's key, is damaged, or its audit log does not prove itself.
/// Nothing was changed then.
pub async fn restore(
    paths: &Paths,
    keychain: Arc<dyn Keychain>,
    from: &std::path::Path,
) -> Result<Option<std::path::PathBuf>, StartError> {
    let (_lock, _, keys) = open::hold(paths, &keychain).await?;
    Ok(wf_store::restore(from, &keys.database, &paths.database(), wf_compliance::proves_itself).await?)
}

/// One firing, as `rules test` prints it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Firing {
    pub rule: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub severity: String,
    pub entity: Option<String>,
    pub time: String,
    pub count: u64,
}

/// Runs rules over recorded events, a line each, with the time of the events as the clock. Lines that cannot be read
/// are returned with their number.
pub fn rules_test(
    rules: RuleSet,
    mappings: Arc<[Mapping]>,
    lines: impl Iterator<Item = String>,
    mut fired: impl FnMut(Firing),
) -> Result<Vec<String>, ApiError> {
    let config: FeedConfig = toml::from_str("url = \"wss://offline\"").map_err(ApiError::failed)?;
    let mut ingest =
        Ingest::new(FeedName::new("file"), Arc::new(config), mappings, Seed::default()).of_recorded_events();
    let mut detector = Detector::new(rules, Limits::default());
    let (mut next, mut bad) = (1, Vec::new());
    // Stamps of recorded events are believed: the clock stands at the end of time.
    let clock = Timestamp::from_millis(253_402_300_799_000);
    for (n, line) in lines.enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        ingest.on_frame(clock, bytes::Bytes::from(line), Pressure::None);
        let Some(delivery) = ingest.take() else { continue };
        bad.extend(delivery.quarantine.iter().map(|q| format!("line {}: {}", n + 1, q.error)));
        for mut event in delivery.events {
            event.seq = Seq(next);
            next += 1;
            for m in detector.on_batch(event.occurred_at, std::slice::from_ref(&event)) {
                if m.contribution == Contribution::Fired {
                    fired(Firing {
                        rule: m.rule,
                        kind: m.kind,
                        severity: m.severity.as_str().to_owned(),
                        entity: m.entity.map(|e| e.value),
                        time: m.at.rfc3339(),
                        count: m.value,
                    });
                }
            }
        }
    }
    Ok(bad)
}

/// The rule files a path of the config stands for.
///
/// # Errors
/// It is not there, or is no file and no directory.
pub fn rule_files(path: &std::path::Path) -> std::io::Result<Vec<std::path::PathBuf>> {
    rules::files(path)
}

/// Each file and what is wrong with it; empty: nothing.
pub fn rules_check(paths: &[std::path::PathBuf]) -> Vec<(String, Vec<wf_detect::RuleProblem>)> {
    let mut out = Vec::new();
    // A correlation may name rules of other files, of the built-in ones too: all are read together, and each problem
    // goes to its file.
    let mut sources = RuleSet::built_in();
    for path in paths {
        match rules::read_rules(path) {
            Ok(found) => {
                out.extend(found.iter().map(|s| (s.path.clone(), Vec::new())));
                sources.extend(found);
            }
            Err(e) => {
                let problem =
                    wf_detect::RuleProblem { file: path.display().to_string(), line: 0, reason: e.to_string() };
                out.push((path.display().to_string(), vec![problem]));
            }
        }
    }
    let (_, problems) = RuleSet::load(&sources);
    for p in problems {
        if let Some((_, list)) = out.iter_mut().find(|(file, _)| *file == p.file) {
            list.push(p);
        }
    }
    out
}

/// The rules for `rules test`: those of the paths alone, or the built-in ones when there are none.
pub fn rules_for_test(paths: &[std::path::PathBuf]) -> Result<RuleSet, ApiError> {
    let mut sources = Vec::new();
    for path in paths {
        sources.extend(rules::read_rules(path).map_err(|e| ApiError::invalid(format!("{}: {e}", path.display())))?);
    }
    if paths.is_empty() {
        sources = RuleSet::built_in();
    }
    let (rules, problems) = RuleSet::load(&sources);
    match problems.first() {
        Some(p) => Err(ApiError::invalid(p)),
        None => Ok(rules),
    }
}

/// The mappings that `--map` names.
pub fn mappings(config: &Config, names: &str) -> Result<Arc<[Mapping]>, ApiError> {
    let names: Vec<String> = names.split(',').map(|n| n.trim().to_owned()).collect();
    config.mappings_by_name(&names).map_err(ApiError::invalid)
}
