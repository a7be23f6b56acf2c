//! Every row outside the events that may hold somebody's data: looked through, rewritten, deleted.
//!
//! A table with text in it is named in [`PLACES`], or nobody finds what is in it: a test compares the list with the
//! schema.

use futures_util::TryStreamExt as _;
use sqlx::{AssertSqlSafe, Row as _, Sqlite, SqliteConnection, Transaction};
use wf_model::Timestamp;

use crate::{Store, StoreError};

/// A table, and what of it is text.
#[derive(Debug, PartialEq, Eq)]
pub struct Place {
    pub table: &'static str,
    /// What names a row.
    key: &'static [&'static str],
    /// Columns that may hold personal data.
    pub columns: &'static [&'static str],
    /// When it was: an expression in milliseconds.
    at: &'static str,
    /// The number of the incident it belongs to: an expression.
    incident: &'static str,
    /// The feed it came from: an expression.
    feed: &'static str,
}

const OF_INCIDENT: &str = "(SELECT number FROM incident i WHERE i.id = t.incident)";

/// Incidents themselves are not here: they are live in memory and change through the ledger.
pub const PLACES: &[Place] = &[
    Place {
        table: "timeline",
        key: &["incident", "version", "ordinal"],
        columns: &["text", "operator"],
        at: "at",
        incident: OF_INCIDENT,
        feed: "NULL",
    },
    Place {
        table: "folded",
        key: &["incident", "version"],
        columns: &["entity_value", "entity_field"],
        at: "at",
        incident: OF_INCIDENT,
        feed: "NULL",
    },
    Place {
        table: "notification",
        key: &["key"],
        columns: &["page", "address", "person", "error", "provider_id"],
        at: "created_at",
        incident: OF_INCIDENT,
        feed: "NULL",
    },
    Place {
        table: "silence",
        key: &["id"],
        columns: &["matcher", "author", "reason", "ended_by"],
        at: "from_at",
        incident: "NULL",
        feed: "NULL",
    },
    Place {
        table: "quarantine",
        key: &["id"],
        columns: &["raw", "error", "cursor"],
        at: "at",
        incident: "NULL",
        feed: "feed",
    },
    Place {
        table: "feed",
        key: &["name"],
        columns: &["cursor", "epoch"],
        at: "heard_at",
        incident: "NULL",
        feed: "name",
    },
    Place {
        table: "channel",
        key: &["name"],
        columns: &["broken", "cursor"],
        at: "coalesce(worked_at, failed_at, 0)",
        incident: "NULL",
        feed: "NULL",
    },
    Place {
        table: "record",
        key: &["kind", "number"],
        columns: &["document"],
        at: "at",
        incident: "NULL",
        feed: "NULL",
    },
    Place {
        table: "audit_leaf",
        key: &["idx"],
        columns: &["payload"],
        at: "CAST(unixepoch(json_extract(header, '$.at'), 'subsec') * 1000 AS INTEGER)",
        incident: "(SELECT number FROM incident i WHERE 'incident:' || i.id = json_extract(t.header, '$.subject'))",
        feed: "NULL",
    },
];

/// Tables with text that holds nobody's data, with the reason.
pub const ELSEWHERE: &[(&str, &str)] = &[
    ("hot", "events: see store::events"),
    ("block", "events: see store::events"),
    ("block_meta", "numbers and times of blocks"),
    ("event_total", "two numbers"),
    ("bloom", "hashes of words; rewritten with their block"),
    ("filter_group", "numbers and times of blocks"),
    ("filter_slice", "hashes of words; overwritten where a block was rewritten"),
    ("filter_stale", "places of filters"),
    ("incident", "changed through the ledger"),
    ("gap", "feed, times and a reason of our own"),
    ("rate", "counts"),
    ("counter", "numbers that were given"),
    ("audit_checkpoint", "hashes and signatures"),
    ("audit_key", "public keys"),
    ("detector", "what detection remembers: it is told to forget, and written anew"),
];

/// A value that names a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyValue {
    Number(i64),
    Text(String),
}

/// One row, as it is looked at.
#[derive(Clone, Debug)]
pub struct Swept {
    pub place: &'static Place,
    pub key: Vec<KeyValue>,
    pub at: Timestamp,
    pub incident: Option<u64>,
    pub feed: Option<String>,
    /// As in [`Place::columns`].
    pub texts: Vec<Option<String>>,
}

/// What becomes of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rewrite {
    /// These columns get these texts.
    Set {
        place: &'static Place,
        key: Vec<KeyValue>,
        texts: Vec<(&'static str, String)>,
    },
    /// The details of an audit entry and their salt are gone; what is left still proves itself.
    ErasePayload {
        index: i64,
    },
    Delete {
        place: &'static Place,
        key: Vec<KeyValue>,
    },
}

impl Place {
    pub fn named(table: &str) -> Option<&'static Self> {
        PLACES.iter().find(|p| p.table == table)
    }

    fn condition(&self) -> String {
        self.key.iter().map(|k| format!("{k} = ?")).collect::<Vec<_>>().join(" AND ")
    }
}

