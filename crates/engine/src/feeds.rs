//! The subscriptions that run: as the config has them, each a supervised task.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use wf_config::Config;
use wf_demo::{DemoServer, Options as DemoOptions, Scenario};
use wf_feeds::{Delivery, FeedConfig, FeedState, FeedStatus, Mapping, Subscription, Tally};
use wf_model::{FeedName, SecretSource};
use wf_platform::Clock;
use wf_store::Store;

use crate::pipeline::PipelineSinks;
use crate::seeds::Seeds;
use crate::supervisor::{Supervisor, told};

/// The name of the demo's feed.
pub const DEMO: &str = "demo";
/// How long a feed that is stopped may take to hand over what it holds.
pub const GRACE: Duration = Duration::from_secs(5);
/// Between two looks whether everything of a feed is stored.
const LOOK: Duration = Duration::from_millis(20);

/// What desks may do with the feeds that run.
pub trait FeedControl: Send + Sync {
    fn statuses(&self) -> BTreeMap<FeedName, (FeedStatus, Arc<FeedConfig>)>;
    /// Starts a feed again.
    ///
    /// # Errors
    /// There is none of that name.
    fn restart(&self, name: &FeedName) -> Result<(), String>;
}

/// The subscriptions that run.
pub struct FeedManager {
    running: Mutex<BTreeMap<FeedName, RunningFeed>>,
    /// What was told to stop and may not have ended.
    ending: Mutex<BTreeMap<FeedName, Vec<Stop>>>,
    seeds: Arc<Seeds>,
    deliveries: mpsc::Sender<Delivery>,
    sinks: Arc<PipelineSinks>,
    supervisor: Arc<Supervisor>,
    secrets: Arc<dyn SecretSource>,
    demo: tokio::sync::Mutex<Option<DemoServer>>,
    /// A stop that never comes, for tasks that end only with everything.
    never: watch::Sender<bool>,
}

struct RunningFeed {
    config: Arc<FeedConfig>,
    /// The text of the config and of the mappings, to see whether they changed.
    definition: String,
    mappings: Arc<[Mapping]>,
    status: watch::Sender<FeedStatus>,
    stop: Stop,
}

/// Ends a task; closed once it has ended.
type Stop = watch::Sender<bool>;

fn definition(config: &FeedConfig, mappings: &[Mapping]) -> String {
    format!("{config:?}\n{mappings:?}")
}

impl FeedControl for FeedManager {
    fn statuses(&self) -> BTreeMap<FeedName, (FeedStatus, Arc<FeedConfig>)> {
        let running = self.running.lock();
        running.iter().map(|(name, f)| (name.clone(), (f.status.borrow().clone(), f.config.clone()))).collect()
    }

    fn restart(&self, name: &FeedName) -> Result<(), String> {
        let (config, mappings) = {
            let running = self.running.lock();
            let feed = running.get(name).ok_or_else(|| format!("there is no feed '{name}'"))?;
            (feed.config.clone(), feed.mappings.clone())
        };
        self.stop(name);
        self.start(name.clone(), config, mappings);
        Ok(())
    }
}

impl FeedManager {
    pub fn new(
        (store, clock): (Store, Arc<dyn Clock>),
        deliveries: mpsc::Sender<Delivery>,
        sinks: Arc<PipelineSinks>,
        supervisor: Arc<Supervisor>,
        secrets: Arc<dyn SecretSource>,
    ) -> Self {
        Self {
            running: Mutex::default(),
            ending: Mutex::default(),
            seeds: Arc::new(Seeds::new(store, clock)),
            deliveries,
            sinks,
            supervisor,
            secrets,
            demo: tokio::sync::Mutex::default(),
            never: watch::Sender::new(false),
        }
    }

    /// A stop that never comes, for tasks that end only with everything.
    pub fn never(&self) -> watch::Receiver<bool> {
        self.never.subscribe()
    }

    /// Brings what runs into line with the config: starts, stops, restarts what changed.
    pub fn apply<'a>(&'a self, config: &'a Config) -> BoxFuture<'a, std::io::Result<()>> {
        Box::pin(self.bring_into_line(config))
    }

