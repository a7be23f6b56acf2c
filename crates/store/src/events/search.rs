//! Reading events: a search, the events with these numbers, the events after one.

use std::sync::atomic::{AtomicBool, Ordering};

use wf_model::{Seq, Timestamp};

use super::block::{self, Scanned};
use super::damage::{Damage, Span};
use super::rows::Body;
use super::{Query, StoredEvent, blocking, line};
use crate::{Store, StoreError};

/// How far a search has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Events in blocks that were looked at, by filter or by reading.
    pub looked_at: u64,
    /// Events that will have been looked at when the search is done.
    pub total: u64,
    pub hits: usize,
}

/// Where a search stops: at the event that reaches either.
#[derive(Clone, Copy, Debug)]
pub struct Most {
    pub events: usize,
    /// By [`StoredEvent::weight`]. One block more may be in memory for a moment.
    pub bytes: usize,
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
    /// What could not be looked at, and may have matched.
    pub damaged: Vec<Damage>,
}

/// A page of [`Store::events_after`].
#[derive(Clone, Debug, Default)]
pub struct EventsAfter {
    /// In order; empty at the end.
    pub events: Vec<StoredEvent>,
    /// What lay between and cannot be read.
    pub damaged: Vec<Damage>,
}

/// A line of the hot table.
pub(super) struct HotLine {
    pub seq: i64,
    pub line: Vec<u8>,
}

/// Bodies unpacked between two looks at whether to go on.
const BODIES: usize = 4;
/// Lines of the hot table read at a time.
const LINES: i64 = 128;

impl Store {
    /// Searches from the newest event downwards, below `before`. Stops at `limit` hits, at the end, or when `cancel` is
    /// set; `progress` hears of it in between. What cannot be read is named and stepped over.
    pub async fn search(
        &self,
        query: &Query,
        before: Option<Seq>,
        limit: usize,
        cancel: &AtomicBool,
        progress: impl FnMut(Progress) + Send,
    ) -> Result<Found, StoreError> {
        self.search_within(query, before, Most { events: limit, bytes: usize::MAX }, cancel, progress).await
    }

    /// As [`Store::search`], for answers that must not be larger than somebody can hold.
    pub async fn search_within(
        &self,
        query: &Query,
        before: Option<Seq>,
        most: Most,
        cancel: &AtomicBool,
        mut progress: impl FnMut(Progress) + Send,
    ) -> Result<Found, StoreError> {
        let mut found = Found::default();
        let mut bytes = 0;
        let last =
            sqlx::query_scalar!("SELECT last_seq FROM event_total WHERE id = 1").fetch_one(&self.readers).await?;
        let total = before.map_or(u64::MAX, |b| b.0.saturating_sub(1)).min(last as u64);
        let mut looked_at = 0;
        // What is below this was not looked at yet. It follows the hot table down, so that events that are sealed
        // meanwhile are not met again in their block.
        let mut below = before.map_or(i64::MAX, |b| i64::try_from(b.0).unwrap_or(i64::MAX));
        loop {
            let page = self.hot_below(below).await?;
            let Some(lowest) = page.last() else { break };
            below = lowest.seq;
            looked_at += page.len() as u64;
            for row in &page {
                match line::decode(&row.line) {
                    Ok(event) if query.matches(&event) => {
                        bytes += event.weight();
                        found.events.push(event);
                        if found.events.len() >= most.events || bytes >= most.bytes {
                            found.next = Some(Seq(row.seq as u64));
                            return Ok(found);
                        }
                    }
                    Ok(_) => {}
                    Err(e) => found.damaged.push(Damage::event(row.seq, e)),
                }
            }
        }
        let since = query.since.map_or(i64::MIN, Timestamp::millis);
        let until = query.until.map_or(i64::MAX, Timestamp::millis);
        let floor = self.last_block_before(since).await?;
        let required = query.required();
        // A block that `below` cuts through is looked at from its cut downwards.
        let mut walk = self.walk(below, floor, (since, until), &required).await?;
        while let Some(page) = self.next_blocks(&mut walk, &required).await? {
            looked_at += page.passed_over;
            let mut rows = page.blocks.into_iter().peekable();
            while let Some((next, _)) = rows.peek() {
                if cancel.load(Ordering::Relaxed) {
                    found.cancelled = true;
                    found.next = Some(Seq(next.last.saturating_add(1).min(below) as u64));
                    return Ok(found);
                }
                for (span, n) in rows.by_ref().take(BODIES) {
                    looked_at += n;
                    let wanted = most.events.saturating_sub(found.events.len());
                    let scanned = self.scan_block(span, query, below, wanted).await?;
                    found.damaged.extend(scanned.damaged);
                    for event in scanned.hits {
                        bytes += event.weight();
                        found.next = Some(event.seq);
                        found.events.push(event);
                        if found.events.len() >= most.events || bytes >= most.bytes {
                            return Ok(found);
                        }
                    }
                    found.next = None;
                }
                progress(Progress { looked_at: looked_at.min(total), total, hits: found.events.len() });
            }
            if cancel.load(Ordering::Relaxed) {
                found.cancelled = true;
                found.next = Some(Seq(walk.from.min(below) as u64));
                return Ok(found);
            }
            progress(Progress { looked_at: looked_at.min(total), total, hits: found.events.len() });
        }
        Ok(found)
    }

