//! The engine behind the window: starting, locked with a reason, or running.

use std::sync::{Arc, Mutex, PoisonError};

use secrecy::SecretString;
use serde::Serialize;
use specta::Type;
use tokio::sync::watch;
use wf_api::{ApiError, ErrorCode};
use wf_console::{Console as Asked, Instance, Notifier, Options, StartError, StoreError};
use wf_platform::Paths;
use wf_platform::{KeyError, OsKeychain};

/// What the page shows before anything else.
#[derive(Clone, Debug, Serialize, Type)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ConsoleView {
    Starting,
    /// It cannot run. `kind` decides the screen.
    Locked {
        kind: LockKind,
        message: String,
    },
    Running {
        /// Keys were made at this start: the officer should keep the recovery key.
        fresh: bool,
        version: String,
        key_store: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "snake_case")]
pub enum LockKind {
    /// No keychain in this session.
    KeychainMissing,
    /// A keychain that is locked, or that lost the key: unlock or recover.
    KeychainLocked,
    /// The key does not open this database: recover.
    WrongKey,
    Config,
    Other,
}

enum State {
    Starting,
    Locked { kind: LockKind, message: String },
    Running { instance: Box<Instance>, console: Arc<Asked> },
    Ended,
}

pub struct Console {
    paths: Paths,
    notifier: Arc<dyn Notifier>,
    state: Mutex<State>,
    changed: watch::Sender<u64>,
    starting: tokio::sync::Mutex<()>,
}

impl Console {
    /// `notifier`: what shows the notices of an engine that runs.
    pub fn new(paths: Paths, notifier: Arc<dyn Notifier>) -> Self {
        Self {
            paths,
            notifier,
            state: Mutex::new(State::Starting),
            changed: watch::Sender::new(0),
            starting: tokio::sync::Mutex::default(),
        }
    }

    fn set(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        self.changed.send_modify(|n| *n += 1);
    }

    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Starts the engine unless it runs. How it went is the state.
    pub async fn start(&self) {
        let _one_at_a_time = self.starting.lock().await;
        if self.asked().is_ok() {
            return;
        }
        self.set(State::Starting);
        let options = Options::new(self.paths.clone(), Arc::new(OsKeychain), self.notifier.clone());
        self.set(match Instance::start(options).await {
            Ok(instance) => State::Running { console: instance.console.clone(), instance: Box::new(instance) },
            Err(e) => State::Locked { kind: kind_of(&e), message: e.to_string() },
        });
    }

    /// Puts the key of a recovery key into the keychain and starts.
    pub async fn recover(&self, text: &str) -> Result<(), ApiError> {
        wf_platform::keys::recover(text, Arc::new(OsKeychain), &self.paths).await.map_err(|e| match e {
            KeyError::BadRecoveryKey(_) => ApiError::invalid(e),
            other => ApiError::failed(other),
        })?;
        self.start().await;
        Ok(())
    }

    pub fn asked(&self) -> Result<Arc<Asked>, ApiError> {
        match &*self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Running { console, .. } => Ok(console.clone()),
            State::Starting | State::Locked { .. } | State::Ended => {
                Err(ApiError::new(ErrorCode::Refused, "the console is not open"))
            }
        }
    }

    /// The recovery key, in the session that made the keys. It goes to a native dialog and never to the page.
    pub fn recovery_key(&self) -> Option<SecretString> {
        match &*self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Running { instance, .. } => instance.fresh.clone(),
            State::Starting | State::Locked { .. } | State::Ended => None,
        }
    }

    pub fn view(&self) -> ConsoleView {
        match &*self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Starting | State::Ended => ConsoleView::Starting,
            State::Locked { kind, message } => ConsoleView::Locked { kind: *kind, message: message.clone() },
            State::Running { instance, console } => ConsoleView::Running {
                fresh: instance.fresh.is_some(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                key_store: console.desk.overview.key_store().to_owned(),
            },
        }
    }

    /// Stops the engine in order.
    pub async fn stop(&self) {
        let state = std::mem::replace(&mut *self.state.lock().unwrap_or_else(PoisonError::into_inner), State::Ended);
        if let State::Running { instance, .. } = state
            && let Err(e) = instance.stop().await
        {
            tracing::error!(error = %e, "the end could not be recorded");
        }
    }
}

fn kind_of(e: &StartError) -> LockKind {
    match e {
        StartError::Key(KeyError::NoKeychain) => LockKind::KeychainMissing,
        StartError::Key(KeyError::Locked | KeyError::NoKeyForDatabase | KeyError::Failed(_)) => {
            LockKind::KeychainLocked
        }
        StartError::Store(StoreError::WrongKey { .. }) => LockKind::WrongKey,
        StartError::Config(_) | StartError::Key(_) => LockKind::Config,
        StartError::DataDir { .. }
        | StartError::AlreadyRunning(_)
        | StartError::Store(_)
        | StartError::Control(_)
        | StartError::Demo(_) => LockKind::Other,
    }
}