    async fn bring_into_line(&self, config: &Config) -> std::io::Result<()> {
        self.seeds.starting_with(config);
        let mut wanted = BTreeMap::new();
        for (name, feed) in &config.feed {
            // The config was checked when it was read: its mappings exist, unless a file was taken away since.
            match config.mappings_of(feed) {
                Ok(mappings) => {
                    wanted.insert(FeedName::new(name), (feed, mappings));
                }
                Err(e) => tracing::error!(feed = name, error = e, "it goes on as it is"),
            }
        }
        let gone: Vec<_> = {
            let running = self.running.lock();
            let changed = |n: &FeedName, f: &RunningFeed| match wanted.get(n) {
                Some((feed, mappings)) => definition(feed, mappings) != f.definition,
                None => n.as_str() != DEMO && !config.feed.contains_key(n.as_str()),
            };
            running.iter().filter(|(n, f)| changed(n, f)).map(|(n, _)| n.clone()).collect()
        };
        for name in gone {
            self.stop(&name);
        }
        for (name, (feed, mappings)) in wanted {
            if !self.running.lock().contains_key(&name) {
                self.start(name, Arc::new(feed.clone()), mappings);
            }
        }
        let mut demo = self.demo.lock().await;
        if config.demo.enabled && demo.is_none() {
            *demo = Some(self.start_demo(config).await?);
        } else if !config.demo.enabled && demo.take().is_some() {
            self.stop(&FeedName::new(DEMO));
        }
        self.sinks.recent.touched(|t| t.health += 1);
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

    /// The task begins where those that had this name before ended, once everything they received is stored.
    fn start(&self, name: FeedName, config: Arc<FeedConfig>, mappings: Arc<[Mapping]>) {
        let state = if config.enabled { FeedState::Connecting } else { FeedState::Disabled };
        let status = watch::Sender::new(FeedStatus::new(state));
        let (stop, stopped) = watch::channel(false);
        let committed = watch::Sender::new(None);
        let entry = RunningFeed {
            definition: definition(&config, &mappings),
            config: config.clone(),
            mappings: mappings.clone(),
            status: status.clone(),
            stop,
        };
        self.running.lock().insert(name.clone(), entry);
        if !config.enabled {
            return;
        }
        self.sinks.committed.lock().insert(name.clone(), committed.clone());
        let (seeds, secrets, out) = (self.seeds.clone(), self.secrets.clone(), self.deliveries.clone());
        let tally = self.sinks.tallies.lock().entry(name.clone()).or_default().clone();
        self.follow(&status);
        let until = stopped.clone();
        let before = Arc::new(self.ending.lock().get(&name).cloned().unwrap_or_default());
        self.supervisor.spawn(&format!("feed {name}"), until, move || {
            let (name, config, mappings) = (name.clone(), config.clone(), mappings.clone());
            let (seeds, secrets, out, tally) = (seeds.clone(), secrets.clone(), out.clone(), tally.clone());
            let (status, committed, mut stop, before) =
                (status.clone(), committed.subscribe(), stopped.clone(), before.clone());
            async move {
                tokio::select! {
                    () = told(&mut stop) => return Ok(()),
                    () = settled(&before, &tally) => {}
                }
                let seed = seeds.of(&name, &config, tally).await.map_err(|e| e.to_string())?;
                let grace = GRACE;
                Subscription { name, config, mappings, secrets, seed, out, status, committed, stop, grace }.run().await;
                Ok(())
            }
        });
    }

    /// The window hears when the state of a feed changes.
    fn follow(&self, status: &watch::Sender<FeedStatus>) {
        let (mut changes, recent) = (status.subscribe(), self.sinks.recent.clone());
        tokio::spawn(async move {
            while changes.changed().await.is_ok() {
                recent.touched(|t| t.health += 1);
            }
        });
    }

    fn stop(&self, name: &FeedName) {
        if let Some(feed) = self.running.lock().remove(name) {
            feed.stop.send_replace(true);
            let mut ending = self.ending.lock();
            let those = ending.entry(name.clone()).or_default();
            those.retain(|s| !s.is_closed());
            those.push(feed.stop);
        }
        self.supervisor.forget(&format!("feed {name}"));
    }

    /// Ends every feed and waits until each has handed over what it holds, at most so long. The pipeline must go on
    /// meanwhile.
    pub async fn stop_all(&self, at_most: Duration) {
        let mut stops: Vec<Stop> = self.running.lock().values().map(|f| f.stop.clone()).collect();
        for stop in &stops {
            stop.send_replace(true);
        }
        stops.extend(self.ending.lock().values().flatten().cloned());
        let ended = async {
            for stop in &stops {
                stop.closed().await;
            }
        };
        if tokio::time::timeout(at_most, ended).await.is_err() {
            tracing::warn!("a feed did not end in time");
        }
    }
}

/// Everything that was received under this name is stored, and nobody receives under it any more.
async fn settled(before: &[Stop], tally: &Tally) {
    for stop in before {
        stop.closed().await;
    }
    while tally.numbers().in_flight > 0 {
        tokio::time::sleep(LOOK).await;
    }
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
