//! Sealing: events become a compressed body with a Bloom filter over their words.

use std::collections::HashSet;

use wf_model::{Event, Seq};

use super::line::{self, StoredEvent};
use super::query::Query;
use super::tokens::{HashesOfWords, bloom};
use super::words::Needle;
use crate::StoreError;

/// A full batch of at least this many events goes straight into blocks; fewer wait in the hot table for company.
pub const ENOUGH: usize = 1024;
/// Larger blocks compress no better and search slower.
const MOST: usize = 2048;
/// A block's lines, before compression: bounds what a search holds in memory.
const MOST_BYTES: usize = 8 << 20;
const LEVEL: i32 = 3;
/// A body that claims to be larger than this when unpacked is not ours.
const UNPACKED_LIMIT: usize = 64 << 20;

/// A block, ready to be inserted.
pub struct Sealed {
    pub first_seq: Seq,
    pub last_seq: Seq,
    pub first_at: i64,
    pub last_at: i64,
    pub n: usize,
    /// One entry a segment.
    pub bloom: Vec<Vec<u8>>,
    pub body: Vec<u8>,
}

/// Seals events, in order of sequence, into as few blocks as the bounds allow.
pub fn seal<'a>(events: impl ExactSizeIterator<Item = &'a Event>) -> Result<Vec<Sealed>, StoreError> {
    let total = events.len();
    let per_block = total.div_ceil(total.div_ceil(MOST).max(1));
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
        let at = event.occurred_at.millis();
        let block = open.get_or_insert_with(|| Sealed {
            first_seq: event.seq,
            last_seq: event.seq,
            first_at: at,
            last_at: at,
            n: 0,
            bloom: Vec::new(),
            body: Vec::new(),
        });
        block.last_seq = event.seq;
        block.first_at = block.first_at.min(at);
        block.last_at = block.last_at.max(at);
        block.n += 1;
        let full = block.n >= per_block;
        line::encode(event, &mut lines);
        line::index(event, &mut words);
        if full || lines.len() >= MOST_BYTES {
            finish(&mut open, &mut lines, &mut words)?;
        }
    }
    finish(&mut open, &mut lines, &mut words)?;
    Ok(blocks)
}

/// Seals events that were one block before into one block again; `None` when none are left.
pub fn seal_whole(events: &[Event]) -> Result<Option<Sealed>, StoreError> {
    let (Some(first), Some(last)) = (events.first(), events.last()) else { return Ok(None) };
    let (mut lines, mut words) = (Vec::with_capacity(events.len() * 768), HashesOfWords::default());
    for event in events {
        line::encode(event, &mut lines);
        line::index(event, &mut words);
    }
    let times = || events.iter().map(|e| e.occurred_at.millis());
    let mut compressor = zstd::bulk::Compressor::new(LEVEL).map_err(|e| StoreError::damaged("block", e))?;
    Ok(Some(Sealed {
        first_seq: first.seq,
        last_seq: last.seq,
        first_at: times().min().unwrap_or_default(),
        last_at: times().max().unwrap_or_default(),
        n: events.len(),
        bloom: bloom(&words),
        body: compressor.compress(&lines).map_err(|e| StoreError::damaged("block", e))?,
    }))
}

pub fn unpack(body: &[u8]) -> Result<Vec<u8>, StoreError> {
    let size = zstd::zstd_safe::get_frame_content_size(body).ok().flatten().unwrap_or(0) as usize;
    if size > UNPACKED_LIMIT {
        return Err(StoreError::damaged("block", "it claims to be too large"));
    }
    zstd::bulk::decompress(body, size).map_err(|e| StoreError::damaged("block", e))
}

/// The events of an unpacked block that match, newest first, below `before`, at most `limit`.
pub fn scan(lines: &[u8], query: &Query, before: Option<Seq>, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
    let mut hits = Vec::new();
    let mut take = |line: &[u8]| -> Result<bool, StoreError> {
        let event = line::decode(line)?;
        if before.is_none_or(|b| event.seq < b) && query.matches(&event) {
            hits.push(event);
        }
        Ok(hits.len() < limit)
    };
    match query.needle() {
        None => {
            for line in lines.rsplit(|b| *b == b'\n').filter(|l| !l.is_empty()) {
                if !take(line)? {
                    break;
                }
            }
        }
        Some(needle) => {
            let mut needle = Needle::new(&needle);
            for line in lines.rsplit(|b| *b == b'\n').filter(|l| !l.is_empty()) {
                if needle.may_stand_in(line) && !take(line)? {
                    break;
                }
            }
        }
    }
    Ok(hits)
}
