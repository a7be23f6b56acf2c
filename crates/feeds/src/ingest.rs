//! The state machine between frames and deliveries: dedup, cursor, epoch, counts, gaps, quarantine. Sans-I/O.
//!
//! Whatever it is fed, `received = stored + duplicates + quarantined + filtered + discarded` holds for the sum of its
//! deliveries, where *stored* are the events handed over.
//!
//! `stamp` decides which time an event has, `dedup` what came before, `cursor` what is believed of a cursor, `attempts`
//! which of several lines about one attempt to log in counts.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use chrono_tz::Tz;
use compact_str::CompactString;
use serde_json_borrow::Value as Json;
use sha2::{Digest, Sha256};
use wf_model::{Event, FeedName, FieldName, Fields, Gap, GapReason, Position, Quarantined, Raw, Timestamp, Value};

use crate::config::FeedConfig;
use crate::decode::{self, Doc, Opened, Piece, Unparsed, at, scalar, utf8};
use crate::mapping::{self, Mapping, Reading, Sign};
use crate::tally::Tally;
use attempts::Attempts;
use cursor::Verdict;
use dedup::{Seen, Sighting};

pub use dedup::content_hash;
pub use delivery::{Delivery, Pressure, Seed};

mod attempts;
mod cursor;
mod dedup;
mod delivery;
mod stamp;

/// What is kept of input that could not be read.
const KEPT: usize = 64 << 10;
/// Records below this are copied out of their frame, which may itself be a slice of what was read from the socket.
const SMALL: usize = 64 << 10;

/// On a further word about an attempt to log in: the `event.action` it would have if it were the first.
const SAME_ATTEMPT: &str = "watchfloor.same_attempt";

static SAME_ATTEMPT_NAME: LazyLock<FieldName> = LazyLock::new(|| SAME_ATTEMPT.into());
static ACTION_NAME: LazyLock<FieldName> = LazyLock::new(|| "event.action".into());
static REPEAT_NAME: LazyLock<FieldName> = LazyLock::new(|| "watchfloor.repeat".into());

/// The state machine of one feed.
pub struct Ingest {
    feed: FeedName,
    config: Arc<FeedConfig>,
    mappings: Arc<[Mapping]>,
    /// Whether any of them reads text, so that what does not parse as JSON may still be a line.
    reads_text: bool,
    zone: Tz,
    /// How far back stamps are believed.
    oldest: Option<Duration>,
    position: Position,
    heard_at: Option<Timestamp>,
    seen: Seen,
    attempts: Attempts,
    tally: Tally,
    pending: Delivery,
    /// The first record shed since the last delivery, and how many.
    shed: Option<(Timestamp, u64)>,
    /// The last cursor was not believed, and a gap says so.
    doubted: bool,
}

