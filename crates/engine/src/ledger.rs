//! The ledger: one task owns what is written. Whoever changes something sends it a change and hears what came of it; one
//! follows the other, and the audit leaf goes with it.
//!
//! Because the task does the writing, a caller that goes away (a dropped future, an aborted task) leaves memory and disk
//! in step: its change is carried out whole, or was never begun. Readers look at the incidents and the log as they were
//! last committed, under a lock that is never held while anything waits for the disk.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use parking_lot::RwLock;
use tokio::sync::{Notify, mpsc, oneshot};
use wf_api::{ApiError, ErrorCode};
use wf_evidence::AuditLog;
use wf_model::channel::ChannelStanding;
use wf_model::{AuditAction, Destination, Incident, IncidentId, Notification, NotificationState, Purpose, Timestamp};
use wf_platform::{Clock, keys};
use wf_response::{Changes, IncidentRegistry, Plan, Refusal, Settings};
use wf_store::{Commit, Store, StoreError};

/// Changes that may wait for the task.
const QUEUE: usize = 64;

/// Incidents changed in one commit, when many are.
const AT_ONCE: usize = 200;

/// Silences that are read at most.
const SILENCES: u32 = 10_000;

/// A change on its way to the task.
type Job = Box<dyn for<'a> FnOnce(&'a mut Writer) -> BoxFuture<'a, ()> + Send>;

/// The way to the task that writes. Cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    store: Store,
    jobs: mpsc::Sender<Job>,
    committed: Arc<Committed>,
    /// Something new is owed to somebody.
    pub owed: Arc<Notify>,
}

/// What is on the disk, as readers see it. Only the task changes it, after each commit.
struct Committed {
    book: RwLock<IncidentRegistry>,
    log: RwLock<AuditLog>,
}

/// What the task owns.
struct Writer {
    store: Store,
    committed: Arc<Committed>,
    owed: Arc<Notify>,
    clock: Arc<dyn Clock>,
    closed: bool,
    /// Nobody could say whether the last change is on the disk: what is remembered may not be what is stored.
    in_doubt: AtomicBool,
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
    /// Of several: those before it were done.
    #[error("it was not done: {0}")]
    NotWritten(String),
}

impl From<ActError> for ApiError {
    fn from(e: ActError) -> Self {
        let code = match &e {
            ActError::NotFound(_) => ErrorCode::NotFound,
            ActError::Refused(Refusal::NoteTooLong { .. } | Refusal::NoteEmpty) => ErrorCode::Invalid,
            ActError::Refused(_) => ErrorCode::Refused,
            ActError::Store(_) | ActError::NotWritten(_) => ErrorCode::Failed,
        };
        Self::new(code, e)
    }
}

impl Ledger {
    /// Starts the task. It ends with [`Ledger::close`], or with the last handle.
    pub fn start(store: Store, log: AuditLog, book: IncidentRegistry, clock: Arc<dyn Clock>) -> Self {
        let committed = Arc::new(Committed { book: RwLock::new(book), log: RwLock::new(log) });
        let owed = Arc::new(Notify::new());
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        // Searches may have every other reader in use.
        let own = store.with_own_reader();
        let (committed_by, owed_by) = (committed.clone(), owed.clone());
        let in_doubt = AtomicBool::new(false);
        let mut writer = Writer { store: own, committed: committed_by, owed: owed_by, clock, closed: false, in_doubt };
        tokio::spawn(async move {
            while let Some(job) = queue.recv().await {
                writer.resolve_doubt().await;
                // What a caller's code does wrong ends that change alone.
                if AssertUnwindSafe(job(&mut writer)).catch_unwind().await.is_err() {
                    tracing::error!("a change panicked before it was written; nothing of it is kept");
                }
                if writer.closed {
                    break;
                }
            }
        });
        Self { store, jobs, committed, owed }
    }

