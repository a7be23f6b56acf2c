//! Where the fuzzer (`fuzz/`) comes in: lines, blocks and filters, without a database around them.

use wf_model::{Event, Seq};

use super::damage::Span;
use super::{Damage, Query, StoredEvent, block, line, tokens};
use crate::StoreError;

/// A block as it would be stored.
pub struct Block(block::Sealed);

/// The event's line, line feed included.
pub fn write(event: &Event) -> Vec<u8> {
    let mut out = Vec::new();
    line::encode(event, &mut out);
    out
}

pub fn read(line: &[u8]) -> Result<StoredEvent, StoreError> {
    line::decode(line)
}

pub fn seal(events: &[Event]) -> Result<Vec<Block>, StoreError> {
    Ok(block::seal(events.iter())?.into_iter().map(Block).collect())
}

/// The events of a block's body, oldest first.
pub fn unpack(body: &[u8]) -> Result<Vec<StoredEvent>, StoreError> {
    let unpacked = block::unpack(body)?;
    block::lines(&unpacked).map(line::decode).collect()
}

impl Block {
    pub fn body(&self) -> &[u8] {
        &self.0.body
    }

    /// The first and the last number, and how many events it says it holds.
    pub fn covers(&self) -> (Seq, Seq, usize) {
        (self.0.first_seq, self.0.last_seq, self.0.n)
    }

    /// As a search goes: the filter is asked, then the body. Newest first.
    pub fn search(&self, query: &Query) -> (Vec<StoredEvent>, Vec<Damage>) {
        let denied = query.required().into_iter().any(|required| {
            let mut segments = required.segments().filter_map(|s| self.segment(s));
            segments.any(|bits| !tokens::may_hold(bits, required.hash()))
        });
        if denied {
            return (Vec::new(), Vec::new());
        }
        let span = Span { first: self.0.first_seq.0 as i64, last: self.0.last_seq.0 as i64 };
        let scanned = block::scan(&self.0.body, span, query, None, usize::MAX);
        (scanned.hits, scanned.damaged)
    }

    fn segment(&self, stored_as: i64) -> Option<&[u8]> {
        let n = (0..self.0.bloom.len()).find(|n| tokens::stored_as(*n) == stored_as)?;
        self.0.bloom.get(n).map(Vec::as_slice)
    }
}
