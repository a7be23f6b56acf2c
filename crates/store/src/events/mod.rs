//! The only door to the events.
//!
//! The newest few lie in the hot table as lines; once there are enough, the writer seals them into a block. A block is
//! compressed JSON lines with a Bloom filter over their words: a search walks blocks from the newest, asks the filter,
//! opens only candidates and looks exactly. Sequence numbers are without holes and blocks do not overlap.
//!
//! What is asked of a block apart from its body lies in a table of its own (`rows`), so that nothing takes longer
//! because there are many. What cannot be read is named ([`Damage`]) and stepped over.

mod block;
mod damage;
#[doc(hidden)]
pub mod fuzzing;
mod groups;
mod line;
mod query;
mod recent;
mod rewrite;
mod rows;
mod search;
mod tokens;
mod walk;
mod words;

use std::sync::Arc;

use sqlx::{Connection as _, Sqlite, SqliteConnection, Transaction};
use wf_model::{Event, Seq};

pub use damage::Damage;
pub use line::StoredEvent;
pub use query::{Query, QueryError};
pub use recent::RecentIds;
pub use rewrite::{DELETED_AT_ONCE, Decide, Exact, Fate, Quick, Rewritten, Sifted};
pub use rows::BlockInfo;
pub use search::{EventsAfter, Found, Most, Progress};

use crate::{Store, StoreError};

/// What the writer remembers: the next number, and what lies in the hot table.
pub(crate) struct Tail {
    pub next: Seq,
    hot: Arc<Vec<Event>>,
    /// Bytes of the hot table's lines.
    bytes: usize,
}

/// What a commit does to the event tables; made before the transaction, because compressing takes time.
pub(crate) struct Plan {
    added: Arc<Vec<Event>>,
    /// For the hot table.
    lines: Vec<(Seq, i64, Vec<u8>)>,
    /// Of these and of all that was hot; empty: nothing is sealed.
    blocks: Vec<block::Sealed>,
    /// Bytes of the hot table's lines afterwards.
    bytes: usize,
    next: Seq,
}

