//! Events, a key and a search, for all tests of the store.
#![allow(dead_code, reason = "no file of tests uses all of it")]

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use wf_model::*;
use wf_store::events::Query;
use wf_store::{Commit, DatabaseKey, Store};

pub const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

pub fn key() -> DatabaseKey {
    DatabaseKey::from_hex(KEY).unwrap()
}

pub fn event(seq: u64, user: &str, text: &str) -> Event {
    let mut fields = Fields::default();
    fields.set("user.name".into(), Value::str(user));
    fields.set("n".into(), Value::Int(seq as i64 % 7));
    Event {
        seq: Seq(seq),
        feed: FeedName::new(if seq.is_multiple_of(2) { "even" } else { "odd" }),
        id: Some(compact_str::format_compact!("id-{seq}")),
        occurred_at: Timestamp::from_millis(1_000_000 + seq as i64 * 1000),
        received_at: Timestamp::from_millis(1_000_500 + seq as i64 * 1000),
        skewed: seq.is_multiple_of(10),
        conflict: false,
        fields,
        raw: Raw::from(text),
    }
}

pub fn events(from: u64, n: u64) -> Commit {
    Commit {
        events: Arc::new(
            (from..from + n)
                .map(|s| {
                    event(s, &format!("user{}", s % 5), &format!(r#"{{"msg":"Line {s} from host-{}","k":"v"}}"#, s % 3))
                })
                .collect(),
        ),
        ..Commit::default()
    }
}

/// A connection of the test's own to a closed database.
pub async fn connect(path: &std::path::Path) -> sqlx::SqliteConnection {
    use std::str::FromStr as _;
    let options = sqlx::sqlite::SqliteConnectOptions::from_str("sqlite::memory:")
        .unwrap()
        .in_memory(false)
        .filename(path)
        .create_if_missing(true)
        .pragma("key", format!("\"x'{KEY}'\""));
    sqlx::ConnectOptions::connect(&options).await.unwrap()
}

/// Does this to a closed database.
pub async fn execute(path: &std::path::Path, sql: &'static str) {
    let mut connection = connect(path).await;
    sqlx::query(sql).execute(&mut connection).await.unwrap();
    sqlx::Connection::close(connection).await.unwrap();
}

pub async fn search(store: &Store, q: &str, limit: usize) -> Vec<u64> {
    let found = store.search(&Query::parse(q).unwrap(), None, limit, &AtomicBool::new(false), |_| {}).await.unwrap();
    found.events.iter().map(|e| e.seq.0).collect()
}
