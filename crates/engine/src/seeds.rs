//! What a feed must know of its past when it starts: how far it came, and which events it has seen.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OnceCell;
use wf_config::Config;
use wf_feeds::ingest::{Seed, content_hash};
use wf_feeds::{FeedConfig, Tally};
use wf_model::{FeedName, Timestamp};
use wf_platform::Clock;
use wf_store::events::StoredEvent;
use wf_store::{Store, StoreError};

/// An event that was stored: identifier, content, when received.
type Known = (String, u64, Timestamp);

/// Reads what was stored. Of all feeds of the first config at once, because each walk through the newest blocks costs
/// the same whether it looks for one feed or for twenty.
pub(crate) struct Seeds {
    store: Store,
    clock: Arc<dyn Clock>,
    /// The feeds of the first config that recognise what comes again: since when, and how many.
    first: Mutex<Vec<(FeedName, std::time::Duration, usize)>>,
    /// What the first walk found; each feed takes its own once.
    found: OnceCell<Mutex<HashMap<FeedName, Vec<Known>>>>,
}

fn known(e: StoredEvent) -> Option<Known> {
    let hash = content_hash(&e.to_event());
    Some((e.id?, hash, e.received_at))
}

impl Seeds {
    pub fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, first: Mutex::default(), found: OnceCell::new() }
    }

    /// Says which feeds start together.
    pub fn starting_with(&self, config: &Config) {
        let mut first = self.first.lock();
        if first.is_empty() && !self.found.initialized() {
            *first = config
                .feed
                .iter()
                .filter(|(_, f)| f.enabled && f.dedup.id.is_some())
                .map(|(n, f)| (FeedName::new(n), f.dedup.window, f.dedup.most))
                .collect();
        }
    }

    /// What was committed of a feed before.
    pub async fn of(&self, name: &FeedName, config: &FeedConfig, tally: Tally) -> Result<Seed, StoreError> {
        let Some(held) = self.store.feeds().await?.into_iter().find(|f| f.name == *name) else {
            // Nothing to take from the first walk. What it will have stored by its next start is not in it either.
            self.first.lock().retain(|(n, ..)| n != name);
            if let Some(found) = self.found.get() {
                found.lock().remove(name);
            }
            return Ok(Seed { tally, ..Seed::default() });
        };
        let recent = if config.dedup.id.is_some() { self.recent(name, config).await? } else { Vec::new() };
        Ok(Seed { position: held.position, heard_at: Some(held.heard_at), recent, tally })
    }

    async fn recent(&self, name: &FeedName, config: &FeedConfig) -> Result<Vec<Known>, StoreError> {
        let first = self.first.lock().clone();
        if first.iter().any(|(n, ..)| n == name) {
            let found = self.found.get_or_try_init(|| self.walk(first)).await?;
            if let Some(mut mine) = found.lock().remove(name) {
                mine.reverse();
                return Ok(mine);
            }
        }
        let mut all = self.walk(vec![(name.clone(), config.dedup.window, config.dedup.most)]).await?.into_inner();
        let mut mine = all.remove(name).unwrap_or_default();
        mine.reverse();
        Ok(mine)
    }

    /// The newest first, of each.
    async fn walk(
        &self,
        feeds: Vec<(FeedName, std::time::Duration, usize)>,
    ) -> Result<Mutex<HashMap<FeedName, Vec<Known>>>, StoreError> {
        let now = self.clock.now();
        let feeds: Vec<_> = feeds.into_iter().map(|(name, window, most)| (name, now - window, most)).collect();
        let found = self.store.recent_ids_of(&feeds, known).await?;
        for damage in &found.damaged {
            tracing::error!("{damage}: what stands there may be taken for new when it comes again");
        }
        Ok(Mutex::new(found.by_feed))
    }
}

#[cfg(test)]
mod tests {
    use wf_model::{Event, FeedCounts};
    use wf_store::{Commit, FeedProgress};

    use super::*;
    use crate::testing::{Room, event};

    #[tokio::test]
    async fn a_feed_that_was_new_when_the_console_started_knows_its_events_when_it_is_started_again() {
        let feed = |name: &str| {
            format!("[feed.{name}]\nurl = \"wss://x\"\nmap = \"auth-event\"\ndedup = {{ id = \"/id\" }}\n")
        };
        let room = Room::new(&(feed("old") + &feed("new"))).await;
        let store = room.context.store();
        let stored = |seq: u64, name: &str| {
            let event = Event { feed: FeedName::new(name), id: Some(format!("id-{seq}").into()), ..event(seq, "x") };
            let progress = FeedProgress {
                feed: event.feed.clone(),
                position: None,
                counts: FeedCounts::default(),
                heard_at: event.received_at,
            };
            Commit { events: Arc::new(vec![event]), feeds: vec![progress], ..Commit::default() }
        };
        store.commit(&stored(1, "old")).await.unwrap();
        let seeds = Seeds::new(store.clone(), room.context.clock.clone());
        let config = room.context.config();
        seeds.starting_with(&config);
        let ids = async |name: &str| {
            let (feed, tally) = (FeedName::new(name), Tally::default());
            let seed = seeds.of(&feed, &config.feed[name], tally).await.unwrap();
            seed.recent.into_iter().map(|(id, ..)| id).collect::<Vec<_>>()
        };
        assert_eq!((ids("old").await, ids("new").await), (vec!["id-1".to_owned()], vec![]));
        store.commit(&stored(2, "new")).await.unwrap();
        assert_eq!(ids("new").await, ["id-2"], "what it stored meanwhile is not taken for new again");
        assert_eq!(ids("old").await, ["id-1"]);
        room.context.ledger.close().await;
    }
}
