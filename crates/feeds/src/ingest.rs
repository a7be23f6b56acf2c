//! The state machine between frames and deliveries: dedup, cursor, epoch, counts, gaps, quarantine. Sans-I/O.
//!
//! Whatever it is fed, `received = stored + duplicates + quarantined + filtered + discarded` holds for the sum of its
//! deliveries, where *stored* are the events handed over.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use compact_str::CompactString;
use serde_json_borrow::Value as Json;
use sha2::{Digest, Sha256};
use tokio::sync::OwnedSemaphorePermit;
use wf_model::{Event, FeedCounts, FeedName, Fields, Gap, GapReason, Position, Quarantined, Raw, Timestamp};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::config::FeedConfig;
use crate::decode::{self, Opened, at, scalar, utf8};
use crate::mapping::{self, Mapping};
use crate::tally::{Held, Tally};

/// What is kept of input that could not be read.
const KEPT: usize = 64 << 10;
/// A stamp further in the future than this is not believed.
const SKEW: Duration = Duration::from_secs(300);

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
    fn new(feed: &FeedName, tally: &Tally) -> Self {
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
    /// Events stored lately, oldest first: identifier, content, when received. See [`content_hash`].
    pub recent: Vec<(String, u64, Timestamp)>,
    pub tally: Tally,
}

/// The state machine of one feed.
pub struct Ingest {
    feed: FeedName,
    config: Arc<FeedConfig>,
    mappings: Arc<[Mapping]>,
    position: Position,
    heard_at: Option<Timestamp>,
    seen: Seen,
    tally: Tally,
    pending: Delivery,
    /// The first event shed since the last delivery.
    shed_from: Option<Timestamp>,
}

impl Ingest {
    pub fn new(feed: FeedName, config: Arc<FeedConfig>, mappings: Arc<[Mapping]>, seed: Seed) -> Self {
        let mut seen = Seen::new(config.dedup.window, config.dedup.most);
        for (id, content, at) in seed.recent {
            seen.take(&id, content, at);
        }
        Self {
            pending: Delivery::new(&feed, &seed.tally),
            tally: seed.tally,
            feed,
            config,
            mappings,
            position: seed.position,
            heard_at: seed.heard_at,
            seen,
            shed_from: None,
        }
    }

    pub fn cursor(&self) -> Option<&str> {
        self.position.cursor.as_deref()
    }

    /// A connection stands. A feed that cannot replay missed what came while it was down.
    pub fn on_connected(&mut self, now: Timestamp) {
        if !self.config.resumes()
            && let Some(from) = self.heard_at
        {
            self.gap(from, now, GapReason::Disconnected, None);
        }
        self.heard_at = Some(now);
        self.pending.heard_at = now;
    }

    /// A frame came.
    pub fn on_frame(&mut self, now: Timestamp, frame: Bytes, pressure: Pressure) {
        self.read(now, frame, pressure);
        self.count();
    }

    fn count(&mut self) {
        self.pending.held.grow_to(self.pending.counts.received);
    }

    fn read(&mut self, now: Timestamp, frame: Bytes, pressure: Pressure) {
        let last_heard = self.heard_at.replace(now);
        self.pending.heard_at = now;
        let config = self.config.clone();
        if frame.len() > config.limits.frame {
            self.pending.counts.received += 1;
            let why = format!("the frame is {} bytes long; limits.frame allows {}", frame.len(), config.limits.frame);
            self.quarantine(now, &frame, why);
            self.step_past(&frame);
            return;
        }
        let opened = match decode::open(frame.clone(), &config.decode, &config.limits) {
            Ok(opened) => opened,
            Err(why) => {
                self.pending.counts.received += 1;
                self.quarantine(now, &frame, why);
                self.step_past(&frame);
                return;
            }
        };
        let Opened { text, records } = opened;
        // The frame's own document is needed for what the server says about itself; where the frame is the event, that
        // is parsed once.
        let whole = records.len() == 1 && records[0].raw.len() == text.len();
        let about_frame = config.resume.epoch.is_some()
            || config.resume.recovered.is_some()
            || config.resume.cursor.is_some()
            || !config.decode.ignore.is_empty();
        let parsed =
            (whole && records[0].json || !whole && about_frame).then(|| decode::parse(utf8(&text), &config.limits));
        if let Some(Ok(frame)) = &parsed {
            self.on_word_of_server(now, last_heard, frame);
            if config.decode.ignore.iter().any(|c| decode::holds(c, frame)) {
                self.pending.counts.received += 1;
                self.pending.counts.filtered += 1;
                self.move_cursor(None, Some(frame));
                return;
            }
        }
        if whole {
            let record = &records[0];
            match &parsed {
                Some(Ok(json)) => self.on_record(now, &record.raw, Some(json), pressure),
                Some(Err(why)) => {
                    self.pending.counts.received += 1;
                    self.quarantine(now, &record.raw, why.clone());
                }
                None => self.on_record(now, &record.raw, None, pressure),
            }
            return;
        }
        for record in &records {
            if record.json {
                match decode::parse(utf8(&record.raw), &config.limits) {
                    Ok(json) => self.on_record(now, &record.raw, Some(&json), pressure),
                    Err(why) => {
                        self.pending.counts.received += 1;
                        self.quarantine(now, &record.raw, why);
                    }
                }
            } else {
                self.on_record(now, &record.raw, None, pressure);
            }
        }
        if let Some(Ok(frame)) = &parsed {
            self.move_cursor(None, Some(frame));
        }
    }

