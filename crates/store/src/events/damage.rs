//! What cannot be read, and was stepped over.

use std::fmt;

use wf_model::Seq;

use super::line;

/// Stored events that cannot be read. Everything else goes on; whoever asked is told, because what they got is not all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// They are among the events from this one …
    pub first: Seq,
    /// … to this one: one alone, or a whole block.
    pub last: Seq,
    pub reason: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "event {} cannot be read: {}", self.first.0, self.reason)
        } else {
            write!(f, "events {} to {} cannot be read: {}", self.first.0, self.last.0, self.reason)
        }
    }
}

/// The numbers a block covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub first: i64,
    pub last: i64,
}

impl Damage {
    pub(super) fn block(span: Span, reason: impl ToString) -> Self {
        Self { first: Seq(span.first as u64), last: Seq(span.last as u64), reason: reason.to_string() }
    }

    pub(super) fn event(seq: i64, reason: impl ToString) -> Self {
        Self::block(Span { first: seq, last: seq }, reason)
    }

    /// A line of a block: where it still tells its number, that event alone.
    pub(super) fn line(text: &[u8], span: Span, reason: impl ToString) -> Self {
        let known = line::number(text).map(|s| s.0 as i64).filter(|s| (span.first..=span.last).contains(s));
        known.map_or_else(|| Self::block(span, reason.to_string()), |seq| Self::event(seq, reason.to_string()))
    }
}
