//! Filters of many blocks, turned: a search finds the same, and of what was erased nothing is left in them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use sqlx::Row as _;
use wf_model::*;
use wf_store::events::{Decide, Fate, Query, Quick, StoredEvent};
use wf_store::{Commit, Store};

mod common;
use common::*;

/// Every event has a word of its own.
fn named(seq: u64) -> Event {
    event(seq, &format!("user{}", seq % 5), &format!(r#"{{"msg":"line word{seq} from host-{}"}}"#, seq % 3))
}

/// So many blocks, sealed one by one; each hundredth is larger, one is far larger than the others. Gives the first
/// number of each, and the number after the last.
async fn build(store: &Store, blocks: u64) -> Vec<u64> {
    let mut firsts = vec![1];
    for block in 0..blocks {
        let n = match block {
            700 => 1500,
            b if b % 100 == 3 => 60,
            b => 1 + b % 3,
        };
        let first = firsts[block as usize];
        let events = Arc::new((first..first + n).map(named).collect());
        store.commit(&Commit { events, seal: true, ..Commit::default() }).await.unwrap();
        firsts.push(first + n);
    }
    firsts
}

async fn group(store: &Store) -> usize {
    let mut groups = 0;
    while store.group_filters().await.unwrap() {
        groups += 1;
    }
    groups
}

async fn found(store: &Store, query: &Query, before: Option<Seq>) -> Vec<u64> {
    let mut seen = wf_store::events::Progress::default();
    let found = store.search(query, before, usize::MAX, &AtomicBool::new(false), |p| seen = p).await.unwrap();
    assert!(found.damaged.is_empty(), "{:?}", found.damaged);
    assert!(seen.looked_at <= seen.total);
    found.events.iter().map(|e| e.seq.0).collect()
}

/// One number from a closed database.
async fn number(path: &Path, sql: &'static str) -> i64 {
    let mut connection = connect(path).await;
    let n = sqlx::query(sql).fetch_one(&mut connection).await.unwrap().get(0);
    sqlx::Connection::close(connection).await.unwrap();
    n
}

#[tokio::test]
async fn a_search_finds_the_same_before_and_after_the_filters_of_many_blocks_are_turned() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let store = Store::open(&path, &key()).await.unwrap();
    let firsts = build(&store, 2100).await;
    let end = *firsts.last().unwrap();

    let mut queries: Vec<(Query, Option<Seq>)> = Vec::new();
    let mut ask = |text: &str, times: Option<(u64, u64)>, before: Option<u64>| {
        let mut query = Query::parse(text).unwrap();
        if let Some((since, until)) = times {
            query.since = Some(named(since).occurred_at);
            query.until = Some(named(until).occurred_at);
        }
        queries.push((query, before.map(Seq)));
    };
    for n in (1..end).step_by(97).chain([firsts[700], firsts[700] + 1499, firsts[1023], firsts[1024], end - 1]) {
        ask(&format!("word{n}"), None, None);
        ask(&format!("word{n} user.name=user{}", n % 5), None, Some(n + 1));
        ask(&format!("word{n}"), None, Some(n));
        ask(&format!("word{n}"), Some((n, n + 1)), None);
    }
    for text in ["nowhere", "line nowhere", "user.name=user3 host-1", "word1*", ""] {
        ask(text, None, None);
        ask(text, Some((firsts[500], firsts[1500])), None);
        ask(text, Some((firsts[1030], firsts[1040])), Some(firsts[1035]));
    }
    let mut before = Vec::new();
    for (query, below) in &queries {
        before.push(found(&store, query, *below).await);
    }
    assert!(before.iter().filter(|b| b.len() == 1).count() > 60, "the words are found");
    assert_eq!(group(&store).await, 2);
    for ((query, below), before) in queries.iter().zip(&before) {
        assert_eq!(found(&store, query, *below).await, *before, "{query:?} below {below:?}");
    }
    let recent = store.recent_ids(&FeedName::new("odd"), Timestamp::EPOCH, 10_000).await.unwrap();
    assert_eq!(recent.len() as u64, (1..end).filter(|n| n % 2 == 1).count() as u64);
    store.close().await;
    let own = "SELECT count(DISTINCT first_seq) FROM bloom";
    assert_eq!(number(&path, own).await, 2100 - 2048 + 1, "those after the groups, and the one that is far larger");
    assert_eq!(number(&path, "SELECT count(*) FROM block_meta WHERE filter_at IS NULL").await, 53);
}

#[tokio::test]
async fn of_what_was_erased_nothing_is_left_in_a_group_and_the_rest_of_its_block_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let store = Store::open(&path, &key()).await.unwrap();
    let firsts = build(&store, 1030).await;
    assert_eq!(group(&store).await, 1);

    let gone = firsts[203] + 7;
    let needle = format!("word{gone} ");
    let mut new = StoredEvent::from(&named(gone));
    new.raw = r#"{"msg":"line pseudonym7 from host-1"}"#.into();
    let quick: Quick = Arc::new(move |text: &str| text.contains(&needle));
    let decide: Decide = Arc::new(
        move |e: &StoredEvent| {
            if e.seq.0 == gone { Fate::Replace(Box::new(new.clone())) } else { Fate::Keep }
        },
    );
    assert_eq!(store.rewrite_events(&quick, &decide).await.unwrap().replaced, 1);
    assert_eq!(search(&store, &format!("word{gone}"), 10).await, [0; 0]);
    assert_eq!(search(&store, "pseudonym7", 10).await, [gone]);
    assert_eq!(search(&store, &format!("word{}", gone + 1), 10).await, [gone + 1]);
    assert_eq!(search(&store, &format!("word{}", firsts[204]), 10).await, [firsts[204]]);
    store.close().await;
    assert_eq!(number(&path, "SELECT count(*) FROM filter_stale").await, 0);
    // Of every slice, the bit of this block says nothing any more.
    let mut connection = connect(&path).await;
    let rows = sqlx::query("SELECT bits FROM filter_slice").fetch_all(&mut connection).await.unwrap();
    let mut slices = 0;
    for row in &rows {
        for slice in row.get::<Vec<u8>, _>(0).chunks(128) {
            slices += 1;
            assert!(slice[203 / 8] & (1 << (203 % 8)) != 0, "a slice still says what the block held");
        }
    }
    assert!(slices >= 16 * 64, "{slices}");
    sqlx::Connection::close(connection).await.unwrap();
}

