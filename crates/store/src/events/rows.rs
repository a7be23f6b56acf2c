//! The rows of blocks: the body, what is asked of it apart from the body, and its filter, always changed together.

use sqlx::{Sqlite, Transaction};
use wf_model::{Seq, Timestamp};

use super::block::{Resealed, Sealed};
use super::damage::Span;
use super::{groups, tokens};
use crate::{Store, StoreError};

/// A sealed block, as retention sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockInfo {
    pub first: Seq,
    pub last: Seq,
    pub n: u64,
    pub first_at: Timestamp,
    pub last_at: Timestamp,
}

impl BlockInfo {
    pub(super) fn span(&self) -> Span {
        Span { first: self.first.0 as i64, last: self.last.0 as i64 }
    }
}

/// Blocks listed at a time.
const PAGE: i64 = 256;

/// What reading one body gave.
pub(super) enum Body {
    Whole(Vec<u8>),
    /// Retention may have taken it since it was listed.
    Gone,
    Unreadable(String),
}

impl Store {
    /// Sealed blocks after `after` whose newest event is older than `before`, in order; a page of them.
    pub async fn blocks(&self, after: Seq, before: Timestamp, with_raw: bool) -> Result<Vec<BlockInfo>, StoreError> {
        let (after, before) = (after.0 as i64, before.millis());
        let rows = sqlx::query!(
            r#"SELECT first_seq AS "first_seq!: i64", last_seq, n, first_at, last_at FROM block_meta
               WHERE first_seq > ? AND last_at < ? AND (? = 0 OR raw_gone = 0) ORDER BY first_seq LIMIT ?"#,
            after,
            before,
            with_raw,
            PAGE
        )
        .fetch_all(&self.readers)
        .await?;
        Ok(rows
            .into_iter()
            .map(|r| BlockInfo {
                first: Seq(r.first_seq as u64),
                last: Seq(r.last_seq as u64),
                n: r.n as u64,
                first_at: Timestamp::from_millis(r.first_at),
                last_at: Timestamp::from_millis(r.last_at),
            })
            .collect())
    }

    /// The numbers of the block that begins with this one.
    pub(super) async fn span(&self, first: Seq) -> Result<Option<Span>, StoreError> {
        let first = first.0 as i64;
        let last = sqlx::query_scalar!("SELECT last_seq FROM block_meta WHERE first_seq = ?", first)
            .fetch_optional(&self.readers)
            .await?;
        Ok(last.map(|last| Span { first, last }))
    }

    /// The first block with a number of at least `seq` in it.
    pub(super) async fn span_from(&self, seq: i64) -> Result<Option<Span>, StoreError> {
        let row = sqlx::query!(
            r#"SELECT first_seq AS "first_seq!: i64", last_seq FROM block_meta
               WHERE first_seq >= coalesce((SELECT max(first_seq) FROM block_meta WHERE first_seq <= ?1), 0)
                 AND last_seq >= ?1 ORDER BY first_seq LIMIT 1"#,
            seq
        )
        .fetch_optional(&self.readers)
        .await?;
        Ok(row.map(|r| Span { first: r.first_seq, last: r.last_seq }))
    }

    /// # Errors
    /// What every other block would meet as well. A body that cannot be read is no error.
    pub(super) async fn body(&self, span: Span) -> Result<Body, StoreError> {
        let body = sqlx::query_scalar!("SELECT body FROM block WHERE first_seq = ?", span.first)
            .fetch_optional(&self.readers)
            .await;
        match body {
            Ok(Some(body)) => Ok(Body::Whole(body)),
            Ok(None) => Ok(Body::Gone),
            Err(e) => StoreError::from(e).of_one_row().map(Body::Unreadable),
        }
    }
}

