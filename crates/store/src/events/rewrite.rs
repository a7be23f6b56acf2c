//! Looking at all events, and changing what was stored: for the rights of data subjects and for retention. Everything
//! else only ever appends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wf_model::{Event, Seq, Timestamp};

use super::block::{Entry, Resealed};
use super::damage::{Damage, Span};
use super::rows::{self, Body};
use super::{Progress, StoredEvent, block, blocking, line};
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

/// How a look at every event ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "what could not be looked at is in it"]
pub struct Sifted {
    pub cancelled: bool,
    /// What could not be looked at.
    pub damaged: Vec<Damage>,
}

/// What a rewrite did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "what could not be rewritten is in it"]
pub struct Rewritten {
    pub replaced: u64,
    pub dropped: u64,
    /// Blocks that were written anew or deleted.
    pub blocks: u64,
    /// What could not be looked at and stays as it is: whoever promised that something is gone must say so.
    pub damaged: Vec<Damage>,
}

impl Rewritten {
    fn add(&mut self, other: Self) {
        self.replaced += other.replaced;
        self.dropped += other.dropped;
        self.blocks += other.blocks;
        self.damaged.extend(other.damaged);
    }

    fn changes(&self) -> bool {
        self.replaced + self.dropped > 0
    }
}

/// Whole blocks deleted in one transaction: enough to be quick, few enough that ingest does not wait.
pub const DELETED_AT_ONCE: usize = 8;

const EVERY: Timestamp = Timestamp::from_millis(i64::MAX);

