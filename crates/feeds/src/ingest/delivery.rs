//! What goes into the state machine when it starts, and what it hands over.

use tokio::sync::OwnedSemaphorePermit;
use wf_model::{Event, FeedCounts, FeedName, Gap, Position, Quarantined, Timestamp};

use crate::tally::{Held, Tally};

/// What a feed hands over: to be committed as a whole, in order.
#[derive(Debug)]
pub struct Delivery {
    pub feed: FeedName,
    pub events: Vec<Event>,
    pub counts: FeedCounts,
    /// Where to resume once this is committed.
    pub position: Option<Position>,
    pub gaps: Vec<Gap>,
    pub quarantine: Vec<Quarantined>,
    pub heard_at: Timestamp,
    /// What it takes of the feed's queue, in bytes.
    pub weight: usize,
    /// Released with the delivery: what waits between socket and disk is bounded by these.
    pub permit: Option<OwnedSemaphorePermit>,
    /// What of it is in flight: settled once the delivery is committed.
    pub held: Held,
}

impl Delivery {
    pub(super) fn new(feed: &FeedName, tally: &Tally) -> Self {
        Self {
            held: tally.hold(),
            feed: feed.clone(),
            events: Vec::new(),
            counts: FeedCounts::default(),
            position: None,
            gaps: Vec::new(),
            quarantine: Vec::new(),
            heard_at: Timestamp::EPOCH,
            weight: 0,
            permit: None,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.counts.received == 0 && self.position.is_none() && self.gaps.is_empty() && self.quarantine.is_empty()
    }
}

/// How full the queue is: a feed that cannot replay sheds, the least important first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pressure {
    None,
    /// Ordinary events are shed, failures and alerts are kept.
    High,
    /// Everything is shed.
    Full,
}

/// What is known when a feed starts: what was committed before.
#[derive(Clone, Debug, Default)]
pub struct Seed {
    pub position: Position,
    pub heard_at: Option<Timestamp>,
    /// Events stored lately, oldest first: identifier, content, when received. See
    /// [`content_hash`](super::content_hash).
    pub recent: Vec<(String, u64, Timestamp)>,
    pub tally: Tally,
}
