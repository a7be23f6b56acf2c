//! Looking at all events, and changing what was stored: for the rights of data subjects and for retention. Everything
//! else only ever appends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wf_model::{Event, Seq, Timestamp};

use super::{Progress, StoredEvent, block, blocking, line, tokens};
use crate::connect::begin;
use crate::{Store, StoreError};

/// A test of the text an event is stored as: never false of an event that the close look would take.
pub type Quick = Arc<dyn Fn(&str) -> bool + Send + Sync>;
/// A close look.
pub type Exact = Arc<dyn Fn(&StoredEvent) -> bool + Send + Sync>;
/// What becomes of an event.
pub type Decide = Arc<dyn Fn(&StoredEvent) -> Fate + Send + Sync>;

/// What becomes of an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    Keep,
    /// Same number, same times.
    Replace(Box<StoredEvent>),
    Drop,
}

/// What a rewrite did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rewritten {
    pub replaced: u64,
    pub dropped: u64,
    /// Blocks that were written anew or deleted.
    pub blocks: u64,
}

impl Rewritten {
    fn add(&mut self, other: Self) {
        self.replaced += other.replaced;
        self.dropped += other.dropped;
        self.blocks += other.blocks;
    }
}

/// A sealed block, as retention sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockInfo {
    pub first: Seq,
    pub n: u64,
    pub first_at: Timestamp,
    pub last_at: Timestamp,
}

/// Blocks listed at a time.
const PAGE: i64 = 256;
/// Whole blocks deleted in one transaction: enough to be quick, few enough that ingest does not wait.
pub const DELETED_AT_ONCE: usize = 8;

impl Store {
    /// Sealed blocks after `after` whose newest event is older than `before`, in order; a page of them.
    pub async fn blocks(&self, after: Seq, before: Timestamp, with_raw: bool) -> Result<Vec<BlockInfo>, StoreError> {
        let (after, before) = (after.0 as i64, before.millis());
        let rows = sqlx::query!("SELECT first_seq, n, first_at, last_at FROM block WHERE first_seq > ? AND last_at < ? AND (? = 0 OR raw_gone = 0) ORDER BY first_seq LIMIT ?", after, before, with_raw, PAGE).fetch_all(&self.readers).await?;
        Ok(rows
            .into_iter()
            .map(|r| BlockInfo {
                first: Seq(r.first_seq as u64),
                n: r.n as u64,
                first_at: Timestamp::from_millis(r.first_at),
                last_at: Timestamp::from_millis(r.last_at),
            })
            .collect())
    }

    /// Shows `each` every stored event that passes both looks, oldest first, a block at a time. Ends early, with
    /// `false`, when `cancel` is set.
    pub async fn sift(
        &self,
        quick: &Quick,
        exact: &Exact,
        cancel: &AtomicBool,
        mut progress: impl FnMut(Progress) + Send,
        mut each: impl FnMut(Vec<StoredEvent>) + Send,
    ) -> Result<bool, StoreError> {
        let total = self.count_events().await?;
        let (mut after, mut seen) = (Seq(0), Progress { total, ..Progress::default() });
        loop {
            let page = self.blocks(after, Timestamp::from_millis(i64::MAX), false).await?;
            let Some(last) = page.last() else { break };
            after = last.first;
            // Two at a time: there are two cores at least, and one would read while the other looks.
            for pair in page.chunks(2) {
                if cancel.load(Ordering::Relaxed) {
                    return Ok(false);
                }
                let mut found = Vec::with_capacity(2);
                for b in pair {
                    let Some(body) = self.body(b.first).await? else { continue };
                    let (quick, exact) = (quick.clone(), exact.clone());
                    found.push(tokio::task::spawn_blocking(move || {
                        let lines = block::unpack(&body)?;
                        let mut hits = Vec::new();
                        each_line(&lines, |text| {
                            if quick(text) {
                                let event = line::decode(text.as_bytes())?;
                                if exact(&event) {
                                    hits.push(event);
                                }
                            }
                            Ok(())
                        })?;
                        Ok::<_, StoreError>(hits)
                    }));
                }
                for task in found {
                    let hits = task.await.map_err(|e| StoreError::damaged("block", e))??;
                    seen.hits += hits.len();
                    if !hits.is_empty() {
                        each(hits);
                    }
                }
                seen.looked_at += pair.iter().map(|b| b.n).sum::<u64>();
                progress(seen);
            }
        }
        let hot = sqlx::query_scalar!("SELECT line FROM hot ORDER BY seq").fetch_all(&self.readers).await?;
        let mut hits = Vec::new();
        for text in &hot {
            let event = line::decode(text)?;
            // A block may have been sealed of it meanwhile; what was seen there is not seen again.
            if event.seq > after && String::from_utf8_lossy(text).lines().any(|l| quick(l)) && exact(&event) {
                hits.push(event);
            }
        }
        if !hits.is_empty() {
            each(hits);
        }
        // What was sealed after the blocks were listed and before the hot table was read.
        let shown: std::collections::HashSet<u64> =
            hot.iter().filter_map(|t| line::decode(t).ok()).map(|e| e.seq.0).collect();
        for b in self.blocks(after, Timestamp::from_millis(i64::MAX), false).await? {
            let Some(body) = self.body(b.first).await? else { continue };
            let mut late = Vec::new();
            each_line(&block::unpack(&body)?, |text| {
                if quick(text) {
                    let event = line::decode(text.as_bytes())?;
                    if !shown.contains(&event.seq.0) && exact(&event) {
                        late.push(event);
                    }
                }
                Ok(())
            })?;
            if !late.is_empty() {
                each(late);
            }
        }
        Ok(true)
    }

