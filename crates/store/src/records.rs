//! Documents of a kind, numbered from 1: requests, breaches, consents, holds … The store keeps them; `privacy` knows
//! what they say.

use sqlx::{Sqlite, Transaction};
use wf_model::Timestamp;

use crate::{Store, StoreError};

/// One document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub kind: &'static str,
    pub number: u64,
    /// The greater one wins.
    pub version: u64,
    /// Still somebody's work.
    pub open: bool,
    /// When it was last changed.
    pub at: Timestamp,
    /// JSON.
    pub document: String,
}

pub(crate) async fn write(tx: &mut Transaction<'_, Sqlite>, records: &[Record]) -> Result<(), sqlx::Error> {
    for r in records {
        let (number, version, at) = (r.number as i64, r.version as i64, r.at.millis());
        sqlx::query!(
            "INSERT INTO record (kind, number, version, open, at, document) VALUES (?, ?, ?, ?, ?, ?)
             ON CONFLICT (kind, number) DO UPDATE SET version = excluded.version, open = excluded.open, at = excluded.at, document = excluded.document
             WHERE excluded.version > record.version",
            r.kind, number, version, r.open, at, r.document
        )
        .execute(&mut **tx)
        .await?;
        sqlx::query!("INSERT INTO counter (kind, last) VALUES (?, ?) ON CONFLICT (kind) DO UPDATE SET last = max(last, excluded.last)", r.kind, number).execute(&mut **tx).await?;
    }
    Ok(())
}

impl Store {
    /// Documents of a kind, the newest number first; `open` alone, or all; at most `limit`.
    pub async fn records(&self, kind: &str, open: Option<bool>, limit: u32) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar!(
            "SELECT document FROM record WHERE kind = ?1 AND (?2 IS NULL OR open = ?2) ORDER BY number DESC LIMIT ?3",
            kind,
            open,
            limit
        )
        .fetch_all(&self.readers)
        .await?)
    }

    pub async fn record(&self, kind: &str, number: u64) -> Result<Option<String>, StoreError> {
        let number = number as i64;
        Ok(sqlx::query_scalar!("SELECT document FROM record WHERE kind = ? AND number = ?", kind, number)
            .fetch_optional(&self.readers)
            .await?)
    }

    /// The number of the next document of a kind.
    pub async fn next_record(&self, kind: &str) -> Result<u64, StoreError> {
        let n =
            sqlx::query_scalar!(r#"SELECT coalesce(max(last), 0) + 1 AS "n!: i64" FROM counter WHERE kind = ?"#, kind)
                .fetch_one(&self.readers)
                .await?;
        Ok(n as u64)
    }
}
