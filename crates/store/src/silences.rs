//! Silences.

use sqlx::{Sqlite, Transaction};
use wf_model::{Silence, Timestamp};

use crate::{Store, StoreError};

pub(crate) async fn write(tx: &mut Transaction<'_, Sqlite>, silences: &[Silence]) -> Result<(), sqlx::Error> {
    for s in silences {
        let (matcher, from, until) =
            (serde_json::to_string(&s.matcher).unwrap_or_default(), s.from.millis(), s.until.millis());
        // Only its end ever changes.
        sqlx::query!(
            "INSERT INTO silence (id, matcher, author, reason, from_at, until_at, ended_by, closed) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (id) DO UPDATE SET until_at = min(until_at, excluded.until_at), ended_by = coalesce(ended_by, excluded.ended_by), closed = max(closed, excluded.closed)",
            s.id, matcher, s.author, s.reason, from, until, s.ended_by, s.closed
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

impl Store {
    /// Silences, those that last first, then the newest first; at most `limit`.
    pub async fn silences(&self, limit: u32) -> Result<Vec<Silence>, StoreError> {
        let rows = sqlx::query!("SELECT id, matcher, author, reason, from_at, until_at, ended_by, closed FROM silence ORDER BY closed, from_at DESC LIMIT ?", limit)
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter()
            .map(|r| {
                Ok(Silence {
                    matcher: serde_json::from_str(&r.matcher).map_err(|e| StoreError::damaged("silence", e))?,
                    id: r.id,
                    author: r.author,
                    reason: r.reason,
                    from: Timestamp::from_millis(r.from_at),
                    until: Timestamp::from_millis(r.until_at),
                    ended_by: r.ended_by,
                    closed: r.closed != 0,
                })
            })
            .collect()
    }
}
