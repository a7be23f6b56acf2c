//! Sealing: events become a compressed body with a Bloom filter over their words.

use std::collections::HashSet;

use wf_model::{Event, Fields, Seq, Value};

use super::damage::{Damage, Span};
use super::line::{self, StoredEvent};
use super::query::Query;
use super::tokens::{HashesOfWords, bloom};
use super::words::Needle;
use crate::StoreError;

/// A full batch of at least this many events goes straight into blocks; fewer wait in the hot table for company.
pub const ENOUGH: usize = 1024;
/// Lines of the hot table are sealed earlier when there is this much of them: they are in memory as well.
pub const HOT_BYTES: usize = 16 << 20;
const LEVEL: i32 = 3;

/// How large blocks become.
#[derive(Clone, Copy)]
struct Bounds {
    /// Larger blocks compress no better and search slower.
    events: usize,
    /// A block's lines, before compression: bounds what a search holds in memory. A longer line is a block of its
    /// own.
    bytes: usize,
    /// The longest line, and so the largest block. Of an event beyond it only the beginning is kept.
    line: usize,
}

/// A frame has at most 64 MiB, and escaping makes six of one byte: what a feed brings is well below the longest line.
const BOUNDS: Bounds = Bounds { events: 2048, bytes: 8 << 20, line: 1 << 30 };

/// A block, ready to be inserted.
#[derive(Debug)]
pub struct Sealed {
    pub first_seq: Seq,
    pub last_seq: Seq,
    pub first_at: i64,
    pub last_at: i64,
    /// When the last of its events was received.
    pub received_at: i64,
    pub n: usize,
    /// One entry a segment.
    pub bloom: Vec<Vec<u8>>,
    pub body: Vec<u8>,
}

/// What a block that exists becomes.
#[derive(Debug)]
pub struct Resealed {
    pub n: usize,
    /// The times of the first and the last event; `None` when not all of them are known.
    pub times: Option<(i64, i64)>,
    pub bloom: Vec<Vec<u8>>,
    pub body: Vec<u8>,
}

/// A line of a block that is written anew.
pub enum Entry {
    Event(Event),
    /// One that cannot be read stays as it is.
    Unreadable(Vec<u8>),
}

/// Seals events, in order of sequence, into as few blocks as the bounds allow.
pub fn seal<'a>(events: impl ExactSizeIterator<Item = &'a Event>) -> Result<Vec<Sealed>, StoreError> {
    seal_within(BOUNDS, events)
}

fn seal_within<'a>(
    bounds: Bounds,
    events: impl ExactSizeIterator<Item = &'a Event>,
) -> Result<Vec<Sealed>, StoreError> {
    let total = events.len();
    let per_block = total.div_ceil(total.div_ceil(bounds.events).max(1));
    let mut compressor = zstd::bulk::Compressor::new(LEVEL).map_err(|e| StoreError::damaged("block", e))?;
    let mut blocks = Vec::new();
    let mut lines = Vec::with_capacity(per_block * 768);
    let mut words: HashesOfWords = HashSet::with_capacity_and_hasher(per_block * 16, Default::default());
    let mut open: Option<Sealed> = None;
    let mut finish = |open: &mut Option<Sealed>, lines: &mut Vec<u8>, words: &mut HashesOfWords| {
        if let Some(mut block) = open.take() {
            block.body = compressor.compress(lines).map_err(|e| StoreError::damaged("block", e))?;
            block.bloom = bloom(words);
            blocks.push(block);
        }
        lines.clear();
        words.clear();
        Ok::<_, StoreError>(())
    };
    for event in events {
        let start = lines.len();
        let cut = append(event, bounds.line, &mut lines);
        if start > 0 && lines.len() > bounds.bytes {
            let line = lines.split_off(start);
            finish(&mut open, &mut lines, &mut words)?;
            lines = line;
        }
        line::index(cut.as_ref().unwrap_or(event), &mut words);
        let (at, received_at) = (event.occurred_at.millis(), event.received_at.millis());
        let block = open.get_or_insert_with(|| Sealed {
            first_seq: event.seq,
            last_seq: event.seq,
            first_at: at,
            last_at: at,
            received_at,
            n: 0,
            bloom: Vec::new(),
            body: Vec::new(),
        });
        block.last_seq = event.seq;
        block.first_at = block.first_at.min(at);
        block.last_at = block.last_at.max(at);
        block.received_at = block.received_at.max(received_at);
        block.n += 1;
        if block.n >= per_block || lines.len() >= bounds.bytes {
            finish(&mut open, &mut lines, &mut words)?;
        }
    }
    finish(&mut open, &mut lines, &mut words)?;
    Ok(blocks)
}

