//! What cannot be read is named and stepped over; nothing else suffers from it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use wf_model::*;
use wf_store::events::{Decide, Exact, Fate, Query, Quick, StoredEvent};
use wf_store::{Commit, Store};

mod common;
use common::*;

#[tokio::test]
async fn an_erased_text_in_brackets_stops_neither_a_search_nor_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    for (n, place) in [(3, "hot"), (1500, "sealed")] {
        let store = Store::open(&path, &key()).await.unwrap();
        let from = store.next_seq().await.0;
        store.commit(&events(from, n)).await.unwrap();
        let quick: Quick = Arc::new(|_: &str| true);
        let decide: Decide = Arc::new(move |e: &StoredEvent| {
            if e.seq != Seq(from) {
                return Fate::Keep;
            }
            Fate::Replace(Box::new(StoredEvent { raw: "[erased] logged in as [erased]".into(), ..e.clone() }))
        });
        assert_eq!(store.rewrite_events(&quick, &decide).await.unwrap().replaced, 1);
        assert_eq!(search(&store, "\"logged in\"", 1).await, [from], "{place}");
        store.close().await;
        let store = Store::open(&path, &key()).await.unwrap();
        assert_eq!(store.events_by_seq(&[Seq(from)]).await.unwrap()[0].raw, "[erased] logged in as [erased]");
        store.commit(&Commit { seal: true, ..Commit::default() }).await.unwrap();
        store.close().await;
    }
}

fn everything() -> Quick {
    Arc::new(|_: &str| true)
}

/// Three blocks of 1500 events; the body of the middle one is not what was written.
async fn with_a_broken_block(path: &std::path::Path) -> Store {
    let store = Store::open(path, &key()).await.unwrap();
    for i in 0..3 {
        store.commit(&events(1 + i * 1500, 1500)).await.unwrap();
    }
    store.commit(&events(4501, 3)).await.unwrap();
    store.close().await;
    execute(path, "UPDATE block SET body = x'0011' WHERE first_seq = 1501").await;
    Store::open(path, &key()).await.unwrap()
}

#[tokio::test]
async fn one_unreadable_block_is_named_and_all_others_are_searched() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_a_broken_block(&dir.path().join("db")).await;
    let broken = (Seq(1501), Seq(3000));
    let found = store.search(&Query::default(), None, 9999, &AtomicBool::new(false), |_| {}).await.unwrap();
    assert_eq!(found.events.len(), 3003);
    assert_eq!(found.damaged.iter().map(|d| (d.first, d.last)).collect::<Vec<_>>(), [broken]);
    let after = store.events_after(Seq(1499)).await.unwrap();
    assert_eq!((after.events.len(), after.events[0].seq, after.damaged.len()), (1, Seq(1500), 0));
    let after = store.events_after(Seq(1500)).await.unwrap();
    assert_eq!((after.events.len(), after.events[0].seq, after.damaged.len()), (1500, Seq(3001), 1));
    let (odd, even) = (FeedName::new("odd"), FeedName::new("even"));
    let wanted = [(odd.clone(), Timestamp::EPOCH, 9999), (even.clone(), Timestamp::EPOCH, 9999)];
    let recent = store.recent_ids_of(&wanted, |e| e.id).await.unwrap();
    assert_eq!((recent.by_feed[&odd].len(), recent.by_feed[&even].len(), recent.damaged.len()), (1502, 1501, 1));
    assert_eq!(store.events_by_seq(&[Seq(1), Seq(2000), Seq(4503)]).await.unwrap().len(), 2);
    store.close().await;
}

#[tokio::test]
async fn an_erasure_says_what_it_could_not_look_at_and_does_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_a_broken_block(&dir.path().join("db")).await;
    let decide: Decide = Arc::new(|e: &StoredEvent| match e.fields["user.name"].as_str() {
        Some("user3") => Fate::Drop,
        _ => Fate::Keep,
    });
    let done = store.rewrite_events(&everything(), &decide).await.unwrap();
    assert_eq!((done.dropped, done.damaged.len(), done.damaged[0].first), (601, 1, Seq(1501)));
    let exact: Exact = Arc::new(|_: &StoredEvent| true);
    let mut seen = 0;
    let sifted = store
        .sift(&everything(), &exact, &AtomicBool::new(false), |_| {}, |events| seen += events.len())
        .await
        .unwrap();
    assert_eq!((seen, sifted.cancelled, sifted.damaged.len()), (3003 - 601, false, 1));
    // Retention of the words as they came in does not claim that there are none in it.
    let keep: Decide = Arc::new(|_: &StoredEvent| Fate::Keep);
    for first in [1, 1501, 3001] {
        let done = store.rewrite_block(Seq(first), &everything(), &keep, true).await.unwrap();
        assert_eq!(done.damaged.len(), usize::from(first == 1501));
    }
    let with_raw = store.blocks(Seq(0), Timestamp::from_millis(i64::MAX), true).await.unwrap();
    assert_eq!(with_raw.iter().map(|b| b.first.0).collect::<Vec<_>>(), [1501]);
    // Deleting it does not need to read it.
    store.delete_blocks(&[Seq(1501)]).await.unwrap();
    let found = store.search(&Query::default(), None, 9999, &AtomicBool::new(false), |_| {}).await.unwrap();
    assert_eq!((found.events.len(), found.damaged.len()), (3003 - 601, 0));
    assert_eq!(store.count_events().await.unwrap(), 3003 - 601);
    store.close().await;
}

#[tokio::test]
async fn a_hot_line_that_cannot_be_read_goes_into_quarantine_and_the_database_opens() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let store = Store::open(&path, &key()).await.unwrap();
    store.commit(&events(1, 5)).await.unwrap();
    store.close().await;
    execute(&path, r#"UPDATE hot SET line = CAST('{"s":5,"f":"o' AS BLOB) WHERE seq = 5"#).await;
    for _ in 0..2 {
        let store = Store::open(&path, &key()).await.unwrap();
        assert_eq!(search(&store, "", 9).await, [4, 3, 2, 1]);
        let aside = store.quarantine(9).await.unwrap();
        assert_eq!((aside.len(), aside[0].raw.as_slice()), (1, &br#"{"s":5,"f":"o"#[..]));
        assert_eq!((store.count_events().await.unwrap(), store.next_seq().await), (4, Seq(6)));
        store.close().await;
    }
    let store = Store::open(&path, &key()).await.unwrap();
    store.commit(&events(6, 2000)).await.unwrap();
    assert_eq!(store.count_events().await.unwrap(), 2004);
    store.close().await;
}