    /// The stream broke three times at the same cursor, on something that cannot even be received. Steps over one place
    /// if the cursor is a number; `false` if it cannot.
    pub fn step_over_poison(&mut self, now: Timestamp, why: &str) -> bool {
        let Some(next) =
            self.position.cursor.as_deref().and_then(|c| c.parse::<u64>().ok()).and_then(|n| n.checked_add(1))
        else {
            return false;
        };
        self.pending.counts.received += 1;
        self.quarantine(now, &Bytes::new(), format!("a frame that cannot be received was stepped over: {why}"));
        let from = self.heard_at.unwrap_or(now);
        self.gap(from, now, GapReason::PoisonFrame, Some(1));
        self.set_cursor(next.to_string());
        self.count();
        true
    }

    /// A frame that could not be received, on a feed that cannot ask for it again.
    pub fn lost_frame(&mut self, now: Timestamp, why: &str) {
        self.pending.counts.received += 1;
        self.quarantine(now, &Bytes::new(), format!("a frame could not be received: {why}"));
        self.count();
    }

    /// Everything since the last call. `None` when nothing happened.
    pub fn take(&mut self) -> Option<Delivery> {
        if let Some(from) = self.shed_from.take() {
            let shed = self.pending.counts.discarded;
            self.gap(from, self.pending.heard_at, GapReason::Overload, Some(shed));
        }
        if self.pending.is_empty() {
            return None;
        }
        let heard_at = self.pending.heard_at;
        let mut delivery = std::mem::replace(&mut self.pending, Delivery::new(&self.feed, &self.tally));
        self.pending.heard_at = heard_at;
        delivery.counts.stored = delivery.events.len() as u64;
        Some(delivery)
    }

    /// What waits to be taken, in bytes.
    pub fn weight(&self) -> usize {
        self.pending.weight
    }

    fn on_word_of_server(&mut self, now: Timestamp, last_heard: Option<Timestamp>, frame: &Json) {
        let word = |pointer: &Option<String>| pointer.as_ref().and_then(|p| at(frame, p));
        let resume = self.config.clone();
        let resume = &resume.resume;
        if let Some(epoch) = word(&resume.epoch).and_then(scalar)
            && self.position.epoch.as_ref() != Some(&epoch)
        {
            if self.position.epoch.is_some() {
                self.gap(last_heard.unwrap_or(now), now, GapReason::EpochChanged, None);
                self.position.cursor = None;
            }
            self.position.epoch = Some(epoch);
            self.pending.position = Some(self.position.clone());
            return;
        }
        if word(&resume.recovered).and_then(Json::as_bool) == Some(false) && self.position.cursor.is_some() {
            self.gap(last_heard.unwrap_or(now), now, GapReason::NotRecovered, None);
            // What follows is numbered from somewhere else; a smaller cursor is not a step back.
            self.position.cursor = None;
        }
    }

    fn on_record(&mut self, now: Timestamp, raw: &Bytes, json: Option<&Json>, pressure: Pressure) {
        self.pending.counts.received += 1;
        if pressure == Pressure::Full {
            self.shed(now);
            return;
        }
        if let Some(json) = json
            && self.config.decode.ignore.iter().any(|c| decode::holds(c, json))
        {
            self.pending.counts.filtered += 1;
            self.move_cursor(Some(json), None);
            return;
        }
        let mapped = match mapping::apply(&self.mappings, utf8(raw), json, &self.config.limits, now) {
            Ok(mapped) => mapped,
            Err(why) => {
                self.quarantine(now, raw, why);
                self.move_cursor(json, None);
                return;
            }
        };
        if pressure == Pressure::High && !important(&mapped.fields) {
            self.shed(now);
            return;
        }
        let claimed = mapped.occurred_at;
        let skewed = claimed.is_some_and(|t| t > now + SKEW);
        let occurred_at = claimed.filter(|_| !skewed).unwrap_or(now);
        let id = json.and_then(|j| at(j, self.config.dedup.id.as_ref()?)).and_then(scalar);
        let Some(text) = Raw::new(raw.clone()) else { return };
        let event = Event {
            seq: wf_model::Seq(0),
            feed: self.feed.clone(),
            id: id.map(CompactString::from),
            occurred_at,
            received_at: now,
            skewed,
            conflict: false,
            fields: mapped.fields,
            raw: text,
        };
        self.pending.counts.received += u64::from(mapped.times.saturating_sub(1));
        for n in 1..mapped.times {
            let mut copy = event.clone();
            copy.id = event.id.as_ref().map(|id| compact_str::format_compact!("{id}#{n}"));
            self.admit(copy);
        }
        self.admit(event);
        self.move_cursor(json, None);
    }

