//! `watchfloorctl`: the same console without a window, for servers, scripts and auditors.
//!
//! It acts through the engine that runs on the data directory; where none does, it opens the directory itself. Results
//! go to standard output, errors to standard error. Exit codes: 1 failure, 2 usage, 3 refused by the state of things.

mod desk;
mod privacy;
mod render;
mod run;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use serde_json::{Value, json};
use wf_api::{ApiError, ErrorCode, Request};
use wf_config::Config;
use wf_console::{StartError, offline};
use wf_platform::OsKeychain;
use wf_platform::Paths;

/// A security console without a window.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    /// Where the database lies.
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The config file.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the engine without a window, until SIGTERM.
    Run {
        /// Stop after this long (90s, 10m, 2h).
        #[arg(long = "for", value_name = "DURATION", value_parser = wf_config::parse_span)]
        duration: Option<std::time::Duration>,
    },
    /// Subscriptions.
    #[command(subcommand)]
    Feeds(Feeds),
    /// Stored events.
    #[command(subcommand)]
    Events(Events),
    /// Incidents.
    #[command(subcommand)]
    Incidents(desk::Incidents),
    /// What nobody is told of for a while.
    #[command(subcommand)]
    Silences(desk::Silences),
    /// Rotas.
    #[command(subcommand)]
    Oncall(desk::OnCall),
    /// Who could not be reached, and when. Exit code 1 if anybody could not.
    Readiness,
    /// What was sent to whom, and what became of it.
    #[command(subcommand)]
    Notifications(desk::Notifications),
    /// Ways to reach people.
    #[command(subcommand)]
    Channels(desk::Channels),
    /// Test every channel at once. Exit code 1 if any message did not arrive.
    Drill,
    /// How long it took: to detect, acknowledge, respond, resolve.
    Metrics {
        /// A moment (2026-02-22T22:00:00Z) or a span back from now (24h, 30d).
        #[arg(long)]
        since: Option<String>,
    },
    /// Rights of data subjects, breaches, consents, retention, holds.
    #[command(subcommand)]
    Privacy(privacy::Privacy),
    /// Make a report: PDF, JSON, or a signed pack.
    #[command(subcommand)]
    Report(privacy::Report),
    /// Evidence packs.
    #[command(subcommand)]
    Evidence(privacy::Evidence),
    /// Copy the database to a new file, encrypted with the same key, and check the copy.
    Backup { file: PathBuf },
    /// Put a backup in the place of the database. No console may run; what was there is kept beside it.
    Restore { file: PathBuf },
    /// Detection rules.
    #[command(subcommand)]
    Rules(Rules),
    /// The audit log.
    #[command(subcommand)]
    Audit(Audit),
    /// Feeds with the conservation numbers, tasks, store.
    Health,
    /// The config file.
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Subcommand)]
enum Feeds {
    /// Every feed and how it does.
    List,
    /// Connect once and show the handshake, the first frames and what became of them.
    Test { name: String },
    /// Start a feed again, also one that stopped because it was refused.
    Restart { name: String },
}

#[derive(Subcommand)]
enum Events {
    /// Stored events, newest first.
    List {
        /// Words, the beginning of one (adm*), field=value, "any text"; a leading - turns a term round.
        #[arg(long, default_value = "")]
        query: String,
        /// A moment (2026-02-22T22:00:00Z) or a span back from now (15m, 24h, 7d).
        #[arg(long)]
        since: Option<String>,
        #[arg(long, default_value_t = 100)]
        limit: u32,
        /// Go on after an earlier page: its `next`.
        #[arg(long, value_name = "CURSOR")]
        after: Option<String>,
    },
    /// How many events are stored.
    Count,
}

#[derive(Subcommand)]
enum Rules {
    /// Check rule files; exit code 1 if any is bad.
    Check {
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
    /// Run rules over recorded events: one JSON line a firing.
    Test {
        /// Rule files or directories; the built-in rules when there are none.
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// Recorded events, one a line.
        #[arg(long, value_name = "FILE.ndjson")]
        events: PathBuf,
        /// The mapping to read them with; several separated by commas are tried in order.
        #[arg(long, default_value = "ecs", value_name = "NAME")]
        map: String,
    },
}

#[derive(Subcommand)]
enum Audit {
    /// Two verdicts: is it unchanged, and is it complete.
    Verify {
        /// A checkpoint or an export kept somewhere else.
        #[arg(long, value_name = "FILE")]
        anchor: Option<PathBuf>,
    },
    /// Write what an auditor checks without Watchfloor.
    Export { file: PathBuf },
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Read the config and say what is wrong with it.
    Check,
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("WATCHFLOOR_LOG").unwrap_or_else(|_| "warn".into()),
        )
        .init();
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(r) => r,
        Err(e) => return fail(&ApiError::failed(e)),
    };
    match runtime.block_on(dispatch(arguments)) {
        Ok(code) => code,
        Err(e) => fail(&e),
    }
}

