//! Events by the minute, so that a week's chart opens as fast as a minute's.

use sqlx::{Sqlite, Transaction};
use wf_model::Timestamp;

use crate::{Store, StoreError};

/// What a batch adds to one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateDelta {
    /// Minutes since the epoch.
    pub minute: i64,
    pub total: u32,
    /// Events that completed a match, P1 first.
    pub matched: [u32; 4],
}

/// One bar of a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateBucket {
    pub from: Timestamp,
    pub total: u64,
    /// P1 first.
    pub matched: [u64; 4],
}

pub(crate) async fn write(tx: &mut Transaction<'_, Sqlite>, deltas: &[RateDelta]) -> Result<(), sqlx::Error> {
    for d in deltas {
        let [p1, p2, p3, p4] = d.matched;
        sqlx::query!(
            "INSERT INTO rate (minute, total, p1, p2, p3, p4) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (minute) DO UPDATE SET
               total = total + excluded.total, p1 = p1 + excluded.p1, p2 = p2 + excluded.p2, p3 = p3 + excluded.p3, p4 = p4 + excluded.p4",
            d.minute, d.total, p1, p2, p3, p4
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// Rows deleted in one transaction: few enough that ingest does not wait.
const DELETED_AT_ONCE: i64 = 5_000;
/// Events say themselves when they occurred. Nobody asks for a minute that is further ahead than a day.
const AHEAD: i64 = 24 * 60;

impl Store {
    /// Deletes the minutes before `before`, and those that no clock has come to yet; gives how many.
    pub async fn prune_rates(&self, before: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        // A clock that was set back is behind what was received.
        let heard =
            sqlx::query_scalar!("SELECT max(heard_at) FROM feed").fetch_one(&self.readers).await?.unwrap_or_default();
        let (first, last) = (before.millis() / 60_000, now.millis().max(heard) / 60_000 + AHEAD);
        let mut deleted = 0;
        loop {
            let mut writer = self.writer.lock().await;
            let connection = writer.connection().await.map_err(|e| self.failed(e))?;
            let some = sqlx::query!(
                "DELETE FROM rate WHERE minute IN (SELECT minute FROM rate WHERE minute < ? OR minute > ? LIMIT ?)",
                first,
                last,
                DELETED_AT_ONCE
            )
            .execute(connection)
            .await
            .map_err(|e| self.failed(e))?
            .rows_affected();
            deleted += some;
            if some < DELETED_AT_ONCE as u64 {
                return Ok(deleted);
            }
        }
    }

    /// Events between `from` and `to`, in buckets of `minutes`; empty buckets are left out.
    pub async fn rates(&self, from: Timestamp, to: Timestamp, minutes: i64) -> Result<Vec<RateBucket>, StoreError> {
        let (from, to) = (from.millis() / 60_000, to.millis() / 60_000);
        let minutes = minutes.max(1);
        let rows = sqlx::query!(
            r#"SELECT (minute / ?1) * ?1 AS "start!: i64", sum(total) AS "total!: i64", sum(p1) AS "p1!: i64", sum(p2) AS "p2!: i64", sum(p3) AS "p3!: i64", sum(p4) AS "p4!: i64"
               FROM rate WHERE minute BETWEEN ?2 AND ?3 GROUP BY 1 ORDER BY 1"#,
            minutes, from, to
        )
        .fetch_all(&self.readers)
        .await?;
        Ok(rows
            .into_iter()
            .map(|r| RateBucket {
                from: Timestamp::from_millis(r.start * 60_000),
                total: r.total as u64,
                matched: [r.p1, r.p2, r.p3, r.p4].map(|n| n as u64),
            })
            .collect())
    }
}
