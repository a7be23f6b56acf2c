//! Counting over windows of event time.
//!
//! A window is `(t-w, t]` for the time `t` of each counted event. The condition is looked at for every window that a
//! new event is in; when it becomes true the correlation *fires*, once, and while it stays true further events make it
//! *grow*. It can fire again after a window that is below the threshold. An event is reported once: the sum of all
//! counts is the number of events that lie in some satisfied window, whatever order they came in.
//!
//! Order: events up to [`Limits::lateness`] behind the newest of their feed are put where they belong; later ones are
//! counted as late and not used. Lateness is measured within a feed, so that one feed that replays an hour does not
//! lose that hour because another is live.
//!
//! Bounds: entries in a group, groups in a correlation. What is shed is counted and shown.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use wf_model::{Contribution, Event, FeedName, Match, Seq, Timestamp};

use crate::rules::{Correlation, Measure, RuleSet};

/// How much is remembered, and how late an event may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub lateness: Duration,
    /// Groups (addresses, users) a correlation remembers; the one touched longest ago makes room.
    pub groups: usize,
    /// Events a group remembers; the oldest make room.
    pub entries: usize,
    /// Events a correlation remembers over all groups; beyond it a group gives up its oldest for
    /// its newest, but never what it needs to reach the threshold.
    pub total: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { lateness: Duration::from_secs(120), groups: 100_000, entries: 10_000, total: 250_000 }
    }
}

/// A feed that has been silent this long no longer holds back forgetting.
const ACTIVE: Duration = Duration::from_secs(120);
/// Evidence kept in a match: this many of the first and of the last events.
const SAMPLE: usize = 5;

/// What a correlation holds and what it had to let go.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CorrelationHealth {
    pub groups: usize,
    pub entries: usize,
    /// Events too late to be counted.
    pub late: u64,
    /// Events without a group-by field, or without the field to be counted.
    pub incomplete: u64,
    /// Entries or groups given up to stay inside the limits.
    pub shed: u64,
}

/// There may be a million of these: everything in it is a number or one pointer wide, 48 bytes in all.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    at: i64,
    seq: Seq,
    /// What it adds to a sum.
    amount: u64,
    /// What is counted as distinct.
    value: Option<Box<CompactString>>,
    reported: bool,
    feed: Arc<FeedName>,
}

#[derive(Default)]
struct Group {
    /// In order of time. Those before `head` have left the newest window and are kept for late comers.
    entries: VecDeque<Entry>,
    head: usize,
    sum: u64,
    distinct: HashMap<CompactString, u32>,
    firing: bool,
    touched: i64,
    /// The match of this batch that later events of this batch add to.
    growing: Option<(u64, usize)>,
}

type Key = Vec<CompactString>;

struct Running {
    rule: Correlation,
    groups: HashMap<Key, Group>,
    /// Entries in all groups.
    held: usize,
    late: u64,
    incomplete: u64,
    shed: u64,
}

#[derive(Clone, Copy)]
struct FeedClock {
    newest: Timestamp,
    heard: Timestamp,
}

/// One correlation's memory, as kept over a restart.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Saved {
    id: String,
    fingerprint: u64,
    groups: Vec<(Key, Vec<Entry>, bool)>,
}

/// As [`Saved`], on its way out.
#[derive(Serialize)]
pub(crate) struct Saving<'a> {
    id: &'a str,
    fingerprint: u64,
    groups: Groups<'a>,
}

struct Groups<'a>(&'a HashMap<Key, Group>);

impl Serialize for Groups<'_> {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(self.0.iter().map(|(key, g)| (key, &g.entries, g.firing)))
    }
}

pub(crate) struct Correlator {
    limits: Limits,
    running: Vec<Running>,
    /// For each detection, the correlations that count it.
    by_detection: Vec<Vec<usize>>,
    feeds: HashMap<FeedName, FeedClock>,
    /// The names that entries share.
    names: HashMap<FeedName, Arc<FeedName>>,
    horizon: Timestamp,
    batch: u64,
    chosen: Vec<(usize, usize)>,
}

