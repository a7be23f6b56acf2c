//! Starting and stopping: the only place that knows what needs what.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::{mpsc, watch};
use wf_config::Config;
use wf_detect::{Detector, Limits, RuleSet};
use wf_engine::feeds::{FeedManager, GRACE};
use wf_engine::filters::GroupFilters;
use wf_engine::outbox::Pulse;
use wf_engine::pipeline::{DetectorHandle, MakeDetector, Pipeline, PipelineInputs, PipelineSinks};
use wf_engine::reload::{self, Watcher};
use wf_engine::timers::Timers;
use wf_engine::{Context, FeedControl as _, Running, Supervisor, dead_man, memory, outbox, replies, rules};
use wf_feeds::Tally;
use wf_model::{Actor, AuditAction, Notice};
use wf_platform::os::ControlListener;
use wf_platform::{Clock, DataDirLock, Keychain, Paths, SystemClock, recovery_key};
use wf_store::StoreError;

use crate::console::Console;
use crate::control;
use crate::open::{Opened, Outside, StartError, open};

/// Deliveries that may wait for the pipeline; each feed bounds its own bytes besides.
const DELIVERIES: usize = 16;
const COMMANDS: usize = 64;
const NOTICES: usize = 1024;
const ORDERLY: Duration = Duration::from_secs(10);

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

/// What a console is started with.
pub struct Options {
    pub paths: Paths,
    pub keychain: Arc<dyn Keychain>,
    pub notifier: Arc<dyn Notifier>,
    pub clock: Arc<dyn Clock>,
}

impl Options {
    /// With the clock of this machine.
    pub fn new(paths: Paths, keychain: Arc<dyn Keychain>, notifier: Arc<dyn Notifier>) -> Self {
        Self { paths, keychain, notifier, clock: Arc::new(SystemClock) }
    }
}

/// A console that runs.
pub struct Instance {
    pub console: Arc<Console>,
    /// The keys were made at this start.
    pub fresh: Option<secrecy::SecretString>,
    supervisor: Arc<Supervisor>,
    pub sinks: Arc<PipelineSinks>,
    feeds: Arc<FeedManager>,
    _lock: DataDirLock,
}

