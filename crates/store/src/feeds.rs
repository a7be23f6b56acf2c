//! Feeds: position and counts, gaps, quarantine.

use sqlx::{Sqlite, Transaction};
use wf_model::{FeedCounts, FeedName, Gap, GapReason, Position, Quarantined, Timestamp};

use crate::{FeedProgress, Store, StoreError};

/// What is kept in quarantine, over all feeds; the oldest make room.
const QUARANTINE_ROWS: i64 = 10_000;
/// Gaps that are kept, over all feeds; the oldest make room.
const GAP_ROWS: i64 = 10_000;

/// A feed as committed.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredFeed {
    pub name: FeedName,
    pub position: Position,
    pub counts: FeedCounts,
    pub heard_at: Timestamp,
}

pub(crate) async fn write(
    tx: &mut Transaction<'_, Sqlite>,
    feeds: &[FeedProgress],
    gaps: &[Gap],
    quarantine: &[Quarantined],
) -> Result<(), sqlx::Error> {
    for f in feeds {
        let (name, heard) = (f.feed.as_str(), f.heard_at.millis());
        let c = f.counts;
        let (received, stored, duplicates) = (c.received as i64, c.stored as i64, c.duplicates as i64);
        let (quarantined, filtered, discarded) = (c.quarantined as i64, c.filtered as i64, c.discarded as i64);
        sqlx::query!(
            "INSERT INTO feed (name, received, stored, duplicates, quarantined, filtered, discarded, heard_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (name) DO UPDATE SET received = received + excluded.received, stored = stored + excluded.stored,
               duplicates = duplicates + excluded.duplicates, quarantined = quarantined + excluded.quarantined,
               filtered = filtered + excluded.filtered, discarded = discarded + excluded.discarded,
               heard_at = max(heard_at, excluded.heard_at)",
            name, received, stored, duplicates, quarantined, filtered, discarded, heard
        )
        .execute(&mut **tx)
        .await?;
        if let Some(p) = &f.position {
            sqlx::query!("UPDATE feed SET epoch = ?, cursor = ? WHERE name = ?", p.epoch, p.cursor, name)
                .execute(&mut **tx)
                .await?;
        }
    }
    for g in gaps {
        let (feed, from, to, reason) = (g.feed.as_str(), g.from.millis(), g.to.millis(), g.reason.as_str());
        let estimated = g.estimated.map(|n| n as i64);
        sqlx::query!(
            "INSERT INTO gap (feed, from_at, to_at, reason, estimated) VALUES (?, ?, ?, ?, ?)",
            feed,
            from,
            to,
            reason,
            estimated
        )
        .execute(&mut **tx)
        .await?;
    }
    if !gaps.is_empty() {
        sqlx::query!("DELETE FROM gap WHERE id <= (SELECT max(id) FROM gap) - ?", GAP_ROWS).execute(&mut **tx).await?;
    }
    for q in quarantine {
        let (feed, at, length) = (q.feed.as_str(), q.at.millis(), q.length as i64);
        sqlx::query!(
            "INSERT INTO quarantine (feed, at, error, raw, length, sha256, cursor) VALUES (?, ?, ?, ?, ?, ?, ?)",
            feed,
            at,
            q.error,
            q.raw,
            length,
            q.sha256,
            q.cursor
        )
        .execute(&mut **tx)
        .await?;
    }
    if !quarantine.is_empty() {
        sqlx::query!("DELETE FROM quarantine WHERE id <= (SELECT max(id) FROM quarantine) - ?", QUARANTINE_ROWS)
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

impl Store {
    /// Every feed that ever committed something.
    pub async fn feeds(&self) -> Result<Vec<StoredFeed>, StoreError> {
        let rows = sqlx::query!("SELECT name, epoch, cursor, received, stored, duplicates, quarantined, filtered, discarded, heard_at FROM feed ORDER BY name")
            .fetch_all(&self.readers)
            .await?;
        Ok(rows
            .into_iter()
            .map(|r| StoredFeed {
                name: FeedName::new(&r.name),
                position: Position { epoch: r.epoch, cursor: r.cursor },
                counts: FeedCounts {
                    received: r.received as u64,
                    stored: r.stored as u64,
                    duplicates: r.duplicates as u64,
                    quarantined: r.quarantined as u64,
                    filtered: r.filtered as u64,
                    discarded: r.discarded as u64,
                },
                heard_at: Timestamp::from_millis(r.heard_at),
            })
            .collect())
    }

    /// The newest gaps, newest first.
    pub async fn gaps(&self, limit: u32) -> Result<Vec<Gap>, StoreError> {
        let rows =
            sqlx::query!("SELECT feed, from_at, to_at, reason, estimated FROM gap ORDER BY id DESC LIMIT ?", limit)
                .fetch_all(&self.readers)
                .await?;
        rows.into_iter()
            .map(|r| {
                Ok(Gap {
                    feed: FeedName::new(&r.feed),
                    from: Timestamp::from_millis(r.from_at),
                    to: Timestamp::from_millis(r.to_at),
                    reason: GapReason::parse(&r.reason).ok_or_else(|| StoreError::damaged("gap", &r.reason))?,
                    estimated: r.estimated.map(|n| n as u64),
                })
            })
            .collect()
    }

    /// The newest of what could not be read, newest first.
    pub async fn quarantine(&self, limit: u32) -> Result<Vec<Quarantined>, StoreError> {
        let rows = sqlx::query!(
            "SELECT feed, at, error, raw, length, sha256, cursor FROM quarantine ORDER BY id DESC LIMIT ?",
            limit
        )
        .fetch_all(&self.readers)
        .await?;
        Ok(rows
            .into_iter()
            .map(|r| Quarantined {
                feed: FeedName::new(&r.feed),
                at: Timestamp::from_millis(r.at),
                error: r.error,
                raw: r.raw,
                length: r.length as u64,
                sha256: r.sha256,
                cursor: r.cursor,
            })
            .collect())
    }
}
