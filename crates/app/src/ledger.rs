//! The one door to the disk: whoever changes something changes it here, one after the other, and its audit leaf goes
//! with it.

use std::sync::Arc;

use tokio::sync::{Mutex, Notify};
use wf_evidence::AuditLog;
use wf_model::channel::ChannelStanding;
use wf_model::{AuditAction, Destination, Incident, Notification, NotificationState, Purpose, Timestamp};
use wf_response::lifecycle::Refusal;
use wf_response::{Book, Changes, Plan};
use wf_store::{Commit, Store, StoreError};

use crate::keys;

/// Store, audit log and the live incidents, changed together or not at all.
pub struct Ledger {
    store: Store,
    state: Mutex<State>,
    /// Something new is owed to somebody.
    pub owed: Notify,
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
        Self { store, state: Mutex::new(State { log, book }), owed: Notify::new() }
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

    /// What the live incidents say now.
    pub async fn look<T>(&self, at: impl FnOnce(&Book) -> T) -> T {
        at(&self.state.lock().await.book)
    }

    /// From now on, this is what is decided by.
    pub async fn set_plan(&self, plan: Arc<Plan>) {
        self.state.lock().await.book.set_plan(plan);
    }

    /// Records actions that change nothing else.
    pub async fn record(&self, audit: Vec<AuditAction>) -> Result<(), StoreError> {
        self.commit(|_| (Commit::default(), Changes { audit, ..Changes::default() })).await.map(|_| ())
    }

    /// An officer's action on the incident as it is now.
    pub async fn act(
        &self,
        id: &str,
        action: impl FnOnce(&Incident, &Book) -> Result<Changes, Refusal>,
    ) -> Result<Changes, ActError> {
        let mut state = self.state.lock().await;
        let incident = self.incident(id).await?;
        let changes = action(&incident, &state.book)?;
        Ok(self.write(&mut state, Commit::default(), changes).await?)
    }

    /// The same action on many, in one commit: as quick as on one. Each says for itself why it was refused.
    pub async fn act_on_many(
        &self,
        ids: &[String],
        action: impl Fn(&Incident, &Book) -> Result<Changes, Refusal>,
    ) -> Result<(Changes, Vec<Result<Incident, ActError>>), StoreError> {
        let mut state = self.state.lock().await;
        let (mut all, mut each, mut seen) =
            (Changes::default(), Vec::with_capacity(ids.len()), std::collections::HashSet::new());
        for id in ids {
            let outcome = match self.incident(id).await {
                // Named twice: the second time it is no longer as it was.
                Ok(incident) if !seen.insert(incident.id.clone()) => {
                    Err(Refusal::Stale { number: incident.number }.into())
                }
                Ok(incident) => action(&incident, &state.book).map_err(ActError::from),
                Err(e) => Err(e),
            };
            each.push(outcome.and_then(|changes| {
                let changed = changes.incidents.first().cloned().ok_or_else(|| ActError::NotFound(id.clone()));
                all.join(changes);
                changed
            }));
        }
        let all = self.write(&mut state, Commit::default(), all).await?;
        Ok((all, each))
    }

    /// An officer's action on two incidents as they are now.
    pub async fn act_on_two(
        &self,
        one: &str,
        other: &str,
        action: impl FnOnce(&Incident, &Incident, &Book) -> Result<Changes, Refusal>,
    ) -> Result<Changes, ActError> {
        let mut state = self.state.lock().await;
        let (one, other) = (self.incident(one).await?, self.incident(other).await?);
        let changes = action(&one, &other, &state.book)?;
        Ok(self.write(&mut state, Commit::default(), changes).await?)
    }

    /// A change that is about the book as a whole.
    pub async fn change(&self, make: impl FnOnce(&Book) -> Result<Changes, Refusal>) -> Result<Changes, ActError> {
        let mut state = self.state.lock().await;
        let changes = make(&state.book)?;
        Ok(self.write(&mut state, Commit::default(), changes).await?)
    }

    /// The intent to send, on the disk before anything is sent. `None`: it is no longer owed. An acknowledgement takes
    /// the same door, so it comes before or after this, never between.
    pub async fn claim(&self, key: &str, now: Timestamp) -> Result<Option<Notification>, StoreError> {
        let mut state = self.state.lock().await;
        let Some(mut n) = self.store.notification(key).await? else { return Ok(None) };
        if !matches!(n.state, NotificationState::Queued | NotificationState::Uncertain) {
            return Ok(None);
        }
        n.possible_duplicate |= n.state == NotificationState::Uncertain;
        n.state = NotificationState::Attempting;
        n.attempts += 1;
        n.attempted_at = Some(now);
        let commit = Commit { receipts: vec![n.clone()], ..Commit::default() };
        self.write(&mut state, commit, Changes::default()).await?;
        Ok(Some(n))
    }

    /// What asks over one place is joined into one message, if there are so many; under the lock, so that nothing
    /// answered is asked again.
    pub async fn join_waiting(
        &self,
        to: &Destination,
        now: Timestamp,
        least: usize,
    ) -> Result<Option<Notification>, StoreError> {
        let mut state = self.state.lock().await;
        let owed = self.store.owed_to(to, now).await?;
        let waiting: Vec<&Notification> = owed
            .iter()
            .filter(|n| matches!(n.purpose, Purpose::Trigger | Purpose::Grew) && n.incident.is_some())
            .collect();
        if waiting.len() < least {
            return Ok(None);
        }
        let together = wf_response::coalesce(now, &waiting);
        let receipts = waiting
            .iter()
            .map(|n| Notification {
                // Its place does hear of it, so it hears how it goes on, too.
                attempts: n.attempts + 1,
                attempted_at: Some(now),
                state: NotificationState::Coalesced,
                error: Some(format!("said together with {} others, in {}", waiting.len() - 1, together.key)),
                ..(*n).clone()
            })
            .collect();
        let commit = Commit { receipts, ..Commit::default() };
        self.write(&mut state, commit, Changes { notifications: vec![together.clone()], ..Changes::default() }).await?;
        Ok(Some(together))
    }

    /// What became of attempts, and what is known of their channels now.
    pub async fn settle(
        &self,
        receipts: Vec<Notification>,
        channels: Vec<ChannelStanding>,
        changes: Changes,
    ) -> Result<(), StoreError> {
        self.commit(|_| (Commit { receipts, channels, ..Commit::default() }, changes)).await.map(|_| ())
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

    async fn incident(&self, id: &str) -> Result<Incident, ActError> {
        self.store.incident(id).await?.ok_or_else(|| ActError::NotFound(id.to_owned()))
    }

    async fn write(&self, state: &mut State, mut commit: Commit, changes: Changes) -> Result<Changes, StoreError> {
        commit.incidents.clone_from(&changes.incidents);
        commit.timeline.clone_from(&changes.timeline);
        commit.folded.clone_from(&changes.folded);
        commit.withdraw.clone_from(&changes.withdraw);
        commit.forget.clone_from(&changes.forget);
        commit.supersede.clone_from(&changes.supersede);
        commit.notifications.clone_from(&changes.notifications);
        commit.silences.clone_from(&changes.silences);
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
        if !changes.notifications.is_empty() {
            self.owed.notify_one();
        }
        Ok(changes)
    }
}
