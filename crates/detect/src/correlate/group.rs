//! One group's events in order of time, with the aggregates of a window over them that is moved and never recounted.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use wf_model::{FeedName, Seq};

use super::watermark::Mark;
use crate::rules::Measure;

/// There may be a million of these: everything in it is a number or one pointer wide, 48 bytes in all.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    pub at: i64,
    pub seq: Seq,
    /// What it adds to a sum, in millionths.
    pub amount: u64,
    /// What is counted as distinct.
    pub value: Option<Box<CompactString>>,
    pub reported: bool,
    /// The window that ends with it satisfied the condition, when it was last looked at. Counts for the last entry of
    /// a moment.
    pub satisfied: bool,
    pub feed: Arc<FeedName>,
}

/// What a group is besides its entries.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    /// The newest window satisfies the condition.
    pub firing: bool,
    /// So did the window of the moment before, and the newest window reaches back to that moment.
    pub continues: bool,
    /// Millionths of a sum that are reported and not yet told: a match tells whole numbers.
    pub untold: u32,
    /// The slowest source that adds to this group.
    reach: Option<Reach>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Reach {
    source: u64,
    watermark: i64,
    /// By our clock.
    heard: i64,
}

#[derive(Default)]
pub(super) struct Group {
    entries: VecDeque<Entry>,
    /// The window that `sum` and `distinct` are over. Between calls it is the newest: it ends with the last entry, and
    /// the entries before it are kept for late comers.
    head: usize,
    tail: usize,
    sum: i128,
    distinct: HashMap<CompactString, u32>,
    pub state: State,
    /// The match of this batch that later events of this batch add to.
    pub growing: Option<(u64, usize)>,
}

/// An entry that was not reported before.
pub(super) struct Fresh {
    pub at: i64,
    pub seq: Seq,
    pub amount: u64,
    pub feed: Arc<FeedName>,
}

/// What adding an event brought about.
pub(super) struct Added {
    /// Newly in a satisfied window, oldest first.
    pub fresh: Vec<Fresh>,
    /// The greatest measure over the satisfied windows that the event is in.
    pub value: i128,
    /// It goes on with something that had fired.
    pub joined: bool,
}

/// The condition, as a group needs it.
#[derive(Clone, Copy)]
pub(super) struct Condition<'a> {
    pub measure: &'a Measure,
    pub window: i64,
    pub threshold: i128,
}

