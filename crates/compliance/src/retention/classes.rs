//! What is over its time, by where it is stored: counted, or deleted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use wf_api::ApiError;
use wf_api::views::{OverRetention, OverUser, millis};
use wf_model::{Seq, Timestamp};
use wf_response::Changes;
use wf_store::Commit;
use wf_store::events::{DELETED_AT_ONCE, Decide, Fate, Quick, StoredEvent};
use wf_store::sweep::{Place, Rewrite, Swept};

use super::{BREATH, Counted, Retention};
use crate::holding::Keeping;

/// Blocks that are opened to say whose data is over its time.
const LOOKED_INTO: usize = 400;
const NAMED: usize = 100;

fn everything() -> Quick {
    Arc::new(|_: &str| true)
}

impl Retention {
    pub(crate) async fn old_events(
        &self,
        cutoff: Timestamp,
        holds: &Arc<Keeping>,
        only_count: bool,
        cancel: &AtomicBool,
    ) -> Result<Counted, ApiError> {
        let (store, mut n, mut after) = (self.records.context.store(), Counted { delete: 0, held: 0 }, Seq(0));
        loop {
            let page = store.blocks(after, cutoff, false).await?;
            let Some(last) = page.last() else { return Ok(n) };
            after = last.first;
            let (open, whole): (Vec<_>, Vec<_>) =
                page.into_iter().partition(|b| holds.holds.may_cover(b.first_at, b.last_at));
            if only_count {
                n.delete += whole.iter().map(|b| b.n).sum::<u64>();
            } else {
                for some in whole.chunks(DELETED_AT_ONCE) {
                    if cancel.load(Ordering::Relaxed) {
                        return Ok(n);
                    }
                    store.delete_blocks(&some.iter().map(|b| b.first).collect::<Vec<_>>()).await?;
                    n.delete += some.iter().map(|b| b.n).sum::<u64>();
                    tokio::time::sleep(BREATH).await;
                }
            }
            for b in open {
                let kept = Arc::new(AtomicU64::new(0));
                let (mine, counter) = (holds.clone(), kept.clone());
                let decide: Decide = Arc::new(move |e: &StoredEvent| {
                    if mine.event(e).is_some() {
                        counter.fetch_add(1, Ordering::Relaxed);
                        return Fate::Keep;
                    }
                    if only_count { Fate::Keep } else { Fate::Drop }
                });
                // What cannot be read stays until its block as a whole is over its time.
                let done = store.rewrite_block(b.first, &everything(), &decide, false).await?;
                for damage in &done.damaged {
                    tracing::error!("retention: {damage}");
                }
                let kept = kept.load(Ordering::Relaxed);
                n.held += kept;
                n.delete += b.n - kept;
            }
        }
    }

    pub(crate) async fn old_raw(
        &self,
        cutoff: Timestamp,
        holds: &Arc<Keeping>,
        only_count: bool,
        cancel: &AtomicBool,
    ) -> Result<Counted, ApiError> {
        let (store, mut n, mut after) = (self.records.context.store(), Counted { delete: 0, held: 0 }, Seq(0));
        loop {
            let page = store.blocks(after, cutoff, true).await?;
            let Some(last) = page.last() else { return Ok(n) };
            after = last.first;
            for b in page {
                if cancel.load(Ordering::Relaxed) {
                    return Ok(n);
                }
                let kept = Arc::new(AtomicU64::new(0));
                let (mine, counter, look) = (holds.clone(), kept.clone(), holds.holds.may_cover(b.first_at, b.last_at));
                if only_count && !look {
                    n.delete += b.n;
                    continue;
                }
                let decide: Decide = Arc::new(move |e: &StoredEvent| {
                    if look && mine.event(e).is_some() {
                        counter.fetch_add(1, Ordering::Relaxed);
                        return Fate::Keep;
                    }
                    if only_count || e.raw.is_empty() {
                        Fate::Keep
                    } else {
                        Fate::Replace(Box::new(StoredEvent { raw: String::new(), ..e.clone() }))
                    }
                });
                // A block with something held is looked at again next time.
                let done = store.rewrite_block(b.first, &everything(), &decide, !only_count && !look).await?;
                for damage in &done.damaged {
                    tracing::error!("retention of what came in word by word: {damage}");
                }
                let kept = kept.load(Ordering::Relaxed);
                n.held += kept;
                n.delete += if only_count { b.n - kept } else { done.replaced };
                if !only_count {
                    tokio::time::sleep(BREATH).await;
                }
            }
        }
    }