#[expect(clippy::print_stderr, reason = "errors of a command-line tool go there")]
fn fail(e: &ApiError) -> ExitCode {
    eprintln!("watchfloorctl: {}", wf_console::visible(&e.message));
    ExitCode::from(match e.code {
        ErrorCode::Invalid => 2,
        ErrorCode::Refused => 3,
        ErrorCode::NotFound | ErrorCode::Failed => 1,
    })
}

/// The one way to standard output. Whatever stands in a line, nothing in it speaks to the terminal (threat T4); JSON
/// comes from [`render::json`], which leaves nothing to do here.
#[expect(clippy::print_stdout, reason = "results of a command-line tool go there")]
fn print(text: &str) {
    for line in text.split('\n') {
        println!("{}", wf_console::visible(line));
    }
}

async fn restore(paths: &Paths, file: &Path, as_json: bool) -> Result<ExitCode, ApiError> {
    let before = offline::restore(paths, Arc::new(OsKeychain), file).await.map_err(|e| match e {
        StartError::AlreadyRunning(_) => ApiError::new(ErrorCode::Refused, format!("{e}: stop it first")),
        other => ApiError::failed(other),
    })?;
    print(&match (as_json, &before) {
        (true, _) => render::json(&json!({ "restored": file, "before": before })),
        (false, Some(before)) => {
            format!("restored from {}; what was there lies in {}", file.display(), before.display())
        }
        (false, None) => format!("restored from {}", file.display()),
    });
    Ok(ExitCode::SUCCESS)
}