impl Instance {
    /// Starts everything. Feeds connect on their own time.
    pub fn start(options: Options) -> BoxFuture<'static, Result<Self, StartError>> {
        Box::pin(Self::begin(options))
    }

    async fn begin(options: Options) -> Result<Self, StartError> {
        // Several libraries bring a TLS provider each; the first one installed is everybody's.
        let _first = rustls::crypto::aws_lc_rs::default_provider().install_default().is_ok();
        let Options { paths, keychain, notifier, clock } = options;
        let (notices, notices_out) = mpsc::channel(NOTICES);
        let outside = Outside { keychain, clock, notices: Some(notices.clone()) };
        let Opened { context, keys, lock } = open(&paths, outside).await?;
        let context = Arc::new(context);
        context.ledger.record(vec![start_of(&context, keys.fresh)]).await?;
        let supervisor = Arc::new(Supervisor::default());
        match Self::assemble(&paths, &context, &supervisor, notices).await {
            Ok((console, sinks, feeds)) => {
                let waiting = context.store().live_by_severity().await;
                let [p1, p2, ..] = waiting.unwrap_or_default();
                if p1 + p2 > 0 {
                    notifier.waiting(p1, p2);
                }
                spawn_notifications(&supervisor, &feeds, notices_out, notifier);
                let fresh = keys.fresh.then(|| recovery_key(&keys.database));
                Ok(Self { console, fresh, supervisor, sinks, feeds, _lock: lock })
            }
            Err(e) => {
                // Nothing of a start that failed goes on: the directory is free again.
                supervisor.stop(ORDERLY).await;
                context.ledger.close().await;
                Err(e)
            }
        }
    }

    async fn assemble(
        paths: &Paths,
        context: &Arc<Context>,
        supervisor: &Arc<Supervisor>,
        notices: mpsc::Sender<Notice>,
    ) -> Result<(Arc<Console>, Arc<PipelineSinks>, Arc<FeedManager>), StartError> {
        let listener = ControlListener::bind(&paths.data_dir).map_err(StartError::Control)?;
        let (store, config) = (context.store().clone(), context.config());
        let (rule_set, problems) = rules::load_rules(&config);
        context.state.set_authors(rules::authors(&rule_set));
        context.state.set_problems("rules", rules::sentences(&problems));
        let mut detector = detector_of(&config, rule_set);
        let replayed = memory::restore(&store, &mut detector).await?;

        let (delivery_in, deliveries) = mpsc::channel(DELIVERIES);
        let (commands, commands_out) = mpsc::channel(COMMANDS);
        let tallies = store.feeds().await?.into_iter().map(|f| (f.name, Tally::since(f.counts))).collect();
        let sinks = Arc::new(PipelineSinks {
            recent: context.recent.clone(),
            committed: Mutex::default(),
            tallies: Mutex::new(tallies),
            blocked: Mutex::default(),
            unseen: Mutex::default(),
            notices,
            shutting_down: AtomicBool::new(false),
        });
        let feeds = Arc::new(FeedManager::new(
            (store.clone(), context.clock.clone()),
            delivery_in,
            sinks.clone(),
            supervisor.clone(),
            context.secrets.clone(),
        ));
        let running = Running {
            supervisor: supervisor.clone(),
            detector: Arc::new(DetectorHandle(commands.clone())),
            sinks: sinks.clone(),
            feeds: feeds.clone(),
        };
        let console = Arc::new(Console::new(context.clone(), Some(running.clone())));
        let inputs = PipelineInputs { deliveries, commands: commands_out };
        let next = store.next_seq().await;
        let in_force = context.clone();
        let make_detector: MakeDetector = Arc::new(move || {
            let config = in_force.config();
            detector_of(&config, rules::load_rules(&config).0)
        });
        let mut pipeline = Pipeline::new(
            context.ledger.clone(),
            sinks.clone(),
            inputs,
            (detector, make_detector),
            (next, context.clock.clone()),
        );
        pipeline.replayed = replayed;
        spawn_pipeline(supervisor, &feeds, pipeline);
        spawn_control(supervisor, &feeds, &console, listener, paths);
        // Before the timers look: to them a feed that is not there was taken out of the config.
        feeds.apply(&config).await.map_err(StartError::Demo)?;
        spawn_tasks(supervisor, &feeds, (context, &console), commands, running);
        Ok((console, sinks, feeds))
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
        // Feeds first, while the pipeline still takes what they hold.
        self.feeds.stop_all(GRACE * 2).await;
        let orderly = {
            let stopping = self.supervisor.stop(ORDERLY);
            let sinks = self.sinks.clone();
            tokio::select! {
                orderly = stopping => orderly,
                // A full disk would hold the end up for ever; what is not committed by now comes again from the cursor.
                () = async {
                    tokio::time::sleep(ORDERLY / 2).await;
                    sinks.shutting_down.store(true, Ordering::Relaxed);
                    std::future::pending().await
                } => false,
            }
        };
        let context = &self.console.context;
        let end = AuditAction {
            at: context.now(),
            actor: Actor::Engine,
            action: "engine.stop".into(),
            subject: "engine".into(),
            payload: json!({ "orderly": orderly }),
        };
        let recorded = context.ledger.record(vec![end]).await;
        context.ledger.close().await;
        recorded
    }
}

fn detector_of(config: &Config, rules: RuleSet) -> Detector {
    let limits = Limits { lateness: config.detection.lateness, away: config.detection.away, ..Limits::default() };
    let mut detector = Detector::new(rules, limits);
    detector.set_feeds(reload::resuming(config));
    detector
}

fn start_of(context: &Context, first_run: bool) -> AuditAction {
    let config = context.config();
    AuditAction {
        at: context.now(),
        actor: Actor::Engine,
        action: "engine.start".into(),
        subject: "engine".into(),
        payload: json!({
            "version": env!("CARGO_PKG_VERSION"),
            "operator": config.operator_name(),
            "feeds": config.feed.keys().collect::<Vec<_>>(),
            "first_run": first_run,
        }),
    }
}

