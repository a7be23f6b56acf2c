//! Counting over windows of event time.
//!
//! A window is `(t-w, t]` for the time `t` of each counted event. The condition is looked at for every window that a
//! new event is in; when it becomes true the correlation *fires*, once, and while it stays true further events make it
//! *grow*. It can fire again after a window that is below the threshold, and in a window that shares no event with the
//! one before: between the two it was below. An event is reported once: the sum of all counts is the number of events
//! that lie in some satisfied window, whatever order they came in.
//!
//! Order: events up to [`Limits::lateness`] behind their source are put where they belong; later ones are counted as
//! late and not used. How far a source has come is kept by `watermark`, for each host of each feed, so that one that
//! replays an hour does not lose that hour because another is live, and one whose clock is ahead makes no other late.
//!
//! Bounds: entries in a group, groups in a correlation (`table` says which give way). What is shed is counted and
//! shown. `group` holds the events of one group, `running` one correlation.

mod amount;
mod group;
mod running;
mod table;
mod watermark;

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wf_model::{Event, FeedName, Match, Timestamp};

use crate::rules::RuleSet;
use group::{Entry, Group, State};
use running::{Running, Seen};
use table::{Key, Table};
use watermark::Watermarks;

pub(crate) use watermark::{Mark, SavedFeed};

/// How much is remembered, and how late an event may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How far behind its source an event may be. No less than a stamp may be ahead of time and still be believed
    /// (five minutes): a host whose clock is wrong is put up with in both directions alike.
    pub lateness: Duration,
    /// How long a feed that resumes where it stopped may be away before its windows are forgotten.
    pub away: Duration,
    /// Groups (addresses, users) a correlation remembers; one that is far from its threshold and was touched longest
    /// ago makes room.
    pub groups: usize,
    /// Events a group remembers; the oldest make room.
    pub entries: usize,
    /// Events a correlation remembers over all groups; beyond it a group gives up its oldest for
    /// its newest, but never what it needs to reach the threshold.
    pub total: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            lateness: Duration::from_secs(300),
            away: Duration::from_secs(86_400),
            groups: 100_000,
            entries: 10_000,
            total: 250_000,
        }
    }
}

/// What a correlation holds and what it had to let go.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CorrelationHealth {
    pub groups: usize,
    pub entries: usize,
    /// Events too late to be counted.
    pub late: u64,
    /// Events without a group-by field, or without the field to be counted.
    pub incomplete: u64,
    /// Events whose value was beyond all measure and went into a sum as the greatest we believe.
    pub clamped: u64,
    /// Entries or groups given up to stay inside the limits.
    pub shed: u64,
}

/// One correlation's memory, as kept over a restart.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Saved {
    id: String,
    fingerprint: u64,
    groups: Vec<(Key, Vec<Entry>, State)>,
}

/// As [`Saved`], on its way out.
#[derive(Serialize)]
pub(crate) struct Saving<'a> {
    id: &'a str,
    fingerprint: u64,
    groups: Groups<'a>,
}

struct Groups<'a>(&'a Table);

impl Serialize for Groups<'_> {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(self.0.iter().map(|(key, g)| (key, g.entries(), g.state)))
    }
}

pub(crate) struct Correlator {
    limits: Limits,
    running: Vec<Running>,
    /// For each detection, the correlations that count it.
    by_detection: Vec<Vec<usize>>,
    watermarks: Watermarks,
    /// The names that entries share.
    names: HashMap<FeedName, Arc<FeedName>>,
    batch: u64,
    chosen: Vec<(usize, usize)>,
}

impl Correlator {
    pub fn new(rules: &RuleSet, limits: Limits) -> Self {
        let mut new = Self {
            limits,
            running: Vec::new(),
            by_detection: Vec::new(),
            watermarks: Watermarks::default(),
            names: HashMap::new(),
            batch: 0,
            chosen: Vec::new(),
        };
        new.replace(rules);
        new
    }

    pub fn replace(&mut self, rules: &RuleSet) {
        let mut old: HashMap<_, _> =
            self.running.drain(..).map(|r| ((r.rule.about.id.clone(), r.rule.fingerprint), r)).collect();
        self.by_detection = vec![Vec::new(); rules.detections.len()];
        for (i, rule) in rules.correlations.iter().enumerate() {
            for &d in &rule.over {
                self.by_detection[d].push(i);
            }
            self.running.push(match old.remove(&(rule.about.id.clone(), rule.fingerprint)) {
                Some(kept) => kept.with_rule(rule.clone()),
                None => Running::new(rule.clone()),
            });
        }
    }

