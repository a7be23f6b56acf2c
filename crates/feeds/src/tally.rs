//! What a feed received and what became of it, counted at both ends: at the door when a record comes in, and at the
//! disk when its fate is committed. What lies between is in flight.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wf_model::FeedCounts;

/// The numbers of one feed, over every connection it makes. Cheap to clone; all clones are the same tally.
#[derive(Clone, Debug, Default)]
pub struct Tally(Arc<Mutex<Numbers>>);

/// `received = stored + duplicates + quarantined + filtered + discarded + in flight`, each counted where it happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Counted when a record comes in. What is given up before it is committed is taken back: it comes again, or a gap
    /// says so.
    pub received: u64,
    /// Counted when a batch is committed.
    pub committed: FeedCounts,
    /// Records that are held somewhere between the socket and the disk at this moment.
    pub in_flight: u64,
}

impl Numbers {
    /// Whether everything that came in is somewhere.
    pub fn balance(&self) -> bool {
        self.received == self.committed.settled() + self.in_flight
    }
}

impl Tally {
    /// Goes on from what was committed before this start.
    pub fn since(committed: FeedCounts) -> Self {
        Self(Arc::new(Mutex::new(Numbers { received: committed.received, committed, in_flight: 0 })))
    }

    pub fn numbers(&self) -> Numbers {
        *self.lock()
    }

    /// Nothing held yet.
    pub fn hold(&self) -> Held {
        Held { tally: self.clone(), records: 0 }
    }

    fn lock(&self) -> MutexGuard<'_, Numbers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Records in flight. They stop being so when they are [settled](Held::settle), or when this is dropped.
#[derive(Debug)]
pub struct Held {
    tally: Tally,
    records: u64,
}

impl Held {
    /// So many are held now; never fewer than before.
    pub fn grow_to(&mut self, records: u64) {
        let more = records.saturating_sub(self.records);
        if more > 0 {
            let mut numbers = self.tally.lock();
            numbers.received += more;
            numbers.in_flight += more;
            self.records = records;
        }
    }

    /// They are committed, with these fates.
    pub fn settle(mut self, fates: &FeedCounts) {
        let mut numbers = self.tally.lock();
        numbers.committed.add(fates);
        numbers.in_flight -= self.records;
        drop(numbers);
        self.records = 0;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut numbers = self.tally.lock();
        numbers.received -= self.records;
        numbers.in_flight -= self.records;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_settled_has_a_fate_and_what_is_given_up_was_never_received() {
        let before = FeedCounts { received: 5, stored: 4, duplicates: 1, ..FeedCounts::default() };
        let tally = Tally::since(before);
        let (mut kept, mut lost) = (tally.hold(), tally.hold());
        kept.grow_to(2);
        kept.grow_to(3);
        lost.grow_to(7);
        let now = tally.numbers();
        assert!(now.balance() && now.in_flight == 10 && now.received == 15, "{now:?}");
        kept.settle(&FeedCounts { received: 3, stored: 2, filtered: 1, ..FeedCounts::default() });
        let now = tally.numbers();
        assert!(now.balance() && now.in_flight == 7 && now.committed.stored == 6, "{now:?}");
        drop(lost);
        let now = tally.numbers();
        assert!(now.balance() && now.in_flight == 0 && now.received == 8, "{now:?}");
    }

    #[test]
    fn a_record_whose_fate_was_not_counted_unbalances_the_tally() {
        let tally = Tally::default();
        let mut held = tally.hold();
        held.grow_to(2);
        held.settle(&FeedCounts { received: 2, stored: 1, ..FeedCounts::default() });
        assert!(!tally.numbers().balance());
    }
}