impl Correlator {
    pub fn new(rules: &RuleSet, limits: Limits) -> Self {
        let mut new = Self {
            limits,
            running: Vec::new(),
            by_detection: Vec::new(),
            feeds: HashMap::new(),
            names: HashMap::new(),
            horizon: Timestamp::EPOCH,
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
            let kept = old.remove(&(rule.about.id.clone(), rule.fingerprint));
            let (groups, late, incomplete, shed) =
                kept.map_or_else(Default::default, |r| (r.groups, r.late, r.incomplete, r.shed));
            let held = groups.values().map(|g: &Group| g.entries.len()).sum();
            self.running.push(Running { rule: rule.clone(), groups, held, late, incomplete, shed });
        }
    }

    /// Every event passes here, counted or not: it tells how far its feed has come.
    pub fn saw(&mut self, now: Timestamp, event: &Event) {
        match self.feeds.get_mut(&event.feed) {
            Some(clock) => {
                clock.newest = clock.newest.max(event.occurred_at);
                clock.heard = now;
            }
            None => {
                let clock = FeedClock { newest: event.occurred_at, heard: now };
                self.feeds.insert(event.feed.clone(), clock);
            }
        }
    }

    /// A new batch begins: growth within one batch is reported as one match.
    pub fn begin_batch(&mut self) {
        self.batch += 1;
    }

    /// Counts an event that satisfied the detections `hits`.
    pub fn on_event(&mut self, now: Timestamp, event: &Event, hits: &[usize], out: &mut Vec<Match>) {
        let newest = self.feeds.get(&event.feed).map_or(event.occurred_at, |c| c.newest);
        let late = event.occurred_at < newest - self.limits.lateness;
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
        self.horizon = self.horizon_at(now);
        let feed = shared(&mut self.names, &event.feed);
        for &(c, d) in &self.chosen {
            let running = &mut self.running[c];
            if late {
                running.late += 1;
            } else {
                running.count(event, &feed, d, self.horizon, self.limits, self.batch, out);
            }
        }
    }

    /// The moment that no feed which still speaks can go behind.
    fn horizon_at(&self, now: Timestamp) -> Timestamp {
        self.feeds.values().filter(|c| c.heard + ACTIVE >= now).map(|c| c.newest).min().unwrap_or(now)
    }

    pub fn evict(&mut self, now: Timestamp) {
        self.feeds.retain(|_, c| c.heard + Duration::from_secs(86_400) >= now);
        let horizon = self.horizon_at(now);
        for running in &mut self.running {
            let oldest = (horizon - running.rule.window - self.limits.lateness).millis();
            running.groups.retain(|_, group| {
                group.forget(oldest);
                !group.entries.is_empty()
            });
            running.held = running.groups.values().map(|g| g.entries.len()).sum();
        }
    }

    /// Borrowed: at a high rate there are a million entries, and a copy of them would be most of the memory we use.
    pub fn save(&self) -> (Vec<Saving<'_>>, Vec<(FeedName, Timestamp, Timestamp)>) {
        let saved = self
            .running
            .iter()
            .map(|r| Saving { id: &r.rule.about.id, fingerprint: r.rule.fingerprint, groups: Groups(&r.groups) })
            .collect();
        (saved, self.feeds.iter().map(|(f, c)| (f.clone(), c.newest, c.heard)).collect())
    }

