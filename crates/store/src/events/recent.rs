//! What deduplication must know after a restart.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use wf_model::{FeedName, Seq, Timestamp};

use super::damage::{Damage, Span};
use super::groups::Filtered;
use super::rows::Body;
use super::tokens::Required;
use super::walk::PAGE;
use super::{StoredEvent, block, blocking, line, tokens};
use crate::{Store, StoreError};

/// The newest events that carry an id, of each feed that was asked about.
#[derive(Clone, Debug)]
pub struct RecentIds<T> {
    /// Newest first.
    pub by_feed: HashMap<FeedName, Vec<T>>,
    /// What could not be read: what stands there may be taken for new when it comes again.
    pub damaged: Vec<Damage>,
}

/// How far one feed has come.
#[derive(Clone)]
struct Wanted {
    feed: FeedName,
    /// What the filter of a block with an event of it holds.
    hash: u64,
    since: Timestamp,
    /// So many more.
    left: usize,
}

/// Takes what `of` makes of an event, if somebody wants it.
fn take<T>(wanted: &mut [Wanted], out: &mut [Vec<T>], event: StoredEvent, of: &impl Fn(StoredEvent) -> Option<T>) {
    let wants = |w: &Wanted| w.left > 0 && w.feed == event.feed && event.received_at >= w.since;
    let Some(i) = wanted.iter().position(wants).filter(|_| event.id.is_some()) else { return };
    if let Some(item) = of(event) {
        out[i].push(item);
        wanted[i].left -= 1;
    }
}

impl Store {
    /// Of each of these feeds the newest events that carry an id, none received before the moment that is given with
    /// it, at most so many: what `of` makes of them, because a quarter of a million whole events is a lot to hold. One
    /// walk from the newest event downwards serves all feeds; blocks that hold none of them are not opened.
    pub async fn recent_ids_of<T: Send + 'static>(
        &self,
        feeds: &[(FeedName, Timestamp, usize)],
        of: impl Fn(StoredEvent) -> Option<T> + Send + Sync + 'static,
    ) -> Result<RecentIds<T>, StoreError> {
        let of = Arc::new(of);
        let mut wanted: Vec<Wanted> = feeds
            .iter()
            .map(|(feed, since, most)| Wanted {
                feed: feed.clone(),
                hash: tokens::field_hash("feed", feed.as_str()),
                since: *since,
                left: *most,
            })
            .collect();
        let mut out: Vec<Vec<T>> = wanted.iter().map(|_| Vec::new()).collect();
        let mut damaged = Vec::new();
        let mut below = i64::MAX;
        loop {
            let page = self.hot_below(below).await?;
            let Some(lowest) = page.last() else { break };
            below = lowest.seq;
            for row in &page {
                match line::decode(&row.line) {
                    Ok(event) => take(&mut wanted, &mut out, event, &*of),
                    Err(e) => damaged.push(Damage::event(row.seq, e)),
                }
            }
        }
        let mut from = below;
        while wanted.iter().any(|w| w.left > 0) {
            // Where the receipt was not kept, the events' own time is the nearest there is.
            let rows = sqlx::query!(
                r#"SELECT first_seq AS "first_seq!: i64", last_seq, filter_at,
                     coalesce(received_at, last_at) AS "received_at!: i64"
                   FROM block_meta WHERE first_seq < ? ORDER BY first_seq DESC LIMIT ?"#,
                from,
                PAGE
            )
            .fetch_all(&self.readers)
            .await?;
            let Some(oldest) = rows.last() else { break };
            from = oldest.first_seq;
            let blocks: Vec<_> = rows.iter().map(|r| Filtered { first: r.first_seq, filter_at: r.filter_at }).collect();
            let mut denied = Vec::with_capacity(wanted.len());
            for w in &wanted {
                let required = [Required::Field(w.hash)];
                denied.push(match w.left {
                    0 => HashSet::new(),
                    _ => self.denied(&required, &blocks).await?,
                });
            }
            for row in rows {
                // Events are stored in the order they are received: from here downwards everything is older.
                let older = |w: &Wanted| Timestamp::from_millis(row.received_at) < w.since;
                wanted.iter_mut().filter(|w| older(w)).for_each(|w| w.left = 0);
                let holds = |i: usize| !denied[i].contains(&row.first_seq);
                if !wanted.iter().enumerate().any(|(i, w)| w.left > 0 && holds(i)) {
                    continue;
                }
                let span = Span { first: row.first_seq, last: row.last_seq };
                let body = match self.body(span).await? {
                    Body::Whole(body) => body,
                    Body::Gone => continue,
                    Body::Unreadable(reason) => {
                        damaged.push(Damage::block(span, reason));
                        continue;
                    }
                };
                let (mut now, of) = (wanted.clone(), of.clone());
                let (now, items, unreadable) = blocking(move || {
                    let mut items: Vec<Vec<T>> = now.iter().map(|_| Vec::new()).collect();
                    let mut unreadable = Vec::new();
                    match block::unpack(&body) {
                        Ok(unpacked) => {
                            for text in block::lines(&unpacked).rev() {
                                match line::decode(text) {
                                    // The block that the walk down the hot table ended in, if it was sealed meanwhile.
                                    Ok(event) if event.seq >= Seq(below as u64) => {}
                                    Ok(event) => take(&mut now, &mut items, event, &*of),
                                    Err(e) => unreadable.push(Damage::line(text, span, e)),
                                }
                            }
                        }
                        Err(e) => unreadable.push(Damage::block(span, e)),
                    }
                    Ok((now, items, unreadable))
                })
                .await?;
                wanted = now;
                damaged.extend(unreadable);
                for (all, some) in out.iter_mut().zip(items) {
                    all.extend(some);
                }
            }
        }
        let mut by_feed: HashMap<FeedName, Vec<T>> = HashMap::with_capacity(out.len());
        for (w, items) in wanted.into_iter().zip(out) {
            by_feed.entry(w.feed).or_default().extend(items);
        }
        Ok(RecentIds { by_feed, damaged })
    }

    /// The newest events of one feed that carry an id, newest first: at most `most`, none received before `since`.
    pub async fn recent_ids(
        &self,
        feed: &FeedName,
        since: Timestamp,
        most: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let mut recent = self.recent_ids_of(&[(feed.clone(), since, most)], Some).await?;
        for d in &recent.damaged {
            tracing::error!("{d}");
        }
        Ok(recent.by_feed.remove(feed).unwrap_or_default())
    }
}
