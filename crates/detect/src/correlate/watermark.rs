//! How far each feed, and each host within it, has come in event time.
//!
//! A watermark never runs ahead of our own clock: a stamp ahead of time raises it to the moment the event was received
//! and no further, so that it makes no event of now late. It goes back when our clock does. Hosts have watermarks of
//! their own, because a feed may carry one that is an hour behind the others.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wf_model::{Event, FeedName, Timestamp};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// A feed that has been silent this long no longer holds back forgetting, unless it will resume where it stopped.
const ACTIVE: Duration = Duration::from_secs(120);
/// What is known of a feed that is not configured is forgotten after this much silence.
const FORGOTTEN: Duration = Duration::from_secs(86_400);
/// Hosts of a feed that are told apart, at the least. A host that is forgotten begins anew with its next event.
const HOSTS: usize = 1024;

/// Where an event's source stands, the event included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    /// The feed and the host, as a hash.
    pub source: u64,
    pub watermark: i64,
}

#[derive(Default)]
pub(super) struct Watermarks {
    feeds: HashMap<FeedName, FeedClock>,
    resumable: HashSet<FeedName>,
}

struct FeedClock {
    seed: u64,
    /// The furthest of its hosts.
    newest: i64,
    heard: Timestamp,
    hosts: Hosts,
}

/// Two generations: when the young one is full it becomes the old one, and the old one is forgotten. A host that
/// speaks is always in the young one, so a flood of names costs no more than a lookup and no more than both tables.
#[derive(Default)]
struct Hosts {
    young: HashMap<u64, i64>,
    old: HashMap<u64, i64>,
}

/// A feed's clock, as kept over a restart.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SavedFeed {
    feed: FeedName,
    newest: i64,
    heard: Timestamp,
    hosts: Vec<(u64, i64)>,
}

impl Watermarks {
    /// Feeds that are configured and resume where they stopped: what they may still add to is kept while they are
    /// away.
    pub fn set_resumable(&mut self, feeds: HashSet<FeedName>) {
        self.resumable = feeds;
    }

    /// Every event passes here, counted or not.
    pub fn saw(&mut self, now: Timestamp, event: &Event) -> Mark {
        match self.feeds.get_mut(&event.feed) {
            Some(clock) => clock.saw(now, event),
            None => self.feeds.entry(event.feed.clone()).or_insert_with(|| FeedClock::new(&event.feed)).saw(now, event),
        }
    }

    /// The moment that no feed which may still speak goes behind. A feed that will resume counts for `away` after it
    /// was last heard, any other for as long as it speaks.
    pub fn horizon(&self, now: Timestamp, away: Duration) -> i64 {
        self.feeds
            .iter()
            .filter(|(name, c)| c.heard + ACTIVE >= now || (c.heard + away >= now && self.resumable.contains(*name)))
            .map(|(_, c)| c.newest)
            .min()
            .unwrap_or(now.millis())
    }

    pub fn evict(&mut self, now: Timestamp) {
        let resumable = &self.resumable;
        self.feeds.retain(|name, c| c.heard + FORGOTTEN >= now || resumable.contains(name));
    }

    pub fn save(&self) -> Vec<SavedFeed> {
        self.feeds
            .iter()
            .map(|(feed, c)| SavedFeed {
                feed: feed.clone(),
                newest: c.newest,
                heard: c.heard,
                hosts: c.hosts.old.iter().chain(&c.hosts.young).map(|(k, w)| (*k, *w)).collect(),
            })
            .collect()
    }

    pub fn restore(&mut self, saved: Vec<SavedFeed>) {
        for s in saved {
            let mut clock = FeedClock::new(&s.feed);
            (clock.newest, clock.heard) = (s.newest, s.heard);
            for (host, watermark) in s.hosts {
                clock.hosts.raise(host, watermark, i64::MAX);
            }
            self.feeds.insert(s.feed, clock);
        }
    }
}

impl FeedClock {
    fn new(feed: &FeedName) -> Self {
        Self {
            seed: xxh3_64(feed.as_str().as_bytes()),
            newest: i64::MIN,
            heard: Timestamp::EPOCH,
            hosts: Hosts::default(),
        }
    }

    fn saw(&mut self, now: Timestamp, event: &Event) -> Mark {
        let believed = event.occurred_at.min(event.received_at).min(now).millis();
        let ceiling = event.received_at.max(now).millis();
        self.newest = self.newest.min(ceiling).max(believed);
        self.heard = now;
        let host = event.fields.get_str("host.name").unwrap_or_default();
        let source = xxh3_64_with_seed(host.as_bytes(), self.seed);
        Mark { source, watermark: self.hosts.raise(source, believed, ceiling) }
    }
}

impl Hosts {
    fn raise(&mut self, host: u64, believed: i64, ceiling: i64) -> i64 {
        if let Some(known) = self.young.get_mut(&host) {
            *known = (*known).min(ceiling).max(believed);
            return *known;
        }
        let watermark = self.old.get(&host).map_or(believed, |known| (*known).min(ceiling).max(believed));
        if self.young.len() >= HOSTS {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(host, watermark);
        watermark
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_host_names_is_bounded_and_does_not_forget_the_host_that_goes_on_speaking() {
        let mut hosts = Hosts::default();
        hosts.raise(1, 5_000, i64::MAX);
        for flood in 0..10_000 {
            hosts.raise(100 + flood, 0, i64::MAX);
            assert_eq!(hosts.raise(1, 0, i64::MAX), 5_000);
        }
        assert!(hosts.young.len() + hosts.old.len() <= 2 * HOSTS);
    }
}