pub(super) async fn insert(tx: &mut Transaction<'_, Sqlite>, b: &Sealed) -> Result<(), sqlx::Error> {
    let (first, last, n) = (b.first_seq.0 as i64, b.last_seq.0 as i64, b.n as i64);
    sqlx::query!(
        "INSERT INTO block (first_seq, last_seq, first_at, last_at, n, body) VALUES (?, ?, ?, ?, ?, ?)",
        first,
        last,
        b.first_at,
        b.last_at,
        n,
        b.body
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(
        "INSERT INTO block_meta (first_seq, last_seq, first_at, last_at, newest_at, received_at, n, raw_gone)
         VALUES (?1, ?2, ?3, ?4, max(?4, coalesce((SELECT newest_at FROM block_meta
           WHERE first_seq = (SELECT max(first_seq) FROM block_meta)), ?4)), ?5, ?6, 0)",
        first,
        last,
        b.first_at,
        b.last_at,
        b.received_at,
        n
    )
    .execute(&mut **tx)
    .await?;
    filter(tx, first, &b.bloom).await
}

/// What becomes of a block that was rewritten; `None`: nothing of it is left. `false`: it was gone already.
pub(super) async fn replace(
    tx: &mut Transaction<'_, Sqlite>,
    first: i64,
    new: Option<&Resealed>,
    raw_gone: bool,
) -> Result<bool, sqlx::Error> {
    let had =
        sqlx::query_scalar!("SELECT n FROM block_meta WHERE first_seq = ?", first).fetch_optional(&mut **tx).await?;
    let Some(had) = had else { return Ok(false) };
    let Some(new) = new else {
        remove(tx, first).await?;
        return Ok(true);
    };
    let n = new.n as i64;
    let gone = had - n;
    let (first_at, last_at) = new.times.unzip();
    sqlx::query!(
        "UPDATE block SET n = ?, first_at = coalesce(?, first_at), last_at = coalesce(?, last_at), body = ?
         WHERE first_seq = ?",
        n,
        first_at,
        last_at,
        new.body,
        first
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(
        "UPDATE block_meta SET n = ?, first_at = coalesce(?, first_at), last_at = coalesce(?, last_at),
           raw_gone = raw_gone OR ? WHERE first_seq = ?",
        n,
        first_at,
        last_at,
        raw_gone,
        first
    )
    .execute(&mut **tx)
    .await?;
    groups::leave(tx, first).await?;
    sqlx::query!("DELETE FROM bloom WHERE first_seq = ?", first).execute(&mut **tx).await?;
    filter(tx, first, &new.bloom).await?;
    fewer(tx, gone).await?;
    Ok(true)
}

/// Nothing of the words as they came in is left in it.
pub(super) async fn mark_raw_gone(tx: &mut Transaction<'_, Sqlite>, first: i64) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE block_meta SET raw_gone = 1 WHERE first_seq = ?", first).execute(&mut **tx).await?;
    Ok(())
}

/// Deletes a block; what is asked of it and its filter go with it.
pub(super) async fn remove(tx: &mut Transaction<'_, Sqlite>, first: i64) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE event_total SET n = n - coalesce((SELECT n FROM block_meta WHERE first_seq = ?), 0) WHERE id = 1",
        first
    )
    .execute(&mut **tx)
    .await?;
    groups::leave(tx, first).await?;
    sqlx::query!("DELETE FROM block WHERE first_seq = ?", first).execute(&mut **tx).await?;
    Ok(())
}

/// So many events were added, up to this number.
pub(super) async fn more(tx: &mut Transaction<'_, Sqlite>, n: usize, last: Seq) -> Result<(), sqlx::Error> {
    let (n, last) = (n as i64, last.0 as i64);
    sqlx::query!("UPDATE event_total SET n = n + ?, last_seq = max(last_seq, ?) WHERE id = 1", n, last)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// So many events are gone.
pub(super) async fn fewer(tx: &mut Transaction<'_, Sqlite>, n: i64) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE event_total SET n = n - ? WHERE id = 1", n).execute(&mut **tx).await?;
    Ok(())
}

async fn filter(tx: &mut Transaction<'_, Sqlite>, first: i64, bloom: &[Vec<u8>]) -> Result<(), sqlx::Error> {
    for (segment, bits) in bloom.iter().enumerate() {
        let segment = tokens::stored_as(segment);
        sqlx::query!("INSERT INTO bloom (segment, first_seq, bits) VALUES (?, ?, ?)", segment, first, bits)
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}
