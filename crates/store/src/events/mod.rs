//! The only door to the events.
//!
//! The newest few lie in the hot table as lines; once there are enough, the writer seals them into a block. A block is
//! compressed JSON lines with a Bloom filter over their words: a search walks blocks from the newest, asks the filter,
//! opens only candidates and looks exactly. Sequence numbers are without holes and blocks do not overlap.

mod block;
mod line;
mod query;
mod rewrite;
mod tokens;
mod words;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::{Sqlite, SqliteConnection, Transaction};
use wf_model::{Event, FeedName, Seq, Timestamp};

pub use line::StoredEvent;
pub use query::{Query, QueryError};
pub use rewrite::{BlockInfo, DELETED_AT_ONCE, Decide, Exact, Fate, Quick, Rewritten};

use crate::{Store, StoreError};

/// What the writer remembers: the next number, and the lines of the hot table.
pub(crate) struct Tail {
    pub next: Seq,
    hot: Vec<Event>,
}

/// What a commit does to the event tables; made before the transaction, because compressing takes time.
pub(crate) struct Plan {
    lines: Vec<(Seq, i64, Vec<u8>)>,
    blocks: Vec<block::Sealed>,
    /// The hot table afterwards.
    hot: Vec<Event>,
    next: Seq,
}

impl Tail {
    pub async fn load(connection: &mut SqliteConnection) -> Result<Self, StoreError> {
        let rows = sqlx::query_scalar!("SELECT line FROM hot ORDER BY seq").fetch_all(&mut *connection).await?;
        let hot = rows.iter().map(|l| Ok(line::decode(l)?.to_event())).collect::<Result<Vec<_>, StoreError>>()?;
        let sealed = sqlx::query_scalar!(r#"SELECT last_seq FROM block ORDER BY first_seq DESC LIMIT 1"#)
            .fetch_optional(&mut *connection)
            .await?
            .unwrap_or(0);
        // The newest may have been deleted; a number is never given twice.
        let seen = sqlx::query_scalar!("SELECT through FROM detector WHERE id = 1")
            .fetch_optional(&mut *connection)
            .await?
            .unwrap_or(0);
        let last = hot.last().map_or(0, |e| e.seq.0).max(sealed as u64).max(seen as u64);
        Ok(Self { next: Seq(last + 1), hot })
    }

    /// What appending `events` means. They must be numbered on from `next`.
    pub fn plan(next: Seq, hot: Vec<Event>, events: &[Event], seal_now: bool) -> Result<Plan, StoreError> {
        for (i, event) in events.iter().enumerate() {
            let expected = next.0 + i as u64;
            if event.seq.0 != expected {
                return Err(StoreError::Sequence { expected, got: event.seq.0 });
            }
        }
        let after = Seq(next.0 + events.len() as u64);
        let total = hot.len() + events.len();
        if total < block::ENOUGH && !(seal_now && total > 0) {
            let lines = events
                .iter()
                .map(|e| {
                    let mut text = Vec::with_capacity(e.raw.len() * 2);
                    line::encode(e, &mut text);
                    (e.seq, e.occurred_at.millis(), text)
                })
                .collect();
            let mut hot = hot;
            hot.extend_from_slice(events);
            return Ok(Plan { lines, blocks: Vec::new(), hot, next: after });
        }
        let all: Vec<&Event> = hot.iter().chain(events).collect();
        let blocks = block::seal(all.into_iter())?;
        Ok(Plan { lines: Vec::new(), blocks, hot: Vec::new(), next: after })
    }

    pub fn hot(&self) -> Vec<Event> {
        self.hot.clone()
    }

    /// What was changed of the hot table.
    pub fn replace_hot(&mut self, hot: Vec<Event>) {
        self.hot = hot;
    }

    pub fn committed(&mut self, plan: Plan) {
        self.next = plan.next;
        self.hot = plan.hot;
    }
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
        let (first, last, n) = (b.first_seq.0 as i64, b.last_seq.0 as i64, b.n as i64);
        sqlx::query!(
            "INSERT INTO block (first_seq, last_seq, first_at, last_at, n, body) VALUES (?, ?, ?, ?, ?, ?)",
            first,
            last,
            b.first_at,
            b.last_at,
            n,
            b.body
        )
        .execute(&mut **tx)
        .await?;
        for (segment, bits) in b.bloom.iter().enumerate() {
            let segment = tokens::stored_as(segment);
            sqlx::query!("INSERT INTO bloom (segment, first_seq, bits) VALUES (?, ?, ?)", segment, first, bits)
                .execute(&mut **tx)
                .await?;
        }
    }
    Ok(())
}

/// How far a search has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Events in blocks that were looked at, by filter or by reading.
    pub looked_at: u64,
    /// Events that will have been looked at when the search is done.
    pub total: u64,
    pub hits: usize,
}