#[tokio::test]
async fn a_group_whose_blocks_are_all_deleted_goes_with_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let store = Store::open(&path, &key()).await.unwrap();
    let firsts = build(&store, 2050).await;
    assert_eq!(group(&store).await, 2);
    let firsts: Vec<Seq> = firsts.into_iter().map(Seq).collect();
    for some in firsts[..1024].chunks(8) {
        store.delete_blocks(some).await.unwrap();
    }
    store.delete_blocks(&firsts[1030..1032]).await.unwrap();
    store.settle_filters().await.unwrap();
    assert_eq!(search(&store, &format!("word{}", firsts[3].0), 10).await, [0; 0]);
    assert_eq!(search(&store, &format!("word{}", firsts[1030].0), 10).await, [0; 0]);
    assert_eq!(search(&store, &format!("word{}", firsts[1040].0), 10).await, [firsts[1040].0]);
    store.close().await;
    assert_eq!(number(&path, "SELECT count(*) FROM filter_group").await, 1);
    assert_eq!(number(&path, "SELECT count(*) FROM filter_slice WHERE id < 2 << 28").await, 0);
}

#[tokio::test]
async fn blocks_that_have_all_left_their_group_are_grouped_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let store = Store::open(&path, &key()).await.unwrap();
    let firsts = build(&store, 2050).await;
    assert_eq!(group(&store).await, 2);
    // As when the words as they came in are over their time.
    let decide: Decide =
        Arc::new(|e: &StoredEvent| Fate::Replace(Box::new(StoredEvent { raw: String::new(), ..e.clone() })));
    let quick: Quick = Arc::new(|_: &str| true);
    for first in &firsts[..1024] {
        let _done = store.rewrite_block(Seq(*first), &quick, &decide, true).await.unwrap();
    }
    store.settle_filters().await.unwrap();
    assert_eq!(group(&store).await, 1);
    assert_eq!(search(&store, &format!("word{}", firsts[3]), 10).await, [0; 0]);
    assert_eq!(search(&store, "user.name=user1", usize::MAX).await.last(), Some(&1));
    store.close().await;
    assert_eq!(number(&path, "SELECT count(*) FROM filter_group").await, 2);
    assert_eq!(
        number(&path, "SELECT count(*) FROM block_meta WHERE filter_at IS NULL").await,
        2,
        "those after the groups"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_that_are_rewritten_while_their_filters_are_turned_are_found_by_what_they_hold() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("db"), &key()).await.unwrap();
    let firsts = build(&store, 1030).await;
    let (mine, blocks) = (store.clone(), firsts.clone());
    let erasing = tokio::spawn(async move {
        for first in blocks.iter().take(400).step_by(8) {
            let at = *first;
            let mut new = StoredEvent::from(&named(at));
            new.raw = format!(r#"{{"msg":"line pseudonym{at} from host-1"}}"#);
            let decide: Decide =
                Arc::new(
                    move |e: &StoredEvent| {
                        if e.seq.0 == at { Fate::Replace(Box::new(new.clone())) } else { Fate::Keep }
                    },
                );
            let quick: Quick = Arc::new(|_: &str| true);
            assert_eq!(mine.rewrite_block(Seq(at), &quick, &decide, false).await.unwrap().replaced, 1);
        }
    });
    while !erasing.is_finished() {
        store.group_filters().await.unwrap();
    }
    erasing.await.unwrap();
    group(&store).await;
    for (i, first) in firsts.iter().enumerate().take(400) {
        let (word, pseudonym) = (format!("word{first}"), format!("pseudonym{first}"));
        let (there, gone) = if i % 8 == 0 { (pseudonym, word) } else { (word, pseudonym) };
        assert_eq!(search(&store, &there, 10).await, [*first], "{there}");
        assert_eq!(search(&store, &gone, 10).await, [0; 0], "{gone}");
    }
    store.close().await;
}
