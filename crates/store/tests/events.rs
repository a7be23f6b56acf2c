//! Appending, searching and remembering, while other things happen.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use wf_model::*;
use wf_store::events::{Decide, Fate, Query, Quick, StoredEvent};
use wf_store::{Commit, Store};

mod common;
use common::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_caller_goes_away_is_whole_or_not_at_all_and_the_next_one_succeeds() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("db"), &key()).await.unwrap();
    for i in 0..120 {
        let (next, mine) = (store.next_seq().await.0, store.clone());
        let task = tokio::spawn(async move { mine.commit(&events(next, if i % 9 == 0 { 1100 } else { 2 })).await });
        // From "not begun" over "the disk is at it" to "long done".
        tokio::time::sleep(Duration::from_micros(i * 40)).await;
        task.abort();
        let _ended = task.await;
        let next = store.next_seq().await.0;
        store.commit(&events(next, 1)).await.unwrap();
        assert_eq!(store.count_events().await.unwrap(), next, "after {i}");
    }
    let all = search(&store, "", usize::MAX).await;
    assert_eq!(all, (1..store.next_seq().await.0).rev().collect::<Vec<_>>());
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_while_blocks_are_sealed_shows_no_event_twice_and_leaves_none_out() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("db"), &key()).await.unwrap();
    let mine = store.clone();
    let writer = tokio::spawn(async move {
        for i in 0..150 {
            mine.commit(&Commit { seal: i % 3 == 2, ..events(1 + i * 20, 20) }).await.unwrap();
        }
    });
    while !writer.is_finished() {
        let found = search(&store, "", usize::MAX).await;
        let newest = found.first().copied().unwrap_or_default();
        assert_eq!(found, (1..=newest).rev().collect::<Vec<_>>());
    }
    writer.await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn a_cancelled_search_goes_on_above_what_an_erasure_left_of_a_block() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("db"), &key()).await.unwrap();
    store.commit(&events(1, 1500)).await.unwrap();
    let quick: Quick = Arc::new(|_: &str| true);
    let decide: Decide = Arc::new(|e: &StoredEvent| if e.seq.0 <= 1490 { Fate::Drop } else { Fate::Keep });
    assert_eq!(store.rewrite_events(&quick, &decide).await.unwrap().dropped, 1490);
    let cancelled = store.search(&Query::default(), None, 9, &AtomicBool::new(true), |_| {}).await.unwrap();
    assert!(cancelled.cancelled);
    let rest = store.search(&Query::default(), cancelled.next, 99, &AtomicBool::new(false), |_| {}).await.unwrap();
    assert_eq!(rest.events.iter().map(|e| e.seq.0).collect::<Vec<_>>(), (1491..=1500).rev().collect::<Vec<_>>());
    store.close().await;
}

#[tokio::test]
async fn t11_large_events_are_sealed_before_the_hot_table_fills_the_memory() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("db"), &key()).await.unwrap();
    let text = "x".repeat(3 << 20);
    let sealed = async |store: &Store| {
        let blocks = store.blocks(Seq(0), Timestamp::from_millis(i64::MAX), false).await.unwrap();
        blocks.iter().map(|b| b.n).sum::<u64>()
    };
    for seq in 1..=5 {
        let events = Arc::new(vec![event(seq, "ann", &text)]);
        store.commit(&Commit { events, ..Commit::default() }).await.unwrap();
    }
    assert_eq!(sealed(&store).await, 0, "15 MiB wait for company");
    store.commit(&Commit { events: Arc::new(vec![event(6, "ann", &text)]), ..Commit::default() }).await.unwrap();
    assert_eq!(sealed(&store).await, 6, "18 MiB do not");
    assert_eq!(search(&store, "user.name=ann", 9).await, [6, 5, 4, 3, 2, 1]);
    store.close().await;
}

fn of_feed(feed: &str, from: u64, n: u64) -> Commit {
    let mut c = events(from, n);
    for e in Arc::get_mut(&mut c.events).unwrap() {
        e.feed = FeedName::new(feed);
    }
    c
}

#[tokio::test]
async fn the_ids_of_a_quiet_feed_are_remembered_behind_those_of_busy_ones() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("db"), &key()).await.unwrap();
    store.commit(&of_feed("quiet", 1, 3)).await.unwrap();
    for i in 0..4 {
        store.commit(&of_feed("busy", 4 + i * 1500, 1500)).await.unwrap();
    }
    store.commit(&of_feed("quiet", 6004, 2)).await.unwrap();
    let (quiet, busy) = (FeedName::new("quiet"), FeedName::new("busy"));
    let ids = |events: Vec<StoredEvent>| events.iter().map(|e| e.seq.0).collect::<Vec<_>>();
    let all = store.recent_ids(&quiet, Timestamp::EPOCH, 10).await.unwrap();
    assert_eq!(ids(all), [6005, 6004, 3, 2, 1]);
    // Received at 1,000,500 ms and a second for each number.
    let since = Timestamp::from_millis(1_000_500 + 2 * 1000);
    assert_eq!(ids(store.recent_ids(&quiet, since, 10).await.unwrap()), [6005, 6004, 3, 2]);
    assert_eq!(ids(store.recent_ids(&quiet, since, 3).await.unwrap()), [6005, 6004, 3]);
    // One walk for both, and no whole event is held.
    let wanted = [(quiet.clone(), Timestamp::EPOCH, 10), (busy.clone(), Timestamp::EPOCH, 5000)];
    let recent = store.recent_ids_of(&wanted, |e| Some(e.seq.0)).await.unwrap();
    assert_eq!(recent.by_feed[&quiet], [6005, 6004, 3, 2, 1]);
    assert_eq!(recent.by_feed[&busy], (1004..6004).rev().collect::<Vec<u64>>());
    store.close().await;
}