    pub(crate) async fn old_incidents(
        &self,
        cutoff: Timestamp,
        holds: &Arc<Keeping>,
        only_count: bool,
        cancel: &AtomicBool,
    ) -> Result<Counted, ApiError> {
        let (mut n, mut after) = (Counted { delete: 0, held: 0 }, 0);
        loop {
            let page = self.records.context.store().incidents_resolved_before(cutoff, after).await?;
            let Some(last) = page.last() else { return Ok(n) };
            after = last.number;
            let (held, old): (Vec<_>, Vec<_>) = page.into_iter().partition(|i| holds.incident(i).is_some());
            n.held += held.len() as u64;
            n.delete += old.len() as u64;
            if !only_count {
                for some in old.chunks(50) {
                    if cancel.load(Ordering::Relaxed) {
                        return Ok(n);
                    }
                    let commit =
                        Commit { delete_incidents: some.iter().map(|i| i.id.clone()).collect(), ..Commit::default() };
                    self.records.context.ledger.commit(|_| (commit, Changes::default())).await?;
                    tokio::time::sleep(BREATH).await;
                }
            }
        }
    }

    pub(crate) async fn old_rows(
        &self,
        table: &str,
        cutoff: Timestamp,
        holds: &Arc<Keeping>,
        only_count: bool,
        fate: impl Fn(&Swept) -> Option<Rewrite> + Send + Sync,
    ) -> Result<Counted, ApiError> {
        let Some(place) = Place::named(table) else { return Ok(Counted { delete: 0, held: 0 }) };
        let (mut n, mut rewrites) = (Counted { delete: 0, held: 0 }, Vec::new());
        self.records
            .context
            .store()
            .sweep(place, Some(cutoff), |row| {
                if let Some(rewrite) = fate(&row) {
                    if holds.row(&row).is_some() {
                        n.held += 1;
                    } else {
                        n.delete += 1;
                        rewrites.push(rewrite);
                    }
                }
            })
            .await?;
        if !only_count {
            for some in rewrites.chunks(200) {
                let commit = Commit { rewrites: some.to_vec(), ..Commit::default() };
                self.records.context.ledger.commit(|_| (commit, Changes::default())).await?;
                tokio::time::sleep(BREATH).await;
            }
        }
        Ok(n)
    }

    /// Users named in events that are over their time: the oldest first. Of very much, the beginning is looked at.
    pub(crate) async fn over_retention(&self, cutoff: Timestamp) -> Result<OverRetention, ApiError> {
        let users: Arc<std::sync::Mutex<BTreeMap<String, (u64, Timestamp)>>> = Arc::default();
        let (store, mut after, mut looked, mut complete) = (self.records.context.store(), Seq(0), 0, true);
        'all: loop {
            let page = store.blocks(after, cutoff, false).await?;
            let Some(last) = page.last() else { break };
            after = last.first;
            for b in page {
                if looked == LOOKED_INTO {
                    complete = false;
                    break 'all;
                }
                looked += 1;
                let mine = users.clone();
                let decide: Decide = Arc::new(move |e: &StoredEvent| {
                    // One name each: the same user is not two for having a mail address.
                    let named = ["user.id", "user.email", "user.name"]
                        .iter()
                        .find_map(|f| e.fields.get(*f))
                        .map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned));
                    let mut users = mine.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    if let Some(user) = named {
                        let slot = users.entry(user).or_insert((0, e.occurred_at));
                        slot.0 += 1;
                        slot.1 = slot.1.min(e.occurred_at);
                    }
                    Fate::Keep
                });
                complete &= store.rewrite_block(b.first, &everything(), &decide, false).await?.damaged.is_empty();
            }
        }
        let users = std::mem::take(&mut *users.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        let total = users.len() as u64;
        let mut named: Vec<_> = users
            .into_iter()
            .map(|(user, (events, oldest))| OverUser { user, events, oldest: millis(oldest) })
            .collect();
        named.sort_by_key(|u| u.oldest);
        named.truncate(NAMED);
        Ok(OverRetention { users: total, named, complete })
    }
}
