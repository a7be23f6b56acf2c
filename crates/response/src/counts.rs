//! Sums of counts that end at the largest number the database can hold, and never wrap.

/// SQLite's integers are signed: beyond this a count would come back as another one.
const MOST: u64 = i64::MAX as u64;

pub(crate) fn sum(a: u64, b: u64) -> u64 {
    a.saturating_add(b).min(MOST)
}
