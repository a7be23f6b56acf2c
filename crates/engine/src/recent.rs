//! The newest events in memory, for the window to pull from, and the tick that says that something changed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use tokio::sync::watch;
use wf_model::{Event, Timestamp};
use wf_store::events::{Query, StoredEvent};

/// Events kept, and their bytes; older ones come from the store.
const KEPT: usize = 5000;
const KEPT_BYTES: usize = 64 << 20;

/// Counts up whenever what it names may look different. The window compares and pulls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tick {
    pub events: u64,
    pub incidents: u64,
    pub health: u64,
}

/// What is live. Shared by the pipeline, the desks and the window.
pub struct RecentEvents {
    ring: Mutex<Ring>,
    tick: watch::Sender<Tick>,
    /// Committed since the start.
    pub events: AtomicU64,
    /// Milliseconds from receipt to commit, of the last batch's oldest event.
    pub lag: AtomicU64,
    /// Events a second, over the last few seconds, times 10.
    pub rate: AtomicU64,
}

#[derive(Default)]
struct Ring {
    batches: VecDeque<Batch>,
    n: usize,
    bytes: usize,
}

#[derive(Clone)]
struct Batch {
    events: Arc<Vec<Event>>,
    bytes: usize,
}

impl Batch {
    fn of(events: Arc<Vec<Event>>) -> Self {
        Self { bytes: events.iter().map(Event::weight).sum(), events }
    }
}

impl Ring {
    fn push(&mut self, batch: Batch) {
        self.n += batch.events.len();
        self.bytes += batch.bytes;
        self.batches.push_back(batch);
        // The newest batch stays however large it is; it is bounded by the pipeline.
        while self.batches.len() > 1 && (self.is_more_than_kept() || self.bytes > KEPT_BYTES) {
            let Some(old) = self.batches.pop_front() else { break };
            self.n -= old.events.len();
            self.bytes -= old.bytes;
        }
    }

    fn is_more_than_kept(&self) -> bool {
        self.n > KEPT + self.batches.front().map_or(0, |b| b.events.len())
    }
}

impl Default for RecentEvents {
    fn default() -> Self {
        Self {
            ring: Mutex::default(),
            tick: watch::Sender::new(Tick::default()),
            events: AtomicU64::new(0),
            lag: AtomicU64::new(0),
            rate: AtomicU64::new(0),
        }
    }
}

/// Some of the newest events.
#[derive(Debug, Default)]
pub struct Pulled {
    /// Newest first.
    pub events: Vec<StoredEvent>,
    /// The newest number there is, shown or not.
    pub newest: u64,
    /// How many that fit came since `after`, shown or not.
    pub fresh: u64,
}

impl RecentEvents {
    pub fn tick(&self) -> watch::Receiver<Tick> {
        self.tick.subscribe()
    }

    pub fn touched(&self, f: impl FnOnce(&mut Tick)) {
        self.tick.send_modify(f);
    }

    pub fn push(&self, now: Timestamp, batch: Arc<Vec<Event>>) {
        let Some(first) = batch.first() else { return };
        self.events.fetch_add(batch.len() as u64, Ordering::Relaxed);
        self.lag.store(now.since(first.received_at).as_millis() as u64, Ordering::Relaxed);
        self.ring.lock().push(Batch::of(batch));
    }

    /// Takes out what `about` says yes to.
    pub fn forget(&self, about: impl Fn(&StoredEvent) -> bool) {
        let mut ring = self.ring.lock();
        for batch in &mut ring.batches {
            if batch.events.iter().any(|e| about(&StoredEvent::from(e))) {
                let left = batch.events.iter().filter(|e| !about(&StoredEvent::from(*e))).cloned().collect();
                *batch = Batch::of(Arc::new(left));
            }
        }
        ring.n = ring.batches.iter().map(|b| b.events.len()).sum();
        ring.bytes = ring.batches.iter().map(|b| b.bytes).sum();
        drop(ring);
        self.touched(|t| t.events += 1);
    }

    /// At most `limit` of the newest events after `after` that match, newest first.
    pub fn pull(&self, after: u64, limit: usize, query: &Query) -> Pulled {
        let batches: Vec<_> = self.ring.lock().batches.iter().map(|b| b.events.clone()).collect();
        let mut pulled =
            Pulled { newest: batches.last().and_then(|b| b.last()).map_or(0, |e| e.seq.0), ..Pulled::default() };
        for event in batches.iter().rev().flat_map(|b| b.iter().rev()).take(KEPT).take_while(|e| e.seq.0 > after) {
            if query.is_everything() {
                if pulled.events.len() < limit {
                    pulled.events.push(StoredEvent::from(event));
                }
                pulled.fresh += 1;
            } else {
                let stored = StoredEvent::from(event);
                if query.matches(&stored) {
                    pulled.fresh += 1;
                    if pulled.events.len() < limit {
                        pulled.events.push(stored);
                    }
                }
            }
        }
        pulled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(seq: u64, bytes: usize) -> Arc<Vec<Event>> {
        Arc::new(vec![crate::testing::event(seq, &"x".repeat(bytes))])
    }

    #[test]
    fn t11_the_newest_events_are_kept_by_their_bytes_as_well_as_by_their_number() {
        let recent = RecentEvents::default();
        for n in 0..200 {
            recent.push(Timestamp::from_millis(n), batch(n as u64 + 1, 4 << 20));
        }
        let held = recent.ring.lock().bytes;
        assert!(held <= KEPT_BYTES, "{held} bytes");
        let pulled = recent.pull(0, 100, &Query::default());
        assert_eq!(pulled.newest, 200);
        assert!((1..20).contains(&pulled.events.len()), "{}", pulled.events.len());
        assert_eq!(pulled.events[0].seq.0, 200, "the newest first");
    }
}