    pub fn restore(&mut self, saved: Vec<Saved>, feeds: Vec<(FeedName, Timestamp, Timestamp)>) {
        for s in saved {
            let Some(running) =
                self.running.iter_mut().find(|r| r.rule.about.id == s.id && r.rule.fingerprint == s.fingerprint)
            else {
                continue;
            };
            let window = running.rule.window.as_millis() as i64;
            for (key, entries, firing) in s.groups {
                let mut group = Group { firing, ..Group::default() };
                for mut entry in entries {
                    entry.feed = shared(&mut self.names, &entry.feed);
                    group.push(entry, window);
                }
                running.held += group.entries.len();
                running.groups.insert(key, group);
            }
        }
        for (feed, newest, heard) in feeds {
            self.feeds.insert(feed, FeedClock { newest, heard });
        }
    }

    /// Forgets everything about whom `about` says so.
    pub fn forget(&mut self, about: &dyn Fn(&str) -> bool) {
        for running in &mut self.running {
            let window = running.rule.window.as_millis() as i64;
            running.groups.retain(|key, _| !key.iter().any(|k| about(k)));
            for group in running.groups.values_mut() {
                let names = |e: &Entry| e.value.as_ref().is_some_and(|v| about(v));
                if group.entries.iter().any(names) {
                    let old = std::mem::take(group);
                    group.firing = old.firing;
                    old.entries.into_iter().filter(|e| !names(e)).for_each(|e| {
                        group.push(e, window);
                    });
                }
            }
            running.held = running.groups.values().map(|g| g.entries.len()).sum();
        }
    }

    pub fn health(&self) -> HashMap<String, CorrelationHealth> {
        self.running
            .iter()
            .map(|r| {
                let health = CorrelationHealth {
                    groups: r.groups.len(),
                    entries: r.groups.values().map(|g| g.entries.len()).sum(),
                    late: r.late,
                    incomplete: r.incomplete,
                    shed: r.shed,
                };
                (r.rule.about.id.clone(), health)
            })
            .collect()
    }
}

/// One name for all entries of a feed.
fn shared(names: &mut HashMap<FeedName, Arc<FeedName>>, feed: &FeedName) -> Arc<FeedName> {
    match names.get(feed) {
        Some(name) => name.clone(),
        None => names.entry(feed.clone()).or_insert_with(|| Arc::new(feed.clone())).clone(),
    }
}

impl Running {
    #[expect(clippy::too_many_arguments, reason = "one event on its way into one correlation")]
    fn count(
        &mut self,
        event: &Event,
        feed: &Arc<FeedName>,
        detection: usize,
        horizon: Timestamp,
        limits: Limits,
        batch: u64,
        out: &mut Vec<Match>,
    ) {
        let Some((key, amount, value)) = self.read(event, detection) else {
            self.incomplete += 1;
            return;
        };
        if self.groups.len() >= limits.groups && !self.groups.contains_key(&key) {
            self.make_room();
        }
        let window = self.rule.window.as_millis() as i64;
        let group = self.groups.entry(key).or_default();
        group.touched = horizon.millis();
        let others = self.held - group.entries.len();
        group.forget((horizon - self.rule.window - limits.lateness).millis());
        // However full it is, a group keeps what it needs to reach the threshold: memory must not make us blind.
        let needed = usize::try_from(self.rule.least).unwrap_or(usize::MAX).clamp(64, limits.entries.max(64));
        while group.entries.len() >= limits.entries
            || (others + group.entries.len() >= limits.total && group.entries.len() > needed)
        {
            group.drop_oldest();
            self.shed += 1;
        }
        self.held = others + group.entries.len() + 1;
        let entry = Entry {
            at: event.occurred_at.millis(),
            seq: event.seq,
            amount,
            value: value.map(Box::new),
            reported: false,
            feed: feed.clone(),
        };
        let was_firing = group.firing;
        let (least, measure) = (self.rule.least, &self.rule.measure);
        let (fresh, value, joined) = if group.entries.back().is_none_or(|last| last.at <= entry.at) {
            group.push(entry, window);
            let value = group.value(measure);
            group.firing = value >= least;
            let fresh = if group.firing { group.report(was_firing) } else { Vec::new() };
            (fresh, value, was_firing)
        } else {
            group.insert_late(entry, window, measure, least)
        };
        if fresh.is_empty() {
            return;
        }
        let Some(severity) = self.rule.severity else { return };
        let count = match measure {
            Measure::Sum(_) => fresh.iter().map(|e| e.amount).sum(),
            Measure::Events | Measure::Distinct(_) => fresh.len() as u64,
        };
        if let Some((b, i)) = group.growing
            && b == batch
            && joined
            && let Some(earlier) = out.get_mut(i)
        {
            earlier.count += count;
            earlier.value = value;
            earlier.at = earlier.at.max(event.occurred_at);
            earlier.events.extend(fresh.iter().map(|e| e.seq));
            sample(&mut earlier.events);
            if !earlier.feeds.contains(&event.feed) {
                earlier.feeds.push(event.feed.clone());
            }
            return;
        }
        group.growing = Some((batch, out.len()));
        let mut events: Vec<_> = fresh.iter().map(|e| e.seq).collect();
        sample(&mut events);
        let mut feeds: Vec<FeedName> = Vec::new();
        for e in &fresh {
            if !feeds.contains(&*e.feed) {
                feeds.push((*e.feed).clone());
            }
        }
        let about = &self.rule.about;
        out.push(Match {
            rule: about.id.clone(),
            title: about.title.clone(),
            kind: about.kind.clone(),
            severity,
            entity: if self.rule.group_by.is_empty() && about.dedup.is_empty() { None } else { about.entity(event) },
            at: event.occurred_at,
            first_at: fresh.iter().map(|e| e.at).min().map_or(event.occurred_at, Timestamp::from_millis),
            count,
            value,
            contribution: if joined { Contribution::Grew } else { Contribution::Fired },
            message: about.message.render(event),
            actions: about.actions.clone(),
            events,
            feeds,
        });
    }