    async fn body(&self, first: Seq) -> Result<Option<Vec<u8>>, StoreError> {
        let first = first.0 as i64;
        Ok(sqlx::query_scalar!("SELECT body FROM block WHERE first_seq = ?", first)
            .fetch_optional(&self.readers)
            .await?)
    }

    /// Decides about each event of every block and of the hot table. Each block is a transaction of its own: after a
    /// crash the rest is simply done again.
    pub async fn rewrite_events(&self, quick: &Quick, decide: &Decide) -> Result<Rewritten, StoreError> {
        let (mut after, mut done) = (Seq(0), Rewritten::default());
        loop {
            let page = self.blocks(after, Timestamp::from_millis(i64::MAX), false).await?;
            let Some(last) = page.last() else { break };
            after = last.first;
            for b in page {
                done.add(self.rewrite_block(b.first, quick, decide, false).await?);
            }
        }
        done.add(self.rewrite_hot(decide).await?);
        // What was sealed while the hot table had its turn.
        for b in self.blocks(after, Timestamp::from_millis(i64::MAX), false).await? {
            done.add(self.rewrite_block(b.first, quick, decide, false).await?);
        }
        Ok(done)
    }

    /// Decides about each event of one block. `raw_gone`: afterwards no words as they came in are left in it.
    pub async fn rewrite_block(
        &self,
        first: Seq,
        quick: &Quick,
        decide: &Decide,
        raw_gone: bool,
    ) -> Result<Rewritten, StoreError> {
        let Some(body) = self.body(first).await? else { return Ok(Rewritten::default()) };
        let (quick, decide) = (quick.clone(), decide.clone());
        let (new, mut done) = blocking(move || {
            let lines = block::unpack(&body)?;
            let (mut fates, mut done) = (Vec::new(), Rewritten::default());
            each_line(&lines, |text| {
                let fate = if quick(text) { decide(&line::decode(text.as_bytes())?) } else { Fate::Keep };
                match &fate {
                    Fate::Keep => {}
                    Fate::Replace(_) => done.replaced += 1,
                    Fate::Drop => done.dropped += 1,
                }
                fates.push(fate);
                Ok(())
            })?;
            if done == Rewritten::default() {
                return Ok((None, done));
            }
            let (mut events, mut fates) = (Vec::with_capacity(fates.len()), fates.into_iter());
            each_line(&lines, |text| {
                match fates.next() {
                    None | Some(Fate::Keep) => events.push(line::decode(text.as_bytes())?.to_event()),
                    Some(Fate::Replace(event)) => events.push(event.to_event()),
                    Some(Fate::Drop) => {}
                }
                Ok(())
            })?;
            Ok((Some(block::seal_whole(&events)?), done))
        })
        .await?;
        if new.is_none() && !raw_gone {
            return Ok(done);
        }
        done.blocks = 1;
        let mut writer = self.writer.lock().await;
        let seq = first.0 as i64;
        let result = async {
            let mut tx = begin(writer.connection().await?).await?;
            match &new {
                None => {
                    sqlx::query!("UPDATE block SET raw_gone = 1 WHERE first_seq = ?", seq).execute(&mut *tx).await?;
                }
                Some(None) => {
                    sqlx::query!("DELETE FROM bloom WHERE first_seq = ?", seq).execute(&mut *tx).await?;
                    sqlx::query!("DELETE FROM block WHERE first_seq = ?", seq).execute(&mut *tx).await?;
                }
                Some(Some(b)) => {
                    let n = b.n as i64;
                    sqlx::query!("UPDATE block SET n = ?, first_at = ?, last_at = ?, body = ?, raw_gone = raw_gone OR ? WHERE first_seq = ?", n, b.first_at, b.last_at, b.body, raw_gone, seq).execute(&mut *tx).await?;
                    sqlx::query!("DELETE FROM bloom WHERE first_seq = ?", seq).execute(&mut *tx).await?;
                    for (segment, bits) in b.bloom.iter().enumerate() {
                        let segment = tokens::stored_as(segment);
                        sqlx::query!("INSERT INTO bloom (segment, first_seq, bits) VALUES (?, ?, ?)", segment, seq, bits).execute(&mut *tx).await?;
                    }
                }
            }
            tx.commit().await
        }
        .await;
        if let Err(e) = result {
            writer.give_up().await;
            return Err(self.failed(e));
        }
        Ok(done)
    }

