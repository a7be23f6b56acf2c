//! Older schemas are brought up to date, and what is asked of the present one does not walk through everything.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use wf_model::*;
use wf_store::events::Query;
use wf_store::{Commit, Store};

mod common;
use common::*;

fn root(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder)
}

const LINES: &str = r#"{"s":1,"f":"old","t":5,"d":0,"x":{"user.name":"ann"},"w":"words"}
{"s":2,"f":"old","t":7,"d":0,"x":{"user.name":"bob"},"w":"words"}
"#;

/// Every schema there ever was, as its migrations made it, with something in it.
#[tokio::test]
async fn a_database_of_every_older_schema_is_copied_and_brought_up_to_date_with_what_is_in_it() {
    let mut files: Vec<_> = std::fs::read_dir(root("migrations")).unwrap().flatten().map(|e| e.path()).collect();
    files.sort();
    for upto in 1..files.len() {
        let dir = tempfile::tempdir().unwrap();
        let old = dir.path().join("migrations");
        std::fs::create_dir(&old).unwrap();
        for f in &files[..upto] {
            std::fs::copy(f, old.join(f.file_name().unwrap())).unwrap();
        }
        let path = dir.path().join("db");
        let mut connection = connect(&path).await;
        sqlx::migrate::Migrator::new(old).await.unwrap().run(&mut connection).await.unwrap();
        for sql in [
            "INSERT INTO audit_leaf (idx, header, payload, salt, payload_hash, hash)
             VALUES (0, '{}', NULL, NULL, zeroblob(32), zeroblob(32))",
            r#"INSERT INTO hot (seq, at, line) VALUES
               (3, 5, CAST('{"s":3,"f":"old","t":5,"d":0,"x":{"user.name":"ann"},"w":"words"}' AS BLOB))"#,
        ] {
            sqlx::query(sql).execute(&mut connection).await.unwrap();
        }
        sqlx::query("INSERT INTO block (first_seq, last_seq, first_at, last_at, n, body) VALUES (1, 2, 5, 7, 2, ?)")
            .bind(zstd::bulk::compress(LINES.as_bytes(), 3).unwrap())
            .execute(&mut connection)
            .await
            .unwrap();
        if upto >= 4 {
            for sql in [
                "INSERT INTO block_meta (first_seq, last_seq, first_at, last_at, newest_at, received_at, n, raw_gone)
                 VALUES (1, 2, 5, 7, 7, NULL, 2, 0)",
                "UPDATE event_total SET n = 3, last_seq = 3",
            ] {
                sqlx::query(sql).execute(&mut connection).await.unwrap();
            }
        }
        for segment in 0..16 {
            // A filter that denies nothing.
            sqlx::query("INSERT INTO bloom (segment, first_seq, bits) VALUES (?, 1, x'ffffffffffffffff')")
                .bind(segment)
                .execute(&mut connection)
                .await
                .unwrap();
        }
        sqlx::Connection::close(connection).await.unwrap();
        let store = Store::open(&path, &key()).await.unwrap();
        assert_eq!(search(&store, "user.name=ann", 10).await, [3, 1], "schema {upto}");
        assert_eq!(store.audit_hashes().await.unwrap().len(), 1, "schema {upto}");
        assert_eq!((store.count_events().await.unwrap(), store.next_seq().await), (3, Seq(4)), "schema {upto}");
        let after = store.events_after(Seq(1)).await.unwrap();
        assert_eq!(after.events.iter().map(|e| e.seq.0).collect::<Vec<_>>(), [2], "schema {upto}");
        let recent = store.recent_ids(&FeedName::new("old"), Timestamp::EPOCH, 9).await.unwrap();
        assert!(recent.is_empty(), "they have no ids");
        assert_eq!(store.old_copies().len(), 1, "a copy was made first");
        assert_eq!(store.next_record("request").await.unwrap(), 1);
        store.commit(&events(4, 3)).await.unwrap();
        store.delete_blocks(&[Seq(1)]).await.unwrap();
        assert_eq!(store.count_events().await.unwrap(), 4);
        store.close().await;
    }
}