    /// The group, what it adds to a sum, and the value that is counted as distinct; `None` if a field is missing.
    fn read(&self, event: &Event, detection: usize) -> Option<(Key, u64, Option<CompactString>)> {
        let mut key = Key::with_capacity(self.rule.group_by.len());
        for field in &self.rule.group_by {
            let name = field.by_detection.get(&detection).unwrap_or(&field.name);
            key.push(text(event, name)?);
        }
        Some(match &self.rule.measure {
            Measure::Events => (key, 1, None),
            Measure::Distinct(field) => (key, 1, Some(text(event, field)?)),
            Measure::Sum(field) => {
                let n = event.fields.get(field)?.as_f64().filter(|n| *n > 0.0)?;
                (key, n as u64, None)
            }
        })
    }

    /// Gives up the group touched longest ago among a handful: near enough to the oldest of all, at no cost of order.
    fn make_room(&mut self) {
        let victim = self.groups.iter().take(16).min_by_key(|(_, g)| g.touched).map(|(k, _)| k.clone());
        if let Some(key) = victim {
            self.held -= self.groups.remove(&key).map_or(0, |g| g.entries.len());
            self.shed += 1;
        }
    }
}

fn text(event: &Event, field: &str) -> Option<CompactString> {
    use wf_model::Value;
    Some(match event.fields.get(field)? {
        Value::Str(s) if s.len() <= 256 => s.clone(),
        other => other.to_string().chars().take(256).collect(),
    })
}

fn sample(events: &mut Vec<Seq>) {
    if events.len() > 2 * SAMPLE {
        events.drain(SAMPLE..events.len() - SAMPLE);
    }
}

impl Group {
    fn push(&mut self, entry: Entry, window: i64) {
        let start = entry.at - window;
        self.enter(&entry);
        self.entries.push_back(entry);
        while self.entries[self.head].at <= start {
            self.leave(self.head);
            self.head += 1;
        }
    }