impl Store {
    /// Looks at every row of a place that is older than `before`, oldest first as the table has them. Nothing is held
    /// meanwhile.
    pub async fn sweep(
        &self,
        place: &'static Place,
        before: Option<Timestamp>,
        mut each: impl FnMut(Swept) + Send,
    ) -> Result<(), StoreError> {
        let texts: Vec<String> = place.columns.iter().map(|c| format!("CAST({c} AS TEXT)")).collect();
        // Made of the constants above alone.
        let sql = format!(
            "SELECT {}, {} AS at_, {} AS incident_, {} AS feed_, {} FROM {} t WHERE ? IS NULL OR {} < ?",
            place.key.join(", "),
            place.at,
            place.incident,
            place.feed,
            texts.join(", "),
            place.table,
            place.at
        );
        let before = before.map(Timestamp::millis);
        let mut rows = sqlx::query(AssertSqlSafe(sql)).bind(before).bind(before).fetch(&self.readers);
        let n = place.key.len();
        while let Some(row) = rows.try_next().await? {
            let key = (0..n)
                .map(|i| {
                    row.try_get::<i64, _>(i)
                        .map(KeyValue::Number)
                        .or_else(|_| row.try_get::<String, _>(i).map(KeyValue::Text))
                })
                .collect::<Result<_, _>>()?;
            each(Swept {
                place,
                key,
                at: Timestamp::from_millis(row.try_get::<Option<i64>, _>(n)?.unwrap_or_default()),
                incident: row.try_get::<Option<i64>, _>(n + 1)?.map(|i| i as u64),
                feed: row.try_get(n + 2)?,
                texts: (0..place.columns.len())
                    .map(|i| match row.try_get::<Option<String>, _>(n + 3 + i) {
                        Ok(text) => text,
                        // What could not be read is not always text.
                        Err(_) => row
                            .try_get::<Option<Vec<u8>>, _>(n + 3 + i)
                            .ok()
                            .flatten()
                            .map(|b| String::from_utf8_lossy(&b).into_owned()),
                    })
                    .collect(),
            });
        }
        Ok(())
    }
}

pub(crate) async fn write(tx: &mut Transaction<'_, Sqlite>, rewrites: &[Rewrite]) -> Result<(), sqlx::Error> {
    for r in rewrites {
        match r {
            Rewrite::Set { place, key, texts } => {
                // A blob stays a blob.
                let sets: Vec<String> =
                    texts
                        .iter()
                        .map(|(c, _)| {
                            if *c == "raw" { format!("{c} = CAST(? AS BLOB), sha256 = ''") } else { format!("{c} = ?") }
                        })
                        .collect();
                let sql = format!("UPDATE {} SET {} WHERE {}", place.table, sets.join(", "), place.condition());
                let mut query = sqlx::query(AssertSqlSafe(sql));
                for (_, text) in texts {
                    query = query.bind(text);
                }
                bound(query, key).execute(&mut **tx).await?;
            }
            Rewrite::ErasePayload { index } => {
                sqlx::query!("UPDATE audit_leaf SET payload = NULL, salt = NULL WHERE idx = ?", index)
                    .execute(&mut **tx)
                    .await?;
            }
            Rewrite::Delete { place, key } => {
                let sql = format!("DELETE FROM {} WHERE {}", place.table, place.condition());
                bound(sqlx::query(AssertSqlSafe(sql)), key).execute(&mut **tx).await?;
            }
        }
    }
    Ok(())
}

type Query<'q> = sqlx::query::Query<'q, Sqlite, sqlx::sqlite::SqliteArguments>;

fn bound<'q>(query: Query<'q>, key: &'q [KeyValue]) -> Query<'q> {
    key.iter().fold(query, |q, k| match k {
        KeyValue::Number(n) => q.bind(n),
        KeyValue::Text(t) => q.bind(t),
    })
}

/// Incidents with everything that belongs to them.
pub(crate) async fn delete_incidents(
    tx: &mut SqliteConnection,
    ids: &[wf_model::IncidentId],
) -> Result<(), sqlx::Error> {
    for id in ids {
        for table in ["timeline", "folded", "notification"] {
            sqlx::query(AssertSqlSafe(format!("DELETE FROM {table} WHERE incident = ?")))
                .bind(&id.0)
                .execute(&mut *tx)
                .await?;
        }
        sqlx::query!("INSERT INTO counter (kind, last) SELECT 'incident', number FROM incident WHERE id = ? ON CONFLICT (kind) DO UPDATE SET last = max(last, excluded.last)", id.0).execute(&mut *tx).await?;
        sqlx::query!("DELETE FROM incident WHERE id = ?", id.0).execute(&mut *tx).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_of_the_schema_is_looked_through_or_has_a_reason_not_to_be() {
        let schema: String =
            ["0001_initial.sql", "0002_response.sql", "0003_privacy.sql", "0004_blocks.sql", "0005_filter_groups.sql"]
                .iter()
                .map(|f| std::fs::read_to_string(format!("../../migrations/{f}")).unwrap())
                .collect();
        let files = std::fs::read_dir("../../migrations").unwrap().count();
        assert_eq!(files, 5, "a new migration is to be looked through as well");
        for table in schema.split("CREATE TABLE ").skip(1).filter_map(|t| t.split_whitespace().next()) {
            assert!(
                Place::named(table).is_some() != ELSEWHERE.iter().any(|(t, _)| *t == table),
                "{table} is in neither list, or in both"
            );
        }
    }
}