#[tokio::test]
async fn the_copy_made_before_a_migration_is_not_overwritten_by_a_later_attempt() {
    let mut files: Vec<_> = std::fs::read_dir(root("migrations")).unwrap().flatten().map(|e| e.path()).collect();
    files.sort();
    let dir = tempfile::tempdir().unwrap();
    let old = dir.path().join("migrations");
    std::fs::create_dir(&old).unwrap();
    std::fs::copy(&files[0], old.join(files[0].file_name().unwrap())).unwrap();
    let path = dir.path().join("db");
    let mut connection = connect(&path).await;
    sqlx::migrate::Migrator::new(old).await.unwrap().run(&mut connection).await.unwrap();
    sqlx::Connection::close(connection).await.unwrap();
    let copy = dir.path().join(format!("db.before-{}", files.len()));
    std::fs::write(&copy, "what the first attempt copied").unwrap();
    let store = Store::open(&path, &key()).await.unwrap();
    assert_eq!(store.old_copies(), std::slice::from_ref(&copy));
    store.close().await;
    assert_eq!(std::fs::read(&copy).unwrap(), b"what the first attempt copied");
}

/// A year of events is a million blocks.
#[tokio::test]
async fn no_query_walks_through_all_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    Store::open(&path, &key()).await.unwrap().close().await;
    let mut connection = connect(&path).await;
    let mut asked = 0;
    for file in std::fs::read_dir(root(".sqlx")).unwrap().flatten() {
        let file: serde_json::Value = serde_json::from_slice(&std::fs::read(file.path()).unwrap()).unwrap();
        let sql = file["query"].as_str().unwrap();
        if !["block", "bloom", "event_total"].iter().any(|table| sql.contains(table)) {
            continue;
        }
        asked += 1;
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")))
                .fetch_all(&mut connection)
                .await
                .unwrap();
        for (_, _, _, step) in plan {
            assert!(!step.starts_with("SCAN b"), "{sql}\n{step}");
        }
    }
    assert!(asked > 8, "the queries are in .sqlx");
    sqlx::Connection::close(connection).await.unwrap();
}

#[tokio::test]
async fn the_number_of_events_is_kept_with_every_change_and_numbers_are_never_given_twice() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let store = Store::open(&path, &key()).await.unwrap();
    for (from, n) in [(1, 3000), (3001, 7), (3008, 2)] {
        store.commit(&events(from, n)).await.unwrap();
    }
    store.commit(&Commit { seal: true, ..Commit::default() }).await.unwrap();
    assert_eq!(store.count_events().await.unwrap(), 3009);
    let blocks = store.blocks(Seq(0), Timestamp::from_millis(i64::MAX), false).await.unwrap();
    assert_eq!(blocks.iter().map(|b| b.n).sum::<u64>(), 3009);
    store.delete_blocks(&blocks.iter().map(|b| b.first).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(store.count_events().await.unwrap(), 0);
    store.close().await;
    let store = Store::open(&path, &key()).await.unwrap();
    assert_eq!(store.next_seq().await, Seq(3010), "no detector remembered how far it was");
    store.close().await;
}

/// Stamps go back and forth, as those of late events do; a search from a moment on finds what a plain look finds.
#[tokio::test]
async fn a_search_from_a_moment_on_finds_late_events_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("db"), &key()).await.unwrap();
    let at = |seq: u64| ((seq / 100 * 7919) % 50) as i64 * 1000 + seq as i64;
    for i in 0..12 {
        let mut c = events(1 + i * 100, 100);
        for e in std::sync::Arc::get_mut(&mut c.events).unwrap() {
            e.occurred_at = Timestamp::from_millis(at(e.seq.0));
        }
        store.commit(&Commit { seal: true, ..c }).await.unwrap();
    }
    for (since, until) in [(0, 60_000), (30_000, 60_000), (45_000, 46_000), (5_000, 9_000), (70_000, 80_000)] {
        let mut query = Query::default();
        (query.since, query.until) = (Some(Timestamp::from_millis(since)), Some(Timestamp::from_millis(until)));
        let found = store.search(&query, None, 5000, &AtomicBool::new(false), |_| {}).await.unwrap();
        let expected: Vec<u64> = (1..=1200).rev().filter(|s| (since..=until).contains(&at(*s))).collect();
        assert_eq!(found.events.iter().map(|e| e.seq.0).collect::<Vec<_>>(), expected, "{since} to {until}");
    }
    store.close().await;
}
