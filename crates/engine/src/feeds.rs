//! The subscriptions that run: as the config has them, each a supervised task.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use wf_config::Config;
use wf_demo::{DemoServer, Options as DemoOptions, Scenario};
use wf_feeds::ingest::{Seed, content_hash};
use wf_feeds::{Delivery, FeedConfig, FeedState, FeedStatus, Mapping, Subscription, Tally};
use wf_model::{FeedName, Timestamp};
use wf_platform::{Keychain, Secrets};
use wf_store::{Store, StoreError};

use crate::pipeline::PipelineSinks;
use crate::supervisor::Supervisor;

/// How much of the past deduplication reads back at a start.
const REMEMBERED: usize = 50_000;
/// The name of the demo's feed.
pub const DEMO: &str = "demo";

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
    store: Store,
    deliveries: mpsc::Sender<Delivery>,
    sinks: Arc<PipelineSinks>,
    supervisor: Arc<Supervisor>,
    keychain: Arc<dyn Keychain>,
    demo: tokio::sync::Mutex<Option<DemoServer>>,
    /// A stop that never comes, for tasks that end only with everything.
    never: watch::Sender<bool>,
}

struct RunningFeed {
    config: Arc<FeedConfig>,
    /// The text of the config, to see whether it changed.
    definition: String,
    mappings: Arc<[Mapping]>,
    status: watch::Sender<FeedStatus>,
    stop: watch::Sender<bool>,
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
        store: Store,
        deliveries: mpsc::Sender<Delivery>,
        sinks: Arc<PipelineSinks>,
        supervisor: Arc<Supervisor>,
        keychain: Arc<dyn Keychain>,
    ) -> Self {
        Self {
            running: Mutex::default(),
            store,
            deliveries,
            sinks,
            supervisor,
            keychain,
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
        let wanted: BTreeMap<FeedName, &FeedConfig> = config.feed.iter().map(|(n, f)| (FeedName::new(n), f)).collect();
        let gone: Vec<_> = {
            let running = self.running.lock();
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
            let known = self.running.lock().contains_key(&name);
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
        self.running.lock().insert(name.clone(), entry);
        if !config.enabled {
            return;
        }
        self.sinks.committed.lock().insert(name.clone(), committed.clone());
        let secrets: Arc<dyn wf_model::SecretSource> = Arc::new(Secrets(self.keychain.clone()));
        let (store, out, live) = (self.store.clone(), self.deliveries.clone(), self.sinks.recent.clone());
        let tally = self.sinks.tallies.lock().entry(name.clone()).or_default().clone();
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
        if let Some(feed) = self.running.lock().remove(name) {
            feed.stop.send_replace(true);
        }
        self.supervisor.forget(&format!("feed {name}"));
    }

    pub fn stop_all(&self) {
        for feed in self.running.lock().values() {
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