async fn dispatch(a: Arguments) -> Result<ExitCode, ApiError> {
    let paths = Paths::new(a.data_dir, a.config);
    let (request, render): (Request, fn(&Value) -> String) = match a.command {
        Command::Run { duration } => return run::run(paths, duration).await,
        Command::Rules(Rules::Check { paths }) => return Ok(rules_check(&paths, a.json)),
        Command::Rules(Rules::Test { paths: rules, events, map }) => return rules_test(&paths, &rules, &events, &map),
        Command::Privacy(c) => return c.run(async |request| ask(&paths, request).await, a.json).await,
        Command::Report(c) => return c.run(async |request| ask(&paths, request).await, a.json).await,
        Command::Evidence(c) => return c.run(a.json),
        Command::Backup { file } => {
            let to = std::path::absolute(&file).map_err(|e| ApiError::invalid(format!("{}: {e}", file.display())))?;
            (Request::Backup { to }, |v| {
                format!("{} bytes written to {}, and checked", v["bytes"], v["file"].as_str().unwrap_or_default())
            })
        }
        Command::Restore { file } => return restore(&paths, &file, a.json).await,
        Command::Config(ConfigCommand::Check) => return config_check(&paths, a.json),
        Command::Audit(Audit::Export { file }) => {
            let export = ask(&paths, Request::AuditExport).await?;
            let text = serde_json::to_vec_pretty(&export).map_err(ApiError::failed)?;
            wf_platform::files::write_bytes(&file, &text)
                .map_err(|e| ApiError::failed(format!("{}: {e}", file.display())))?;
            let n = export["leaves"].as_array().map_or(0, Vec::len);
            print(&if a.json {
                render::json(&json!({ "file": file, "leaves": n }))
            } else {
                format!("{n} entries written to {}", file.display())
            });
            return Ok(ExitCode::SUCCESS);
        }
        Command::Audit(Audit::Verify { anchor }) => {
            let anchor = anchor
                .map(|p| std::fs::read_to_string(&p).map_err(|e| ApiError::invalid(format!("{}: {e}", p.display()))))
                .transpose()?;
            let verdict = ask(&paths, Request::AuditVerify { anchor }).await?;
            print(&if a.json { render::json(&verdict) } else { render::verdict(&verdict) });
            return Ok(if verdict["good"] == true { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Command::Feeds(Feeds::List) => (Request::FeedsList, render::feeds),
        Command::Feeds(Feeds::Restart { name }) => (Request::FeedsRestart { name }, |v| {
            format!("{} is started again", v["restarted"].as_str().unwrap_or_default())
        }),
        Command::Feeds(Feeds::Test { name }) => {
            let probe = ask(&paths, Request::FeedsTest { name }).await?;
            print(&if a.json { render::json(&probe) } else { render::probe(&probe) });
            return Ok(if probe["connected"] == true { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Command::Events(Events::List { query, since, limit, after }) => {
            let events = list_events(&paths, query, since, limit, after).await?;
            print(&if a.json { render::json(&events) } else { render::events(&events) });
            return Ok(ExitCode::SUCCESS);
        }
        Command::Events(Events::Count) => (Request::EventsCount, |v| v["events"].to_string()),
        Command::Incidents(c) => c.request(),
        Command::Silences(c) => c.request(),
        Command::Oncall(c) => c.request(),
        Command::Notifications(c) => c.request(),
        Command::Channels(c) => c.request(),
        Command::Readiness => (Request::Readiness, render::readiness),
        Command::Drill => (Request::Drill, render::receipts),
        Command::Metrics { since } => (Request::Metrics { since }, render::metrics),
        Command::Health => (Request::Health, render::health),
    };
    let answer = ask(&paths, request.clone()).await?;
    print(&if a.json { render::json(&answer) } else { render(&answer) });
    Ok(if desk::all_well(&request, &answer) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// As many as were asked for; the engine gives only so much at once.
async fn list_events(
    paths: &Paths,
    query: String,
    since: Option<String>,
    limit: u32,
    mut after: Option<String>,
) -> Result<Value, ApiError> {
    let (mut events, mut damaged) = (Vec::new(), Vec::new());
    let mut left = limit.max(1);
    loop {
        let request = Request::EventsList { query: query.clone(), since: since.clone(), limit: left, after };
        let mut page = ask(paths, request).await?;
        let found = page["events"].as_array_mut().map(std::mem::take).unwrap_or_default();
        left = left.saturating_sub(u32::try_from(found.len()).unwrap_or(u32::MAX));
        let end = found.is_empty() || left == 0;
        events.extend(found);
        for d in page["damaged"].as_array().into_iter().flatten() {
            if !damaged.contains(d) {
                damaged.push(d.clone());
            }
        }
        after = page["next"].as_str().map(str::to_owned);
        if end || after.is_none() {
            return Ok(json!({ "events": events, "next": after, "damaged": damaged }));
        }
    }
}

async fn ask(paths: &Paths, request: Request) -> Result<Value, ApiError> {
    offline::ask(paths, Arc::new(OsKeychain), request).await
}

fn rules_check(paths: &[PathBuf], as_json: bool) -> ExitCode {
    let files = offline::rules_check(paths);
    let bad = files.iter().any(|(_, problems)| !problems.is_empty());
    if as_json {
        let list: Vec<_> = files
            .iter()
            .map(|(file, problems)| json!({ "file": file, "ok": problems.is_empty(), "problems": problems.iter().map(|p| json!({ "line": p.line, "reason": p.reason })).collect::<Vec<_>>() }))
            .collect();
        print(&render::json(&json!({ "files": list })));
    } else {
        for (file, problems) in &files {
            if problems.is_empty() {
                print(&format!("{}: ok", wf_console::visible(file)));
            }
            for p in problems {
                print(&wf_console::visible(&p.to_string()));
            }
        }
    }
    if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn rules_test(paths: &Paths, rules: &[PathBuf], events: &std::path::Path, map: &str) -> Result<ExitCode, ApiError> {
    let config = Config::load(&paths.config).map_err(ApiError::invalid)?;
    let mappings = offline::mappings(&config, map)?;
    let rules = offline::rules_for_test(rules)?;
    let text = std::fs::read(events).map_err(|e| ApiError::invalid(format!("{}: {e}", events.display())))?;
    let lines = text.split(|b| *b == b'\n').map(|l| String::from_utf8_lossy(l).into_owned());
    let bad = offline::rules_test(rules, mappings, lines, |f| {
        print(&serde_json::to_value(&f).map(|v| render::json(&v)).unwrap_or_default());
    })?;
    for problem in bad.iter().take(20) {
        fail(&ApiError::failed(format!("{}: {problem}", events.display())));
    }
    if bad.len() > 20 {
        fail(&ApiError::failed(format!("{}: {} more lines could not be read", events.display(), bad.len() - 20)));
    }
    Ok(if bad.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn config_check(paths: &Paths, as_json: bool) -> Result<ExitCode, ApiError> {
    let result = Config::load(&paths.config);
    let exists = paths.config.exists();
    match result {
        Err(e) => {
            if as_json {
                print(&render::json(&json!({ "ok": false, "file": paths.config, "reason": e.reason })));
                return Ok(ExitCode::FAILURE);
            }
            Err(ApiError::failed(e))
        }
        Ok(config) => {
            let missing: Vec<String> = config
                .secret_refs()
                .into_iter()
                .filter_map(|(place, r)| match r {
                    wf_console::SecretRef::Env(name) if std::env::var_os(name).is_none() => {
                        Some(format!("{place}: the environment variable {name} is not set"))
                    }
                    _ => None,
                })
                .chain(config.rules.paths.iter().filter_map(|p| {
                    let e = offline::rule_files(p).err()?;
                    Some(format!("[rules]: {}: {e}", p.display()))
                }))
                .collect();
            let feeds: Vec<_> = config.feed.keys().collect();
            print(&if as_json {
                render::json(
                    &json!({ "ok": true, "file": paths.config, "exists": exists, "feeds": feeds, "warnings": missing }),
                )
            } else {
                let mut text = if exists {
                    format!("{}: ok, {} feeds", paths.config.display(), feeds.len())
                } else {
                    format!("{}: does not exist; all defaults", paths.config.display())
                };
                for m in &missing {
                    text.push_str(&format!("\nwarning: {m}"));
                }
                text
            });
            Ok(ExitCode::SUCCESS)
        }
    }
}