    fn admit(&mut self, mut event: Event) {
        if let Some(id) = &event.id {
            match self.seen.take(id, content_hash(&event), event.received_at) {
                Sighting::New => {}
                Sighting::Duplicate => {
                    self.pending.counts.duplicates += 1;
                    return;
                }
                Sighting::Conflict => event.conflict = true,
            }
        }
        self.pending.weight += event.weight();
        self.pending.events.push(event);
    }

    fn shed(&mut self, now: Timestamp) {
        self.pending.counts.discarded += 1;
        self.shed_from.get_or_insert(now);
    }

    fn quarantine(&mut self, now: Timestamp, raw: &Bytes, error: String) {
        self.pending.counts.quarantined += 1;
        self.pending.weight += raw.len().min(KEPT) + 256;
        self.pending.quarantine.push(Quarantined {
            feed: self.feed.clone(),
            at: now,
            error,
            raw: raw[..raw.len().min(KEPT)].to_vec(),
            length: raw.len() as u64,
            sha256: Sha256::digest(raw).iter().map(|b| format!("{b:02x}")).collect(),
            cursor: self.position.cursor.clone(),
        });
    }

    fn gap(&mut self, from: Timestamp, to: Timestamp, reason: GapReason, estimated: Option<u64>) {
        self.pending.gaps.push(Gap { feed: self.feed.clone(), from, to: to.max(from), reason, estimated });
    }

    /// A frame that is no use may still say where it stood.
    fn step_past(&mut self, frame: &Bytes) {
        if self.config.resumes()
            && let Ok(text) = std::str::from_utf8(frame)
            && let Ok(json) = decode::parse(text, &self.config.limits)
        {
            self.move_cursor(None, Some(&json));
        }
    }

    fn move_cursor(&mut self, record: Option<&Json>, frame: Option<&Json>) {
        let Some(pointer) = &self.config.resume.cursor else { return };
        let found = record.and_then(|r| at(r, pointer)).or_else(|| frame.and_then(|f| at(f, pointer)));
        if let Some(cursor) = found.and_then(scalar) {
            self.set_cursor(cursor);
        }
    }

    fn set_cursor(&mut self, cursor: String) {
        let number = |c: &str| c.parse::<u64>().ok();
        // A cursor that goes back would make us read the same again for ever.
        if let (Some(old), Some(new)) = (self.position.cursor.as_deref().and_then(number), number(&cursor))
            && new <= old
        {
            return;
        }
        self.position.cursor = Some(cursor);
        self.pending.position = Some(self.position.clone());
    }
}

/// What is worth keeping when not everything can be kept.
fn important(fields: &Fields) -> bool {
    fields.get_str("event.outcome") == Some("failure")
        || fields.get_str("event.kind") == Some("alert")
        || fields
            .get_str("log.level")
            .is_some_and(|l| matches!(l, "warning" | "error" | "critical" | "alert" | "emergency"))
}

/// What makes two events with one identifier the same: their fields and their own time. Not the fields we add
/// ourselves, and not the order.
pub fn content_hash(event: &Event) -> u64 {
    // An event without a stamp of its own that was believed carries the moment of its receipt, which differs each time.
    let own_time = !event.skewed && event.occurred_at != event.received_at;
    let mut hash = if own_time { event.occurred_at.millis() as u64 } else { 0 };
    for (name, value) in event.fields.iter() {
        if !matches!(name, "watchfloor.incident" | "watchfloor.severity") {
            hash = hash.wrapping_add(xxh3_64(format!("{name}={value}").as_bytes()));
        }
    }
    hash
}

#[derive(Debug, PartialEq, Eq)]
enum Sighting {
    New,
    Duplicate,
    /// The identifier is known with other content (threat T14).
    Conflict,
}

/// Identifiers seen inside the window.
struct Seen {
    window: Duration,
    most: usize,
    content: HashMap<u128, u64>,
    order: VecDeque<(Timestamp, u128)>,
}

impl Seen {
    fn new(window: Duration, most: usize) -> Self {
        Self { window, most, content: HashMap::new(), order: VecDeque::new() }
    }

    fn take(&mut self, id: &str, content: u64, now: Timestamp) -> Sighting {
        while self.order.front().is_some_and(|(at, _)| *at + self.window < now || self.order.len() >= self.most.max(1))
        {
            if let Some((_, id)) = self.order.pop_front() {
                self.content.remove(&id);
            }
        }
        let id = xxh3_128(id.as_bytes());
        match self.content.get(&id) {
            Some(known) if *known == content => Sighting::Duplicate,
            Some(_) => Sighting::Conflict,
            None => {
                self.content.insert(id, content);
                self.order.push_back((now, id));
                Sighting::New
            }
        }
    }
}

#[cfg(test)]
#[path = "ingest_tests.rs"]
mod tests;