impl Tail {
    /// A line that cannot be read is put into quarantine, where an officer sees it; it must not keep the database from
    /// opening.
    pub async fn load(connection: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        let rows = sqlx::query!(r#"SELECT seq AS "seq!: i64", at, line FROM hot ORDER BY seq"#)
            .fetch_all(&mut *connection)
            .await?;
        let (mut hot, mut unreadable, mut bytes) = (Vec::with_capacity(rows.len()), Vec::new(), 0);
        for row in rows {
            match line::decode(&row.line) {
                Ok(event) => {
                    bytes += row.line.len();
                    hot.push(event.to_event());
                }
                Err(e) => {
                    tracing::error!(seq = row.seq, error = %e, "a stored event was put into quarantine");
                    unreadable.push((row.seq, row.at, row.line, e.to_string()));
                }
            }
        }
        let last =
            sqlx::query_scalar!("SELECT last_seq FROM event_total WHERE id = 1").fetch_one(&mut *connection).await?;
        if !unreadable.is_empty() {
            let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
            for (seq, at, line, error) in &unreadable {
                let length = line.len() as i64;
                sqlx::query!(
                    "INSERT INTO quarantine (feed, at, error, raw, length, sha256, cursor)
                     VALUES ('(unknown)', ?, ?, ?, ?, '', NULL)",
                    at,
                    error,
                    line,
                    length
                )
                .execute(&mut *tx)
                .await?;
                sqlx::query!("DELETE FROM hot WHERE seq = ?", seq).execute(&mut *tx).await?;
            }
            rows::fewer(&mut tx, unreadable.len() as i64).await?;
            tx.commit().await?;
        }
        Ok(Self { next: Seq(last as u64 + 1), hot: Arc::new(hot), bytes })
    }

    /// What was changed of the hot table.
    pub fn replace_hot(&mut self, hot: Vec<Event>) {
        self.hot = Arc::new(hot);
    }

    pub fn hot(&self) -> Arc<Vec<Event>> {
        self.hot.clone()
    }

    pub fn committed(&mut self, plan: Plan) {
        self.next = plan.next;
        self.bytes = plan.bytes;
        if plan.blocks.is_empty() {
            Arc::make_mut(&mut self.hot).extend_from_slice(&plan.added);
        } else {
            self.hot = Arc::default();
        }
    }
}

/// Text of this much is not encoded on a thread that serves others.
const QUICKLY_ENCODED: usize = 256 << 10;

/// What appending `events` means. They must be numbered on from the tail's `next`.
pub(crate) async fn plan(tail: &Tail, events: Arc<Vec<Event>>, seal_now: bool) -> Result<Plan, StoreError> {
    let (next, hot, bytes) = (tail.next, tail.hot(), tail.bytes);
    let text: usize = events.iter().map(|e| e.raw.len()).sum();
    // A handful of events is not worth a change of thread.
    if hot.len() + events.len() < block::ENOUGH && text < QUICKLY_ENCODED && !seal_now {
        return planned(next, &hot, bytes, events, false);
    }
    blocking(move || planned(next, &hot, bytes, events, seal_now)).await
}

fn planned(next: Seq, hot: &[Event], bytes: usize, added: Arc<Vec<Event>>, seal_now: bool) -> Result<Plan, StoreError> {
    for (i, event) in added.iter().enumerate() {
        let expected = next.0 + i as u64;
        if event.seq.0 != expected {
            return Err(StoreError::Sequence { expected, got: event.seq.0 });
        }
    }
    let next = Seq(next.0 + added.len() as u64);
    let total = hot.len() + added.len();
    if total < block::ENOUGH && !(seal_now && total > 0) {
        let mut lines = Vec::with_capacity(added.len());
        let mut after = bytes;
        for e in added.iter() {
            let mut text = Vec::with_capacity(e.raw.len() * 2);
            line::encode(e, &mut text);
            after += text.len();
            lines.push((e.seq, e.occurred_at.millis(), text));
        }
        if after <= block::HOT_BYTES {
            return Ok(Plan { added, lines, blocks: Vec::new(), bytes: after, next });
        }
    }
    let all: Vec<&Event> = hot.iter().chain(added.iter()).collect();
    let blocks = block::seal(all.into_iter())?;
    Ok(Plan { added, lines: Vec::new(), blocks, bytes: 0, next })
}

pub(crate) async fn write(tx: &mut Transaction<'_, Sqlite>, plan: &Plan) -> Result<(), sqlx::Error> {
    for (seq, at, line) in &plan.lines {
        let seq = seq.0 as i64;
        sqlx::query!("INSERT INTO hot (seq, at, line) VALUES (?, ?, ?)", seq, at, line).execute(&mut **tx).await?;
    }
    if !plan.blocks.is_empty() {
        sqlx::query!("DELETE FROM hot").execute(&mut **tx).await?;
    }
    for b in &plan.blocks {
        rows::insert(tx, b).await?;
    }
    if let Some(last) = plan.added.last() {
        rows::more(tx, plan.added.len(), last.seq).await?;
    }
    Ok(())
}

impl Store {
    /// How many events are stored.
    pub async fn count_events(&self) -> Result<u64, StoreError> {
        let n = sqlx::query_scalar!("SELECT n FROM event_total WHERE id = 1").fetch_one(&self.readers).await?;
        Ok(n as u64)
    }

    /// The number the next event will get.
    pub async fn next_seq(&self) -> Seq {
        let mut writer = self.writer.lock().await;
        // After a change that did not end well the disk says it. If it cannot be asked, the next commit fails as well.
        if let Err(e) = writer.connection().await {
            tracing::debug!(error = %e, "what is on the disk cannot be read again yet");
        }
        writer.tail.next
    }
}

/// Runs what takes long and touches no socket on the threads for that.
pub(crate) async fn blocking<T: Send + 'static>(
    f: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(f).await.map_err(|e| StoreError::damaged("block", e))?
}
