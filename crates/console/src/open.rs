//! Opening a data directory: for a console that runs, and for tools that only read and act.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use wf_config::{Config, ConfigError};
use wf_engine::ledger::stored_incidents;
use wf_engine::{Context, Ledger, RecentEvents, State};
use wf_model::Notice;
use wf_platform::{Clock, DataDirLock, KeyError, Keychain, Keys, Paths, Secrets, keys};
use wf_response::Settings;
use wf_store::{Store, StoreError};

use crate::audit::{self, TakenUp};

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

/// What opening a data directory gives.
pub(crate) struct Opened {
    pub context: Context,
    pub keys: Keys,
    pub lock: DataDirLock,
}

/// What the world outside gives a console.
pub(crate) struct Outside {
    pub keychain: Arc<dyn Keychain>,
    pub clock: Arc<dyn Clock>,
    /// Where the officer at this window is told; `None` where nobody sits at one.
    pub notices: Option<mpsc::Sender<Notice>>,
}

/// Takes the lock, finds the keys, opens the store, and takes the audit log and the live incidents up.
pub(crate) fn open(paths: &Paths, outside: Outside) -> BoxFuture<'_, Result<Opened, StartError>> {
    Box::pin(open_all(paths, outside))
}

/// Takes the lock, reads the config and finds the keys.
pub(crate) async fn hold(
    paths: &Paths,
    keychain: &Arc<dyn Keychain>,
) -> Result<(DataDirLock, Arc<Config>, Keys), StartError> {
    let config = Arc::new(Config::load(&paths.config)?);
    let data_dir = |source| StartError::DataDir { path: paths.data_dir.clone(), source };
    paths.prepare().map_err(data_dir)?;
    let lock = DataDirLock::take(&paths.lock())
        .map_err(data_dir)?
        .ok_or_else(|| StartError::AlreadyRunning(paths.data_dir.clone()))?;
    // A restore that was cut short is ended first: whether there is a database decides about keys.
    wf_store::finish_restore(&paths.database())?;
    let keys = keys::open(&config.store.key, keychain.clone(), paths).await?;
    Ok((lock, config, keys))
}

async fn open_all(paths: &Paths, outside: Outside) -> Result<Opened, StartError> {
    let Outside { keychain, clock, notices } = outside;
    let (lock, config, keys) = hold(paths, &keychain).await?;
    let store = Store::open(&paths.database(), &keys.database).await?;
    let TakenUp { log, signs_since, problems } = audit::take_up(&store, &keys.audit, clock.now()).await?;
    if keys.audit.since() != signs_since
        && let Some(since) = signs_since
    {
        keys::remember_since(&config.store.key, keychain.clone(), paths, since).await?;
    }
    let settings = Settings { window: config.incidents.fold_window, recurrence: config.incidents.recurrence };
    let code_key = keys::code_key(&keys.database);
    let plan = Arc::new(config.plan(code_key, &store.channels().await?));
    let book = stored_incidents(&store, settings, plan.clone(), clock.now()).await?;
    let witness = keys::database_entry(&config.store.key, paths);
    let context = Context {
        ledger: Ledger::start(store, log, book, clock.clone()),
        state: State::new(config, plan),
        recent: Arc::new(RecentEvents::default()),
        secrets: Arc::new(Secrets::new(keychain.clone(), witness)),
        keychain,
        clock,
        config_path: paths.config.clone(),
        code_key,
        notices,
        editing: tokio::sync::Mutex::default(),
        standings: tokio::sync::Mutex::default(),
    };
    context.state.set_problems("audit", problems);
    Ok(Opened { context, keys, lock })
}
