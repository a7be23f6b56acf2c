//! Starting and stopping: the only place that knows what needs what.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::sync::{mpsc, watch};
use wf_demo::{DemoServer, Options as DemoOptions, Scenario};
use wf_detect::{Detector, Limits, RuleProblem, RuleSet, RuleSource};
use wf_evidence::AuditLog;
use wf_feeds::ingest::{Seed, content_hash};
use wf_feeds::{Delivery, FeedConfig, FeedState, FeedStatus, Mapping, Subscription, Tally};
use wf_model::{Actor, AuditAction, FeedName, Notice, Seq, Timestamp};
use wf_response::{Book, Settings};
use wf_store::{Store, StoreError};

use crate::config::{Config, ConfigError};
use crate::controller::{Controller, Running};
use crate::keys::{self, KeyError, Keychain, Keys, Secrets};
use crate::ledger::Ledger;
use crate::live::Live;
use crate::paths::{DataDirLock, Paths};
use crate::pipeline::{Outlets, Pipeline};
use crate::platform::ControlListener;
use crate::supervisor::Supervisor;
use crate::{control, dead_man, memory, outbox, replies, timers};

/// Deliveries that may wait for the pipeline; each feed bounds its own bytes besides.
const DELIVERIES: usize = 16;
/// How much of the past deduplication reads back at a start.
const REMEMBERED: usize = 50_000;
/// The name of the demo's feed.
const DEMO: &str = "demo";
const ORDERLY: Duration = Duration::from_secs(10);

/// Boxed where the compiler cannot see through borrowed arguments that a future may change threads.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Tells the officer, outside the window too.
pub trait Notifier: Send + Sync {
    fn notify(&self, notice: &Notice);
    /// Incidents that wait from before this start.
    fn waiting(&self, p1: u64, p2: u64);
}

/// Tells nobody: for the CLI, where standard output belongs to scripts.
pub struct Silent;

impl Notifier for Silent {
    fn notify(&self, _: &Notice) {}
    fn waiting(&self, _: u64, _: u64) {}
}

pub struct EngineOptions {
    pub paths: Paths,
    pub keychain: Arc<dyn Keychain>,
    pub notifier: Arc<dyn Notifier>,
}

/// Why the engine does not run. Each is a sentence for the officer.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error("{path}: {source}")]
    DataDir { path: PathBuf, source: std::io::Error },
    #[error("another Watchfloor runs on {0}")]
    AlreadyRunning(PathBuf),
    #[error("{0}")]
    Key(#[from] KeyError),
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("the control socket: {0}")]
    Control(std::io::Error),
    #[error("the demo feed: {0}")]
    Demo(std::io::Error),
}

/// A console that runs.
pub struct Engine {
    pub controller: Arc<Controller>,
    /// The keys were made at this start.
    pub fresh: Option<secrecy::SecretString>,
    supervisor: Arc<Supervisor>,
    outlets: Arc<Outlets>,
    feeds: Arc<Feeds>,
    _lock: DataDirLock,
}

/// What opening a data directory gives: for the engine, and for tools that only read and act.
pub(crate) struct Opened {
    pub config: Config,
    pub keys: Keys,
    pub ledger: Arc<Ledger>,
    pub plan: Arc<wf_response::Plan>,
    pub code_key: [u8; 32],
    pub lock: DataDirLock,
}

/// Takes the lock, finds the keys, opens the store, and takes the audit log and the live incidents up.
pub(crate) fn open<'a>(paths: &'a Paths, keychain: &'a Arc<dyn Keychain>) -> Boxed<'a, Result<Opened, StartError>> {
    Box::pin(open_all(paths, keychain))
}

async fn open_all(paths: &Paths, keychain: &Arc<dyn Keychain>) -> Result<Opened, StartError> {
    let config = Config::load(&paths.config)?;
    let data_dir = |source| StartError::DataDir { path: paths.data_dir.clone(), source };
    paths.prepare().map_err(data_dir)?;
    let lock = DataDirLock::take(&paths.lock())
        .map_err(data_dir)?
        .ok_or_else(|| StartError::AlreadyRunning(paths.data_dir.clone()))?;
    let keys = keys::open(&config.store.key, keychain.clone(), paths).await?;
    let store = Store::open(&paths.database(), &keys.database).await?;
    let hashes = store.audit_hashes().await?;
    store.add_audit_key(&keys.audit.public().to_bytes(), hashes.len() as u64).await?;
    let log = AuditLog::new(keys.audit.clone(), hashes);
    let settings = Settings { window: config.incidents.fold_window, recurrence: config.incidents.recurrence };
    let incidents = store.incidents_for_folding(Timestamp::now() - settings.recurrence).await?;
    let silences = store.silences(10_000).await?.into_iter().filter(|s| !s.closed).collect();
    let code_key = keys::code_key(&keys.database);
    let plan = Arc::new(config.plan(code_key, &store.channels().await?));
    let book = Book::new(settings, plan.clone(), store.last_incident_number().await?, incidents, silences);
    Ok(Opened { config, keys, ledger: Arc::new(Ledger::new(store, log, book)), plan, code_key, lock })
}

