//! What tests of this room build with: a store in a directory of its own, and events.

use std::sync::Arc;

use tokio::sync::mpsc;
use wf_config::Config;
use wf_evidence::{AuditKey, AuditLog};
use wf_model::{
    Contribution, Entity, Event, FeedName, Fields, Match, Message, Notice, Raw, Seq, Severity, Timestamp, Value,
};
use wf_platform::{Clock, MemoryKeychain, Secrets, SystemClock};
use wf_response::{IncidentRegistry, Settings};
use wf_store::{DatabaseKey, Store};

use crate::context::Context;
use crate::ledger::Ledger;
use crate::recent::RecentEvents;
use crate::state::State;

/// A failed login, received now.
pub(crate) fn event(seq: u64, text: &str) -> Event {
    let mut fields = Fields::default();
    fields.set("event.action".into(), Value::str("login_failed"));
    fields.set("source.ip".into(), Value::str("203.0.113.9"));
    let now = Timestamp::now();
    Event {
        seq: Seq(seq),
        feed: FeedName::new("f"),
        id: None,
        occurred_at: now,
        received_at: now,
        skewed: false,
        conflict: false,
        fields,
        raw: Raw::from(text),
    }
}

/// What a rule found about a user, now.
pub(crate) fn found(now: Timestamp, user: &str) -> Match {
    Match {
        rule: "r".into(),
        title: "R".into(),
        kind: "K".into(),
        severity: Severity::P2,
        entity: Some(Entity { field: "user.name".into(), value: user.into() }),
        at: now,
        first_at: now,
        count: 1,
        value: 1,
        contribution: Contribution::Fired,
        message: Message(Vec::new()),
        actions: Vec::new(),
        events: Vec::new(),
        feeds: Vec::new(),
    }
}

pub(crate) struct Room {
    pub context: Arc<Context>,
    _notices: mpsc::Receiver<Notice>,
    _dir: tempfile::TempDir,
}

impl Room {
    /// With this config, on an empty database.
    pub async fn new(config: &str) -> Self {
        Self::at(config, Arc::new(SystemClock)).await
    }

    pub async fn at(config: &str, clock: Arc<dyn Clock>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config_path = dir.path().join("watchfloor.toml");
        std::fs::write(&config_path, config).unwrap();
        let config = Arc::new(Config::load(&config_path).unwrap());
        let store =
            Store::open(&dir.path().join("db"), &DatabaseKey::from_hex(&"07".repeat(32)).unwrap()).await.unwrap();
        let plan = Arc::new(config.plan([7; 32], &[]));
        let registry = IncidentRegistry::new(Settings::default(), plan.clone(), 0, [], vec![]);
        let log = AuditLog::new(AuditKey::from_seed(&[7; 32]), []);
        let keychain = Arc::new(MemoryKeychain::default());
        let (sender, notices) = mpsc::channel(1024);
        let context = Context {
            ledger: Ledger::start(store, log, registry, clock.clone()),
            state: State::new(config, plan),
            recent: Arc::new(RecentEvents::default()),
            secrets: Arc::new(Secrets::new(keychain.clone(), None)),
            keychain,
            clock,
            config_path,
            code_key: [7; 32],
            notices: Some(sender),
            editing: tokio::sync::Mutex::default(),
            standings: tokio::sync::Mutex::default(),
        };
        Self { context: Arc::new(context), _notices: notices, _dir: dir }
    }
}