    /// Has the task do something, and waits for what came of it. Once it is sent it is done, whether anybody waits or
    /// not.
    async fn ask<T: Send + 'static>(
        &self,
        job: impl for<'a> FnOnce(&'a mut Writer) -> BoxFuture<'a, T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |writer| {
            let work = job(writer);
            Box::pin(async move {
                // Whoever asked may have gone.
                let _heard = answer.send(work.await).is_ok();
            })
        });
        self.jobs.send(job).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)
    }

    /// For reading. Whoever writes goes through the task.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Commits what `make` builds from the live incidents. On failure nothing has changed, and it can be tried again.
    pub async fn commit(
        &self,
        make: impl FnOnce(&IncidentRegistry) -> (Commit, Changes) + Send + 'static,
    ) -> Result<Changes, StoreError> {
        self.ask(move |w| {
            Box::pin(async move {
                let (commit, changes) = make(&w.committed.book.read());
                w.write(commit, changes).await
            })
        })
        .await?
    }

    /// What the live incidents say now.
    pub fn look<T>(&self, at: impl FnOnce(&IncidentRegistry) -> T) -> T {
        at(&self.committed.book.read())
    }

    /// From now on, this is what is decided by.
    pub async fn set_plan(&self, plan: Arc<Plan>) -> Result<(), StoreError> {
        self.ask(move |w| Box::pin(async move { w.committed.book.write().set_plan(plan) })).await
    }

    /// Records actions that change nothing else.
    pub async fn record(&self, audit: Vec<AuditAction>) -> Result<(), StoreError> {
        self.commit(|_| (Commit::default(), Changes { audit, ..Changes::default() })).await.map(|_| ())
    }

    /// An officer's action on the incident as it is now.
    pub async fn act(
        &self,
        id: &str,
        action: impl FnOnce(&Incident, &IncidentRegistry) -> Result<Changes, Refusal> + Send + 'static,
    ) -> Result<Changes, ActError> {
        let id = id.to_owned();
        self.ask(move |w| {
            Box::pin(async move {
                let incident = w.incident(&id).await?;
                let changes = action(&incident, &w.committed.book.read())?;
                Ok(w.write(Commit::default(), changes).await?)
            })
        })
        .await?
    }

    /// The same action on many, in commits of so many at a time: quicker than one by one, and whatever else waits has
    /// its turn in between. Each says for itself why it was refused.
    pub async fn act_on_many(
        &self,
        ids: &[String],
        action: impl Fn(&Incident, &IncidentRegistry) -> Result<Changes, Refusal> + Send + Sync + 'static,
    ) -> Result<(Changes, Vec<Result<Incident, ActError>>), StoreError> {
        let action = Arc::new(action);
        let seen = Arc::new(parking_lot::Mutex::new(HashSet::new()));
        let (mut all, mut each) = (Changes::default(), Vec::with_capacity(ids.len()));
        for some in ids.chunks(AT_ONCE) {
            let (names, action, seen) = (some.to_vec(), action.clone(), seen.clone());
            let done = self.ask(move |w| Box::pin(async move { w.act_on(&names, &*action, &seen).await })).await;
            match done.flatten() {
                Ok((changes, outcomes)) => {
                    all.join(changes);
                    each.extend(outcomes);
                }
                Err(e) if each.is_empty() => return Err(e),
                // What went before is done, and is said to be.
                Err(e) => {
                    let why = e.to_string();
                    each.extend((each.len()..ids.len()).map(|_| Err(ActError::NotWritten(why.clone()))));
                    break;
                }
            }
        }
        Ok((all, each))
    }

    /// An officer's action on two incidents as they are now.
    pub async fn act_on_two(
        &self,
        one: &str,
        other: &str,
        action: impl FnOnce(&Incident, &Incident, &IncidentRegistry) -> Result<Changes, Refusal> + Send + 'static,
    ) -> Result<Changes, ActError> {
        let (one, other) = (one.to_owned(), other.to_owned());
        self.ask(move |w| {
            Box::pin(async move {
                let (one, other) = (w.incident(&one).await?, w.incident(&other).await?);
                let changes = action(&one, &other, &w.committed.book.read())?;
                Ok(w.write(Commit::default(), changes).await?)
            })
        })
        .await?
    }

    /// A change that is about the incidents as a whole.
    pub async fn change(
        &self,
        make: impl FnOnce(&IncidentRegistry) -> Result<Changes, Refusal> + Send + 'static,
    ) -> Result<Changes, ActError> {
        self.ask(move |w| {
            Box::pin(async move {
                let changes = make(&w.committed.book.read())?;
                Ok(w.write(Commit::default(), changes).await?)
            })
        })
        .await?
    }

    /// The intent to send, on the disk before anything is sent. `None`: it is no longer owed. An acknowledgement goes
    /// through the same task, so it comes before or after this, never between.
    pub async fn claim(&self, key: &str, now: Timestamp) -> Result<Option<Notification>, StoreError> {
        let key = key.to_owned();
        self.ask(move |w| Box::pin(async move { w.claim(&key, now).await })).await?
    }

    /// What asks over one place is joined into one message, if there are so many; by the task, so that nothing
    /// answered is asked again.
    pub async fn join_waiting(
        &self,
        to: &Destination,
        now: Timestamp,
        least: usize,
    ) -> Result<Option<Notification>, StoreError> {
        let to = to.clone();
        self.ask(move |w| Box::pin(async move { w.join_waiting(&to, now, least).await })).await?
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
        self.ask(move |w| {
            Box::pin(async move {
                let checkpoint = Some(w.committed.log.read().checkpoint(now));
                w.store.commit(&Commit { checkpoint, ..Commit::default() }).await
            })
        })
        .await?
    }

    /// The log as it stands, for exports.
    pub fn log(&self) -> AuditLog {
        self.committed.log.read().clone()
    }

    /// Carries out what was sent before, closes the store, and ends the task: nothing is written after it.
    pub async fn close(&self) {
        let store = self.store.clone();
        let closed = self.ask(|w| {
            Box::pin(async move {
                w.store.close_readers().await;
                store.close().await;
                w.closed = true;
            })
        });
        if closed.await.is_err() {
            tracing::debug!("the ledger was closed already");
        }
    }
}