impl Engine {
    /// Starts everything. Feeds connect on their own time.
    pub fn start(options: EngineOptions) -> Boxed<'static, Result<Self, StartError>> {
        Box::pin(Self::begin(options))
    }

    async fn begin(options: EngineOptions) -> Result<Self, StartError> {
        // Several libraries bring a TLS provider each; the first one installed is everybody's.
        let _first = rustls::crypto::aws_lc_rs::default_provider().install_default().is_ok();
        let EngineOptions { paths, keychain, notifier } = options;
        let Opened { config, keys, ledger, plan, code_key, lock } = open(&paths, &keychain).await?;
        let listener = ControlListener::bind(&paths.data_dir).map_err(StartError::Control)?;
        let store = ledger.store().clone();

        let (rules, problems) = load_rules(&config);
        let authors = authors(&rules);
        let mut detector = Detector::new(rules, Limits::default());
        restore(&store, &mut detector).await?;

        let live = Arc::new(Live::default());
        let supervisor = Arc::new(Supervisor::default());
        let (delivery_in, deliveries) = mpsc::channel(DELIVERIES);
        let (signals, signals_out) = mpsc::channel(64);
        let (notices, notices_out) = mpsc::channel(1024);
        let outlets = Arc::new(Outlets {
            live: live.clone(),
            committed: Mutex::default(),
            tallies: Mutex::new(store.feeds().await?.into_iter().map(|f| (f.name, Tally::since(f.counts))).collect()),
            blocked: Mutex::default(),
            notices,
            shutting_down: AtomicBool::new(false),
        });
        let feeds = Arc::new(Feeds {
            running: Mutex::default(),
            store: store.clone(),
            deliveries: delivery_in,
            outlets: outlets.clone(),
            supervisor: supervisor.clone(),
            keychain: keychain.clone(),
            demo: tokio::sync::Mutex::default(),
        });
        let operator = config.operator_name();
        let controller = Arc::new(Controller {
            ledger: ledger.clone(),
            live: live.clone(),
            keychain,
            config: Mutex::new(Arc::new(config.clone())),
            problems: Mutex::new(BTreeMap::from([("rules", sentences(&problems))])),
            authors: Mutex::new(authors),
            config_path: paths.config.clone(),
            running: Some(Running {
                supervisor: supervisor.clone(),
                signals: signals.clone(),
                outlets: outlets.clone(),
                feeds: feeds.clone(),
            }),
            plan: Mutex::new(plan),
            code_key,
            privacy: Default::default(),
        });
        ledger
            .record(vec![AuditAction {
                at: Timestamp::now(),
                actor: Actor::Engine,
                action: "engine.start".into(),
                subject: "engine".into(),
                payload: json!({ "version": env!("CARGO_PKG_VERSION"), "operator": operator, "feeds": config.feed.keys().collect::<Vec<_>>(), "first_run": keys.fresh }),
            }])
            .await?;

        let next = store.next_seq().await;
        let pipeline = Pipeline::new(ledger.clone(), outlets.clone(), deliveries, signals_out, detector, next);
        let never = feeds.never();
        // One pipeline for the engine's life: its memory is the batch it holds. A failure in it is retried inside; what
        // kills it (a panic in a rule) is seen in the health panel, and the supervisor begins again with the same
        // channels.
        let pipeline = Arc::new(tokio::sync::Mutex::new(pipeline));
        let stop = supervisor.stopping();
        supervisor.spawn("pipeline", never.clone(), move || {
            let (pipeline, stop) = (pipeline.clone(), stop.clone());
            async move { pipeline.lock().await.run(stop).await }
        });
        let (serving, stop) = (controller.clone(), supervisor.stopping());
        let listener = Arc::new(Mutex::new(Some(listener)));
        let data_dir = paths.data_dir.clone();
        supervisor.spawn("control socket", never.clone(), move || {
            let (controller, stop, data_dir) = (serving.clone(), stop.clone(), data_dir.clone());
            let held = listener.lock().unwrap_or_else(PoisonError::into_inner).take();
            async move {
                let listener = match held {
                    Some(l) => l,
                    None => ControlListener::bind(&data_dir).map_err(|e| e.to_string())?,
                };
                control::serve(controller, listener, stop).await
            }
        });
        let [p1, p2, ..] = store.live_by_severity().await?;
        if p1 + p2 > 0 {
            notifier.waiting(p1, p2);
        }
        let notices_out = Arc::new(tokio::sync::Mutex::new(notices_out));
        let stop = supervisor.stopping();
        supervisor
            .spawn("notifications", never.clone(), move || tell(notices_out.clone(), notifier.clone(), stop.clone()));
        let pulse = Arc::new(outbox::Pulse::default());
        let (sending, beat, stop) = (controller.clone(), pulse.clone(), supervisor.stopping());
        supervisor.spawn("outbox", never.clone(), move || outbox::run(sending.clone(), beat.clone(), stop.clone()));
        let (watching, stop) = (controller.clone(), supervisor.stopping());
        supervisor
            .spawn("dead man", never.clone(), move || dead_man::run(watching.clone(), pulse.clone(), stop.clone()));
        let (hearing, stop) = (controller.clone(), supervisor.stopping());
        supervisor.spawn("replies", never.clone(), move || replies::run(hearing.clone(), stop.clone()));
        let (timed, stop, config_path) = (controller.clone(), supervisor.stopping(), paths.config.clone());
        supervisor.spawn("timers", never, move || timers::run(timed.clone(), config_path.clone(), stop.clone()));

        feeds.apply(&config).await.map_err(StartError::Demo)?;
        let fresh = keys.fresh.then(|| keys::recovery_key(&keys.database));
        Ok(Self { controller, fresh, supervisor, outlets, feeds, _lock: lock })
    }

    /// Waits until every feed has connected or failed to, once.
    pub async fn tried_every_feed(&self) {
        loop {
            if self.feeds.statuses().values().all(|(s, _)| s.tried) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Begins the end, gives everything a deadline, then ends by force. What was received is committed.
    pub async fn stop(self) -> Result<(), StoreError> {
        self.feeds.stop_all();
        let orderly = {
            let stopping = self.supervisor.stop(ORDERLY);
            let outlets = self.outlets.clone();
            tokio::select! {
                orderly = stopping => orderly,
                // A full disk would hold the end up for ever; what is not committed by now comes again from the cursor.
                () = async { tokio::time::sleep(ORDERLY / 2).await; outlets.shutting_down.store(true, Ordering::Relaxed); std::future::pending().await } => false,
            }
        };
        let ledger = &self.controller.ledger;
        let end = AuditAction {
            at: Timestamp::now(),
            actor: Actor::Engine,
            action: "engine.stop".into(),
            subject: "engine".into(),
            payload: json!({ "orderly": orderly }),
        };
        let recorded = ledger.record(vec![end]).await;
        ledger.store().close().await;
        recorded
    }
}

async fn tell(
    notices: Arc<tokio::sync::Mutex<mpsc::Receiver<Notice>>>,
    notifier: Arc<dyn Notifier>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), String> {
    let mut notices = notices.lock().await;
    loop {
        tokio::select! {
            () = crate::supervisor::told(&mut stop) => return Ok(()),
            notice = notices.recv() => match notice {
                Some(n) => notifier.notify(&n),
                None => return Ok(()),
            },
        }
    }
}

/// Detection remembers what it knew: the snapshot, and the events stored since.
fn restore<'a>(store: &'a Store, detector: &'a mut Detector) -> Boxed<'a, Result<(), StoreError>> {
    Box::pin(replay(store, detector))
}

async fn replay(store: &Store, detector: &mut Detector) -> Result<(), StoreError> {
    let mut through = Seq(0);
    match store.detector_state().await? {
        Some((seq, state)) => {
            through = seq;
            match memory::unpack(&state) {
                Ok(snapshot) => detector.restore(snapshot),
                Err(e) => tracing::warn!(error = %e, "what detection remembered cannot be read; it starts anew"),
            }
        }
        None => {
            // Never snapshotted: the windows look back no further than this many events at the very most.
            let next = store.next_seq().await;
            through.0 = next.0.saturating_sub(200_000).max(through.0);
        }
    }
    loop {
        let events = store.events_after(through).await?;
        let Some(last) = events.last() else { return Ok(()) };
        through = last.seq;
        let events: Vec<_> = events.iter().map(|e| e.to_event()).collect();
        for event in &events {
            // Dropped: these matches were committed with these events.
            let _known = detector.on_batch(event.received_at, std::slice::from_ref(event)).len();
        }
    }
}

/// Built-in rules and those of the config. What is wrong is said; the rest is in force.
pub fn load_rules(config: &Config) -> (RuleSet, Vec<RuleProblem>) {
    let mut sources = if config.rules.built_in { RuleSet::built_in() } else { Vec::new() };
    let mut problems = Vec::new();
    for path in &config.rules.paths {
        match read_rules(path) {
            Ok(found) => sources.extend(found),
            Err(e) => problems.push(RuleProblem { file: path.display().to_string(), line: 0, reason: e.to_string() }),
        }
    }
    let (rules, more) = RuleSet::load(&sources);
    problems.extend(more);
    (rules, problems)
}

/// A rule file, or every one below a directory, in order of path.
pub fn read_rules(path: &std::path::Path) -> std::io::Result<Vec<RuleSource>> {
    let mut found = Vec::new();
    if path.is_dir() {
        let mut entries: Vec<_> = std::fs::read_dir(path)?.collect::<Result<_, _>>()?;
        entries.sort_by_key(std::fs::DirEntry::path);
        for entry in entries {
            let path = entry.path();
            // Links are not followed: a rule directory must not lead out of itself.
            let kind = entry.file_type()?;
            let is_rule = path.extension().is_some_and(|e| e == "yml" || e == "yaml");
            if kind.is_dir() || (kind.is_file() && is_rule) {
                found.extend(read_rules(&path)?);
            }
        }
    } else {
        found.push(RuleSource {
            path: path.display().to_string(),
            text: String::from_utf8_lossy(&std::fs::read(path)?).into_owned(),
        });
    }
    Ok(found)
}

pub(crate) fn sentences(problems: &[RuleProblem]) -> Vec<String> {
    problems.iter().map(|p| format!("rule {p}")).collect()
}

pub(crate) fn authors(rules: &RuleSet) -> HashMap<String, String> {
    rules.authors().map(|(id, author)| (id.to_owned(), author.to_owned())).collect()
}

/// The subscriptions that run.
pub struct Feeds {
    running: Mutex<BTreeMap<FeedName, RunningFeed>>,
    store: Store,
    deliveries: mpsc::Sender<Delivery>,
    outlets: Arc<Outlets>,
    supervisor: Arc<Supervisor>,
    keychain: Arc<dyn Keychain>,
    demo: tokio::sync::Mutex<Option<DemoServer>>,
}

struct RunningFeed {
    config: Arc<FeedConfig>,
    /// The text of the config, to see whether it changed.
    definition: String,
    mappings: Arc<[Mapping]>,
    status: watch::Sender<FeedStatus>,
    stop: watch::Sender<bool>,
}

impl Feeds {
    /// A stop that never comes, for tasks that end only with everything.
    fn never(&self) -> watch::Receiver<bool> {
        let (sender, receiver) = watch::channel(false);
        std::mem::forget(sender);
        receiver
    }

    pub fn statuses(&self) -> BTreeMap<FeedName, (FeedStatus, Arc<FeedConfig>)> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.iter().map(|(name, f)| (name.clone(), (f.status.borrow().clone(), f.config.clone()))).collect()
    }

    /// Brings what runs into line with the config: starts, stops, restarts what changed.
    pub fn apply<'a>(&'a self, config: &'a Config) -> Boxed<'a, std::io::Result<()>> {
        Box::pin(self.bring_into_line(config))
    }

    async fn bring_into_line(&self, config: &Config) -> std::io::Result<()> {
        let wanted: BTreeMap<FeedName, &FeedConfig> = config.feed.iter().map(|(n, f)| (FeedName::new(n), f)).collect();
        let gone: Vec<_> = {
            let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            running
                .iter()
                .filter(|(n, f)| n.as_str() != DEMO && wanted.get(n).is_none_or(|w| format!("{w:?}") != f.definition))
                .map(|(n, _)| n.clone())
                .collect()
        };
        for name in gone {
            self.stop(&name);
        }
        for (name, feed) in wanted {
            let known = self.running.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&name);
            if !known {
                // The config was checked when it was read: its mappings exist.
                match config.mappings_of(feed) {
                    Ok(mappings) => self.start(name, Arc::new(feed.clone()), mappings),
                    Err(e) => tracing::error!(feed = %name, error = e, "not started"),
                }
            }
        }
        let mut demo = self.demo.lock().await;
        if config.demo.enabled && demo.is_none() {
            *demo = Some(self.start_demo(config).await?);
        } else if !config.demo.enabled && demo.take().is_some() {
            self.stop(&FeedName::new(DEMO));
        }
        self.outlets.live.touched(|t| t.health += 1);
        Ok(())
    }

    /// Plays the demo feed on a free port of this machine and subscribes to it.
    async fn start_demo(&self, config: &Config) -> std::io::Result<DemoServer> {
        let scenario = Scenario { seed: config.demo.seed, per_minute: config.demo.per_minute, ..Scenario::default() };
        let server =
            DemoServer::start(([127, 0, 0, 1], 0).into(), DemoOptions { scenario, ..DemoOptions::default() }).await?;
        let feed = demo_config(&server.url()).map_err(std::io::Error::other)?;
        let mappings = config.mappings_of(&feed).map_err(std::io::Error::other)?;
        self.start(FeedName::new(DEMO), Arc::new(feed), mappings);
        Ok(server)
    }

    pub fn restart(&self, name: &FeedName) -> Result<(), String> {
        let (config, mappings) = {
            let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            let feed = running.get(name).ok_or_else(|| format!("there is no feed '{name}'"))?;
            (feed.config.clone(), feed.mappings.clone())
        };
        self.stop(name);
        self.start(name.clone(), config, mappings);
        Ok(())
    }

    fn start(&self, name: FeedName, config: Arc<FeedConfig>, mappings: Arc<[Mapping]>) {
        let state = if config.enabled { FeedState::Connecting } else { FeedState::Disabled };
        let status = watch::Sender::new(FeedStatus::new(state));
        let (stop, stopped) = watch::channel(false);
        let committed = watch::Sender::new(None);
        let entry = RunningFeed {
            definition: format!("{config:?}"),
            config: config.clone(),
            mappings: mappings.clone(),
            status: status.clone(),
            stop,
        };
        self.running.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), entry);
        if !config.enabled {
            return;
        }
        self.outlets.committed.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), committed.clone());
        let secrets: Arc<dyn wf_model::SecretSource> = Arc::new(Secrets(self.keychain.clone()));
        let (store, out, live) = (self.store.clone(), self.deliveries.clone(), self.outlets.live.clone());
        let tally = self
            .outlets
            .tallies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(name.clone())
            .or_default()
            .clone();
        let mut changes = status.subscribe();
        tokio::spawn(async move {
            while changes.changed().await.is_ok() {
                live.touched(|t| t.health += 1);
            }
        });
        let until = stopped.clone();
        self.supervisor.spawn(&format!("feed {name}"), until, move || {
            let (store, name, config, mappings) = (store.clone(), name.clone(), config.clone(), mappings.clone());
            let tally = tally.clone();
            let (secrets, out, status, committed, stop) =
                (secrets.clone(), out.clone(), status.clone(), committed.subscribe(), stopped.clone());
            async move {
                let seed = seed(&store, &name, &config, tally).await.map_err(|e| e.to_string())?;
                Subscription { name, config, mappings, secrets, seed, out, status, committed, stop }.run().await;
                Ok(())
            }
        });
    }

    fn stop(&self, name: &FeedName) {
        if let Some(feed) = self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(name) {
            feed.stop.send_replace(true);
        }
        self.supervisor.forget(&format!("feed {name}"));
    }

    fn stop_all(&self) {
        for feed in self.running.lock().unwrap_or_else(PoisonError::into_inner).values() {
            feed.stop.send_replace(true);
        }
    }
}

