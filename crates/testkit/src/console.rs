//! A whole console, without a window, in a directory of its own.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use wf_api::views::{Conservation, FeedView, IncidentView};
use wf_api::{ApiError, Request};
use wf_console::Notifier;
use wf_console::{Console, Instance, Notice, Options, StartError};
use wf_platform::MemoryKeychain;
use wf_platform::Paths;

use crate::until;

/// Remembers what the officer was told.
#[derive(Default)]
pub struct Told(pub Mutex<Vec<Notice>>);

impl Notifier for Told {
    fn notify(&self, notice: &Notice) {
        self.0.lock().unwrap().push(notice.clone());
    }

    fn waiting(&self, _: u64, _: u64) {}
}

/// A console's directory, config and keychain; started and stopped as often as a test likes.
pub struct TestConsole {
    _temporary: Option<tempfile::TempDir>,
    pub paths: Paths,
    pub keychain: Arc<MemoryKeychain>,
    pub told: Arc<Told>,
}

impl TestConsole {
    /// With this config, in a temporary directory.
    pub fn new(config: &str) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let mut console = Self::at(temporary.path(), config);
        console._temporary = Some(temporary);
        console
    }

    /// With this config, in this directory.
    pub fn at(dir: &Path, config: &str) -> Self {
        let paths = Paths::new(Some(dir.join("data")), Some(dir.join("watchfloor.toml")));
        std::fs::write(&paths.config, format!("[operator]\nname = \"Duty officer\"\n{config}")).unwrap();
        Self { _temporary: None, paths, keychain: Arc::default(), told: Arc::default() }
    }

    pub fn dir(&self) -> PathBuf {
        self.paths.config.parent().unwrap().to_owned()
    }

    pub async fn try_start(&self) -> Result<RunningConsole, StartError> {
        let options = Options::new(self.paths.clone(), self.keychain.clone(), self.told.clone());
        let instance = Instance::start(options).await?;
        Ok(RunningConsole { console: instance.console.clone(), data_dir: self.paths.data_dir.clone(), instance })
    }

    pub async fn start(&self) -> RunningConsole {
        self.try_start().await.expect("the console starts")
    }
}

/// `[feed.NAME]` for a demo server.
pub fn demo_feed(name: &str, url: &str) -> String {
    format!(
        r#"
[feed.{name}]
url = "{url}"
map = ["activity-log", "security-event", "auth-event"]
decode = {{ ignore = [{{ pointer = "/type", equals = "hello" }}] }}
resume = {{ cursor = "/offset", epoch = "/epoch", recovered = "/recovered" }}
dedup = {{ id = "/id" }}
backoff = {{ base = "20ms", cap = "200ms", reset_after = "60s" }}
ping = {{ mode = "ws", every = "500ms", timeout = "1s" }}
"#
    )
}

pub struct RunningConsole {
    pub console: Arc<Console>,
    pub data_dir: PathBuf,
    instance: Instance,
}

/// A ledger in which nothing is written.
pub struct Held {
    release: std::sync::mpsc::SyncSender<()>,
    holding: tokio::task::JoinHandle<()>,
}

impl Held {
    pub async fn release(self) {
        self.release.send(()).expect("the ledger is held");
        self.holding.await.expect("the ledger is held");
    }
}

impl RunningConsole {
    pub async fn stop(self) {
        self.try_stop().await.expect("the console stops");
    }

    /// On a disk that takes nothing its end cannot be recorded.
    pub async fn try_stop(self) -> Result<(), wf_console::StoreError> {
        self.instance.stop().await
    }

    /// As if the disk took nothing, for this reason.
    pub fn pretend_blocked(&self, why: Option<&str>) {
        *self.instance.sinks.blocked.lock() = why.map(str::to_owned);
    }

    /// Keeps everybody from writing, as a slow disk does. In a test of several threads only.
    pub fn hold_the_ledger(&self) -> Held {
        let (release, released) = std::sync::mpsc::sync_channel::<()>(1);
        let ledger = self.console.context.ledger.clone();
        let holding = tokio::spawn(async move {
            let held = ledger.change(move |_| {
                tokio::task::block_in_place(|| released.recv()).expect("it is let go");
                Ok(Default::default())
            });
            held.await.expect("nothing was changed");
        });
        Held { release, holding }
    }

    /// Within this process.
    pub async fn ask(&self, request: Request) -> Result<Value, ApiError> {
        self.console.handle(request).await
    }

    /// As `watchfloorctl` asks: over the control socket.
    pub async fn ask_over_the_socket(&self, request: Request) -> Result<Value, ApiError> {
        wf_console::control::ask(&self.data_dir, &request).await.expect("the console listens on its control socket")
    }

    /// What an officer does to an incident.
    pub async fn act(&self, id: &str, action: wf_api::Action) -> Result<serde_json::Value, wf_api::ApiError> {
        self.ask(Request::IncidentsAct { ids: vec![id.to_owned()], action }).await
    }

    pub async fn stored(&self) -> u64 {
        self.ask(Request::EventsCount).await.unwrap()["events"].as_u64().unwrap()
    }

    /// Waits until at least `n` events are stored.
    pub async fn until_stored(&self, n: u64) {
        until(&format!("{n} events stored"), || async move { (self.stored().await >= n).then_some(()) }).await;
    }

    pub async fn feed(&self, name: &str) -> FeedView {
        self.console
            .desk
            .feeds
            .all()
            .await
            .unwrap()
            .feeds
            .into_iter()
            .find(|f| f.name == name)
            .unwrap_or_else(|| panic!("there is a feed {name}"))
    }

    pub async fn until_feed(&self, name: &str, what: &str, condition: impl Fn(&FeedView) -> bool) -> FeedView {
        let condition = &condition;
        until(&format!("feed {name}: {what}"), || async move { Some(self.feed(name).await).filter(|f| condition(f)) })
            .await
    }

    pub async fn incidents(&self) -> Vec<IncidentView> {
        self.console.desk.incidents.list(None, None, 10_000).await.unwrap()
    }

    pub async fn until_incident(&self, what: &str, condition: impl Fn(&IncidentView) -> bool) -> IncidentView {
        let condition = &condition;
        until(
            &format!("an incident: {what}"),
            || async move { self.incidents().await.into_iter().find(|i| condition(i)) },
        )
        .await
    }

    /// The conservation law, and the audit log's own proof.
    pub async fn assert_sound(&self) {
        for feed in self.console.desk.feeds.all().await.unwrap().feeds {
            assert_conserved(&feed.name, &feed.counts);
        }
        let verdict = self.console.compliance.audit.verify(None).await.unwrap();
        assert!(verdict.good, "{verdict:?}");
    }
}

pub fn assert_conserved(name: &str, c: &Conservation) {
    assert!(c.holds(), "the conservation law of {name}: {c:?}");
}