    /// The newest lines of the hot table below a number, newest first; a page of them.
    pub(super) async fn hot_below(&self, seq: i64) -> Result<Vec<HotLine>, StoreError> {
        Ok(sqlx::query_as!(
            HotLine,
            r#"SELECT seq AS "seq!: i64", line FROM hot WHERE seq < ? ORDER BY seq DESC LIMIT ?"#,
            seq,
            LINES
        )
        .fetch_all(&self.readers)
        .await?)
    }

    /// The last block that ends before this moment, as do all blocks before it: none of them needs a look.
    async fn last_block_before(&self, since: i64) -> Result<i64, StoreError> {
        let first = sqlx::query_scalar!(
            r#"SELECT first_seq AS "first_seq!: i64" FROM block_meta WHERE newest_at < ?
               ORDER BY newest_at DESC, first_seq DESC LIMIT 1"#,
            since
        )
        .fetch_optional(&self.readers)
        .await?;
        Ok(first.unwrap_or(i64::MIN))
    }

    async fn scan_block(&self, span: Span, query: &Query, below: i64, limit: usize) -> Result<Scanned, StoreError> {
        match self.body(span).await? {
            Body::Gone => Ok(Scanned::default()),
            Body::Unreadable(reason) => Ok(Scanned { hits: Vec::new(), damaged: vec![Damage::block(span, reason)] }),
            Body::Whole(body) => {
                let query = query.clone();
                blocking(move || Ok(block::scan(&body, span, &query, Some(Seq(below as u64)), limit))).await
            }
        }
    }

    /// The events with these numbers, in order; those that are gone, or cannot be read, are left out.
    pub async fn events_by_seq(&self, seqs: &[Seq]) -> Result<Vec<StoredEvent>, StoreError> {
        let mut wanted = seqs.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let mut events: Vec<StoredEvent> = Vec::with_capacity(wanted.len());
        let mut damaged = Vec::new();
        let mut at = 0;
        while at < wanted.len() {
            let seq = wanted[at].0 as i64;
            if let Some(text) =
                sqlx::query_scalar!("SELECT line FROM hot WHERE seq = ?", seq).fetch_optional(&self.readers).await?
            {
                match line::decode(&text) {
                    Ok(event) => events.push(event),
                    Err(e) => damaged.push(Damage::event(seq, e)),
                }
                at += 1;
                continue;
            }
            let Some(span) = self.span_from(seq).await?.filter(|s| s.first <= seq) else {
                at += 1;
                continue;
            };
            let upto = wanted.partition_point(|s| s.0 as i64 <= span.last);
            let here: Vec<Seq> = wanted[at..upto].to_vec();
            let scanned = self.scan_block(span, &Query::default(), i64::MAX, usize::MAX).await?;
            events.extend(scanned.hits.into_iter().rev().filter(|e| here.binary_search(&e.seq).is_ok()));
            damaged.extend(scanned.damaged.into_iter().filter(|d| here.iter().any(|s| (d.first..=d.last).contains(s))));
            at = upto;
        }
        for d in damaged {
            tracing::error!("{d}");
        }
        Ok(events)
    }

    /// Events after `seq`, in order, whole blocks at a time: what detection must see again after a restart.
    pub async fn events_after(&self, seq: Seq) -> Result<EventsAfter, StoreError> {
        let mut page = EventsAfter::default();
        let mut from = seq.0 as i64;
        while let Some(span) = self.span_from(from.saturating_add(1)).await? {
            let scanned = self.scan_block(span, &Query::default(), i64::MAX, usize::MAX).await?;
            page.damaged.extend(scanned.damaged.into_iter().filter(|d| d.last > seq));
            page.events.extend(scanned.hits.into_iter().rev().filter(|e| e.seq > seq));
            if !page.events.is_empty() {
                return Ok(page);
            }
            // Nothing of it is left, or nothing can be read: the next block is what follows.
            from = span.last;
        }
        let lines =
            sqlx::query_as!(HotLine, r#"SELECT seq AS "seq!: i64", line FROM hot WHERE seq > ? ORDER BY seq"#, from)
                .fetch_all(&self.readers)
                .await?;
        for row in lines {
            match line::decode(&row.line) {
                Ok(event) => page.events.push(event),
                Err(e) => page.damaged.push(Damage::event(row.seq, e)),
            }
        }
        Ok(page)
    }
}