impl Store {
    /// Shows `each` every stored event that passes both looks, oldest first, a block at a time. Ends early when
    /// `cancel` is set. What cannot be read is named and stepped over.
    pub async fn sift(
        &self,
        quick: &Quick,
        exact: &Exact,
        cancel: &AtomicBool,
        mut progress: impl FnMut(Progress) + Send,
        mut each: impl FnMut(Vec<StoredEvent>) + Send,
    ) -> Result<Sifted, StoreError> {
        let total = self.count_events().await?;
        let (mut after, mut seen) = (Seq(0), Progress { total, ..Progress::default() });
        let mut sifted = Sifted::default();
        loop {
            let page = self.blocks(after, EVERY, false).await?;
            let Some(last) = page.last() else { break };
            after = last.first;
            // Two at a time: there are two cores at least, and one would read while the other looks.
            for pair in page.chunks(2) {
                if cancel.load(Ordering::Relaxed) {
                    sifted.cancelled = true;
                    return Ok(sifted);
                }
                let mut found = Vec::with_capacity(2);
                for b in pair {
                    let span = b.span();
                    match self.body(span).await? {
                        Body::Gone => {}
                        Body::Unreadable(reason) => sifted.damaged.push(Damage::block(span, reason)),
                        Body::Whole(body) => {
                            let (quick, exact) = (quick.clone(), exact.clone());
                            found.push(tokio::task::spawn_blocking(move || sift_block(&body, span, &quick, &exact)));
                        }
                    }
                }
                for task in found {
                    let (hits, damaged) = task.await.map_err(|e| StoreError::damaged("block", e))?;
                    sifted.damaged.extend(damaged);
                    seen.hits += hits.len();
                    if !hits.is_empty() {
                        each(hits);
                    }
                }
                seen.looked_at += pair.iter().map(|b| b.n).sum::<u64>();
                progress(seen);
            }
        }
        let hot =
            sqlx::query!(r#"SELECT seq AS "seq!: i64", line FROM hot ORDER BY seq"#).fetch_all(&self.readers).await?;
        let mut hits = Vec::new();
        let mut shown = std::collections::HashSet::with_capacity(hot.len());
        for row in &hot {
            // A block may have been sealed of it meanwhile; what was seen there is not seen again.
            if row.seq <= after.0 as i64 {
                continue;
            }
            shown.insert(row.seq as u64);
            if String::from_utf8_lossy(&row.line).lines().any(|l| quick(l)) {
                match line::decode(&row.line) {
                    Ok(event) if exact(&event) => hits.push(event),
                    Ok(_) => {}
                    Err(e) => sifted.damaged.push(Damage::event(row.seq, e)),
                }
            }
        }
        if !hits.is_empty() {
            each(hits);
        }
        // What was sealed after the blocks were listed and before the hot table was read.
        for b in self.blocks(after, EVERY, false).await? {
            let span = b.span();
            let (late, damaged) = match self.body(span).await? {
                Body::Gone => continue,
                Body::Unreadable(reason) => (Vec::new(), vec![Damage::block(span, reason)]),
                Body::Whole(body) => sift_block(&body, span, quick, exact),
            };
            sifted.damaged.extend(damaged);
            let late: Vec<_> = late.into_iter().filter(|e| !shown.contains(&e.seq.0)).collect();
            if !late.is_empty() {
                each(late);
            }
        }
        Ok(sifted)
    }

    /// Decides about each event of every block and of the hot table. Each block is a transaction of its own: after a
    /// crash the rest is simply done again. Filters of groups are settled at the end.
    pub async fn rewrite_events(&self, quick: &Quick, decide: &Decide) -> Result<Rewritten, StoreError> {
        let (mut after, mut done) = (Seq(0), Rewritten::default());
        loop {
            let page = self.blocks(after, EVERY, false).await?;
            let Some(last) = page.last() else { break };
            after = last.first;
            for b in page {
                done.add(self.rewrite_block(b.first, quick, decide, false).await?);
            }
        }
        done.add(self.rewrite_hot(decide).await?);
        // What was sealed while the hot table had its turn.
        for b in self.blocks(after, EVERY, false).await? {
            done.add(self.rewrite_block(b.first, quick, decide, false).await?);
        }
        self.settle_filters().await?;
        Ok(done)
    }

    /// Decides about each event of one block. `raw_gone`: afterwards no words as they came in are left in it, unless
    /// something in it could not be read.
    pub async fn rewrite_block(
        &self,
        first: Seq,
        quick: &Quick,
        decide: &Decide,
        raw_gone: bool,
    ) -> Result<Rewritten, StoreError> {
        let Some(span) = self.span(first).await? else { return Ok(Rewritten::default()) };
        let body = match self.body(span).await? {
            Body::Gone => return Ok(Rewritten::default()),
            Body::Unreadable(reason) => {
                return Ok(Rewritten { damaged: vec![Damage::block(span, reason)], ..Rewritten::default() });
            }
            Body::Whole(body) => body,
        };
        let (quick, decide) = (quick.clone(), decide.clone());
        let (new, mut done) = blocking(move || decided(&body, span, &quick, &decide)).await?;
        let raw_gone = raw_gone && done.damaged.is_empty();
        if new.is_none() && !raw_gone {
            return Ok(done);
        }
        let mut writer = self.writer.lock().await;
        let result = async {
            let mut tx = writer.begin().await?;
            let there = match &new {
                None => {
                    rows::mark_raw_gone(&mut tx, span.first).await?;
                    true
                }
                Some(new) => rows::replace(&mut tx, span.first, new.as_ref(), raw_gone).await?,
            };
            tx.commit().await?;
            Ok::<_, sqlx::Error>(there)
        }
        .await;
        self.rewritten.fetch_add(1, Ordering::Relaxed);
        match result {
            Ok(true) => done.blocks = 1,
            // Retention was quicker.
            Ok(false) => done = Rewritten { damaged: done.damaged, ..Rewritten::default() },
            Err(e) => {
                writer.give_up().await;
                return Err(self.failed(e));
            }
        }
        writer.done();
        Ok(done)
    }

    async fn rewrite_hot(&self, decide: &Decide) -> Result<Rewritten, StoreError> {
        let mut writer = self.writer.lock().await;
        // Reads the hot table again if the last change did not end well.
        writer.connection().await.map_err(|e| self.failed(e))?;
        let mut done = Rewritten::default();
        let mut hot: Vec<Event> = Vec::new();
        // The new line, or none.
        let mut changed: Vec<(i64, Option<Vec<u8>>)> = Vec::new();
        for event in writer.tail.hot().iter() {
            let seq = event.seq.0 as i64;
            match decide(&StoredEvent::from(event)) {
                Fate::Keep => hot.push(event.clone()),
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
            let mut tx = writer.begin().await?;
            for (seq, text) in &changed {
                match text {
                    Some(text) => {
                        sqlx::query!("UPDATE hot SET line = ? WHERE seq = ?", text, seq).execute(&mut *tx).await?
                    }
                    None => sqlx::query!("DELETE FROM hot WHERE seq = ?", seq).execute(&mut *tx).await?,
                };
            }
            rows::fewer(&mut tx, done.dropped as i64).await?;
            tx.commit().await
        }
        .await;
        if let Err(e) = result {
            writer.give_up().await;
            return Err(self.failed(e));
        }
        writer.tail.replace_hot(hot);
        writer.done();
        Ok(done)
    }

    /// Deletes these blocks, all of them or none; at most [`DELETED_AT_ONCE`].
    pub async fn delete_blocks(&self, blocks: &[Seq]) -> Result<(), StoreError> {
        let (blocks, rewritten) = (blocks.to_vec(), self.rewritten.clone());
        self.change(move |tx| {
            Box::pin(async move {
                rewritten.fetch_add(1, Ordering::Relaxed);
                for first in &blocks {
                    rows::remove(tx, first.0 as i64).await?;
                }
                Ok(())
            })
        })
        .await
    }
}

/// The events of a block that pass both looks, and what of it cannot be read.
fn sift_block(body: &[u8], span: Span, quick: &Quick, exact: &Exact) -> (Vec<StoredEvent>, Vec<Damage>) {
    let (mut hits, mut damaged) = (Vec::new(), Vec::new());
    match block::unpack(body) {
        Err(e) => damaged.push(Damage::block(span, e)),
        Ok(lines) => {
            for text in block::lines(&lines) {
                match looked_at(text, quick) {
                    None => {}
                    Some(Ok(event)) if exact(&event) => hits.push(event),
                    Some(Ok(_)) => {}
                    Some(Err(e)) => damaged.push(Damage::line(text, span, e)),
                }
            }
        }
    }
    (hits, damaged)
}

/// The event of a line, if the quick look lets it through.
fn looked_at(text: &[u8], quick: &Quick) -> Option<Result<StoredEvent, StoreError>> {
    match std::str::from_utf8(text) {
        Ok(t) if !quick(t) => None,
        Ok(_) => Some(line::decode(text)),
        Err(e) => Some(Err(StoreError::damaged("event", e))),
    }
}

/// What becomes of a block (`None`: it stays as it is), and what that changes.
type Decided = (Option<Option<Resealed>>, Rewritten);

fn decided(body: &[u8], span: Span, quick: &Quick, decide: &Decide) -> Result<Decided, StoreError> {
    let mut done = Rewritten::default();
    let lines = match block::unpack(body) {
        Ok(lines) => lines,
        Err(e) => {
            done.damaged.push(Damage::block(span, e));
            return Ok((None, done));
        }
    };
    let mut fates = Vec::new();
    for text in block::lines(&lines) {
        let fate = match looked_at(text, quick) {
            None => Fate::Keep,
            Some(Ok(event)) => decide(&event),
            Some(Err(e)) => {
                done.damaged.push(Damage::line(text, span, e));
                Fate::Keep
            }
        };
        match &fate {
            Fate::Keep => {}
            Fate::Replace(_) => done.replaced += 1,
            Fate::Drop => done.dropped += 1,
        }
        fates.push(fate);
    }
    if !done.changes() {
        return Ok((None, done));
    }
    let mut entries = Vec::with_capacity(fates.len());
    for (text, fate) in block::lines(&lines).zip(fates) {
        match fate {
            Fate::Keep => entries.push(match line::decode(text) {
                Ok(event) => Entry::Event(event.to_event()),
                Err(_) => Entry::Unreadable(text.to_vec()),
            }),
            Fate::Replace(event) => entries.push(Entry::Event(event.to_event())),
            Fate::Drop => {}
        }
    }
    Ok((Some(block::reseal(&entries)?), done))
}