/// One pipeline for the engine's life: when it fails, the supervisor begins again with the same one. The batch that was
/// in its hands then is neither committed nor acknowledged: it comes again from the server, or its feed says it is lost.
fn spawn_pipeline(supervisor: &Arc<Supervisor>, feeds: &FeedManager, pipeline: Pipeline) {
    let pipeline = Arc::new(tokio::sync::Mutex::new(pipeline));
    let stop = supervisor.stopping();
    supervisor.spawn("pipeline", feeds.never(), move || {
        let (pipeline, stop) = (pipeline.clone(), stop.clone());
        async move { pipeline.lock().await.run(stop).await }
    });
}

fn spawn_control(
    supervisor: &Arc<Supervisor>,
    feeds: &FeedManager,
    console: &Arc<Console>,
    listener: ControlListener,
    paths: &Paths,
) {
    let (console, stop, data_dir) = (console.clone(), supervisor.stopping(), paths.data_dir.clone());
    let listener = Mutex::new(Some(listener));
    supervisor.spawn("control socket", feeds.never(), move || {
        let (console, stop, data_dir) = (console.clone(), stop.clone(), data_dir.clone());
        let held = listener.lock().take();
        async move {
            let listener = match held {
                Some(l) => l,
                None => ControlListener::bind(&data_dir).map_err(|e| e.to_string())?,
            };
            control::serve(console, listener, stop).await
        }
    });
}

fn spawn_notifications(
    supervisor: &Arc<Supervisor>,
    feeds: &FeedManager,
    notices: mpsc::Receiver<Notice>,
    notifier: Arc<dyn Notifier>,
) {
    let (notices, stop) = (Arc::new(tokio::sync::Mutex::new(notices)), supervisor.stopping());
    supervisor.spawn("notifications", feeds.never(), move || tell(notices.clone(), notifier.clone(), stop.clone()));
}

fn spawn_tasks(
    supervisor: &Arc<Supervisor>,
    feeds: &Arc<FeedManager>,
    (context, console): (&Arc<Context>, &Console),
    commands: mpsc::Sender<wf_engine::pipeline::PipelineCommand>,
    running: Running,
) {
    let (never, pulse) = (feeds.never(), Arc::new(Pulse::default()));
    let (sending, beat, stop) = (context.clone(), pulse.clone(), supervisor.stopping());
    supervisor.spawn("outbox", never.clone(), move || outbox::run(sending.clone(), beat.clone(), stop.clone()));
    let (watching, stop) = (context.clone(), supervisor.stopping());
    supervisor.spawn("dead man", never.clone(), move || {
        dead_man::run(watching.clone(), running.clone(), pulse.clone(), stop.clone())
    });
    let (hearing, stop) = (context.clone(), supervisor.stopping());
    supervisor.spawn("replies", never.clone(), move || replies::run(hearing.clone(), stop.clone()));
    let mut chores = wf_compliance::chores(&console.compliance);
    chores.push(Arc::new(GroupFilters::new(context.store().clone())));
    let timers =
        Arc::new(Timers { context: context.clone(), commands: commands.clone(), feeds: feeds.clone(), chores });
    let stop = supervisor.stopping();
    supervisor.spawn("timers", never.clone(), move || {
        let (timers, stop) = (timers.clone(), stop.clone());
        async move { timers.run(stop).await }
    });
    let (watcher, stop) =
        (Arc::new(Watcher { context: context.clone(), feeds: feeds.clone(), commands }), supervisor.stopping());
    supervisor.spawn("config", never, move || {
        let (watcher, stop) = (watcher.clone(), stop.clone());
        async move { watcher.run(stop).await }
    });
}

async fn tell(
    notices: Arc<tokio::sync::Mutex<mpsc::Receiver<Notice>>>,
    notifier: Arc<dyn Notifier>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), String> {
    let mut notices = notices.lock().await;
    loop {
        tokio::select! {
            () = wf_engine::supervisor::told(&mut stop) => return Ok(()),
            notice = notices.recv() => match notice {
                Some(n) => notifier.notify(&n),
                None => return Ok(()),
            },
        }
    }
}
