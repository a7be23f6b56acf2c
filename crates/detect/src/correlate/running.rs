//! One correlation at work: an event is read, put into its group, and what comes of it becomes a match.

use std::sync::Arc;

use compact_str::CompactString;
use wf_model::{Contribution, Event, FeedName, Match, Seq, Timestamp, Value};
use xxhash_rust::xxh3::xxh3_128;

use super::amount::{addend, told, whole};
use super::group::{Added, Condition, Entry, Group};
use super::table::{Key, Table};
use super::watermark::Mark;
use super::{CorrelationHealth, Limits, millis};
use crate::rules::{Correlation, Measure};
use crate::unread;

/// A match takes what follows it in its batch within this time. What comes later is a match of its own, so that whoever
/// folds matches sees how far apart they are, however events were batched.
const JOINED: std::time::Duration = std::time::Duration::from_secs(60);

/// Evidence kept in a match: this many of the first and of the last events.
const SAMPLE: usize = 5;
/// Values up to this long are compared as they are, longer ones by their beginning and a hash of the whole.
const LONG: usize = 256;

/// An event on its way into correlations.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    pub event: &'a Event,
    pub feed: &'a Arc<FeedName>,
    pub mark: Mark,
    pub now: Timestamp,
    pub horizon: i64,
    pub batch: u64,
}

pub(super) struct Running {
    pub rule: Correlation,
    pub groups: Table,
    /// Entries in all groups.
    pub held: usize,
    pub late: u64,
    incomplete: u64,
    clamped: u64,
    shed: u64,
    pub panics: u64,
}

/// What a correlation needs of an event.
struct Read {
    key: Key,
    amount: u64,
    value: Option<CompactString>,
    clamped: bool,
}

impl Running {
    pub fn new(rule: Correlation) -> Self {
        Self { rule, groups: Table::default(), held: 0, late: 0, incomplete: 0, clamped: 0, shed: 0, panics: 0 }
    }

    /// The rule was read anew and means the same.
    pub fn with_rule(self, rule: Correlation) -> Self {
        Self { rule, ..self }
    }

    pub fn condition(&self) -> Condition<'_> {
        condition(&self.rule)
    }

    pub fn count(&mut self, seen: Seen<'_>, detection: usize, limits: &Limits, out: &mut Vec<Match>) {
        let event = seen.event;
        let Some(read) = read(&self.rule, event, detection) else {
            self.incomplete += 1;
            return;
        };
        self.clamped += u64::from(read.clamped);
        let id = match self.groups.find(&read.key) {
            Some(id) => id,
            None => self.found(read.key, limits),
        };
        let condition = condition(&self.rule);
        let patience = condition.window + millis(limits.lateness);
        let group = self.groups.group(id);
        let slowest = group.reached(seen.mark, seen.now.millis(), patience);
        let others = self.held - group.len();
        group.forget(slowest.min(seen.horizon).saturating_sub(patience));
        // However full it is, a group keeps what it needs to reach the threshold: memory must not make us blind.
        let needed = usize::try_from(self.rule.least).unwrap_or(usize::MAX).clamp(64, limits.entries.max(64));
        while group.len() > 0
            && (group.len() >= limits.entries || (others + group.len() >= limits.total && group.len() > needed))
        {
            group.drop_oldest();
            self.shed += 1;
        }
        self.held = others + group.len() + 1;
        let entry = Entry {
            at: event.occurred_at.millis(),
            seq: event.seq,
            amount: read.amount,
            value: read.value.map(Box::new),
            reported: false,
            satisfied: false,
            feed: seen.feed.clone(),
        };
        let added = group.add(entry, condition);
        if !added.fresh.is_empty() {
            report(&self.rule, group, added, seen, out);
        }
        let near = group.value(condition.measure) * 2 >= condition.threshold;
        self.groups.touch(id, near);
    }

    /// A group as it was saved.
    pub fn take_up(&mut self, key: Key, group: Group) {
        if group.len() == 0 || self.groups.find(&key).is_some() {
            return;
        }
        self.held += group.len();
        let near = group.value(&self.rule.measure) * 2 >= self.rule.threshold;
        let id = self.groups.insert(key, group);
        self.groups.touch(id, near);
    }

    /// A new group, for which another makes room where there is none.
    fn found(&mut self, key: Key, limits: &Limits) -> u32 {
        while self.groups.len() >= limits.groups.max(1) {
            let Some(gone) = self.groups.evict(limits.groups) else { break };
            self.held -= gone.len();
            self.shed += 1;
        }
        self.groups.insert(key, Group::default())
    }

    /// Forgets what no window can reach any more.
    pub fn evict(&mut self, horizon: i64, now: Timestamp, limits: &Limits) {
        let patience = millis(self.rule.window) + millis(limits.lateness);
        let mut held = 0;
        self.groups.retain(|_, group| {
            group.forget(group.forgettable(horizon, now.millis(), patience).saturating_sub(patience));
            held += group.len();
            group.len() > 0
        });
        self.held = held;
    }

    /// Forgets everything about whom `about` says so.
    pub fn forget(&mut self, about: &dyn Fn(&str) -> bool) {
        let condition = condition(&self.rule);
        let mut held = 0;
        self.groups.retain(|key, group| {
            if key.iter().any(|k| about(k)) {
                return false;
            }
            let names = |e: &Entry| e.value.as_ref().is_some_and(|v| about(v));
            if group.entries().iter().any(names) {
                let old = std::mem::take(group);
                let state = old.state;
                *group = Group::rebuilt(old.into_entries().into_iter().filter(|e| !names(e)), state, condition);
            }
            held += group.len();
            group.len() > 0
        });
        self.held = held;
    }

    /// After a panic nothing in here is known to be whole.
    pub fn start_anew(&mut self) {
        self.groups = Table::default();
        self.held = 0;
        self.panics += 1;
    }

    pub fn health(&self) -> CorrelationHealth {
        CorrelationHealth {
            groups: self.groups.len(),
            entries: self.groups.iter().map(|(_, g)| g.len()).sum(),
            late: self.late,
            incomplete: self.incomplete,
            clamped: self.clamped,
            shed: self.shed,
        }
    }
}