/// Appends the event's line. An event whose line would be longer than `limit` is cut, so that what is sealed can be
/// unpacked; gives what is left of it.
fn append(event: &Event, limit: usize, lines: &mut Vec<u8>) -> Option<Event> {
    let start = lines.len();
    line::encode(event, lines);
    if lines.len() - start <= limit {
        return None;
    }
    lines.truncate(start);
    // Escaped, this much is less than half of the limit.
    let most = limit / 16;
    let raw = event.raw.as_str();
    let end = (0..=most.min(raw.len())).rev().find(|i| raw.is_char_boundary(*i)).unwrap_or(0);
    let mut fields = Fields::with_capacity(1);
    fields.set("watchfloor.cut".into(), Value::Bool(true));
    let id = event.id.clone().filter(|id| id.len() <= most);
    let left = Event { id, fields, raw: raw[..end].into(), ..event.clone() };
    line::encode(&left, lines);
    Some(left)
}

/// Seals what was one block before into one block again; `None` when nothing is left.
pub fn reseal(entries: &[Entry]) -> Result<Option<Resealed>, StoreError> {
    if entries.is_empty() {
        return Ok(None);
    }
    let (mut lines, mut words) = (Vec::with_capacity(entries.len() * 768), HashesOfWords::default());
    let mut times = None;
    let mut all_known = true;
    for entry in entries {
        match entry {
            Entry::Event(event) => {
                let cut = append(event, BOUNDS.line, &mut lines);
                line::index(cut.as_ref().unwrap_or(event), &mut words);
                let at = event.occurred_at.millis();
                let (first, last) = times.unwrap_or((at, at));
                times = Some((at.min(first), at.max(last)));
            }
            Entry::Unreadable(line) => {
                lines.extend_from_slice(line);
                lines.push(b'\n');
                all_known = false;
            }
        }
    }
    if lines.len() > BOUNDS.line {
        return Err(StoreError::damaged("block", "written anew it would be too large to be read"));
    }
    let mut compressor = zstd::bulk::Compressor::new(LEVEL).map_err(|e| StoreError::damaged("block", e))?;
    Ok(Some(Resealed {
        n: entries.len(),
        times: times.filter(|_| all_known),
        bloom: bloom(&words),
        body: compressor.compress(&lines).map_err(|e| StoreError::damaged("block", e))?,
    }))
}

pub fn unpack(body: &[u8]) -> Result<Vec<u8>, StoreError> {
    unpack_within(BOUNDS, body)
}

fn unpack_within(bounds: Bounds, body: &[u8]) -> Result<Vec<u8>, StoreError> {
    let size = zstd::zstd_safe::get_frame_content_size(body).ok().flatten().unwrap_or(0) as usize;
    if size > bounds.line.max(bounds.bytes) {
        return Err(StoreError::damaged("block", "it claims to be larger than any block that is written"));
    }
    zstd::bulk::decompress(body, size).map_err(|e| StoreError::damaged("block", e))
}

/// The lines of an unpacked block, oldest first.
pub fn lines(unpacked: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    unpacked.split(|b| *b == b'\n').filter(|l| !l.is_empty())
}

/// What a look into a block found.
#[derive(Debug, Default)]
pub struct Scanned {
    /// Newest first.
    pub hits: Vec<StoredEvent>,
    pub damaged: Vec<Damage>,
}

/// The events of a block that match, newest first, below `before`, at most `limit`. What cannot be read is stepped
/// over.
pub fn scan(body: &[u8], span: Span, query: &Query, before: Option<Seq>, limit: usize) -> Scanned {
    match unpack(body) {
        Ok(unpacked) => scan_lines(&unpacked, span, query, before, limit),
        Err(e) => Scanned { hits: Vec::new(), damaged: vec![Damage::block(span, e)] },
    }
}

fn scan_lines(unpacked: &[u8], span: Span, query: &Query, before: Option<Seq>, limit: usize) -> Scanned {
    let mut scanned = Scanned::default();
    let mut take = |line: &[u8]| {
        match line::decode(line) {
            Ok(event) => {
                if before.is_none_or(|b| event.seq < b) && query.matches(&event) {
                    scanned.hits.push(event);
                }
            }
            Err(e) => scanned.damaged.push(Damage::line(line, span, e)),
        }
        scanned.hits.len() < limit
    };
    match query.needle() {
        None => {
            for line in lines(unpacked).rev() {
                if !take(line) {
                    break;
                }
            }
        }
        Some(needle) => {
            let mut needle = Needle::new(&needle);
            for line in lines(unpacked).rev() {
                if needle.may_stand_in(line) && !take(line) {
                    break;
                }
            }
        }
    }
    scanned
}

#[cfg(test)]
#[path = "block_tests.rs"]
mod tests;