    fn enter(&mut self, entry: &Entry) {
        self.sum = self.sum.saturating_add(entry.amount);
        if let Some(v) = &entry.value {
            *self.distinct.entry((**v).clone()).or_default() += 1;
        }
    }

    fn leave(&mut self, i: usize) {
        let entry = &self.entries[i];
        self.sum = self.sum.saturating_sub(entry.amount);
        if let Some(v) = &entry.value
            && let Some(n) = self.distinct.get_mut(&**v)
        {
            *n -= 1;
            if *n == 0 {
                self.distinct.remove(&**v);
            }
        }
    }

    /// The measure over the newest window.
    fn value(&self, measure: &Measure) -> u64 {
        match measure {
            Measure::Events => (self.entries.len() - self.head) as u64,
            Measure::Distinct(_) => self.distinct.len() as u64,
            Measure::Sum(_) => self.sum,
        }
    }

    /// Marks the newest window reported and returns what was not before, oldest first. While it fires, everything but
    /// the newest event was reported already, so the walk back from the newest ends at once.
    fn report(&mut self, was_firing: bool) -> Vec<Entry> {
        let mut fresh = Vec::new();
        for i in (self.head..self.entries.len()).rev() {
            if self.entries[i].reported {
                if was_firing {
                    break;
                }
                continue;
            }
            self.entries[i].reported = true;
            fresh.push(self.entries[i].clone());
        }
        fresh.reverse();
        fresh
    }

    /// Puts an event where its time belongs and looks at every window it is in. Returns what is newly reported, the
    /// greatest measure seen, and whether it joins something that had fired.
    fn insert_late(&mut self, entry: Entry, window: i64, measure: &Measure, least: u64) -> (Vec<Entry>, u64, bool) {
        let at = entry.at;
        let place = self.entries.partition_point(|e| e.at <= at);
        let newest = self.entries.back().map_or(at, |e| e.at);
        if at <= newest - window {
            self.head += 1;
        } else {
            self.enter(&entry);
        }
        self.entries.insert(place, entry);
        let was_firing = self.firing;
        self.firing = self.value(measure) >= least;
        let (mut fresh, mut best, mut joined) = (Vec::new(), 0, was_firing);
        let mut start = self.entries.partition_point(|e| e.at <= at - window);
        for end in place..self.entries.len() {
            let to = self.entries[end].at;
            if to >= at + window {
                break;
            }
            // Several events of one moment are in the same window: look once, at the last of them.
            if self.entries.get(end + 1).is_some_and(|next| next.at == to) {
                continue;
            }
            while self.entries[start].at <= to - window {
                start += 1;
            }
            let value = self.value_of(start, end + 1, measure);
            if value >= least {
                best = best.max(value);
                joined |= (start..=end)
                    .any(|i| self.entries[i].reported && !fresh.iter().any(|f: &Entry| f.seq == self.entries[i].seq));
                for i in start..=end {
                    if !self.entries[i].reported {
                        self.entries[i].reported = true;
                        fresh.push(self.entries[i].clone());
                    }
                }
            }
        }
        (fresh, best, joined)
    }

    fn value_of(&self, from: usize, to: usize, measure: &Measure) -> u64 {
        match measure {
            Measure::Events => (to - from) as u64,
            Measure::Sum(_) => self.entries.range(from..to).fold(0, |n, e| n.saturating_add(e.amount)),
            Measure::Distinct(_) => {
                let mut values: Vec<_> = self.entries.range(from..to).filter_map(|e| e.value.as_ref()).collect();
                values.sort_unstable();
                values.dedup();
                values.len() as u64
            }
        }
    }

    fn forget(&mut self, oldest: i64) {
        while self.entries.front().is_some_and(|e| e.at <= oldest) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if self.head == 0 {
            if !self.entries.is_empty() {
                self.leave(0);
            }
        } else {
            self.head -= 1;
        }
        self.entries.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_six_words() {
        assert_eq!(size_of::<Entry>(), 48);
    }
}