fn condition(rule: &Correlation) -> Condition<'_> {
    Condition { measure: &rule.measure, window: millis(rule.window), threshold: rule.threshold }
}

/// Makes a match of what was newly reported, or adds it to the match that this batch has made of the group already.
fn report(rule: &Correlation, group: &mut Group, added: Added, seen: Seen<'_>, out: &mut Vec<Match>) {
    let Some(least) = rule.severity else { return };
    let Added { fresh, value, joined } = added;
    let event = seen.event;
    let (count, value) = match rule.measure {
        Measure::Sum(_) => {
            let untold = if joined { i128::from(group.state.untold) } else { 0 };
            let sum = untold + fresh.iter().map(|f| i128::from(f.amount)).sum::<i128>();
            let (count, rest) = told(sum);
            group.state.untold = rest;
            (count, whole(value))
        }
        Measure::Events | Measure::Distinct(_) => (fresh.len() as u64, u64::try_from(value).unwrap_or(u64::MAX)),
    };
    let risen = rule.about.rise.filter(|(above, _)| value > *above);
    let severity = risen.map_or(least, |(_, graver)| least.max(graver));
    if let Some((batch, i)) = group.growing
        && batch == seen.batch
        && joined
        && let Some(earlier) = out.get_mut(i)
        && event.occurred_at <= earlier.at + JOINED
    {
        earlier.first_at = fresh
            .iter()
            .map(|f| Timestamp::from_millis(f.at))
            .min()
            .map_or(earlier.first_at, |at| at.min(earlier.first_at));
        earlier.count = earlier.count.saturating_add(count);
        earlier.value = value;
        earlier.severity = earlier.severity.max(severity);
        earlier.at = earlier.at.max(event.occurred_at);
        earlier.events.extend(fresh.iter().map(|f| f.seq));
        sample(&mut earlier.events);
        if !earlier.feeds.contains(&event.feed) {
            earlier.feeds.push(event.feed.clone());
        }
        return;
    }
    group.growing = Some((seen.batch, out.len()));
    let mut events: Vec<_> = fresh.iter().map(|f| f.seq).collect();
    sample(&mut events);
    let mut feeds: Vec<FeedName> = Vec::new();
    for f in &fresh {
        if !feeds.contains(&*f.feed) {
            feeds.push((*f.feed).clone());
        }
    }
    let about = &rule.about;
    out.push(Match {
        rule: about.id.clone(),
        title: about.title.clone(),
        kind: about.kind.clone(),
        severity,
        entity: if rule.group_by.is_empty() && about.dedup.is_empty() { None } else { about.entity(event) },
        at: event.occurred_at,
        first_at: fresh.iter().map(|f| f.at).min().map_or(event.occurred_at, Timestamp::from_millis),
        count,
        value,
        contribution: if joined { Contribution::Grew } else { Contribution::Fired },
        message: about.message.render(event),
        actions: about.actions.clone(),
        events,
        feeds,
    });
}

/// `None` if a field is missing, or is no number where one is to be added up.
fn read(rule: &Correlation, event: &Event, detection: usize) -> Option<Read> {
    let mut key = Key::with_capacity(rule.group_by.len());
    for field in &rule.group_by {
        let name = field.by_detection.get(&detection).unwrap_or(&field.name);
        key.push(text(&*unread::value(event, name)?));
    }
    let mut read = Read { key, amount: 0, value: None, clamped: false };
    match &rule.measure {
        Measure::Events => {}
        Measure::Distinct(field) => read.value = Some(text(&*unread::value(event, field)?)),
        Measure::Sum(field) => {
            let addend = addend(&*unread::value(event, field)?)?;
            (read.amount, read.clamped) = (addend.micros, addend.clamped);
        }
    }
    Some(read)
}

/// A value as it is compared. What is beyond [`LONG`] stands in it as a hash, so that two values are the same only if
/// all of them is.
fn text(value: &Value) -> CompactString {
    match value {
        Value::Str(s) if s.len() <= LONG => s.clone(),
        other => {
            let whole = other.to_string();
            if whole.len() <= LONG {
                return whole.into();
            }
            let beginning = whole.floor_char_boundary(LONG - 40);
            compact_str::format_compact!("{}… #{:032x}", &whole[..beginning], xxh3_128(whole.as_bytes()))
        }
    }
}

fn sample(events: &mut Vec<Seq>) {
    if events.len() > 2 * SAMPLE {
        events.drain(SAMPLE..events.len() - SAMPLE);
    }
}