    pub fn set_resumable(&mut self, feeds: HashSet<FeedName>) {
        self.watermarks.set_resumable(feeds);
    }

    /// Every event passes here, counted or not: it tells how far its source has come.
    pub fn saw(&mut self, now: Timestamp, event: &Event) -> Mark {
        self.watermarks.saw(now, event)
    }

    /// A new batch begins: growth within one batch is reported as one match.
    pub fn begin_batch(&mut self) {
        self.batch += 1;
    }

    /// Counts an event that satisfied the detections `hits`.
    pub fn on_event(&mut self, now: Timestamp, event: &Event, mark: Mark, hits: &[usize], out: &mut Vec<Match>) {
        self.chosen.clear();
        for &d in hits {
            for &c in &self.by_detection[d] {
                if !self.chosen.iter().any(|(chosen, _)| *chosen == c) {
                    self.chosen.push((c, d));
                }
            }
        }
        if self.chosen.is_empty() {
            return;
        }
        let late = event.occurred_at.millis() < mark.watermark.saturating_sub(millis(self.limits.lateness));
        let feed = shared(&mut self.names, &event.feed);
        let horizon = self.watermarks.horizon(now, self.limits.away);
        let seen = Seen { event, feed: &feed, mark, now, horizon, batch: self.batch };
        for &(c, d) in &self.chosen {
            let running = &mut self.running[c];
            if late {
                running.late += 1;
                continue;
            }
            let limits = &self.limits;
            if catch_unwind(AssertUnwindSafe(|| running.count(seen, d, limits, out))).is_err() {
                running.start_anew();
                // Once: what does it to one event may do it to a million.
                if running.panics == 1 {
                    tracing::error!(rule = running.rule.about.id, seq = event.seq.0, "a correlation panicked");
                }
            }
        }
    }

    pub fn evict(&mut self, now: Timestamp) {
        self.watermarks.evict(now);
        let horizon = self.watermarks.horizon(now, self.limits.away);
        for running in &mut self.running {
            running.evict(horizon, now, &self.limits);
        }
    }

    /// Borrowed: at a high rate there are a million entries, and a copy of them would be most of the memory we use.
    pub fn save(&self) -> (Vec<Saving<'_>>, Vec<SavedFeed>) {
        let saved = self
            .running
            .iter()
            .map(|r| Saving { id: &r.rule.about.id, fingerprint: r.rule.fingerprint, groups: Groups(&r.groups) })
            .collect();
        (saved, self.watermarks.save())
    }

    pub fn restore(&mut self, saved: Vec<Saved>, feeds: Vec<SavedFeed>) {
        for s in saved {
            let Some(running) =
                self.running.iter_mut().find(|r| r.rule.about.id == s.id && r.rule.fingerprint == s.fingerprint)
            else {
                continue;
            };
            let names = &mut self.names;
            for (key, entries, state) in s.groups {
                let entries = entries.into_iter().map(|mut entry| {
                    entry.feed = shared(names, &entry.feed);
                    entry
                });
                let group = Group::rebuilt(entries, state, running.condition());
                running.take_up(key, group);
            }
        }
        self.watermarks.restore(feeds);
    }

    /// Forgets everything about whom `about` says so.
    pub fn forget(&mut self, about: &dyn Fn(&str) -> bool) {
        for running in &mut self.running {
            running.forget(about);
        }
    }

    pub fn health(&self) -> HashMap<String, (CorrelationHealth, u64)> {
        self.running.iter().map(|r| (r.rule.about.id.clone(), (r.health(), r.panics))).collect()
    }
}

/// One name for all entries of a feed.
fn shared(names: &mut HashMap<FeedName, Arc<FeedName>>, feed: &FeedName) -> Arc<FeedName> {
    match names.get(feed) {
        Some(name) => name.clone(),
        None => names.entry(feed.clone()).or_insert_with(|| Arc::new(feed.clone())).clone(),
    }
}

fn millis(d: Duration) -> i64 {
    i64::try_from(d.as_millis()).unwrap_or(i64::MAX / 4)
}