/// What a record is.
enum Content<'j> {
    Json(&'j Json<'j>),
    Text,
    /// It begins as JSON does and is none: a line, or broken.
    Unparsed(Unparsed),
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
            reads_text: mappings.iter().any(Mapping::reads_text),
            mappings,
            zone: Tz::UTC,
            oldest: Some(stamp::OLDEST),
            position: seed.position,
            heard_at: seed.heard_at,
            seen,
            attempts: Attempts::default(),
            shed: None,
            doubted: false,
        }
    }

    /// The zone of stamps that name none.
    pub fn in_zone(mut self, zone: Tz) -> Self {
        self.zone = zone;
        self
    }

    /// How far back stamps are believed, for a feed that hands over history.
    pub fn back_to(mut self, oldest: Duration) -> Self {
        self.oldest = Some(oldest);
        self
    }

    /// For what was recorded at some time: stamps are believed however old they are.
    pub fn of_recorded_events(mut self) -> Self {
        self.oldest = None;
        self
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
        self.read(now, &frame, pressure);
        self.count();
    }

    fn count(&mut self) {
        self.pending.held.grow_to(self.pending.counts.received);
    }

    fn read(&mut self, now: Timestamp, frame: &Bytes, pressure: Pressure) {
        let last_heard = self.heard_at.replace(now);
        self.pending.heard_at = now;
        let config = self.config.clone();
        if frame.len() > config.limits.frame {
            let why = format!("the frame is {} bytes long; limits.frame allows {}", frame.len(), config.limits.frame);
            return self.on_refused_frame(now, frame, why);
        }
        let Opened { text, mut records } = match decode::open(frame, &config.decode) {
            Ok(opened) => opened,
            Err(why) => return self.on_refused_frame(now, frame, why),
        };
        if records.is_whole() {
            return self.on_whole(now, last_heard, &text, pressure, &mut records);
        }
        let document = records.are_in_a_document().then(|| Doc::Text(utf8(&text)));
        if let Some(document) = document {
            self.on_word_of_server(now, last_heard, document);
            if config.decode.ignore.iter().any(|c| document.holds(c)) {
                self.pending.counts.received += 1;
                self.pending.counts.filtered += 1;
                self.move_cursor(now, None, Some(document), false);
                return;
            }
        }
        for piece in records.by_ref().take(config.limits.events_per_frame) {
            self.on_piece(now, text.len(), piece, pressure);
        }
        // What is beyond the limit is not built, but it is counted, and there is a gap.
        let beyond = records.count_left();
        if beyond > 0 {
            self.pending.counts.received += beyond;
            self.shed(now, beyond);
        }
        if let Some(document) = document {
            self.move_cursor(now, None, Some(document), false);
        }
    }

    /// A frame that is one record: what the server says about itself is in that record.
    fn on_whole(
        &mut self,
        now: Timestamp,
        last_heard: Option<Timestamp>,
        text: &Bytes,
        pressure: Pressure,
        records: &mut decode::Records,
    ) {
        let Some(Piece::Record { raw, json: true }) = records.next() else {
            return self.on_record(now, text.len(), text, Content::Text, pressure);
        };
        match decode::parse(utf8(&raw), &self.config.clone().limits) {
            Ok(json) => {
                self.on_word_of_server(now, last_heard, Doc::Tree(&json));
                self.on_record(now, text.len(), &raw, Content::Json(&json), pressure);
            }
            Err(error) => self.on_record(now, text.len(), &raw, Content::Unparsed(error), pressure),
        }
    }

    /// One of the records of a frame of `frame` bytes.
    fn on_piece(&mut self, now: Timestamp, frame: usize, piece: Piece, pressure: Pressure) {
        match piece {
            Piece::Record { raw, json: false } => self.on_record(now, frame, &raw, Content::Text, pressure),
            Piece::Record { raw, json: true } => match decode::parse(utf8(&raw), &self.config.clone().limits) {
                Ok(json) => self.on_record(now, frame, &raw, Content::Json(&json), pressure),
                Err(error) => self.on_record(now, frame, &raw, Content::Unparsed(error), pressure),
            },
            Piece::Broken { raw, why } => {
                self.pending.counts.received += 1;
                self.quarantine(now, &raw, why.to_owned());
            }
        }
    }

    /// A frame that cannot be cut into records. It is no use, but may still say where it stood.
    fn on_refused_frame(&mut self, now: Timestamp, frame: &Bytes, why: String) {
        self.pending.counts.received += 1;
        self.quarantine(now, frame, why);
        let config = self.config.clone();
        if let Some(pointer) = &config.resume.cursor
            && let Some(cursor) = decode::scalar_of_refused(frame, &config.decode, pointer)
        {
            self.set_cursor(now, cursor, false);
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
        self.set_cursor(now, next.to_string(), false);
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
        if let Some((from, shed)) = self.shed.take() {
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

    fn on_word_of_server(&mut self, now: Timestamp, last_heard: Option<Timestamp>, document: Doc) {
        let config = self.config.clone();
        let resume = &config.resume;
        if let Some(epoch) = resume.epoch.as_ref().and_then(|p| document.scalar(p))
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
        let recovered = resume.recovered.as_ref().and_then(|p| document.boolean(p));
        if recovered == Some(false) && self.position.cursor.is_some() {
            self.gap(last_heard.unwrap_or(now), now, GapReason::NotRecovered, None);
            // What follows is numbered from somewhere else; a smaller cursor is not a step back.
            self.position.cursor = None;
        }
    }

    fn on_record(&mut self, now: Timestamp, frame: usize, raw: &Bytes, content: Content, pressure: Pressure) {
        self.pending.counts.received += 1;
        let json = match &content {
            Content::Json(json) => Some(*json),
            Content::Text => None,
            Content::Unparsed(error) => {
                if !self.reads_text || matches!(error, Unparsed::TooDeep(_)) {
                    return self.quarantine(now, raw, error.to_string());
                }
                None
            }
        };
        let document = json.map(Doc::Tree);
        if document.is_some_and(|d| self.config.decode.ignore.iter().any(|c| d.holds(c))) {
            self.pending.counts.filtered += 1;
            return self.move_cursor(now, document, None, false);
        }
        if pressure == Pressure::Full {
            return self.shed(now, 1);
        }
        let reading = Reading { limits: &self.config.limits, now, zone: self.zone };
        let mut mapped = match mapping::apply(&self.mappings, utf8(raw), json, reading) {
            Ok(mapped) => mapped,
            Err(why) => {
                let why = match content {
                    Content::Unparsed(error) => format!("{error}; {why}"),
                    Content::Json(_) | Content::Text => why,
                };
                self.quarantine(now, raw, why);
                return self.move_cursor(now, document, None, false);
            }
        };
        if pressure == Pressure::High && !important(&mapped.fields) {
            return self.shed(now, 1);
        }
        let stamp = stamp::settle(mapped.occurred_at, now, self.oldest, &mut mapped.fields);
        let id = json.and_then(|j| at(j, self.config.dedup.id.as_ref()?)).and_then(scalar);
        let Some(text) = Raw::new(unpinned(raw, frame)) else { return };
        // A copy holds itself alone, a slice its whole frame.
        let pinned = if is_copied(raw.len(), frame) { raw.len() } else { frame };
        self.pending.weight += pinned.saturating_sub(raw.len());
        let event = Event {
            seq: wf_model::Seq(0),
            feed: self.feed.clone(),
            id: id.map(CompactString::from),
            occurred_at: stamp.occurred_at,
            received_at: now,
            skewed: stamp.skewed,
            conflict: false,
            fields: mapped.fields,
            raw: text,
        };
        self.pending.counts.received += u64::from(mapped.times.saturating_sub(1));
        for n in 1..mapped.times {
            // The text is kept once, with the event that is written last.
            let mut copy = Event { raw: Raw::default(), ..event.clone() };
            copy.id = event.id.as_ref().map(|id| compact_str::format_compact!("{id}#{n}"));
            copy.fields.set(REPEAT_NAME.clone(), Value::Int(n.into()));
            self.admit(copy, mapped.sign.as_ref());
        }
        self.admit(event, mapped.sign.as_ref());
        self.move_cursor(now, document, None, stamp.skewed);
    }

    fn admit(&mut self, mut event: Event, sign: Option<&Sign>) {
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
        if let Some(sign) = sign
            && !self.attempts.is_first(sign.of, &event.fields, event.received_at)
        {
            let own = event.fields.get("event.action").cloned().unwrap_or(Value::Bool(false));
            event.fields.set(SAME_ATTEMPT_NAME.clone(), own);
            event.fields.set(ACTION_NAME.clone(), Value::Str(sign.told.clone()));
        }
        self.pending.weight += event.weight();
        self.pending.events.push(event);
    }

    fn shed(&mut self, now: Timestamp, records: u64) {
        self.pending.counts.discarded += records;
        self.shed.get_or_insert((now, 0)).1 += records;
    }

    fn quarantine(&mut self, now: Timestamp, raw: &Bytes, error: String) {
        self.pending.counts.quarantined += 1;
        self.pending.weight += raw.len().min(KEPT) + error.len() + 256;
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

    fn move_cursor(&mut self, now: Timestamp, record: Option<Doc>, frame: Option<Doc>, skewed: bool) {
        let Some(pointer) = &self.config.resume.cursor else { return };
        let found = record.and_then(|r| r.scalar(pointer)).or_else(|| frame.and_then(|f| f.scalar(pointer)));
        if let Some(cursor) = found {
            self.set_cursor(now, cursor, skewed);
        }
    }

    fn set_cursor(&mut self, now: Timestamp, cursor: String, skewed: bool) {
        match cursor::judge(self.cursor(), &cursor, now, skewed) {
            Verdict::Behind => {}
            Verdict::Believed => {
                self.doubted = false;
                self.position.cursor = Some(cursor);
                self.pending.position = Some(self.position.clone());
            }
            Verdict::Doubted => {
                // Said once, until one is believed again: the next connection begins at the last one that was.
                if !std::mem::replace(&mut self.doubted, true) {
                    self.gap(now, now, GapReason::NotRecovered, None);
                }
            }
        }
    }
}

/// Whether a record of `record` bytes is copied out of its frame of `frame` bytes, so as not to keep that in memory.
fn is_copied(record: usize, frame: usize) -> bool {
    record < SMALL || record < frame / 2
}

fn unpinned(raw: &Bytes, frame: usize) -> Bytes {
    if is_copied(raw.len(), frame) { Bytes::copy_from_slice(raw) } else { raw.clone() }
}

/// What is worth keeping when not everything can be kept.
fn important(fields: &Fields) -> bool {
    fields.get_str("event.outcome") == Some("failure")
        || fields.get_str("event.kind") == Some("alert")
        || fields
            .get_str("log.level")
            .is_some_and(|l| matches!(l, "warning" | "error" | "critical" | "alert" | "emergency"))
}

#[cfg(test)]
#[path = "ingest_tests.rs"]
mod tests;