impl Writer {
    /// One action on some incidents, in one commit.
    async fn act_on(
        &self,
        ids: &[String],
        action: &(dyn Fn(&Incident, &IncidentRegistry) -> Result<Changes, Refusal> + Send + Sync),
        seen: &parking_lot::Mutex<HashSet<IncidentId>>,
    ) -> Result<(Changes, Vec<Result<Incident, ActError>>), StoreError> {
        let (mut all, mut each) = (Changes::default(), Vec::with_capacity(ids.len()));
        for id in ids {
            let outcome = match self.incident(id).await {
                // Named twice: the second time it is no longer as it was.
                Ok(incident) if !seen.lock().insert(incident.id.clone()) => {
                    Err(Refusal::Stale { number: incident.number }.into())
                }
                Ok(incident) => action(&incident, &self.committed.book.read()).map_err(ActError::from),
                Err(e) => Err(e),
            };
            each.push(outcome.and_then(|changes| {
                let changed = changes.incidents.first().cloned().ok_or_else(|| ActError::NotFound(id.clone()));
                all.join(changes);
                changed
            }));
        }
        Ok((self.write(Commit::default(), all).await?, each))
    }

    async fn incident(&self, id: &str) -> Result<Incident, ActError> {
        self.store.incident(id).await?.ok_or_else(|| ActError::NotFound(id.to_owned()))
    }

    async fn claim(&self, key: &str, now: Timestamp) -> Result<Option<Notification>, StoreError> {
        let Some(mut n) = self.store.notification(key).await? else { return Ok(None) };
        if !matches!(n.state, NotificationState::Queued | NotificationState::Uncertain) {
            return Ok(None);
        }
        n.possible_duplicate |= n.state == NotificationState::Uncertain;
        n.state = NotificationState::Attempting;
        n.attempts += 1;
        n.attempted_at = Some(now);
        self.write(Commit { receipts: vec![n.clone()], ..Commit::default() }, Changes::default()).await?;
        Ok(Some(n))
    }

    async fn join_waiting(
        &self,
        to: &Destination,
        now: Timestamp,
        least: usize,
    ) -> Result<Option<Notification>, StoreError> {
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
        self.write(commit, Changes { notifications: vec![together.clone()], ..Changes::default() }).await?;
        Ok(Some(together))
    }

    /// Reads again what is stored, if the last change left doubt about it.
    async fn resolve_doubt(&mut self) {
        if !*self.in_doubt.get_mut() {
            return;
        }
        let (settings, plan) = {
            let book = self.committed.book.read();
            (*book.settings(), book.plan().clone())
        };
        let now = self.clock.now();
        let read = async {
            let hashes = self.store.audit_hashes().await?;
            Ok::<_, StoreError>((hashes, stored_incidents(&self.store, settings, plan, now).await?))
        };
        match read.await {
            Ok((hashes, book)) => {
                let log = self.committed.log.read().of(hashes);
                *self.committed.log.write() = log;
                *self.committed.book.write() = book;
                *self.in_doubt.get_mut() = false;
                self.owed.notify_one();
                tracing::warn!("a change failed and nobody could say how far it came: what is stored was read again");
            }
            Err(e) => tracing::error!(error = %e, "what is stored cannot be read again yet"),
        }
    }

    async fn write(&self, mut commit: Commit, changes: Changes) -> Result<Changes, StoreError> {
        if self.in_doubt.load(Ordering::Relaxed) {
            // Built on what may not be true.
            return Err(StoreError::Busy);
        }
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
            let (leaves, checkpoint, log) =
                self.committed.log.read().append(self.clock.now(), &changes.audit, keys::salt);
            (commit.leaves, commit.checkpoint, next) = (leaves, Some(checkpoint), Some(log));
        }
        if let Err(e) = self.store.commit(&commit).await {
            // A disk may refuse to say that it is done, and be done.
            match self.store.holds(&commit).await {
                Some(true) => tracing::warn!(error = %e, "a change that was said to have failed is on the disk"),
                Some(false) => return Err(e),
                None => {
                    self.in_doubt.store(true, Ordering::Relaxed);
                    return Err(e);
                }
            }
        }
        if let Some(log) = next {
            *self.committed.log.write() = log;
        }
        self.committed.book.write().apply(&changes);
        if !changes.notifications.is_empty() {
            self.owed.notify_one();
        }
        Ok(changes)
    }
}

/// The incidents that a registry begins with: all live ones, and those resolved lately.
pub async fn stored_incidents(
    store: &Store,
    settings: Settings,
    plan: Arc<Plan>,
    now: Timestamp,
) -> Result<IncidentRegistry, StoreError> {
    let incidents = store.incidents_for_folding(now - settings.recurrence).await?;
    let silences = store.silences(SILENCES).await?.into_iter().filter(|s| !s.closed).collect();
    Ok(IncidentRegistry::new(settings, plan, store.last_incident_number().await?, incidents, silences))
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