/// What a search found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Newest first.
    pub events: Vec<StoredEvent>,
    /// Where to go on: pass it as `before`. `None` when everything was looked at.
    pub next: Option<Seq>,
    /// It was cancelled before its end.
    pub cancelled: bool,
}

/// Filters read at a time, and bodies unpacked at a time.
const FILTERS: i64 = 1024;
const BODIES: usize = 4;

impl Store {
    /// Searches from the newest event downwards, below `before`. Stops at `limit` hits, at the end, or when `cancel` is
    /// set; `progress` hears of it in between.
    pub async fn search(
        &self,
        query: &Query,
        before: Option<Seq>,
        limit: usize,
        cancel: &AtomicBool,
        mut progress: impl FnMut(Progress) + Send,
    ) -> Result<Found, StoreError> {
        let mut found = Found::default();
        let last = sqlx::query_scalar!(r#"SELECT max(coalesce((SELECT max(seq) FROM hot), 0), coalesce((SELECT max(last_seq) FROM block WHERE first_seq = (SELECT max(first_seq) FROM block)), 0)) AS "n!: i64""#)
            .fetch_one(&self.readers)
            .await?;
        let total = before.map_or(u64::MAX, |b| b.0.saturating_sub(1)).min(last as u64);
        let below = before.map_or(i64::MAX, |b| b.0 as i64);
        let hot = sqlx::query_scalar!("SELECT line FROM hot WHERE seq < ? ORDER BY seq DESC", below)
            .fetch_all(&self.readers)
            .await?;
        let mut looked_at = hot.len() as u64;
        for text in &hot {
            let event = line::decode(text)?;
            if query.matches(&event) {
                found.events.push(event);
                if found.events.len() == limit {
                    found.next = found.events.last().map(|e| e.seq);
                    return Ok(found);
                }
            }
        }
        let since = query.since.map_or(i64::MIN, Timestamp::millis);
        let until = query.until.map_or(i64::MAX, Timestamp::millis);
        let required = query.required();
        // A block that `before` cuts through is looked at again, from its cut downwards.
        let mut from = below;
        loop {
            let rows = sqlx::query!(
                "SELECT first_seq, n FROM block WHERE first_seq < ? AND last_at >= ? AND first_at <= ? ORDER BY first_seq DESC LIMIT ?",
                from, since, until, FILTERS
            )
            .fetch_all(&self.readers)
            .await?;
            let Some(last) = rows.last() else { break };
            from = last.first_seq;
            let denied = self.denied(&required, last.first_seq, rows[0].first_seq).await?;
            let mut rows = rows.into_iter().peekable();
            while rows.peek().is_some() {
                if cancel.load(Ordering::Relaxed) {
                    found.cancelled = true;
                    found.next = rows.peek().map(|r| Seq((r.first_seq + r.n) as u64));
                    return Ok(found);
                }
                let mut candidates = Vec::with_capacity(BODIES);
                while candidates.len() < BODIES
                    && let Some(row) = rows.next()
                {
                    looked_at += row.n as u64;
                    if !denied.contains(&row.first_seq) {
                        candidates.push(row.first_seq);
                    }
                }
                for first_seq in candidates {
                    let wanted = limit - found.events.len();
                    let hits = self.scan_block(first_seq, query, before, wanted).await?;
                    found.events.extend(hits);
                    if found.events.len() >= limit {
                        found.next = found.events.last().map(|e| e.seq);
                        return Ok(found);
                    }
                }
                progress(Progress { looked_at, total, hits: found.events.len() });
            }
        }
        Ok(found)
    }

    /// Of the blocks that begin in `from..=to`, those whose filters deny one of `required`. A block whose filter cannot
    /// know is not among them.
    async fn denied(&self, required: &[tokens::Required], from: i64, to: i64) -> Result<HashSet<i64>, StoreError> {
        let mut denied = HashSet::new();
        for r in required {
            for segment in r.segments() {
                let rows = sqlx::query!(
                    "SELECT first_seq, bits FROM bloom WHERE segment = ? AND first_seq BETWEEN ? AND ?",
                    segment,
                    from,
                    to
                )
                .fetch_all(&self.readers)
                .await?;
                let deny = rows.into_iter().filter(|row| !tokens::may_hold(&row.bits, r.hash()));
                denied.extend(deny.map(|row| row.first_seq));
            }
        }
        Ok(denied)
    }

    async fn scan_block(
        &self,
        first_seq: i64,
        query: &Query,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        // Retention may have taken it since its filter was read.
        let Some(body) = sqlx::query_scalar!("SELECT body FROM block WHERE first_seq = ?", first_seq)
            .fetch_optional(&self.readers)
            .await?
        else {
            return Ok(Vec::new());
        };
        let query = query.clone();
        blocking(move || block::scan(&block::unpack(&body)?, &query, before, limit)).await
    }

    /// The events with these numbers, in order; those that are gone are left out.
    pub async fn events_by_seq(&self, seqs: &[Seq]) -> Result<Vec<StoredEvent>, StoreError> {
        let mut wanted = seqs.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let mut events: Vec<StoredEvent> = Vec::with_capacity(wanted.len());
        let mut at = 0;
        while at < wanted.len() {
            let seq = wanted[at].0 as i64;
            if let Some(text) =
                sqlx::query_scalar!("SELECT line FROM hot WHERE seq = ?", seq).fetch_optional(&self.readers).await?
            {
                events.push(line::decode(&text)?);
                at += 1;
                continue;
            }
            let row = sqlx::query!(
                "SELECT last_seq, body FROM block WHERE first_seq <= ? ORDER BY first_seq DESC LIMIT 1",
                seq
            )
            .fetch_optional(&self.readers)
            .await?;
            let Some(row) = row.filter(|r| r.last_seq >= seq) else {
                at += 1;
                continue;
            };
            let upto = wanted.partition_point(|s| s.0 as i64 <= row.last_seq);
            let here: Vec<Seq> = wanted[at..upto].to_vec();
            let body = row.body;
            events.extend(
                blocking(move || {
                    let all = block::scan(&block::unpack(&body)?, &Query::default(), None, usize::MAX)?;
                    Ok(all.into_iter().rev().filter(|e| here.binary_search(&e.seq).is_ok()).collect::<Vec<_>>())
                })
                .await?,
            );
            at = upto;
        }
        Ok(events)
    }

    /// Events after `seq`, in order, whole blocks at a time: what detection must see again after a restart. Empty at
    /// the end.
    pub async fn events_after(&self, seq: Seq) -> Result<Vec<StoredEvent>, StoreError> {
        let from = seq.0 as i64;
        let body = sqlx::query_scalar!("SELECT body FROM block WHERE last_seq > ? ORDER BY first_seq LIMIT 1", from)
            .fetch_optional(&self.readers)
            .await?;
        let events: Vec<StoredEvent> = match body {
            Some(body) => {
                blocking(move || {
                    let mut all = block::scan(&block::unpack(&body)?, &Query::default(), None, usize::MAX)?;
                    all.reverse();
                    Ok(all)
                })
                .await?
            }
            None => {
                let lines = sqlx::query_scalar!("SELECT line FROM hot WHERE seq > ? ORDER BY seq", from)
                    .fetch_all(&self.readers)
                    .await?;
                lines.iter().map(|l| line::decode(l)).collect::<Result<_, _>>()?
            }
        };
        Ok(events.into_iter().filter(|e| e.seq > seq).collect())
    }

    /// How many events are stored.
    pub async fn count_events(&self) -> Result<u64, StoreError> {
        let n = sqlx::query_scalar!(
            r#"SELECT (SELECT coalesce(sum(n), 0) FROM block) + (SELECT count(*) FROM hot) AS "n!: i64""#
        )
        .fetch_one(&self.readers)
        .await?;
        Ok(n as u64)
    }

    /// The number the next event will get.
    pub async fn next_seq(&self) -> Seq {
        self.writer.lock().await.tail.next
    }

    /// The newest events of a feed that carry an id, newest first: at most `most`, none received before `since`. What
    /// deduplication needs to know after a restart.
    pub async fn recent_ids(
        &self,
        feed: &FeedName,
        since: Timestamp,
        most: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let never = AtomicBool::new(false);
        let (mut out, mut before, mut looked_at) = (Vec::new(), None, 0);
        // A quiet feed among busy ones: what lies behind this many events of others is not looked for.
        while out.len() < most && looked_at < 4 * most {
            let page = self.search(&Query::default(), before, 2048, &never, |_| {}).await?;
            looked_at += page.events.len();
            let oldest = page.events.last().map(|e| e.received_at);
            out.extend(page.events.into_iter().filter(|e| e.feed == *feed && e.id.is_some() && e.received_at >= since));
            before = page.next;
            if before.is_none() || oldest.is_none_or(|t| t < since) {
                break;
            }
        }
        out.truncate(most);
        Ok(out)
    }
}

/// Runs what takes long and touches no socket on the threads for that.
pub(crate) async fn blocking<T: Send + 'static>(
    f: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(f).await.map_err(|e| StoreError::damaged("block", e))?
}

pub(crate) async fn plan(writer_tail: &Tail, events: Arc<Vec<Event>>, seal_now: bool) -> Result<Plan, StoreError> {
    let (next, hot) = (writer_tail.next, writer_tail.hot());
    // A handful of events is not worth a change of thread.
    if hot.len() + events.len() < block::ENOUGH && !seal_now {
        return Tail::plan(next, hot, &events, false);
    }
    blocking(move || Tail::plan(next, hot, &events, seal_now)).await
}
