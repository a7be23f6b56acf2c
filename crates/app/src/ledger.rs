//! The one door to the disk: whoever changes something changes it here, one after the other, and its audit leaf goes with it.

use tokio::sync::Mutex;
use wf_evidence::AuditLog;
use wf_model::{AuditAction, Incident, Timestamp};
use wf_response::lifecycle::Refusal;
use wf_response::{Book, Changes};
use wf_store::{Commit, Store, StoreError};

use crate::keys;

/// Store, audit log and the live incidents, changed together or not at all.
pub struct Ledger {
    store: Store,
    state: Mutex<State>,
}

struct State {
    log: AuditLog,
    book: Book,
}

/// Why an officer's action did not happen.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    #[error("there is no incident '{0}'")]
    NotFound(String),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Ledger {
    pub fn new(store: Store, log: AuditLog, book: Book) -> Self {
        Self { store, state: Mutex::new(State { log, book }) }
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Commits what `make` builds from the live incidents. On failure nothing has changed, and it can be tried again.
    pub async fn commit(&self, make: impl FnOnce(&Book) -> (Commit, Changes)) -> Result<Changes, StoreError> {
        let mut state = self.state.lock().await;
        let (commit, changes) = make(&state.book);
        self.write(&mut state, commit, changes).await
    }

    /// What `make` would change now, without changing it.
    pub async fn preview(&self, make: impl FnOnce(&Book) -> Changes) -> Changes {
        make(&self.state.lock().await.book)
    }

    /// Records actions that change nothing else.
    pub async fn record(&self, audit: Vec<AuditAction>) -> Result<(), StoreError> {
        self.commit(|_| (Commit::default(), Changes { audit, ..Changes::default() })).await.map(|_| ())
    }

    /// An officer's action on the incident as it is now.
    pub async fn act(&self, id: &str, action: impl FnOnce(&Incident) -> Result<Changes, Refusal>) -> Result<Changes, ActError> {
        let mut state = self.state.lock().await;
        let incident = self.store.incident(id).await?.ok_or_else(|| ActError::NotFound(id.to_owned()))?;
        let changes = action(&incident)?;
        Ok(self.write(&mut state, Commit::default(), changes).await?)
    }

    /// A signed checkpoint of the log as it is, for the hour and for the end.
    pub async fn checkpoint(&self, now: Timestamp) -> Result<(), StoreError> {
        let state = self.state.lock().await;
        let checkpoint = Some(state.log.checkpoint(now));
        self.store.commit(&Commit { checkpoint, ..Commit::default() }).await
    }

    /// The log as it stands, for exports.
    pub async fn log(&self) -> AuditLog {
        self.state.lock().await.log.clone()
    }

    async fn write(&self, state: &mut State, mut commit: Commit, changes: Changes) -> Result<Changes, StoreError> {
        commit.incidents.clone_from(&changes.incidents);
        commit.timeline.clone_from(&changes.timeline);
        let mut next = None;
        if !changes.audit.is_empty() {
            let (leaves, checkpoint, log) = state.log.append(Timestamp::now(), &changes.audit, keys::salt);
            (commit.leaves, commit.checkpoint, next) = (leaves, Some(checkpoint), Some(log));
        }
        self.store.commit(&commit).await?;
        if let Some(log) = next {
            state.log = log;
        }
        state.book.apply(&changes);
        Ok(changes)
    }
}