    async fn rewrite_hot(&self, decide: &Decide) -> Result<Rewritten, StoreError> {
        let mut writer = self.writer.lock().await;
        let mut done = Rewritten::default();
        let mut hot: Vec<Event> = Vec::new();
        // The new line, or none.
        let mut changed: Vec<(i64, Option<Vec<u8>>)> = Vec::new();
        for event in writer.tail.hot() {
            let seq = event.seq.0 as i64;
            match decide(&StoredEvent::from(&event)) {
                Fate::Keep => hot.push(event),
                Fate::Replace(new) => {
                    let (new, mut text) = (new.to_event(), Vec::new());
                    line::encode(&new, &mut text);
                    changed.push((seq, Some(text)));
                    hot.push(new);
                    done.replaced += 1;
                }
                Fate::Drop => {
                    changed.push((seq, None));
                    done.dropped += 1;
                }
            }
        }
        if changed.is_empty() {
            return Ok(done);
        }
        let result = async {
            let mut tx = begin(writer.connection().await?).await?;
            for (seq, text) in &changed {
                match text {
                    Some(text) => {
                        sqlx::query!("UPDATE hot SET line = ? WHERE seq = ?", text, seq).execute(&mut *tx).await?
                    }
                    None => sqlx::query!("DELETE FROM hot WHERE seq = ?", seq).execute(&mut *tx).await?,
                };
            }
            tx.commit().await
        }
        .await;
        if let Err(e) = result {
            writer.give_up().await;
            return Err(self.failed(e));
        }
        writer.tail.replace_hot(hot);
        Ok(done)
    }

    /// Deletes these blocks, all of them or none; at most [`DELETED_AT_ONCE`].
    pub async fn delete_blocks(&self, blocks: &[Seq]) -> Result<(), StoreError> {
        let mut writer = self.writer.lock().await;
        let result = async {
            let mut tx = begin(writer.connection().await?).await?;
            for first in blocks {
                let first = first.0 as i64;
                // Its filter goes with it.
                sqlx::query!("DELETE FROM block WHERE first_seq = ?", first).execute(&mut *tx).await?;
            }
            tx.commit().await
        }
        .await;
        if let Err(e) = result {
            writer.give_up().await;
            return Err(self.failed(e));
        }
        Ok(())
    }
}

fn each_line(lines: &[u8], mut each: impl FnMut(&str) -> Result<(), StoreError>) -> Result<(), StoreError> {
    for text in lines.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
        each(std::str::from_utf8(text).map_err(|e| StoreError::damaged("event", e))?)?;
    }
    Ok(())
}