/// What was committed of a feed before.
async fn seed(store: &Store, name: &FeedName, config: &FeedConfig, tally: Tally) -> Result<Seed, StoreError> {
    let Some(held) = store.feeds().await?.into_iter().find(|f| f.name == *name) else {
        return Ok(Seed { tally, ..Seed::default() });
    };
    let mut recent = Vec::new();
    if config.dedup.id.is_some() {
        let since = Timestamp::now() - config.dedup.window;
        let events = store.recent_ids(name, since, REMEMBERED.min(config.dedup.most)).await?;
        recent = events
            .into_iter()
            .rev()
            .filter_map(|e| {
                let hash = content_hash(&e.to_event());
                Some((e.id?, hash, e.received_at))
            })
            .collect();
    }
    Ok(Seed { position: held.position, heard_at: Some(held.heard_at), recent, tally })
}

/// The subscription to the demo feed: what one would write for it by hand.
pub fn demo_config(url: &str) -> Result<FeedConfig, String> {
    let text = format!(
        r#"
url = {url:?}
map = ["activity-log", "security-event", "auth-event"]
decode = {{ ignore = [{{ pointer = "/type", equals = "hello" }}] }}
resume = {{ cursor = "/offset", epoch = "/epoch", recovered = "/recovered" }}
dedup = {{ id = "/id" }}
"#
    );
    toml::from_str(&text).map_err(|e| e.to_string())
}