impl Group {
    /// From what was saved. What changed in the meantime, an erasure for one, is taken into account.
    pub fn rebuilt(entries: impl IntoIterator<Item = Entry>, state: State, condition: Condition<'_>) -> Self {
        let mut group = Self { state, ..Self::default() };
        for entry in entries {
            group.push(entry, condition.window);
        }
        group.state.firing &= group.value(condition.measure) >= condition.threshold;
        group
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn entries(&self) -> &VecDeque<Entry> {
        &self.entries
    }

    pub fn into_entries(self) -> VecDeque<Entry> {
        self.entries
    }

    /// Puts an event where its time belongs and looks at every window that it is in.
    pub fn add(&mut self, entry: Entry, condition: Condition<'_>) -> Added {
        if self.entries.back().is_none_or(|last| last.at <= entry.at) {
            self.append(entry, condition)
        } else {
            self.insert(entry, condition)
        }
    }

    /// An event that is not older than the others: its window is the newest, and the only one it is in.
    fn append(&mut self, entry: Entry, condition: Condition<'_>) -> Added {
        let last = self.entries.back().map(|e| e.at);
        let same_moment = last == Some(entry.at);
        if !same_moment {
            // A window that shares no event with the one that fired is another firing, however close its value.
            self.state.continues =
                self.state.firing && last.is_some_and(|l| l > entry.at.saturating_sub(condition.window));
        }
        let joined = self.state.continues || (same_moment && self.state.firing);
        self.push(entry, condition.window);
        let value = self.value(condition.measure);
        self.state.firing = value >= condition.threshold;
        if let Some(newest) = self.entries.back_mut() {
            newest.satisfied = self.state.firing;
        }
        let fresh = if self.state.firing { self.report(joined) } else { Vec::new() };
        Added { fresh, value, joined }
    }

    fn push(&mut self, entry: Entry, window: i64) {
        let start = entry.at.saturating_sub(window);
        self.entries.push_back(entry);
        self.enter(self.tail);
        self.tail += 1;
        self.leave_until(start);
    }

    /// Marks the newest window reported and returns what was not before, oldest first. When it goes on with a firing,
    /// everything before the newest moment was reported already, so the walk back from the newest ends at once.
    fn report(&mut self, joined: bool) -> Vec<Fresh> {
        let mut fresh = Vec::new();
        for entry in self.entries.range_mut(self.head..self.tail).rev() {
            if entry.reported {
                if joined {
                    break;
                }
                continue;
            }
            fresh.push(entry.report());
        }
        fresh.reverse();
        fresh
    }

    /// An event that is older than others. The window is moved back to before the event and then forward again to the
    /// newest, so the work is in proportion to the entries in between.
    fn insert(&mut self, entry: Entry, condition: Condition<'_>) -> Added {
        let Condition { measure, window, threshold } = condition;
        let at = entry.at;
        let before = self.entries.partition_point(|e| e.at < at);
        let place = self.entries.partition_point(|e| e.at <= at);
        let last_of = |entries: &VecDeque<Entry>, end: usize| {
            end.checked_sub(1).and_then(|i| entries.get(i)).map(|e| (e.at, e.satisfied))
        };
        // The moment before, and whether its window is satisfied; then whether the event's own moment was.
        let mut last = last_of(&self.entries, before);
        let mut was_satisfied = before < place && last_of(&self.entries, place).is_some_and(|(_, was)| was);
        self.retreat(before, at.saturating_sub(window));
        self.entries.insert(place, entry);

        // A run is a row of satisfied windows that each reach back to the one before: one firing. What is new in it
        // joins that firing if a window of it was satisfied before this event came.
        let mut run = Run { old: last.is_some_and(|(_, satisfied)| satisfied), fresh: false };
        // What stands before this in a window was reported: all of a satisfied window is.
        let mut reported = if run.old { before } else { 0 };
        let (mut grew, mut fresh, mut best) = (false, Vec::new(), 0);
        while let Some(moment) = self.entries.get(self.tail).map(|e| e.at) {
            self.advance(moment, window);
            let value = self.value(measure);
            let satisfied = value >= threshold;
            if moment > at {
                was_satisfied = self.entries[self.tail - 1].satisfied;
            }
            let reaches_back = last.is_some_and(|(m, satisfied)| satisfied && m > moment.saturating_sub(window));
            if !satisfied || !reaches_back {
                grew |= run.old && run.fresh;
                run = Run::default();
            }
            if satisfied {
                run.old |= was_satisfied;
                if moment < at.saturating_add(window) {
                    best = value.max(best);
                    let known = fresh.len();
                    // A window that was satisfied before has nothing new but the event.
                    let unsure = if was_satisfied { place..place + 1 } else { self.head.max(reported)..self.tail };
                    fresh.extend(self.entries.range_mut(unsure).filter(|e| !e.reported).map(Entry::report));
                    run.fresh |= fresh.len() > known;
                    reported = self.tail;
                }
            }
            self.entries[self.tail - 1].satisfied = satisfied;
            self.state.firing = satisfied;
            self.state.continues = reaches_back;
            last = Some((moment, satisfied));
        }
        grew |= run.old && run.fresh;
        fresh.sort_by_key(|f| f.at);
        Added { fresh, value: best, joined: grew }
    }

    /// Moves the window back, to the one that ends before `end` and begins after `start`.
    fn retreat(&mut self, end: usize, start: i64) {
        while self.tail > end {
            self.tail -= 1;
            if self.tail >= self.head {
                self.leave(self.tail);
            }
        }
        self.head = self.head.min(self.tail);
        while self.head > 0 && self.entries[self.head - 1].at > start {
            self.head -= 1;
            self.enter(self.head);
        }
    }

    /// Moves the window forward by one moment.
    fn advance(&mut self, moment: i64, window: i64) {
        while self.entries.get(self.tail).is_some_and(|e| e.at == moment) {
            self.enter(self.tail);
            self.tail += 1;
        }
        self.leave_until(moment.saturating_sub(window));
    }

    fn leave_until(&mut self, start: i64) {
        while self.head < self.tail && self.entries[self.head].at <= start {
            self.leave(self.head);
            self.head += 1;
        }
    }

    fn enter(&mut self, i: usize) {
        let entry = &self.entries[i];
        self.sum += i128::from(entry.amount);
        if let Some(v) = &entry.value {
            *self.distinct.entry((**v).clone()).or_default() += 1;
        }
    }

    fn leave(&mut self, i: usize) {
        let entry = &self.entries[i];
        self.sum -= i128::from(entry.amount);
        if let Some(v) = &entry.value
            && let Some(n) = self.distinct.get_mut(&**v)
        {
            *n -= 1;
            if *n == 0 {
                self.distinct.remove(&**v);
            }
        }
    }

    /// The measure over the window: a number of events or values, or a sum in millionths.
    pub fn value(&self, measure: &Measure) -> i128 {
        match measure {
            Measure::Events => (self.tail - self.head) as i128,
            Measure::Distinct(_) => self.distinct.len() as i128,
            Measure::Sum(_) => self.sum,
        }
    }

    /// A source adds to this group. Returns how far the slowest one has come: what it may still add to is kept, even
    /// when another source of the same group is far ahead. A source that was not heard for `patience` does not count.
    pub fn reached(&mut self, mark: Mark, now: i64, patience: i64) -> i64 {
        match self.state.reach {
            Some(r)
                if r.source != mark.source
                    && r.watermark < mark.watermark
                    && now < r.heard.saturating_add(patience) =>
            {
                r.watermark
            }
            _ => {
                self.state.reach = Some(Reach { source: mark.source, watermark: mark.watermark, heard: now });
                mark.watermark
            }
        }
    }

    /// What the passing of time alone may forget up to: `horizon`, or less while a slower source is at work here.
    pub fn forgettable(&self, horizon: i64, now: i64, patience: i64) -> i64 {
        self.state
            .reach
            .filter(|r| now < r.heard.saturating_add(patience))
            .map_or(horizon, |r| r.watermark.min(horizon))
    }

    pub fn forget(&mut self, oldest: i64) {
        while self.entries.front().is_some_and(|e| e.at <= oldest) {
            self.drop_oldest();
        }
    }

    pub fn drop_oldest(&mut self) {
        if self.entries.is_empty() {
            return;
        }
        if self.head == 0 {
            self.leave(0);
        } else {
            self.head -= 1;
        }
        self.tail -= 1;
        self.entries.pop_front();
    }
}

#[derive(Clone, Copy, Default)]
struct Run {
    /// A window of it was satisfied before.
    old: bool,
    /// Something in it was reported just now.
    fresh: bool,
}

impl Entry {
    fn report(&mut self) -> Fresh {
        self.reported = true;
        Fresh { at: self.at, seq: self.seq, amount: self.amount, feed: self.feed.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_six_words() {
        assert_eq!(size_of::<Entry>(), 48);
    }

    #[test]
    fn an_event_out_of_order_in_a_full_group_costs_what_lies_between_and_not_the_square_of_the_window() {
        let measure = Measure::Distinct("x".into());
        let condition = Condition { measure: &measure, window: 1_000_000, threshold: 1 };
        let feed = Arc::new(FeedName::new("f"));
        let entry = |at: i64| Entry {
            at,
            seq: Seq(at as u64),
            amount: 0,
            value: Some(Box::new(compact_str::format_compact!("{}", at % 1000))),
            reported: false,
            satisfied: false,
            feed: feed.clone(),
        };
        let mut group = Group::default();
        for at in 0..10_000 {
            group.add(entry(at * 2), condition);
        }
        // Sorting each window of each of these was 10,000 times 10,000 steps an event.
        for late in 0..2_000 {
            let added = group.add(entry(19_000 + late % 900), condition);
            assert_eq!((added.fresh.len(), added.joined), (1, true));
        }
        assert_eq!(group.len(), 12_000);
    }
}
